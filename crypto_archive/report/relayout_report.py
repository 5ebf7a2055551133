"""What a relayout came to: a fold of its events into counts, a document and an exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.errors import ExitCode
from crypto_archive.events import LeftAlone, Moved
from crypto_archive.report.interruption import interruption_code, signal_name

if TYPE_CHECKING:
    from crypto_archive.events import MovesCounted, Noticed

SCHEMA_VERSION = 1
LEFT_KEPT = 1000


@dataclass(slots=True)
class RelayoutReport:
    """What a relayout amounts to so far.

    Attributes:
        output_directory: The archive root.
        source: The layout that it had.
        goal: The layout that it is to have.
        dry_run: Whether nothing was to be moved in truth.
        moved: How many objects were moved, or would be.
        in_place: How many were at their new paths already.
        left: The first files that were not moved, with the reasons.
        left_omitted: How many more there are.
        in_the_way: How many of all of them kept everything from being moved.
        seconds: How long it took, 0 while it goes on.
        interrupted_by: The signal that ended it early.
    """

    output_directory: str
    source: str
    goal: str
    dry_run: bool = False
    moved: int = 0
    in_place: int = 0
    left: list[LeftAlone] = field(default_factory=list)
    left_omitted: int = 0
    in_the_way: int = 0
    seconds: float = 0.0
    interrupted_by: int | None = None

    def add(self, event: Moved | LeftAlone | MovesCounted | Noticed) -> None:
        """Take in one event."""
        if isinstance(event, Moved):
            self.moved += 1
        elif isinstance(event, LeftAlone):
            self.in_the_way += event.in_the_way
            if len(self.left) < LEFT_KEPT:
                self.left.append(event)
            else:
                self.left_omitted += 1

    @property
    def status(self) -> str:
        """How it ended in a word: ``success``, ``blocked`` or ``interrupted``."""
        if self.interrupted_by is not None:
            return "interrupted"
        return "blocked" if self.in_the_way else "success"

    def exit_code(self) -> ExitCode:
        """Return how the command ends."""
        if self.interrupted_by is not None:
            return interruption_code(self.interrupted_by)
        return ExitCode.PARTIAL if self.in_the_way else ExitCode.OK

    def document(self) -> dict[str, object]:
        """Return the report as one document."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "output_directory": self.output_directory,
            "from": self.source,
            "to": self.goal,
            "dry_run": self.dry_run,
            "moved": self.moved,
            "in_place": self.in_place,
            "left": [{"path": one.path, "reason": one.reason, "in_the_way": one.in_the_way} for one in self.left],
            "left_omitted": self.left_omitted,
            "seconds": round(self.seconds, 3),
            "interrupted_by": None if self.interrupted_by is None else signal_name(self.interrupted_by),
        }
