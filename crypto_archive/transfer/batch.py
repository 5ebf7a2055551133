"""A batch under way: what is in staging, and what s5cmd reported of each object."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.events import ObjectFinished
from crypto_archive.model import SIDECAR_SUFFIX, Action
from crypto_archive.plan.batches import is_huge
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Message, fault_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from crypto_archive.model import Batch, Outcome, PlannedObject
    from crypto_archive.root.store import Folders
    from crypto_archive.s5cmd.copies import CopyCommand
    from crypto_archive.transfer.door import Door

LARGE_BYTES = 1 << 20
"""From this size on, an object is proven in another thread, so that its lane goes on; hashing less takes no time."""


@dataclass(slots=True)
class ObjectState:
    """One object of a batch under way.

    Attributes:
        planned: The object.
        lane: The lane that fetches it.
        file: Where its zip arrives in staging.
        in_place: Whether the stored file is to be judged, so that only its sidecar is needed.
        has_file: Whether its zip has arrived, by what s5cmd reported; ``look`` sees whether that is so.
        has_sidecar: The same of its sidecar.
        sidecar_absent: Whether the archive has no sidecar for it.
        door: The door that it is fetched through; None before the first attempt.
        attempts: The current attempt, from 1.
        rejected: SHA-256 digests of downloads that failed the proof.
        fault: What went wrong in the current attempt, None where nothing did.
        reason: The same in words.
        proof: The proof under way in another thread.
        finished: Whether it has its outcome.
    """

    planned: PlannedObject
    lane: int
    file: str
    in_place: bool = False
    has_file: bool = False
    has_sidecar: bool = False
    sidecar_absent: bool = False
    door: Door | None = None
    attempts: int = 0
    rejected: set[str] = field(default_factory=set)
    fault: Fault | None = None
    reason: str = ""
    proof: Future[None] | None = None
    finished: bool = False

    @property
    def sidecar(self) -> str:
        """Where its sidecar arrives in staging."""
        return self.file + SIDECAR_SUFFIX

    @property
    def is_complete(self) -> bool:
        """Whether nothing of it has to be copied any more."""
        return (self.in_place or self.has_file) and (
            self.has_sidecar or self.sidecar_absent or not self.planned.with_sidecar
        )

    @property
    def missing_keys(self) -> tuple[str, ...]:
        """The keys that still have to be copied."""
        item = self.planned.object
        keys = [] if self.in_place or self.has_file else [item.key]
        if self.planned.with_sidecar and not self.sidecar_absent and not self.has_sidecar:
            keys.append(item.sidecar_key)
        return tuple(keys)

    @property
    def arrived_sidecar(self) -> str | None:
        """The sidecar in staging; None where it was not wanted or the archive has none."""
        return self.sidecar if self.has_sidecar else None

    @property
    def arrived_bytes(self) -> int:
        """The bytes of zip and sidecar in staging."""
        files = (None if self.in_place else self.file, self.arrived_sidecar)
        return sum(os.stat(path).st_size for path in files if path is not None)

    def look(self) -> None:
        """See what really is in staging; s5cmd is not believed."""
        self.has_file, self.has_sidecar = os.path.isfile(self.file), os.path.isfile(self.sidecar)

    def begin(self, attempt: int) -> None:
        """Forget what went wrong in the previous attempt."""
        self.attempts, self.fault, self.reason = attempt, None, ""

    def go_through(self, door: Door) -> None:
        """Have everything from one door: what has arrived through another one may be older."""
        if self.door is not None and self.door is not door:
            self._delete()
        self.door = door

    def fail(self, fault: Fault, reason: str) -> None:
        """Note what went wrong; that the archive lacks the zip outweighs everything else."""
        if self.fault is not Fault.ABSENT:
            self.fault, self.reason = fault, reason

    def reject(self, sha256: str, reason: str, *, in_place: bool = False) -> None:
        """Delete what was downloaded, so that it is downloaded again; with it the zip, unless that stays in place."""
        self.rejected.add(sha256)
        self.in_place = in_place
        self._delete()
        self.fault, self.reason = Fault.OTHER, reason

    def _delete(self) -> None:
        """Delete what is in staging."""
        for path in (self.file, self.sidecar):
            with suppress(FileNotFoundError):
                os.unlink(path)
        self.has_file = self.has_sidecar = self.sidecar_absent = False

    def ended(self, outcome: Outcome, reason: str = "", *, refused: bool = False) -> ObjectFinished:
        """Return the event of its outcome."""
        return ObjectFinished(
            self.planned.object, outcome, reason, remote=self.planned.remote, attempts=self.attempts, lane=self.lane,
            refused=refused,
        )  # fmt: skip


class BatchState:
    """The objects of a batch under way, found by the text in which s5cmd refers to them.

    Attributes:
        staging: The folder below which its files arrive.
        objects: Its objects.
        is_small: Whether its objects are known to be small, on average.
        is_huge: Whether they are known to be huge.
        folders: What is known of the folders of their final paths.
    """

    def __init__(self, batch: Batch, staging: Path, bucket: str, lane: int = 0) -> None:
        """Begin a batch whose files arrive below the folder ``staging``."""
        self.staging = staging
        self.folders: Folders = {}
        self.objects = [
            ObjectState(item, lane, f"{staging}/{item.object.key}", in_place=item.action is Action.CHECK)
            for item in batch.items
        ]
        sizes = [item.remote.size for item in batch.items if item.remote is not None]
        self.is_small = len(sizes) == len(batch.items) and sum(sizes) < LARGE_BYTES * len(sizes)
        self.is_huge = is_huge(batch.items)
        self._source = f"s3://{bucket}/"
        self._by_key = {state.planned.object.key: state for state in self.objects}
        self._patterns: dict[str, CopyCommand] = {}

    @property
    def open(self) -> list[ObjectState]:
        """The objects without an outcome."""
        return [state for state in self.objects if not state.finished]

    @property
    def common_failure(self) -> ObjectState | None:
        """One object for all, where every object failed in the same way; None otherwise."""
        faults = {state.fault for state in self.objects}
        return self.objects[0] if len(faults) == 1 and None not in faults else None

    def go_through(self, door: Door) -> None:
        """Expect what is open to come through this door."""
        self._source = door.source
        for state in self.open:
            state.go_through(door)

    def expect(self, commands: Iterable[CopyCommand]) -> None:
        """Remember the commands that s5cmd is about to run: it repeats those that fail."""
        # Without flags and quotes (measured with v2.3.0), so the text is known beforehand and never has to be parsed.
        self._patterns = {command.shown: command for command in commands if command.by_pattern}

    def asked_by_pattern_only(self) -> list[str]:
        """Return the keys that patterns should have copied, but neither did nor failed to."""
        keys = [key for command in self._patterns.values() for key in command.keys]
        missing = {key for state in self.open if state.fault is None for key in state.missing_keys}
        return [key for key in keys if key in missing]

    def note(self, message: Message) -> Sequence[ObjectState]:
        """Take in a message of s5cmd; return the objects that it is about, none for anything else."""
        if isinstance(message, Copied):
            state, is_sidecar = self._find(message.source.removeprefix(self._source))
            if state is None:
                return ()
            if is_sidecar:
                state.has_sidecar = True
            else:
                state.has_file = True
            return (state,)
        return self._note_failure(message) if isinstance(message, Failed) else ()

    def _note_failure(self, message: Failed) -> Sequence[ObjectState]:
        fault = fault_of(message.error)
        pattern = self._patterns.get(message.command)
        if pattern is not None:
            # A server may lack the listing and have the objects: those are asked for by name.
            if fault in {Fault.ABSENT, Fault.DENIED}:
                return ()
            zips = dict.fromkeys(key.removesuffix(SIDECAR_SUFFIX) for key in pattern.keys)
            open_ones = [self._by_key[key] for key in zips if not self._by_key[key].is_complete]
            for one in open_ones:
                one.fail(fault, message.error)
            return open_ones
        # An object that a pattern matched fails under such a command, too. Both halves are the key; it may have spaces.
        paths = message.command.removeprefix(f"cp {self._source}")
        key = paths[: len(paths) // 2]
        state, is_sidecar = self._find(key if paths == f"{key} {key}" else "")
        if state is None:
            return ()
        if is_sidecar and fault is Fault.ABSENT and not (state.door and state.door.is_optional):
            state.sidecar_absent = True
        else:
            state.fail(fault, message.error)
        return (state,)

    def _find(self, key: str) -> tuple[ObjectState | None, bool]:
        """Return the object of a key, and whether the key is its sidecar's."""
        is_sidecar = key.endswith(SIDECAR_SUFFIX)
        return self._by_key.get(key.removesuffix(SIDECAR_SUFFIX)), is_sidecar
