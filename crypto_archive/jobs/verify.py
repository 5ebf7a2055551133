"""Verify: check what is on disk by presence, size and SHA-256."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.catalog.keys import is_symbol
from crypto_archive.config.run_config import Discovery, Partitioning
from crypto_archive.errors import ExitCode
from crypto_archive.events import Cancellation, Checked, Noticed
from crypto_archive.jobs.report import interruption_code, signal_name
from crypto_archive.jobs.run import Run
from crypto_archive.model import SIDECAR_SUFFIX, Absence, ArchiveObject, Partition, Period, Verdict
from crypto_archive.plan.availability import absence
from crypto_archive.plan.candidates import by_calendar, default_symbols, listed_objects
from crypto_archive.plan.selection import ResolvedSelection, SeriesGroup, select
from crypto_archive.root.layout import require_there, root_of
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk, StoredFiles
from crypto_archive.root.proof import check_stored
from crypto_archive.root.session import Context
from crypto_archive.text import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.report import Report
    from crypto_archive.model import Candidate, ManifestEntry, Market, Notice
    from crypto_archive.root.proof import Proof
    from crypto_archive.root.store import Root


def verify(
    configured: RunConfig,
    *,
    on_event: Callable[[Checked | Noticed], object] | None = None,
    whole_root: bool | None = None,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> VerifyReport:
    """Prove what is on disk by presence, size and SHA-256, and return the report. Changes nothing.

    Args:
        configured: What is to be there, and where.
        on_event: Takes every finding, in this thread.
        whole_root: Check all that is on disk or in the manifest; None for doing so where nothing is selected or
            expected.
        expect: Where else to learn what ought to be there; None to go by what was collected, which needs no network.
        cancellation: A token to stop the verification from another thread.
        today: The current UTC day; read from the clock when not given.

    Raises:
        RootUnusable: There is no such root, or it cannot be read.
        EndpointUnreachable: The listing was asked for and failed.

    Example:
        >>> from crypto_archive import Verdict, collect, load_preset, verify
        >>> wanted = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> fetched = collect(wanted)
        >>> proven = verify(wanted)
        >>> proven.status, proven.objects == proven.verdicts[Verdict.OK] + proven.verdicts[Verdict.SIDECAR_MISSING]
        ('success', True)
    """
    run = verify_events(configured, whole_root=whole_root, expect=expect, cancellation=cancellation, today=today)
    return run.finish(on_event)


def verify_events(
    configured: RunConfig,
    *,
    whole_root: bool | None = None,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> Run[Checked | Noticed, VerifyReport]:
    """Prove what is on disk by presence, size and SHA-256; iterate the run for each finding. Changes nothing.

    It takes what ``verify`` takes, and raises what it raises, by this call or with the first event.
    """
    existing_root(configured)
    if whole_root is None:
        whole_root = not (configured.selects or expect)
    return Run(verifying(configured, whole_root=whole_root, expect=expect, cancellation=cancellation, today=today))


SCHEMA_VERSION = 1
BAD_KEPT = 1000


@dataclass(slots=True)
class CheckedGroup:
    """The checks of one market and data type.

    Attributes:
        verdicts: How many objects got which verdict.
        bytes: Bytes of the files that were looked at.
    """

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    bytes: int = 0


class VerifyReport:
    """What a verification amounts to so far.

    Attributes:
        output_directory: The archive root that is verified.
        groups: Checks by market and data type, in the order in which they came.
        bad: The first objects that are bad.
        bad_omitted: How many more there are.
        seconds: How long it took, 0 while it goes on.
        interrupted_by: The signal that ended it early.
        error: What stopped it early, empty when nothing did.
        repair: The report of the run that fetched again what was bad or missing, None without one.
    """

    def __init__(
        self,
        output_directory: str,
        *,
        started_at: datetime | None = None,
        version: str = __version__,
    ) -> None:
        """Begin an empty report.

        Args:
            output_directory: The archive root.
            started_at: Wall clock, UTC; now, when not given.
            version: The version of crypto-archive.
        """
        self.output_directory = output_directory
        self.groups: dict[tuple[Market, str], CheckedGroup] = {}
        self.bad: list[Checked] = []
        self.bad_omitted = 0
        self.seconds = 0.0
        self.interrupted_by: int | None = None
        self.error = ""
        self.repair: Report | None = None
        self._started_at = started_at or datetime.now(UTC)
        self._version = version

    def add(self, checked: Checked) -> None:
        """Take in one check."""
        group = self.groups.setdefault((checked.market, checked.data_type), CheckedGroup())
        group.verdicts[checked.verdict] += 1
        group.bytes += checked.size
        if not checked.verdict.is_bad:
            return
        if len(self.bad) < BAD_KEPT:
            self.bad.append(checked)
        else:
            self.bad_omitted += 1

    def finish(self, seconds: float, *, interrupted_by: int | None = None, error: str = "") -> None:
        """Say how the verification ended.

        Args:
            seconds: How long it took, by the monotonic clock.
            interrupted_by: The number of the signal that ended it early.
            error: What stopped it early.
        """
        self.seconds, self.interrupted_by, self.error = seconds, interrupted_by, error

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many objects got which verdict; every verdict is there."""
        total: Counter[Verdict] = Counter()
        for group in self.groups.values():
            total.update(group.verdicts)
        return {verdict: total[verdict] for verdict in Verdict}

    @property
    def objects(self) -> int:
        """How many objects were checked."""
        return sum(group.verdicts.total() for group in self.groups.values())

    @property
    def bytes(self) -> int:
        """Bytes of the files that were looked at."""
        return sum(group.bytes for group in self.groups.values())

    @property
    def status(self) -> str:
        """The verification in a word: ``success``, ``bad``, ``empty``, ``interrupted`` or ``failed``."""
        if self.error:
            return "failed"
        if self.interrupted_by is not None:
            return "interrupted"
        if self.bad:
            return "bad"
        return "success" if self.objects else "empty"

    def exit_code(self) -> ExitCode:
        """Return how the command ends: as its repair, if there was one; a check of nothing at all is no success."""
        if self.error:
            return ExitCode.ENVIRONMENT
        if self.interrupted_by is not None:
            return interruption_code(self.interrupted_by)
        if self.repair is not None:
            return self.repair.exit_code()
        return {"bad": ExitCode.VERIFICATION, "empty": ExitCode.PARTIAL}.get(self.status, ExitCode.OK)

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/verify.schema.json`` describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "started_at": self._started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "interrupted_by": None if self.interrupted_by is None else signal_name(self.interrupted_by),
            "error": self.error or None,
            "output_directory": self.output_directory,
            "objects": self.objects,
            "bytes": self.bytes,
            "total_size_formatted": format_bytes(self.bytes),
            "verdicts": _by_name(self.verdicts),
            "by_market_and_type": list(self._group_documents()),
            "bad": [_bad_document(checked) for checked in self.bad],
            "bad_omitted": self.bad_omitted,
            "repair": None if self.repair is None else self.repair.document(),
            "versions": {"crypto_archive": self._version},
        }

    def _group_documents(self) -> Iterator[dict[str, object]]:
        for (market, data_type), group in self.groups.items():
            yield {
                "market": str(market),
                "data_type": data_type,
                "objects": group.verdicts.total(),
                "bytes": group.bytes,
                "verdicts": _by_name(group.verdicts),
            }


def _by_name(verdicts: dict[Verdict, int]) -> dict[str, int]:
    return {str(verdict): verdicts[verdict] for verdict in Verdict}


def _bad_document(checked: Checked) -> dict[str, object]:
    return {
        "key": checked.object_key,
        "market": str(checked.market),
        "data_type": checked.data_type,
        "verdict": str(checked.verdict),
        "reason": checked.reason,
        "size": checked.size,
    }


THREADS = min(8, os.cpu_count() or 1)
IN_FLIGHT = 4 * THREADS

Subject = tuple[ArchiveObject, "ManifestEntry | None"]
"""An object that ought to be there, with what the manifest says of it."""


def verifying(
    configured: RunConfig,
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
            yield from drained(notices)
            yield finding
    yield from drained(notices)
    report.finish(time.monotonic() - started, interrupted_by=cancellation.signal_number)
    return report


def drained(notices: deque[Notice]) -> Iterator[Noticed]:
    """Yield what has come up since the last time, and forget it."""
    while notices:
        yield Noticed(notices.popleft())


def existing_root(configured: RunConfig) -> Root:
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
    configured: RunConfig,
    root: Root,
    manifest: Manifest,
    today: date,
    expect: Discovery | None,
    on_notice: Callable[[Notice], None],
    cancellation: Cancellation,
) -> Iterator[Subject]:
    """Yield the objects of a selection that ought to be there."""
    request, matrix = configured.request, configured.matrix
    context = Context(configured, root, today, cancellation, on_notice)
    selection = select(context, request.selection)
    for notice in selection.notices:
        on_notice(notice)
    stored = StoredFiles(root, manifest)
    either = request.selection.partition is Partitioning.AUTO
    if expect is Discovery.LISTING:
        listing = open_listing(request, root.listings_path)
        found = listed_objects(context, selection, stored, listing)
    else:
        selection = _either_partition(selection) if either else selection
        found = _remembered(context, selection, manifest)
    with closing(found):
        for candidate in found:
            item = candidate.object
            there = stored.find(item.key)
            entry = there.recorded if there is not None else manifest.entry(item.key)
            known = there is not None or entry is not None or candidate.remote is not None
            expected = expect is Discovery.CALENDAR and not _rightly_absent(item, manifest, matrix, today)
            if known or (expected and not (either and _is_stood_for(item, stored, matrix))):
                yield item, entry


def _remembered(context: Context, selection: ResolvedSelection, manifest: Manifest) -> Generator[Candidate, None, None]:
    """Yield every object that the calendar allows; globs are matched against what is on disk or in the manifest."""
    on_disk = KeysOnDisk(context.root, manifest)
    for group in selection.groups:
        prefix = group.row.key_pattern.symbols_prefix(group.partition)
        known = (*default_symbols(group, context.matrix), *on_disk.folders(prefix), *manifest.folders(prefix))
        yield from by_calendar(context, group, filter(is_symbol, dict.fromkeys(known)))


def _either_partition(selection: ResolvedSelection) -> ResolvedSelection:
    """Return a selection that also has the monthly objects which may hold its days, also those of months in part."""
    groups: list[SeriesGroup] = []
    for group in selection.groups:
        groups.append(replace(group, consolidates=False))
        if group.partition is Partition.DAILY and Partition.MONTHLY in group.row.partitions:
            monthly = group.row.intervals(Partition.MONTHLY)
            intervals = tuple(interval for interval in group.intervals if interval is None or interval in monthly)
            groups.append(replace(groups[-1], partition=Partition.MONTHLY, intervals=intervals))
    return ResolvedSelection(tuple(groups), selection.notices)


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
