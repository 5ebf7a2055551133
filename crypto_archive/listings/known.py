"""Which symbols the remembered listings speak of: a quick look for suggestions, which may miss some."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from crypto_archive.listings.store import FOLDERS, VERSION, unpacked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

MOST_PAGES = 200
"""How many pages are read at most; one takes less than a millisecond."""

_WAIT_SECONDS = 0.2


def remembered_symbols(path: Path, folders: Collection[str]) -> set[str]:
    """Return the symbols that the archive was seen to have in some folders.

    Args:
        path: The file of listings; without one nothing is remembered.
        folders: Prefixes that end in ``/``, below which each symbol has its folder.

    Raises:
        sqlite3.Error: The file cannot be read.
    """
    if not path.is_file():
        return set()
    # Without a log beside it nobody writes, and SQLite would begin one.
    following = path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("" if following else "&immutable=1")
    with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS)) as connection:
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
