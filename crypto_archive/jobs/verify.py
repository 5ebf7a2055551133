"""Verify: prove what is on disk by presence, size and SHA-256. Asks no network unless the listing is asked for."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.events import Checked, Noticed
from crypto_archive.jobs.placing import require_there, root_of
from crypto_archive.keys import is_symbol
from crypto_archive.listings.bucket import open_listing
from crypto_archive.model import SIDECAR_SUFFIX, Absence, ArchiveObject, Partition, Period, Verdict
from crypto_archive.planning.calendar import absence
from crypto_archive.planning.candidates import by_calendar
from crypto_archive.planning.selection import Selection, SeriesGroup, select
from crypto_archive.planning.stream import default_symbols, listed_candidates
from crypto_archive.report.checks import VerifyReport
from crypto_archive.request import Discovery, Partitioning
from crypto_archive.transfer.cancellation import Cancellation
from crypto_archive.trust.folders import KeysOnDisk
from crypto_archive.trust.manifest import Manifest
from crypto_archive.trust.presence import StoredFiles
from crypto_archive.trust.proof import check_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from crypto_archive.config import Configured
    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Candidate, ManifestEntry, Notice
    from crypto_archive.trust.proof import Proof
    from crypto_archive.trust.store import Root

THREADS = min(8, os.cpu_count() or 1)
IN_FLIGHT = 4 * THREADS

Subject = tuple[ArchiveObject, "ManifestEntry | None"]
"""An object that ought to be there, with what the manifest says of it."""


def verify(
    configured: Configured,
    *,
    whole_root: bool = False,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> Generator[Checked | Noticed, None, VerifyReport]:
    """Check every object of a selection, or of the whole archive root; yield each finding, return the report.

    What ought to be there is what the manifest remembers and what lies on disk; with ``expect`` it is also what the
    bucket lists, or what the calendar allows and the archive is not known to lack.

    Args:
        configured: What is to be there, and where.
        whole_root: Check all that is on disk or in the manifest instead of the selection.
        expect: Where else to learn what ought to be there.
        cancellation: A token to stop the verification from outside.
        today: The current UTC day; read from the clock when not given.

    Raises:
        RootUnusable: There is no such root, or it cannot be read.
        EndpointUnreachable: The listing was asked for and failed.
    """
    root = existing_root(configured)
    today = today or datetime.now(UTC).date()
    cancellation = cancellation or Cancellation()
    started = time.monotonic()
    report = VerifyReport(str(root.path))
    notices: deque[Notice] = deque()
    with Manifest(root.manifest_path, read_only=True) as manifest:
        if whole_root:
            subjects = _of_root(root, manifest, configured.matrix)
        else:
            subjects = _of_selection(configured, root, manifest, today, expect, notices.append, cancellation)
        for item, proof in proven(root, takewhile(lambda _: not cancellation.requested.is_set(), subjects)):
            finding = finding_of(item, proof)
            report.add(finding)
            yield from told(notices)
            yield finding
    yield from told(notices)
    report.finish(time.monotonic() - started, interrupted_by=cancellation.signal_number)
    return report


def told(notices: deque[Notice]) -> Iterator[Noticed]:
    """Yield what has come up since the last time, and forget it."""
    while notices:
        yield Noticed(notices.popleft())


def existing_root(configured: Configured) -> Root:
    """Return the archive root of a request.

    Raises:
        RootUnusable: There is none, or its files are being moved to another layout.
        UsageError: It has another layout than the one that is asked for.
    """
    root = root_of(configured)
    require_there(root)
    return root


def proven(root: Root, subjects: Iterator[Subject]) -> Iterator[tuple[ArchiveObject, Proof]]:
    """Check files in threads, a bounded number ahead of the consumer, and yield what came out of it in order."""
    under_way: deque[tuple[ArchiveObject, Future[Proof]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as threads:
        for item, entry in subjects:
            under_way.append((item, threads.submit(check_stored, root, item.key, entry)))
            if len(under_way) >= IN_FLIGHT:
                item, proof = under_way.popleft()
                yield item, proof.result()
        for item, proof in under_way:
            yield item, proof.result()


def finding_of(item: ArchiveObject, proof: Proof) -> Checked:
    """Return what was found of an object as an event."""
    series = item.series
    return Checked(item.key, series.market, series.data_type, proof.verdict, proof.digest.size, proof.reason)


def stored_objects(root: Root, stored: StoredFiles, matrix: Matrix) -> Iterator[Subject]:
    """Yield all objects on disk; files that the matrix has no place for are left out."""
    for folder, folders, files in os.walk(root.data):
        folders.sort()
        here = Path(folder)
        for name in sorted(files):
            key = None if name.endswith(SIDECAR_SUFFIX) else root.key_of(here / name)
            item = matrix.object_of(key) if key is not None else None
            there = stored.stat(item.key) if item is not None else None
            if item is not None and there is not None:
                yield item, there.recorded


def _of_selection(
    configured: Configured,
    root: Root,
    manifest: Manifest,
    today: date,
    expect: Discovery | None,
    say: Callable[[Notice], None],
    cancellation: Cancellation,
) -> Iterator[Subject]:
    """Yield the objects of a selection that ought to be there."""
    request, matrix = configured.request, configured.matrix
    selection = select(request.wish, matrix, today)
    for notice in selection.notices:
        say(notice)
    stored = StoredFiles(root, manifest)
    either = request.wish.partition is Partitioning.AUTO
    if expect is Discovery.LISTING:
        listing = open_listing(request, root.listings_path)
        listing.cancelled = cancellation.requested
        found = listed_candidates(selection, request.access, listing, today, say, stored.is_short)
    else:
        selection = _either_partition(selection) if either else selection
        found = _remembered(selection, root, manifest, matrix, today, say)
    with closing(found):
        for candidate in found:
            item = candidate.object
            there = stored.find(item.key)
            entry = there.recorded if there is not None else manifest.entry(item.key)
            known = there is not None or entry is not None or candidate.remote is not None
            expected = expect is Discovery.CALENDAR and not _rightly_absent(item, manifest, matrix, today)
            if known or (expected and not (either and _is_stood_for(item, stored, matrix))):
                yield item, entry


def _remembered(
    selection: Selection, root: Root, manifest: Manifest, matrix: Matrix, today: date, say: Callable[[Notice], None]
) -> Generator[Candidate, None, None]:
    """Yield every object that the calendar allows; globs are matched against what is on disk or in the manifest."""
    on_disk = KeysOnDisk(root, manifest)
    for group in selection.groups:
        prefix = group.row.key_pattern.symbols_prefix(group.partition)
        known = (*default_symbols(group, matrix), *on_disk.folders(prefix), *manifest.folders(prefix))
        yield from by_calendar(group, filter(is_symbol, dict.fromkeys(known)), today, say)


def _either_partition(selection: Selection) -> Selection:
    """Return a selection that also has the monthly objects which may hold its days, also those of months in part."""
    groups: list[SeriesGroup] = []
    for group in selection.groups:
        groups.append(replace(group, consolidates=False))
        if group.partition is Partition.DAILY and Partition.MONTHLY in group.row.partitions:
            monthly = group.row.intervals(Partition.MONTHLY)
            intervals = tuple(interval for interval in group.intervals if interval is None or interval in monthly)
            groups.append(replace(groups[-1], partition=Partition.MONTHLY, intervals=intervals))
    return Selection(tuple(groups), selection.notices)


def _is_stood_for(item: ArchiveObject, stored: StoredFiles, matrix: Matrix) -> bool:
    """Whether an object that is not there need not be, where days may be stored as a month or one by one.

    A month that is known to lack rows of its days does not stand for them.
    """
    row, series = matrix.row(item.series.market, item.series.data_type), item.series
    if row is None or len(row.partitions) < len(Partition):
        return False
    if item.period.partition is Partition.MONTHLY:
        return series.interval is None or series.interval in row.intervals(Partition.DAILY)
    month = Period.containing(item.period.first_day, Partition.MONTHLY)
    there = stored.find(row.object(series.symbol, series.interval, month).key)
    return there is not None and (there.recorded is None or there.recorded.verdict is not Verdict.GAPS)


def _rightly_absent(item: ArchiveObject, manifest: Manifest, matrix: Matrix, today: date) -> bool:
    """Whether a file that is not there need not be: not published yet, or seen to be absent once it could have been."""
    row = matrix.row(item.series.market, item.series.data_type)
    if row is not None and absence(row, item, today) is Absence.NOT_YET:
        return True
    seen = manifest.absence(item.key)
    return seen is not None and seen.reason is not Absence.NOT_YET


def _of_root(root: Root, manifest: Manifest, matrix: Matrix) -> Iterator[Subject]:
    """Yield all objects on disk, then those that only the manifest knows."""
    stored = StoredFiles(root, manifest)
    yield from stored_objects(root, stored, matrix)
    for entry in manifest.iterate():
        item = matrix.object_of(entry.key)
        if item is not None and stored.find(entry.key) is None:
            yield item, entry
