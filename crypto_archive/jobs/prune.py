"""Move daily objects aside once a monthly one that is on disk is proven and holds all of their rows.

Nothing is deleted: at any moment a daily object is at its final path or below ``covered/``. The manifest forgets it
just before it is moved, so that a run that is killed in between leaves a file without a row, which the next run adopts
or moves, and never a row without a file.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

from crypto_archive.events import Comparing, DaysCovered, DaysKept, ObjectFinished
from crypto_archive.model import Outcome, Verdict
from crypto_archive.root.covered import BrokenZip, held, months_with_days, move_aside, prefix_of_days, stored_days
from crypto_archive.root.proof import check_stored
from crypto_archive.root.store import DISK_FULL, explain_root_errors, root_unusable

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Sequence
    from types import TracebackType

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.events import Event
    from crypto_archive.model import ArchiveObject, ManifestEntry
    from crypto_archive.root.manifest import Manifest
    from crypto_archive.root.store import Root

_THERE = {Outcome.PRESENT, Outcome.FETCHED, Outcome.UPDATED}
_FOLDERS_KEPT = 16


class CoveringMonths:
    """The monthly objects of a run that are there and have daily ones on disk; iterate it once the run is settled.

    They are kept in a nameless file in staging, so that memory does not grow with their number.

    Args:
        root: The archive root, opened for writing.
        matrix: What knows the keys.

    Raises:
        RootUnusable: The disk is full, or the root cannot be read or written; the methods raise it, too.
    """

    def __init__(self, root: Root, matrix: Matrix) -> None:
        self._root = root
        self._matrix = matrix
        self._months_with_days = lru_cache(maxsize=_FOLDERS_KEPT)(lambda prefix: months_with_days(root, prefix))
        with explain_root_errors(root):
            self._keys = tempfile.TemporaryFile("w+", dir=root.staging, encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keys.close()

    def note(self, event: Event) -> None:
        """Take in an event of the run; those that settle no such object are ignored."""
        if not isinstance(event, ObjectFinished) or event.outcome not in _THERE:
            return
        if self._has_days(event.object):
            with explain_root_errors(self._root):
                self._keys.write(event.object.key + "\n")

    def _has_days(self, month: ArchiveObject) -> bool:
        if not self._root.layout.by_key:
            return bool(stored_days(self._root, self._matrix, month))
        prefix = prefix_of_days(self._matrix, month)
        return prefix is not None and str(month.period) in self._months_with_days(prefix)

    def __iter__(self) -> Iterator[ArchiveObject]:
        with explain_root_errors(self._root):
            self._keys.seek(0)
            lines = iter(self._keys.readline, "")
        found = (self._matrix.object_of(line.rstrip("\n")) for line in lines)
        return (month for month in found if month is not None)


class _Finding(NamedTuple):
    """What a comparison came to; the reason is empty when all days are held."""

    reason: str = ""
    lacks_rows: bool = False


def prune(
    root: Root, matrix: Matrix, manifest: Manifest, month: ArchiveObject, cancelled: threading.Event
) -> Iterator[Event]:
    """Prove a stored monthly object, see that it holds the rows of the daily ones on disk, and move those aside.

    All or nothing: one day that is not held, and all stay. A monthly object that lacks rows of a proven day, or whose
    zip is broken, is recorded with the verdict ``GAPS``; one that turns out to hold all of them is rid of it.

    Args:
        root: The archive root, whose lock is held.
        matrix: What knows the keys.
        manifest: Open for writing, in this thread.
        month: The monthly object; where it has no daily ones on disk, nothing happens.
        cancelled: Ends it before anything is moved, once it is set.

    Yields:
        ``Comparing`` as it goes on, then ``DaysCovered`` or ``DaysKept``, or both when some could not be moved.

    Raises:
        RootUnusable: The disk is full, or a folder cannot be read.
        EnvironmentFailure: The manifest cannot be used.
    """
    days = stored_days(root, matrix, month)
    if not days:
        return
    yield Comparing(month, len(days))
    entry = manifest.entry(month.key)
    reason = _doubt(root, month, entry)
    if reason or entry is None:
        yield DaysKept(month, len(days), reason or "the manifest does not know it")
        return
    finding = yield from _compare(root, manifest, month, days, cancelled)
    if finding is None:
        return
    if finding.lacks_rows:
        _mark(manifest, entry, Verdict.GAPS)
    if finding.reason:
        yield DaysKept(month, len(days), finding.reason)
        return
    if entry.verdict is Verdict.GAPS:
        _mark(manifest, entry, Verdict.OK)
    yield from _move(root, manifest, month, days)


def _doubt(root: Root, month: ArchiveObject, entry: ManifestEntry | None) -> str:
    """Say why a stored file is not proven; empty when its sidecar or its digest vouches for it."""
    # That it lacked rows says nothing of its bytes, and not by what they were proven: only the sidecar can tell.
    known = None if entry is not None and entry.verdict is Verdict.GAPS else entry
    proof = check_stored(root, month.key, known)
    return "" if proof.verdict is Verdict.OK else f"it is {proof.verdict}: {proof.reason}"


def _compare(
    root: Root, manifest: Manifest, month: ArchiveObject, days: Sequence[ArchiveObject], cancelled: threading.Event
) -> Generator[Event, None, _Finding | None]:
    """Compare a monthly file with daily ones; None when it was cancelled."""
    monthly, done = root.file(month.key), 0
    try:
        for _ in held(monthly, (root.file(day.key) for day in days)):
            done += 1
            yield Comparing(month, len(days), done)
            if cancelled.is_set():
                return None
    except BrokenZip as error:
        lacks_rows = error.path == monthly
        return _Finding(error.reason if lacks_rows else f"of {error.path.name}, {error.reason}", lacks_rows)
    except OSError as error:
        return _Finding(f"{error.filename or monthly} cannot be read: {error.strerror or error}")
    return _Finding() if done == len(days) else _blame(root, manifest, days[done])


def _blame(root: Root, manifest: Manifest, day: ArchiveObject) -> _Finding:
    """Say of a day whose rows a month lacks, whether the month is to blame: not for rows that nobody vouches for."""
    lacks = f"it lacks rows of {_name(day.key)}"
    proof = check_stored(root, day.key, manifest.entry(day.key))
    if proof.verdict is Verdict.OK:
        return _Finding(lacks, lacks_rows=True)
    return _Finding(f"{lacks}, which is {proof.verdict}: {proof.reason}")


def _mark(manifest: Manifest, entry: ManifestEntry, verdict: Verdict) -> None:
    if entry.verdict is not verdict:
        manifest.record(replace(entry, verdict=verdict))


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
        what = f"{_name(days[len(moved)].key)} cannot be moved: {failure.strerror or failure}"
        yield DaysKept(month, len(days) - len(moved), what)


def _name(key: str) -> str:
    return key.rpartition("/")[2]
