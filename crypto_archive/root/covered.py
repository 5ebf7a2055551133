"""Daily objects that a monthly one may replace: which exist, what rows they hold, how they are moved aside."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections import deque
from contextlib import contextmanager
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.errors import RootUnusable
from crypto_archive.model import SIDECAR_SUFFIX, Partition, Period
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix
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
    destination = _free_name(wanted, with_sidecar=has_sidecar)
    moves = [(sidecar, _sidecar_of(destination))] if has_sidecar else []
    moved = 0
    for source, target in (*moves, (file, destination)):
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


LONGEST_ROW = 1 << 16
"""In bytes. The archive's rows have a few hundred at most; what is longer is no CSV."""
_BUFFER_BYTES = 1 << 20

# What zipfile is known to raise over bytes that are no zip, break off, or ask for what it cannot do.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class BrokenZip(Exception):
    """A file is no zip of one CSV, or breaks off.

    Attributes:
        path: The file.
        reason: What is wrong with it, for people.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def rows(path: Path) -> Iterator[bytes]:
    """Yield the rows of the CSV in a zip, without their line ends; column names and empty lines are left out.

    A line of column names is told by its first letter: rows begin with a digit. At the end of the rows the checksum
    within the zip has been compared.

    Raises:
        BrokenZip: The file is no zip of one CSV, or breaks off; also half way.
        OSError: The file cannot be read.
    """
    with _told_of(path), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BrokenZip(path, f"the zip holds {len(names)} files, not one CSV")
        with archive.open(names[0]) as packed, io.BufferedReader(packed, _BUFFER_BYTES) as stream:  # type: ignore[type-var]
            read_line = partial(stream.readline, LONGEST_ROW)
            first = read_line()
            for line in chain([] if first[:1].isalpha() else [first], iter(read_line, b"")):
                row = line.rstrip(b"\r\n")
                if len(row) == LONGEST_ROW:
                    raise BrokenZip(
                        path, f"it has a row of {LONGEST_ROW} bytes or more, so it is no CSV of the archive"
                    )
                if row:
                    yield row


def held(monthly: Path, dailies: Iterable[Path]) -> Iterator[Path]:
    """Yield daily files one by one as long as a monthly one holds all of their rows, in the order in which they stand.

    Each row of the days must have a row of its own in the month, which may have more. Days that are not yielded are not
    held, nor looked at beyond the first of them. All files are read once, and the monthly one to its end: only when the
    iteration is over is it known that it does not break off.

    Args:
        monthly: The zip of a month.
        dailies: Zips of its days, in the order of their dates.

    Raises:
        BrokenZip: One of the files is no zip of one CSV, or breaks off.
        OSError: One of them cannot be read.
    """
    rest = rows(monthly)
    for daily in dailies:
        if not all(row in rest for row in rows(daily)):  # ``in`` moves ``rest`` to behind the row that it finds
            return
        yield daily
    deque(rest, maxlen=0)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Turn what reading a broken zip raises into one error that names the file."""
    try:
        yield
    except _BROKEN as error:
        raise BrokenZip(path, f"the zip is broken: {error}") from error
