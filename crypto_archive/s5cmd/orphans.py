"""The s5cmd processes that a killed run has left behind."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from crypto_archive.errors import EnvironmentFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 10.0
"""How long killed processes may take to disappear; only one that hangs in the kernel takes that long."""


def end_orphans(folder: Path) -> int:
    """Kill every s5cmd that works in or below a root's staging folder, wait until all are gone, return their number.

    Only the holder of the root's lock may do so: any s5cmd that works there then has lost its run, and would go on
    writing. Processes of other users and of other machines are not seen. Raises EnvironmentFailure where one of them
    cannot be killed.
    """
    orphans = list(_working_below(folder))
    for orphan in orphans:
        with suppress(psutil.NoSuchProcess):
            _kill(orphan)
    _, left = psutil.wait_procs(orphans, timeout=WAIT_SECONDS)
    if left:
        raise _cannot_end(left[0], f"it was killed {WAIT_SECONDS:g} seconds ago and is still running")
    return len(orphans)


def _working_below(folder: Path) -> Iterator[psutil.Process]:
    place = Path(os.path.realpath(folder))
    for process in psutil.process_iter():
        # A process that is gone by now, or that we may not inspect.
        with suppress(psutil.Error, OSError):
            if _is_s5cmd(process) and Path(process.cwd()).is_relative_to(place):
                yield process


def _is_s5cmd(process: psutil.Process) -> bool:
    """Whether it is s5cmd, by its name, or under another name by its arguments."""
    if process.name().startswith("s5cmd"):
        return True
    command = process.cmdline()
    return len(command) > 2 and command[-2] == "run" and command[-1].endswith(".s5cmd")


def _kill(orphan: psutil.Process) -> None:
    """Kill a process and, where it leads one, its group: lanes start s5cmd in a group of its own."""
    try:
        if os.name != "nt" and orphan.is_running() and os.getpgid(orphan.pid) == orphan.pid:
            os.killpg(orphan.pid, signal.SIGKILL)
        else:
            orphan.kill()
    except ProcessLookupError:
        return
    except (psutil.AccessDenied, PermissionError) as error:
        raise _cannot_end(orphan, "permission denied") from error


def _cannot_end(orphan: psutil.Process, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"An s5cmd left behind by an earlier run cannot be killed: process {orphan.pid}: {why}",
        hint="Kill that process, then run the same command again.",
    )
