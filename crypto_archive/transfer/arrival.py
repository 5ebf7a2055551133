"""What a lane hands over to be proven and published, and what it hears back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.events import ObjectSettled
from crypto_archive.model import Absence, ArchiveObject, PlannedObject

if TYPE_CHECKING:
    from pathlib import Path


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
class Doubt:
    """The bytes failed the proof, and another download may cure it.

    Attributes:
        sha256: Digest of the doubtful bytes.
        reason: What the proof said.
    """

    sha256: str
    reason: str


Settle = Callable[[Arrival], ObjectSettled | Doubt]
"""Proves an arrival and publishes or quarantines it; called from several threads."""

ExplainAbsence = Callable[[ArchiveObject], Absence]
"""Says why the archive does not have an object."""
