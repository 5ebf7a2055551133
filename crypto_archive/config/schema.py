"""The JSON Schema of presets, so that editors complete and check them while they are written.

It knows the words of the bundled matrix. What it refuses is wrong, except that a preset with a matrix of its own may
use other words. What it cannot see - files, the contents of lists, the options of s5cmd - `preset check` sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.fields import (
    EVERY,
    FIELDS,
    SCHEMA_FIELD,
    Preset,
    default_values,
    left_out,
)
from crypto_archive.config.problems import rows_named
from crypto_archive.config.values import UNITS
from crypto_archive.model import Market

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crypto_archive.catalog.matrix import Matrix


Schema = dict[str, Any]

_DAY = (
    r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|[12][0-9]))"
)
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_SYMBOL = rf"^(?!-$)(?!!?\.{{0,2}}$)(?!!@)(?:@[^\u0000]*[^\u0000\s][^\u0000]*|(?!@)[^/{_CONTROL}]{{1,201}})$"
_QUOTE_ASSET = r"^[^\s\u0000-/:-@\[-`{-\u007f]+$"
_SYMBOLS: Schema = {"$ref": "#/$defs/symbols"}
_PATH: Schema = {"type": "string", "pattern": r"\S"}
_FREE_TEXTS: Schema = {"type": "array", "minItems": 1, "items": {"type": "string"}}


def preset_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a preset."""
    matrix = load_matrix()
    checked = Preset.model_json_schema()
    written = _written(matrix)
    properties = {
        name: _described(name, written.get(name) or _plain(checked, checked["properties"][name]))
        for name in Preset.model_fields
    }
    properties[SCHEMA_FIELD] = {"description": "Where this schema is, for editors.", "type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:crypto-archive:preset:1",
        "title": "Preset of crypto-archive",
        "description": "What is wanted of Binance's archive, and how it is fetched. Every field may be left out.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": {"symbols": _list_of_symbols()},
        # With a matrix of the preset's own, words that the bundled one does not know are right as well.
        "if": {"required": ["matrix_path"], "properties": {"matrix_path": {"type": "string"}}},
        "else": {"properties": _words_of(matrix)},
    }


def _written(matrix: Matrix) -> Mapping[str, Schema]:
    """Return the fields whose form is not what pydantic says of them, since they are turned into another one first."""
    return {
        "matrix_path": _PATH,
        "output_directory": _PATH,
        "markets": _list_of(map(str, Market)),
        "symbols": {"anyOf": [_SYMBOLS, _mapping(dict.fromkeys((*map(str, Market), EVERY), _SYMBOLS))]},
        "quote_assets": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": _QUOTE_ASSET}},
        "data_types": _FREE_TEXTS,
        "intervals": {"anyOf": [_FREE_TEXTS, {"type": "object", "minProperties": 1,
                                              "additionalProperties": _FREE_TEXTS}]},
        "date_range": _dates(),
        "max_bytes": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _size_pattern()}]},
        "s5cmd_extra_args": {"type": "array", "items": {"type": "string"}},
    }  # fmt: skip


def _list_of_symbols() -> Schema:
    examples = ["*USDT", "!*DOWNUSDT", "all", "@symbols.txt"]
    return {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": _SYMBOL, "examples": examples}}


def _words_of(matrix: Matrix) -> Mapping[str, Schema]:
    """Return the fields that take words of the bundled matrix."""
    known = [*matrix.intervals, *matrix.interval_aliases]
    free = {name for name in matrix.names if not any(row.has_intervals for row in rows_named(matrix, name))}
    intervals = {name: _FREE_TEXTS if name in free else _list_of(known) for name in matrix.names}
    return {
        "data_types": _or_null(_list_of(matrix.names)),
        "intervals": _or_null({"anyOf": [_list_of(known), _mapping({**intervals, EVERY: _list_of(known)})]}),
    }


def _dates() -> Schema:
    day = {"type": ["string", "null"], "pattern": rf"^\s*(?:{_DAY}|yesterday)\s*$", "examples": ["2025-07-15"]}
    both = {part: {"type": "string"} for part in ("start", "last")}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "start": {**day, "description": "The first day, UTC; without it the archive's first."},
            "end": {**day, "description": "The last day, UTC, included; without it yesterday."},
            "last": {
                "type": ["string", "null"],
                "pattern": r"^\s*[1-9][0-9]{0,4}[dwDW]\s*$",
                "description": "The last days or weeks, up to yesterday or end; not together with start.",
                "examples": ["7d", "2w"],
            },
        },
        "not": {"required": list(both), "properties": both},
    }


def _size_pattern() -> str:
    units = "|".join("".join(f"[{letter.upper()}{letter.lower()}]" for letter in unit) for unit in UNITS)
    return rf"^\s*[0-9]{{1,18}}(?:\.[0-9]{{1,18}})? ?(?:{units})?\s*$"


def _plain(whole: Schema, field: Schema) -> Schema:
    """Return what pydantic says of a field without its null, its title and its references."""
    (kind,) = [one for one in field["anyOf"] if one.get("type") != "null"]
    kind = whole["$defs"][kind["$ref"].rpartition("/")[2]] if "$ref" in kind else kind
    return {key: value for key, value in kind.items() if key not in {"title", "description"}}


def _described(name: str, form: Schema) -> Schema:
    described = {"description": f"{FIELDS[name].meaning} Left out: {left_out(name)}.", **_or_null(form)}
    default = default_values().get(name)
    return described if default is None else {**described, "default": default}


def _or_null(form: Schema) -> Schema:
    return {"anyOf": [*form["anyOf"], {"type": "null"}] if set(form) == {"anyOf"} else [form, {"type": "null"}]}


def _list_of(words: Iterable[str]) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"enum": [*words]}}


def _mapping(entries: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": dict(entries)}
