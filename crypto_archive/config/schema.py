"""The JSON Schema of presets, with which editors complete and check them.

It knows the words of the bundled matrix. What it refuses is wrong, except that a preset with a matrix of its own may
use other words. What it cannot see - files, the contents of lists, the options of s5cmd - `preset check` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.fields import (
    EVERY,
    FIELDS,
    PRESET_FIELDS,
    SCHEMA_FIELD,
    TEXTS_SCHEMA,
    Schema,
    any_of,
    list_of,
    mapping_of,
)
from crypto_archive.config.vocabulary import rows_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.fields import ConfigField

_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_SYMBOL = rf"^(?!-$)(?!!?\.{{0,2}}$)(?!!@)(?:@[^\u0000]*[^\u0000\s][^\u0000]*|(?!@)[^/,{_CONTROL}]{{1,201}})$"


def preset_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a preset."""
    examples = ["*USDT", "!*DOWNUSDT", "all", "@symbols.txt"]
    symbol = {"type": "string", "pattern": _SYMBOL, "examples": examples}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:crypto-archive:preset:1",
        "title": "Preset of crypto-archive",
        "description": "What to take from Binance's archive, and how to fetch it. Every field may be left out.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{name: _property(FIELDS[name]) for name in PRESET_FIELDS},
            SCHEMA_FIELD: {"description": "The file of this schema, for editors.", "type": "string"},
        },
        "$defs": {"symbols": list_of(symbol)},
        # With a matrix of the preset's own, words that the bundled one does not have are right as well.
        "if": {"required": ["matrix_path"], "properties": {"matrix_path": {"type": "string"}}},
        "else": {"properties": _words_of(load_matrix())},
    }


def _property(field: ConfigField) -> Schema:
    described = {"description": f"{field.meaning} Default: {field.left_out}.", **_or_null(field.kind.schema)}
    return described if field.default is None else {**described, "default": field.default}


def _words_of(matrix: Matrix) -> Mapping[str, Schema]:
    """Return the fields that take words of the bundled matrix."""
    known = list_of({"enum": [*matrix.intervals, *matrix.interval_aliases]})
    free = {name for name in matrix.names if not any(row.has_intervals for row in rows_named(matrix, name))}
    intervals = {name: TEXTS_SCHEMA if name in free else known for name in matrix.names}
    return {
        "data_types": _or_null(list_of({"enum": [*matrix.names]})),
        "intervals": _or_null(any_of(*known["anyOf"], mapping_of({**intervals, EVERY: known}))),
    }


def _or_null(form: Schema) -> Schema:
    return any_of(*(form["anyOf"] if set(form) == {"anyOf"} else [form]), {"type": "null"})
