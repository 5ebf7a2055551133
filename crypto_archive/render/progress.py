"""Which progress is shown where: a terminal, plain lines, or nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from rich.constrain import Constrain
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crypto_archive.events import LeftAlone, Moved, MovesCounted, Noticed
from crypto_archive.render.console import is_terminal
from crypto_archive.render.plain import Lines
from crypto_archive.render.terminal import WIDEST, LiveProgress
from crypto_archive.text import format_count, format_duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

    from rich.console import Console, RenderableType

    from crypto_archive.events import Checked, Event
    from crypto_archive.jobs.relayout import RelayoutReport

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)


class Progress(Protocol[E_contra]):
    """Shows events as they come; a context manager, so that a terminal is left as it was found."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def show(self, event: E_contra, /) -> None:
        """Take in one event."""


class Mode(StrEnum):
    """How progress is shown; ``auto`` is live on a terminal and plain elsewhere."""

    AUTO = "auto"
    PLAIN = "plain"
    QUIET = "quiet"


def progress(stream: TextIO, mode: Mode = Mode.AUTO) -> Progress[Event]:
    """Return what shows the events of a run.

    Args:
        stream: Where it is shown, usually standard error.
        mode: How.
    """

    def plain(stream: TextIO) -> Progress[Event]:
        from crypto_archive.render.plain import PlainProgress

        return PlainProgress(stream)

    def live(console: Console) -> Progress[Event]:
        from crypto_archive.render.terminal import TerminalProgress

        return TerminalProgress(console)

    return chosen(stream, mode, plain, live)


def check_progress(
    stream: TextIO, mode: Mode = Mode.AUTO, *, objects: int | None = None, size: int | None = None
) -> Progress[Checked]:
    """Return what shows the checks of a verification.

    Args:
        stream: Where it is shown, usually standard error.
        mode: How.
        objects: How many objects there are to check, None where nobody knows.
        size: Their bytes, None likewise.
    """

    def plain(stream: TextIO) -> Progress[Checked]:
        from crypto_archive.render.plain import PlainCheckProgress

        return PlainCheckProgress(stream, objects=objects, size=size)

    def live(console: Console) -> Progress[Checked]:
        from crypto_archive.render.terminal import TerminalCheckProgress

        return TerminalCheckProgress(console, objects=objects, size=size)

    return chosen(stream, mode, plain, live)


def chosen(
    stream: TextIO, mode: Mode, plain: Callable[[TextIO], Progress[E]], live: Callable[[Console], Progress[E]]
) -> Progress[E]:
    """Return the progress that a mode and a stream ask for; it falls silent once nobody reads it any more.

    Args:
        stream: Where it is shown.
        mode: How.
        plain: Makes the one in lines.
        live: Makes the one for a terminal.
    """
    if mode is Mode.QUIET:
        return _Silent()
    if mode is Mode.AUTO and is_terminal(stream):
        from crypto_archive.render.console import SteadyConsole

        return _IgnoreBrokenPipe(live(SteadyConsole(file=stream, force_terminal=True)))
    return _IgnoreBrokenPipe(plain(stream))


class _Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, event: object) -> None:
        pass


class _IgnoreBrokenPipe(Generic[E]):
    """Lets a run outlive its terminal.

    Once nothing can be written any more (a closed pipe, a lost connection), progress falls silent instead of ending
    the run; the report and the journal go on.
    """

    def __init__(self, shown: Progress[E]) -> None:
        self._shown: Progress[E] = shown

    def __enter__(self) -> Self:
        try:
            self._shown.__enter__()
        except OSError:
            self._fall_silent()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._shown.__exit__(kind, error, traceback)

    def show(self, event: E) -> None:
        try:
            self._shown.show(event)
        except OSError:
            self._fall_silent()

    def _fall_silent(self) -> None:
        """Let the renderer put back what it has changed, and show nothing from now on."""
        shown, self._shown = self._shown, _Silent()
        with suppress(OSError):
            shown.__exit__(None, None, None)


LEFT_SHOWN = 10

Moving = MovesCounted | Moved | LeftAlone | Noticed


def move_progress(stream: TextIO, mode: Mode = Mode.AUTO) -> Progress[Moving]:
    """Return what shows the events of a relayout.

    Args:
        stream: Where it is shown, usually standard error.
        mode: How.
    """
    return chosen(stream, mode, PlainMoves, TerminalMoves)


class PlainMoves:
    """A relayout in lines with a time stamp."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare the renderer.

        Args:
            stream: Where to write.
            clock: Monotonic seconds.
            now: The time for the stamps, UTC.
        """
        self._lines = Lines(stream, clock, now)
        self._moved = 0
        self._total: int | None = None

    def __enter__(self) -> Self:
        self._lines.on_notice("looking at all files")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._total is not None:
            self._lines.on_notice(f"{self._moved:,} of {format_count(self._total, 'object')} moved")

    def show(self, event: Moving) -> None:
        """Take in one event, and write a line where one is due."""
        if isinstance(event, Moved):
            self._moved += 1
            if self._lines.progress_is_due():
                self._lines.on_notice(f"{self._moved:,} of {format_count(self._total or 0, 'object')} moved so far")
        elif isinstance(event, MovesCounted):
            self._total = event.objects
            self._lines.on_notice(f"{format_count(event.objects, 'object')} to move")
        elif isinstance(event, Noticed):
            self._lines.on_notice(f"note: {event.notice.text}")
        elif event.in_the_way:
            self._lines.say_some(
                "left", f"in the way: {event.path}: {event.reason}", rest="further files are in the way"
            )


class TerminalMoves(LiveProgress[Moving]):
    """A relayout on a terminal: one bar."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the renderer.

        Args:
            console: The terminal, usually on standard error.
            clock: Monotonic seconds.
        """
        self._moved = 0
        self._total: int | None = None
        super().__init__(console, clock)

    def take(self, event: Moving) -> None:
        """Take in one event."""
        if isinstance(event, Moved):
            self._moved += 1
        elif isinstance(event, MovesCounted):
            self._total = event.objects
        elif isinstance(event, Noticed):
            self.on_notice(Text(f"note  {event.notice.text}", style="dim"))

    def render(self) -> RenderableType:
        """Draw the present state."""
        line = Table.grid(padding=(0, 2, 0, 0), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        if self._total is None:
            line.add_row(Text("Looking at all files", style="bold"), ProgressBar(pulse=True), "")
        else:
            figures = f"{self._moved:,} of {format_count(self._total, 'object')}"
            line.add_row(Text("Moving", style="bold"), ProgressBar(max(self._total, 1), self._moved), figures)
        return Constrain(line, WIDEST)


def relayout_lines(report: RelayoutReport) -> RenderableType:
    """Return what a person wants to know after a relayout: what was moved, what was left, and what to do next."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("layout", f"{report.source} → {report.target}")
    facts.add_row("would move" if report.dry_run else "moved", format_count(report.moved, "object"))
    if report.in_place:
        facts.add_row("in place", f"{format_count(report.in_place, 'object')} already")
    facts.add_row("took", format_duration(report.seconds))
    facts.add_row("kept in", report.output_directory)
    total = len(report.left) + report.left_omitted
    for number, one in enumerate(report.left[:LEFT_SHOWN]):
        facts.add_row("" if number else "left alone", Text(f"{one_line(one.path)}: {one_line(one.reason)}"))
    if total > LEFT_SHOWN:
        facts.add_row("", f"and {total - LEFT_SHOWN:,} more; --json lists them")
    if report.status == "blocked":
        facts.add_row("→", "Nothing was moved. Move away what is in the way, then run the same command again.")
    elif report.status == "interrupted":
        facts.add_row("→", "Run the same command again: it continues where it stopped.")
    return facts
