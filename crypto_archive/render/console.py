"""Consoles, styles and streams: the base of everything that is drawn."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderHook
from rich.segment import Segment

from crypto_archive.model import Outcome, Verdict
from crypto_archive.render.plain import is_terminal
from crypto_archive.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TextIO

    from rich.console import ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult

RESULT_STYLES: Mapping[Outcome | Verdict, str] = {
    Outcome.FETCHED: "green",
    Outcome.UPDATED: "green",
    Outcome.PRESENT: "default",
    Outcome.ABSENT: "default",
    Outcome.FAILED: "bold red",
    Outcome.QUARANTINED: "bold red",
    Outcome.CANCELLED: "yellow",
    Verdict.OK: "green",
    Verdict.MISSING: "bold red",
    Verdict.CORRUPT: "bold red",
    Verdict.BAD_ZIP: "bold red",
    Verdict.SIDECAR_MISSING: "yellow",
    Verdict.SIDECAR_STALE: "yellow",
    Verdict.SIDECAR_MALFORMED: "yellow",
    Verdict.UNPROVEN: "yellow",
    Verdict.GAPS: "yellow",
    Verdict.REPLACED: "bold red",
}
STATUS_STYLES: Mapping[str, str] = {
    "success": "green",
    "partial": "yellow",
    "incomplete": "yellow",
    "empty": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "bad": "red",
}
CHECK_STYLES: Mapping[str, str] = {"ok": "green", "warning": "yellow", "failed": "bold red"}
ROW_STYLES: Mapping[str, str] = {"active": "green", "discontinued": "yellow", "removed": "yellow"}


_IN_ASCII = str.maketrans("█▓▒░×·…→–≥─", "#%+ox.~>->-")
"""What stands for our own signs where a terminal's encoding lacks them."""


_styled: ContextVar[bool] = ContextVar("styled", default=True)


@contextmanager
def unstyled() -> Iterator[None]:
    """Within the context, let nothing be bold, dim or in a color on consoles that are opened."""
    former = _styled.set(False)
    try:
        yield
    finally:
        _styled.reset(former)


class SteadyConsole(Console, RenderHook):
    """The only console that anything is drawn on: it shows text as it is, whoever wrote it.

    Text is never markup. What ``safe`` would escape is escaped, since Rich passes control characters on. No line ends
    in spaces. And it falls silent when its reader is gone, as in ``crypto-archive matrix | head``; Rich would end the
    process.
    """

    def __init__(self, stream: TextIO, *, width: int | None = None, force_terminal: bool | None = None) -> None:
        """Open a console on a stream."""
        super().__init__(
            file=stream,
            width=width,
            color_system="auto" if _styled.get() else None,
            force_terminal=force_terminal,
            force_jupyter=False,  # the kernel of a notebook may draw on a stream, too
            markup=False,
            emoji=False,
        )
        self._takes_all_signs = self.encoding.startswith("utf")
        self.push_render_hook(self)

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Print lines without padding; what is drawn live comes after this hook, and is left as it is."""
        return [_Unpadded(renderables)]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as Rich does, with harmless text."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or (text.isascii() and text.isprintable()):
                yield segment
                continue
            if not self._takes_all_signs:
                text = text.translate(_IN_ASCII)
            yield Segment("\n".join(map(safe, text.split("\n"))), style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, or fall silent when the terminal has been closed."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Stop printing, and keep the interpreter from failing when it flushes the stream at exit."""
        self.quiet = True
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self.file.fileno())
            finally:
                os.close(nowhere)


class _Unpadded:
    """Renderables without the spaces with which Rich fills the cells of tables, and ends lines that it wraps."""

    def __init__(self, renderables: Iterable[RenderableType]) -> None:
        self._renderables = renderables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Hold spaces back until something follows on the same line."""
        held: list[Segment] = []
        for renderable in self._renderables:
            for segment in console.render(renderable, options):
                if segment.control:
                    yield segment
                    continue
                for piece in segment.text.splitlines(keepends=True):
                    text = piece.rstrip(" \n")
                    if text:
                        yield from held
                        held.clear()
                        yield Segment(text, segment.style)
                    if piece.endswith("\n"):
                        held.clear()
                        yield Segment.line()
                    elif len(text) < len(piece):
                        held.append(Segment(piece[len(text) :], segment.style))
        yield from held


@contextmanager
def waiting(stream: TextIO, words: str) -> Iterator[None]:
    """Show a spinner with these words on a terminal; nothing elsewhere."""
    if not is_terminal(stream):
        yield
        return
    with SteadyConsole(stream).status(words):
        yield
