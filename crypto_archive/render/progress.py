"""Which progress is shown where: live on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

from crypto_archive.render.console import is_terminal
from crypto_archive.render.plain import PlainProgress, stamped
from crypto_archive.render.stats import COLLECT

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from crypto_archive.render.stats import ProgressEvent, Work


class Progress(Protocol):
    """Shows events as they come; a context manager, so that a terminal is left as it was found."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def show(self, event: ProgressEvent, /) -> None:
        """Show one event."""


def progress(stream: TextIO, work: Work = COLLECT, *, quiet: bool = False) -> Progress:
    """Return the progress for a stream, usually standard error; it falls silent once its reader is gone."""
    if quiet:
        return _Silent()
    if not is_terminal(stream):
        return _IgnoreBrokenPipe(PlainProgress(stamped(stream), work))
    from crypto_archive.render.console import SteadyConsole
    from crypto_archive.render.terminal import TerminalProgress

    return _IgnoreBrokenPipe(TerminalProgress(SteadyConsole(stream, force_terminal=True), work))


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


class _IgnoreBrokenPipe:
    """Lets a run outlive its terminal.

    Once nothing can be written any more (a closed pipe, a lost connection), progress falls silent instead of ending
    the run; the report and the journal go on.
    """

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

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

    def show(self, event: ProgressEvent) -> None:
        try:
            self._shown.show(event)
        except OSError:
            self._fall_silent()

    def _fall_silent(self) -> None:
        """Let the renderer restore what it changed, and show nothing from now on."""
        shown, self._shown = self._shown, _Silent()
        with suppress(OSError):
            shown.__exit__(None, None, None)
