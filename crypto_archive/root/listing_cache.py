"""The cache of listings: what the archive answered, by prefix, and when.

Whatever happens to it, only time is lost; so a damaged cache is never repaired, only replaced.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.model import SIDECAR_SUFFIX, RemoteStat
from crypto_archive.root.database import require_own_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from crypto_archive.s5cmd.output import Listed

KEPT_SECONDS = 86_400.0
"""How long listings are kept; readers decide how old one may be, which is less."""
FOLDERS = "folders of "
"""Precedes the prefix of a listing of folders; no key begins like this."""
PAGE = 250
"""Objects that are written and read together; with their sidecars, those of half a request."""
LARGEST_PAGE = 1 << 22
"""Its size in bytes, unpacked; as a rule 50,000."""
_HUGE = 1 << 63

VERSION = 4
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


class Entry(NamedTuple):
    """An object of a listing: its key, and what the listing says of it and of its sidecar."""

    key: str
    stat: RemoteStat


class Page:
    """Consecutive objects of a listing, joined with the sidecars that follow them.

    In columns: so they are packed, unpacked and checked without a line of ours for each of very many objects.

    Attributes:
        keys: The keys of the objects.
        listed: How many keys were added, sidecars included.
    """

    def __init__(self) -> None:
        self.listed = 0
        self.keys: list[str] = []
        self._sizes: list[int] = []
        self._etags: list[str] = []
        self._times: list[datetime] = []
        self._sidecars: list[str | None] = []  # their ETags; None without a sidecar
        self._at = 0
        self._sidecar = ""

    def add(self, one: Listed) -> bool:
        """Add what is listed next; return False, and add nothing, if it belongs on the next page.

        A sidecar belongs to the object before it; one without its object is left out. Of an object that is listed twice
        in a row, the first has the sidecar.
        """
        key, size, etag, moment = one
        if key == self._sidecar:
            self._sidecars[self._at] = etag
            self._sidecar = ""
            self.listed += 1
            return True
        if key.endswith(SIDECAR_SUFFIX):
            self.listed += 1
            return True
        if not self.keys or key != self.keys[-1]:
            if len(self.keys) >= PAGE:
                return False
            self._at, self._sidecar = len(self.keys), key + SIDECAR_SUFFIX
        self.listed += 1
        self.keys.append(key)
        self._sizes.append(size)
        self._etags.append(etag)
        self._times.append(moment)
        self._sidecars.append(None)
        return True

    def entries(self) -> list[Entry]:
        """Return its objects."""
        columns = zip(self.keys, self._sizes, self._etags, self._times, self._sidecars, strict=True)
        new = tuple.__new__  # in half the time of a named tuple's own, which is a Python function
        return [
            new(Entry, (key, new(RemoteStat, (size, etag, moment, sidecar is not None, None, sidecar or None))))
            for key, size, etag, moment, sidecar in columns
        ]

    def packed(self) -> bytes:
        """Return it in the form in which it is stored."""
        times = [moment.isoformat() for moment in self._times]
        columns = (self.keys, self._sizes, self._etags, times, self._sidecars)
        return zlib.compress(json.dumps(columns, ensure_ascii=False).encode(), 1)

    @classmethod
    def unpacked(cls, packed: bytes) -> Page:
        """Return a page that was stored; raise ``sqlite3.DatabaseError`` if it is damaged."""
        page = cls()
        try:
            unpacking = zlib.decompressobj()
            columns = json.loads(unpacking.decompress(packed, LARGEST_PAGE))
            if not unpacking.eof:
                raise ValueError("it breaks off or is too large")
            page.keys, page._sizes, page._etags, times, page._sidecars = columns
            page._times = list(map(datetime.fromisoformat, times))
            page._check()
        except (zlib.error, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise sqlite3.DatabaseError(f"a page is damaged: {error}") from error
        return page

    def _check(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` if no page of ours is like this."""
        columns: tuple[list[Any], ...] = (self.keys, self._sizes, self._etags, self._sidecars)
        types: tuple[set[type], ...] = ({str}, {int}, {str}, {str, type(None)})
        if not all({*map(type, column)} <= allowed for column, allowed in zip(columns, types, strict=True)):
            raise TypeError("an entry has other types")
        if not self.keys or {len(column) for column in columns} != {len(self._times)}:
            raise ValueError("its columns differ in length")
        if min(self._sizes) < 0 or max(self._sizes) >= _HUGE or {moment.tzinfo for moment in self._times} != {UTC}:
            raise ValueError("a size or a time is impossible")
        "".join(self.keys).encode()


def joined(listed: Iterable[Listed]) -> Iterator[Page]:
    """Yield the pages of a listing whose keys come in their order."""
    page = Page()
    for one in listed:
        if not page.add(one):
            yield page
            page = Page()
            page.add(one)
    if page.keys:
        yield page


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

    def pages(self, listing: CachedListing, prefix: str) -> Iterator[list[Entry]]:
        """Yield the objects of a listing whose keys begin with a prefix, sorted by key; may raise ``Evicted``."""
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
                page = Page.unpacked(packed)
                entries = page.entries()
                if min(page.keys).startswith(prefix) and max(page.keys).startswith(prefix):  # so do all between
                    yield entries
                else:
                    yield [entry for entry in entries if entry.key.startswith(prefix)]
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

    def add_page(self, listing: CachedListing, page: Page) -> None:
        """Write a page, which follows the earlier ones."""
        row = (listing.number, min(page.keys).encode(), max(page.keys).encode(), page.packed())
        with self._connection as connection:
            connection.execute("INSERT INTO page VALUES (?, ?, ?, ?)", row)


class Recording:
    """A listing that is being written.

    Attributes:
        listing: The listing.
    """

    def __init__(self, store: ListingStore, listing: CachedListing) -> None:
        self.listing = listing
        self._store = store
        self._written = 0
        self._page = Page()

    @property
    def count(self) -> int:
        """How many keys it has so far."""
        return self._written + self._page.listed

    def add(self, one: Listed) -> None:
        """Add the next object or sidecar in the order of the keys."""
        if not self._page.add(one):
            self.flush()
            self._page.add(one)

    def flush(self) -> None:
        """Write what was added since the last page."""
        if self._page.keys:
            self._store.add_page(self.listing, self._page)
            self._written += self._page.listed
            self._page = Page()


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
                    names = (key.removeprefix(FOLDERS) for key in Page.unpacked(packed).keys)
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
