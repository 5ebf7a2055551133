"""A real S3 server for tests and for the demonstration: ``rclone serve s3`` on a free port of the loopback interface.

    with S3Server(root) as server:       # each folder of root is a bucket, anonymous to all
        server.endpoint_url

From the command line, ``python -m tests.archive.server --root DIR -- COMMAND ...`` runs a command beside a server, with
CRYPTO_ARCHIVE_ENDPOINT_URL set to it, and ends with the command's exit code.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.archive.programs import rclone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

ENDPOINT_VARIABLE = "CRYPTO_ARCHIVE_ENDPOINT_URL"
_ADDRESS = re.compile(r"https?://127\.0\.0\.1:\d+")


class ServerStartError(RuntimeError):
    """rclone did not come up; the message holds what it said."""


class S3Server:
    """One ``rclone serve s3`` for as long as the context lasts.

    Attributes:
        root: The folder whose folders are the buckets.
        log: The file that takes what rclone says.
        options: Further options of rclone.
    """

    def __init__(
        self, root: Path, *, log: Path | None = None, options: Sequence[str] = (), start_seconds: float = 30.0
    ) -> None:
        self.root = root
        self.options = options
        self.log = log or root.parent / f"{root.name}-rclone.log"
        self._start_seconds = start_seconds
        self._url = ""

    @property
    def endpoint_url(self) -> str:
        """The server's address, without a slash at its end."""
        return self._url

    def __enter__(self) -> Self:
        self.log.touch()  # a log that cannot be written is an error here, not in the thread
        # Port 0: the system picks a free one, and rclone prints which. No cache of folders: new files show at once.
        serve = [str(rclone()), "serve", "s3", "--addr", "127.0.0.1:0", "--dir-cache-time", "0s"]
        self._process = subprocess.Popen(
            [*serve, *self.options, str(self.root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # ^C on a terminal is for the command under test; the server outlives it
        )
        address: Future[str] = Future()
        self._reader = threading.Thread(target=self._follow, args=(self._process.stderr, address), name="rclone-log")
        self._reader.start()
        try:
            self._url = address.result(self._start_seconds)
            _connect(self._url, self._start_seconds)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _follow(self, stderr: IO[str], address: Future[str]) -> None:
        """Copy what rclone says to the log until it ends, and pick the address out of it."""
        said = ""
        with stderr, self.log.open("a", encoding="utf-8") as log:
            for line in stderr:
                log.write(line)
                log.flush()
                if not address.done():
                    said += line
                    if found := _ADDRESS.search(line):
                        address.set_result(found.group())
        if not address.done():
            address.set_exception(ServerStartError(f"rclone ended before it served {self.root}:\n{said}"))

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()


def _environment() -> dict[str, str]:
    """Keep rclone's own settings out: neither its variables nor its configuration file count."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
    # A fifth of its time would go into collecting garbage, and as much into handing small work from core to core.
    cheaper = {"GOGC": "400", "GOMAXPROCS": "1"}
    return inherited | cheaper | {"RCLONE_CONFIG": os.devnull}


def _connect(url: str, seconds: float) -> None:
    address = urlsplit(url)
    socket.create_connection((address.hostname or "", address.port or 0), timeout=seconds).close()


def run_beside(root: Path, command: Sequence[str]) -> int:
    """Run a command with CRYPTO_ARCHIVE_ENDPOINT_URL set to a server of ``root``, and return its exit code.

    A command that a signal ended counts as a shell counts it: 128 and the signal's number.
    """
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        if children:
            children[0].send_signal(number)
        else:
            early.append(number)  # the command may be up before we know of it

    with S3Server(root) as server:
        # ^C reaches the command by itself, for it is in the terminal's group; this process waits for it to end. A
        # function, not SIG_IGN, which the command would inherit.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, pass_on)
        children.append(subprocess.Popen(command, env=os.environ | {ENDPOINT_VARIABLE: server.endpoint_url}))
        for number in early:
            children[0].send_signal(number)
        code = children[0].wait()
    return code if code >= 0 else 128 - code


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run its command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.archive.server", description="Run a command beside an S3 server of a folder's buckets."
    )
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="the folder whose folders are buckets")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    parsed = parser.parse_args(arguments)
    if not parsed.root.is_dir():
        parser.error(f"--root: there is no folder {parsed.root}")
    return run_beside(parsed.root, parsed.command)


if __name__ == "__main__":
    sys.exit(main())
