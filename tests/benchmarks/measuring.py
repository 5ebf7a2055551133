"""Run commands as whole processes, in turn, and measure them: machines are noisy, ratios of neighbours less so."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.benchmarks.traffic import Traffic

LOOK_SECONDS = 0.02
LOOKS_AT_ONE = 10
"""Which look takes in the processes below: to find them costs much more than to look at one."""
FAR_BEHIND = 3
"""A peer that takes so many times as long as the reference runs once: a closer figure is not worth its time."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A command to measure.

    Attributes:
        name: What it is called in the table.
        arguments: Program and arguments.
        environment: Variables on top of this process's own.
        folder: Where it runs.
        prepare: Called before every run, outside of the measurement.
        check: Called after every run; raises if the command did not do what it should.
        codes: The exit codes that mean that it did what it should.
        output: Takes its standard output; None where nobody wants it.
        ours: Whether it is this project's.
    """

    name: str
    arguments: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    prepare: Callable[[], None] | None = None
    check: Callable[[], None] | None = None
    codes: frozenset[int] = frozenset({0})
    output: Path | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command.

    Attributes:
        seconds: On the wall.
        cpu_seconds: Of processor time, of the process and all below it.
        own_cpu_seconds: Of processor time, of the process itself.
        peak_mib: Most memory of the process and all below it together, in MiB; what they share counts for each.
        own_peak_mib: Most memory of the process itself, in MiB.
        traffic: What it asked the server for; None where there is none.
    """

    seconds: float
    cpu_seconds: float
    own_cpu_seconds: float
    peak_mib: float
    own_peak_mib: float
    traffic: Traffic | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of a command, in the order of the rounds.

    Attributes:
        name: What the command is called.
        runs: What was measured.
        ours: Whether it is this project's command.
    """

    name: str
    runs: tuple[Measured, ...]
    ours: bool = False

    def median(self, field: str) -> float:
        """Return the median of a figure."""
        return float(statistics.median(getattr(run, field) for run in self.runs))

    def ratios(self, reference: Result, field: str) -> list[float]:
        """Return how many times the reference's figure this one's is, round by round, ascending."""
        pairs = zip(self.runs, reference.runs, strict=False)
        return sorted(getattr(ours, field) / getattr(theirs, field) for ours, theirs in pairs)


class _Peaks:
    """Looks at the memory of a process and of those below it; what wait4 tells is the largest of any of them."""

    def __init__(self, pid: int) -> None:
        self.own = self.all = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peaks")
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        for number in count():
            own = _resident(self._process)
            self.own = max(self.own, own)
            if number % LOOKS_AT_ONE == 0:
                with contextlib.suppress(psutil.Error):
                    self.all = max(self.all, own + sum(map(_resident, self._process.children(recursive=True))))
            if self._done.wait(LOOK_SECONDS):
                self.all = max(self.all, self.own)
                return


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def measure(command: Command) -> Measured:
    """Run a command once.

    Raises:
        RuntimeError: It ended in another way than it should.
    """
    if command.prepare is not None:
        command.prepare()
    with (command.output or Path(os.devnull)).open("wb") as output, tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(argument) for argument in command.arguments],
            env=os.environ | dict(command.environment or {}),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        peaks = _Peaks(process.pid)
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but can still be asked
            seconds = time.monotonic() - began
        except BaseException:
            process.terminate()
            raise
        finally:
            peaks.stop()
        own = psutil.Process(process.pid).cpu_times()
        _, status, used = os.wait4(process.pid, 0)  # of the process and of all that it has waited for
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in command.codes:
            errors.seek(max(0, errors.tell() - 1000))
            raise RuntimeError(
                f"{command.name} ended with {process.returncode}: {errors.read().decode(errors='replace')}"
            )
    if command.check is not None:
        command.check()
    cpu = used.ru_utime + used.ru_stime
    return Measured(seconds, cpu, min(own.user + own.system, cpu), peaks.all / MIB, peaks.own / MIB)


def alternate(
    commands: Sequence[Command], rounds: int, *, reference: str, traffic: Callable[[], Traffic] | None = None
) -> tuple[Result, ...]:
    """Run commands in turn, so that all share what the machine is going through, and return what was measured.

    Args:
        commands: What to run, in this order in every round.
        rounds: How often.
        reference: The name of the command that the others are compared with.
        traffic: Counts what the server was asked for since it was called last.
    """
    runs: dict[str, list[Measured]] = {command.name: [] for command in commands}
    for number in range(rounds):
        for command in commands:
            if number and not command.ours and runs[command.name][0].seconds > FAR_BEHIND * runs[reference][0].seconds:
                continue
            if traffic is not None:
                traffic()
            measured = measure(command)
            runs[command.name].append(replace(measured, traffic=traffic()) if traffic is not None else measured)
    return tuple(Result(command.name, tuple(runs[command.name]), command.ours) for command in commands)
