"""The matrix file: our YAML form and the seed's JSON form, read, checked and loaded."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from crypto_archive.catalog.keys import KeyPattern
from crypto_archive.catalog.matrix import Header, Matrix, Row, Status, SymbolRule, TimeUnit
from crypto_archive.errors import ConfigError, Problem, nearest
from crypto_archive.files import MATRIX_FILE, data_folder
from crypto_archive.model import Market, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from enum import StrEnum

    from pydantic_core import ErrorDetails

_WANTED = {
    "string_type": "text; put it in quotes",
    "string_too_short": "a name",
    "string_pattern_mismatch": "an interval, which has letters and digits only",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}

Fields = dict[str, tuple[str, ...]]
"""The names that fields may have: those of the document under ``""``, those of nested ones under their field's name."""


def problems_of(
    error: ValidationError,
    place: str,
    *,
    choices: Mapping[str, type[StrEnum]],
    fields: Fields,
) -> Iterator[Problem]:
    """Tell each complaint of ``error`` in our words.

    Args:
        error: What pydantic says of the value that stands at ``place``.
        place: The entry, or the whole file, as ``place_of`` takes it.
        choices: The words that a field allows, by the field's name.
        fields: The names that fields may have.
    """
    for detail in error.errors(include_url=False):
        yield _problem(detail, place, choices, fields)


def place_of(place: str, *path: str | int) -> str:
    """Return the way from ``place`` into its value: ``FILE: rows[3]`` and ``partitions``, ``daily``.

    A place that ends in a colon and a space is a whole file.
    """
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return (place + steps.removeprefix(".")).removesuffix(": ") if place.endswith(": ") else place + steps


def _problem(detail: ErrorDetails, place: str, choices: Mapping[str, type[StrEnum]], fields: Fields) -> Problem:
    path = tuple(step for step in detail["loc"] if step != "[key]")
    where, value, kind = place_of(place, *path), detail["input"], detail["type"]
    if kind == "missing":
        return Problem(where, "this field is missing")
    if kind == "extra_forbidden":
        allowed = next((fields[str(step)] for step in path[:-1] if step in fields), fields[""])
        return _wrong_word(place_of(place, *path[:-1]), f"there is no field {path[-1]!r}", str(path[-1]), allowed)
    if kind == "enum":
        field = next(str(step) for step in path if step in choices)
        allowed = tuple(str(choice) for choice in choices[field])
        return _wrong_word(where, f"{value!r} cannot stand here", str(value), allowed)
    if kind == "value_error":
        return Problem(where, str(detail["ctx"]["error"]))
    if kind == "too_short":
        return Problem(where, "the list is empty")
    return Problem(where, f"{_short(value)} is not {_WANTED[kind]}" if kind in _WANTED else detail["msg"])


def _wrong_word(place: str, message: str, word: str, allowed: tuple[str, ...]) -> Problem:
    return Problem(place, message, allowed, nearest(word, allowed))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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


_ENTRIES = "availability_matrix"
_SEED_CHOICES = {"market": Market, "symbols": Market, "partitions": Partition}


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
        problems += problems_of(error, f"{file}: ", choices=_SEED_CHOICES, fields={})
    entries = document[_ENTRIES]
    rows = _seed_rows(entries if isinstance(entries, list) else [], file, bundled, problems)
    if problems or head is None:
        raise ConfigError(problems, hint="The bundled matrix is used when no matrix file is named.")
    symbols = {**bundled.symbols, **head.symbols}
    return Matrix(bundled.name, head.last_updated, tuple(rows), symbols, bundled.interval_aliases)


def _seed_rows(entries: list[Any], file: str, bundled: Matrix, problems: list[Problem]) -> list[Row]:
    """Return a row an entry, each once, and add what is wrong to ``problems``."""
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    for number, raw in enumerate(entries):
        place = entry_place(file, _ENTRIES, number, raw)
        row = _seed_row(raw, place, bundled, problems)
        if row is not None and row not in rows:
            problems += claim_names(row, place, taken)
            rows.append(row)
    return rows


def _seed_row(raw: Any, place: str, bundled: Matrix, problems: list[Problem]) -> Row | None:
    known = _known(raw, bundled)
    if known is not None:
        return known
    try:
        entry = _EntryDocument.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, place, choices=_SEED_CHOICES, fields={})
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


SEED_FILE_NAME = "enhanced_binance_archive_matrix.json"
"""The file that older presets name; where it is not to be found, the bundled matrix stands in for it."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster, but not everywhere


def load_matrix(source: str | Path | None = None) -> Matrix:
    """Return a matrix, checked.

    Args:
        source: A file of our own form (YAML or JSON) or of the older JSON form with ``availability_matrix``;
            None for the matrix that comes with the package.

    Raises:
        ConfigError: The file is not there, cannot be read, or is wrong; all its problems at once.
    """
    if source is None:
        return _bundled()
    path = Path(source).expanduser()
    if path.exists():
        return _load(path)
    if path.name == SEED_FILE_NAME and not path.is_absolute():
        return _bundled()
    raise ConfigError(
        [Problem("Archive matrix file not found", str(source))],
        hint="Correct the path, or leave out --matrix and matrix_path to use the matrix that comes with the package.",
    )


@cache
def _bundled() -> Matrix:
    return _load(data_folder("matrix") / MATRIX_FILE)


def _load(path: Path) -> Matrix:
    document = _read(path)
    if not isinstance(document, dict) or not ("rows" in document or is_seed_form(document)):
        raise ConfigError(
            [Problem(str(path), "this is no matrix file: it has neither 'rows' nor 'availability_matrix'")],
            hint="`crypto-archive matrix show --format yaml` prints one to start from.",
        )
    if is_seed_form(document):
        return parse_seed_form(document, str(path), _bundled())
    return parse_matrix(document, str(path))


def _read(path: Path) -> Any:
    """Return what a YAML or JSON file holds."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.load(text, _Loader)
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), "cannot be read: it is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        place = f"{path} line {error.lineno}"
        raise ConfigError([Problem(place, f"is not JSON: {error.msg} in column {error.colno}")]) from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError([Problem(f"{path}{line}", f"is not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(str(path), f"is not YAML: {error}")]) from error
    except ValueError as error:
        # YAML reads 2025-02-30 as a date and stumbles over it itself.
        raise ConfigError([Problem(str(path), f"holds a value that cannot be: {error}")]) from error
