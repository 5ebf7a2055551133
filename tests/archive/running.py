"""Running the command line as people do: as a process of its own, with nothing but what a test gives it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import crypto_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs ``python -m crypto_archive`` in a folder of its own; an instance is called with the arguments.

    Attributes:
        folder: The current folder of the processes.
        environment: Their whole environment.
        command: The program and its first arguments.
        seconds: How long a call may take.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = (sys.executable, "-m", "crypto_archive")
    seconds: float = 120.0

    def __call__(self, *arguments: str | Path, seconds: float | None = None) -> Ended:
        """Run to the end and return exit code, stdout and stderr; a call that takes too long fails the test."""
        with self.start(*arguments) as process:
            try:
                stdout, stderr = process.communicate(timeout=seconds or self.seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = process.communicate()
                raise AssertionError(
                    f"{arguments} did not end within {seconds or self.seconds} s; it said:\n{stdout}\n{stderr}"
                ) from None
        return Ended(process.returncode, stdout, stderr)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start in a process group of its own and do not wait: for signals and for looking on. Use it with ``with``."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def with_environment(self, **variables: str | Path) -> Self:
        """Return a runner whose processes have these variables too."""
        return replace(
            self, environment={**self.environment, **{name: str(value) for name, value in variables.items()}}
        )

    def at(self, endpoint_url: str) -> Self:
        """Return a runner whose processes use another endpoint."""
        return self.with_environment(CRYPTO_ARCHIVE_ENDPOINT_URL=endpoint_url)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that nobody announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about in time"
        time.sleep(0.02)


def clean_environment() -> dict[str, str]:
    """Return this process's environment, which ``no_outside_settings`` has cleaned, fit for a child in any folder.

    Lines are 200 columns wide, so that messages are not broken where a test looks for them.
    """
    package = str(Path(crypto_archive.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, (package, inherited)))
    outside = {name: value for name, value in os.environ.items() if not name.startswith("CRYPTO_ARCHIVE_TEST_")}
    return {**outside, "PYTHONPATH": path, "PYTHONUTF8": "1", "COLUMNS": "200"}
