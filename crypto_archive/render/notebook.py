"""Live progress in a notebook: what Rich draws for a terminal, as one output that is updated in place."""

from __future__ import annotations

import io
import time
from html import escape
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.segment import Segment

from crypto_archive.render.console import SteadyConsole
from crypto_archive.render.stats import COLLECT
from crypto_archive.render.terminal import WIDEST, TerminalProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from rich.style import Style
    from rich.text import Text

    from crypto_archive.render.stats import Work

_COLOURS: Mapping[str, str] = {"green": "#2e9e44", "yellow": "#b8860b", "red": "#d9534f", "cyan": "#1a9aa8"}
"""Readable on white and on black; text of any other colour has that of the page."""
_TRACK = "grey23"
"""What Rich draws the rest of a bar in."""
_FRAME = '<pre style="font-family: monospace; line-height: 1.2; overflow-x: auto">{}</pre>'


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return Console(file=io.StringIO()).is_jupyter


class NotebookProgress(TerminalProgress):
    """The progress of a terminal, in the output of a cell; in the end it stays, without the lanes.

    It needs nothing but IPython, which every notebook has; Rich's own live display would need ipywidgets.
    """

    def __init__(self, work: Work = COLLECT, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the renderer; nothing is shown before the first event."""
        super().__init__(SteadyConsole(io.StringIO(), width=WIDEST, force_terminal=True), work, clock)
        self._above: list[Text] = []
        self._output: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._output is not None:
            self._stats.lanes.clear()
            self._refresh()

    def _print(self, line: Text) -> None:
        self._above.append(line)  # only so many: ``Remarks`` sees to that

    def _refresh(self) -> None:
        from IPython.display import display  # type: ignore[import-not-found, unused-ignore]

        lines = Group(*self._above, self.render())
        segments = [*Segment.simplify(self._console.render(lines))]
        bundle = {
            "text/plain": "".join(" " * len(text) if _is_track(style) else text for text, style, _ in segments),
            "text/html": _FRAME.format("".join(_spans(segments))),
        }
        if self._output is None:
            self._output = display(bundle, raw=True, display_id=True)
        else:
            self._output.update(bundle, raw=True)


def _spans(segments: list[Segment]) -> Iterator[str]:
    for text, style, _ in segments:
        css = "" if style is None else _css(style)
        yield f'<span style="{css}">{escape(text)}</span>' if css else escape(text)


def _css(style: Style) -> str:
    name = style.color.name if style.color else ""
    colour = f"color: {_COLOURS[name]}" if name in _COLOURS else ""
    opacity = "opacity: 0.25" if _is_track(style) else "opacity: 0.6" if style.dim else ""
    return "; ".join(filter(None, (colour, "font-weight: bold" if style.bold else "", opacity)))


def _is_track(style: Style | None) -> bool:
    return style is not None and style.color is not None and style.color.name == _TRACK
