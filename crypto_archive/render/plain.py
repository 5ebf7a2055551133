"""Progress as plain lines, for pipes, cron, CI and logs; no Rich."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from crypto_archive.events import Comparing, MovesCounted, RunFinished, RunStarted
from crypto_archive.jobs.report import signal_name
from crypto_archive.render.stats import COLLECT, ProgressStats, Remarks
from crypto_archive.text import format_bytes, format_count, format_duration, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

    from crypto_archive.events import Cancellation
    from crypto_archive.render.stats import ProgressEvent, Work

PROGRESS_SECONDS = 5.0
LINES_OF_A_KIND = 20
"""How many notices, retries and failures get a line of their own."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def stamped(stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Callable[[str], None]:
    """Return a function that writes a line with a UTC time stamp to a stream."""

    def write(line: str) -> None:
        stream.write(f"{now():%Y-%m-%dT%H:%M:%SZ} {line}\n")
        stream.flush()

    return write


class PlainProgress:
    """Progress in lines: the start, the figures every few seconds, what goes wrong, and the end."""

    def __init__(
        self,
        write: Callable[[str], object],
        work: Work = COLLECT,
        clock: Callable[[], float] = time.monotonic,
        cancellation: Cancellation | None = None,
        *,
        verbose: bool = False,
        figures: bool = True,
    ) -> None:
        """Prepare the renderer.

        Args:
            write: Takes each line, without a line end.
            work: What is going on.
            clock: Monotonic seconds.
            cancellation: What stops the work.
            verbose: Whether each decision and each object has a line.
            figures: Whether there are lines of figures in between.
        """
        self._write = write
        self._work = work
        self._clock = clock
        self._stats = ProgressStats(clock, work, cancellation)
        self._remarks = Remarks(LINES_OF_A_KIND, verbose=verbose)
        self._shows_figures = figures
        self._figures_at = clock()

    def __enter__(self) -> Self:
        if self._work.name is not None:
            self._write(f"{self._work.name} started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._work.name is not None and (kind is None or self._stats.done):
            ended = "ended" if kind is None else "stopped"
            self._write(
                f"{self._work.name} {ended} after {format_duration(self._stats.seconds)}: {_result(self._stats)}"
            )

    def say(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def show(self, event: ProgressEvent) -> None:
        """Count an event, and write a line where it deserves one or where one is due."""
        self._stats.add(event)
        if isinstance(event, RunStarted):
            self._write(f"run {event.run_id} started, s5cmd {event.s5cmd_version}")
        elif isinstance(event, MovesCounted):
            self._write(f"{format_count(event.objects, 'object')} to move")
        for remark in self._remarks.of(event):
            self._write(str(remark))
        if isinstance(event, RunFinished):
            self._write(one_line(_end(event, self._stats)))
        elif self._shows_figures and self._clock() - self._figures_at >= PROGRESS_SECONDS:
            self._figures_at = self._clock()
            self._write(_comparison(event) if isinstance(event, Comparing) else _figures(self._stats))


def _figures(stats: ProgressStats) -> str:
    planning = f"planning: {stats.planning_text()}" if stats.planning else ""
    if planning and not stats.total and not stats.stopping:
        return planning
    fraction, left = stats.fraction, stats.seconds_left
    parts = [
        "stopping" if stats.stopping else "" if fraction is None else f"{int(fraction * 100)}%",
        stats.objects_text(),
        f"{stats.bytes_text()}, {format_rate(stats.bytes_per_second)}" if stats.work.has_bytes else "",
        "" if left is None else f"about {format_duration(left)} left",
        planning,
    ]
    counts = _counts(stats)
    return ", ".join(filter(None, parts)) + (f" ({counts})" if counts else "")


def _result(stats: ProgressStats) -> str:
    """Return what was done, without the rate: ``3 objects, 1.0 KiB (2 ok, 1 missing)``."""
    counts = _counts(stats)
    text = f"{stats.objects_text()}, {stats.bytes_text()}" if stats.work.has_bytes else stats.objects_text()
    return f"{text} ({counts})" if counts else text


def _counts(stats: ProgressStats) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in stats.named_counts())


def _comparison(event: Comparing) -> str:
    days = format_count(event.days, "daily object")
    return f"comparing {event.object.key} with {days}, {event.held:,} held so far"


def _end(event: RunFinished, stats: ProgressStats) -> str:
    how = "ended"
    if event.error:
        how = f"stopped ({event.error})"
    elif event.interrupted_by is not None:
        how = f"was interrupted by {signal_name(event.interrupted_by)}"
    counts, traffic = _counts(stats) or "nothing was planned", "nothing downloaded"
    if size := stats.bytes_finished:
        traffic = f"{format_bytes(size)} downloaded" + (
            f", {format_rate(size / event.seconds)}" if event.seconds else ""
        )
    return f"run {how} after {format_duration(event.seconds)}: {counts}; {traffic}"
