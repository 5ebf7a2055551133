"""A long or narrow wire in front of a server on this machine: latency and a rate, by a small program in C."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("wire.c")
WAITING = 4096
"""Connections that may wait to be accepted: some clients open hundreds at the same moment."""


@contextmanager
def wire_to(port: int, folder: Path, *, round_trip_ms: float = 0, bits_per_second: int = 0) -> Iterator[int]:
    """Lead to a port of the loopback interface over a wire.

    Args:
        port: Where the server listens.
        folder: Takes the program.
        round_trip_ms: How long a byte and its answer take.
        bits_per_second: The rate in each direction; 0 is no limit.

    Yields:
        The port to connect to: the server's own if the wire would be neither long nor narrow.
    """
    if not round_trip_ms and not bits_per_second:
        yield port
        return
    program = folder / "wire"
    subprocess.run(["cc", "-O2", "-o", program, SOURCE], check=True)
    with listening_socket() as listening:
        arguments = (listening.fileno(), port, round_trip_ms / 2, bits_per_second)
        with subprocess.Popen([program, *map(str, arguments)], pass_fds=[listening.fileno()]) as process:
            try:
                yield port_of(listening)
            finally:
                process.terminate()


def missing_for_wire() -> str | None:
    """Return what a wire needs and this machine lacks, in words; None if it has all."""
    if shutil.which("cc") is None:
        return "a C compiler is missing: sudo apt-get install gcc libc6-dev"
    return None if Path("/proc/self").exists() else "latency and rates need Linux (epoll)"


def listening_socket() -> socket.socket:
    """Return a socket that listens on a free port of the loopback interface, for a program to inherit."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(WAITING)
    return listening


def port_of(listening: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    port: int = listening.getsockname()[1]
    return port
