"""Which progress is shown where: live on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, Self

from crypto_archive.render.plain import PlainProgress, is_terminal, stamped
from crypto_archive.render.stats import COLLECT, RELAYOUT, VERIFY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import TextIO

    from crypto_archive.events import Cancellation
    from crypto_archive.render.stats import ProgressEvent, Work


_WORK: Mapping[str, Work] = {"collect": COLLECT, "verify": VERIFY, "relayout": RELAYOUT}


class Progress(Protocol):
    """Shows events as they come; a context manager, so that a terminal is left as it was found."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def show(self, event: ProgressEvent, /) -> None:
        """Show one event."""

    def say(self, line: str, /) -> None:
        """Show a line."""


def progress(
    stream: TextIO,
    work: Work = COLLECT,
    *,
    quiet: bool = False,
    verbose: bool = False,
    figures: bool = True,
    cancellation: Cancellation | None = None,
) -> Progress:
    """Return the progress for a stream, usually standard error; it falls silent once its reader is gone.

    Args:
        stream: Where it is shown.
        work: What is going on.
        quiet: Show nothing at all.
        verbose: Give each decision and each object a line.
        figures: Show how far it is: live on a terminal, else every few seconds.
        cancellation: What stops the work.
    """
    if quiet:
        return _Silent()
    if not figures or not is_terminal(stream):
        return _IgnoreBrokenPipe(
            PlainProgress(stamped(stream), work, cancellation=cancellation, verbose=verbose, figures=figures)
        )
    from crypto_archive.render.console import SteadyConsole
    from crypto_archive.render.terminal import TerminalProgress

    return _IgnoreBrokenPipe(
        TerminalProgress(SteadyConsole(stream, force_terminal=True), work, cancellation=cancellation, verbose=verbose)
    )


@contextmanager
def show_progress(job: str = "collect") -> Iterator[Callable[[ProgressEvent], None]]:
    """Show the progress of a job in a notebook or on a terminal (standard error); anywhere else show nothing.

    What it yields is an ``on_event`` for ``collect``, ``repair``, ``verify`` and ``relayout``. In a notebook the cell
    keeps the last state; on a terminal it is cleared.

    Args:
        job: What is going on: ``collect``, ``verify`` or ``relayout``.

    Raises:
        ValueError: The name is not that of a job.

    Example:
        >>> from crypto_archive import collect, load_preset, show_progress
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> with show_progress() as on_event:
        ...     collect(config, on_event=on_event).status
        'success'
    """
    if job not in _WORK:
        raise ValueError(f"{job!r} is not one of {', '.join(_WORK)}")
    from crypto_archive.render.notebook import NotebookProgress, in_notebook

    if in_notebook():
        shown: Progress = _IgnoreBrokenPipe(NotebookProgress(_WORK[job]))
    else:
        shown = progress(sys.stderr, _WORK[job], quiet=not is_terminal(sys.stderr))
    with shown:
        yield shown.show


class _Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, event: ProgressEvent) -> None:
        pass

    def say(self, line: str) -> None:
        pass


class _IgnoreBrokenPipe:
    """Lets a run outlive its terminal.

    Once nothing can be written any more (a closed pipe, a lost connection), progress falls silent instead of ending
    the run; the report and the journal go on.

    Lines may come from any thread. They wait for the next event, so that only one thread draws.
    """

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._lines: deque[str] = deque()

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
            self._say_all()
        with suppress(OSError):
            self._shown.__exit__(kind, error, traceback)

    def show(self, event: ProgressEvent) -> None:
        try:
            if self._lines:
                self._say_all()
            self._shown.show(event)
        except OSError:
            self._fall_silent()

    def say(self, line: str) -> None:
        self._lines.append(line)

    def _say_all(self) -> None:
        while self._lines:
            self._shown.say(self._lines.popleft())

    def _fall_silent(self) -> None:
        """Let the renderer restore what it changed, and show nothing from now on."""
        shown, self._shown = self._shown, _Silent()
        with suppress(OSError):
            shown.__exit__(None, None, None)
