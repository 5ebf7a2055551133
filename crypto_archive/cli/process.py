"""The process: signals that stop a run, closed standard streams, and the one form of an error."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crypto_archive.text import safe

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


def prepare_streams() -> None:
    """See that nothing can fail on the standard streams of this process.

    Where it was started with closed ones, as by some supervisors, they lead to nowhere. Where their encoding lacks a
    character, as ASCII lacks most of them, a question mark takes its place.
    """
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for the life of the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for the life of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def silence_stdout() -> None:
    """Redirect what is still to be written to nowhere, so that nothing fails on it, not even the interpreter's exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(message: str, hint: str | None = None) -> None:
    """Print an error on standard error: the cause first, then what to do about it."""
    lines = [safe(line) for line in message.split("\n")]
    heading = "Error: " if len(lines) == 1 else f"Error: {len(lines)} problems\n  "
    typer.echo(heading + "\n  ".join(lines), err=True)
    for line in (hint or "").splitlines():
        print_line(f"Hint: {line}")


def print_line(text: str) -> None:
    """Print one line on standard error."""
    typer.echo(safe(text), err=True)


def print_our_error(error: CryptoArchiveError) -> None:
    """Print one of our own errors."""
    print_error(error.message, error.hint)
