"""The process: signals that stop a run, and standard streams that are closed."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from crypto_archive.errors import CryptoArchiveError
from crypto_archive.events import Cancellation

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stopping(cancellation: Cancellation) -> Iterator[None]:
    """Let stop signals ask the run to end in order, as long as the context lasts; a second one ends it at once."""

    def request(number: int, _: FrameType | None) -> None:
        cancellation.request(number)

    heeded = [number for number in STOPPING if not _is_waived(number)]
    former = {number: signal.signal(number, request) for number in heeded}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _is_waived(number: int) -> bool:
    """Whether the command was started such that a closed terminal does not end it, as by ``nohup``."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN


def open_closed_streams() -> None:
    """Give a process that was started with closed streams, as by some supervisors, streams to nowhere."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for as long as the process lives
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for as long as the process lives


def silence_stdout() -> None:
    """Send what is still to be written to nowhere, so that nothing fails on it, not even the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(error: CryptoArchiveError) -> None:
    """Tell an error on standard error."""
    lines = error.message.splitlines() or [""]
    heading = "Error: " if len(lines) == 1 else f"Error: {len(lines)} problems\n  "
    typer.echo(heading + "\n  ".join(lines), err=True)
    if error.hint:
        typer.echo("\n".join(f"Hint: {line}" for line in error.hint.splitlines()), err=True)
