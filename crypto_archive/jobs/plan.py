"""Plan: what a collect would do, against what is on disk now; and how it differs from a lock file."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import chain
from json.encoder import encode_basestring, encode_basestring_ascii
from os import sep
from typing import TYPE_CHECKING, Self

from crypto_archive.catalog.layouts import plain_parts
from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import ExitCode, FileUnusable
from crypto_archive.events import PlanningMeter
from crypto_archive.files import explain_os_errors
from crypto_archive.jobs.report import DaysReport, unknown_document, unknown_symbols
from crypto_archive.model import Notices
from crypto_archive.plan.awaited import awaited_earlier
from crypto_archive.plan.batches import batches
from crypto_archive.plan.candidates import CalendarSeries, calendar, calendar_objects, listed_objects
from crypto_archive.plan.decide import AlikeObjects, decide, decide_series
from crypto_archive.plan.estimate import Needs, estimate, past_runs
from crypto_archive.plan.limits import check_budget, require_sizes, within_budget, without_max_bytes
from crypto_archive.plan.locked import (
    LockLines,
    lock_to_compare,
    locked_config,
    locked_objects,
    require_listing,
)
from crypto_archive.plan.lockfile import (
    Kind,
    LockFile,
    cut_into_files,
    differences,
    parse_line,
    prepare_lock,
    prepare_shards,
)
from crypto_archive.plan.selection import select
from crypto_archive.plan.totals import PlanTotals, days_document
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import StoredFiles
from crypto_archive.root.session import Context
from crypto_archive.root.store import free_bytes
from crypto_archive.s5cmd.copies import copy_commands
from crypto_archive.s5cmd.runfile import Parts, run_files
from crypto_archive.shown import Shown, Table, joined, span
from crypto_archive.text import document_of, format_bytes, format_count, harmless, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Planning
    from crypto_archive.model import Batch, Notice, PlannedObject, RemoteStat, Series, UnknownSymbol
    from crypto_archive.plan.lockfile import Difference, Shard
    from crypto_archive.plan.selection import ResolvedSelection
    from crypto_archive.plan.totals import GroupTotals
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.store import Root

SCHEMA_VERSION = 1


def plan(
    config: RunConfig,
    *,
    locked: Path | None = None,
    lock: Path | None = None,
    offline: bool = False,
    on_planning: Callable[[Planning], object] = lambda _: None,
    today: date | None = None,
) -> Plan:
    """Return the plan of a request: what a collect would do, against what is on disk now. It downloads nothing.

    Args:
        config: What is wanted, and where it would be kept.
        locked: Plan exactly what this lock file pins, instead of what is selected.
        lock: Write the exact objects to this lock file, once the plan has been iterated to its end.
        offline: Make no requests: plan from the calendar, and trust a lock file. A limit of bytes is ignored then,
            since the calendar does not know sizes.
        on_planning: Takes how far planning is while the plan is iterated, a few times a second at most.
        today: The current UTC day; read from the clock when not given.

    Raises:
        OverBudget: Bytes are limited, and the plan is to come from the calendar, which does not know sizes.
        UsageError: The lock file cannot be used, or a plan from the calendar is to be locked.
        FileUnusable: The lock file cannot be written.
        S5cmdUnusable: A listing is needed, and no usable s5cmd was found.

    Example:
        >>> from crypto_archive import collect, load_preset, plan
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> before = plan(config).consume().totals.overall["to_fetch"]
        >>> before == collect(config).outcomes["fetched"], plan(config).consume().totals.overall["to_fetch"]
        (True, 0)
    """
    if offline:
        config = without_max_bytes(config)
        config = replace(config, request=replace(config.request, discovery=Discovery.CALENDAR))
    lock_file = None
    if locked is not None:
        config, lock_file = locked_config(config, locked)
    request, notices = config.request, Notices()
    require_sizes(request)
    days = DaysReport()
    context = replace(Context.of(config, today=today, on_notice=notices), on_days=days.add)
    context = replace(context, planning=PlanningMeter(on_planning))
    for notice in config.notices:
        notices(notice)
    listing = None
    if lock_file is not None:
        objects = _decided(context, lock_file)
    else:
        selection = select(context, request.selection, listed=request.discovery is Discovery.LISTING)
        for notice in selection.notices:
            notices(notice)
        if request.discovery is Discovery.LISTING:
            from crypto_archive.root.listing import open_listing

            listing = open_listing(request, context.root)
        objects = _decided(context, selection, listing)
    if lock is not None:
        require_listing(request)
        prepare_lock(lock)
    return Plan(context, notices, objects, listing, lock, days)


def _decided(
    context: Context, source: LockFile | ResolvedSelection, listing: BucketListing | None = None
) -> Generator[Iterable[PlannedObject], None, None]:
    """Yield the objects with what is to be done to them, in parts: of a plan from the calendar, series by series."""
    with Manifest(context.root.manifest_path, read_only=True) as manifest:
        stored = StoredFiles(context.root, manifest)
        if isinstance(source, LockFile):
            candidates = locked_objects(context, source, stored)
        elif listing is not None:
            candidates = listed_objects(context, source, stored, listing, awaited_earlier(context, manifest))
        elif earlier := awaited_earlier(context, manifest):  # may be of series that are planned, too
            candidates = calendar_objects(context, source, earlier)
        else:
            for some in calendar(context, source):
                yield decide_series(context, some, stored) if isinstance(some, CalendarSeries) else ()
            return
        with closing(candidates):
            yield decide(context, candidates, stored)


class Plan(Shown):
    """A plan in the making: iterate it or its ``batches``, once; the totals grow meanwhile.

    To be used in one thread, as a context manager unless it is iterated to its end. Made by ``plan``.

    Attributes:
        context: The context of the job.
        request: What the plan is of.
        objects: Every object with what to do about it.
        totals: The totals so far, per market and data type.
        notices: What a person should know, so far.
        days: Which of the wanted days the archive has, series by series, and why not the others, so far.
        locked: How many objects were written to a lock file; None where none is to be written, or not yet.
        state: ``not started``, ``unfinished`` (its totals are those of the objects so far), or ``complete``.

    Example:
        >>> from crypto_archive import load_preset, plan
        >>> with plan(load_preset("backtest", start="2025-07-15", end="2025-07-15")) as planned:
        ...     actions = {str(item.action) for item in planned}
        >>> actions, planned.totals.overall["to_fetch"] == planned.totals.overall["objects"]
        ({'fetch'}, True)
    """

    def __init__(
        self,
        context: Context,
        notices: Notices,
        parts: Generator[Iterable[PlannedObject], None, None],
        listing: BucketListing | None = None,
        lock: Path | None = None,
        days: DaysReport | None = None,
    ) -> None:
        """Begin a plan.

        Args:
            context: The context of the job.
            notices: Takes the notices of the context.
            parts: Its objects, in parts; no series is in two of them.
            listing: The listing that they come from.
            lock: A lock file to write in the end.
            days: Takes the answers for the wanted days of the context.
        """
        self.days = days or DaysReport()
        self.context = context
        self.request = context.request
        self.totals = PlanTotals()
        self.notices: list[Notice] = notices.kept
        self.locked: int | None = None
        self.state = "not started"
        self._listing = listing
        self._parts = parts
        self.objects: Iterator[PlannedObject] = self._counted(parts)
        self._one_by_one = self.objects
        if lock is not None:
            self.objects = self._locking(self.objects, lock)

    def __iter__(self) -> Iterator[PlannedObject]:
        """Yield every object with what to do about it; a lock file is written after the last.

        Raises:
            EndpointUnreachable: The listing failed.
            RootUnusable: The root cannot be read.
            FileUnusable: The lock file cannot be written.
        """
        return self.objects

    def lines(self, *, ascii_only: bool = False) -> Iterator[str]:
        """Yield every object with its path as one JSON line; ``docs/report.md`` describes them.

        Args:
            ascii_only: Whether to escape whatever is not ASCII.
        """
        line_of = _Lines(self.context.root, ascii_only=ascii_only)
        if not self._is_untouched:
            yield from map(line_of.one, self)
            return
        self.state = "unfinished"
        for part in self._parts:
            if isinstance(part, AlikeObjects):
                yield from line_of.alike(part)
                self.totals.count_alike(part)
            else:
                yield from map(line_of.one, self.totals.counting(part))
        self.state = "complete"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the manifest and the listing."""
        self._parts.close()

    def consume(self) -> Self:
        """Iterate all of it for its totals, and return it."""
        if self._is_untouched:
            self.state = "unfinished"
            self.totals.count(self._parts, self.request.fetching.batch_size)
            self.state = "complete"
        else:
            for _ in self.batches():
                pass
        return self

    @property
    def _is_untouched(self) -> bool:
        """Whether nothing has taken, or is to take, its objects one by one."""
        return self.state == "not started" and self.objects is self._one_by_one

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of what is to be fetched, and count them."""
        to_fetch = (item for item in self if item.action.transfers)
        return self.totals.counting_batches(batches(to_fetch, self.request.fetching.batch_size))

    def commands(self, batch: Batch) -> Iterator[str]:
        """Yield the s5cmd commands for the objects of a batch, as run-files have them."""
        bucket, parts = self.request.access.bucket, Parts(self.request.fetching.part_size_mb)
        keys = (key for item in batch.items for key in item.keys)
        return (command.line for command in copy_commands(bucket, keys, parts))

    def path(self, item: PlannedObject) -> Path | None:
        """Return the absolute path where an object is, or will be; None where the root's layout has no place for it."""
        try:
            return self.context.root.file(item.object.key)
        except ValueError:
            return None

    @property
    def requests_listed(self) -> int:
        """How many LIST requests the plan has made so far."""
        return self._listing.requests if self._listing is not None else 0

    @property
    def exit_code(self) -> ExitCode:
        """Whether there is anything in it, now or soon, and every named symbol exists, once it is consumed."""
        has_any = bool(self.totals.overall["objects"]) or self.days.are_to_come
        return ExitCode.OK if has_any and not self.unknown_symbols else ExitCode.PARTIAL

    @property
    def unknown_symbols(self) -> list[UnknownSymbol]:
        """The symbols that were named and that no selected market has, once it is consumed."""
        return unknown_symbols(self.notices)

    def needs(self) -> Needs:
        """Return what collecting it would take, once it is consumed."""
        objects, size = self._to_fetch()
        expected = estimate(past_runs(self.context.root.runs), objects, size)
        return Needs(
            self.totals.overall, self.requests_listed, free_bytes(self.context.root), expected, self.request.budget
        )

    def require_budget(self) -> None:
        """Check that it keeps within its budget, once it is consumed.

        Raises:
            OverBudget: It does not.
        """
        check_budget(self.request.budget, *self._to_fetch())

    def hold_back(self) -> None:
        """Yield nothing before all of it is known to keep within its budget.

        Raises:
            OverBudget: While it is consumed: it does not.
        """
        self.objects = within_budget(self.objects, self.request.budget)

    def document(self) -> dict[str, object]:
        """Return its totals as ``docs/report.md`` describes them; what was not iterated yet is."""
        self.consume()
        return {
            "schema_version": SCHEMA_VERSION,
            "totals": self.totals.overall,
            **days_document(self.totals.first_day, self.totals.last_day),
            "by_market_and_type": [group.document() for group in self.totals.groups],
            "days": self.days.document(),
            "batch_size": self.request.fetching.batch_size,
            "budget": self.needs().document(),
            "unknown_symbols": unknown_document(self.unknown_symbols),
            "notices": [notice.text for notice in self.notices],
        }

    def _to_fetch(self) -> tuple[int, int | None]:
        """Return how many objects are to be fetched, and their bytes, None where not all of them are known."""
        totals = self.totals.overall
        sized = totals["sized_to_fetch"] == totals["to_fetch"]
        return totals["to_fetch"], totals["bytes_to_fetch"] if sized else None

    def _summary(self) -> str:
        totals, (objects, bytes_to_fetch) = self.totals.overall, self._to_fetch()
        if self.state == "not started":
            return "not started; iterate over it, or call consume()"
        counts = f"{format_count(totals['objects'], 'object')}{'' if self.state == 'complete' else ' so far'}"
        to_fetch = f"{objects:,} to fetch" + (f" ({format_bytes(bytes_to_fetch)})" if bytes_to_fetch else "")
        return joined(counts, to_fetch, span(self.totals.first_day, self.totals.last_day))

    def _table(self) -> Table:
        def cells(group: GroupTotals) -> tuple[object, ...]:
            size = format_bytes(group.bytes_to_fetch) if group.sized_to_fetch == group.to_fetch else "unknown"
            return (
                group.market, group.data_type, group.objects, group.present, group.waiting, group.refused,
                group.to_fetch, size, group.first_day, group.last_day,
            )  # fmt: skip

        headings = ("market", "data type", "objects", "present", "waiting", "refused", "to fetch", "size")
        return Table((*headings, "first day", "last day"), self.totals.groups, cells)

    def _counted(self, parts: Iterable[Iterable[PlannedObject]]) -> Iterator[PlannedObject]:
        self.state = "unfinished"
        yield from self.totals.counting(chain.from_iterable(parts))
        self.state = "complete"

    def _locking(self, objects: Iterator[PlannedObject], lock: Path) -> Iterator[PlannedObject]:
        with LockLines(self.context) as lines:
            yield from lines.noting(objects)
            self.locked = lines.write(lock)


class _Lines:
    """Writes planned objects as JSON lines: field by field, in a quarter of the time that a general encoder takes."""

    def __init__(self, root: Root, *, ascii_only: bool) -> None:
        self._folder, self._path_of = str(root.path / "_")[:-1], root.layout.path
        self._ascii_only = ascii_only
        self._quoted = encode_basestring_ascii if ascii_only else encode_basestring
        self._series: Series | None = None
        self._of_series = ""

    def one(self, item: PlannedObject) -> str:
        """Return the line of an object."""
        thing, remote, since, quoted = item.object, item.remote, item.awaited_since, self._quoted
        if thing.series is not self._series:  # in most plans thousands of objects are of the same one
            self._series = thing.series
            self._of_series = json_text(thing.series._asdict(), ascii_only=self._ascii_only)[1:-1]
        try:
            path = quoted(self._folder + sep.join(plain_parts(self._path_of(thing.key))))  # noqa: PTH118 - a Path takes ten times as long
        except ValueError:
            path = "null"
        period, stat = thing.period, '"size": null, "etag": null, "last_modified": null'
        if remote is not None:
            at = remote.last_modified.isoformat()
            stat = f'"size": {remote.size}, "etag": {quoted(remote.etag)}, "last_modified": "{at}"'
        awaited = f', "awaited_since": "{since.isoformat()}"' if since else ""
        return harmless(
            f'{{"key": {quoted(thing.key)}, "path": {path}, {self._of_series}, '
            f'"partition": "{period.partition}", "period": "{period}", "action": "{item.action}", '
            f'"why": {quoted(item.why)}, "sidecar": {"true" if item.with_sidecar else "false"}, {stat}{awaited}}}'
        )

    def alike(self, part: AlikeObjects) -> Iterator[str]:
        """Return the lines of objects that differ in their dates alone: in key, path and period."""
        pieces = self.one(part.first).split(str(part.first.object.period))
        if len(pieces) != 4:  # a date in the symbol, say
            return map(self.one, part)
        return (text.join(pieces) for text in part.series.dated)


def write_shards(plan: Plan, count: int, folder: Path) -> tuple[Shard, ...]:
    """Cut a plan into shards: lock files without common objects, of about the same bytes, that together are the plan.

    Each is all that another machine needs to collect its share; shards that are collected into one root may run at the
    same time.

    Args:
        plan: The plan; it is consumed.
        count: How many shards to write; fewer are written where there are fewer objects.
        folder: Where to write them; created if necessary, and left alone if it contains lock files already.

    Returns:
        The shards; none where the archive has no object of the plan.

    Raises:
        UsageError: The plan is one from the calendar.
        OverBudget: The plan exceeds its budget; no shard is written then.
        FileUnusable: The folder cannot be written to, or contains lock files.
        EndpointUnreachable: The listing failed.

    Example:
        >>> from pathlib import Path
        >>> from crypto_archive import collect, load_preset, plan, write_shards
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> shards = write_shards(plan(config), 2, Path("shards"))
        >>> [collect(config, locked=shard.path).status for shard in shards]
        ['success', 'success']
    """
    require_listing(plan.request)
    prepare_shards(folder)
    with LockLines(plan.context) as lines:
        plan.objects = lines.noting(plan.objects)
        plan.consume()
        plan.require_budget()
        bucket = plan.request.access.bucket
        return cut_into_files(lines.objects.sorted, bucket, count, folder, lines.waits.sorted)


def write_run_files(plan: Plan, folder: Path) -> None:
    """Write the run-files that a collect would run; each also runs by hand, in any folder.

    Args:
        plan: The plan; it is consumed.
        folder: Where to write them; created if necessary, and left alone if it contains run-files already.

    Raises:
        OverBudget: The plan exceeds its budget; no run-file is written then.
        FileUnusable: The folder cannot be written to, or contains run-files.
    """
    request = plan.request
    plan.hold_back()
    with explain_os_errors("write run-files to", folder, hint="Name a writable folder with --to."):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.s5cmd")):
            raise FileUnusable(
                f"The folder {folder} already contains run-files",
                folder,
                hint="Choose another folder with --to, or move them away: two plans do not mix.",
            )
        for batch in plan.batches():
            for _ in run_files(folder, batch.number, plan.commands(batch), batch_size=request.fetching.batch_size):
                pass  # each is written as it is asked for


def compare(plan: Plan, against: Path, *, lock: Path | None = None) -> Differences:
    """Return the differences between a plan and a lock file; the plan is consumed when they are iterated.

    Args:
        plan: The plan, from the listing.
        against: The lock file.
        lock: Lock the plan to this file in the end; it may be the same.

    Raises:
        UsageError: The plan is one from the calendar, or the lock file cannot be used.
        FileUnusable: The new lock file cannot be written.
        EndpointUnreachable: While it is consumed: the listing failed.
    """
    require_listing(plan.request)
    lock_file = lock_to_compare(against, plan.request)
    if lock is not None:
        prepare_lock(lock)
    return Differences(_differences(plan, lock_file, lock), against)


def _differences(plan: Plan, lock_file: LockFile, lock: Path | None) -> Iterator[Difference]:
    with LockLines(plan.context) as lines:
        for _ in lines.noting(plan.objects):
            pass
        yield from differences(lock_file, map(parse_line, lines.objects.sorted()))
        if lock is not None:
            plan.locked = lines.write(lock)


DIFF_SCHEMA_VERSION = 1


class Differences(Shown):
    """The differences between a plan and a lock file; iterate it once, or take its document.

    Attributes:
        counts: How many there were of each kind so far.
        lock: The lock file.
    """

    def __init__(self, found: Iterable[Difference], lock: Path) -> None:
        self.counts: Counter[Kind] = Counter()
        self.lock = lock
        self._found = found

    def __iter__(self) -> Iterator[Difference]:
        for difference in self._found:
            self.counts[difference.kind] += 1
            yield difference

    @property
    def by_name(self) -> dict[str, int]:
        """The counts of all kinds, by name."""
        return {str(kind): self.counts[kind] for kind in Kind}

    @property
    def summary(self) -> str:
        """The counts in words."""
        if not self.counts:
            return "The plan matches the lock file."
        return ", ".join(f"{count:,} {name}" for name, count in self.by_name.items())

    def lines(self) -> Iterator[str]:
        """Yield one JSON line per difference."""
        return (json_text(_document(difference)) for difference in self)

    def document(self) -> dict[str, object]:
        """Return all differences as one document."""
        return document_of(self.document_fields())

    def document_fields(self) -> Iterator[tuple[str, object]]:
        """Yield the fields of the document; the differences, which may be any number, as an iterator."""
        yield "schema_version", DIFF_SCHEMA_VERSION
        yield "lock", str(self.lock)
        yield "differences", map(_document, self)
        yield "counts", self.by_name

    def _summary(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.by_name.items())
        return f"{counts} since {self.lock}, so far"


def _document(difference: Difference) -> dict[str, object]:
    return {
        "kind": str(difference.kind),
        "key": difference.key,
        "locked": _stat_document(difference.locked),
        "planned": _stat_document(difference.planned),
    }


def _stat_document(stat: RemoteStat | None) -> dict[str, object] | None:
    if stat is None:
        return None
    return {
        "size": stat.size,
        "etag": stat.etag,
        "last_modified": stat.last_modified.isoformat(),
        "sha256": stat.sha256,
    }
