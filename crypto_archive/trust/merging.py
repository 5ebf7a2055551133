"""Take what one manifest knows into another one: into that of a root what a part of it has come to."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from crypto_archive.trust.database import FIELDS, connect_reader, connect_writer, explained
from crypto_archive.trust.entries import absence_of, entry_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.trust.entries import AbsenceRow, Row

_PAGE = 1000
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
