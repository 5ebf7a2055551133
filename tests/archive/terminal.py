"""A terminal of its own for a process: to type ^C at it, and to close it while the process runs."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.running import Runner

# Makes the terminal the controlling one of the new session; without that neither ^C nor a hang-up is a signal.
TAKES_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """Runs one command on a pseudo-terminal, for as long as the context lasts.

    Attributes:
        process: The command.
        seen: What it has written so far.
    """

    def __init__(self, run: Runner) -> None:
        self.seen = ""
        self.process: subprocess.Popen[bytes]
        self._run = run
        self._closing = threading.Event()

    def start(self, *arguments: str | Path) -> Self:
        """Start the command line as the leader of a session on the terminal."""
        self._ours, theirs = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKES_THE_TERMINAL, *self._run.command, *map(str, arguments)],
            cwd=self._run.folder,
            env={**self._run.environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, name="terminal")
        self._reader.start()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def type(self, keys: bytes) -> None:
        """Type on the keyboard."""
        os.write(self._ours, keys)

    def wait(self) -> int:
        """Return the exit code of the command, once all that it has written is read."""
        code = self.process.wait(timeout=30)
        self._reader.join()
        return code

    def close(self) -> None:
        """Close the window."""
        if not self._closing.is_set():
            self._closing.set()
            self._reader.join()
            os.close(self._ours)

    def _read(self) -> None:
        """Show what is written, so that nobody waits for the terminal to take it."""
        with contextlib.suppress(OSError):  # the other side is closed
            while not self._closing.is_set():
                if select.select([self._ours], [], [], 0.02)[0]:
                    self.seen += os.read(self._ours, 65536).decode("utf-8", "replace")
