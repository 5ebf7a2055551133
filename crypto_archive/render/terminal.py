"""Live progress on a terminal, drawn by Rich; fed from one thread, without locks or a refresh thread of its own."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crypto_archive.events import Comparing, RunFinished, RunStarted
from crypto_archive.render.console import RESULT_STYLES
from crypto_archive.render.stats import COLLECT, PLAN, LaneState, ProgressStats, RemarkKind, Remarks
from crypto_archive.text import format_bytes, format_clock, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import RenderableType

    from crypto_archive.events import Cancellation
    from crypto_archive.render.stats import ProgressEvent, Remark, Work

WIDEST = 100
ECHO = 4
"""Columns left free at the right: a terminal prints ^C where the cursor is, and a line that it makes too long stays."""
REDRAW_SECONDS = 0.125
LINES_ABOVE = 10
"""How many notices, and how many failures, are printed above the bar."""


class TerminalProgress:
    """A region at the foot of the terminal: a bar, figures and one line per lane, redrawn at most eight times a second.

    It is never higher than the terminal and is cleared at the end; what deserves a line of its own is printed above it.
    """

    def __init__(
        self,
        console: Console,
        work: Work = COLLECT,
        clock: Callable[[], float] = time.monotonic,
        cancellation: Cancellation | None = None,
        *,
        verbose: bool = False,
    ) -> None:
        """Prepare the renderer.

        Args:
            console: The terminal, usually on standard error.
            work: What is going on.
            clock: Monotonic seconds.
            cancellation: What stops the work.
            verbose: Whether each decision and each object has a line above the bar.
        """
        self._console = console
        self._clock = clock
        self._stats = ProgressStats(clock, work, cancellation)
        self._remarks = Remarks(LINES_ABOVE, verbose=verbose)
        self._title = work.title
        self._verbose = verbose
        self._drawn_at = float("-inf")
        self._live = Live(
            console=console,
            auto_refresh=work is PLAN,
            transient=True,
            redirect_stdout=False,
            get_renderable=self.render,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(line, style="dim"), soft_wrap=True)

    def show(self, event: ProgressEvent) -> None:
        """Count an event, and redraw if it is time to."""
        self._stats.add(event)
        if isinstance(event, RunStarted):
            self._title = f"{self._stats.work.title}  run {event.run_id}"
        elif isinstance(event, Comparing):
            name = event.object.key.rpartition("/")[2]
            self._title = f"Comparing  {one_line(name)} with its days, {event.held} of {event.days} held"
        for remark in self._remarks.of(event):
            # The lanes show retries, and the title what is being moved aside.
            if self._verbose or remark.kind in {RemarkKind.NOTE, RemarkKind.FAILURE}:
                self._print(_line_above(remark))
        if isinstance(event, RunFinished) or self._clock() - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = self._clock()
            self._refresh()

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)

    def _refresh(self) -> None:
        self._live.refresh()

    @property
    def _width(self) -> int:
        return max(1, min(WIDEST, self._console.width - ECHO))

    def render(self) -> RenderableType:
        """Draw the present state."""
        stats = self._stats
        planning = Text(stats.planning_text(), no_wrap=True, overflow="ellipsis")
        if stats.work is PLAN:
            return Constrain(Group(_ends(Text(self._title, style="bold"), Text(format_clock(stats.seconds))), planning),
                             self._width)  # fmt: skip
        figures = [format_rate(stats.bytes_per_second), stats.objects_text()]
        parts: list[RenderableType] = [
            _ends(Text(self._title, style="bold"), Text(format_clock(stats.seconds), style="dim")),
            _bar(stats.fraction, _remaining(stats)),
            _figures(stats.bytes_text(), *figures) if stats.work.has_bytes else Text(stats.objects_text()),
        ]
        if stats.work.has_bytes:
            parts.append(planning if stats.planning and not stats.total else _counts(stats))
        if stats.lanes:
            room = max(1, self._console.height - 7)
            parts += ["", _lanes(stats.lanes, width=self._width, room=room, now=self._clock())]
        return Constrain(Group(*parts), self._width)


_LABEL_STYLES = {RemarkKind.NOTE: "cyan", RemarkKind.FAILURE: "bold red", RemarkKind.RETRY: "yellow"}


def _line_above(remark: Remark) -> Text:
    text = one_line(remark.text)
    if remark.label is None:
        return Text(text, style="dim")
    style = _LABEL_STYLES.get(remark.kind, "dim")
    reason = f": {one_line(remark.reason)}" if remark.reason else ""
    return Text.assemble((f"{remark.label}  ", style), text, (reason, "dim"))


def _ends(left: Text, right: Text) -> Table:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _figures(size: str, rate: str, objects: str) -> Table:
    """Bytes, rate and objects, each in a fixed place, so that nothing jumps as the figures grow."""
    line = Table.grid(padding=(0, 3, 0, 0))
    line.add_column(width=27, no_wrap=True)
    line.add_column(width=15, no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(size, rate, objects)
    return line


def _bar(fraction: float | None, right: str) -> Table:
    """A bar, its percentage and a remark; an empty track while the fraction is unknown."""
    line = Table.grid(expand=True, padding=(0, 0, 0, 2))
    line.add_column(ratio=1)
    line.add_column(justify="right", width=6, no_wrap=True)
    line.add_column(justify="right", width=15, no_wrap=True)
    percent = "" if fraction is None else f"{int(fraction * 100)}%"
    bar = ProgressBar(total=1.0, completed=fraction or 0.0, complete_style="green", finished_style="green")
    line.add_row(bar, Text(percent, style="bold"), Text(right, style="dim"))
    return line


def _remaining(stats: ProgressStats) -> str:
    if stats.stopping:
        return "stopping…"
    if stats.counting:
        return stats.work.counting or ""
    return "" if stats.seconds_left is None else f"{format_clock(stats.seconds_left)} left"


def _counts(stats: ProgressStats) -> Text:
    counts = [Text(f"{count:,} {name}", RESULT_STYLES[name]) for name, count in stats.named_counts()]
    text = Text("  ").join(counts) if counts else Text("nothing finished yet", style="dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _lanes(lanes: dict[int, LaneState], *, width: int, room: int, now: float) -> Group:
    """One line per lane that has ever worked; the last line counts those that do not fit."""
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
    name, objects = Text(str(number + 1)), Text(f"{lane.finished:,} of {lane.objects:,}")
    if not lane.busy:
        return name, Text("idle", style="dim")
    if lane.retry_at is not None:
        seconds = math.ceil(lane.retry_at - now)
        wait = f"retry in {seconds} s" if seconds > 0 else "retrying now"
        text = Text.assemble(lane.label, (f"  {one_line(lane.reason)}", "yellow"))
        return name, text, objects, Text(""), Text(wait, style="yellow")
    batch = Text(f"batch {lane.batch}") if lane.attempt == 1 else Text(f"attempt {lane.attempt}", style="yellow")
    return name, Text(lane.label), objects, Text(format_bytes(lane.arrived)), batch
