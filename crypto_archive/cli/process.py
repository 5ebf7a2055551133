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

from crypto_archive.errors import ExitCode
from crypto_archive.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from crypto_archive.errors import CryptoArchiveError
    from crypto_archive.events import Cancellation

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def end_on_signals() -> None:
    """Let every stop signal unwind this process, so that what it has started ends with it; for the process itself.

    The kernel would kill it at SIGTERM and SIGHUP, and leave its children running. A signal that it was started to
    survive, as below ``nohup``, stays ignored.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(ExitCode.TERMINATED)


def ignore_signals() -> None:
    """Ignore stop signals from now on, also while the interpreter shuts down: the exit code is decided."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stopping(cancellation: Cancellation) -> Iterator[None]:
    """Within the context, let the first stop signal end the run gracefully, and the second one immediately.

    Once the run is over its result stands, so that the process ignores later signals; a caller that has handlers of its
    own gets them back.
    """

    def request(number: int, _: FrameType | None) -> None:
        cancellation.request(number)

    handled = [number for number in STOPPING if not _is_waived(number)]
    former = {number: signal.signal(number, request) for number in handled}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_IGN if handler is _end else handler)


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
