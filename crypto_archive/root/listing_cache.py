"""The cache of listings: what the archive answered, by prefix, and when.

Whatever happens to it, only time is lost; so a damaged cache is never repaired, only replaced.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.model import RemoteStat
from crypto_archive.root.database import require_own_files
from crypto_archive.s5cmd.output import Listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

KEPT_SECONDS = 86_400.0
"""How long listings are kept; readers decide how old one may be, which is less."""
FOLDERS = "folders of "
"""Precedes the prefix of a listing of folders; no key begins like this."""
PAGE = 250
"""Entries that are written and read together."""
LARGEST_PAGE = 1 << 22
"""Its size in bytes, unpacked; as a rule 30,000."""
_HUGE = 1 << 63

VERSION = 3
# Numbers are never reused (AUTOINCREMENT): a recording that another process evicted must not continue as a new one.
# Keys are bytes, so that prefix + 0xFF, a byte that UTF-8 never contains, sorts after all keys with that prefix.
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE listing (
    number INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, prefix TEXT NOT NULL, asked_at REAL NOT NULL,
    complete INTEGER NOT NULL DEFAULT 0);
CREATE INDEX listing_prefix ON listing (place, prefix);
CREATE TABLE page (
    listing INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, entries BLOB NOT NULL);
CREATE INDEX page_listing ON page (listing);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_WAIT_SECONDS = 3.0
_DELETE_OLD = (
    "DELETE FROM page WHERE listing IN (SELECT number FROM listing WHERE {old})",
    "DELETE FROM listing WHERE {old}",
)


class Evicted(sqlite3.Error):
    """A listing that was found is gone: another process replaced it by a newer one."""


class CachedListing(NamedTuple):
    """A listing that can be read: its number, its prefix, and when it was made, in seconds since 1970."""

    number: int
    prefix: str
    asked_at: float


class ListingStore:
    """Listings of one or more buckets in an SQLite file; several processes may use it at the same time.

    To be used from one thread. Every method may raise ``sqlite3.Error``, and the constructor ``OSError``, which means
    that the caller has to do without.

    Args:
        path: The file, replaced if it is not a cache; None for a temporary one that only this process sees.
        place: Endpoint and bucket; listings of other places are ignored.
    """

    def __init__(self, path: Path | None, place: str) -> None:
        self.path = path
        self._place = place
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = _connect(path)
        except sqlite3.DatabaseError as error:
            if path is None or not is_damaged(error):
                raise
            remove(path)
            self._connection = _connect(path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def find(self, prefix: str, since: float, until: float, *, exact: bool = False) -> CachedListing | None:
        """Return the newest complete listing that contains all keys with a prefix, or None.

        Args:
            prefix: The beginning of the keys.
            since: Its earliest time, in seconds since 1970.
            until: Its latest time: now, so that a listing from a clock that was ahead is not valid for ever.
            exact: Accept only a listing of exactly this prefix.
        """
        beginnings = [prefix] if exact else [prefix[:length] for length in range(len(prefix) + 1)]
        query = (
            "SELECT number, prefix, asked_at FROM listing WHERE place = ? AND complete AND asked_at BETWEEN ? AND ? "
            f"AND prefix IN ({','.join('?' * len(beginnings))}) ORDER BY asked_at DESC, length(prefix) DESC LIMIT 1"
        )
        found = self._connection.execute(query, (self._place, since, until, *beginnings)).fetchone()
        return None if found is None else CachedListing(*found)

    def entries(self, listing: CachedListing, prefix: str) -> Iterator[Listed]:
        """Yield the entries of a listing whose keys begin with a prefix, sorted by key; may raise ``Evicted``."""
        # One query for listing and pages, so that both are of the same moment, whatever other processes write.
        query = (
            "SELECT entries FROM listing LEFT JOIN page ON listing = number AND last >= ? AND first < ? "
            "WHERE number = ? ORDER BY page.rowid"
        )
        start = prefix.encode()
        exists = False
        for (packed,) in self._connection.execute(query, (start, start + b"\xff", listing.number)):
            exists = True
            if packed is not None:
                yield from (entry for entry in unpacked(packed) if entry.key.startswith(prefix))
        if not exists:
            raise Evicted(f"the listing of {listing.prefix!r} is gone")

    def begin(self, prefix: str, asked_at: float) -> Recording:
        """Begin to record a listing, which ``find`` ignores until it is finished."""
        with self._connection as connection:
            row = (self._place, prefix, asked_at)
            number = connection.execute("INSERT INTO listing (place, prefix, asked_at) VALUES (?, ?, ?)", row).lastrowid
        assert number is not None
        return Recording(self, CachedListing(number, prefix, asked_at))

    def finish(self, recordings: Sequence[Recording]) -> None:
        """Complete recordings, and evict older listings of the same prefixes."""
        for recording in recordings:
            recording.flush()
        numbers = [(one.listing.number,) for one in recordings]
        done = [(one.listing.number, self._place, one.listing.prefix) for one in recordings]
        with self._connection as connection:
            connection.executemany("UPDATE listing SET complete = 1 WHERE number = ?", numbers)
            for statement in _DELETE_OLD:
                old = "complete AND number < ? AND place = ? AND prefix = ?"
                connection.executemany(statement.format(old=old), done)

    def evict(self, listings: Sequence[CachedListing]) -> None:
        """Evict listings, complete or not."""
        numbers = [(listing.number,) for listing in listings]
        with self._connection as connection:
            for statement in _DELETE_OLD:
                connection.executemany(statement.format(old="number = ?"), numbers)

    def evict_since(self, moment: float) -> None:
        """Evict all listings of this place that were begun at a time, in seconds since 1970, or later."""
        with self._connection as connection:
            for statement in _DELETE_OLD:
                connection.execute(statement.format(old="asked_at >= ? AND place = ?"), (moment, self._place))

    def add_page(self, listing: CachedListing, entries: list[Listed]) -> None:
        """Write a page of entries, which follow those of earlier pages."""
        keys = [entry.key.encode() for entry in entries]
        with self._connection as connection:
            row = (listing.number, min(keys), max(keys), _packed(entries))
            connection.execute("INSERT INTO page VALUES (?, ?, ?, ?)", row)


class Recording:
    """A listing that is being written."""

    def __init__(self, store: ListingStore, listing: CachedListing) -> None:
        self._store = store
        self.listing = listing
        self.count = 0
        self._waiting: list[Listed] = []

    def add(self, entry: Listed) -> None:
        """Add the next entry in the order of the keys."""
        self.count += 1
        self._waiting.append(entry)
        if len(self._waiting) >= PAGE:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last page."""
        if self._waiting:
            self._store.add_page(self.listing, self._waiting)
            self._waiting = []


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether an error means that a cache is damaged; a full disk or a read-only folder is not a reason to drop it."""
    lacks_tables = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, sqlite3.DatabaseError) and (
        not isinstance(error, sqlite3.OperationalError) or lacks_tables or "decode to UTF-8" in str(error)
    )


def remove(path: Path) -> None:
    """Delete a cache with its side files; raise ``OSError`` if that fails."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        require_own_files(path)
    connection = sqlite3.connect(path or "", timeout=_WAIT_SECONDS)  # "" is a file without a name
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a cache need not survive a power cut
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with suppress(sqlite3.OperationalError):  # another process created it at the same time
                connection.executescript(_SCHEMA)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"unknown version {version}")
        with connection:
            now = datetime.now(UTC).timestamp()
            for statement in _DELETE_OLD:
                connection.execute(statement.format(old="abs(asked_at - ?) > ?"), (now, KEPT_SECONDS))
    except BaseException:
        connection.close()
        raise
    return connection


def _packed(entries: list[Listed]) -> bytes:
    rows = [[entry.key, entry.stat.size, entry.stat.etag, entry.stat.last_modified.timestamp()] for entry in entries]
    return zlib.compress(json.dumps(rows, ensure_ascii=False).encode(), 1)


def unpacked(packed: bytes) -> list[Listed]:
    """Return the entries of a page; raise ``sqlite3.DatabaseError`` if it is damaged."""
    try:
        unpacking = zlib.decompressobj()
        rows = json.loads(unpacking.decompress(packed, LARGEST_PAGE))
        if not unpacking.eof:
            raise ValueError("it breaks off or is too large")
        entries = [_listed(*row) for row in rows]
        "".join(entry.key for entry in entries).encode()
    except (zlib.error, ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"a page is damaged: {error}") from error
    return entries


def _listed(key: object, size: object, etag: object, moment: object) -> Listed:
    if not (isinstance(key, str) and isinstance(etag, str) and isinstance(size, int) and 0 <= size < _HUGE):
        raise ValueError("an entry has other types")
    if not isinstance(moment, int | float):
        raise TypeError("a time is not a number")
    return Listed(key, RemoteStat(size, etag, datetime.fromtimestamp(moment, UTC)))


MOST_PAGES = 200
"""The most pages that are read; one takes less than a millisecond."""

_KNOWN_WAIT_SECONDS = 0.2


def cached_symbols(path: Path, folders: Collection[str]) -> set[str]:
    """Return the symbols that cached listings have in some folders of keys, which have one folder per symbol.

    Raises ``sqlite3.Error`` or ``OSError`` if the cache cannot be read.
    """
    if not path.is_file():
        return set()
    require_own_files(path)
    # Without a log next to it, no process writes to it, and SQLite would create one.
    has_log = path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("" if has_log else "&immutable=1")
    with closing(sqlite3.connect(uri, uri=True, timeout=_KNOWN_WAIT_SECONDS)) as connection:
        if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
            return set()
        return set(_symbols(connection, folders))


def _symbols(connection: sqlite3.Connection, folders: Collection[str]) -> Iterator[str]:
    listings = connection.execute("SELECT number, prefix FROM listing WHERE complete").fetchall()
    pages_left = MOST_PAGES
    for folder in folders:
        for number, prefix in listings:
            if prefix == FOLDERS + folder or (folder.startswith(prefix) and prefix.startswith("data/")):
                for packed in _pages(connection, number, pages_left):
                    pages_left -= 1
                    names = (entry.key.removeprefix(FOLDERS) for entry in unpacked(packed))
                    yield from (
                        name.removeprefix(folder).partition("/")[0] for name in names if name.startswith(folder)
                    )
            elif prefix.startswith(folder):
                symbol, slash, _ = prefix.removeprefix(folder).partition("/")
                if slash:
                    yield symbol


def _pages(connection: sqlite3.Connection, listing: int, most: int) -> list[bytes]:
    rows = connection.execute("SELECT entries FROM page WHERE listing = ? LIMIT ?", (listing, most)).fetchall()
    return [packed for (packed,) in rows]
