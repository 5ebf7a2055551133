"""Collect: select, list, decide, limit, batch, fetch, finish, record."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import chain
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.config.run_config import Discovery, SymbolFilter
from crypto_archive.errors import CryptoArchiveError, EnvironmentFailure, UsageError
from crypto_archive.events import (
    NO_SIGNAL,
    Cancellation,
    Event,
    Noticed,
    ObjectFinished,
    ObjectsKept,
    PlanningMeter,
    RunFinished,
    RunStarted,
    SeriesAnswered,
)
from crypto_archive.jobs.prune import CoveringMonths, prune
from crypto_archive.jobs.record import Awaiting, Record
from crypto_archive.jobs.report import Report
from crypto_archive.jobs.run import Run, run_in_thread
from crypto_archive.model import Partition
from crypto_archive.plan.awaited import awaited_earlier
from crypto_archive.plan.candidates import calendar_objects, listed_objects
from crypto_archive.plan.decide import decide
from crypto_archive.plan.limits import check_disk_space, require_sizes, within_budget
from crypto_archive.plan.locked import locked_config, locked_objects
from crypto_archive.plan.lockfile import LockFile
from crypto_archive.plan.selection import NamedSymbols, ResolvedSelection, select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import StoredFiles
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import new_run_id, root_unusable, sweep_staging
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.transfer.concurrency import concurrency_for
from crypto_archive.transfer.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.model import ArchiveObject, Candidate, Notice, PlannedObject, Series


def collect(
    config: RunConfig,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Download everything that is selected and not on disk yet, and return the report.

    What ends a run early once it has begun is in its report; only what keeps it from beginning is raised.

    Args:
        config: What to fetch, from where, to where, and how.
        on_event: Takes every event of the run, in this thread; what it raises ends the run, and is raised.
        locked: Fetch exactly what this lock file pins, instead of what is selected.
        cancellation: A token to stop the run from another thread, or from ``on_event``.
        wait: Wait while another run holds the archive root.
        prune_covered: In the end, move daily objects aside whose rows a monthly object of this run is proven to hold.
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
    run = collect_run(
        config,
        locked=locked,
        cancellation=cancellation,
        wait=wait,
        prune_covered=prune_covered,
        today=today,
        kept_together=on_event is None,
    )
    return run.finish(on_event)


def collect_events(
    config: RunConfig,
    *,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Run[Event, Report]:
    """Download everything that is selected and not on disk yet; iterate the run for what happens.

    It takes what ``collect`` takes, and raises what it raises, by this call or with the first event.

    Example:
        >>> from crypto_archive import ObjectFinished, collect_events, load_preset
        >>> selection = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                         symbols=["BTCUSDT"], start="2025-07-14", end="2025-07-15")
        >>> with collect_events(selection) as run:
        ...     finished = [event for event in run if isinstance(event, ObjectFinished)]
        >>> sorted(f"{event.object.period} {event.outcome}" for event in finished)
        ['2025-07-14 fetched', '2025-07-15 fetched']
        >>> run.report.status
        'success'
    """
    return collect_run(
        config, locked=locked, cancellation=cancellation, wait=wait, prune_covered=prune_covered, today=today
    )


def collect_run(
    config: RunConfig,
    *,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
    kept_together: bool = False,
) -> Run[Event, Report]:
    """Do as ``collect_events`` does; with ``kept_together`` what stays as it is comes as ``ObjectsKept``."""
    source = None
    if locked is None:
        config.require_selection()
    else:
        config, source = locked_config(config, locked)
    return Run(
        collecting(
            config,
            source=source,
            cancellation=cancellation,
            wait=wait,
            prune_covered=prune_covered,
            today=today,
            kept_together=kept_together,
        )
    )


async def collect_async(
    config: RunConfig,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Do as ``collect`` does, in a thread, without blocking the event loop.

    A task that is cancelled, or times out, stops the run gracefully, and ends when that is done; cancelled once more,
    it stops the run immediately.

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
            config,
            on_event=enqueue,
            locked=locked,
            cancellation=token,
            wait=wait,
            prune_covered=prune_covered,
            today=today,
        )

    return await run_in_thread(work, on_event, cancellation or Cancellation())


def collecting(
    config: RunConfig,
    *,
    source: LockFile | tuple[Candidate, ...] | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    kept_together: bool = False,
) -> Generator[Event, None, Report]:
    """Download what a lock file pins, given objects, or what is selected; yield what happens, return the report.

    The report is also written to ``runs/<run id>/report.json`` below the archive root, whatever happens. What ends a
    run early once it has begun is in its report; only what keeps it from beginning is raised. A shard has a share of
    the root to itself, so that other shards of its plan may be collected at the same time. With ``kept_together`` what
    stays as it is comes as ``ObjectsKept``.
    """
    request = config.request
    if source is None:
        require_sizes(request)
    if prune_covered:
        refuse_to_prune(request)
    context = Context.of(config, today=today, cancellation=cancellation)
    binary = find_binary(request.access.s5cmd)
    concurrency = concurrency_for(request.fetching.jobs)
    report = Report(request, version=__version__, matrix_version=config.matrix.version, presets=config.presets)
    with lock_root(context, "collect", wait=wait) as session, ExitStack() as held:
        if not (yield from session.acquire()):
            report.add(RunFinished(0.0, context.cancellation.signal_number))
            return report
        context = replace(context, root=session.root)  # of a shard, its share of the root
        root, cancelled = context.root, context.cancelled
        awaiting = Awaiting(context.today, request.selection if source is None else None)
        of_plan = None if isinstance(source, tuple) else awaiting  # a repair waits for nothing
        record = held.enter_context(Record.opened(root, new_run_id(datetime.now(UTC)), report, of_plan))
        if isinstance(source, LockFile):
            awaiting.note_plan(record.manifest, source.waits())
        months = held.enter_context(CoveringMonths(context)) if prune_covered else None
        engine = held.enter_context(Engine(context, record.folder, binary, concurrency))
        is_listed = request.discovery is Discovery.LISTING
        selected = select(context, request.selection, listed=is_listed) if source is None else source
        names = NamedSymbols(config) if source is None and not is_listed else None
        notices = [*session.notices, *_notices(config, selected)]
        if concurrency.notice is not None:
            notices.append(concurrency.notice)
        began = time.monotonic()
        try:
            yield record.take(RunStarted(record.folder.name, datetime.now(UTC), tuple(notices), binary.version))
            # The plan lists, decides and limits in the planner's thread; the engine batches, fetches and finishes.
            short: dict[ArchiveObject, int] = {}
            for planned in (_planned(engine, selected), _days_of_short_months(engine, selected, short)):
                with closing(engine.run(planned)) as chunks:
                    for events in chunks:
                        with _ending_run(engine):
                            record.take_all(events)
                            for event in events:
                                if isinstance(event, ObjectFinished | ObjectsKept):
                                    if months is not None:
                                        months.note(event)
                                    if names is not None:
                                        names.note_finished(event)
                                if isinstance(event, ObjectFinished) and event.lacks:
                                    short[event.object] = event.lacks
                        yield from events if kept_together else chain.from_iterable(map(_each, events))
                if not short or cancelled.is_set():
                    break
                record.manifest.flush()  # the second plan reads of which days the months have rows
            with _ending_run(engine):
                sweep_staging(root)
                for month in months or ():
                    if cancelled.is_set():
                        break
                    for event in prune(context, record.manifest, month):
                        yield record.take(event)
                for notice in names.notices() if names is not None and not cancelled.is_set() else ():
                    yield record.take(Noticed(notice))
        except GeneratorExit:  # the consumer left early, and the engine has stopped what was under way
            with _ending_run(engine):
                sweep_staging(root)
                record.take(RunFinished(time.monotonic() - began, NO_SIGNAL))
            raise
        finished = _finished(context, engine, time.monotonic() - began)
        with _ending_run(engine):
            record.take(finished)
        yield finished
    for notice in session.merge_notices:
        merged = Noticed(notice)
        report.add(merged)
        yield merged
    return report


def _each(event: Event) -> Iterable[Event]:
    return event.each() if isinstance(event, ObjectsKept) else (event,)


def refuse_to_prune(request: Request) -> None:
    """Refuse to move daily objects aside in a collect that is one of several."""
    if request.shard is not None:
        raise UsageError(
            f"--prune-covered cannot be combined with a shard: {request.locked}",
            hint="Another shard may have the days of a month. Once all shards are collected, run "
            "`crypto-archive collect --prune-covered` with the selection of the plan.",
        )


def _notices(config: RunConfig, selected: ResolvedSelection | LockFile | tuple[Candidate, ...]) -> tuple[Notice, ...]:
    if isinstance(selected, tuple):  # a repair, whose verification has shown them already
        return ()
    return (*config.notices, *(selected.notices if isinstance(selected, ResolvedSelection) else ()))


def _planned(
    engine: Engine,
    selected: ResolvedSelection | LockFile | tuple[Candidate, ...],
    context: Context | None = None,
) -> Generator[PlannedObject, None, None]:
    """List, decide and limit, against what is on disk; all of it in the planner's thread, as SQLite wants it."""
    context = context or replace(
        engine.context,
        on_notice=lambda notice: engine.emit(Noticed(notice)),
        planning=PlanningMeter(engine.emit),
    )
    context = replace(context, on_days=lambda days: engine.emit(SeriesAnswered(days)))
    root = context.root
    with ExitStack() as opened:
        own = opened.enter_context(Manifest(root.manifest_path, read_only=True))
        beneath = opened.enter_context(Manifest(root.whole.manifest_path, unchanging=True)) if root.shard else None
        stored = StoredFiles(root, own, beneath)
        candidates = opened.enter_context(closing(_candidates(engine, context, selected, stored, own)))
        planned = check_disk_space(decide(context, candidates, stored, run_id=engine.folder.name), root)
        yield from within_budget(planned, context.request.budget, engine.staging, context.cancelled)


def _days_of_short_months(
    engine: Engine,
    selected: ResolvedSelection | LockFile | tuple[Candidate, ...],
    short: Mapping[ArchiveObject, int],
) -> Generator[PlannedObject, None, None]:
    """Plan the series again whose months turned out to lack days: the daily objects of those days, where there are any.

    Their answers are given again, now that it is known what the months hold.
    """
    if not isinstance(selected, ResolvedSelection):
        return
    lacking: dict[Series, Days] = {}
    for month, bits in short.items():
        days = dayset.of_month(month.period, bits)
        lacking[month.series] = Days(lacking.get(month.series, dayset.NONE) | days)
    groups = tuple(
        replace(group, symbols=(series.symbol,), intervals=(series.interval,), filters=SymbolFilter())
        for series in lacking
        for group in selected.groups
        if (group.row.market, group.row.data_type) == (series.market, series.data_type)
        and series.interval in group.intervals
    )
    context = replace(engine.context, on_notice=lambda _: None)  # each was given before
    planned = _planned(engine, ResolvedSelection(groups, ()), context)
    with closing(planned):
        for item in planned:
            days = dayset.of_period(item.object.period)
            if item.object.period.partition is Partition.DAILY and days & lacking.get(item.object.series, dayset.NONE):
                yield item


def _candidates(
    engine: Engine,
    context: Context,
    selected: ResolvedSelection | LockFile | tuple[Candidate, ...],
    stored: StoredFiles,
    manifest: Manifest,
) -> Generator[Candidate, None, None]:
    if isinstance(selected, LockFile):
        return locked_objects(context, selected, stored)
    if isinstance(selected, tuple):
        return (candidate for candidate in selected)
    earlier = awaited_earlier(context, manifest)
    if context.request.discovery is Discovery.CALENDAR:
        return calendar_objects(context, selected, earlier)
    listing = open_listing(context.request, context.root)
    listing.on_answer = engine.note_answer
    return listed_objects(context, selected, stored, listing, earlier)


@contextmanager
def _ending_run(engine: Engine) -> Iterator[None]:
    """Let what cannot be kept on disk end the run as any other error does: what is under way is still finished."""
    try:
        yield
    except EnvironmentFailure as error:
        engine.abort(error)


def _finished(context: Context, engine: Engine, seconds: float) -> RunFinished:
    """Return how the run ended; raise an error that is a bug rather than news for a person."""
    error, signal_number = engine.error, context.cancellation.signal_number
    if isinstance(error, OSError):
        error = root_unusable(context.root, error)
    if error is None:
        return RunFinished(seconds, signal_number)
    if not isinstance(error, CryptoArchiveError):
        raise error
    return RunFinished(seconds, signal_number, error.summary, error.exit_code)
