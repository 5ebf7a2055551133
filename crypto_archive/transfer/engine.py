"""The engine: a planner thread feeds a backlog from which lanes take batches; events come out of one generator.

The thread that iterates the generator owns the run: it supervises the lanes, carries out cancellation and sees every
event in turn, so that consumers of events need no lock.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from crypto_archive.errors import EndpointUnreachable, EnvironmentFailure
from crypto_archive.events import BytesArrived, Event, ObjectFinished, ObjectPlanned, ObjectsKept, PlanFinished
from crypto_archive.model import Action, Outcome, Verdict
from crypto_archive.plan.batches import groups
from crypto_archive.root.store import explain_root_errors
from crypto_archive.s5cmd.child import AwakeClock
from crypto_archive.s5cmd.failure import server_failed
from crypto_archive.s5cmd.output import Fault
from crypto_archive.transfer.backlog import Backlog
from crypto_archive.transfer.door import Doors
from crypto_archive.transfer.finish import with_month_days
from crypto_archive.transfer.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from crypto_archive.model import Batch, PlannedObject
    from crypto_archive.plan.batches import Group
    from crypto_archive.root.session import Context
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.transfer.batch import ObjectState
    from crypto_archive.transfer.concurrency import Concurrency

TICK_SECONDS = 0.25
CHUNKS_IN_FLIGHT = 128
"""How many chunks of events may wait for the consumer; those of lanes have one event each."""
EVENTS_PER_CHUNK = 64
"""How many events the planner enqueues together: two threads that exchange single events spend most of their time
waking each other up."""
KEPT_TOGETHER = 256
"""How many objects of a series that stay as they are have one event, at most."""
PROOF_THREADS = 4
UNREACHABLE_AT_FIRST = 3
"""How many copies may fail because no server answers, with nothing received yet, before the run gives up."""
LOST_BATCHES = 3
"""How many batches in a row may get nothing at all from the server; one per lane where there are more lanes."""

_LOST = {Fault.UNREACHABLE, Fault.TRANSIENT, Fault.SILENT}
_WITHOUT_TRANSFER = {Action.KEEP: Outcome.PRESENT, Action.WAIT: Outcome.ABSENT, Action.REFUSE: Outcome.FAILED}


@dataclass(slots=True)
class _Watch:
    """What the supervisor last saw of a lane, by its own clock, and the thread that is stopping it."""

    bytes: int = 0
    messages: int = 0
    child_since: float | None = None
    began_at: float = 0.0
    moved_at: float = 0.0
    stopper: threading.Thread | None = None


class Engine:
    """The transfer of one run; a context manager, which gives back what it needs besides its threads.

    Attributes:
        context: What the run works with; its root is the one that the run holds.
        folder: The run's folder, where run-files are kept.
        binary: The s5cmd binary.
        concurrency: How many lanes and workers there are.
        staging: The run's own folder below staging.
        proofs: Threads in which arrived objects are proven: hashing never holds up the transfers.
        doors: The servers that have the bytes, and the choice between them.
        error: What ended the run early; None when nothing did.
    """

    def __init__(self, context: Context, folder: Path, binary: Binary, concurrency: Concurrency) -> None:
        """Prepare a run; raises EnvironmentFailure where its staging folder cannot be written to."""
        self.context = context
        self.folder = folder
        self.binary = binary
        self.concurrency = concurrency
        self.staging = context.root.staging / folder.name
        self.proofs = ThreadPoolExecutor(PROOF_THREADS, thread_name_prefix="proof")
        self.error: Exception | None = None
        with explain_root_errors(context.root):
            self.staging.mkdir(parents=True, exist_ok=True)
        self.doors = Doors(binary, context.request.access, self.emit)
        self._backlog = Backlog(self.staging, concurrency.lanes, context.request.fetching.batch_size)
        self._events: queue.Queue[tuple[Event, ...] | None] = queue.Queue(CHUNKS_IN_FLIGHT)
        self._chunk: list[Event] = []  # of the planner's thread alone
        self._kept: list[PlannedObject] = []  # likewise
        self._arrived = False
        self._lost_batches = 0
        self._guard = threading.Lock()
        self._unreachable = 0
        self._watches = {Lane(number, self): _Watch() for number in range(concurrency.lanes)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.proofs.shutdown()
        self._backlog.close()

    def run(self, planned: Generator[PlannedObject, None, None]) -> Generator[tuple[Event, ...], None, None]:
        """Fetch what is planned; yield events, as many at a time as come together, until every object has its outcome.

        The plan is consumed in a thread of its own. What the lanes cannot take yet waits on disk. A second plan may
        follow when the first is done.
        """
        self._backlog.reopen()
        threads = [threading.Thread(target=self._feed, args=(planned,), name="planner")]
        threads += [threading.Thread(target=self._work, args=(lane,), name="lane") for lane in self._watches]
        for thread in threads:
            thread.start()
        try:
            yield from self._events_of(len(self._watches))
        except BaseException:
            self._abandon(threads)
            raise
        finally:
            for thread in (*threads, *(watch.stopper for watch in self._watches.values() if watch.stopper)):
                thread.join()

    def emit(self, *events: Event) -> None:
        """Put events among those that the run yields; from any thread, waits while too many are under way."""
        for event in events:
            if isinstance(event, ObjectFinished) and event.lane is not None:
                self._note_sign_of_life(event)
        self._events.put(events)

    def abort(self, error: Exception) -> None:
        """Remember the first error that ends the run, and end it gracefully; from any thread."""
        self.error = self.error or error
        self.context.cancelled.set()

    def note_answer(self, seconds: float) -> None:
        """Take in how soon the server answered an s5cmd; if it is near, fewer lanes keep this machine busy."""
        enough = self.concurrency.for_server(seconds)
        if self.context.request.fetching.jobs is None and self._backlog.share_among(enough.lanes):
            self.concurrency = enough

    def note_copied(self, batch: Batch) -> None:
        """Take in that the bytes of a batch have arrived: other lanes use the line while they are hashed."""
        self._backlog.copied(batch)

    def note_failure(self, state: ObjectState) -> None:
        """Take in a failure that s5cmd reported; give up when no server answers the first copies of the run.

        s5cmd has tried each of them several times by then; a whole batch of them, tried again and again, would take
        minutes where name servers are slow.
        """
        self._unreachable += state.fault is Fault.UNREACHABLE
        if self._unreachable >= UNREACHABLE_AT_FIRST and not self._arrived:
            self._give_up_if_hopeless(state)

    def _events_of(self, running: int) -> Iterator[tuple[Event, ...]]:
        next_look = time.monotonic() + TICK_SECONDS
        clock = AwakeClock(TICK_SECONDS)
        while running:
            try:
                chunk = self._events.get(timeout=TICK_SECONDS)
            except queue.Empty:
                pass
            else:
                if chunk is None:
                    running -= 1
                    continue
                yield chunk
            if time.monotonic() >= next_look:
                yield tuple(self._look_after_lanes(clock.look()))
                next_look = time.monotonic() + TICK_SECONDS

    def _abandon(self, threads: list[threading.Thread]) -> None:
        """Stop all threads when the consumer leaves early; events are drained, so that none of them waits forever."""
        self.context.cancelled.set()
        while any(thread.is_alive() for thread in threads):
            for lane in self._watches:
                lane.stop("the run was abandoned", kill=True)
            with suppress(queue.Empty):
                self._events.get(timeout=TICK_SECONDS)

    # In the planner's thread

    def _feed(self, planned: Generator[PlannedObject, None, None]) -> None:
        try:
            for group in groups(self._announced(planned), self.context.request.fetching.batch_size):
                self._enqueue(group)
        except Exception as error:
            self.abort(error)
        finally:
            self._announce(PlanFinished())
            self._flush_events()
            self._backlog.end()

    def _enqueue(self, group: Group) -> None:
        """Queue a group for the lanes; when the disk has no room for it, end the run and cancel its objects here."""
        self._flush_events()  # consumers see an object planned before a lane can report anything of it
        try:
            self._backlog.put(group)
        except EnvironmentFailure as error:
            self.abort(error)
            for item in group:
                self.emit(ObjectFinished(item.object, Outcome.CANCELLED, remote=item.remote))

    def _announced(self, planned: Generator[PlannedObject, None, None]) -> Iterator[PlannedObject]:
        """Announce every planned object, finish those without a transfer, pass the others on.

        Cancellation and a failing plan end it early but without an exception: what was announced still reaches a lane.
        """
        with closing(planned):
            try:
                kept = self._kept
                for item in planned:
                    if self.context.cancelled.is_set():
                        return
                    if item.is_left_alone:
                        if kept and (len(kept) == KEPT_TOGETHER or kept[-1].object.series != item.object.series):
                            self._announce_kept()
                        kept.append(item)
                        continue
                    self._announce_kept()
                    self._announce(ObjectPlanned(item))
                    if item.action.transfers:
                        yield item
                    else:
                        self._announce(_finished_without_transfer(self.context, item))
            except Exception as error:
                self.abort(error)
            finally:
                self._announce_kept()

    def _announce_kept(self) -> None:
        """Announce the objects of a series that stay as they are."""
        if self._kept:
            self._announce(ObjectsKept(tuple(self._kept)))
            self._kept.clear()
            self._flush_events()

    def _announce(self, event: Event) -> None:
        self._chunk.append(event)
        if len(self._chunk) >= EVENTS_PER_CHUNK:
            self._flush_events()

    def _flush_events(self) -> None:
        self._events.put(tuple(self._chunk))
        self._chunk.clear()

    # In the lanes' threads

    def _work(self, lane: Lane) -> None:
        try:
            while (batch := self._backlog.take(lane.number)) is not None:
                failure = lane.fetch(batch)
                self.note_copied(batch)
                if failure is not None and not self._arrived:
                    self._give_up_if_hopeless(failure)
                if failure is not None and failure.fault in _LOST:
                    self._count_lost_batch(failure)
        except Exception as error:  # what waits cannot be read
            self.abort(error)
        finally:
            self._events.put(None)

    def _give_up_if_hopeless(self, failure: ObjectState) -> None:
        """End the run when what failed so far failed for a reason that holds for all the rest."""
        if failure.fault in {Fault.UNREACHABLE, Fault.DENIED}:
            self.abort(server_failed(self.doors.access, failure.reason, listing=False))

    def _note_sign_of_life(self, event: ObjectFinished) -> None:
        # Here, not where the event is consumed: a slow consumer must not turn a denied batch into the end of the run.
        self._arrived |= event.bytes_fetched > 0
        if event.bytes_fetched or event.outcome is Outcome.ABSENT:
            with self._guard:
                self._lost_batches = 0

    def _count_lost_batch(self, failure: ObjectState) -> None:
        """End the run when one batch after the other got nothing in all of its attempts: the network is gone."""
        with self._guard:
            self._lost_batches += 1
            lost = self._lost_batches
        if lost >= max(LOST_BATCHES, self.concurrency.lanes) and not self.context.cancelled.is_set():
            endpoint = self.doors.access.endpoint_url
            message = f"Nothing came from the archive's server {endpoint} for {lost} batches in a row: {failure.reason}"
            hint = "Check the network, then run the same command again: it continues where it stopped."
            self.abort(EndpointUnreachable(message, hint=hint))

    # In the consumer's thread

    def _look_after_lanes(self, now: float) -> Iterator[Event]:
        for lane, watch in self._watches.items():
            if lane.child_since != watch.child_since:
                watch.child_since, watch.began_at, watch.moved_at = lane.child_since, now, now
            # Looking takes time. Where small objects come and go, there are hardly any bytes to see.
            arrived = lane.bytes_in_staging() if lane.messages == watch.messages or lane.has_large_objects else 0
            if (arrived, lane.messages) != (watch.bytes, watch.messages):
                watch.bytes, watch.messages, watch.moved_at = arrived, lane.messages, now
            reason = self._reason_to_stop(watch, now)
            if reason is not None:
                self._stop(lane, watch, reason)
            yield BytesArrived(lane.number, arrived)

    def _reason_to_stop(self, watch: _Watch, now: float) -> str | None:
        fetching = self.context.request.fetching
        if watch.child_since is None:
            return None
        if self.context.cancelled.is_set():
            return "cancelled"
        if now - watch.moved_at > fetching.stall_seconds:
            return f"nothing arrived for {fetching.stall_seconds:g} seconds"
        if now - watch.began_at > fetching.timeout_seconds:
            return f"not done within {fetching.timeout_seconds:g} seconds"
        return None

    def _stop(self, lane: Lane, watch: _Watch, reason: str) -> None:
        """Stop a lane's child without waiting for it."""
        if self.context.cancellation.urgent.is_set():
            lane.stop(reason, kill=True)
        elif watch.stopper is None or not watch.stopper.is_alive():
            watch.stopper = threading.Thread(target=lane.stop, args=(reason,), name="stopper")
            watch.stopper.start()


def _finished_without_transfer(context: Context, item: PlannedObject) -> ObjectFinished:
    reason = "" if item.action is Action.KEEP else item.why
    if item.verdict is Verdict.BAD_ZIP:
        reason = "the archive's own zip is broken, and has not been replaced since"
    finished = ObjectFinished(
        item.object,
        _WITHOUT_TRANSFER[item.action],
        reason,
        size=item.stored_size,
        verdict=item.verdict,
        remote=item.remote,
        refused=item.action is Action.REFUSE,
    )
    return with_month_days(context, item, finished) if item.action is Action.KEEP else finished
