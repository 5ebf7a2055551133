"""A batch under way: what is in staging, and what s5cmd reported of each object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.events import ObjectFinished
from crypto_archive.model import Action
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Message, fault_of

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from crypto_archive.model import Batch, Outcome, PlannedObject


@dataclass(slots=True)
class ObjectState:
    """One object of a batch under way.

    Attributes:
        planned: The object.
        file: Where its zip arrives in staging.
        sidecar: Where its sidecar arrives in staging.
        attempts: The current attempt, from 1.
        sidecar_absent: Whether the archive has no sidecar for it.
        rejected: SHA-256 digests of downloads that failed the proof.
        fault: What went wrong in the current attempt, None where nothing did.
        reason: The same in words.
        proof: The proof under way; its result tells whether the object is finished.
        finished: Whether it has its outcome.
        in_place: Whether the stored file is to be judged, so that only its sidecar is needed.
    """

    planned: PlannedObject
    file: Path
    sidecar: Path
    attempts: int = 0
    sidecar_absent: bool = False
    rejected: set[str] = field(default_factory=set)
    fault: Fault | None = None
    reason: str = ""
    proof: Future[bool] | None = None
    finished: bool = False
    in_place: bool = False

    @property
    def missing_keys(self) -> tuple[str, ...]:
        """The keys that still have to be copied; only files count, never what s5cmd reported."""
        item = self.planned.object
        keys = [] if self.in_place or self.file.exists() else [item.key]
        if self.planned.with_sidecar and not self.sidecar_absent and not self.sidecar.exists():
            keys.append(item.sidecar_key)
        return tuple(keys)

    @property
    def arrived_sidecar(self) -> Path | None:
        """The sidecar in staging; None where it was not wanted or the archive has none."""
        return self.sidecar if self.sidecar.exists() else None

    @property
    def arrived_bytes(self) -> int:
        """The bytes of zip and sidecar in staging."""
        zip_path = None if self.in_place else self.file
        return sum(path.stat().st_size for path in (zip_path, self.arrived_sidecar) if path is not None)

    def begin(self, attempt: int) -> None:
        """Forget what went wrong in the previous attempt."""
        self.attempts, self.fault, self.reason = attempt, None, ""

    def reject(self, sha256: str, reason: str) -> None:
        """Delete the downloaded files, so that the next attempt downloads them again; or the zip, where none was."""
        self.rejected.add(sha256)
        self.in_place = False
        self.file.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)
        self.sidecar_absent = False
        self.fault, self.reason = Fault.OTHER, reason

    def ended(self, outcome: Outcome, reason: str = "", *, refused: bool = False) -> ObjectFinished:
        """Return the event of its outcome."""
        return ObjectFinished(
            self.planned.object, outcome, reason, remote=self.planned.remote, attempts=self.attempts, refused=refused
        )


class BatchState:
    """The objects of a batch under way, found by the text in which s5cmd refers to them."""

    def __init__(self, batch: Batch, staging: Path, bucket: str) -> None:
        """Begin a batch whose files arrive below the folder ``staging``."""
        self.staging = staging
        self.objects = [
            ObjectState(
                item, staging / item.object.key, staging / item.object.sidecar_key, in_place=item.action is Action.CHECK
            )
            for item in batch.items
        ]
        # s5cmd repeats a failed command without its flags and without quotes (measured with v2.3.0), so the text is
        # known beforehand and never has to be parsed.
        self._by_source: dict[str, ObjectState] = {}
        self._by_command: dict[str, tuple[ObjectState, bool]] = {}
        for state in self.objects:
            for key in (state.planned.object.key, state.planned.object.sidecar_key):
                source = f"s3://{bucket}/{key}"
                self._by_source[source] = state
                self._by_command[f"cp {source} {key}"] = (state, key != state.planned.object.key)

    @property
    def open(self) -> list[ObjectState]:
        """The objects without an outcome."""
        return [state for state in self.objects if not state.finished]

    @property
    def common_failure(self) -> ObjectState | None:
        """One object for all, where every object failed in the same way; None otherwise."""
        faults = {state.fault for state in self.objects}
        return self.objects[0] if len(faults) == 1 and None not in faults else None

    def missing_keys(self) -> list[str]:
        """Return the keys that still have to be copied, in the order of the plan."""
        return [key for state in self.open for key in state.missing_keys]

    def note(self, message: Message) -> ObjectState | None:
        """Take in a message of s5cmd; return the object that it is about, None for anything else."""
        if isinstance(message, Copied):
            return self._by_source.get(message.source)
        if not isinstance(message, Failed) or message.command not in self._by_command:
            return None
        state, is_sidecar = self._by_command[message.command]
        fault = fault_of(message.error)
        if is_sidecar and fault is Fault.ABSENT:
            state.sidecar_absent = True
        elif state.fault is not Fault.ABSENT:  # an absent zip outweighs what else went wrong
            state.fault, state.reason = fault, message.error
        return state
