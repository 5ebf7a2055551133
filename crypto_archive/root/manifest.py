"""What the rows of a manifest say, as values; and the same back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from crypto_archive.model import Absence, ManifestEntry, Verdict
from crypto_archive.root.database import FIELDS, UnreadableRow, connect_reader, connect_writer, explained

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

Row = tuple[str, int, str, str, str, str | None, str, str]
"""Of a stored object, in the order of ``database.FIELDS``."""
AbsenceRow = tuple[str, str, str]
"""Of an object that the archive did not have: key, reason, time."""


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


def row_of(entry: ManifestEntry) -> Row:
    """Return the row of an entry.

    Raises:
        ValueError: A time has no time zone.
    """
    modified = None if entry.last_modified is None else text_of(entry.last_modified)
    fetched = text_of(entry.fetched_at)
    return (entry.key, entry.size, entry.sha256, entry.verdict.value, entry.etag, modified, fetched, entry.run_id)


def entry_of(row: Row) -> ManifestEntry:
    """Return the entry of a row.

    Raises:
        UnreadableRow: No version of this tool has written such a row.
    """
    key, size, sha256, verdict, etag, modified, fetched, run_id = row
    try:
        return ManifestEntry(
            key=key,
            size=size,
            sha256=sha256,
            verdict=Verdict(verdict),
            etag=etag,
            last_modified=datetime.fromisoformat(modified) if modified else None,
            fetched_at=datetime.fromisoformat(fetched),
            run_id=run_id,
        )
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def absence_of(row: AbsenceRow) -> AbsenceRecord:
    """Return what a row says of an object that the archive did not have.

    Raises:
        UnreadableRow: No version of this tool has written such a row.
    """
    key, reason, seen_at = row
    try:
        return AbsenceRecord(key, Absence(reason), datetime.fromisoformat(seen_at))
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def text_of(moment: datetime) -> str:
    """Return a time as rows have it: as text that sorts by time.

    Raises:
        ValueError: It has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"The time {moment} has no zone; times are UTC here.")
    return moment.astimezone(UTC).isoformat()


_RECORD = f"""
INSERT INTO object ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    size = excluded.size, sha256 = excluded.sha256, verdict = excluded.verdict, etag = excluded.etag,
    last_modified = excluded.last_modified, fetched_at = excluded.fetched_at, run_id = excluded.run_id
"""
_RECORD_ABSENT = "INSERT OR REPLACE INTO absence (key, reason, seen_at) VALUES (?, ?, ?)"
_TO_HISTORY = f"INSERT INTO history ({FIELDS}) SELECT {FIELDS} FROM object WHERE key = ?"
_PAGE = 1000  # rows read, or kept back before they are written, at a time


class Manifest:
    """A connection to the manifest; each thread opens its own.

    What is recorded is kept back until 1,000 rows are together, ``flush`` is called or the manifest is closed. All
    reads through the same connection see it at once.

    For reading, a manifest that does not exist is an empty one and nothing is created; another process may write at
    the same time.

    Args:
        path: The database file; its folder must exist for writing.
        read_only: Open it for reading.
        unchanging: It is read only, and nobody writes to it as long as it is open, nor has left anything in its log;
            needed where several machines read it in a folder that they share.

    Raises:
        EnvironmentFailure: It is damaged, or a newer version of this tool wrote it. All methods raise this, too.
        RootUnusable: It cannot be opened or written, or the disk is full. Likewise.
    """

    def __init__(self, path: Path, *, read_only: bool = False, unchanging: bool = False) -> None:
        self.path = path
        self._entries: dict[str, Row] = {}
        self._absences: dict[str, tuple[str, str, str]] = {}
        with explained(self.path):
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
        """Write what is kept back, and close the connection."""
        with closing(self._connection):
            self.flush()

    def record(self, entry: ManifestEntry) -> None:
        """Remember a published object; when its bytes differ from those known before, those go into its history.

        Raises:
            ValueError: A time has no time zone.
        """
        row = row_of(entry)
        if entry.key in self._entries:
            self.flush()  # or the one before would miss its place in the history
        self._absences.pop(entry.key, None)
        self._entries[entry.key] = row
        self._flush_when_many()

    def record_absent(self, key: str, reason: Absence, seen_at: datetime) -> None:
        """Remember that the archive does not have an object; what is known of a stored file of that key stays.

        Raises:
            ValueError: The time has no time zone.
        """
        self._absences[key] = (key, Absence(reason).value, text_of(seen_at))
        self._flush_when_many()

    def forget(self, keys: Iterable[str]) -> None:
        """Forget that objects are stored, and commit that at once; what was known of them goes into their history."""
        self.flush()
        forgotten = [(key,) for key in keys]
        with explained(self.path), self._connection as connection:
            connection.executemany(_TO_HISTORY, forgotten)
            connection.executemany("DELETE FROM object WHERE key = ?", forgotten)

    def flush(self) -> None:
        """Commit what is kept back."""
        if not self._entries and not self._absences:
            return
        with explained(self.path), self._connection as connection:
            connection.executemany(_RECORD, self._entries.values())
            connection.executemany("DELETE FROM absence WHERE key = ?", ((key,) for key in self._entries))
            connection.executemany(_RECORD_ABSENT, self._absences.values())
        self._entries.clear()
        self._absences.clear()

    def entry(self, key: str) -> ManifestEntry | None:
        """Return what is known of a stored object."""
        if key in self._entries:
            return entry_of(self._entries[key])
        found = self._entries_of(self._read(f"SELECT {FIELDS} FROM object WHERE key = ?", key))
        return found[0] if found else None

    def entries_in(self, prefix: str) -> Mapping[str, ManifestEntry]:
        """Return all entries below a folder of keys, by key; for folders of one series, which are small."""
        return _Entries({row[0]: row for page in self._pages(prefix) for row in page}, self._entry_of)

    def iterate(self, prefix: str = "") -> Iterator[ManifestEntry]:
        """Yield all entries whose key begins with a prefix, in the order of the keys.

        Rows are read a thousand at a time, so memory stays small, no lock is held between, and what is recorded
        meanwhile is met or not, depending on its key.
        """
        for page in self._pages(prefix):
            yield from self._entries_of(page)

    def keys_with(self, verdict: Verdict) -> list[str]:
        """Return the keys of all objects with a verdict; for verdicts that few have."""
        self.flush()
        return [key for (key,) in self._read("SELECT key FROM object WHERE verdict = ?", verdict.value)]

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly under a prefix that ends in ``/``, one look-up for each."""
        self.flush()
        query = "SELECT key FROM object WHERE key >= ? AND key < ? ORDER BY key LIMIT 1"
        start = prefix
        while found := self._read(query, start, prefix + "\U0010ffff"):
            name, slash, _ = found[0][0].removeprefix(prefix).partition("/")
            if slash:
                yield name
            start = prefix + name + chr(ord("/") + 1)  # what follows all that the folder has in it

    def former(self, key: str) -> tuple[ManifestEntry, ...]:
        """Return what an object was before the archive replaced it or it was forgotten, oldest first."""
        self.flush()
        rows = self._read(f"SELECT {FIELDS} FROM history WHERE key = ? ORDER BY number", key)
        return tuple(self._entries_of(rows))

    def absence(self, key: str) -> AbsenceRecord | None:
        """Return when and why the archive was last seen not to have an object; None once it was fetched."""
        row = self._absences.get(key)
        if row is None and key not in self._entries:
            row = next(iter(self._read("SELECT key, reason, seen_at FROM absence WHERE key = ?", key)), None)
        with explained(self.path):
            return None if row is None else absence_of(row)

    def _flush_when_many(self) -> None:
        if len(self._entries) + len(self._absences) >= _PAGE:
            self.flush()

    def _pages(self, prefix: str) -> Iterator[list[Row]]:
        self.flush()
        end = prefix + "\U0010ffff"  # SQLite compares by code points; no key has the last of them in it
        comparison, start = ">=", prefix
        query = f"SELECT {FIELDS} FROM object WHERE key {{}} ? AND key < ? ORDER BY key LIMIT {_PAGE}"
        while page := self._read(query.format(comparison), start, end):
            yield page
            comparison, start = ">", page[-1][0]

    def _entries_of(self, rows: Iterable[Row]) -> list[ManifestEntry]:
        return [self._entry_of(row) for row in rows]

    def _entry_of(self, row: Row) -> ManifestEntry:
        try:  # what ``explained`` does, without its cost, for there are very many entries
            return entry_of(row)
        except UnreadableRow:
            with explained(self.path):
                raise

    def _read(self, query: str, *arguments: str) -> list[Any]:
        with explained(self.path):
            return self._connection.execute(query, arguments).fetchall()


class _Entries(Mapping[str, "ManifestEntry"]):
    """The entries of a folder, each made of its row when it is asked for: of a long series often only a few are."""

    def __init__(self, rows: Mapping[str, Row], entry_of: Callable[[Row], ManifestEntry]) -> None:
        self._rows = rows
        self._entry_of = entry_of

    def __getitem__(self, key: str) -> ManifestEntry:
        return self._entry_of(self._rows[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


_OBJECTS = f"SELECT {FIELDS} FROM object WHERE key > ? ORDER BY key LIMIT {_PAGE}"


_HISTORY = f"SELECT {FIELDS}, number FROM history WHERE number > ? ORDER BY number LIMIT {_PAGE}"


_ABSENCES = f"SELECT key, reason, seen_at FROM absence WHERE key > ? ORDER BY key LIMIT {_PAGE}"

_TAKE_OBJECT = f"""
INSERT INTO object ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    size = excluded.size, sha256 = excluded.sha256, verdict = excluded.verdict, etag = excluded.etag,
    last_modified = excluded.last_modified, fetched_at = excluded.fetched_at, run_id = excluded.run_id
WHERE excluded.fetched_at > object.fetched_at
"""


_NOT_ABSENT = "DELETE FROM absence WHERE key = ? AND seen_at <= ?"


_TAKE_HISTORY = f"""
INSERT INTO history ({FIELDS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS (
    SELECT 1 FROM history WHERE key = ?1 AND sha256 = ?3 AND fetched_at = ?7 AND run_id = ?8)
"""


_TAKE_ABSENCE = """
INSERT INTO absence (key, reason, seen_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET reason = excluded.reason, seen_at = excluded.seen_at
WHERE excluded.seen_at > absence.seen_at
"""


def merge(part: Path, whole: Path) -> None:
    """Take all that one manifest knows into another, which it leaves as it is.

    Where both know an object, what was fetched later counts, and other bytes that were there before go into the
    history. It may be done again, and be cut short at any moment: what is there already is not taken twice.

    Args:
        part: The manifest that is read.
        whole: The one that takes it in, which nobody else writes to; begun where there is none.

    Raises:
        ManifestUnreadable: One of them is damaged, or of a version that this one does not know; ``path`` says which.
        EnvironmentFailure: Another program keeps one of them locked.
        RootUnusable: One of them cannot be read or written, or the disk is full.
    """
    with explained(part), closing(connect_reader(part)) as source:
        with explained(whole):
            target = connect_writer(whole)
        with closing(target):
            # Objects first: what their taking in puts into the history is older than what the part has there.
            for objects in _objects(source):
                with explained(whole), target:
                    target.executemany(_TAKE_OBJECT, objects)
                    target.executemany(_NOT_ABSENT, ((row[0], row[6]) for row in objects))
            for former in _history(source):
                with explained(whole), target:
                    target.executemany(_TAKE_HISTORY, former)
            for absences in _absences(source):
                with explained(whole), target:
                    target.executemany(_TAKE_ABSENCE, absences)


def _objects(source: sqlite3.Connection) -> Iterator[list[Row]]:
    """Yield rows page by page. Each is read as a value first, so that what nobody can read is not handed on."""
    last = ""
    while page := source.execute(_OBJECTS, (last,)).fetchall():
        for row in page:
            entry_of(row)
        yield page
        last = page[-1][0]


def _history(source: sqlite3.Connection) -> Iterator[list[Row]]:
    last = -1
    while page := source.execute(_HISTORY, (last,)).fetchall():
        rows = [row[:-1] for row in page]
        for row in rows:
            entry_of(row)
        yield rows
        last = page[-1][-1]


def _absences(source: sqlite3.Connection) -> Iterator[list[AbsenceRow]]:
    last = ""
    while page := source.execute(_ABSENCES, (last,)).fetchall():
        for row in page:
            absence_of(row)
        yield page
        last = page[-1][0]
