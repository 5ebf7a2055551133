"""Consoles, styles and streams: the base of everything that is drawn."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

from crypto_archive.jobs.doctor import CheckStatus
from crypto_archive.model import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

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
    "empty": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "bad": "red",
}
CHECK_STYLES: Mapping[CheckStatus, str] = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILED: "bold red",
}
ROW_STYLES: Mapping[str, str] = {"active": "green", "discontinued": "yellow", "removed": "yellow"}


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


WAITING = "Reading the archive's listing …"


class SteadyConsole(Console):
    """Falls silent when its reader is gone, as in ``crypto-archive matrix | head``; Rich would end the process."""

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


@contextmanager
def waiting(stream: TextIO, words: str) -> Iterator[None]:
    """Show a spinner with these words on a terminal; nothing elsewhere."""
    if not is_terminal(stream):
        yield
        return
    with SteadyConsole(file=stream).status(words):
        yield
