"""The matrix file: our YAML form and the older workflow's JSON form, read and checked."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.document import Document, Place, read_document
from crypto_archive.catalog.keys import KeyPattern
from crypto_archive.catalog.matrix import Header, Matrix, Row, Status, SymbolRule, TimeUnit
from crypto_archive.catalog.validation import (
    Check,
    choice,
    faults_of,
    listed,
    mapping,
    nonempty,
    or_null,
    record,
    text,
)
from crypto_archive.errors import ConfigError, Problem
from crypto_archive.files import MATRIX_FILE, data_folder, expanded
from crypto_archive.model import Market, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED_FILE_NAME = "enhanced_binance_archive_matrix.json"
"""The file that older presets name; where it does not exist, the bundled matrix takes its place."""

_ROWS, _ENTRIES = "rows", "availability_matrix"
_TEMPLATE_HINT = "`crypto-archive matrix show --format yaml` prints a matrix file to start from."


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


def _checked(check: Check, value: object, document: Document, at: Place, problems: list[Problem]) -> Any:
    """Return the value at a place of a document, checked; None, with its problems added, where it is wrong."""
    try:
        return check(value)
    except ValueError as error:
        problems += (Problem(document.place((*at, *fault[0])), *fault[1:]) for fault in faults_of(error))
        return None


def _entries(document: Document, name: str) -> list[Any]:
    entries = document.values.get(name)
    return entries if isinstance(entries, list) else []


# Our own form


def _parse_key_pattern(value: object) -> KeyPattern:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")  # noqa: TRY004, it says what is wrong with a file
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


def _parse_interval(value: object) -> str:
    word = text(value)
    if not re.fullmatch("[0-9A-Za-z]+", word):
        raise ValueError(f"{word!r} is not a valid interval; use letters and digits only")
    return word


def _parse_expression(value: object) -> str:
    expression = text(value)
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}") from None
    return expression


def _parse_rule(value: object) -> SymbolRule:
    rule = SymbolRule(**_RULE(value))
    try:
        re.compile(rule.match).sub(rule.becomes, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{rule.becomes!r} does not fit the expression {rule.match!r}: {error}") from None
    return rule


def _several(item: Check, *, least: int = 0) -> Check:
    """Return the check of a list that becomes a tuple."""
    items = listed(item, least=least)
    return lambda value: tuple(items(value))


_MARKET, _PARTITION = choice(Market, "market type"), choice(Partition, "partition")
_NAMES = _several(nonempty)
_SYMBOLS = mapping(_MARKET, _NAMES)
_RULE = record({"match": _parse_expression, "becomes": text}, ("match", "becomes"))
_ROW = record(
    {
        "market": _MARKET,
        "data_type": nonempty,
        "status": choice(Status, "status"),
        "key_pattern": _parse_key_pattern,
        "partitions": mapping(_PARTITION, _several(_parse_interval)),
        "first_date": _parse_day,
        "last_date": _parse_day,
        "aliases": _NAMES,
        "symbol_rules": _several(_parse_rule),
        "columns": _NAMES,
        "header": choice(Header, "header"),
        "time_unit": choice(TimeUnit, "time unit"),
        "doubtful": text,
        "note": text,
        "source": text,
    },
    ("market", "data_type", "key_pattern", "partitions"),
)
_MATRIX = record(
    {
        "name": nonempty,
        "version": nonempty,
        "description": text,
        "symbols": _SYMBOLS,
        "interval_aliases": mapping(_parse_interval, _parse_interval),
        "notes": _NAMES,
        "rows": listed(lambda row: row, least=1),
    },
    ("name", "version", "rows"),
)


def parse_matrix(document: Document) -> Matrix:
    """Return the matrix that a document of our own form describes.

    Raises:
        ConfigError: The document is wrong; with all its problems.
    """
    problems: list[Problem] = []
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    head = _checked(_MATRIX, document.values, document, (), problems)
    for number, entry in enumerate(_entries(document, _ROWS)):
        at = (_ROWS, number)
        if checked := _checked(_ROW, entry, document, at, problems):
            row = Row(**{"status": Status.ACTIVE, **checked})
            problems += (Problem(document.place((*at, *where)), fault) for where, fault in _contradictions(row))
            problems += _taken_names(row, document.place(at), taken)
            rows.append(row)
    if problems or head is None:
        raise ConfigError(problems, hint=_TEMPLATE_HINT)
    del head["rows"]
    head.pop("description", None)
    return Matrix(rows=tuple(rows), **head)


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


_ENTRY = record(
    {
        "market": _MARKET,
        "data_type": nonempty,
        "intervals": _several(or_null(text)),
        "partitions": _several(_PARTITION, least=1),
        "available_from": _parse_day,
        "notes": or_null(text),
        "url_pattern": text,
        "filename_pattern": text,
    },
    ("market", "data_type", "partitions", "available_from", "url_pattern", "filename_pattern"),
    ignores_others=True,
)
_SEED = record(
    {
        "description": text,
        "last_updated": text,
        "symbols": _SYMBOLS,
        _ENTRIES: listed(lambda entry: entry, least=1),
    },
    (_ENTRIES,),
    ignores_others=True,
)


def parse_seed_form(document: Document, bundled: Matrix) -> Matrix:
    """Return the matrix that a document of the older form describes; the facts of the bundled matrix win.

    Raises:
        ConfigError: The document is wrong; with all its problems.
    """
    problems: list[Problem] = []
    rows: list[Row] = []
    taken: dict[tuple[Market, str], str] = {}
    head = _checked(_SEED, document.values, document, (), problems)
    for number, entry in enumerate(_entries(document, _ENTRIES)):
        row = _bundled_row(entry, bundled) or _own_row(entry, document, number, bundled, problems)
        if row is not None and row not in rows:
            problems += _taken_names(row, document.place((_ENTRIES, number)), taken)
            rows.append(row)
    if problems or head is None:
        raise ConfigError(problems, hint="Without --matrix and matrix_path, the bundled matrix is used.")
    symbols = {**bundled.symbols, **head.get("symbols", {})}
    return Matrix(
        bundled.name, head.get("last_updated", "unknown"), tuple(rows), symbols, bundled.interval_aliases, bundled.notes
    )


def _bundled_row(entry: Any, bundled: Matrix) -> Row | None:
    if not isinstance(entry, dict):
        return None
    market, data_type = entry.get("market"), entry.get("data_type")
    return next((row for row in bundled.rows if row.market == market and data_type in row.names), None)


def _own_row(raw: Any, document: Document, number: int, bundled: Matrix, problems: list[Problem]) -> Row | None:
    """Return a row of what an entry itself says; None, with its problems added, where it is wrong."""
    at = (_ENTRIES, number)
    entry = _checked(_ENTRY, raw, document, at, problems)
    if entry is None:
        return None
    if entry["available_from"] is None:
        problems.append(Problem(document.place((*at, "available_from")), "must be a day, such as 2025-07-15"))
        return None
    # The key is the URL's path below the bucket, with the file name put in.
    _, scheme, rest = entry["url_pattern"].partition("://")
    path = rest.partition("/")[2] if scheme else entry["url_pattern"]
    named = path.replace("{filename}", entry["filename_pattern"]).replace("{data_type}", entry["data_type"])
    try:
        pattern = _parse_key_pattern(named)
    except ValueError as error:
        problems.append(Problem(document.place((*at, "url_pattern")), str(error)))
        return None
    intervals = tuple(bundled.interval(word) for word in entry.get("intervals", ()) if word is not None)
    if pattern.has_interval and not intervals:
        fault = "the url_pattern has {interval}, so the intervals must be listed"
        problems.append(Problem(document.place((*at, "intervals")), fault))
        return None
    return Row(
        market=entry["market"],
        data_type=entry["data_type"],
        status=Status.ACTIVE,
        key_pattern=pattern,
        partitions=dict.fromkeys(entry["partitions"], intervals if pattern.has_interval else ()),
        first_date=entry["available_from"],
        note=entry.get("notes") or "",
        source=f"the matrix file's own entry, {document.place(at)}",
    )
