"""One lane: an s5cmd process at a time, working on one batch until nothing of it is worth another attempt."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, stop_when_event_set
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_random_exponential

from crypto_archive.errors import RootUnusable
from crypto_archive.events import BatchFinished, BatchRetried, BatchStarted, Event, ObjectFinished
from crypto_archive.model import GONE, Absence, ArchiveObject, Outcome, PlannedObject
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Message, fault_of
from crypto_archive.s5cmd.runfile import child_environment, command_line, run_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from crypto_archive.config.run_config import Access, Fetching
    from crypto_archive.events import Cancellation
    from crypto_archive.model import Batch
    from crypto_archive.s5cmd.binary import Binary


@dataclass(slots=True)
class ObjectState:
    """One object of a batch on its way.

    Attributes:
        planned: The object.
        file: Where its zip lands in staging.
        sidecar: Where its sidecar lands in staging.
        attempts: The attempt that it is in, from 1.
        sidecar_absent: Whether the archive has no sidecar of it.
        doubts: SHA-256 digests of downloads that failed the proof.
        fault: What went wrong in the last attempt, None where nothing did.
        reason: The same in words.
        proof: The proof under way; its result says whether the object has come to its end.
        ended: Whether it has come to its end.
    """

    planned: PlannedObject
    file: Path
    sidecar: Path
    attempts: int = 0
    sidecar_absent: bool = False
    doubts: set[str] = field(default_factory=set)
    fault: Fault | None = None
    reason: str = ""
    proof: Future[bool] | None = None
    ended: bool = False

    @property
    def missing_keys(self) -> tuple[str, ...]:
        """The keys that still have to be copied."""
        item = self.planned.object
        keys = [] if self.file.exists() else [item.key]
        if self.planned.with_sidecar and not self.sidecar_absent and not self.sidecar.exists():
            keys.append(item.sidecar_key)
        return tuple(keys)

    def begin(self, attempt: int) -> None:
        """Forget what went wrong in the attempt before."""
        self.attempts, self.fault, self.reason = attempt, None, ""

    def discard(self, fault: Fault, reason: str) -> None:
        """Throw the downloaded files away, so that the next attempt fetches them anew."""
        self.file.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)
        self.sidecar_absent = False
        self.fault, self.reason = fault, reason


class BatchState:
    """The entries of a batch, found by the words in which s5cmd speaks of them.

    s5cmd repeats a failed command without its flags and without quotes (measured with v2.3.0), so the text is known
    beforehand and never taken apart.
    """

    def __init__(self, batch: Batch, staging: Path, bucket: str) -> None:
        """Open the account of a batch whose files land below the folder ``staging``."""
        self.staging = staging
        self.entries = [
            ObjectState(item, staging / item.object.key, staging / item.object.sidecar_key) for item in batch.items
        ]
        self._by_source: dict[str, ObjectState] = {}
        self._by_command: dict[str, tuple[ObjectState, bool]] = {}
        for entry in self.entries:
            for key in entry.planned.keys:
                source = f"s3://{bucket}/{key}"
                self._by_source[source] = entry
                self._by_command[f"cp {source} {key}"] = (entry, key != entry.planned.object.key)

    @property
    def open(self) -> list[ObjectState]:
        """The entries that have not come to their end."""
        return [entry for entry in self.entries if not entry.ended]

    @property
    def common_failure(self) -> ObjectState | None:
        """One entry for all, where every object failed in the same way; None otherwise."""
        faults = {entry.fault for entry in self.entries}
        return self.entries[0] if len(faults) == 1 and None not in faults else None

    def missing_keys(self) -> list[str]:
        """Return the keys that still have to be copied, in the order of the plan."""
        return [key for entry in self.open for key in entry.missing_keys]

    def note(self, message: Message) -> ObjectState | None:
        """Take in a message of s5cmd; return the entry that it was about, None for anything else."""
        if isinstance(message, Copied):
            return self._by_source.get(message.source)
        if isinstance(message, Failed) and message.command in self._by_command:
            entry, is_sidecar = self._by_command[message.command]
            _note_failure(entry, message.error, is_sidecar=is_sidecar)
            return entry
        return None


def _note_failure(entry: ObjectState, error: str, *, is_sidecar: bool) -> None:
    fault = fault_of(error)
    if is_sidecar and fault is Fault.ABSENT:
        entry.sidecar_absent = True
    elif entry.fault is not Fault.ABSENT:
        entry.fault, entry.reason = fault, error


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object whose bytes lie in staging.

    Attributes:
        planned: The object as it was planned.
        file: The zip in staging.
        sidecar: The sidecar in staging; None where it was not wanted or the archive has none.
        attempts: How many attempts it took so far.
        doubts: SHA-256 digests of earlier downloads in this run that failed the proof.
        last_chance: Whether there will be no further download when this one fails the proof.
    """

    planned: PlannedObject
    file: Path
    sidecar: Path | None
    attempts: int
    doubts: frozenset[str]
    last_chance: bool


@dataclass(frozen=True, slots=True)
class RetryDownload:
    """The bytes failed the proof, and another download may cure it.

    Attributes:
        sha256: Digest of the doubtful bytes.
        reason: What the proof said.
    """

    sha256: str
    reason: str


Finish = Callable[[Arrival], ObjectFinished | RetryDownload]
"""Proves an arrival and publishes or quarantines it; called from several threads."""

ExplainAbsence = Callable[[ArchiveObject], Absence]
"""Says why the archive does not have an object."""


LONGEST_WAIT_SECONDS = 30.0
STOP_GRACE_SECONDS = 5.0
WORKERS = 16
"""Objects under way in one s5cmd process. It keeps only two idle connections a host, so that many more workers would
mostly open new ones (measured with v2.3.0); eight lanes of sixteen keep a long line busy."""
S5CMD_RETRIES = 3
"""s5cmd's own retries of a request, before ours of what remains of the batch."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """What all lanes of a run share.

    Attributes:
        binary: The s5cmd binary.
        access: How the bucket is reached.
        fetching: How objects are fetched.
        staging: The run's own folder below staging.
        run_folder: Where run-files are kept.
        finish: Proves and publishes.
        explain_absence: Says why an object is absent.
        cancellation: Asks the lanes to stop.
        workers: Objects under way in one s5cmd process.
    """

    binary: Binary
    access: Access
    fetching: Fetching
    staging: Path
    run_folder: Path
    finish: Finish
    explain_absence: ExplainAbsence
    cancellation: Cancellation
    workers: int = WORKERS


@dataclass(frozen=True, slots=True)
class Wires:
    """How lanes reach the engine, from their own threads.

    Attributes:
        emit: Takes events.
        abort: Takes the error that ends the run early.
        failed: Is told of each failure that s5cmd reports.
        proofs: Threads in which arrivals are proven.
    """

    emit: Callable[[Event], None]
    abort: Callable[[Exception], None]
    failed: Callable[[ObjectState], None]
    proofs: Executor


class Lane:
    """Fetches one batch after the other; the supervisor looks in from another thread.

    Attributes:
        number: The lane's number, from 0.
        child_since: When the running child was started, by the monotonic clock; None while there is none.
        messages: How many messages its children have printed so far.
    """

    def __init__(self, number: int, workplace: Workplace, wires: Wires) -> None:
        self.number = number
        self.child_since: float | None = None
        self.messages = 0
        self._place = workplace
        self._wires = wires
        self._child: Child | None = None
        self._guard = threading.Lock()
        self._staging: Path | None = None
        self._stopped_for = ""

    def fetch(self, batch: Batch) -> ObjectState | None:
        """Bring every object of a batch to its end.

        Returns:
            One entry for all, where every object of the batch failed in the same way; None otherwise.
        """
        staging = self._staging = self._place.staging / f"{batch.number:05d}"
        account = BatchState(batch, staging, self._place.access.bucket)
        try:
            self._try_until_done(batch, account)
        except Exception as error:
            self._wires.abort(error)
        finally:
            self._finish_rest(account)
            shutil.rmtree(staging, ignore_errors=True)
            self._staging = None
            self._wires.emit(BatchFinished(self.number, batch.number))
        return account.common_failure

    def bytes_in_staging(self) -> int:
        """Return how many bytes of the current batch have arrived and are not yet published, half files included."""
        staging = self._staging
        return sum(_sizes(staging)) if staging is not None else 0

    def stop(self, reason: str, *, at_once: bool = False) -> None:
        """Stop the running child, from any thread; what it has not finished is tried again or cancelled.

        Args:
            reason: Why, for people.
            at_once: Kill it instead of asking first.
        """
        with self._guard:
            child = self._child
            self._stopped_for = reason
        if child is not None:
            if at_once:
                child.kill()
            else:
                child.stop(STOP_GRACE_SECONDS)

    def _try_until_done(self, batch: Batch, account: BatchState) -> None:
        cancelled = self._place.cancellation.requested
        if cancelled.is_set():
            return
        retrying = Retrying(
            sleep=sleep_using_event(cancelled),
            stop=stop_after_attempt(self._place.fetching.attempts) | stop_when_event_set(cancelled),
            wait=wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_SECONDS),
            retry=retry_if_result(bool),
            before_sleep=lambda state: self._announce_retry(batch, account, state),
            retry_error_callback=lambda _: True,
        )
        attempts = count(1)
        retrying(lambda: self._attempt(batch, account, next(attempts)))

    def _announce_retry(self, batch: Batch, account: BatchState, state: RetryCallState) -> None:
        reason = next((entry.reason for entry in account.open if entry.reason), "")
        wait = state.next_action.sleep if state.next_action else 0.0
        self._wires.emit(BatchRetried(self.number, batch.number, state.attempt_number, wait, len(account.open), reason))

    def _attempt(self, batch: Batch, account: BatchState, attempt: int) -> bool:
        """Try what is open once; return whether some of it is open still."""
        self._wires.emit(BatchStarted(self.number, batch.number, batch.label, attempt, len(account.open)))
        self._stopped_for = ""
        for entry in account.open:
            entry.begin(attempt)
        for run_file in self._write_run_files(batch, account, attempt):
            if not self._place.cancellation.requested.is_set():
                self._run(run_file, account)
        for entry in account.open:
            self._prove_if_whole(entry)
        for entry in account.open:
            self._conclude(entry)
        return bool(account.open)

    def _write_run_files(self, batch: Batch, account: BatchState, attempt: int) -> Iterator[Path]:
        place = self._place
        return run_files(
            place.run_folder,
            batch.number,
            account.missing_keys(),
            bucket=place.access.bucket,
            batch_size=place.fetching.batch_size,
            part_size_mb=place.fetching.part_size_mb,
            attempt=attempt,
        )

    def _run(self, run_file: Path, account: BatchState) -> None:
        """Run one run-file in the batch's staging folder and note what s5cmd says of each key."""
        place = self._place
        account.staging.mkdir(exist_ok=True)  # and no more than that: a root that has vanished is not made anew
        args = command_line(place.binary, place.access, run_file, workers=place.workers, retries=S5CMD_RETRIES)
        with Child(args, cwd=account.staging, env=child_environment(place.access)) as child:
            with self._guard:
                self._child = child
            self.child_since = time.monotonic()
            try:
                for message in child.messages():
                    self.messages += 1
                    entry = account.note(message)
                    if entry is not None:
                        self._prove_if_whole(entry)
                        if entry.fault is not None:
                            self._wires.failed(entry)
            finally:
                self.child_since = None
                with self._guard:
                    self._child = None

    def _prove_if_whole(self, entry: ObjectState) -> None:
        """Hand an object over to be proven once all of its files are there; s5cmd renames only whole files."""
        if entry.proof is None and not entry.missing_keys:
            entry.proof = self._wires.proofs.submit(self._prove, entry)

    def _prove(self, entry: ObjectState) -> bool:
        """Prove an arrival; return whether it has come to its end."""
        arrival = Arrival(
            entry.planned,
            entry.file,
            entry.sidecar if entry.sidecar.exists() else None,
            entry.attempts,
            frozenset(entry.doubts),
            last_chance=entry.attempts >= self._place.fetching.attempts,
        )
        answer = self._place.finish(arrival)
        if isinstance(answer, ObjectFinished):
            self._wires.emit(replace(answer, lane=self.number))
            return True
        entry.doubts.add(answer.sha256)
        entry.discard(Fault.OTHER, answer.reason)
        return False

    def _conclude(self, entry: ObjectState) -> None:
        """Say what the attempt has made of an object: at its end, or open for another attempt."""
        if entry.proof is not None:
            proof, entry.proof = entry.proof, None
            entry.ended = proof.result()
        elif entry.fault is Fault.ABSENT and entry.planned.pin is not None:
            self._end(entry, Outcome.FAILED, GONE, refused=True)
        elif entry.fault is Fault.ABSENT:
            self._end(entry, Outcome.ABSENT, str(self._place.explain_absence(entry.planned.object)))
        elif entry.fault in {Fault.DENIED, Fault.TOO_LARGE}:
            self._end(entry, Outcome.FAILED, entry.reason)
        elif entry.fault is Fault.DISK_FULL:
            raise RootUnusable(
                f"The disk of the archive root is full: {entry.reason}",
                hint="Free some space and run the same command again: it continues where it stopped.",
            )
        elif not entry.reason:
            entry.fault = Fault.SILENT
            entry.reason = self._stopped_for or "s5cmd ended without a word about it"

    def _finish_rest(self, account: BatchState) -> None:
        """Settle what is open after the last attempt."""
        cancelled = self._place.cancellation.requested.is_set()
        for entry in account.open:
            if entry.proof is not None and entry.proof.exception() is None and entry.proof.result():
                entry.ended = True
            elif cancelled:
                self._end(entry, Outcome.CANCELLED, "")
            else:
                self._end(entry, Outcome.FAILED, entry.reason)

    def _end(self, entry: ObjectState, outcome: Outcome, reason: str, *, refused: bool = False) -> None:
        entry.ended = True
        planned = entry.planned
        self._wires.emit(
            ObjectFinished(
                planned.object,
                outcome,
                reason,
                remote=planned.remote,
                attempts=entry.attempts,
                lane=self.number,
                refused=refused,
            )
        )


def _sizes(folder: Path) -> Iterator[int]:
    """Yield the sizes of the files below a folder that other threads and processes are changing."""
    try:
        children = list(folder.iterdir())
    except FileNotFoundError:
        return
    for child in children:
        try:
            if child.is_dir():
                yield from _sizes(child)
            else:
                yield child.stat().st_size
        except FileNotFoundError:
            continue
