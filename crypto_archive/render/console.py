"""The console that everything of Rich is printed on."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

from crypto_archive.render.streams import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


WAITING = "Reading the archive's listing …"


class SteadyConsole(Console):
    """Falls silent when its reader is gone, as in ``crypto-archive matrix | head``; Rich would end the process."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, or fall silent too when the terminal has been closed."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Print no more, and let nothing complain when the interpreter flushes the stream at its end."""
        self.quiet = True
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self.file.fileno())
            finally:
                os.close(nowhere)


@contextmanager
def waiting(stream: TextIO, words: str) -> Iterator[None]:
    """Show on a terminal that something takes its time; nothing elsewhere.

    Args:
        stream: Where to, usually standard error.
        words: What is being done.
    """
    if not is_terminal(stream):
        yield
        return
    with SteadyConsole(file=stream).status(words):
        yield
