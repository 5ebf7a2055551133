"""One supervised process in its own process group, and the clock that ignores suspends."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, cast

from crypto_archive.errors import S5cmdUnusable
from crypto_archive.s5cmd.output import Message, parse_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from io import BufferedReader
    from pathlib import Path

LONGEST_LINE = 1024 * 1024
"""Bytes of a line that are read; an event of s5cmd has at most a few thousand."""
PIPE_BYTES = 65_536
"""How much is read together at most: what a pipe holds."""
READ_BYTES = PIPE_BYTES // 4
"""How much output is worth reading: waking up for a line costs more than the line."""
LONGEST_LINGER_SECONDS = 0.25
"""How long output may wait to be read."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# The signals, each with the share of the grace that has passed before the next one is due.
_LADDER = ((signal.SIGINT, 0.5), (signal.SIGTERM, 1.0))
_REAP_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.0005, 0.05


class Child:
    """A process that runs no longer than the context lasts.

    One thread enters the context, reads the messages and leaves; any other may stop or kill the process meanwhile.
    Standard input is empty, standard error goes with standard output. The terminal's ^C does not reach the process,
    which has a process group of its own. What it starts itself belongs to the same group and ends with it.

        with Child(["s5cmd", "--json", "run", "file"], cwd=folder, env=environment) as child:
            for message in child.messages():
                ...
        child.returncode
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the process, in the current folder and environment unless others are given.

        Raises S5cmdUnusable where the program cannot be started.
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

    def __exit__(self, *_: object) -> None:
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
        return chain.from_iterable(self.batches())

    def batches(self, *, linger: bool = False) -> Iterator[list[Message]]:
        """Yield the messages in lists of those that have come together: one, or some hundreds.

        With ``linger``, messages wait up to ``LONGEST_LINGER_SECONDS`` for others, as long as the pipe has room.
        """
        rest, inside = b"", False  # what has no end yet; inside of a line whose beginning was yielded
        for piece in self._lingering() if linger else iter(partial(self._output.read1, PIPE_BYTES), b""):
            ended, newline, piece = piece.rpartition(b"\n")
            if newline:
                lines = (rest + ended).decode("utf-8", "replace").split("\n")
                lines[0] = lines[0][:LONGEST_LINE]
                yield [parse_line(line) for line in lines[inside:]]
                rest, inside = piece, False
            else:
                rest += piece
            if len(rest) >= LONGEST_LINE:
                if not inside:
                    yield [parse_line(rest[:LONGEST_LINE])]
                rest, inside = b"", True
        if rest and not inside:
            yield [parse_line(rest)]
        _all_ended_by([self], math.inf)

    def _lingering(self) -> Iterator[bytes]:
        """Yield pieces of the output, each so long after the one before that it should have ``READ_BYTES``."""
        ending = select.poll() if hasattr(select, "poll") else None
        if ending is not None:
            ending.register(self._output, 0)  # of all that can happen, wait for the end alone
        pause, read_at = 0.0, time.monotonic()
        while piece := self._output.read1(PIPE_BYTES):
            yield piece
            now = time.monotonic()
            pause = min(LONGEST_LINGER_SECONDS, (now - read_at) * READ_BYTES / len(piece))
            read_at = now
            if ending is not None:
                ending.poll(1000 * pause)

    def stop(self, grace_seconds: float) -> None:
        """Ask the process to end, then make it; returns when it has ended. From any thread.

        SIGINT comes immediately, SIGTERM after half of the grace, SIGKILL after all of it.
        """
        stop_all([self], grace_seconds)

    def kill(self) -> None:
        """Kill the process and its group immediately, and wait for it. From any thread."""
        self._signal(_KILL)
        _all_ended_by([self], time.monotonic() + _REAP_SECONDS)

    @property
    def _output(self) -> BufferedReader:
        return cast("BufferedReader", self._process.stdout)

    def _ended(self) -> bool:
        """Whether the process has ended; the first to see it reaps it and kills what it has left behind."""
        # Every reaping happens here, under the guard: once reaped, the number may belong to another process, and must
        # not be signalled any more.
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


@contextlib.contextmanager
def time_limit(child: Child, seconds: float) -> Iterator[threading.Event]:
    """Kill a child that is not done within a time; yields an event that is set when that happened."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        child.kill()

    timer = threading.Timer(seconds, expire)
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        timer.join()


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
        # No such group: all have ended. macOS answers "not permitted" for a group that only holds ended ones.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


TICKS_COUNTED = 3


class AwakeClock:
    """Counts the seconds between looks, at most a few ticks for each gap.

    While the machine, or this process alone, was suspended, nobody could look and nothing could arrive. On some systems
    the monotonic clock goes on meanwhile, and the pause would be taken for a stall.
    """

    def __init__(self, tick_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at 0; ``tick_seconds`` is the usual time between looks."""
        self._longest_gap = TICKS_COUNTED * tick_seconds
        self._clock = clock
        self._looked_at = clock()
        self._seconds = 0.0

    def look(self) -> float:
        """Return the seconds counted so far, this gap included."""
        now = self._clock()
        self._seconds += min(max(now - self._looked_at, 0.0), self._longest_gap)
        self._looked_at = now
        return self._seconds
