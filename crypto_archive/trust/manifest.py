"""The manifest: what was fetched when, and what it was proven by; one SQLite file in the archive root.

A row is written after the file that it speaks of was published, so a process that is killed in between leaves a file
without a row, never a row without a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

from crypto_archive.model import Absence
from crypto_archive.trust.database import FIELDS, UnreadableRow, connect_reader, connect_writer, explained
from crypto_archive.trust.entries import absence_of, entry_of, row_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from crypto_archive.model import ManifestEntry, Verdict
    from crypto_archive.trust.entries import AbsenceRecord, Row

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
