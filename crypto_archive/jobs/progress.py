"""How far a run is, in ``progress.json`` of its folder, for those who look at its root from another terminal."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.events import BytesArrived, ObjectFinished, ObjectPlanned, PlanFinished
from crypto_archive.files import atomic_write
from crypto_archive.model import Outcome
from crypto_archive.root.lock import this_host

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.events import Event
    from crypto_archive.jobs.report import Report
    from crypto_archive.root.store import Root

PROGRESS_FILE = "progress.json"
PROGRESS_SECONDS = 1.0
"""How long a note of the progress stays as it is, at least."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is, as ``progress.json`` has it.

    Attributes:
        run_id: The name of the run's folder.
        pid: Its process.
        host: The name of its machine.
        shard: The name of the shard's folder; None for a run of the whole root.
        started_at: When it started: ISO 8601, UTC.
        updated_at: When this was written, likewise.
        planning: Whether objects are still being planned, so that the totals may grow.
        objects: How many objects are planned so far.
        done: How many of them have their outcome.
        bytes: Bytes of what is to be downloaded, as far as it is planned; None where a size is unknown.
        bytes_done: Bytes that have arrived, partial files included.
        bytes_per_second: The recent rate.
        percent: How much is done, by bytes where all sizes are known, else by objects; None while it is being planned.
        seconds_left: How long the rest takes at the recent rate; None while that is unknown.
        outcomes: How many objects ended how; has only outcomes that occur.
    """

    run_id: str
    pid: int
    host: str
    shard: str | None
    started_at: str
    updated_at: str
    planning: bool
    objects: int
    done: int
    bytes: int | None
    bytes_done: int
    bytes_per_second: float
    percent: float | None
    seconds_left: float | None
    outcomes: dict[str, int]


class RateEstimator:
    """The recent speed of a counter, over a sliding window."""

    def __init__(self, window_seconds: float = 15.0) -> None:
        self._window = window_seconds
        self._step = window_seconds / 30
        self._samples: deque[tuple[float, float]] = deque()

    def is_due(self, now: float) -> bool:
        """Whether the counter's value is of interest again."""
        return not self._samples or now - self._samples[-1][0] >= self._step

    def note(self, now: float, value: float) -> None:
        """Record the counter's value at a moment."""
        if self.is_due(now):
            self._samples.append((now, value))
        while len(self._samples) > 2 and now - self._samples[1][0] >= self._window:
            self._samples.popleft()

    def per_second(self, now: float, value: float) -> float:
        """Return the speed, 0 while it is unknown; never negative."""
        if not self._samples:
            return 0.0
        then, before = self._samples[0]
        return max(0.0, (value - before) / (now - then)) if now > then else 0.0


class ProgressNote:
    """Keeps ``progress.json`` of a run up to date, at most once per second; removed once the run has its report.

    It counts only what the report does not, so that a root that is up to date costs next to nothing.
    """

    def __init__(self, root: Root, folder: Path, report: Report) -> None:
        """Prepare the note of a run; nothing is written before the first event."""
        self._path = folder / PROGRESS_FILE
        self._shard = root.private.name if root.shard else None
        self._report = report
        self._started_at = datetime.now(UTC)
        self._written_at = float("-inf")
        self._planning = True
        self._sizes_known = True
        self._open_bytes = 0  # of the objects to download that have no outcome yet, according to the listing
        self._staged: dict[int, int] = {}
        self._bytes_done = 0
        self._byte_rate, self._object_rate = RateEstimator(), RateEstimator()

    def add(self, event: Event) -> None:
        """Take in an event; those that arrive all the time also keep the note up to date."""
        if isinstance(event, ObjectFinished):
            if event.outcome is not Outcome.PRESENT and event.remote is not None:
                self._open_bytes = max(0, self._open_bytes - event.remote.size)
        elif isinstance(event, ObjectPlanned):
            if event.planned.action.downloads:
                self._sizes_known &= event.planned.remote is not None
                self._open_bytes += event.planned.remote.size if event.planned.remote else 0
        else:
            if isinstance(event, BytesArrived):
                self._staged[event.lane] = event.bytes
            elif isinstance(event, PlanFinished):
                self._planning = False
            if time.monotonic() - self._written_at >= PROGRESS_SECONDS:
                self._write()

    def remove(self) -> None:
        """Remove the note of a run that has its report."""
        with suppress(OSError):
            self._path.unlink()

    def _write(self) -> None:
        """Write the note in one step; a full disk has no room for it, and does not end the run because of it."""
        self._written_at = time.monotonic()
        with suppress(OSError), atomic_write(self._path) as file:
            file.write(json.dumps(asdict(self._present())) + "\n")

    def _present(self) -> RunProgress:
        now, groups, fetched = time.monotonic(), self._report.groups.values(), self._report.bytes_fetched
        outcomes = {outcome: sum(group.finished[outcome] for group in groups) for outcome in Outcome}
        objects, done = sum(group.planned for group in groups), sum(outcomes.values())
        total = fetched + self._open_bytes if self._sizes_known else None
        arrived = fetched + sum(self._staged.values())
        # What a lane published since it was last measured counts twice, and what it discards never arrived.
        self._bytes_done = max(self._bytes_done, arrived if total is None else min(arrived, total))
        handled = done - outcomes[Outcome.PRESENT]  # one that is present already says nothing about the rate
        self._byte_rate.note(now, self._bytes_done)
        self._object_rate.note(now, handled)
        byte_rate = self._byte_rate.per_second(now, self._bytes_done)
        by_bytes = total is not None and self._open_bytes > 0
        part, whole = (self._bytes_done, total or 0) if by_bytes else (done, objects)
        rate = byte_rate if by_bytes else self._object_rate.per_second(now, handled)
        known = not self._planning and whole > 0
        return RunProgress(
            run_id=self._path.parent.name,
            pid=os.getpid(),
            host=this_host(),
            shard=self._shard,
            started_at=self._started_at.isoformat(timespec="seconds"),
            updated_at=datetime.now(UTC).isoformat(timespec="seconds"),
            planning=self._planning,
            objects=objects,
            done=done,
            bytes=total,
            bytes_done=self._bytes_done,
            bytes_per_second=round(byte_rate, 1),
            percent=None if not known else 100.0 if done >= objects else min(part * 1000 // whole / 10, 99.9),
            seconds_left=round((whole - part) / rate, 1) if known and rate > 0 else None,
            outcomes={str(outcome): count for outcome, count in outcomes.items() if count},
        )
