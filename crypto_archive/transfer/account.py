"""The account of a batch: what has become of each of its objects, by key and by what lies in staging.

Nothing that s5cmd prints or returns is believed by itself: an object has arrived when its files are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.s5cmd.protocol import Copied, Failed, Fault, Message, fault_of

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from crypto_archive.model import Batch, PlannedObject


@dataclass(slots=True)
class Entry:
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


class Account:
    """The entries of a batch, found by the words in which s5cmd speaks of them.

    s5cmd repeats a failed command without its flags and without quotes (measured with v2.3.0), so the text is known
    beforehand and never taken apart.
    """

    def __init__(self, batch: Batch, staging: Path, bucket: str) -> None:
        """Open the account of a batch whose files land below the folder ``staging``."""
        self.staging = staging
        self.entries = [
            Entry(item, staging / item.object.key, staging / item.object.sidecar_key) for item in batch.items
        ]
        self._by_source: dict[str, Entry] = {}
        self._by_command: dict[str, tuple[Entry, bool]] = {}
        for entry in self.entries:
            for key in entry.planned.keys:
                source = f"s3://{bucket}/{key}"
                self._by_source[source] = entry
                self._by_command[f"cp {source} {key}"] = (entry, key != entry.planned.object.key)

    @property
    def open(self) -> list[Entry]:
        """The entries that have not come to their end."""
        return [entry for entry in self.entries if not entry.ended]

    @property
    def common_failure(self) -> Entry | None:
        """One entry for all, where every object failed in the same way; None otherwise."""
        faults = {entry.fault for entry in self.entries}
        return self.entries[0] if len(faults) == 1 and None not in faults else None

    def missing_keys(self) -> list[str]:
        """Return the keys that still have to be copied, in the order of the plan."""
        return [key for entry in self.open for key in entry.missing_keys]

    def note(self, message: Message) -> Entry | None:
        """Take in a message of s5cmd; return the entry that it was about, None for anything else."""
        if isinstance(message, Copied):
            return self._by_source.get(message.source)
        if isinstance(message, Failed) and message.command in self._by_command:
            entry, is_sidecar = self._by_command[message.command]
            _note_failure(entry, message.error, is_sidecar=is_sidecar)
            return entry
        return None


def _note_failure(entry: Entry, error: str, *, is_sidecar: bool) -> None:
    fault = fault_of(error)
    if is_sidecar and fault is Fault.ABSENT:
        entry.sidecar_absent = True
    elif entry.fault is not Fault.ABSENT:
        entry.fault, entry.reason = fault, error
