"""What a signal that ended a job, or a program that did, is called, and the exit code that says so."""

from __future__ import annotations

import signal

from crypto_archive.errors import ExitCode
from crypto_archive.events import NO_SIGNAL


def interruption_code(signal_number: int) -> ExitCode:
    """Return the exit code of what was interrupted: apart from ^C and programs, a signal asks a process to go."""
    return ExitCode.INTERRUPTED if signal_number in {signal.SIGINT, NO_SIGNAL} else ExitCode.TERMINATED


def signal_name(number: int) -> str:
    """Return a signal's name, such as ``SIGINT``; its number where the platform has no name for it."""
    if number == NO_SIGNAL:
        return "request"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
