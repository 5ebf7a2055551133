"""Progress as plain lines with a time stamp, for pipes, cron and CI; no Rich."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeVar

from crypto_archive.events import (
    BatchRetried,
    BatchStarted,
    Checked,
    Comparing,
    DaysCovered,
    DaysKept,
    Event,
    Noticed,
    ObjectFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.jobs.report import REPORTED_AS_FAILURES, signal_name
from crypto_archive.model import Outcome, Verdict
from crypto_archive.render.stats import CheckTally, ProgressStats
from crypto_archive.text import format_bytes, format_count, format_duration, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import TextIO

Name = TypeVar("Name", Outcome, Verdict)

PROGRESS_SECONDS = 5.0
LINES_OF_A_KIND = 20
"""How many notices, retries and failures get a line of their own; the report and the journal have them all."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Lines:
    """Time-stamped lines, with a limit for each kind and a shortest time between two lines of progress."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._progress_at = clock()
        self._said: dict[str, int] = {}

    def on_notice(self, text: str) -> None:
        """Write a line now."""
        self._stream.write(f"{self._now():%Y-%m-%dT%H:%M:%SZ} {one_line(text)}\n")
        self._stream.flush()

    def say_some(self, kind: str, text: str, *, rest: str) -> None:
        """Write a line unless there were many of its kind; the first one too many is replaced by ``rest``."""
        self._said[kind] = said = self._said.get(kind, 0) + 1
        if said <= LINES_OF_A_KIND:
            self.on_notice(text)
        elif said == LINES_OF_A_KIND + 1:
            self.on_notice(rest)

    def progress_is_due(self) -> bool:
        """Whether it is time for a line of progress; the caller is expected to write it."""
        if self._clock() - self._progress_at < PROGRESS_SECONDS:
            return False
        self._progress_at = self._clock()
        return True


class PlainProgress:
    """A collect in plain lines: how it starts, how far it is every few seconds, what goes wrong, how it ends."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Prepare the renderer.

        Args:
            stream: Where lines go, usually standard error.
            clock: Monotonic seconds.
            now: Wall clock, UTC.
        """
        self._lines = Lines(stream, clock, now)
        self._tally = ProgressStats(clock)
        self._labels: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave nothing behind; the last line comes with the end of the run."""

    def show(self, event: Event) -> None:
        """Take in one event, and write a line where it deserves one or where one is due."""
        self._tally.add(event)
        self._tell(event)
        if not isinstance(event, RunFinished) and self._lines.progress_is_due():
            self._lines.on_notice(
                _comparison_text(event) if isinstance(event, Comparing) else _progress_text(self._tally)
            )

    def _tell(self, event: Event) -> None:
        lines = self._lines
        if isinstance(event, RunStarted):
            lines.on_notice(f"run {event.run_id} started, s5cmd {event.s5cmd_version}")
            for notice in event.notices:
                self._tell_notice(notice.text)
        elif isinstance(event, Noticed):
            self._tell_notice(event.notice.text)
        elif isinstance(event, DaysKept):
            self._tell_notice(event.summary)
        elif isinstance(event, DaysCovered):
            text = f"moved aside {format_count(len(event.moved), 'daily object')}, held by {event.object.key}"
            lines.say_some("pruned", text, rest="what else is moved aside stands in the journal only")
        elif isinstance(event, BatchStarted):
            self._labels[event.lane] = event.label
        elif isinstance(event, BatchRetried):
            self._tell_retry(event)
        elif isinstance(event, ObjectFinished) and event.outcome in REPORTED_AS_FAILURES:
            text = f"{event.outcome}: {_because(event.object.key, event.reason)}"
            lines.say_some("failure", text, rest="further failures stand in the report only")
        elif isinstance(event, RunFinished):
            lines.on_notice(_end_text(event, self._tally))

    def _tell_notice(self, text: str) -> None:
        self._lines.say_some("notice", f"note: {text}", rest="further notes stand in the report only")

    def _tell_retry(self, event: BatchRetried) -> None:
        self._lines.say_some(
            "retry",
            f"batch {event.batch} ({self._labels.get(event.lane, '')}): attempt {event.attempt} left "
            f"{_because(format_count(event.objects, 'object'), event.reason)}; "
            f"again in {format_duration(event.wait_seconds)}",
            rest="further retries stand in the journal only",
        )


class PlainCheckProgress:
    """A verification in plain lines."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
        *,
        objects: int | None = None,
        size: int | None = None,
    ) -> None:
        """Prepare the renderer.

        Args:
            stream: Where lines go, usually standard error.
            clock: Monotonic seconds.
            now: Wall clock, UTC.
            objects: How many objects there are to check, None where nobody knows.
            size: Their bytes, None likewise.
        """
        self._lines = Lines(stream, clock, now)
        self._tally = CheckTally(clock, objects=objects, size=size)

    def __enter__(self) -> Self:
        self._lines.on_notice("verification started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the last line."""
        ended = "ended" if kind is None else "stopped"
        seconds = format_duration(self._tally.seconds)
        self._lines.on_notice(f"verification {ended} after {seconds}: {_check_text(self._tally)}")

    def show(self, event: Checked) -> None:
        """Take in one check, and write a line where it deserves one or where one is due."""
        self._tally.add(event)
        if event.verdict.is_bad:
            text = f"{event.verdict}: {_because(event.object_key, event.reason)}"
            self._lines.say_some("bad", text, rest="further bad objects stand in the report only")
        if self._lines.progress_is_due():
            self._lines.on_notice(_check_text(self._tally))


def _because(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text


def _named_counts(names: Iterable[Name], counts: Mapping[Name, int]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in names if counts[name])


def _progress_text(tally: ProgressStats) -> str:
    total, left = tally.bytes_total, tally.seconds_left
    parts = [
        f"{tally.settled:,} of {format_count(tally.planned, 'object')}" + (" so far" if tally.planning else ""),
        format_bytes(tally.bytes_done) + (f" of {format_bytes(total)}" if total else ""),
        format_rate(tally.bytes_per_second),
    ]
    if tally.fraction is not None:
        parts.insert(0, f"{int(tally.fraction * 100)}%")
    if left is not None:
        parts.append(f"about {format_duration(left)} left")
    counts = _named_counts(Outcome, tally.outcomes)
    return ", ".join(parts) + (f" ({counts})" if counts else "")


def _comparison_text(event: Comparing) -> str:
    days = format_count(event.days, "daily object")
    return f"comparing {event.object.key} with {days}, {event.held:,} held so far"


def _end_text(event: RunFinished, tally: ProgressStats) -> str:
    how = "ended"
    if event.error:
        how = f"stopped ({event.error})"
    elif event.interrupted_by is not None:
        how = f"was interrupted by {signal_name(event.interrupted_by)}"
    rate = tally.bytes_settled / event.seconds if event.seconds > 0 else 0.0
    counts = _named_counts(Outcome, tally.outcomes) or "nothing was planned"
    traffic = f"{format_bytes(tally.bytes_settled)} fetched, {format_rate(rate)}"
    return f"run {how} after {format_duration(event.seconds)}: {counts}; {traffic}"


def _check_text(tally: CheckTally) -> str:
    objects = format_count(tally.checked, "object")
    if tally.objects is not None:
        objects = f"{tally.checked:,} of {format_count(tally.objects, 'object')}"
    text = f"{objects}, {format_bytes(tally.bytes_done)}"
    counts = _named_counts(Verdict, tally.verdicts)
    return f"{text} ({counts})" if counts else text
