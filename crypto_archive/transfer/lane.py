"""One lane: one s5cmd process at a time, working on a batch until nothing of it is worth another attempt."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import suppress
from itertools import chain, count
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.config.run_config import Via
from crypto_archive.errors import RootUnusable
from crypto_archive.events import BatchFinished, BatchRetried, BatchStarted
from crypto_archive.model import GONE, Outcome
from crypto_archive.plan.availability import absence
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.copies import copy_by_name
from crypto_archive.s5cmd.output import Fault, log_command, log_message
from crypto_archive.s5cmd.runfile import Parts, child_environment, command_line, run_files
from crypto_archive.transfer.batch import LARGE_BYTES, BatchState
from crypto_archive.transfer.finish import RetryDownload, finish_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tenacity import RetryCallState

    from crypto_archive.model import Absence, ArchiveObject, Batch
    from crypto_archive.root.store import Folders
    from crypto_archive.s5cmd.copies import CopyCommand
    from crypto_archive.s5cmd.output import Message
    from crypto_archive.transfer.batch import ObjectState
    from crypto_archive.transfer.door import Door
    from crypto_archive.transfer.engine import Engine

LONGEST_WAIT_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0
HUGE_PARTS = Parts(size_mb=16, at_once=8)
"""How such objects are copied: few at a time and each of them fast, so that one is hashed while others arrive."""
HUGE_WORKERS = 2
S5CMD_RETRIES = 3
"""How often s5cmd itself repeats a request, before a lane retries what remains of the batch."""


class _Attempt(NamedTuple):
    """An attempt at a batch: its number, the door, and whether that is S3 for what the CDN did not have."""

    number: int
    door: Door
    after_cdn: bool = False


class Lane:
    """Fetches one batch after the other; the supervisor looks in from another thread.

    Attributes:
        number: The lane's number, from 0.
        child_since: When the running child was started, by the monotonic clock; None while there is none.
        messages: How many messages its children have printed so far.
        has_large_objects: Whether bytes of an object may be under way for long.
    """

    def __init__(self, number: int, engine: Engine) -> None:
        self.number = number
        self.child_since: float | None = None
        self.messages = 0
        self.has_large_objects = False
        self._engine = engine
        self._context = engine.context
        self._child: Child | None = None
        self._guard = threading.Lock()
        self._staging: Path | None = None
        self._stopped_because: str | None = None

    def fetch(self, batch: Batch) -> ObjectState | None:
        """Give every object of a batch its outcome; if all failed in the same way, return one of them."""
        staging = self._staging = self._engine.staging / f"{batch.number:05d}"
        state = BatchState(batch, staging, self._context.request.access.bucket, self.number)
        self.has_large_objects = not state.is_small
        try:
            self._try_until_done(batch, state)
        except Exception as error:
            self._engine.abort(error)
        finally:
            self._finish_rest(state)
            shutil.rmtree(staging, ignore_errors=True)
            self._staging = None
            self._engine.emit(BatchFinished(self.number, batch.number))
        return state.common_failure

    def bytes_in_staging(self) -> int:
        """Return how many bytes of the current batch have arrived and are not yet published, partial files included."""
        staging = self._staging
        return sum(_sizes(staging)) if staging is not None else 0

    def stop(self, reason: str, *, kill: bool = False) -> None:
        """Stop the running child, from any thread; what it has not finished is retried or cancelled.

        ``kill`` ends it immediately, instead of asking first.
        """
        with self._guard:
            child = self._child
            self._stopped_because = reason
        if child is not None:
            if kill:
                child.kill()
            else:
                child.stop(STOP_GRACE_SECONDS)

    def _try_until_done(self, batch: Batch, state: BatchState) -> None:
        if not self._context.cancelled.is_set() and self._attempt(batch, state, 1):
            self._try_again(batch, state)

    def _try_again(self, batch: Batch, state: BatchState) -> None:
        # Here, since most runs have no use for it.
        from tenacity import Retrying, retry_if_result, stop_after_attempt, stop_when_event_set
        from tenacity.nap import sleep_using_event
        from tenacity.wait import wait_random_exponential

        cancelled = self._context.cancelled
        retrying = Retrying(
            sleep=sleep_using_event(cancelled),
            stop=stop_after_attempt(self._context.request.fetching.attempts) | stop_when_event_set(cancelled),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
            retry=retry_if_result(bool),
            before_sleep=lambda call: self._announce_retry(batch, state, call),
            retry_error_callback=lambda _: True,
        )
        # The first one was made, and has left something open.
        attempts = chain((True,), (self._attempt(batch, state, number) for number in count(2)))
        retrying(lambda: next(attempts))

    def _announce_retry(self, batch: Batch, state: BatchState, call: RetryCallState) -> None:
        reason = next((item.reason for item in state.open if item.reason), "")
        wait = call.next_action.sleep if call.next_action else 0.0
        self._engine.emit(BatchRetried(self.number, batch.number, call.attempt_number, wait, len(state.open), reason))

    def _attempt(self, batch: Batch, state: BatchState, attempt: int) -> bool:
        """Try once what is open; return whether some of it is still open."""
        self._engine.emit(BatchStarted(self.number, batch.number, batch.label, attempt, len(state.open)))
        doors = self._engine.doors
        door = doors.choose(item.planned for item in state.open)
        self._go_through(_Attempt(attempt, door), batch, state)
        if door.is_optional and state.open and not self._context.cancelled.is_set():
            # The CDN did not have it as it is listed, which says nothing of the archive and is not worth an attempt.
            self._go_through(_Attempt(attempt, doors.s3, after_cdn=True), batch, state)
        return bool(state.open)

    def _go_through(self, attempt: _Attempt, batch: Batch, state: BatchState) -> None:
        """Copy what is open through a door; conclude what can be concluded of what did not arrive."""
        self._stopped_because = None
        door = attempt.door
        state.go_through(door)
        for item in state.open:
            item.begin(attempt.number)
        parts = HUGE_PARTS if state.is_huge else Parts()
        parts = parts._replace(size_mb=self._context.request.fetching.part_size_mb or parts.size_mb)
        keys = [key for item in state.open for key in item.missing_keys]
        self._copy(attempt, batch, state, door.commands(keys, parts))
        if left := [] if self._stopped_because else state.asked_by_pattern_only():
            # By name, each of them has an answer of its own.
            self._copy(
                attempt, batch, state, [copy_by_name(door.access.bucket, key, parts) for key in left], by_name=True
            )
        self._engine.note_copied(batch)
        for item in state.open:
            self._conclude(item, door)

    def _copy(
        self, attempt: _Attempt, batch: Batch, state: BatchState, commands: list[CopyCommand], *, by_name: bool = False
    ) -> None:
        """Run copy commands, and prove what arrives."""
        engine, door = self._engine, attempt.door
        state.expect(commands)
        names = run_files(
            engine.folder, batch.number, (command.line for command in commands),
            batch_size=self._context.request.fetching.batch_size, attempt=attempt.number, after_cdn=attempt.after_cdn,
            by_name=by_name, cdn_url=door.access.endpoint_url if door.via is Via.CDN else None,
        )  # fmt: skip
        for run_file in names:
            if not self._context.cancelled.is_set() and engine.doors.is_open(door):
                self._run(run_file, state, door)
        unreported = [item for item in state.open if item.proof is None]
        for item in unreported:
            item.look()
        self._prove([item for item in unreported if item.is_complete], state)

    def _run(self, run_file: Path, state: BatchState, door: Door) -> None:
        """Run one run-file in the batch's staging folder, and note what s5cmd reports of each key."""
        engine, access = self._engine, door.access
        state.staging.mkdir(exist_ok=True)  # no parents: a root that has vanished must not come back empty
        workers = min(engine.concurrency.workers, HUGE_WORKERS) if state.is_huge else engine.concurrency.workers
        args = command_line(engine.binary, access, run_file, workers=workers, retries=S5CMD_RETRIES)
        log_command(args)
        one_of_many = engine.concurrency.lanes > 1 and state.is_small
        with Child(args, cwd=state.staging, env=child_environment(access, one_of_many=one_of_many)) as child:
            with self._guard:
                self._child = child
            self.child_since = time.monotonic()
            try:
                for messages in child.batches(linger=True):
                    self.messages += len(messages)
                    self._take(messages, state)
                    if not engine.doors.is_open(door):
                        self.stop("the rest comes from S3")
            finally:
                self.child_since = None
                with self._guard:
                    self._child = None

    def _take(self, messages: Sequence[Message], state: BatchState) -> None:
        """Note what s5cmd reports, and prove the objects of which all has arrived."""
        complete = []
        for message in messages:
            log_message(message)
            about = state.note(message)
            if about and about[0].fault is not None:
                self._note_failure(about[0])
            complete += [item for item in about if item.is_complete and item.proof is None and not item.finished]
        self._prove(complete, state)

    def _note_failure(self, item: ObjectState) -> None:
        """Stop using a door if the failure is its own; if S3 would do no better, the engine may end the run."""
        door = item.door
        if door is None or not door.is_optional:
            self._engine.note_failure(item)
        elif item.fault is Fault.ABSENT and item.planned.remote is None:
            return  # only S3 can tell whether the archive has it
        elif item.fault not in {Fault.DISK_FULL, Fault.TOO_LARGE} and not self._context.cancelled.is_set():
            self._engine.doors.fall_back(f"{item.planned.object.key}: {item.reason}")

    def _prove(self, items: list[ObjectState], state: BatchState) -> None:
        """Prove and publish objects: small ones here and together, large ones each in a thread of its own."""
        small: list[ObjectState] = []
        for item in items:
            remote = item.planned.remote
            if remote is not None and remote.size < LARGE_BYTES:
                small.append(item)
            else:
                item.proof = self._engine.proofs.submit(self._finish, [item], state.folders)
        self._finish(small, state.folders)

    def _finish(self, items: list[ObjectState], folders: Folders) -> None:
        """Finish objects whose bytes are in staging; what is to be downloaded again stays open."""
        context, binary, run_id = self._context, self._engine.binary, self._engine.folder.name
        events = []
        try:
            for item in items:
                if item.finished:
                    continue
                try:
                    answer = finish_object(context, binary, run_id, item, folders)
                except FileNotFoundError:  # reported, and not there
                    item.look()
                    continue
                if isinstance(answer, RetryDownload):
                    item.reject(answer.sha256, answer.reason, in_place=item.in_place and answer.unlike_listing)
                    if answer.unlike_listing:
                        self._engine.doors.fall_back(f"{item.planned.object.key}: {answer.reason}")
                else:
                    item.finished = True
                    events.append(answer)
        finally:
            if events:
                self._engine.emit(*events)

    def _conclude(self, item: ObjectState, door: Door) -> None:
        """Decide after an attempt whether an object has its outcome, or is left for another attempt."""
        if item.proof is not None:
            proof, item.proof = item.proof, None
            proof.result()
        if item.finished:
            return
        if item.fault is Fault.DISK_FULL:
            raise RootUnusable(
                f"The disk of the archive root is full: {item.reason}",
                hint="Free some space and run the same command again: it continues where it stopped.",
            )
        if not item.reason:
            item.fault = Fault.SILENT
            item.reason = self._stopped_because or "s5cmd exited without reporting this object"
        if item.fault is Fault.TOO_LARGE:
            self._end(item, Outcome.FAILED, item.reason)
        elif door.is_optional:
            if item.fault is Fault.SILENT:
                self._note_failure(item)
        elif item.fault in {Fault.ABSENT, Fault.DENIED} and door.via is Via.CDN and item.planned.remote is not None:
            self._end(item, Outcome.FAILED, f"{door} does not have it, but it is listed: {item.reason}; use --via s3")
        elif item.fault is Fault.ABSENT and item.planned.pin is not None:
            self._end(item, Outcome.FAILED, GONE, refused=True)
        elif item.fault is Fault.ABSENT:
            self._end(item, Outcome.ABSENT, str(self._absence(item.planned.object)))
        elif item.fault is Fault.DENIED:
            self._end(item, Outcome.FAILED, item.reason)

    def _absence(self, item: ArchiveObject) -> Absence:
        row = self._context.matrix.row(item.series.market, item.series.data_type)
        if row is None:
            raise ValueError(f"no row of the matrix has the key {item.key}")
        return absence(row, item, self._context.today)

    def _finish_rest(self, state: BatchState) -> None:
        """Give an outcome to what is still open after the last attempt."""
        for item in state.open:
            if item.proof is not None:
                item.proof.exception()  # waits; what went wrong has been raised, or the run is ending for another error
        cancelled = self._context.cancelled.is_set()
        for item in state.open:
            if cancelled:
                self._end(item, Outcome.CANCELLED)
            else:
                self._end(item, Outcome.FAILED, item.reason)

    def _end(self, item: ObjectState, outcome: Outcome, reason: str = "", *, refused: bool = False) -> None:
        item.finished = True
        self._engine.emit(item.ended(outcome, reason, refused=refused))


def _sizes(folder: Path | str) -> Iterator[int]:
    """Yield the sizes of the files below a folder that other threads and processes are changing."""
    try:
        with os.scandir(folder) as entries:
            children = list(entries)
    except FileNotFoundError:
        return
    for child in children:
        if child.is_dir(follow_symlinks=False):
            yield from _sizes(child.path)
        else:
            with suppress(FileNotFoundError):
                yield child.stat(follow_symlinks=False).st_size
