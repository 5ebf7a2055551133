"""The JSON form of matrix file that the archive collection workflow used before: ``availability_matrix`` and the rest.

Where the bundled matrix knows an entry, its facts win, since the old files have wrong ones; an entry that it does
not know becomes a row of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError

from crypto_archive.errors import ConfigError, Problem
from crypto_archive.matrix.document import Day, Name, claim_names, entry_place, parse_key_pattern
from crypto_archive.matrix.problems import place_of, problems_of
from crypto_archive.matrix.types import Matrix, Row, Status
from crypto_archive.model import Market, Partition

if TYPE_CHECKING:
    from crypto_archive.keys import KeyPattern

_ENTRIES = "availability_matrix"
_CHOICES = {"market": Market, "symbols": Market, "partitions": Partition}


class _EntryDocument(BaseModel):
    """One entry; fields that we do not know are no matter here."""

    market: Market
    data_type: Name
    intervals: tuple[str | None, ...] = ()
    partitions: tuple[Partition, ...] = Field(min_length=1)
    available_from: Day
    notes: str | None = None
    url_pattern: str
    filename_pattern: str


class _SeedDocument(BaseModel):
    description: str = ""
    last_updated: str = "unknown"
    symbols: dict[Market, tuple[Name, ...]] = {}
    availability_matrix: list[Any] = Field(min_length=1)


def is_seed_form(document: dict[str, Any]) -> bool:
    """Whether a document is of this form and not of our own."""
    return _ENTRIES in document


def parse_seed_form(document: dict[str, Any], file: str, bundled: Matrix) -> Matrix:
    """Return the matrix that a document of this form describes.

    Args:
        document: What was read from the file.
        file: The file's name, for messages.
        bundled: The matrix whose facts win.

    Raises:
        ConfigError: The document is wrong; all problems at once.
    """
    problems: list[Problem] = []
    head: _SeedDocument | None = None
    try:
        head = _SeedDocument.model_validate(document)
    except ValidationError as error:
        problems += problems_of(error, f"{file}: ", choices=_CHOICES, fields={})
    entries = document[_ENTRIES]
    rows = _rows(entries if isinstance(entries, list) else [], file, bundled, problems)
    if problems or head is None:
        raise ConfigError(problems, hint="The bundled matrix is used when no matrix file is named.")
    symbols = {**bundled.symbols, **head.symbols}
    return Matrix(bundled.name, head.last_updated, tuple(rows), symbols, bundled.interval_aliases)


def _rows(entries: list[Any], file: str, bundled: Matrix, problems: list[Problem]) -> list[Row]:
    """Return a row an entry, each once, and add what is wrong to ``problems``."""
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    for number, raw in enumerate(entries):
        place = entry_place(file, _ENTRIES, number, raw)
        row = _row(raw, place, bundled, problems)
        if row is not None and row not in rows:
            problems += claim_names(row, place, taken)
            rows.append(row)
    return rows


def _row(raw: Any, place: str, bundled: Matrix, problems: list[Problem]) -> Row | None:
    known = _known(raw, bundled)
    if known is not None:
        return known
    try:
        entry = _EntryDocument.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, place, choices=_CHOICES, fields={})
        return None
    if entry.available_from is None:
        problems.append(Problem(place_of(place, "available_from"), "a day is needed here, written like 2025-07-15"))
        return None
    return _own_row(entry, place, bundled, problems)


def _known(raw: Any, bundled: Matrix) -> Row | None:
    """Return the bundled row that an entry speaks of, whatever else the entry says."""
    if not isinstance(raw, dict):
        return None
    return next(
        (row for row in bundled.rows if row.market == raw.get("market") and raw.get("data_type") in row.names), None
    )


def _own_row(entry: _EntryDocument, place: str, bundled: Matrix, problems: list[Problem]) -> Row | None:
    """Return a row of what the entry itself says."""
    try:
        pattern = _key_pattern(entry)
    except ValueError as error:
        problems.append(Problem(place_of(place, "url_pattern"), str(error)))
        return None
    words = tuple(bundled.interval(word) for word in entry.intervals if word is not None)
    if pattern.has_interval and not words:
        problems.append(Problem(place_of(place, "intervals"), "the url_pattern has {interval}, so they must be listed"))
        return None
    return Row(
        market=entry.market,
        data_type=entry.data_type,
        status=Status.ACTIVE,
        key_pattern=pattern,
        partitions=dict.fromkeys(entry.partitions, words if pattern.has_interval else ()),
        first_date=entry.available_from,
        note=entry.notes or "",
        source=f"the matrix file's own entry, {place}",
    )


def _key_pattern(entry: _EntryDocument) -> KeyPattern:
    """Return the key's pattern: the URL's path below the bucket, with the file name put in."""
    _, scheme, rest = entry.url_pattern.partition("://")
    path = rest.partition("/")[2] if scheme else entry.url_pattern
    named = path.replace("{filename}", entry.filename_pattern).replace("{data_type}", entry.data_type)
    return parse_key_pattern(named)
