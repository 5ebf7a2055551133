"""The console that everything of Rich is printed on."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.console import Console


class SteadyConsole(Console):
    """Falls silent when its reader is gone, as in ``crypto-archive matrix | head``; Rich would end the process."""

    def on_broken_pipe(self) -> None:
        """Print no more, and let nothing complain when the interpreter flushes the stream at its end."""
        self.quiet = True
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self.file.fileno())
            finally:
                os.close(nowhere)
