"""Verify: check the stored files by presence, size and SHA-256."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive import __version__
from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.keys import is_symbol
from crypto_archive.config.run_config import Discovery, Partitioning
from crypto_archive.errors import ExitCode
from crypto_archive.events import Checked, Noticed
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport, by_name, unknown_document, unknown_symbols
from crypto_archive.jobs.run import Run
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Absence,
    ArchiveObject,
    ManifestEntry,
    Notice,
    Notices,
    Partition,
    Period,
    RemoteStat,
    Verdict,
)
from crypto_archive.plan.availability import absence
from crypto_archive.plan.awaited import awaited_earlier, report_earlier
from crypto_archive.plan.candidates import by_calendar, default_symbols, listed_objects, named_objects, require_archive
from crypto_archive.plan.selection import ResolvedSelection, SeriesGroup, select
from crypto_archive.plan.stored import listed_now
from crypto_archive.root.layout import require_there
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk, StoredFiles
from crypto_archive.root.proof import check_stored, is_comparable, replaced_since
from crypto_archive.root.session import Context
from crypto_archive.root.store import is_file, unreadable_folder
from crypto_archive.shown import Table, joined
from crypto_archive.text import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.report import Report
    from crypto_archive.model import Candidate, DateRange, Market, Series, UnknownSymbol
    from crypto_archive.root.proof import Proof
    from crypto_archive.root.store import Root

BAD_KEPT = 1000
"""How many bad objects the document names."""
SERIES_KEPT = 100
"""How many series with days that were never collected it names."""
THREADS = min(8, os.cpu_count() or 1)
IN_FLIGHT = 2 * THREADS
"""How many groups of files are checked or waiting for it."""
GROUP_FILES = 32
GROUP_BYTES = 1 << 20
"""Where a group ends, and from where on it is one for a thread."""
_WAITED = 3
"""A group that takes so many times the CPU that it needs has waited: for the disk, or for a processor."""
_IN_A_ROW = 4
"""So many groups that waited, one after the other, waited for the disk."""
_GROUPS_UNTIL_TRIED = 64
"""After so many groups that had to wait, one shows whether they still do."""


class Expected(NamedTuple):
    """An object that should be stored.

    Attributes:
        object: The object.
        entry: What the manifest knows of it.
        remote: What the bucket lists of it; None if that was not asked, or does not list it.
    """

    object: ArchiveObject
    entry: ManifestEntry | None
    remote: RemoteStat | None = None


def verify(
    config: RunConfig,
    *,
    on_event: Callable[[Checked | Noticed], object] | None = None,
    whole_root: bool | None = None,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> VerifyReport:
    """Check the stored files by presence, size and SHA-256, and return the report. Changes nothing.

    Each file is compared with its ``.CHECKSUM`` sidecar, which comes from the archive, and with the manifest, which
    remembers what was collected. What is expected is what was collected; ``expect`` adds what the archive should have,
    and the listing also tells which files the archive has replaced since.

    Args:
        config: What to check, and where the archive root is.
        on_event: Called in this thread with a ``Checked`` for each object, and a ``Noticed`` for each notice.
        whole_root: Check everything on disk and in the manifest, and nothing else. By default, if nothing is selected,
            unless the calendar is expected.
        expect: Also expect what the bucket lists, or what the calendar allows; None expects what was collected, and
            needs no network. Of a whole root, the listing is only compared with what is stored.
        cancellation: A token that stops the job, from another thread or from ``on_event``.
        today: The current UTC day; read from the clock by default.

    Raises:
        UsageError: The archive root has another layout than the one that ``config`` asks for.
        RootUnusable: The archive root does not exist or cannot be read.
        EndpointUnreachable: The bucket cannot be listed; only with ``expect``.

    Example:
        >>> from crypto_archive import Verdict, collect, load_preset, verify
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> collect(config).status
        'success'
        >>> report = verify(config)
        >>> report.status, report.bad
        ('success', [])
        >>> report.objects == report.verdicts[Verdict.OK] + report.verdicts[Verdict.SIDECAR_MISSING]
        True
    """
    if whole_root is None:
        whole_root = not config.selects and expect is not Discovery.CALENDAR
    run = verifying(config, whole_root=whole_root, expect=expect, cancellation=cancellation, today=today)
    return Run(run).finish(on_event)


@dataclass(slots=True)
class CheckedGroup:
    """The checks of one market and data type: how many objects got which verdict, and the bytes that were read."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    bytes: int = 0


@dataclass(slots=True)
class NeverCollected:
    """The days of a series that were selected and never collected, as far as they may be in the archive.

    Attributes:
        first: The first of them.
        last: The last one.
        objects: How many objects have them.
        days: How many they are.
    """

    first: date
    last: date
    objects: int = 0
    days: int = 0


@dataclass(eq=False, repr=False)
class VerifyReport(JobReport):
    """What ``verify`` found.

    ``status`` is ``success``, ``bad``, ``incomplete`` (what was collected is good, but some of the selection was
    never collected), ``partial`` (a named symbol does not exist), ``empty`` (nothing to check), ``interrupted`` or
    ``failed``; ``exit_code()`` is that of the command, and ``document()`` the JSON document of
    ``docs/verify.schema.json``, whose fields can also be read as ``report["objects"]``.

    Attributes:
        output_directory: The archive root.
        groups: Checks by market and data type, in the order in which they were made.
        bad: Every object that is missing, damaged or otherwise bad; ``repair`` takes them.
        never_collected: The days that were selected and never collected, by series; not those that the archive is known
            to lack, or has not published yet.
        unknown_symbols: The symbols that were named and that no selected market has; known only from the listing.
        repair: The report of the run that repaired them; None without one.
        started_at: When the check started, UTC.
        seconds: How long it took; 0 while it runs.
        interrupted_by: The signal that ended it early, 0 if a program did; None if it ran to its end.
        error: What stopped it early; None if nothing did.

    Example:
        >>> from crypto_archive import collect, load_preset, verify
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> stored = collect(config).bytes
        >>> report = verify(config)
        >>> report, report.bytes == stored, report["bad"]
        (<VerifyReport: success, ... objects (...), ...>, True, [])
    """

    output_directory: str
    groups: dict[tuple[Market, str], CheckedGroup] = field(default_factory=dict)
    bad: list[Checked] = field(default_factory=list)
    never_collected: dict[Series, NeverCollected] = field(default_factory=dict)
    unknown_symbols: list[UnknownSymbol] = field(default_factory=list)
    repair: Report | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: str = __version__

    def add(self, checked: Checked) -> None:
        """Take in one check."""
        group = self.groups.get((checked.market, checked.data_type))
        if group is None:
            group = self.groups[(checked.market, checked.data_type)] = CheckedGroup()
        group.verdicts[checked.verdict] += 1
        group.bytes += checked.size
        if checked.verdict.is_bad:
            self.bad.append(checked)

    def add_never_collected(self, item: ArchiveObject, wanted: DateRange) -> None:
        """Take in an object that was never collected, of which these days are wanted."""
        first = max(item.period.first_day, wanted.start or item.period.first_day)
        last = min(item.period.last_day, wanted.end or item.period.last_day)
        if first > last:  # of an earlier window, and still waited for
            first, last = item.period.first_day, item.period.last_day
        found = self.never_collected.setdefault(item.series, NeverCollected(first, last))
        found.first, found.last = min(found.first, first), max(found.last, last)
        found.objects += 1
        found.days += (last - first).days + 1

    @property
    def days_never_collected(self) -> int:
        """How many days were selected and never collected; a day counts once per series."""
        return sum(found.days for found in self.never_collected.values())

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many objects got which verdict; has every verdict."""
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
        """Bytes of the files that were checked."""
        return sum(group.bytes for group in self.groups.values())

    def _summary(self) -> str:
        counts = joined(*(f"{count:,} {verdict}" for verdict, count in self.verdicts.items() if count))
        objects = format_count(self.objects, "object")
        never = f"{format_count(self.days_never_collected, 'day')} never collected" if self.never_collected else ""
        parts = (f"{objects} ({counts})" if counts else objects, format_bytes(self.bytes), never)
        return joined(self.status, *parts) + (f"; {self.error}" if self.error else "")

    def _table(self) -> Table:
        verdicts = [verdict for verdict, count in self.verdicts.items() if count]

        def cells(place: tuple[Market, str]) -> tuple[object, ...]:
            group = self.groups[place]
            counts = (group.verdicts[verdict] for verdict in verdicts)
            return (*place, group.verdicts.total(), *counts, format_bytes(group.bytes))

        return Table(("market", "data type", "objects", *verdicts, "size"), [*self.groups], cells)

    def _result(self) -> tuple[str, ExitCode]:
        if self.bad:
            return "bad", ExitCode.VERIFICATION if self.repair is None else self.repair.exit_code()
        if not self.objects:
            return "empty", ExitCode.PARTIAL
        if self.unknown_symbols:
            return "partial", ExitCode.PARTIAL
        # Not a failure: without --discover only what was collected is expected.
        return "incomplete" if self.never_collected else "success", ExitCode.OK

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/verify.schema.json`` describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "interrupted_by": self.interruption,
            "error": self.error,
            "output_directory": self.output_directory,
            "objects": self.objects,
            "bytes": self.bytes,
            "total_size_formatted": format_bytes(self.bytes),
            "verdicts": by_name(self.verdicts, Verdict),
            "by_market_and_type": [
                {
                    "market": str(market),
                    "data_type": data_type,
                    "objects": group.verdicts.total(),
                    "bytes": group.bytes,
                    "verdicts": by_name(group.verdicts, Verdict),
                }
                for (market, data_type), group in self.groups.items()
            ],
            "bad": [
                {
                    "key": checked.object_key,
                    "market": str(checked.market),
                    "data_type": checked.data_type,
                    "verdict": str(checked.verdict),
                    "at_fault": "archive" if checked.verdict.is_upstream else "local",
                    "reason": checked.reason,
                    "size": checked.size,
                }
                for checked in self.bad[:BAD_KEPT]
            ],
            "bad_omitted": len(self.bad[BAD_KEPT:]),
            "never_collected": {
                "days": self.days_never_collected,
                "objects": sum(found.objects for found in self.never_collected.values()),
                "series": [
                    {
                        "market": str(series.market),
                        "data_type": series.data_type,
                        "symbol": series.symbol,
                        "interval": series.interval,
                        "days": found.days,
                        "first": found.first.isoformat(),
                        "last": found.last.isoformat(),
                    }
                    for series, found in islice(self.never_collected.items(), SERIES_KEPT)
                ],
                "series_omitted": max(0, len(self.never_collected) - SERIES_KEPT),
            },
            "unknown_symbols": unknown_document(self.unknown_symbols),
            "repair": None if self.repair is None else self.repair.document(),
            "versions": {"crypto_archive": self.version},
        }


def verifying(
    config: RunConfig,
    *,
    whole_root: bool = False,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> Generator[Checked | Noticed, None, VerifyReport]:
    """Check every object of a selection, or of the whole archive root; yield each finding, return the report."""
    started = time.monotonic()
    notices: deque[Notice] = deque()
    kept = Notices(notices.append)
    context = Context.of(config, today=today, cancellation=cancellation, on_notice=kept)
    require_there(context.root)
    report = VerifyReport(str(context.root.path))
    with Manifest(context.root.manifest_path, read_only=True) as manifest:
        uncertain = 0
        wanted = _expected(context, manifest, expect, report, whole_root=whole_root)
        for expected, proof in check_files(context, wanted):
            finding = finding_of(expected, proof)
            uncertain += _is_uncertain(expected, finding, proof)
            report.add(finding)
            while notices:
                yield Noticed(notices.popleft())
            yield finding
    if uncertain:
        what = f"of {format_count(uncertain, 'object')}, uploaded in parts, only the size was compared with the listing"
        notices.append(Notice(f"{what}: their ETags are not known"))
    while notices:
        yield Noticed(notices.popleft())
    report.unknown_symbols = unknown_symbols(kept.kept)
    report.finish(time.monotonic() - started, interrupted_by=context.cancellation.signal_number)
    return report


def _expected(
    context: Context, manifest: Manifest, expect: Discovery | None, report: VerifyReport, *, whole_root: bool
) -> Iterator[Expected]:
    if not whole_root:
        return _selected(context, manifest, expect, report)
    return _with_listing(context, manifest) if expect is Discovery.LISTING else _everything(context, manifest)


def _is_uncertain(expected: Expected, finding: Checked, proof: Proof) -> bool:
    """Whether the archive may have replaced a good file by another one of the same size, without a way to notice."""
    if expected.remote is None or finding.verdict.is_bad:
        return False
    return not is_comparable(proof.digest, expected.entry, expected.remote)


def check_files(context: Context, expected: Iterable[Expected]) -> Iterator[tuple[Expected, Proof]]:
    """Check files, a bounded number ahead of the consumer, and yield the proofs in the order asked for.

    Small files that the system has in memory are checked in this thread: several would wait for each other's turn in
    the interpreter, and take twice as long. Threads pay for large files, which are hashed outside of it, and where the
    disk is waited for.
    """
    pending: deque[tuple[list[Expected], Future[list[Proof]]]] = deque()
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="check")
    waited = 0
    try:
        for number, (group, size) in enumerate(_groups(context, expected)):
            if size >= GROUP_BYTES or (waited >= _IN_A_ROW and number % _GROUPS_UNTIL_TRIED):
                pending.append((group, threads.submit(_check_group, context, group)))
            else:
                proofs: Future[list[Proof]] = Future()
                pending.append((group, proofs))
                began, worked = time.monotonic(), time.thread_time()
                proofs.set_result(_check_group(context, group))
                waits = time.monotonic() - began > _WAITED * (time.thread_time() - worked)
                waited = waited + 1 if waits else 0
            if len(pending) >= IN_FLIGHT:
                first, proofs = pending.popleft()
                yield from zip(first, proofs.result(), strict=False)
        for first, proofs in pending:
            yield from zip(first, proofs.result(), strict=False)
    finally:
        threads.shutdown(cancel_futures=True)


def _groups(context: Context, expected: Iterable[Expected]) -> Iterator[tuple[list[Expected], int]]:
    """Cut into groups of many small files, or a large one, each with its bytes."""
    group: list[Expected] = []
    size = 0
    for one in expected:
        if context.cancelled.is_set():
            break
        group.append(one)
        size += one.entry.size if one.entry is not None else _stored_size(context.root, one.object.key)
        if len(group) == GROUP_FILES or size >= GROUP_BYTES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def _stored_size(root: Root, key: str) -> int:
    try:
        return os.stat(root.path_of(key)).st_size  # noqa: PTH116, making a Path takes longer than the call
    except (OSError, ValueError):  # for the check to judge
        return 0


def _check_group(context: Context, group: list[Expected]) -> list[Proof]:
    """Check files one after the other; when the job is cancelled, only the one that is being read is finished."""
    proofs: list[Proof] = []
    for one in group:
        if context.cancelled.is_set():
            break
        proofs.append(check_stored(context.root, one.object.key, one.entry, one.remote))
    return proofs


def finding_of(expected: Expected, proof: Proof) -> Checked:
    """Return a proof as an event; a sound file that the archive has replaced since is ``REPLACED``."""
    item, series, remote = expected.object, expected.object.series, expected.remote
    verdict, reason = proof.verdict, proof.reason
    # Of a sound file, and of one that came broken, the archive may have something else by now.
    if remote is not None and (not verdict.is_bad or verdict is Verdict.BAD_ZIP):
        change = replaced_since(proof.digest, expected.entry, remote)
        if change is not None:
            verdict, reason = Verdict.REPLACED, change
    return Checked(item.key, series.market, series.data_type, verdict, proof.digest.size, reason, remote)


def stored_objects(
    context: Context,
    recorded_in: Callable[[str], Mapping[str, ManifestEntry]] = lambda _: {},
    complete: set[str] | None = None,
) -> Iterator[Expected]:
    """Yield all objects on disk; files that the matrix does not know are skipped.

    ``recorded_in`` reads the records of a folder of keys; ``complete`` takes the folders of which all were found.
    """
    key_at = context.root.layout.key
    for folder, names in _folders(context.root):
        keys = filter(None, (key_at(f"{folder}/{name}") for name in names))
        for key_folder, items in groupby(filter(None, context.matrix.objects_of(keys)), lambda one: _folder(one.key)):
            entries, found = recorded_in(key_folder), 0
            for item in items:
                entry = entries.get(item.key)
                found += entry is not None
                yield Expected(item, entry)
            if complete is not None and found == len(entries):
                complete.add(key_folder)


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]


def _folders(root: Root) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below ``data/`` with its files but sidecars, both in their order; no links to folders.

    One that may not be read, such as ``lost+found``, is left out: if the manifest knows files in it, that is an error
    when they are looked for.
    """
    waiting = [root.data.name]
    while waiting:
        folder = waiting.pop()
        files: list[str] = []
        folders: list[str] = []
        try:
            with os.scandir(root.path / folder) as entries:
                for entry in entries:
                    if is_file(entry):
                        if not entry.name.endswith(SIDECAR_SUFFIX):
                            files.append(entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(f"{folder}/{entry.name}")
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except OSError as error:
            raise unreadable_folder(root.path / folder, error) from error
        yield folder, sorted(files)
        waiting += sorted(folders, reverse=True)


def _everything(context: Context, manifest: Manifest) -> Iterator[Expected]:
    """Yield all objects on disk, then those that only the manifest knows."""
    stored, complete = StoredFiles(context.root), set[str]()
    recorded_in = lru_cache(maxsize=4)(manifest.entries_in)  # a layout may mix series in a folder
    yield from stored_objects(context, recorded_in, complete)
    for folder, keys in groupby(manifest.all_keys(), _folder):
        if folder not in complete:
            for item in filter(None, context.matrix.objects_of(keys)):
                if not stored.has(item.key):
                    yield Expected(item, recorded_in(folder).get(item.key))


def _with_listing(context: Context, manifest: Manifest) -> Iterator[Expected]:
    """Yield everything on disk or in the manifest with what the bucket lists of it now, in the order of the keys.

    The cached listing is not read: what the archive has now is the question.
    """
    stored = StoredFiles(context.root, manifest)
    listing = open_listing(replace(context.request, listing_age_seconds=0.0), context.root)
    listing.cancelled = context.cancelled
    listed, gone, example = 0, 0, ""
    with listing:
        for item, remote in listed_now(context, (one.object for one in _everything(context, manifest)), listing):
            if remote is None and not listed and not gone:
                require_archive(context, listing, item.key)
            yield Expected(item, stored.recorded(item.key), remote)
            if remote is not None:
                listed += 1
            else:
                gone, example = gone + 1, example or item.key
    if gone:
        what = f"the archive no longer lists {format_count(gone, 'stored object')}, such as {example}"
        context.on_notice(Notice(f"{what}; nothing is done about that"))


def _selected(
    context: Context, manifest: Manifest, expect: Discovery | None, report: VerifyReport
) -> Iterator[Expected]:
    """Yield the objects of the selection that should be stored.

    Those are the objects on disk or in the manifest; if the listing is expected, also those that the bucket lists; if
    the calendar is, also those that it allows and that the archive is not known to lack. If nothing is, the report
    takes in the latter.
    """
    request = context.request
    # What is on disk counts, whatever the dates of the matrix; the calendar alone is asked within them.
    selection = select(context, request.selection, listed=True)
    for notice in selection.notices:
        context.on_notice(notice)
    stored = StoredFiles(context.root, manifest)
    either = request.selection.partition is Partitioning.AUTO
    earlier = awaited_earlier(context, manifest, with_came=True)
    known = _Known(context, manifest, stored)
    if expect is Discovery.LISTING:
        listing = open_listing(request, context.root)
        found = listed_objects(context, selection, stored, listing, earlier)
    else:
        found = _by_calendar(context, _with_months(selection) if either else selection, manifest, expect)
        report_earlier(context, "not collected yet", earlier)
    with closing(found):
        for candidate in chain(
            found, () if expect is Discovery.LISTING else named_objects(one.object for one in earlier)
        ):
            item = candidate.object
            entry = stored.recorded(item.key)
            wanted = entry is not None or stored.has(item.key) or candidate.remote is not None
            if not wanted and expect is not Discovery.LISTING:
                due = not (known.is_absent(item) or (either and known.is_replaced(item)))
                wanted = due and expect is Discovery.CALENDAR
                if due and not wanted:
                    report.add_never_collected(item, request.selection.dates)
            if wanted:
                yield Expected(item, entry, candidate.remote)


def _by_calendar(
    context: Context, selection: ResolvedSelection, manifest: Manifest, expect: Discovery | None
) -> Generator[Candidate, None, None]:
    """Yield every object that the calendar allows; globs match what is on disk or in the manifest."""
    on_disk = KeysOnDisk(context.root, manifest)
    for group in selection.groups:
        prefix = group.row.key_pattern.symbols_prefix(group.partition)
        defaults = default_symbols(group, context.matrix) if expect is Discovery.CALENDAR else ()
        known = (*defaults, *on_disk.folders(prefix), *manifest.folders(prefix))
        yield from by_calendar(context, group, filter(is_symbol, dict.fromkeys(known)))


def _with_months(selection: ResolvedSelection) -> ResolvedSelection:
    """Return a selection that also has the monthly objects that may hold its days, even of months in part."""
    groups: list[SeriesGroup] = []
    for group in selection.groups:
        groups.append(replace(group, consolidates=False))
        if group.partition is Partition.DAILY and Partition.MONTHLY in group.row.partitions:
            monthly = group.row.intervals(Partition.MONTHLY)
            intervals = tuple(interval for interval in group.intervals if interval is None or interval in monthly)
            groups.append(replace(groups[-1], partition=Partition.MONTHLY, intervals=intervals))
    return ResolvedSelection(tuple(groups), selection.notices)


class _Known:
    """Why an object that the calendar allows need not be stored, by what earlier runs found; series by series."""

    def __init__(self, context: Context, manifest: Manifest, stored: StoredFiles) -> None:
        self._context = context
        self._manifest = manifest
        self._stored = stored
        self._absent_days = lru_cache(maxsize=1)(manifest.absent_days)

    def is_absent(self, item: ArchiveObject) -> bool:
        """Whether an object is not due yet, or was seen to be absent when it could have been there."""
        row = self._context.matrix.row(item.series.market, item.series.data_type)
        if row is not None and absence(row, item, self._context.today) is not Absence.HOLE:
            return True
        seen = self._manifest.absence(item.key)
        if seen is not None and seen.reason is not Absence.NOT_YET:
            return True
        absent = self._absent_days(item.series)
        days = dayset.of_period(item.period)
        # A day of a month that the archive does not have may lie outside of what was wanted.
        found = (of_reason & days for reason, of_reason in absent.items() if reason is not Absence.NOT_YET)
        return any(found) if item.period.partition is Partition.MONTHLY else days in found

    def is_replaced(self, item: ArchiveObject) -> bool:
        """Whether the other partition may hold the days of an object: days for a month, or a month for a day.

        A month that is known to lack rows of its days does not replace them, nor one that has none of the day.
        """
        row, series = self._context.matrix.row(item.series.market, item.series.data_type), item.series
        if row is None or len(row.partitions) < len(Partition):
            return False
        if item.period.partition is Partition.MONTHLY:
            return series.interval is None or series.interval in row.intervals(Partition.DAILY)
        month = row.object(series.symbol, series.interval, Period.containing(item.period.first_day, Partition.MONTHLY))
        stat = self._stored.find(month.key)
        if stat is None or (stat.recorded is not None and stat.recorded.verdict in {Verdict.GAPS, Verdict.BAD_ZIP}):
            return False
        rows = self._stored.month_days(month, None)
        return rows is None or bool(rows & dayset.of_period(item.period))
