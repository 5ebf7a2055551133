"""A Prefect server of the tests' own: its database in a temporary folder, nobody told of it, no internet asked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
from filelock import FileLock

from tests.archive.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 120.0
"""It takes ten seconds on a free machine, for migrations above all."""


def prefect_settings(folder: Path) -> dict[str, str]:
    """Return the environment of a Prefect whose home is a folder, with little to do beside its work."""
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_CLI_COLORS": "false",
        "PREFECT_LOGGING_COLORS": "false",
    }


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """Give the API address of a server that all workers of a test session share.

    Who comes first starts it, and who goes last ends it.
    """
    folder.mkdir(exist_ok=True)
    users, address, pid = folder / "users", folder / "address", folder / "pid"
    with FileLock(folder / "users.lock"):
        count = int(users.read_text()) if users.exists() else 0
        if count == 0:
            started, url = _start(folder)
            address.write_text(url)
            pid.write_text(str(started))
        users.write_text(str(count + 1))
    try:
        yield address.read_text()
    finally:
        with FileLock(folder / "users.lock"):
            count = int(users.read_text()) - 1
            users.write_text(str(count))
            if count == 0:
                os.kill(int(pid.read_text()), signal.SIGKILL)  # its database goes with the folder


def _start(folder: Path) -> tuple[int, str]:
    """Start a server that is nobody's child, since who starts it may go before who needs it last."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    server = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    started = subprocess.run(
        ["sh", "-c", '"$@" > "$0" 2>&1 < /dev/null & echo $!', log, *server],
        env={**os.environ, **prefect_settings(folder), "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        check=True,
    )
    pid, url = int(started.stdout), f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        assert psutil.pid_exists(pid), log.read_text(errors="replace")
        try:
            with urlopen(f"{url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until(answers, START_SECONDS)
    return pid, url
