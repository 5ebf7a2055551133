"""The process: signals that stop a run, closed standard streams, and the one form of an error."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from crypto_archive.errors import CryptoArchiveError
    from crypto_archive.events import Cancellation

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stopping(cancellation: Cancellation) -> Iterator[None]:
    """Within the context, let the first stop signal end the run gracefully, and the second one immediately."""

    def request(number: int, _: FrameType | None) -> None:
        cancellation.request(number)

    handled = [number for number in STOPPING if not _is_waived(number)]
    former = {number: signal.signal(number, request) for number in handled}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _is_waived(number: int) -> bool:
    """Whether the command was started to survive a closed terminal, as by ``nohup``."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN


def open_closed_streams() -> None:
    """Give a process that was started with closed streams, as by some supervisors, streams to nowhere."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for the life of the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for the life of the process


def silence_stdout() -> None:
    """Redirect what is still to be written to nowhere, so that nothing fails on it, not even the interpreter's exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: str, hint: str | None = None) -> None:
    """Print an error on standard error: the cause first, then what to do about it."""
    lines = message.splitlines() or [""]
    heading = "Error: " if len(lines) == 1 else f"Error: {len(lines)} problems\n  "
    typer.echo(heading + "\n  ".join(lines), err=True)
    for line in (hint or "").splitlines():
        typer.echo(f"Hint: {line}", err=True)


def print_our_error(error: CryptoArchiveError) -> None:
    """Print one of our own errors."""
    print_error(error.message, error.hint)
