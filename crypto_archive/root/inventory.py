"""What a manifest has, by market and data type: read folder by folder of its keys, in a memory that stays small."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.model import Verdict
from crypto_archive.root.database import UnreadableRow, look_into

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path
    from sqlite3 import Connection

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.model import Market

_NEXT = "SELECT key FROM object WHERE key >= ? ORDER BY key LIMIT 1"
_TOTALS = "SELECT count(*), sum(size), max(key), sum(verdict <> 'ok') FROM object WHERE key >= ? AND key < ?"
_FAULTS = "SELECT verdict, count(*) FROM object WHERE key >= ? AND key < ? AND verdict <> 'ok' GROUP BY verdict"


@dataclass(slots=True)
class GroupInventory:
    """What is stored of one market and data type.

    Attributes:
        series: Symbol and interval of each series.
        objects: How many objects there are.
        bytes: Their bytes, without sidecars.
        newest: The newest day that an object has.
    """

    series: set[tuple[str, str | None]] = field(default_factory=set)
    objects: int = 0
    bytes: int = 0
    newest: date | None = None


@dataclass(slots=True)
class Inventory:
    """What is recorded as stored.

    Attributes:
        groups: What there is by market and data type.
        faults: How many objects have which verdict other than ``ok``.
        unrecognized: Objects whose keys the matrix does not know; they are in no group.
    """

    groups: dict[tuple[Market, str], GroupInventory] = field(default_factory=dict)
    faults: Counter[Verdict] = field(default_factory=Counter)
    unrecognized: int = 0

    @property
    def objects(self) -> int:
        """How many objects there are."""
        return sum(group.objects for group in self.groups.values()) + self.unrecognized


def take_inventory(path: Path, matrix: Matrix) -> Inventory:
    """Return what a manifest has; one that does not exist has nothing. Changes nothing, and disturbs no writer."""
    return look_into(path, lambda connection: _inventory(connection, matrix)) if path.exists() else Inventory()


def count_records(path: Path) -> int:
    """Return how many objects a manifest has, such as that of a shard."""
    if not path.exists():
        return 0
    return int(look_into(path, lambda connection: connection.execute("SELECT count(*) FROM object").fetchone()[0]))


def _inventory(connection: Connection, matrix: Matrix) -> Inventory:
    found = Inventory()
    connection.execute("BEGIN")  # a single state of the manifest, while a run goes on writing
    for first, behind in _folders(connection):
        objects, size, newest, faults = connection.execute(_TOTALS, (first, behind)).fetchone()
        if faults:
            found.faults.update({_verdict(name): n for name, n in connection.execute(_FAULTS, (first, behind))})
        item = matrix.object_of(newest)
        if item is None:
            found.unrecognized += objects
            continue
        group = found.groups.setdefault((item.series.market, item.series.data_type), GroupInventory())
        group.series.add((item.series.symbol, item.series.interval))
        group.objects += objects
        group.bytes += size
        # Names within a folder sort by date, but for the few that the archive wrote without leading zeros.
        group.newest = max(item.period.last_day, group.newest or item.period.last_day)
    return found


def _folders(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield each folder that holds objects, that is a series in one partition, and what sorts just after all of it."""
    start = ""
    while row := connection.execute(_NEXT, (start,)).fetchone():
        folder = row[0].rpartition("/")[0] if isinstance(row[0], str) else ""
        if not folder:
            raise UnreadableRow("a key is in no folder")
        first, start = max(start, f"{folder}/"), folder + chr(ord("/") + 1)
        yield first, start


def _verdict(name: str) -> Verdict:
    try:
        return Verdict(name)
    except ValueError as error:
        raise UnreadableRow(str(error)) from error
