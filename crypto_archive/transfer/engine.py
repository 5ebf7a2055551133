"""The engine: a planner thread feeds batches to lanes by way of a spool; events come out of one generator.

The thread that iterates the generator owns the run: it supervises the lanes, carries out cancellation and sees every
event in turn, so that whoever consumes events needs no lock.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable, RootUnusable
from crypto_archive.events import BytesArrived, Event, ObjectFinished, ObjectPlanned, PlanFinished
from crypto_archive.files import Spool
from crypto_archive.model import Action, Batch, Outcome, PlannedObject
from crypto_archive.s5cmd.child import AwakeClock
from crypto_archive.s5cmd.output import Fault
from crypto_archive.transfer.lane import Lane, Wires

if TYPE_CHECKING:
    from crypto_archive.transfer.lane import ObjectState, Workplace

TICK_SECONDS = 0.25
CHUNKS_IN_FLIGHT = 128
"""How many handfuls of events may wait for the consumer; those of lanes have one event each."""
EVENTS_PER_CHUNK = 64
"""How many events the planner hands over together: two threads that pass them on one by one spend most of their time
with waking each other up."""
PROOF_THREADS = 4
UNREACHABLE_AT_FIRST = 3
"""How many copies may fail because nobody answers, before anything has arrived, until the run is given up."""
LOST_BATCHES = 3
"""How many batches in a row may get nothing at all out of the server, or one a lane where there are more lanes."""

_LOST = {Fault.UNREACHABLE, Fault.TRANSIENT, Fault.SILENT}

CutBatches = Callable[[Iterator[PlannedObject]], Iterator[Batch]]
"""Cuts the planned objects that are to be fetched into batches."""


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
    """One run of the transfer.

    Attributes:
        error: What ended the run early; None when nothing did.
    """

    def __init__(self, workplace: Workplace, cut: CutBatches) -> None:
        """Prepare a run.

        Args:
            workplace: What the lanes share.
            cut: Cuts planned objects into batches.
        """
        self.error: Exception | None = None
        self._events: queue.Queue[tuple[Event, ...] | None] = queue.Queue(CHUNKS_IN_FLIGHT)
        self._chunk: list[Event] = []  # of the planner's thread alone
        self._spool = Spool(workplace.staging)
        self._cut = cut
        self._arrived = False
        self._lost_batches = 0
        self._guard = threading.Lock()
        self._unreachable = 0
        self._proofs = ThreadPoolExecutor(PROOF_THREADS, thread_name_prefix="proof")
        self._place = workplace
        self._cancellation = workplace.cancellation
        wires = Wires(self.emit, self._abort, self._count_failure, self._proofs)
        self._watches = {Lane(number, workplace, wires): _Watch() for number in range(workplace.fetching.jobs)}

    def emit(self, event: Event) -> None:
        """Put an event among those that the run yields; from any thread, waits while too many are under way."""
        if isinstance(event, ObjectFinished) and event.lane is not None:
            self._note_sign_of_life(event)
        self._events.put((event,))

    def run(self, planned: Generator[PlannedObject, None, None]) -> Generator[Event, None, None]:
        """Fetch what is planned; yield events until every planned object is settled.

        Args:
            planned: The plan; consumed in a thread of its own. What the lanes cannot take yet waits on disk.
        """
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
            self.close()

    def close(self) -> None:
        """Give back what a run needs beside its threads; for a run that was never begun, too."""
        self._proofs.shutdown()
        self._spool.discard()

    def _events_of(self, running: int) -> Iterator[Event]:
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
                yield from chunk
            if time.monotonic() >= next_look:
                yield from self._look_after_lanes(clock.look())
                next_look = time.monotonic() + TICK_SECONDS

    def _abandon(self, threads: list[threading.Thread]) -> None:
        """Stop all threads when the consumer leaves early, and let none of them wait for ever."""
        self._cancellation.requested.set()
        while any(thread.is_alive() for thread in threads):
            for lane in self._watches:
                lane.stop("the run was abandoned", at_once=True)
            with suppress(queue.Empty):
                self._events.get(timeout=TICK_SECONDS)

    def _abort(self, error: Exception) -> None:
        """Remember the first error that ends the run, and end it in order."""
        self.error = self.error or error
        self._cancellation.requested.set()

    # In the planner's thread

    def _feed(self, planned: Generator[PlannedObject, None, None]) -> None:
        try:
            for batch in self._cut(self._announced(planned)):
                self._enqueue(batch)
        except Exception as error:
            self._abort(error)
        finally:
            self._tell(PlanFinished())
            self._flush_events()
            self._spool.close()

    def _enqueue(self, batch: Batch) -> None:
        """Put a batch into the spool; when there is no room for it, end the run and settle the batch here.

        What was planned is told before a lane can have anything to say of it.
        """
        self._flush_events()
        try:
            self._spool.put(batch)
        except RootUnusable as error:
            self._abort(error)
            for item in batch.items:
                self.emit(ObjectFinished(item.object, Outcome.CANCELLED, remote=item.remote))

    def _announced(self, planned: Generator[PlannedObject, None, None]) -> Iterator[PlannedObject]:
        """Tell of every planned object, settle those that stay, pass the rest on.

        Cancellation and a failing plan end it early but in order, so that what was told of still reaches a lane.
        """
        with closing(planned):
            try:
                for item in planned:
                    if self._cancellation.requested.is_set():
                        return
                    self._tell(ObjectPlanned(item))
                    if item.action.transfers:
                        yield item
                    else:
                        self._tell(_finished_without_transfer(item))
            except Exception as error:
                self._abort(error)

    def _tell(self, event: Event) -> None:
        self._chunk.append(event)
        if len(self._chunk) >= EVENTS_PER_CHUNK:
            self._flush_events()

    def _flush_events(self) -> None:
        self._events.put(tuple(self._chunk))
        self._chunk.clear()

    # In the lanes' threads

    def _work(self, lane: Lane) -> None:
        try:
            while (batch := self._spool.get()) is not None:
                failure = lane.fetch(batch)
                if failure is not None and not self._arrived:
                    self._give_up_if_hopeless(failure)
                if failure is not None and failure.fault in _LOST:
                    self._count_lost_batch(failure)
        finally:
            self._events.put(None)

    def _count_failure(self, entry: ObjectState) -> None:
        """End the run at once when its first objects cannot be had because nobody answers.

        s5cmd has tried each of them several times by then; a whole batch of them, tried again and again, would take
        minutes where name servers are slow.
        """
        self._unreachable += entry.fault is Fault.UNREACHABLE
        if self._unreachable >= UNREACHABLE_AT_FIRST and not self._arrived:
            self._give_up_if_hopeless(entry)

    def _give_up_if_hopeless(self, failure: ObjectState) -> None:
        """End the run when what failed so far failed for a reason that holds for all the rest."""
        endpoint = self._place.access.endpoint_url
        if failure.fault is Fault.UNREACHABLE:
            message = f"The archive's server {endpoint} cannot be reached: {failure.reason}"
            self._abort(EndpointUnreachable(message, hint="Check the network, the proxy settings and --endpoint-url."))
        elif failure.fault is Fault.DENIED:
            message = f"The archive's server {endpoint} denies access: {failure.reason}"
            self._abort(EndpointUnreachable(message, hint="Check --endpoint-url and the credentials, if you use any."))

    def _note_sign_of_life(self, event: ObjectFinished) -> None:
        self._arrived |= event.bytes_fetched > 0
        if event.bytes_fetched or event.outcome is Outcome.ABSENT:
            with self._guard:
                self._lost_batches = 0

    def _count_lost_batch(self, failure: ObjectState) -> None:
        """End the run when one batch after the other has got nothing, in all of its attempts: the network is gone."""
        with self._guard:
            self._lost_batches += 1
            lost = self._lost_batches
        if lost >= max(LOST_BATCHES, self._place.fetching.jobs) and not self._cancellation.requested.is_set():
            endpoint = self._place.access.endpoint_url
            message = f"Nothing came from the archive's server {endpoint} for {lost} batches in a row: {failure.reason}"
            hint = "Check the network, then run the same command again: it continues where it stopped."
            self._abort(EndpointUnreachable(message, hint=hint))

    # In the consumer's thread

    def _look_after_lanes(self, now: float) -> Iterator[Event]:
        for lane, watch in self._watches.items():
            if lane.child_since != watch.child_since:
                watch.child_since, watch.began_at, watch.moved_at = lane.child_since, now, now
            arrived = lane.bytes_in_staging()
            if (arrived, lane.messages) != (watch.bytes, watch.messages):
                watch.bytes, watch.messages, watch.moved_at = arrived, lane.messages, now
            reason = self._reason_to_stop(lane, watch, now)
            if reason:
                self._stop(lane, watch, reason)
            yield BytesArrived(lane.number, arrived)

    def _reason_to_stop(self, lane: Lane, watch: _Watch, now: float) -> str:
        fetching = self._place.fetching
        if watch.child_since is None:
            return ""
        if self._cancellation.requested.is_set():
            return "cancelled"
        if now - watch.moved_at > fetching.stall_seconds:
            return f"nothing arrived for {fetching.stall_seconds:g} seconds"
        if now - watch.began_at > fetching.timeout_seconds:
            return f"not done within {fetching.timeout_seconds:g} seconds"
        return ""

    def _stop(self, lane: Lane, watch: _Watch, reason: str) -> None:
        """Stop a lane's child without waiting for it."""
        if self._cancellation.urgent.is_set():
            lane.stop(reason, at_once=True)
        elif watch.stopper is None or not watch.stopper.is_alive():
            watch.stopper = threading.Thread(target=lane.stop, args=(reason,), name="stopper")
            watch.stopper.start()


_WITHOUT_TRANSFER = {
    Action.KEEP: Outcome.PRESENT,
    Action.WAIT: Outcome.ABSENT,
    Action.REFUSE: Outcome.FAILED,
}


def _finished_without_transfer(item: PlannedObject) -> ObjectFinished:
    reason = "" if item.action is Action.KEEP else item.why
    return ObjectFinished(
        item.object,
        _WITHOUT_TRANSFER[item.action],
        reason,
        size=item.stored_size,
        remote=item.remote,
        refused=item.action is Action.REFUSE,
    )
