"""Our own form of a matrix file: plain data to a checked ``Matrix``, and back again."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from crypto_archive.errors import ConfigError, Problem
from crypto_archive.keys import KeyPattern
from crypto_archive.matrix.problems import place_of, problems_of
from crypto_archive.matrix.types import Header, Matrix, Row, Status, SymbolRule, TimeUnit
from crypto_archive.model import Market, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CHOICES = {
    "market": Market,
    "symbols": Market,
    "partitions": Partition,
    "status": Status,
    "header": Header,
    "time_unit": TimeUnit,
}


def parse_key_pattern(value: object) -> KeyPattern:
    """Return the key pattern of a text.

    Raises:
        ValueError: It is no text, or cannot work as a pattern.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")  # noqa: TRY004, pydantic only listens to ValueError
    try:
        return KeyPattern(value)
    except ValueError as error:
        raise ValueError(f"the key pattern {value!r} cannot be used: {error}") from None


def parse_day(value: object) -> date | None:
    """Return a date that YAML has read already, or that JSON has as text.

    Raises:
        ValueError: It is no day like ``2025-07-15``.
    """
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"{str(value)!r} is not a day of the calendar, written like 2025-07-15")


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


Name = Annotated[str, Field(min_length=1)]
Day = Annotated[date | None, PlainValidator(parse_day)]
_Interval = Annotated[str, Field(pattern="^[0-9A-Za-z]+$")]


class _RuleDocument(BaseModel):
    model_config = ConfigDict(extra="forbid")

    match: Annotated[str, AfterValidator(_expression)]
    becomes: str

    @model_validator(mode="after")
    def _groups_exist(self) -> _RuleDocument:
        try:
            re.compile(self.match).sub(self.becomes, "")
        except (re.error, IndexError) as error:
            raise ValueError(f"{self.becomes!r} does not fit the expression {self.match!r}: {error}") from None
        return self


class _RowDocument(BaseModel):
    model_config = ConfigDict(extra="forbid")

    market: Market
    data_type: Name
    status: Status = Status.ACTIVE
    key_pattern: Annotated[KeyPattern, PlainValidator(parse_key_pattern)]
    partitions: dict[Partition, tuple[_Interval, ...]]
    first_date: Day = None
    last_date: Day = None
    aliases: tuple[Name, ...] = ()
    symbol_rules: tuple[_RuleDocument, ...] = ()
    columns: tuple[Name, ...] = ()
    header: Header = Header.UNKNOWN
    time_unit: TimeUnit = TimeUnit.UNKNOWN
    note: str = ""
    source: str = ""

    def row(self) -> Row:
        rules = tuple(SymbolRule(rule.match, rule.becomes) for rule in self.symbol_rules)
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return Row(**{**values, "symbol_rules": rules})


class _MatrixDocument(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    version: Name
    description: str = ""
    symbols: dict[Market, tuple[Name, ...]] = {}
    interval_aliases: dict[_Interval, _Interval] = {}
    rows: list[Any] = Field(min_length=1)


def parse_matrix(document: dict[str, Any], file: str) -> Matrix:
    """Return the matrix that a document of our own form describes.

    Args:
        document: What YAML or JSON made of the file.
        file: The file's name, for messages.

    Raises:
        ConfigError: The document is wrong; all problems at once.
    """
    problems: list[Problem] = []
    head = _head(document, file, problems)
    entries = document.get("rows")
    rows = _rows(entries if isinstance(entries, list) else [], file, problems)
    if problems or head is None:
        raise ConfigError(problems, hint="`crypto-archive matrix show --format yaml` prints one to start from.")
    return Matrix(head.name, head.version, tuple(rows), head.symbols, head.interval_aliases)


def matrix_document(matrix: Matrix, rows: Iterable[Row] | None = None) -> dict[str, Any]:
    """Return the matrix as plain data that ``parse_matrix`` reads back.

    Args:
        matrix: The matrix.
        rows: Only these of its rows; None for all.
    """
    return {
        "name": matrix.name,
        "version": matrix.version,
        "symbols": {market.value: list(symbols) for market, symbols in matrix.symbols.items()},
        "interval_aliases": dict(matrix.interval_aliases),
        "rows": [_row_document(row) for row in (matrix.rows if rows is None else rows)],
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "market": row.market.value,
        "data_type": row.data_type,
        "status": row.status.value,
        "key_pattern": row.key_pattern.template,
        "partitions": {partition.value: list(intervals) for partition, intervals in row.partitions.items()},
        "first_date": row.first_date and row.first_date.isoformat(),
        "last_date": row.last_date and row.last_date.isoformat(),
        "aliases": list(row.aliases),
        "symbol_rules": [{"match": rule.match, "becomes": rule.becomes} for rule in row.symbol_rules],
        "columns": list(row.columns),
        "header": row.header.value,
        "time_unit": row.time_unit.value,
        "note": row.note,
        "source": row.source,
    }


def _head(document: dict[str, Any], file: str, problems: list[Problem]) -> _MatrixDocument | None:
    try:
        return _MatrixDocument.model_validate(document)
    except ValidationError as error:
        problems += problems_of(error, f"{file}: ", choices=_CHOICES, fields={"": tuple(_MatrixDocument.model_fields)})
        return None


def _rows(entries: Sequence[Any], file: str, problems: list[Problem]) -> list[Row]:
    """Return the rows that are right, and add what is wrong with the others to ``problems``."""
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    for number, entry in enumerate(entries):
        place = entry_place(file, "rows", number, entry)
        row = _row(entry, place, problems)
        if row is not None:
            problems += (Problem(place_of(place, *path), message) for path, message in _contradictions(row))
            problems += claim_names(row, place, taken)
            rows.append(row)
    return rows


def _row(entry: Any, place: str, problems: list[Problem]) -> Row | None:
    try:
        return _RowDocument.model_validate(entry).row()
    except ValidationError as error:
        fields = {"": tuple(_RowDocument.model_fields), "symbol_rules": tuple(_RuleDocument.model_fields)}
        problems += problems_of(error, place, choices=_CHOICES, fields=fields)
        return None


def entry_place(file: str, table: str, number: int, entry: Any) -> str:
    """Return how an entry is named in messages: ``FILE: rows[3] (spot klines)``."""
    names = [entry.get(name) for name in ("market", "data_type")] if isinstance(entry, dict) else []
    said = " ".join(name for name in names if isinstance(name, str))
    return f"{file}: {table}[{number}]" + (f" ({said})" if said else "")


def claim_names(row: Row, place: str, taken: dict[tuple[Market, str], str]) -> Iterator[Problem]:
    """Yield a problem for each name of a row that another row of the market has already, and take the others."""
    for name in row.names:
        other = taken.setdefault((row.market, name), place)
        if other != place:
            yield Problem(place, f"{row.market} has the name {name!r} already, in {other.rpartition(': ')[2]}")


def _contradictions(row: Row) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where a row whose fields are all right in themselves contradicts itself."""
    never = row.status is Status.NEVER_PUBLISHED
    if never and row.partitions:
        yield ("partitions",), f"a row that is {row.status} has no partitions: write {{}}"
    if not never and not row.partitions:
        yield ("partitions",), "at least one of daily and monthly is needed"
    for partition, intervals in row.partitions.items():
        if row.has_intervals and not intervals:
            yield ("partitions", partition), "the key pattern has {interval}, so the intervals must be listed"
        if intervals and not row.has_intervals:
            yield ("partitions", partition), "the key pattern has no {interval}, so the list must be empty: []"
    yield from _date_contradictions(row)


def _date_contradictions(row: Row) -> Iterator[tuple[tuple[str, ...], str]]:
    if row.first_date is None and row.status in {Status.ACTIVE, Status.DISCONTINUED}:
        yield ("first_date",), "this field is missing; a plan from the calendar begins there"
    if row.last_date is None and row.status in {Status.DISCONTINUED, Status.REMOVED}:
        yield ("last_date",), f"this field is missing; a row that is {row.status} has a last day"
    if row.last_date is not None and row.status is Status.ACTIVE:
        yield ("last_date",), f"a row that is {row.status} has no last day; is it discontinued?"
    if row.first_date is not None and row.last_date is not None and row.last_date < row.first_date:
        yield ("last_date",), f"{row.last_date} is before the first day, {row.first_date}"
