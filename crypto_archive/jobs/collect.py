"""Collect: plan, fetch, prove, publish, remember, report. This page joins the parts; each does its own work."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import CryptoArchiveError, EndpointUnreachable, EnvironmentFailure, UsageError
from crypto_archive.events import NO_SIGNAL, Cancellation, Event, Noticed, RunFinished, RunStarted
from crypto_archive.jobs.prune import CoveringMonths, prune
from crypto_archive.jobs.record import Record
from crypto_archive.jobs.report import Report
from crypto_archive.jobs.run import Run, run_in_thread
from crypto_archive.plan.availability import absence
from crypto_archive.plan.candidates import calendar_objects, listed_objects, named_objects
from crypto_archive.plan.decide import batches, decide
from crypto_archive.plan.limits import check_disk_space, require_sizes, within_budget
from crypto_archive.plan.locked import locked_config, locked_objects
from crypto_archive.plan.lockfile import LockFile
from crypto_archive.plan.selection import ResolvedSelection, select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import StoredFiles
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import Root, new_run_id, root_unusable, sweep_staging
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import list_objects
from crypto_archive.transfer.concurrency import concurrency_for
from crypto_archive.transfer.engine import Engine
from crypto_archive.transfer.finish import Finisher
from crypto_archive.transfer.lane import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import Access, Request, RunConfig
    from crypto_archive.model import Absence, ArchiveObject, PlannedObject, RemoteStat
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.transfer.concurrency import Concurrency


def collect(
    configured: RunConfig,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Fetch everything that is asked for and not there yet, and return the report.

    What ends a run early once it has begun stands in its report; only what keeps it from beginning is raised.

    Args:
        configured: What to fetch, from where, to where, and how.
        on_event: Takes every event of the run, in this thread; what it raises ends the run, and is raised.
        locked: Fetch exactly what this lock file pins, instead of what is selected.
        cancellation: A token to stop the run from another thread, or from ``on_event``.
        wait: Wait while another run holds the archive root.
        prune_covered: In the end, move daily objects aside that a monthly one of this run is proven to hold.
        today: The current UTC day; read from the clock when not given.

    Raises:
        UsageError: Nothing is selected, or the lock file cannot be used.
        EnvironmentFailure: There is no s5cmd, the root cannot be written to, or another run holds it.

    Example:
        >>> from crypto_archive import collect, load_preset
        >>> report = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> report.status, report["success_rate"], report["collection_stats"]["failed_tasks"]
        ('success', 100.0, 0)
        >>> report.bytes > 0
        True
    """
    run = collect_events(
        configured, locked=locked, cancellation=cancellation, wait=wait, prune_covered=prune_covered, today=today
    )
    return run.finish(on_event)


def collect_events(
    configured: RunConfig,
    *,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Run[Event, Report]:
    """Fetch everything that is asked for and not there yet; iterate the run for what happens.

    It takes what ``collect`` takes, and raises what it raises, by this call or with the first event.

    Example:
        >>> from crypto_archive import ObjectSettled, collect_events, load_preset
        >>> wanted = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-14", end="2025-07-15")
        >>> with collect_events(wanted) as run:
        ...     settled = [event for event in run if isinstance(event, ObjectSettled)]
        >>> sorted(f"{event.object.period} {event.outcome}" for event in settled)
        ['2025-07-14 fetched', '2025-07-15 fetched']
        >>> run.report.status
        'success'
    """
    if locked is None:
        configured.require_selection()
        source = None
    else:
        configured, source = locked_config(configured, locked)
    return Run(
        collecting(
            configured, source=source, cancellation=cancellation, wait=wait, prune_covered=prune_covered, today=today
        )
    )


async def collect_async(
    configured: RunConfig,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Do as ``collect`` does, in a thread, while the event loop goes on.

    A task that is cancelled, or times out, stops the run in order, and ends when that is done; cancelled once more, it
    stops the run at once.

    It takes what ``collect`` takes; ``on_event`` is called in the event loop. A run that is stopped by ``cancellation``
    instead returns its report.

    Example:
        >>> import asyncio
        >>> from crypto_archive import collect_async, load_preset
        >>> async def main() -> None:
        ...     result = await collect_async(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        ...     assert result["success_rate"] > 95.0
        ...     assert result["collection_stats"]["total_size_bytes"] > 0
        >>> asyncio.run(main())
    """

    def work(enqueue: Callable[[Event], object] | None, token: Cancellation) -> Report:
        return collect(
            configured,
            on_event=enqueue,
            locked=locked,
            cancellation=token,
            wait=wait,
            prune_covered=prune_covered,
            today=today,
        )

    return await run_in_thread(work, on_event, cancellation or Cancellation())


def collecting(
    configured: RunConfig,
    *,
    source: LockFile | tuple[ArchiveObject, ...] | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
    wait: bool = False,
    prune_covered: bool = False,
) -> Generator[Event, None, Report]:
    """Fetch everything that is asked for and not there yet; yield what happens, return the report.

    A shard has a part of the archive root to itself, so that other shards of its plan may be collected beside it.

    The report is also written to ``runs/<run id>/report.json`` below the archive root, whatever happens. What ends a
    run early once it has begun stands in its report; only what keeps it from beginning is raised.

    Args:
        configured: What to fetch, from where, to where, and how.
        source: Fetch what this lock file pins, or these objects, instead of what is selected.
        cancellation: A token to stop the run from outside.
        today: The current UTC day; read from the clock when not given.
        wait: Wait while another run holds the archive root.
        prune_covered: In the end, move daily objects aside that a monthly one of this run is proven to hold.

    Raises:
        OverBudget: Bytes are limited, and the selection is to be planned from the calendar, which knows no sizes.
        UsageError: Daily objects are to be moved aside, and the request is for a shard; or the root has another layout.
        S5cmdUnusable: There is no s5cmd that can be used.
        RootUnusable: The archive root cannot be written to.
        RootLocked: Another run holds the archive root, and it is not to be waited for.
        EnvironmentFailure: An s5cmd of an earlier run cannot be ended, or too few files may be open at once.
    """
    request, matrix = configured.request, configured.matrix
    if source is None:
        require_sizes(request)
    if prune_covered:
        refuse_to_prune(request)
    binary = find_binary(request.access.s5cmd)
    context = Context.of(configured, today=today, cancellation=cancellation)
    cancellation = context.cancellation
    concurrency = concurrency_for(request.fetching.jobs)
    report = Report(request, version=__version__, matrix_version=matrix.version, presets=configured.presets)
    with lock_root(context, "collect", wait=wait) as session, ExitStack() as held:
        if not (yield from session.acquire()):
            report.add(RunFinished(0.0, cancellation.signal_number))
            return report
        root = session.root
        run_id = new_run_id(datetime.now(UTC))
        record = held.enter_context(Record.opened(root, run_id, report))
        months = held.enter_context(CoveringMonths(root, matrix)) if prune_covered else None
        workplace = _workplace(configured, root, record, binary, concurrency, cancellation, context.today)
        cut = partial(batches, batch_size=request.fetching.batch_size)
        engine = held.enter_context(closing(Engine(workplace, cut)))
        context = Context(configured, root, context.today, cancellation, lambda notice: engine.emit(Noticed(notice)))
        selection = source if source is not None else select(context, request.selection)
        selected = selection.notices if isinstance(selection, ResolvedSelection) else ()
        own = () if isinstance(source, tuple) else configured.notices  # a repair has said them already
        notices = (*session.notices, *own, *selected, *(() if concurrency.notice is None else (concurrency.notice,)))
        listing = None
        if isinstance(selection, ResolvedSelection) and request.discovery is Discovery.LISTING:
            listing = open_listing(request, root.listings_path)
        planned = _planned(context, run_id, selection, listing)
        begun = _Begun(root, matrix, record, engine, cancellation, months)
        yield from begun.events(RunStarted(run_id, datetime.now(UTC), notices, binary.version), planned)
    for notice in session.merge_notices:
        merged = Noticed(notice)
        report.add(merged)
        yield merged
    return report


def refuse_to_prune(request: Request) -> None:
    """Refuse to move daily objects aside in a collect that is one of several."""
    if request.shard is not None:
        raise UsageError(
            f"--prune-covered cannot be combined with a shard: {request.locked}",
            hint="Another shard may have the days of a month. Once all shards are collected, run "
            "`crypto-archive collect --prune-covered` with the selection of the plan.",
        )


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run that holds its root.

    Attributes:
        root: The root, or the part of it that a shard has.
        matrix: What the archive can hold.
        record: Takes every event before anybody else sees it.
        engine: Fetches.
        cancellation: Ends the run early.
        months: Notes the monthly objects that may stand for daily ones; None where those stay in any case.
        started: When it began, by the monotonic clock.
    """

    root: Root
    matrix: Matrix
    record: Record
    engine: Engine
    cancellation: Cancellation
    months: CoveringMonths | None
    started: float = field(default_factory=time.monotonic)

    def events(self, start: RunStarted, planned: Generator[PlannedObject, None, None]) -> Iterator[Event]:
        """Yield the events of the run, from ``start`` to its end; what is under way is stopped when nobody asks on."""
        try:
            yield self.record.take(start)
            yield from self._fetched(planned)
            with self._ending_in_order():
                sweep_staging(self.root)
            yield from self._pruned()
        except GeneratorExit:
            with self._ending_in_order():
                sweep_staging(self.root)
                self.record.take(RunFinished(self._seconds, NO_SIGNAL))
            raise
        finished = self._finished()
        with self._ending_in_order():
            self.record.take(finished)
        yield finished

    def _fetched(self, planned: Generator[PlannedObject, None, None]) -> Iterator[Event]:
        with closing(self.engine.run(planned)) as events:
            for event in events:
                try:  # what ``_ending_in_order`` does, without its cost, for there are very many events
                    self.record.take(event)
                    if self.months is not None:
                        self.months.note(event)
                except EnvironmentFailure as error:
                    self._end_in_order(error)
                yield event

    def _pruned(self) -> Iterator[Event]:
        """Go through the monthly objects that may stand for daily ones, until the run is to end."""
        with self._ending_in_order():
            for month in self.months or ():
                if self.cancellation.requested.is_set():
                    return
                for event in prune(self.root, self.matrix, self.record.manifest, month, self.cancellation.requested):
                    yield self.record.take(event)

    def _finished(self) -> RunFinished:
        """Say how the run ended; an error that is no news for a person is a bug, and raised as one."""
        error, signal_number = self.engine.error, self.cancellation.signal_number
        if isinstance(error, OSError):
            error = root_unusable(self.root, error)
        if error is None:
            return RunFinished(self._seconds, signal_number)
        if not isinstance(error, CryptoArchiveError):
            raise error
        return RunFinished(self._seconds, signal_number, error.summary, error.exit_code)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def _ending_in_order(self) -> Iterator[None]:
        try:
            yield
        except EnvironmentFailure as error:
            self._end_in_order(error)

    def _end_in_order(self, error: EnvironmentFailure) -> None:
        """Let what cannot be kept on disk end the run as any other error does: what is under way is still settled."""
        self.engine.error = self.engine.error or error
        self.cancellation.requested.set()


def _workplace(
    configured: RunConfig,
    root: Root,
    record: Record,
    binary: Binary,
    concurrency: Concurrency,
    cancellation: Cancellation,
    today: date,
) -> Workplace:
    request = configured.request
    look_up = partial(_look_up, binary, request.access, cancellation)
    return Workplace(
        binary=binary,
        access=request.access,
        fetching=replace(request.fetching, jobs=concurrency.lanes),
        staging=root.staging / record.folder.name,
        run_folder=record.folder,
        finish=Finisher(root, record.folder.name, request.fetching.download_checksum, look_up),
        explain_absence=partial(_absence, configured.matrix, today),
        cancellation=cancellation,
        workers=concurrency.workers,
    )


def _planned(
    context: Context,
    run_id: str,
    source: ResolvedSelection | LockFile | tuple[ArchiveObject, ...],
    listing: BucketListing | None,
) -> Generator[PlannedObject, None, None]:
    """Plan against what is on disk; the whole body runs in the thread that consumes it, as the manifest wants it."""
    root, request = context.root, context.request
    with ExitStack() as manifests:
        own = manifests.enter_context(Manifest(root.manifest_path, read_only=True))
        beneath = manifests.enter_context(Manifest(root.whole.manifest_path, unchanging=True)) if root.shard else None
        stored = StoredFiles(root, own, beneath)
        if isinstance(source, LockFile):
            found = locked_objects(context, source, stored)
        elif isinstance(source, tuple):
            found = named_objects(source)
        elif listing is not None:
            found = listed_objects(context, source, stored, listing)
        else:
            found = calendar_objects(context, source)
        with closing(found):
            planned = check_disk_space(decide(context, found, stored, run_id=run_id), root)
            yield from within_budget(planned, request.budget, root.staging / run_id, context.cancelled)


def _look_up(binary: Binary, access: Access, cancellation: Cancellation, key: str) -> RemoteStat | None:
    """List one object; None when the bucket does not list it, or cannot be asked."""
    with suppress(EndpointUnreachable, ValueError):
        for listed in list_objects(binary, access, [key], cancelled=cancellation.requested):
            if listed.key == key:
                return listed.stat
    return None


def _absence(matrix: Matrix, today: date, item: ArchiveObject) -> Absence:
    row = matrix.row(item.series.market, item.series.data_type)
    if row is None:
        raise ValueError(f"no row of the matrix has the key {item.key}")
    return absence(row, item, today)
