"""Suggestions for shells that complete words: fast, from files alone, and without any checks.

The matrix is read as plain YAML here, and presets are not parsed: loading and checking them takes longer than a person
waits for a word.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.document import read_document
from crypto_archive.catalog.layout_kinds import HIVE
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.catalog.symbols import QUOTE_ASSETS
from crypto_archive.config.preset_files import bundled_presets, preset_folder, presets_in
from crypto_archive.config.run_config import DEFAULT_ROOT, Discovery, Partitioning, Via
from crypto_archive.config.values import market_named
from crypto_archive.errors import ConfigError
from crypto_archive.files import MATRIX_FILE, data_folder, expanded
from crypto_archive.model import Contract, Partition
from crypto_archive.root.listing_cache import cached_symbols
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Given = Mapping[str, Sequence[str]]

_DESCRIPTION = re.compile(r"""^\s*"?description"?\s*:\s*["']?(.*?)["']?,?\s*$""", re.MULTILINE)
_OPENING_LETTERS = 2048
_LONGEST_MEANING = 60
_CHOICES: Mapping[str, Iterable[str]] = {
    "quote_assets": sorted(QUOTE_ASSETS),
    "contract": [*Contract],
    "partition": [*Partitioning],
    "discover": [*Discovery],
    "via": [*Via],
    "layout": [MIRROR.name, HIVE],
}


def suggestions(field: str, begun: str, given: Given) -> list[tuple[str, str]]:
    """Return the words that a partial word may become, each with its meaning, which may be empty.

    Args:
        field: A field of presets that takes words, or ``presets`` for their names.
        begun: The partial word.
        given: The values of other fields so far: ``markets`` and ``data_types`` narrow types, intervals and symbols;
            ``matrix_path`` and ``output_directory`` are the places to look in.

    Raises:
        Exception: A file cannot be read; the caller then suggests nothing.
    """
    markets = [market_named(word) or word for word in given.get("markets", ())]
    data_types = given.get("data_types")
    found: dict[str, str] = {}
    match field:
        case "presets":
            own = presets_in(preset_folder(os.environ.get("CRYPTO_ARCHIVE_PRESET_DIR")))
            found = {name: _description(path) for name, path in {**bundled_presets(), **own}.items()}
        case "markets":
            found = {row["market"]: "" for row in _rows(given)}
        case "data_types":
            for row in _rows(given, markets):
                before = found.get(row["data_type"])
                found[row["data_type"]] = f"{before}, {row['market']}" if before else row["market"]
        case "intervals":
            partitions = (row.get("partitions", {}).values() for row in _rows(given, markets, data_types))
            found = {word: "" for intervals in partitions for words in intervals for word in words or ()}
        case "symbols":
            sign = "!" if begun.startswith("!") else ""  # an exclusion
            found = dict.fromkeys(sorted(sign + symbol for symbol in _symbols(given)), "")
        case _:
            found = {str(word): "" for word in _CHOICES.get(field, ())}
    return [(word, meaning) for word, meaning in found.items() if word.startswith(begun)]


def _description(path: Path) -> str:
    """Return what a preset says of itself, on one line: shells take a second one for another word."""
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        if found := _DESCRIPTION.search(file.read(_OPENING_LETTERS)):
            text = found[1].replace("[", "(").replace("]", ")")  # Typer would read brackets as Rich's markup
            too_long = len(text) > _LONGEST_MEANING
            return f"{text[: _LONGEST_MEANING - 2].rpartition(' ')[0]} …" if too_long else text
    return ""


def _symbols(given: Given) -> set[str]:
    """Return the default symbols, and those that the cached listings have."""
    markets = [market_named(word) or word for word in given.get("markets", ())]
    defaults = _matrix(given).get("symbols", {}).items()
    found = {symbol for market, symbols in defaults if not markets or market in markets for symbol in symbols}
    roots = given.get("output_directory") or [os.environ.get("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY") or str(DEFAULT_ROOT)]
    folders = {
        row["key_pattern"].partition("{symbol}")[0].replace("{partition}", partition)
        for row in _rows(given, markets, given.get("data_types"))
        for partition in Partition
    }
    with suppress(Exception):  # it is a cache, and others may be writing to it
        found |= cached_symbols(Root(expanded(Path(roots[0]))).listings_path, folders)
    return found


def _rows(
    given: Given, markets: Sequence[str] | None = None, types: Sequence[str] | None = None
) -> list[Mapping[str, Any]]:
    return [
        row
        for row in _matrix(given)["rows"]
        if (not markets or row["market"] in markets)
        and (not types or not {row["data_type"], *row.get("aliases", ())}.isdisjoint(types))
    ]


def _matrix(given: Given) -> Mapping[str, Any]:
    """Return the matrix document that is given, or the bundled one if that cannot be used."""
    for path in (*map(Path, given.get("matrix_path") or ()), data_folder("matrix") / MATRIX_FILE):
        with suppress(ConfigError):
            document = read_document(path, str(path), quick=True).values
            if "rows" in document:
                return document
    return {"rows": ()}
