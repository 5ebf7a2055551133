"""Running the command line with nothing but what a test gives it: here, or as a process of its own, as people do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import crypto_archive
from tests.archive.inside import Ended, run_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMAND = (sys.executable, "-m", "crypto_archive")
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
"""How variables begin that only the start of a process heeds; ``run_inside`` heeds PYTHONIOENCODING all the same."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs ``python -m crypto_archive`` in a folder of its own; an instance is called with the arguments.

    The start of a process takes longer than most of what the tests ask for. So a call runs the command within the
    process of the tests, unless the test is about a process: see ``as_process`` and ``start``.

    Attributes:
        folder: The current folder.
        environment: The whole environment.
        command: The program and its first arguments; another one than ours is always a process.
        seconds: How long a call may take.
        apart: Whether calls are processes of their own.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = COMMAND
    seconds: float = 120.0
    apart: bool = os.name == "nt"

    def __call__(self, *arguments: str | Path, seconds: float | None = None) -> Ended:
        """Run to the end and return exit code, stdout and stderr; a call that takes too long fails the test."""
        if not self.apart and self.command == COMMAND:
            return run_inside([*map(str, arguments)], self.folder, self.environment, seconds or self.seconds)
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

    @property
    def as_process(self) -> Self:
        """A runner whose calls are processes of their own, for tests of what only a process has.

        That is what it is given at its start, such as ``PYTHON...`` variables, limits and closed streams; its end; and
        that there may be others at the same time, so that threads may call it.
        """
        return replace(self, apart=True)

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
        """Return a runner whose calls have these variables too."""
        early = [name for name in variables if name.startswith(READ_AT_START) and name != "PYTHONIOENCODING"]
        assert self.apart or not early, "heeded by `as_process` only"
        return replace(
            self, environment={**self.environment, **{name: str(value) for name, value in variables.items()}}
        )

    def at(self, endpoint_url: str) -> Self:
        """Return a runner whose calls use another endpoint."""
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
