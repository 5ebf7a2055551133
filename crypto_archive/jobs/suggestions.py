"""Suggestions for shells that complete words: quick, from files alone, and without any checks.

The matrix is read as plain YAML here, and no preset is parsed: loading and checking them takes longer than a person
waits for a word.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from crypto_archive.catalog.layout_kinds import HIVE
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.catalog.symbols import QUOTE_ASSETS
from crypto_archive.config.preset_files import bundled_presets, expanded, preset_folder, presets_in
from crypto_archive.config.run_config import Discovery, Partitioning
from crypto_archive.files import MATRIX_FILE, data_folder
from crypto_archive.model import Contract, Partition
from crypto_archive.root.listing_cache import cached_symbols
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DESCRIPTION = re.compile(r"""^\s*"?description"?\s*:\s*["']?(.*?)["']?,?\s*$""", re.MULTILINE)
_OPENING_LETTERS = 2048
_LONGEST_MEANING = 60
_DEFAULT_ROOT = "output"


def suggestions(field: str, begun: str, given: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return what a word may become, each with what it means, which may be empty.

    Args:
        field: A field of presets that takes words, or ``presets`` for their names.
        begun: The word as far as it is written.
        given: What is known by now of other fields: ``markets`` and ``data_types`` narrow types, intervals and
            symbols; ``matrix_path`` and ``output_directory`` say where to look.

    Raises:
        Exception: Something cannot be read; whoever asks for suggestions does without.
    """
    match field:
        case "presets":
            found = _presets()
        case "symbols":
            return _symbols(begun, given)
        case "markets" | "data_types" | "intervals":
            found = _words(field, _rows(given), given)
        case _:
            found = dict.fromkeys(_CHOICES.get(field, ()), "")
    return [(word, meaning) for word, meaning in found.items() if word.startswith(begun)]


_CHOICES: Mapping[str, Iterable[str]] = {
    "quote_assets": sorted(QUOTE_ASSETS),
    "contract": [str(one) for one in Contract],
    "partition": [str(one) for one in Partitioning],
    "discover": [str(one) for one in Discovery],
    "layout": [MIRROR.name, HIVE],
}


def _presets() -> dict[str, str]:
    own = presets_in(preset_folder(os.environ.get("CRYPTO_ARCHIVE_PRESET_DIR")))
    return {name: _description(path) for name, path in {**bundled_presets(), **own}.items()}


def _description(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        found = _DESCRIPTION.search(file.read(_OPENING_LETTERS))
        return _short(found[1]) if found else ""
    return ""


def _short(text: str) -> str:
    """Return a text that fits on a line beside its word; shells take what is on a second one for another word."""
    plain = text.replace("[", "(").replace("]", ")")  # which Typer would take for Rich's marks
    return plain if len(plain) <= _LONGEST_MEANING else f"{plain[: _LONGEST_MEANING - 2].rpartition(' ')[0]} …"


def _words(field: str, rows: Sequence[Row], given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    if field == "markets":
        return {row["market"]: "" for row in rows}
    if field == "data_types":
        by_type: dict[str, list[str]] = {}
        for row in _of(rows, given.get("markets"), None):
            by_type.setdefault(row["data_type"], []).append(row["market"])
        return {data_type: ", ".join(markets) for data_type, markets in by_type.items()}
    wanted = _of(rows, given.get("markets"), given.get("data_types"))
    return {word: "" for row in wanted for words in row.get("partitions", {}).values() for word in words or ()}


def _symbols(begun: str, given: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the default symbols and those that the archive was seen to have, with the sign of an exclusion."""
    matrix = _matrix(given)
    sign = "!" if begun.startswith("!") else ""
    markets, types = given.get("markets"), given.get("data_types")
    found = {symbol for market, symbols in matrix.get("symbols", {}).items() if not markets or market in markets
             for symbol in symbols}  # fmt: skip
    roots = given.get("output_directory") or [os.environ.get("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY") or _DEFAULT_ROOT]
    folders = {
        row["key_pattern"].partition("{symbol}")[0].replace("{partition}", partition)
        for row in _of(matrix["rows"], markets, types)
        for partition in Partition
    }
    with suppress(Exception):  # what is remembered is a cache, which others write
        found |= cached_symbols(Root(expanded(Path(roots[0]))).listings_path, folders)
    return [(sign + symbol, "") for symbol in sorted(found) if (sign + symbol).startswith(begun)]


def _of(rows: Iterable[Row], markets: Sequence[str] | None, types: Sequence[str] | None) -> list[Row]:
    return [
        row
        for row in rows
        if (not markets or row["market"] in markets)
        and (not types or not {row["data_type"], *row.get("aliases", ())}.isdisjoint(types))
    ]


def _rows(given: Mapping[str, Sequence[str]]) -> Sequence[Row]:
    rows: Sequence[Row] = _matrix(given)["rows"]
    return rows


def _matrix(given: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    """Return the document of the matrix that is named, or of the bundled one, where that has none of our rows."""
    for path in (*map(Path, given.get("matrix_path") or ()), data_folder("matrix") / MATRIX_FILE):
        with suppress(OSError, ValueError, yaml.YAMLError):
            document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
            if isinstance(document, dict) and "rows" in document:
                return document
    return {"rows": ()}
