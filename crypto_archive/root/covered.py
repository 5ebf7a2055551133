"""Daily objects that a monthly one may replace: which exist, what rows they hold, how they are moved aside."""

from __future__ import annotations

import errno
import os
from collections import deque
from datetime import date
from functools import partial
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.files import free_name
from crypto_archive.model import SIDECAR_SUFFIX, Partition, Period
from crypto_archive.root.store import Root, explain_root_errors, leads_outside, scan_folder
from crypto_archive.root.zips import BrokenZip, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject


def prefix_of_days(matrix: Matrix, month: ArchiveObject) -> str | None:
    """Return how the keys of a month's daily objects begin, up to the date.

    None if the object is not monthly, and where the archive has no daily ones: funding rates, or klines of ``1mo``.
    """
    row = matrix.row(month.series.market, month.series.data_type)
    if row is None or month.period.partition is not Partition.MONTHLY or Partition.DAILY not in row.partitions:
        return None
    interval = month.series.interval
    if interval is not None and interval not in row.intervals(Partition.DAILY):
        return None
    return row.key_pattern.series_prefix(Partition.DAILY, month.series.symbol, interval)


def months_with_days(root: Root, prefix: str) -> frozenset[str]:
    """Return the months (``2025-07``) that have daily objects on disk, by reading their folder once.

    Works where paths are keys; ``prefix`` is how the keys begin, up to the date.
    """
    return frozenset(key.removeprefix(prefix)[: len("2025-07")] for key in _keys_of_files(root, prefix))


def stored_days(root: Root, matrix: Matrix, month: ArchiveObject) -> tuple[ArchiveObject, ...]:
    """Return the daily objects of a month's series and dates that are on disk, in the order of their dates."""
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
    """Move a stored object and its sidecar below ``covered/``, and return their size; raise ``OSError`` if it fails.

    The sidecar goes first: if the process is killed in between, the next run finds the zip and moves it.
    """
    file, sidecar = root.file(key), root.file(sidecar_key(key))
    has_sidecar = os.path.lexists(sidecar)
    wanted = Root(root.covered).file(key)
    for folder in (file.parent, sidecar.parent, wanted.parent):
        if leads_outside(root, folder):
            raise OSError(errno.ELOOP, "a link leads out of the archive root", str(folder))
    wanted.parent.mkdir(parents=True, exist_ok=True)
    target = free_name(wanted, SIDECAR_SUFFIX) if has_sidecar else free_name(wanted)
    moved = 0
    for source, to in ((sidecar, _sidecar_of(target)), (file, target)) if has_sidecar else ((file, target),):
        size = source.lstat().st_size
        source.rename(to)
        moved += size
    return moved


def _days_of(matrix: Matrix, month: ArchiveObject) -> Iterator[ArchiveObject]:
    """Yield the daily objects that a month may have."""
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
    with explain_root_errors(root):  # a link that cannot be followed
        entries = scan_folder(root.file(folder))
        names = [entry.name for entry in entries if entry.name.startswith(stem) and entry.is_file()]
    return [folder + slash + name for name in names if not name.endswith(SIDECAR_SUFFIX)]


def _sidecar_of(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR_SUFFIX)


_TIME_COLUMNS = ("open_time", "transact_time", "time", "event_time", "calc_time", "create_time", "timestamp", "date")
"""What the archive calls the time of a row; in files that have several, the first of these counts."""
_SECONDS_A_DAY = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


class RowsDiffer(Exception):
    """A monthly file does not have exactly the rows of a daily one.

    Attributes:
        day: The day of the daily file.
    """

    def __init__(self, day: date) -> None:
        super().__init__(str(day))
        self.day = day


def time_column(columns: Sequence[str]) -> int | None:
    """Return which column of a CSV has the time of its rows, None if that is unknown."""
    return next((columns.index(name) for name in _TIME_COLUMNS if name in columns), None)


def equal_days(monthly: Path, days: Mapping[date, Path], column: int) -> Iterator[Path]:
    """Yield daily files, in the order of their dates, whose rows are exactly those that a monthly one has of their day.

    The rows of a day have to be equal, in the same order, and in one place of the month: neither more nor fewer, since
    the archive has months with rows twice, or mixed. Column names and line ends do not count, nor do rows of days that
    are not asked for. All files are read once, and the monthly one to its end: only when the iteration is over is it
    certain that no day comes twice.

    Raises:
        RowsDiffer: They are not, or the month has a row without a time.
        BrokenZip: A file cannot be read to its end.
        OSError: A file cannot be read.
    """
    expected = deque(sorted(days))
    for day, rows_of_day in groupby(rows(monthly), key=partial(_day_of, column)):
        if day is None:
            raise RowsDiffer(expected[0] if expected else max(days))
        if day not in days:
            continue
        while expected and expected[0] < day:
            yield _without_rows(days, expected.popleft())
        if not expected or expected.popleft() != day:
            raise RowsDiffer(day)
        if not all(one == other for one, other in zip_longest(rows_of_day, rows(days[day]))):
            raise RowsDiffer(day)
        yield days[day]
    for day in expected:
        yield _without_rows(days, day)


def _without_rows(days: Mapping[date, Path], day: date) -> Path:
    """Return the daily file of a day of which the month has nothing."""
    if any(True for _ in rows(days[day])):
        raise RowsDiffer(day)
    return days[day]


def month_days(path: Path, row: Row, month: Period) -> int | None:
    """Return of which days a monthly file has rows, one bit per day; None if its rows do not tell."""
    at = time_column(row.columns)
    if at is None:
        return None
    found = 0
    try:
        for line in rows(path):
            day = _day_of(at, line)
            if day is not None and month.first_day <= day <= month.last_day:
                found |= 1 << (day.day - 1)
    except (BrokenZip, OSError):
        return None
    return found or None


def _day_of(column: int, row: bytes) -> date | None:
    """Return the UTC day of a row whose time is in seconds or smaller units since 1970, or is text; else None."""
    try:
        text = row.split(b",", column + 1)[column].strip(b'"').decode("ascii")
        if text.isdecimal():  # seconds have ten digits from 2001 to 2286
            return date.fromordinal(_EPOCH + int(text[:10]) // _SECONDS_A_DAY)
        return date.fromisoformat(text[:10])
    except (IndexError, ValueError, OverflowError):
        return None
