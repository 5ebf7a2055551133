"""Standard output that nobody reads: closed from the start, or by a reader who has gone, as ``| head`` does."""

import os
import sys
from pathlib import Path


def open_closed_streams() -> None:
    """Give a process that was started with closed streams, as by some supervisors, streams to nowhere."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for as long as the process lives
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115, for as long as the process lives


def silence_stdout() -> None:
    """Send what is still to be written to nowhere, so that nothing fails on it, not even the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
