"""The manifest: what was fetched when, by key, with the digest that was verified; its rows as values and back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.model import Absence, AbsentDays, ManifestEntry, Partition, Verdict
from crypto_archive.root.database import FIELDS, UnreadableRow, connect_reader, connect_writer, explain_sqlite_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from sqlite3 import Connection
    from types import TracebackType

    from crypto_archive.model import RemoteStat, Series, SeriesDays

Row = tuple[str, int, str, str, str, str | None, str, str, str | None]
"""A stored object, in the order of ``database.FIELDS``."""
AbsenceRow = tuple[str, str, str]
"""An object that the archive did not have: key, reason, time."""
AwaitedRow = tuple[str, str, str, str | None]
"""An object that a selection waits for: key, selection, the days since when and until when."""

LONGEST_WAIT = {Partition.DAILY: timedelta(days=62), Partition.MONTHLY: timedelta(days=366)}
"""How long a wait lasts before it is given up, with a notice. The calendar does not know which series have ended: until
then, each of their days costs a request in every run."""
REMEMBERED = timedelta(days=7)
"""How long a verification of the same selection still counts what came after its dates had moved on."""


@dataclass(frozen=True, slots=True)
class AbsenceRecord:
    """That the archive did not have an object.

    Attributes:
        key: The object's key.
        reason: Why not.
        seen_at: When that was found, UTC.
    """

    key: str
    reason: Absence
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """That runs of a selection wait for an object, or have done so until it came.

    Attributes:
        key: The object's key.
        wanted_by: The selection, apart from its dates.
        since: The day on which a run first waited for it.
        came: The day on which it was fetched; None while it is awaited.
    """

    key: str
    wanted_by: str
    since: date
    came: date | None = None

    def is_over(self, today: date) -> bool:
        """Whether the wait has been too long, or what came is not remembered any more."""
        if self.came is not None:
            return self.came < today - REMEMBERED
        partition = Partition.DAILY if f"/{Partition.DAILY}/" in self.key else Partition.MONTHLY
        return self.since < today - LONGEST_WAIT[partition]


def row_of(entry: ManifestEntry) -> Row:
    """Return the row of an entry."""
    key, size, sha256, verdict, etag, modified, fetched, run_id, sidecar_etag = entry
    modified_text = None if modified is None else text_of(modified)
    return key, size, sha256, verdict.value, etag, modified_text, text_of(fetched), run_id, sidecar_etag


_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def entry_of(row: Row) -> ManifestEntry:
    """Return the entry of a row; raise ``UnreadableRow`` if no version of this tool can have written it."""
    key, size, sha256, verdict, etag, modified, fetched, run_id, sidecar_etag = row
    try:
        # SQLite keeps any type in any column.
        if not (isinstance(size, int) and size >= 0 and isinstance(key, str) and isinstance(sha256, str)
                and isinstance(etag, str) and isinstance(run_id, str)):  # fmt: skip
            raise TypeError("a value has the wrong type")
        modified_at = _moment_of(modified) if modified else None
        judged = _VERDICTS.get(verdict) or Verdict(verdict)
        return ManifestEntry(key, size, sha256, judged, etag, modified_at, _moment_of(fetched), run_id, sidecar_etag)
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def absence_of(row: AbsenceRow) -> AbsenceRecord:
    """Return the record of a row; raise ``UnreadableRow`` if no version of this tool can have written it."""
    key, reason, seen_at = row
    try:
        if not isinstance(key, str):
            raise TypeError("a value has the wrong type")
        return AbsenceRecord(key, Absence(reason), _moment_of(seen_at))
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def awaited_row(one: Awaited) -> AwaitedRow:
    """Return the row of a record."""
    return one.key, one.wanted_by, one.since.isoformat(), None if one.came is None else one.came.isoformat()


def awaited_of(row: AwaitedRow) -> Awaited:
    """Return the record of a row; raise ``UnreadableRow`` if no version of this tool can have written it."""
    key, wanted_by, since, came = row
    try:
        if not (isinstance(key, str) and isinstance(wanted_by, str)):
            raise TypeError("a value has the wrong type")
        return Awaited(key, wanted_by, date.fromisoformat(since), date.fromisoformat(came) if came else None)
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


@lru_cache(maxsize=1024)
def _moment_of(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text} has no time zone")
    return moment


@lru_cache(maxsize=1024)  # the objects of a batch are fetched at one time, and their rows and lines share others
def text_of(moment: datetime) -> str:
    """Return a time as rows have it, as text that sorts by time; raise ``ValueError`` without a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"The time {moment} has no time zone; UTC is required.")
    return moment.astimezone(UTC).isoformat()


_RECORD = f"""
INSERT INTO object ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    size = excluded.size, sha256 = excluded.sha256, verdict = excluded.verdict, etag = excluded.etag,
    last_modified = excluded.last_modified, fetched_at = excluded.fetched_at, run_id = excluded.run_id,
    sidecar_etag = excluded.sidecar_etag
"""
# A lock file may be of an older day than what is known: an object that was fetched since is neither absent nor awaited.
_RECORD_ABSENT = """
INSERT INTO absence (key, reason, seen_at)
WITH incoming (key, reason, seen_at) AS (VALUES (?, ?, ?))
SELECT key, reason, seen_at FROM incoming WHERE NOT EXISTS (
    SELECT 1 FROM object WHERE object.key = incoming.key AND object.fetched_at > incoming.seen_at)
ON CONFLICT (key) DO UPDATE SET reason = excluded.reason, seen_at = excluded.seen_at
WHERE excluded.seen_at >= absence.seen_at
"""
_RECORD_AWAITED = """
INSERT OR IGNORE INTO awaited (key, wanted_by, since, came)
WITH incoming (key, wanted_by, since, came) AS (VALUES (?, ?, ?, ?))
SELECT key, wanted_by, since, came FROM incoming
WHERE came IS NOT NULL OR NOT EXISTS (SELECT 1 FROM object WHERE object.key = incoming.key)
"""
_NOT_AWAITED = "DELETE FROM awaited WHERE key = ?"
_SERIES = "market = ? AND data_type = ? AND symbol = ? AND interval = ?"
_ABSENT = "market, data_type, symbol, interval, first, last, reason, seen_at"
_RECORD_MONTH = "INSERT OR REPLACE INTO month_days (key, sha256, days) SELECT key, sha256, ? FROM object WHERE key = ?"
_MERGE_MONTH = "INSERT OR REPLACE INTO month_days (key, sha256, days) VALUES (?, ?, ?)"
_TO_HISTORY = f"INSERT INTO history ({FIELDS}) SELECT {FIELDS} FROM object WHERE key = ?"

# Of the same download, the other manifest has the newer record: it may have noted what a later listing said.
_MERGE_OBJECT = f"""{_RECORD} WHERE excluded.fetched_at > object.fetched_at
    OR (excluded.fetched_at = object.fetched_at AND excluded.sha256 = object.sha256)"""
_MERGE_NOT_ABSENT = "DELETE FROM absence WHERE key = ? AND seen_at <= ?"
_MERGE_HISTORY = f"""
INSERT INTO history ({FIELDS})
WITH incoming ({FIELDS}) AS (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?))
SELECT {FIELDS} FROM incoming WHERE NOT EXISTS (
    SELECT 1 FROM history WHERE history.key = incoming.key AND history.sha256 = incoming.sha256
    AND history.fetched_at = incoming.fetched_at AND history.run_id = incoming.run_id)
"""

_PAGE = 1000
"""Rows that are read together, or collected before they are written."""
_LAST = "\U0010ffff"
"""Sorts after all that follows a prefix: SQLite compares by code points, and keys never contain the last of them."""


class Manifest:
    """A connection to the manifest; each thread opens its own.

    New records are written when there are 1,000 of them, by ``flush`` and by ``close``; reads through the same
    connection see them immediately. Any method raises ``ManifestUnreadable`` if the manifest is damaged or a newer
    version wrote it, and ``RootUnusable`` if it cannot be opened or written.

    A manifest that is opened for reading and does not exist is an empty one, and is not created. Another process may
    write to it meanwhile.

    Args:
        path: The database file; its folder must exist for writing.
        read_only: Open it for reading.
        unchanging: Open it for reading while it is certain that nothing writes to it and its log is empty; needed where
            several machines read it in a shared folder.
    """

    def __init__(self, path: Path, *, read_only: bool = False, unchanging: bool = False) -> None:
        self.path = path
        self._entries: dict[str, Row] = {}
        self._absences: dict[str, AbsenceRow] = {}
        self._awaited: dict[str, dict[str, AwaitedRow]] = {}
        self._series_days: list[tuple[SeriesDays, str]] = []
        self._months: dict[str, tuple[int, str]] = {}
        self._waiting = 0
        with explain_sqlite_errors(path):
            if read_only or unchanging:
                self._connection = connect_reader(path, unchanging=unchanging)
            else:
                self._connection = connect_writer(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write new records, and close the connection."""
        with closing(self._connection):
            self.flush()

    # Writing

    def record(self, entry: ManifestEntry) -> None:
        """Record a published object; if its bytes differ from those recorded before, those go into its history.

        It is not awaited any more.
        """
        key, row = entry.key, row_of(entry)
        if key in self._entries:
            self.flush()  # or the one before would miss its place in the history
        self._absences.pop(key, None)
        self._awaited.pop(key, None)
        self._entries[key] = row
        self._flush_when_many()

    def record_absent(self, key: str, reason: Absence, seen_at: datetime) -> None:
        """Record that the archive does not have an object; the record of a stored file of that key stays.

        If it never will have it, the object is not awaited any more.
        """
        self._absences[key] = (key, Absence(reason).value, text_of(seen_at))
        self._flush_when_many()

    def record_awaited(self, awaited: Awaited) -> None:
        """Record that a selection waits for an object, or did so until it came.

        The day of the first time stays. A wait ends when the object is recorded, or absent for good.
        """
        self._awaited.setdefault(awaited.key, {}).setdefault(awaited.wanted_by, awaited_row(awaited))
        self._flush_when_many()

    def stop_waiting(self, today: date) -> None:
        """Forget what has been awaited for too long, and what came long ago."""
        rows = [(one.key, one.wanted_by) for one in self.awaited() if one.is_over(today)]
        if rows:
            self._write_many(("DELETE FROM awaited WHERE key = ? AND wanted_by = ?", rows))

    def record_days(self, found: SeriesDays, seen_at: datetime) -> None:
        """Record which of the wanted days the archive lacks of a series; what is known of other days stays."""
        self._series_days.append((found, text_of(seen_at)))
        self._flush_when_many()

    def record_month(self, key: str, days: int) -> None:
        """Record of which days a stored monthly object has rows: one bit per day of the month."""
        self._months[key] = (days, key)
        self._flush_when_many()

    def forget(self, keys: Iterable[str]) -> None:
        """Move the records of objects into their history, and commit that immediately."""
        self.flush()
        forgotten = [(key,) for key in keys]
        with explain_sqlite_errors(self.path), self._connection as connection:
            connection.executemany(_TO_HISTORY, forgotten)
            connection.executemany("DELETE FROM object WHERE key = ?", forgotten)

    def flush(self) -> None:
        """Commit new records."""
        if not self._waiting:
            return
        for_good = [(key,) for key, reason, _ in self._absences.values() if Absence(reason).is_final]
        with explain_sqlite_errors(self.path), self._connection as connection:
            connection.executemany(_RECORD, self._entries.values())
            connection.executemany("DELETE FROM absence WHERE key = ?", ((key,) for key in self._entries))
            connection.executemany(_RECORD_ABSENT, self._absences.values())
            connection.executemany(_NOT_AWAITED, ((key,) for key in self._entries))
            connection.executemany(_RECORD_AWAITED, (row for rows in self._awaited.values() for row in rows.values()))
            connection.executemany(_NOT_AWAITED, for_good)
            connection.executemany(_RECORD_MONTH, self._months.values())
            for found, seen_at in self._series_days:
                self._replace_absent_days(connection, found, seen_at)
        self._entries.clear()
        self._absences.clear()
        self._awaited.clear()
        self._months.clear()
        self._series_days.clear()
        self._waiting = 0

    def _replace_absent_days(self, connection: Connection, found: SeriesDays, seen_at: str) -> None:
        """Write the absent days of the wanted span, keeping the ranges, or their parts, outside of it."""
        name = _name_of(found.series)
        former = connection.execute(
            f"SELECT first, last, reason, seen_at FROM absent_days WHERE {_SERIES}", name
        ).fetchall()
        if not former and not found.absent:
            return
        kept: list[tuple[AbsentDays, str]] = []
        for first, last, reason, seen in former:
            outside = Days(_days_of((reason, first, last)) & ~dayset.span(found.first, found.last))
            kept += [(AbsentDays(Absence(reason), *run), seen) for run in dayset.ends(outside)]
        rows = [*kept, *((absent, seen_at) for absent in found.absent)]
        connection.execute(f"DELETE FROM absent_days WHERE {_SERIES}", name)
        connection.executemany(
            f"INSERT INTO absent_days ({_ABSENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((*name, str(one.first), str(one.last), one.reason.value, seen) for one, seen in rows),
        )

    def merge(self, path: Path) -> None:
        """Take in all records of another manifest, which stays as it is.

        Of two records of an object the later one stays, and if its bytes differ the earlier one goes into the history.
        It may be interrupted at any moment and repeated: no record is taken twice. Of a ``ManifestUnreadable``,
        ``path`` tells which of the two it is about.
        """
        self.flush()
        with Manifest(path, read_only=True) as other:
            # Objects first: what they move into our history is older than what the other history has of them.
            for rows in other._pages():
                other._entries_of(rows)  # a row that cannot be read must not spread
                self._write_many(
                    (_MERGE_OBJECT, rows),
                    (_MERGE_NOT_ABSENT, [(row[0], row[6]) for row in rows]),
                    (_NOT_AWAITED, [(row[0],) for row in rows]),
                )
            query = f"SELECT {FIELDS}, number FROM history WHERE number > ? ORDER BY number LIMIT {_PAGE}"
            for numbered in other._pages_of(query, -1):
                rows = [row[:-1] for row in numbered]
                other._entries_of(rows)
                self._write_many((_MERGE_HISTORY, rows))
            query = f"SELECT key, reason, seen_at, key FROM absence WHERE key > ? ORDER BY key LIMIT {_PAGE}"
            for keyed in other._pages_of(query, ""):
                absences = [row[:-1] for row in keyed]
                with explain_sqlite_errors(other.path):
                    final = [(row[0],) for row in absences if absence_of(row).reason.is_final]
                self._write_many((_RECORD_ABSENT, absences), (_NOT_AWAITED, final))
            self._write_many((_RECORD_AWAITED, map(awaited_row, other.awaited())))
            query = f"SELECT key, sha256, days, key FROM month_days WHERE key > ? ORDER BY key LIMIT {_PAGE}"
            for keyed in other._pages_of(query, ""):
                self._write_many((_MERGE_MONTH, [row[:-1] for row in keyed]))

    # Reading

    def entry(self, key: str) -> ManifestEntry | None:
        """Return the record of a stored object."""
        if key in self._entries:
            return entry_of(self._entries[key])
        found = self._entries_of(self._read(f"SELECT {FIELDS} FROM object WHERE key = ?", key))
        return found[0] if found else None

    def entries_in(self, prefix: str) -> Records:
        """Return all records below a folder of keys, by key; for folders of one series, which are small."""
        return Records({row[0]: row for page in self._pages(prefix) for row in page}, self._entry_of)

    def iterate(self, prefix: str = "") -> Iterator[ManifestEntry]:
        """Yield all records whose key begins with a prefix, in the order of the keys.

        Rows are read by the thousand, so memory stays small and no lock is held in between. What is recorded meanwhile
        is included or not, depending on its key.
        """
        for page in self._pages(prefix):
            yield from self._entries_of(page)

    def all_keys(self) -> Iterator[str]:
        """Yield the keys of all records in their order: what ``iterate`` yields of them, in a fraction of the time."""
        self.flush()
        query = f"SELECT key FROM object WHERE key > ? AND key < '{_LAST}' ORDER BY key LIMIT {_PAGE}"
        for page in self._pages_of(query, ""):
            yield from (key for (key,) in page)

    def keys_with(self, verdict: Verdict) -> list[str]:
        """Return the keys of all objects with a verdict; for verdicts that few objects have."""
        self.flush()
        query = f"SELECT {FIELDS} FROM object WHERE verdict = ?"
        return [entry.key for entry in self._entries_of(self._read(query, verdict.value))]

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly under a prefix that ends in ``/``, one look-up for each."""
        self.flush()
        query = "SELECT key FROM object WHERE key >= ? AND key < ? ORDER BY key LIMIT 1"
        start = prefix
        while found := self._read(query, start, prefix + _LAST):
            name, slash, _ = found[0][0].removeprefix(prefix).partition("/")
            if slash:
                yield name
            start = prefix + name + chr(ord("/") + 1)  # sorts just after everything in that folder

    def former(self, key: str) -> tuple[ManifestEntry, ...]:
        """Return the history of an object: its records before it was replaced or forgotten, oldest first."""
        self.flush()
        rows = self._read(f"SELECT {FIELDS} FROM history WHERE key = ? ORDER BY number", key)
        return tuple(self._entries_of(rows))

    def absence(self, key: str) -> AbsenceRecord | None:
        """Return when and why the archive was last seen not to have an object; None once it was fetched."""
        row = self._absences.get(key)
        if row is None and key not in self._entries:
            row = next(iter(self._read("SELECT key, reason, seen_at FROM absence WHERE key = ?", key)), None)
        with explain_sqlite_errors(self.path):
            return None if row is None else absence_of(row)

    def awaited(self) -> list[Awaited]:
        """Return what is awaited, and what has come of late, in the order of the keys."""
        self.flush()
        rows = self._read("SELECT key, wanted_by, since, came FROM awaited ORDER BY key, wanted_by")
        with explain_sqlite_errors(self.path):
            return [awaited_of(row) for row in rows]

    def absent_days(self, series: Series) -> Mapping[Absence, Days]:
        """Return the days that the archive was last seen not to have of a series, by reason."""
        self.flush()
        query = f"SELECT reason, first, last FROM absent_days WHERE {_SERIES} ORDER BY reason, first"
        found = groupby(self._read(query, *_name_of(series)), key=lambda row: row[0])
        with explain_sqlite_errors(self.path):
            return {Absence(reason): _united(map(_days_of, rows)) for reason, rows in found}

    def month_days(self, prefix: str) -> Mapping[str, int]:
        """Return of which days stored monthly objects have rows, by key: one bit per day of the month."""
        self.flush()
        query = """
            SELECT key, month_days.days FROM month_days JOIN object USING (key)
            WHERE key >= ? AND key < ? AND month_days.sha256 = object.sha256
        """
        rows = self._read(query, prefix, prefix + _LAST)
        return {key: days for key, days in rows if isinstance(days, int) and 0 <= days < 1 << 31}

    def _flush_when_many(self) -> None:
        self._waiting += 1
        if self._waiting >= _PAGE:
            self.flush()

    def _write_many(self, *statements: tuple[str, Iterable[tuple[Any, ...]]]) -> None:
        with explain_sqlite_errors(self.path), self._connection as connection:
            for statement, rows in statements:
                connection.executemany(statement, rows)

    def _pages(self, prefix: str = "") -> Iterator[list[Row]]:
        self.flush()
        comparison, start = ">=", prefix
        query = f"SELECT {FIELDS} FROM object WHERE key {{}} ? AND key < ? ORDER BY key LIMIT {_PAGE}"
        while page := self._read(query.format(comparison), start, prefix + _LAST):
            yield page
            comparison, start = ">", page[-1][0]

    def _pages_of(self, query: str, start: str | int) -> Iterator[list[Any]]:
        """Yield the rows of a query page by page; their last column is where the next page starts."""
        while page := self._read(query, start):
            yield page
            start = page[-1][-1]

    def _entries_of(self, rows: Iterable[Row]) -> list[ManifestEntry]:
        return [self._entry_of(row) for row in rows]

    def _entry_of(self, row: Row) -> ManifestEntry:
        try:  # what ``explain_sqlite_errors`` does, without its cost, for there are very many entries
            return entry_of(row)
        except UnreadableRow:
            with explain_sqlite_errors(self.path):
                raise

    def _read(self, query: str, *arguments: str | int) -> list[Any]:
        with explain_sqlite_errors(self.path):
            return self._connection.execute(query, arguments).fetchall()


def _name_of(series: Series) -> tuple[str, str, str, str]:
    return series.market.value, series.data_type, series.symbol, series.interval or ""


def _days_of(row: tuple[str, str, str]) -> Days:
    """Return the days of a row: reason, first and last day."""
    try:
        Absence(row[0])
        return dayset.span(date.fromisoformat(row[1]), date.fromisoformat(row[2]))
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def _united(some: Iterable[Days]) -> Days:
    days = 0
    for more in some:
        days |= more
    return Days(days)


class Records(Mapping[str, "ManifestEntry"]):
    """The records of a folder, each converted from its row on access: of most rows a look is enough."""

    def __init__(self, rows: Mapping[str, Row], entry_of: Callable[[Row], ManifestEntry]) -> None:
        self._rows = rows
        self._entry_of = entry_of

    def __getitem__(self, key: str) -> ManifestEntry:
        return self._entry_of(self._rows[key])

    def get(self, key: str, default: Any = None) -> Any:
        """Return what ``Mapping.get`` returns, without an exception for each key that is not there."""
        row = self._rows.get(key)
        return default if row is None else self._entry_of(row)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def digest(self, key: str, size: int, remote: RemoteStat | None) -> str | None:
        """Return the digest of an object that is recorded as ``ok``, with this size and all that is listed of it.

        None of any other object, and of a row that no version of this tool can have written: its entry tells.
        """
        row = self._rows.get(key)
        if row is None:
            return None
        _, its_size, sha256, verdict, etag, modified, fetched, run_id, sidecar_etag = row
        if its_size != size or verdict != "ok":
            return None
        try:
            modified_at = datetime.fromisoformat(modified) if modified else None
            _moment_of(fetched)  # which many rows share
        except (ValueError, TypeError):
            return None
        if remote is None:
            is_as_listed = modified_at is None or modified_at.tzinfo is not None
        else:
            is_as_listed = (remote.size, remote.etag, remote.last_modified, remote.sidecar_etag) == (
                size, etag, modified_at, sidecar_etag
            )  # fmt: skip
        are_texts = isinstance(sha256, str) and isinstance(etag, str) and isinstance(run_id, str)
        return sha256 if is_as_listed and are_texts else None


NO_RECORDS = Records({}, entry_of)
