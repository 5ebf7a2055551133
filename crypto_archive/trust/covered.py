"""Daily objects on disk that a monthly one may stand for: which there are, and how they are moved aside."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.keys import sidecar_key
from crypto_archive.layouts import NoPlace
from crypto_archive.model import SIDECAR_SUFFIX, Partition, Period
from crypto_archive.trust.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import ArchiveObject


def prefix_of_days(matrix: Matrix, month: ArchiveObject) -> str | None:
    """Return what the keys of a month's daily objects begin with, up to the date.

    None for what is no monthly object, and where the archive has no daily ones: funding rates, or klines of ``1mo``.
    """
    row = matrix.row(month.series.market, month.series.data_type)
    if row is None or month.period.partition is not Partition.MONTHLY or Partition.DAILY not in row.partitions:
        return None
    interval = month.series.interval
    if interval is not None and interval not in row.intervals(Partition.DAILY):
        return None
    return row.key_pattern.series_prefix(Partition.DAILY, month.series.symbol, interval)


def months_with_days(root: Root, prefix: str) -> frozenset[str]:
    """Return the months (``2025-07``) from which there are daily objects on disk, by one look at their folder.

    Args:
        root: The archive root, in which paths are keys.
        prefix: What the keys of the daily objects begin with, up to the date.

    Raises:
        RootUnusable: Their folder cannot be read.
    """
    return frozenset(key.removeprefix(prefix)[: len("2025-07")] for key in _keys_of_files(root, prefix))


def stored_days(root: Root, matrix: Matrix, month: ArchiveObject) -> tuple[ArchiveObject, ...]:
    """Return the daily objects of a month's series and dates that are on disk, in the order of their dates.

    Raises:
        RootUnusable: Their folder cannot be read.
    """
    prefix = prefix_of_days(matrix, month)
    if prefix is None:
        return ()
    if not root.layout.by_key:
        return tuple(day for day in _days_of(matrix, month) if _is_file(root, day.key))
    found = map(matrix.object_of, _keys_of_files(root, prefix))
    days = [item for item in found if item is not None and item.period.partition is Partition.DAILY]
    ours = (day for day in days if Period.containing(day.period.first_day, Partition.MONTHLY) == month.period)
    return tuple(sorted(ours, key=lambda day: day.period))


def move_aside(root: Root, key: str) -> int:
    """Move a stored object and its sidecar below ``covered/``, under their own names or, where those are taken, others.

    The sidecar goes first, so that a run that is killed in between leaves the zip to be found and moved by the next.

    Args:
        root: The archive root.
        key: The object's key.

    Returns:
        Bytes of what was moved.

    Raises:
        OSError: It cannot be moved; what has been moved stays so.
        ValueError: The key is none that a file may have.
    """
    file, sidecar = root.file(key), root.file(sidecar_key(key))
    has_sidecar = os.path.lexists(sidecar)
    wanted = Root(root.covered).file(key)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    goal = _free_name(wanted, with_sidecar=has_sidecar)
    moves = [(sidecar, _sidecar_of(goal))] if has_sidecar else []
    moved = 0
    for source, target in (*moves, (file, goal)):
        size = source.lstat().st_size
        source.rename(target)
        moved += size
    return moved


def _days_of(matrix: Matrix, month: ArchiveObject) -> Iterator[ArchiveObject]:
    """Yield the daily objects that there could be of a month."""
    series = month.series
    row = matrix.row(series.market, series.data_type)
    day = Period.containing(month.period.first_day, Partition.DAILY)
    while row is not None and day.first_day <= month.period.last_day:
        yield row.object(series.symbol, series.interval, day)
        day = day.next()


def _is_file(root: Root, key: str) -> bool:
    try:
        return root.file(key).is_file()
    except NoPlace:
        return False


def _keys_of_files(root: Root, prefix: str) -> list[str]:
    """Return the keys of the zips on disk that begin with a prefix, whose last part is the beginning of a name."""
    folder, slash, stem = prefix.rpartition("/")
    try:
        with os.scandir(root.file(folder)) as found:
            names = [file.name for file in found if file.name.startswith(stem) and file.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RootUnusable(
            f"Cannot read the folder {root.file(folder)}: {error.strerror}",
            hint="See that you may read the output directory.",
        ) from error
    return [folder + slash + name for name in names if not name.endswith(SIDECAR_SUFFIX)]


def _free_name(wanted: Path, *, with_sidecar: bool) -> Path:
    """Return a name under which nothing stands, nor a sidecar where one is to stand beside it."""
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}") for number in count(1))
    taken = os.path.lexists
    return next(name for name in names if not taken(name) and not (with_sidecar and taken(_sidecar_of(name))))


def _sidecar_of(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR_SUFFIX)
