"""Choose how progress is shown: live on a terminal, in lines elsewhere, or not at all."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from crypto_archive.render.streams import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

    from rich.console import Console

    from crypto_archive.events import Checked, Event

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

        return _Outliving(live(SteadyConsole(file=stream, force_terminal=True)))
    return _Outliving(plain(stream))


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


class _Outliving(Generic[E]):
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
