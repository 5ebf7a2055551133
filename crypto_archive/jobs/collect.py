"""Collect: plan, fetch, prove, publish, remember, report. This page joins the parts; each does its own work."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.errors import CryptoArchiveError, EndpointUnreachable, EnvironmentFailure
from crypto_archive.events import NO_SIGNAL, Event, Noticed, RunFinished, RunStarted
from crypto_archive.jobs.adoption import Adopter
from crypto_archive.jobs.budget import require_sizes, within_budget
from crypto_archive.jobs.occupancy import leave, occupied, place_for, refuse_to_prune
from crypto_archive.jobs.prune import CoveringMonths, prune
from crypto_archive.jobs.record import Record
from crypto_archive.jobs.room import while_it_fits
from crypto_archive.jobs.settlement import Settler
from crypto_archive.jobs.sources import selected
from crypto_archive.model import RemoteStat
from crypto_archive.planning.batches import batches
from crypto_archive.planning.calendar import absence
from crypto_archive.planning.plan import plan
from crypto_archive.report.fold import Report
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import list_objects
from crypto_archive.transfer.cancellation import Cancellation
from crypto_archive.transfer.descriptors import crew_for
from crypto_archive.transfer.engine import Engine
from crypto_archive.transfer.lane import Workplace
from crypto_archive.trust.lock import wait_for
from crypto_archive.trust.manifest import Manifest
from crypto_archive.trust.presence import StoredFiles
from crypto_archive.trust.runs import new_run_id
from crypto_archive.trust.store import Root, root_unusable, sweep_staging
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from crypto_archive.config import Configured
    from crypto_archive.jobs.sources import Source
    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Absence, ArchiveObject, Notice, PlannedObject
    from crypto_archive.request import Access, Request
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.transfer.descriptors import Crew


def collect(
    configured: Configured,
    *,
    source: Source | None = None,
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
        source: Fetch the objects of this source instead of what is selected.
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
    today = today or datetime.now(UTC).date()
    cancellation = cancellation or Cancellation()
    binary = find_binary(request.access.s5cmd)
    root = place_for(configured)
    crew = crew_for(request.fetching.jobs)
    report = Report(request, version=__version__, matrix_version=matrix.version, presets=configured.presets)
    with ExitStack() as held:
        occupy = partial(occupied, root, request.keep_runs)
        left_over = yield from wait_for(held, occupy, cancellation.requested, wait=wait)
        if left_over is None:
            report.add(RunFinished(0.0, cancellation.signal_number))
            return report
        run_id = new_run_id(datetime.now(UTC))
        record = held.enter_context(Record.opened(root, run_id, report))
        months = held.enter_context(CoveringMonths(root, matrix)) if prune_covered else None
        workplace = _workplace(configured, root, record, binary, crew, cancellation, today)
        cut = partial(batches, batch_size=request.fetching.batch_size)
        engine = held.enter_context(closing(Engine(workplace, cut)))
        source = source or selected(configured, root, today)
        notices = (*left_over, *source.notices, *(() if crew.notice is None else (crew.notice,)))
        planned = _planned(root, run_id, source, engine, request, cancellation)
        begun = _Begun(root, matrix, record, engine, cancellation, months)
        yield from begun.events(RunStarted(run_id, datetime.now(UTC), notices, binary.version), planned)
    if root.part:
        for told in leave(root, cancellation.requested):
            report.add(told)
            yield told
    return report


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
        return RunFinished(self._seconds, signal_number, error.told, error.exit_code)

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
    configured: Configured,
    root: Root,
    record: Record,
    binary: Binary,
    crew: Crew,
    cancellation: Cancellation,
    today: date,
) -> Workplace:
    request = configured.request
    look_up = partial(_look_up, binary, request.access, cancellation)
    return Workplace(
        binary=binary,
        access=request.access,
        fetching=replace(request.fetching, jobs=crew.lanes),
        staging=root.staging / record.folder.name,
        run_folder=record.folder,
        settle=Settler(root, record.folder.name, request.fetching.download_checksum, look_up),
        explain_absence=partial(_absence, configured.matrix, today),
        cancellation=cancellation,
        workers=crew.workers,
    )


def _planned(
    root: Root, run_id: str, source: Source, engine: Engine, request: Request, cancellation: Cancellation
) -> Generator[PlannedObject, None, None]:
    """Plan against what is on disk; the whole body runs in the thread that consumes it, as the manifest wants it."""

    def say(notice: Notice) -> None:
        engine.emit(Noticed(notice))

    with ExitStack() as manifests:
        own = manifests.enter_context(Manifest(root.manifest_path, read_only=True))
        beneath = manifests.enter_context(Manifest(root.whole.manifest_path, unchanging=True)) if root.part else None
        stored = StoredFiles(root, own, beneath)
        adopt = Adopter(root, run_id, request.fetching.download_checksum)
        with closing(source.candidates(stored, say, cancellation.requested)) as found:
            planned = while_it_fits(plan(found, stored.stat, request.fetching, adopt), root)
            yield from within_budget(planned, request.budget, root.staging / run_id, cancellation.requested)


def _look_up(binary: Binary, access: Access, cancellation: Cancellation, key: str) -> RemoteStat | None:
    """List one object; None when the bucket does not list it, or cannot be asked."""
    with suppress(EndpointUnreachable, ValueError):
        for listed in list_objects(binary, access, [key], cancelled=cancellation.requested):
            if listed.key == key:
                return RemoteStat(listed.size, listed.etag, listed.last_modified)
    return None


def _absence(matrix: Matrix, today: date, item: ArchiveObject) -> Absence:
    row = matrix.row(item.series.market, item.series.data_type)
    if row is None:
        raise ValueError(f"no row of the matrix has the key {item.key}")
    return absence(row, item, today)
