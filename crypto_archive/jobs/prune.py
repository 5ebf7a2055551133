"""Move daily objects aside once a monthly one on disk is proven and has exactly their rows.

Nothing is deleted: at any moment a daily object is at its final path or below ``covered/``. The manifest forgets it
just before it is moved, so that a run that is killed in between leaves a file without a row, which the next run adopts
or moves, and never a row without a file.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, Self

from crypto_archive.events import Comparing, DaysCovered, DaysKept, ObjectFinished, ObjectsKept
from crypto_archive.files import DiskQueue
from crypto_archive.model import STORED, ArchiveObject, Verdict
from crypto_archive.root.covered import (
    RowsDiffer,
    equal_days,
    months_with_days,
    move_aside,
    prefix_of_days,
    stored_days,
    time_column,
)
from crypto_archive.root.proof import check_stored
from crypto_archive.root.store import DISK_FULL, root_unusable
from crypto_archive.root.zips import BrokenZip, zip_fault

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from crypto_archive.events import Event
    from crypto_archive.model import ManifestEntry
    from crypto_archive.root.manifest import Manifest
    from crypto_archive.root.session import Context
    from crypto_archive.root.store import Root

_FOLDERS_KEPT = 16


class CoveringMonths:
    """The monthly objects of a run that are on disk together with daily ones; iterate it once, at the end of the run.

    Its methods raise RootUnusable when the disk is full, or the root cannot be read or written.
    """

    def __init__(self, context: Context) -> None:
        self._root, self._matrix = context.root, context.matrix
        self._months_with_days = lru_cache(maxsize=_FOLDERS_KEPT)(partial(months_with_days, context.root))
        self._queue = DiskQueue[ArchiveObject](context.root.staging)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()

    def note(self, event: ObjectFinished | ObjectsKept) -> None:
        """Take in how objects ended; only monthly ones that are stored matter."""
        if isinstance(event, ObjectsKept):
            stored = [item.object for item in event.planned]
        else:
            stored = [event.object] if event.outcome in STORED else []
        for month in filter(self._has_days, stored):
            self._queue.put(month)

    def __iter__(self) -> Iterator[ArchiveObject]:
        self._queue.end()
        return iter(self._queue)

    def _has_days(self, month: ArchiveObject) -> bool:
        if not self._root.layout.by_key:
            return bool(stored_days(self._root, self._matrix, month))
        prefix = prefix_of_days(self._matrix, month)
        return prefix is not None and str(month.period) in self._months_with_days(prefix)


class _Finding(NamedTuple):
    """The result of a comparison: a reason unless the rows of all days are equal, and a verdict on a month at fault."""

    reason: str | None = None
    verdict: Verdict | None = None


def prune(context: Context, manifest: Manifest, month: ArchiveObject) -> Iterator[Event]:
    """Prove a stored monthly object, compare it with the daily ones on disk, and move those aside.

    All or nothing: if the rows of one day differ, all stay. A monthly object whose rows are not those of a proven day
    is recorded with the verdict ``GAPS``, which is cleared once they turn out to be equal; one whose zip is broken,
    with ``BAD_ZIP``.

    Yields ``Comparing`` while it compares, then ``DaysCovered`` or ``DaysKept``, or both when some could not be moved.
    Cancelled before anything is moved, it ends without either. Raises EnvironmentFailure when the disk is full, a
    folder cannot be read, or the manifest cannot be used.
    """
    root = context.root
    days = stored_days(root, context.matrix, month)
    if not days:
        return
    yield Comparing(month, len(days))
    entry = manifest.entry(month.key)
    reason = _doubt(root, month, entry)
    if reason is not None or entry is None:
        yield DaysKept(month, len(days), reason or "it is not in the manifest")
        return
    finding = yield from _compare(context, manifest, month, days)
    if finding is None:
        return
    if finding.verdict is not None:
        _mark(manifest, entry, finding.verdict)
    if finding.reason is not None:
        yield DaysKept(month, len(days), finding.reason)
        return
    if entry.verdict is Verdict.GAPS:
        _mark(manifest, entry, Verdict.OK)
    yield from _move(root, manifest, month, days)


def _doubt(root: Root, month: ArchiveObject, entry: ManifestEntry | None) -> str | None:
    """Return why a stored file is not proven; None when its sidecar or its digest confirms it."""
    # ``GAPS`` replaced the verdict of its bytes, so the manifest no longer tells how they were proven: ask the sidecar.
    known = None if entry is not None and entry.verdict is Verdict.GAPS else entry
    proof = check_stored(root, month.key, known)
    return None if proof.verdict is Verdict.OK else f"it is {proof.verdict}: {proof.reason}"


def _compare(
    context: Context, manifest: Manifest, month: ArchiveObject, days: Sequence[ArchiveObject]
) -> Generator[Event, None, _Finding | None]:
    """Compare a monthly file with daily ones; None when it was cancelled."""
    root, monthly = context.root, context.root.file(month.key)
    row = context.matrix.row(month.series.market, month.series.data_type)
    column = time_column(row.columns) if row is not None else None
    if column is None:
        return _Finding("the matrix does not say which column holds the time, so its rows cannot be assigned to days")
    files = {day.period.first_day: root.file(day.key) for day in days}
    if len(files) < len(days):  # one known key has a date without a leading zero
        return _Finding("two of its daily objects are of the same day")
    try:
        for done, _ in enumerate(equal_days(monthly, files, column), 1):
            yield Comparing(month, len(days), done)
            if context.cancelled.is_set():
                return None
    except RowsDiffer as difference:
        return _blame(root, manifest, monthly, next(day for day in days if day.period.first_day == difference.day))
    except BrokenZip as error:
        if error.path == monthly:
            return _Finding(error.reason, Verdict.BAD_ZIP)
        return _Finding(f"of {error.path.name}, {error.reason}")
    except OSError as error:
        return _Finding(f"{error.filename or monthly} cannot be read: {error.strerror or error}")
    return _Finding()


def _blame(root: Root, manifest: Manifest, monthly: Path, day: ArchiveObject) -> _Finding:
    """Decide whether a month is at fault for other rows than a day has: only if the day itself is proven.

    Broken zips come first: of a garbled one, other rows than it had are read before its CRC fails.
    """
    if (fault := zip_fault(monthly, monthly.name, read=True)) is not None:
        return _Finding(fault, Verdict.BAD_ZIP)
    daily = root.file(day.key)
    if (fault := zip_fault(daily, daily.name, read=True)) is not None:
        return _Finding(f"of {daily.name}, {fault}")
    differs = f"its rows are not those of {_name(day.key)}"
    proof = check_stored(root, day.key, manifest.entry(day.key))
    if proof.verdict is Verdict.OK:
        return _Finding(differs, Verdict.GAPS)
    return _Finding(f"{differs}, which is {proof.verdict}: {proof.reason}")


def _mark(manifest: Manifest, entry: ManifestEntry, verdict: Verdict) -> None:
    if entry.verdict is not verdict:
        manifest.record(entry._replace(verdict=verdict))


def _move(root: Root, manifest: Manifest, month: ArchiveObject, days: Sequence[ArchiveObject]) -> Iterator[Event]:
    rows = [row for day in days if (row := manifest.entry(day.key)) is not None]
    manifest.forget(day.key for day in days)
    moved: list[str] = []
    size, failure = 0, None
    try:
        for day in days:
            size += move_aside(root, day.key)
            moved.append(day.key)
    except OSError as error:
        failure = error
    if moved:
        yield DaysCovered(month, tuple(moved), size)
    if failure is not None:
        for row in rows:
            if row.key not in moved:
                manifest.record(row)
        if failure.errno in DISK_FULL:
            raise root_unusable(root, failure) from failure
        reason = f"{_name(days[len(moved)].key)} cannot be moved: {failure.strerror or failure}"
        yield DaysKept(month, len(days) - len(moved), reason)


def _name(key: str) -> str:
    return key.rpartition("/")[2]
