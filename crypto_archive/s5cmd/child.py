"""One supervised process in a process group of its own, which no path out of the code leaves running."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Self, cast

from crypto_archive.errors import S5cmdUnusable
from crypto_archive.s5cmd.protocol import Message, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

LONGEST_LINE = 1024 * 1024
"""Bytes of a line that are read; an event of s5cmd has at most a few thousand."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# The signals, each with the share of the grace that has passed before the next one is due.
_LADDER = ((signal.SIGINT, 0.5), (signal.SIGTERM, 1.0))
_REAP_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.0005, 0.05


class Child:
    """A process that is running for as long as the context lasts, or shorter.

    One thread enters the context, reads the messages and leaves; any other may stop or kill the process meanwhile.
    Standard input is empty, standard error goes with standard output. The terminal's ^C does not reach the process,
    its process group being its own. What it starts itself belongs to the same group and ends with it.

        with Child(["s5cmd", "--json", "run", "file"], cwd=folder, env=environment) as child:
            for message in child.messages():
                ...
        child.returncode
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the process.

        Args:
            command: The program and its arguments.
            cwd: The folder it runs in; None for the current one.
            env: Its whole environment; None for that of this process.

        Raises:
            S5cmdUnusable: The program cannot be started.
        """
        self._guard = threading.Lock()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            what = error.filename or command[0]
            raise S5cmdUnusable(f"s5cmd could not be started: {what}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._output.close()

    @property
    def pid(self) -> int:
        """The process's number, which is also its group's."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs, then its exit code; the negative number of the signal that ended it."""
        self._ended()
        return self._process.returncode

    def messages(self) -> Iterator[Message]:
        """Yield what the process prints, as it prints it; afterwards it has ended and ``returncode`` is set.

        Lines beyond ``LONGEST_LINE`` bytes are cut; the last line need not be complete.
        """
        for line in _lines(self._output):
            yield parse_line(line)
        _all_ended_by([self], math.inf)

    def stop(self, grace_seconds: float) -> None:
        """Ask the process to end, then make it; returns when it has ended. From any thread.

        Args:
            grace_seconds: SIGINT comes at once, SIGTERM after half of it, SIGKILL after all of it.
        """
        stop_all([self], grace_seconds)

    def kill(self) -> None:
        """End the process and its group at once, and wait for it. From any thread."""
        self._signal(_KILL)
        _all_ended_by([self], time.monotonic() + _REAP_SECONDS)

    @property
    def _output(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdout)

    def _ended(self) -> bool:
        """Whether the process has ended; the first to see it reaps it and kills what it has left behind.

        Every way to reap leads through here, under the guard: a number is never signalled when it could already be
        somebody else's.
        """
        with self._guard:
            if self._process.returncode is None and self._process.poll() is not None:
                _signal_group(self._process, _KILL)
            return self._process.returncode is not None

    def _signal(self, number: int) -> None:
        with self._guard:
            if self._process.returncode is None:
                _signal_group(self._process, number)


def stop_all(children: Sequence[Child], grace_seconds: float) -> None:
    """Stop several processes under one deadline, as ``Child.stop`` stops one."""
    began = time.monotonic()
    for number, share in _LADDER:
        for child in children:
            child._signal(number)
        if _all_ended_by(children, began + grace_seconds * share):
            return
    for child in children:
        child._signal(_KILL)
    _all_ended_by(children, time.monotonic() + _REAP_SECONDS)


def _all_ended_by(children: Sequence[Child], deadline: float) -> bool:
    pause = _FIRST_PAUSE_SECONDS
    while not all(child._ended() for child in children):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return True


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if sys.platform == "win32":
        # There are no groups to signal; s5cmd starts no processes of its own.
        process.terminate()
    else:
        # No such group: all have ended. macOS says "not permitted" of a group that only holds ended ones.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream, of each at most its beginning."""
    inside = False
    while piece := stream.readline(LONGEST_LINE):
        if not inside:
            yield piece
        inside = not piece.endswith(b"\n")
