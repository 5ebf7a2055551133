"""Run commands as whole processes, in pairs, and compare them: machines are noisy, ratios of neighbours less so."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LOOK_SECONDS = 0.1
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
        codes: The exit codes that mean that it did what it should.
        output: Takes its standard output; None where nobody wants it.
    """

    name: str
    arguments: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    prepare: Callable[[], None] | None = None
    codes: frozenset[int] = frozenset({0})
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command.

    Attributes:
        seconds: On the wall.
        cpu_seconds: Of processor time, of the process itself: without its children, and whatever else runs.
        peak_mib: Most memory of the process itself, in MiB.
        child_peak_mib: Most memory of any one process below it, likewise; 0 where it had none for long.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    child_peak_mib: float


class _Peaks:
    """Looks at the memory of a process and of those below it; what wait4 tells is the larger of both."""

    def __init__(self, pid: int) -> None:
        self.own = self.child = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peaks")
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            with contextlib.suppress(psutil.Error):
                self.own = max(self.own, self._process.memory_info().rss)
                self.child = max(self.child, *(child.memory_info().rss for child in self._process.children()), 0)
            if self._done.wait(LOOK_SECONDS):
                return


def measure(command: Command) -> Measured:
    """Run a command once.

    Raises:
        RuntimeError: It ended in another way than it should.
    """
    if command.prepare is not None:
        command.prepare()
    with (command.output or Path(os.devnull)).open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(argument) for argument in command.arguments],
            env=os.environ | dict(command.environment or {}),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
    peaks = _Peaks(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but can still be asked
    seconds = time.monotonic() - began
    times = psutil.Process(process.pid).cpu_times()
    peaks.stop()
    if process.wait() not in command.codes:
        raise RuntimeError(f"{command.name} ended with {process.returncode}")
    return Measured(seconds, times.user + times.system, peaks.own / MIB, peaks.child / MIB)


def compare(title: str, ours: Command, peer: Command, *, pairs: int = 5) -> list[tuple[Measured, Measured]]:
    """Run two commands in turn and print their medians and the median of the ratios, pair by pair.

    Returns:
        The runs.
    """
    runs = [(measure(ours), measure(peer)) for _ in range(pairs)]
    print(f"\n{title} ({pairs} pairs)")
    for command, measured in zip((ours, peer), zip(*runs, strict=True), strict=True):
        seconds, cpu = (_median(measured, name) for name in ("seconds", "cpu_seconds"))
        peak, child = (_median(measured, name) for name in ("peak_mib", "child_peak_mib"))
        beside = f", children {child:.1f} MiB" if child else ""
        print(f"  {command.name:<44} {seconds:8.2f} s, {cpu:8.2f} s of CPU, {peak:7.1f} MiB{beside}")
    ratios = sorted(one.seconds / other.seconds for one, other in runs)
    memory = statistics.median(one.peak_mib / other.peak_mib for one, other in runs)
    print(f"  ratio: time {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), memory {memory:.2f}")
    return runs


def _median(runs: Iterable[Measured], name: str) -> float:
    return statistics.median(getattr(run, name) for run in runs)
