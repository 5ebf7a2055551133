"""Live progress on a terminal, drawn by Rich; fed from one thread, without locks or a refresh thread of its own."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crypto_archive.events import Checked, Comparing, DaysKept, Event, Noticed, ObjectFinished, RunFinished, RunStarted
from crypto_archive.jobs.report import REPORTED_AS_FAILURES
from crypto_archive.model import Notice, Outcome, Verdict
from crypto_archive.render.console import OUTCOME_STYLES, VERDICT_STYLES
from crypto_archive.render.stats import CheckTally, LaneState, ProgressStats
from crypto_archive.text import format_bytes, format_clock, format_count, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from rich.console import RenderableType

WIDEST = 100
REDRAW_SECONDS = 0.125
LINES_ABOVE = 10
"""How many notices, and how many failures, are told while the bar is up; the report has them all."""

E = TypeVar("E")
Name = TypeVar("Name", Outcome, Verdict)


class LiveProgress(ABC, Generic[E]):
    """A region at the foot of the terminal that is redrawn at most eight times a second, and cleared at the end."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._drawn_at = float("-inf")
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, get_renderable=self.render
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, event: E) -> None:
        """Take in one event, and redraw when it is time to."""
        self.take(event)
        now = self._clock()
        if now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            self._live.refresh()

    @abstractmethod
    def take(self, event: E) -> None:
        """Take in one event."""

    @abstractmethod
    def render(self) -> RenderableType:
        """Draw the present state."""

    def on_notice(self, text: Text) -> None:
        """Print a line above the region, where it stays."""
        self._console.print(text, soft_wrap=True)


class TerminalProgress(LiveProgress[Event]):
    """A collect on a terminal: overall bar, figures, and a line a lane."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the renderer.

        Args:
            console: The terminal, usually on standard error.
            clock: Monotonic seconds.
        """
        self._tally = ProgressStats(clock)
        self._title = "Collecting"
        self._notices = self._failures = 0
        super().__init__(console, clock)

    def take(self, event: Event) -> None:
        """Take in one event; what deserves a line of its own is printed above the bar."""
        self._tally.add(event)
        if isinstance(event, RunStarted):
            self._title = f"Collecting  run {event.run_id}"
            for notice in event.notices:
                self._tell_notice(notice)
        elif isinstance(event, Noticed):
            self._tell_notice(event.notice)
        elif isinstance(event, Comparing):
            name = event.object.key.rpartition("/")[2]
            self._title = f"Comparing  {one_line(name)} with its days, {event.held} of {event.days} held"
        elif isinstance(event, DaysKept):
            self._tell_notice(Notice(event.summary))
        elif isinstance(event, ObjectFinished) and event.outcome in REPORTED_AS_FAILURES:
            self._tell_failure(event)
        elif isinstance(event, RunFinished):
            self._drawn_at = float("-inf")

    def render(self) -> RenderableType:
        """Draw the present state; never higher than the terminal."""
        tally = self._tally
        parts: list[RenderableType] = [
            _ends(Text(self._title, style="bold"), Text(format_clock(tally.seconds), style="dim")),
            _bar(tally.fraction, "planning…" if tally.planning else _time_left(tally)),
            self._sums(),
            _counts(tally.outcomes, OUTCOME_STYLES, "nothing settled yet"),
            "",
            _lanes(tally.lanes, width=self._console.width, room=max(1, self._console.height - 7), now=self._clock()),
        ]
        return Constrain(Group(*parts), WIDEST)

    def _sums(self) -> Table:
        tally = self._tally
        total = tally.bytes_total
        size = format_bytes(tally.bytes_done) + (f" of {format_bytes(total)}" if total else "")
        objects = f"{tally.settled:,} of {format_count(tally.planned, 'object')}"
        if tally.planning:
            objects += " so far"
        return _figures(size, tally.bytes_per_second, objects)

    def _tell_notice(self, notice: Notice) -> None:
        self._notices += 1
        if self._notices <= LINES_ABOVE:
            self.on_notice(Text.assemble(("note  ", "cyan"), one_line(notice.text)))
        elif self._notices == LINES_ABOVE + 1:
            self.on_notice(Text("note  further notices stand in the report", style="dim"))

    def _tell_failure(self, event: ObjectFinished) -> None:
        self._failures += 1
        if self._failures <= LINES_ABOVE:
            self.on_notice(_trouble(event.outcome, event.object.key, event.reason))
        elif self._failures == LINES_ABOVE + 1:
            self.on_notice(Text("further failures stand in the report", style="dim"))


class TerminalCheckProgress(LiveProgress[Checked]):
    """A verification on a terminal: one bar, by bytes where their total is known, else by objects."""

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
        *,
        objects: int | None = None,
        size: int | None = None,
    ) -> None:
        """Prepare the renderer.

        Args:
            console: The terminal, usually on standard error.
            clock: Monotonic seconds.
            objects: How many objects there are to check, None where nobody knows.
            size: Their bytes, None likewise.
        """
        self._tally = CheckTally(clock, objects=objects, size=size)
        self._told = 0
        super().__init__(console, clock)

    def take(self, event: Checked) -> None:
        """Take in one check; bad objects are printed above the bar."""
        self._tally.add(event)
        if event.verdict.is_bad:
            self._told += 1
            if self._told <= LINES_ABOVE:
                self.on_notice(_trouble(event.verdict, event.object_key, event.reason))
            elif self._told == LINES_ABOVE + 1:
                self.on_notice(Text("further bad objects stand in the report", style="dim"))

    def render(self) -> RenderableType:
        """Draw the present state."""
        tally = self._tally
        objects = format_count(tally.checked, "object")
        if tally.objects is not None:
            objects = f"{tally.checked:,} of {format_count(tally.objects, 'object')}"
        size = format_bytes(tally.bytes_done) + (f" of {format_bytes(tally.size)}" if tally.size else "")
        left = tally.seconds_left
        return Constrain(
            Group(
                _ends(Text("Verifying", style="bold"), Text(format_clock(tally.seconds), style="dim")),
                _bar(tally.fraction, "" if left is None else f"{format_clock(left)} left"),
                _figures(size, tally.bytes_per_second, objects),
                _counts(tally.verdicts, VERDICT_STYLES, "nothing checked yet"),
            ),
            WIDEST,
        )


def _trouble(word: Outcome | Verdict, key: str, reason: str) -> Text:
    return Text.assemble((f"{word}  ", "bold red"), one_line(key), (f": {one_line(reason)}" if reason else "", "dim"))


def _ends(left: Text, right: Text) -> Table:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _figures(size: str, rate: float, objects: str) -> Table:
    """Bytes, rate and objects, each at a place of its own, so that nothing jumps while the figures grow."""
    line = Table.grid(padding=(0, 3, 0, 0))
    line.add_column(width=27, no_wrap=True)
    line.add_column(width=15, no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(size, format_rate(rate), objects)
    return line


def _bar(fraction: float | None, right: str) -> Table:
    """A bar, its percentage and a remark; without a fraction an empty track, since nobody knows how far it is."""
    line = Table.grid(expand=True, padding=(0, 0, 0, 2))
    line.add_column(ratio=1)
    line.add_column(justify="right", width=6, no_wrap=True)
    line.add_column(justify="right", width=15, no_wrap=True)
    percent = "" if fraction is None else f"{int(fraction * 100)}%"
    bar = ProgressBar(total=1.0, completed=fraction or 0.0, complete_style="green", finished_style="green")
    line.add_row(bar, Text(percent, style="bold"), Text(right, style="dim"))
    return line


def _time_left(tally: ProgressStats) -> str:
    left = tally.seconds_left
    return "" if left is None else f"{format_clock(left)} left"


def _counts(counts: Mapping[Name, int], styles: Mapping[Name, str], nothing: str) -> Text:
    parts = [(f"{counts[name]:,} {name}", style) for name, style in styles.items() if counts[name]]
    if not parts:
        return Text(nothing, style="dim")
    text = Text("  ").join(Text(*part) for part in parts)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _lanes(lanes: Mapping[int, LaneState], *, width: int, room: int, now: float) -> Group:
    """A line a lane that has ever worked; those that do not fit are summed up in the last line."""
    worked = [_lane_cells(number, lane, now) for number, lane in sorted(lanes.items()) if lane.batch]
    fits = len(worked) if len(worked) <= room else room - 1
    columns = 5 if width >= 70 else 4 if width >= 50 else 3
    table = Table.grid(expand=True, padding=(0, 0, 0, 2))
    table.add_column(justify="right", style="dim", width=4)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True, width=12)
    if columns > 3:
        table.add_column(justify="right", no_wrap=True, width=12)
    if columns > 4:
        table.add_column(style="dim", no_wrap=True, width=15)
    for cells in worked[:fits]:
        table.add_row(*cells[:columns])
    rest = len(worked) - fits
    return Group(table, *([Text(f"      and {rest} more lanes", style="dim")] if rest else []))


def _lane_cells(number: int, lane: LaneState, now: float) -> tuple[Text, ...]:
    name = Text(str(number + 1))
    if not lane.busy:
        return name, Text("idle", style="dim")
    if lane.retry_at is not None:
        seconds = math.ceil(lane.retry_at - now)
        wait = f"again in {seconds} s" if seconds > 0 else "again now"
        text = Text.assemble(lane.label, (f"  {one_line(lane.reason)}", "yellow"))
        return name, text, _object_count(lane), Text(""), Text(wait, style="yellow")
    batch = Text(f"batch {lane.batch}") if lane.attempt == 1 else Text(f"attempt {lane.attempt}", style="yellow")
    return name, Text(lane.label), _object_count(lane), Text(format_bytes(lane.arrived)), batch


def _object_count(lane: LaneState) -> Text:
    return Text(f"{lane.settled:,} of {lane.objects:,}")
