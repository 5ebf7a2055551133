"""Run commands as whole processes, in pairs, and compare them: machines are noisy, ratios of neighbours less so."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


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
    """

    name: str
    arguments: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    prepare: Callable[[], None] | None = None
    codes: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds on the wall, and the peak memory of the process itself in MiB."""

    seconds: float
    peak_mib: float


def measure(command: Command) -> Measured:
    """Run a command once.

    Raises:
        RuntimeError: It ended in another way than it should.
    """
    if command.prepare is not None:
        command.prepare()
    began = time.monotonic()
    process = subprocess.Popen(
        [str(argument) for argument in command.arguments],
        env=os.environ | dict(command.environment or {}),
        cwd=command.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in command.codes:
        raise RuntimeError(f"{command.name} ended with {process.returncode}")
    return Measured(seconds, usage.ru_maxrss / 1024)


def compare(title: str, ours: Command, peer: Command, *, pairs: int = 5) -> None:
    """Run two commands in turn and print their medians and the median of the ratios, pair by pair."""
    runs = [(measure(ours), measure(peer)) for _ in range(pairs)]
    print(f"\n{title} ({pairs} pairs)")
    for command, index in ((ours, 0), (peer, 1)):
        seconds = statistics.median(run[index].seconds for run in runs)
        peak = statistics.median(run[index].peak_mib for run in runs)
        print(f"  {command.name:<44} {seconds:8.2f} s {peak:8.1f} MiB")
    ratios = sorted(one.seconds / other.seconds for one, other in runs)
    memory = statistics.median(one.peak_mib / other.peak_mib for one, other in runs)
    print(f"  ratio: time {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), memory {memory:.2f}")
