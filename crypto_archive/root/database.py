"""The manifest's database: its tables, connections, integrity check, and errors in plain words."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from crypto_archive.errors import EnvironmentFailure, ManifestUnreadable, RootUnusable
from crypto_archive.files import require_own_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

SIDE_FILES = ("-wal", "-shm")
"""What SQLite appends to the name of a database for the files that it keeps next to it."""

FIELDS = "key, size, sha256, verdict, etag, last_modified, fetched_at, run_id, sidecar_etag"


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """What turns a manifest of one version into one of the next.

    Attributes:
        change: The statements of a writer, which keep all rows.
        stand_ins: What a reader, which changes nothing, creates in its own memory to read the older version in the same
            way: an empty table in place of a new one, or a view with null in place of a new column.
    """

    change: tuple[str, ...]
    stand_ins: tuple[str, ...] = ()


# Steps that were released never change. New ones come last.
_UPGRADES = (
    _Upgrade(
        change=(
            """
            CREATE TABLE object (
                key TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, verdict TEXT NOT NULL,
                etag TEXT NOT NULL, last_modified TEXT, fetched_at TEXT NOT NULL, run_id TEXT NOT NULL) WITHOUT ROWID
            """,
            """
            CREATE TABLE history (
                number INTEGER PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
                verdict TEXT NOT NULL, etag TEXT NOT NULL, last_modified TEXT, fetched_at TEXT NOT NULL,
                run_id TEXT NOT NULL)
            """,
            "CREATE INDEX history_key ON history (key)",
            """
            CREATE TABLE absence (key TEXT PRIMARY KEY NOT NULL, reason TEXT NOT NULL, seen_at TEXT NOT NULL)
            WITHOUT ROWID
            """,
            """
            CREATE TRIGGER keep_former AFTER UPDATE ON object WHEN old.sha256 <> new.sha256 BEGIN
                INSERT INTO history (key, size, sha256, verdict, etag, last_modified, fetched_at, run_id) VALUES (
                    old.key, old.size, old.sha256, old.verdict, old.etag, old.last_modified, old.fetched_at,
                    old.run_id);
            END
            """,
        )
    ),
    _Upgrade(
        change=(
            """
            CREATE TABLE awaited (
                key TEXT NOT NULL, wanted_by TEXT NOT NULL, since TEXT NOT NULL, came TEXT,
                PRIMARY KEY (key, wanted_by)) WITHOUT ROWID
            """,
        ),
        stand_ins=("CREATE TEMP TABLE awaited (key TEXT, wanted_by TEXT, since TEXT, came TEXT)",),
    ),
    _Upgrade(
        change=(
            "ALTER TABLE object ADD COLUMN sidecar_etag TEXT",
            "ALTER TABLE history ADD COLUMN sidecar_etag TEXT",
            "DROP TRIGGER keep_former",
            """
            CREATE TRIGGER keep_former AFTER UPDATE ON object WHEN old.sha256 <> new.sha256 BEGIN
                INSERT INTO history (
                    key, size, sha256, verdict, etag, last_modified, fetched_at, run_id, sidecar_etag) VALUES (
                    old.key, old.size, old.sha256, old.verdict, old.etag, old.last_modified, old.fetched_at,
                    old.run_id, old.sidecar_etag);
            END
            """,
        ),
        stand_ins=(
            "CREATE TEMP VIEW object AS SELECT *, NULL AS sidecar_etag FROM main.object",
            "CREATE TEMP VIEW history AS SELECT *, NULL AS sidecar_etag FROM main.history",
        ),
    ),
    _Upgrade(
        change=(
            """
            CREATE TABLE absent_days (
                market TEXT NOT NULL, data_type TEXT NOT NULL, symbol TEXT NOT NULL, interval TEXT NOT NULL,
                first TEXT NOT NULL, last TEXT NOT NULL, reason TEXT NOT NULL, seen_at TEXT NOT NULL,
                PRIMARY KEY (market, data_type, symbol, interval, first)) WITHOUT ROWID
            """,
            """
            CREATE TABLE month_days (key TEXT PRIMARY KEY NOT NULL, sha256 TEXT NOT NULL, days INTEGER NOT NULL)
            WITHOUT ROWID
            """,
            "UPDATE absence SET reason = 'discontinued' WHERE reason = 'after-last'",
        ),
        stand_ins=(
            """
            CREATE TEMP TABLE absent_days (
                market TEXT, data_type TEXT, symbol TEXT, interval TEXT, first TEXT, last TEXT, reason TEXT,
                seen_at TEXT)
            """,
            "CREATE TEMP TABLE month_days (key TEXT, sha256 TEXT, days INTEGER)",
            """
            CREATE TEMP VIEW absence AS
            SELECT key, replace(reason, 'after-last', 'discontinued') AS reason, seen_at FROM main.absence
            """,
        ),
    ),
)
SCHEMA_VERSION = len(_UPGRADES)
_WAIT_SECONDS = 30.0
_ROOM_BYTES = 1 << 17
"""The size of a manifest without rows, side files included, and a little more."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNUSABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}

_MAKE_IT_USABLE = "Make its folder and its disk writable, or choose another folder with --output."
_REBUILD = (
    "`crypto-archive verify --rebuild-manifest` with the same --output makes a new one from the stored files and keeps "
    "this one next to it. The files are untouched; only ETags and former digests are lost."
)


def require_own_files(path: Path) -> None:
    """Raise ``OSError`` where SQLite would follow a link, or wait for a FIFO; its log is opened with more care."""
    for suffix in ("", "-journal"):
        require_own_file(path.with_name(path.name + suffix))


class UnreadableRow(Exception):
    """A row that no version of this tool can have written."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the manifest for reading and writing, and create it where there is none."""
    _require_own_files(path)
    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    with _closed_on_error(connection):
        # With a write-ahead log readers continue while a writer commits. File systems that cannot do that keep SQLite's
        # default mode.
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may undo the last commits but never damages the file; killing the process undoes nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        _upgrade(connection, path)
    return connection


def connect_reader(path: Path, *, unchanging: bool = False) -> sqlite3.Connection:
    """Open the manifest for reading; one that does not exist is an empty one, and is not created.

    With ``unchanging`` nothing writes to it meanwhile and its log is empty: then no file is created next to it, so that
    any number of machines may read it in a shared folder.
    """
    if not path.exists():
        return _empty()
    uri = path.absolute().as_uri()
    if unchanging:
        return _open_reader(path, f"{uri}?mode=ro&immutable=1")
    try:
        # Not mode=ro: a reader that may not write leaves its -shm and -wal files behind.
        return _open_reader(path, f"{uri}?mode=rw")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _UNUSABLE:
            raise
        # A read-only folder has no place for those files. What a killed writer left in its -wal is not read then.
        return _open_reader(path, f"{uri}?mode=ro&immutable=1")


def look_into(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """Return what is read from a manifest that exists, without changing anything on disk, not even next to it."""
    had_log = has_log(path)
    try:
        return _looked_into(path, read)
    except ManifestUnreadable:
        if had_log or not has_log(path):
            raise
        return _looked_into(path, read)  # a writer has started meanwhile, so what was read was half old, half new


def _looked_into(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    with explain_sqlite_errors(path), closing(connect_onlooker(path)) as connection:
        return read(connection)


def connect_onlooker(path: Path) -> sqlite3.Connection:
    """Open a manifest that exists for ``look_into``."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if has_log(path):  # a writer is at work, or was killed: the log is read too
        try:
            return _open_reader(path, uri)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _UNUSABLE:
                raise  # otherwise SQLite cannot create the file that it needs to read a killed writer's log
    return _open_reader(path, f"{uri}&immutable=1")


def has_log(path: Path) -> bool:
    """Whether a manifest has SQLite's log next to it: a writer is at work, or was killed."""
    return path.with_name(f"{path.name}-wal").exists()


def fold_log(path: Path) -> None:
    """Write into a manifest what a killed writer left in its log, if anything."""
    if has_log(path):
        with closing(connect_writer(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint")


@contextmanager
def explain_sqlite_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite, and of the operating system, into errors that name the manifest."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        failure = _explanation(path, error)
        if failure is None:
            raise
        raise failure from error
    except (UnicodeDecodeError, UnreadableRow) as error:
        raise _damaged(path, error) from error
    except PermissionError as error:
        raise RootUnusable(f"Cannot use the manifest {path}: {error.strerror}", hint=_MAKE_IT_USABLE) from error


def _open_reader(path: Path, uri: str) -> sqlite3.Connection:
    _require_own_files(path)
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS)
    with _closed_on_error(connection):
        if version := _version(connection, path):
            for statement in (one for step in _UPGRADES[version:] for one in step.stand_ins):
                connection.execute(statement)
            connection.execute("PRAGMA query_only = ON")
            return connection
    connection.close()
    return _empty()


def _require_own_files(path: Path) -> None:
    try:
        require_own_files(path)
    except OSError as error:
        message = f"The file {error.filename} is not a manifest of crypto-archive: {error.strerror}"
        raise ManifestUnreadable(message, path, hint=_REBUILD) from error


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for statement in (one for step in _UPGRADES for one in step.change):
        connection.execute(statement)
    return connection


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new manifest, or bring those of an older one up to date, in one transaction."""
    if _version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        # Asked again: another process may have upgraded it while this one waited for the lock.
        for statement in (one for step in _UPGRADES[_version(connection, path) :] for one in step.change):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the tables, 0 if there are none; raise ``ManifestUnreadable`` if they are unknown."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version > SCHEMA_VERSION:
        raise ManifestUnreadable(
            f"A newer crypto-archive wrote the manifest {path} (schema {version}; this one knows {SCHEMA_VERSION})",
            path,
            hint=f"Update crypto-archive, or do without what the newer one recorded: {_REBUILD}",
        )
    if tables and version < 1:
        raise ManifestUnreadable(f"The file {path} is not a manifest of crypto-archive", path, hint=_REBUILD)
    return int(version) if tables else 0


def _is_full(path: Path) -> bool:
    """Whether the disk has no room for a page; SQLite reports an I/O error when its -shm file does not fit."""
    try:
        return shutil.disk_usage(path.parent).free < _ROOM_BYTES
    except OSError:
        return False


def _explanation(path: Path, error: sqlite3.DatabaseError) -> EnvironmentFailure | None:
    """Return the error in plain words, None when it is a bug in this program."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return RootUnusable(
            f"The disk is full: cannot write the manifest {path}", hint="Free some space, then run again."
        )
    if code in _UNUSABLE:
        return RootUnusable(f"Cannot use the manifest {path}: {error}", hint=_MAKE_IT_USABLE)
    if code in _BUSY:
        return EnvironmentFailure(
            f"Another program keeps the manifest {path} locked",
            hint="Close the program that has the file open, then run again.",
        )
    # Text of a damaged page that Python cannot decode has no error code of SQLite's.
    if code in _DAMAGED or "decode to UTF-8" in str(error):
        return _damaged(path, error)
    return None


def _damaged(path: Path, error: Exception) -> EnvironmentFailure:
    what = " ".join(str(error).split())
    return ManifestUnreadable(f"The manifest is damaged: {path} ({what[:200]})", path, hint=_REBUILD)


_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock: milliseconds."""


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of ``examine``.

    Attributes:
        version: The version of the tables.
        objects: How many objects are recorded; None if time ran out before.
        complete: Whether the whole file was checked.
    """

    version: int
    objects: int | None
    complete: bool


def examine(path: Path, seconds: float) -> Examined:
    """Check the integrity of a manifest that exists, for a limited time."""
    return look_into(path, partial(_examined, seconds=seconds))


def _examined(connection: sqlite3.Connection, seconds: float) -> Examined:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    objects = None
    try:
        (objects,) = connection.execute("SELECT count(*) FROM object").fetchone()
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Examined(version, objects, complete=False)
    if verdict != "ok":
        raise UnreadableRow(verdict)
    return Examined(version or SCHEMA_VERSION, objects, complete=True)
