"""Looks whether a manifest is sound; changes nothing, and gives up after a while."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.errors import ManifestUnreadable
from crypto_archive.trust.database import SCHEMA_VERSION, UnreadableRow, connect_onlooker, explained, has_log

if TYPE_CHECKING:
    from pathlib import Path

_STEPS = 10_000
"""How many steps of SQLite's machine go by between two looks at the clock: milliseconds."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was seen.

    Attributes:
        version: The version of its tables.
        objects: How many objects it knows; None where time ran out before.
        complete: Whether all of it was looked at.
    """

    version: int
    objects: int | None
    complete: bool


def examine(path: Path, seconds: float) -> Examined:
    """Look through a manifest that exists.

    Args:
        path: The database file.
        seconds: How long that may take.

    Raises:
        ManifestUnreadable: It is damaged, or none that this version knows.
        EnvironmentFailure: Another program keeps it locked.
        RootUnusable: It cannot be opened.
    """
    followed = has_log(path)
    try:
        return _examined(path, seconds)
    except ManifestUnreadable:
        if followed or not has_log(path):
            raise
        return _examined(path, seconds)  # somebody has begun to write meanwhile


def _examined(path: Path, seconds: float) -> Examined:
    with explained(path), closing(connect_onlooker(path)) as connection:
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        objects = None
        try:
            (objects,) = connection.execute("SELECT count(*) FROM object").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return Examined(SCHEMA_VERSION, objects, complete=False)
        if verdict != "ok":
            raise UnreadableRow(verdict)
    return Examined(SCHEMA_VERSION, objects, complete=True)
