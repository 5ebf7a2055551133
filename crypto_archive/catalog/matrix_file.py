"""The matrix file: our YAML form and the older workflow's JSON form, read and checked."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from crypto_archive.catalog.document import Document, Place, read_document
from crypto_archive.catalog.keys import KeyPattern
from crypto_archive.catalog.matrix import Header, Matrix, Row, Status, SymbolRule, TimeUnit
from crypto_archive.catalog.validation import Wording, problems_of
from crypto_archive.errors import ConfigError, Problem
from crypto_archive.files import MATRIX_FILE, data_folder, expanded
from crypto_archive.model import Market, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED_FILE_NAME = "enhanced_binance_archive_matrix.json"
"""The file that older presets name; where it does not exist, the bundled matrix takes its place."""

_ROWS, _ENTRIES = "rows", "availability_matrix"
_TEMPLATE_HINT = "`crypto-archive matrix show --format yaml` prints a matrix file to start from."
_WORDING = Wording(nouns={"market": "market type", "symbols": "market type", "partitions": "partition"})

_Model = TypeVar("_Model", bound=BaseModel)


def load_matrix(source: str | Path | None = None) -> Matrix:
    """Return the matrix of a file, of our form or of the older JSON form; None for the bundled matrix.

    Raises:
        ConfigError: The file does not exist, cannot be read, or is wrong; with all its problems.
    """
    if source is None:
        return _bundled()
    path = expanded(Path(source))
    if path.exists():
        return _load(path)
    if path.name == SEED_FILE_NAME and not path.is_absolute():
        return _bundled()
    raise ConfigError(
        [Problem("Archive matrix file not found", str(source))],
        hint="Correct the path, or leave out --matrix and matrix_path to use the bundled matrix.",
    )


@cache
def _bundled() -> Matrix:
    return _load(data_folder("matrix") / MATRIX_FILE)


def _load(path: Path) -> Matrix:
    document = read_document(path, str(path), quick=True)
    if _ENTRIES in document.values:
        return parse_seed_form(document, _bundled())
    if _ROWS in document.values:
        return parse_matrix(document)
    fault = f"is not a matrix file: it has neither {_ROWS!r} nor {_ENTRIES!r}"
    raise ConfigError([Problem(str(path), fault)], hint=_TEMPLATE_HINT)


def _checked(
    model: type[_Model], value: object, document: Document, at: Place, problems: list[Problem]
) -> _Model | None:
    """Return the value at a place of a document as a model; None, with its problems added, where it is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems += problems_of(error, model, value, lambda where: document.place((*at, *where)), _WORDING)
        return None


def _entries(document: Document, name: str) -> list[Any]:
    entries = document.values.get(name)
    return entries if isinstance(entries, list) else []


# Our own form


def _parse_key_pattern(value: object) -> KeyPattern:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")  # noqa: TRY004, pydantic only listens to ValueError
    try:
        return KeyPattern(value)
    except ValueError as error:
        raise ValueError(f"the key pattern {value!r} cannot be used: {error}") from None


def _parse_day(value: object) -> date | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"{str(value)!r} is not a valid day; write YYYY-MM-DD, such as 2025-07-15")


def _parse_interval(value: str) -> str:
    if not re.fullmatch("[0-9A-Za-z]+", value):
        raise ValueError(f"{value!r} is not a valid interval; use letters and digits only")
    return value


def _parse_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


_Name = Annotated[str, Field(min_length=1)]
_Day = Annotated[date | None, PlainValidator(_parse_day)]
_Interval = Annotated[str, AfterValidator(_parse_interval)]


class _RuleDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    match: Annotated[str, AfterValidator(_parse_expression)]
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
    data_type: _Name
    status: Status = Status.ACTIVE
    key_pattern: Annotated[KeyPattern, PlainValidator(_parse_key_pattern)]
    partitions: dict[Partition, tuple[_Interval, ...]]
    first_date: _Day = None
    last_date: _Day = None
    aliases: tuple[_Name, ...] = ()
    symbol_rules: tuple[_RuleDocument, ...] = ()
    columns: tuple[_Name, ...] = ()
    header: Header = Header.UNKNOWN
    time_unit: TimeUnit = TimeUnit.UNKNOWN
    doubtful: str = ""
    note: str = ""
    source: str = ""

    def row(self) -> Row:
        rules = tuple(SymbolRule(rule.match, rule.becomes) for rule in self.symbol_rules)
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return Row(**{**values, "symbol_rules": rules})


class _MatrixDocument(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Name
    version: _Name
    description: str = ""
    symbols: dict[Market, tuple[_Name, ...]] = {}
    interval_aliases: dict[_Interval, _Interval] = {}
    notes: tuple[_Name, ...] = ()
    rows: list[Any] = Field(min_length=1)


def parse_matrix(document: Document) -> Matrix:
    """Return the matrix that a document of our own form describes.

    Raises:
        ConfigError: The document is wrong; with all its problems.
    """
    problems: list[Problem] = []
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    head = _checked(_MatrixDocument, document.values, document, (), problems)
    for number, entry in enumerate(_entries(document, _ROWS)):
        at = (_ROWS, number)
        if checked := _checked(_RowDocument, entry, document, at, problems):
            row = checked.row()
            problems += (Problem(document.place((*at, *where)), fault) for where, fault in _contradictions(row))
            problems += _taken_names(row, document.place(at), taken)
            rows.append(row)
    if problems or head is None:
        raise ConfigError(problems, hint=_TEMPLATE_HINT)
    return Matrix(head.name, head.version, tuple(rows), head.symbols, head.interval_aliases, head.notes)


def matrix_document(matrix: Matrix, rows: Iterable[Row] | None = None) -> dict[str, Any]:
    """Return the matrix, or only some of its rows, as plain data that ``parse_matrix`` reads back."""
    return {
        "name": matrix.name,
        "version": matrix.version,
        "symbols": {market.value: list(symbols) for market, symbols in matrix.symbols.items()},
        "interval_aliases": dict(matrix.interval_aliases),
        "notes": list(matrix.notes),
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
        "doubtful": row.doubtful,
        "note": row.note,
        "source": row.source,
    }


def _taken_names(row: Row, place: str, taken: dict[tuple[Market, str], str]) -> Iterator[Problem]:
    """Yield a problem for each name of a row that another row of the market already has, and take the others."""
    for name in row.names:
        other = taken.setdefault((row.market, name), place)
        if other != place:
            yield Problem(place, f"{row.market} already has a row called {name!r}: {other}")


def _contradictions(row: Row) -> Iterator[tuple[Place, str]]:
    """Yield where a row contradicts itself although each of its fields is valid."""
    never = row.status is Status.NEVER_PUBLISHED
    if never and row.partitions:
        yield ("partitions",), f"a row that is {row.status} has no partitions; write {{}}"
    if not never and not row.partitions:
        yield ("partitions",), "must not be empty; list daily, monthly or both"
    for partition, intervals in row.partitions.items():
        if row.has_intervals and not intervals:
            yield ("partitions", partition), "the key pattern has {interval}, so the intervals must be listed"
        if intervals and not row.has_intervals:
            yield ("partitions", partition), "the key pattern has no {interval}, so the list must be empty: []"
    if row.first_date is None and row.status in {Status.ACTIVE, Status.DISCONTINUED}:
        yield ("first_date",), "this field is required; a plan from the calendar begins on that day"
    if row.last_date is None and row.status in {Status.DISCONTINUED, Status.REMOVED}:
        yield ("last_date",), f"this field is required in a row that is {row.status}"
    if row.last_date is not None and row.status is Status.ACTIVE:
        yield ("last_date",), f"a row that is {row.status} has no last day; is it discontinued?"
    if row.first_date is not None and row.last_date is not None and row.last_date < row.first_date:
        yield ("last_date",), f"{row.last_date} is before the first day, {row.first_date}"


# The older workflow's JSON form: what it says about rows that the bundled matrix has is outdated, so that those win


class _EntryDocument(BaseModel):
    """One entry; unknown fields are ignored."""

    model_config = ConfigDict(defer_build=True)

    market: Market
    data_type: _Name
    intervals: tuple[str | None, ...] = ()
    partitions: tuple[Partition, ...] = Field(min_length=1)
    available_from: _Day
    notes: str | None = None
    url_pattern: str
    filename_pattern: str


class _SeedDocument(BaseModel):
    model_config = ConfigDict(defer_build=True)

    description: str = ""
    last_updated: str = "unknown"
    symbols: dict[Market, tuple[_Name, ...]] = {}
    availability_matrix: list[Any] = Field(min_length=1)


def parse_seed_form(document: Document, bundled: Matrix) -> Matrix:
    """Return the matrix that a document of the older form describes; the facts of the bundled matrix win.

    Raises:
        ConfigError: The document is wrong; with all its problems.
    """
    problems: list[Problem] = []
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    head = _checked(_SeedDocument, document.values, document, (), problems)
    for number, entry in enumerate(_entries(document, _ENTRIES)):
        row = _bundled_row(entry, bundled) or _own_row(entry, document, number, bundled, problems)
        if row is not None and row not in rows:
            problems += _taken_names(row, document.place((_ENTRIES, number)), taken)
            rows.append(row)
    if problems or head is None:
        raise ConfigError(problems, hint="Without --matrix and matrix_path, the bundled matrix is used.")
    symbols = {**bundled.symbols, **head.symbols}
    return Matrix(bundled.name, head.last_updated, tuple(rows), symbols, bundled.interval_aliases, bundled.notes)


def _bundled_row(entry: Any, bundled: Matrix) -> Row | None:
    if not isinstance(entry, dict):
        return None
    market, data_type = entry.get("market"), entry.get("data_type")
    return next((row for row in bundled.rows if row.market == market and data_type in row.names), None)


def _own_row(raw: Any, document: Document, number: int, bundled: Matrix, problems: list[Problem]) -> Row | None:
    """Return a row of what an entry itself says; None, with its problems added, where it is wrong."""
    at = (_ENTRIES, number)
    entry = _checked(_EntryDocument, raw, document, at, problems)
    if entry is None:
        return None
    if entry.available_from is None:
        problems.append(Problem(document.place((*at, "available_from")), "must be a day, such as 2025-07-15"))
        return None
    # The key is the URL's path below the bucket, with the file name put in.
    _, scheme, rest = entry.url_pattern.partition("://")
    path = rest.partition("/")[2] if scheme else entry.url_pattern
    named = path.replace("{filename}", entry.filename_pattern).replace("{data_type}", entry.data_type)
    try:
        pattern = _parse_key_pattern(named)
    except ValueError as error:
        problems.append(Problem(document.place((*at, "url_pattern")), str(error)))
        return None
    intervals = tuple(bundled.interval(word) for word in entry.intervals if word is not None)
    if pattern.has_interval and not intervals:
        fault = "the url_pattern has {interval}, so the intervals must be listed"
        problems.append(Problem(document.place((*at, "intervals")), fault))
        return None
    return Row(
        market=entry.market,
        data_type=entry.data_type,
        status=Status.ACTIVE,
        key_pattern=pattern,
        partitions=dict.fromkeys(entry.partitions, intervals if pattern.has_interval else ()),
        first_date=entry.available_from,
        note=entry.notes or "",
        source=f"the matrix file's own entry, {document.place(at)}",
    )
