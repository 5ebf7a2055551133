"""Daily objects that a monthly one may replace: which exist, what rows they hold, how they are moved aside."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from collections import deque
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.files import free_name
from crypto_archive.model import SIDECAR_SUFFIX, Partition, Period
from crypto_archive.root.store import Root, explain_root_errors, leads_outside, scan_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix
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


LONGEST_ROW = 1 << 16
"""In bytes. The archive's rows have a few hundred at most; a longer one is not CSV."""
_BUFFER_BYTES = 1 << 20


class BrokenZip(Exception):
    """A file is not a zip of one CSV, or breaks off.

    Attributes:
        path: The file.
        reason: What is wrong with it, for people.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def rows(path: Path) -> Iterator[bytes]:
    """Yield the rows of the CSV in a zip, without line ends, column names and empty lines.

    Column names are recognised by their first letter: rows begin with a digit. Reading to the end also checks the zip's
    own checksum. May raise ``BrokenZip`` or ``OSError`` half way.
    """
    with _named(path), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BrokenZip(path, f"the zip holds {len(names)} files, not one CSV")
        with archive.open(names[0]) as packed, io.BufferedReader(packed, _BUFFER_BYTES) as stream:  # type: ignore[type-var]
            read_line = partial(stream.readline, LONGEST_ROW)
            first = read_line()
            for line in chain([] if first[:1].isalpha() else [first], iter(read_line, b"")):
                row = line.rstrip(b"\r\n")
                if len(row) == LONGEST_ROW:
                    raise BrokenZip(path, f"it has a row of {LONGEST_ROW} bytes or more, so it is not a CSV file")
                if row:
                    yield row


def held(monthly: Path, dailies: Iterable[Path]) -> Iterator[Path]:
    """Yield daily files, in the order of their dates, as long as a monthly one holds all of their rows in that order.

    Each daily row needs a monthly row of its own; the month may have more. The first day that is not held ends the
    iteration. All files are read once, and the monthly one to its end: only when the iteration is over is it certain
    that the monthly file does not break off. Raises ``BrokenZip`` or ``OSError``.
    """
    rest = rows(monthly)
    for daily in dailies:
        if not all(row in rest for row in rows(daily)):  # ``in`` moves ``rest`` behind the row that it finds
            return
        yield daily
    deque(rest, maxlen=0)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what reading a broken zip raises into one error that names the file.

    That can be anything: each decompressor has an error of its own, and nonsense sizes or offsets raise others.
    """
    try:
        yield
    except BrokenZip:
        raise
    except OSError as error:
        if error.errno not in {None, errno.EINVAL}:  # EINVAL: it seeks to before the beginning
            raise
        raise BrokenZip(path, f"the zip is broken: {error}") from error
    except Exception as error:
        raise BrokenZip(path, f"the zip is broken: {error}") from error
