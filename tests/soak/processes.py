"""The processes of a round: a real ``collect``, and how it comes to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from tests.archive.running import clean_environment
from tests.conftest import leaks

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_SECONDS = 90.0
"""A command that takes longer hangs."""
LOOK_SECONDS = 0.004

ENDS: dict[str, tuple[int, ...]] = {
    "to the end": (),
    "^C": (signal.SIGINT,),
    "^C twice": (signal.SIGINT, signal.SIGINT),
    "SIGTERM": (signal.SIGTERM,),
    "SIGHUP": (signal.SIGHUP,),
    "kill -9": (signal.SIGKILL,),
}
END_WEIGHTS = (40, 12, 4, 12, 4, 28)


class Hangs(Exception):
    """A command did not come to its end in any reasonable time."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Starts ``crypto-archive`` in a folder, against an endpoint.

    Attributes:
        folder: Where the processes run; what they say is kept in its folder ``said``.
        endpoint_url: The fault proxy.
        root: The archive root.
    """

    folder: Path
    endpoint_url: str
    root: Path

    def start(self, name: str, *arguments: str) -> Running:
        """Start a command whose output goes to files of that name."""
        said = self.folder / "said"
        said.mkdir(exist_ok=True)
        files = said / f"{name}.json", said / f"{name}.log"
        with files[0].open("wb") as out, files[1].open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "crypto_archive", *arguments, "-o", str(self.root)],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Running(process, *files)

    def run(self, name: str, *arguments: str) -> Running:
        """Run a command to its end."""
        running = self.start(name, *arguments)
        running.wait()
        return running

    def of_s5cmd(self) -> list[psutil.Process]:
        """Return the s5cmd processes that this soak has caused and that live; others never see the proxy's address."""
        return list(_processes(lambda words: f"{self.endpoint_url}" in words))

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in clean_environment().items() if not leaks(name)}
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return inherited | {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "TMPDIR": str(temporary),
            "CRYPTO_ARCHIVE_ENDPOINT_URL": self.endpoint_url,
            "CRYPTO_ARCHIVE_STALL_SECONDS": "1",
        }


@dataclass(slots=True)
class Running:
    """A command that was started.

    Attributes:
        process: Its process.
        out: The file that takes its standard output.
        err: The file that takes its standard error.
        sent: The signals that reached it.
    """

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    sent: list[int] = field(default_factory=list)

    @property
    def code(self) -> int:
        """Its exit code, once it has ended."""
        return int(self.process.returncode)

    @property
    def killed(self) -> bool:
        """Whether it was ended without mercy."""
        return self.code == -signal.SIGKILL

    @property
    def document(self) -> dict[str, Any] | None:
        """The document that it printed; None where it printed none."""
        text = self.out.read_text("utf-8")
        return json.loads(text) if text.strip() else None

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return self.err.read_text("utf-8", "replace")

    def signal_when(self, due: Callable[[], bool], numbers: tuple[int, ...], rng: random.Random) -> None:
        """Send signals as soon as the time has come, the second a moment after the first."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while self.process.poll() is None and not due() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        for number in numbers:
            time.sleep(rng.uniform(0, 0.05))
            if self.process.poll() is None:
                self.process.send_signal(number)
                self.sent.append(number)

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            Hangs: It does not end; it was killed, and where its threads stood is in its standard error.
        """
        try:
            self.process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise Hangs(f"no end within {LONGEST_SECONDS:g} s; see {self.err}") from None


def _processes(ours: Callable[[list[str]], bool]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and ours(process.cmdline()):
                yield process
        except psutil.Error:
            continue  # it has ended, or is not ours
