"""A server that is not the bottleneck: nginx for the bytes, a listing from memory, and a log that counts requests.

with Server(folder, work) as server:       # each folder of folder is a bucket
    url_of(Front.TLS, server.ports[Front.TLS])
    server.traffic()                       # what was asked for since the last call
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.archive.sample import BUCKET
from tests.benchmarks.traffic import LOG_FORMAT, Traffic, traffic_of
from tests.benchmarks.wire import WAITING, listening_socket, port_of

if TYPE_CHECKING:
    from types import TracebackType

CERTIFICATE = Path(__file__).parents[1] / "archive" / "certificate"
TRUST = {
    "SSL_CERT_FILE": str(CERTIFICATE / "certificate.pem"),
    "AWS_CA_BUNDLE": str(CERTIFICATE / "certificate.pem"),
}
"""Variables with which clients trust the server's certificate."""
_SETTLED_SECONDS = 0.1


class Front(StrEnum):
    """The ways into the server.

    Attributes:
        PLAIN: S3 over HTTP/1.1.
        TLS: S3 over HTTP/1.1 and TLS, with sessions that can be resumed.
        DOOR: The keys alone as paths, without LIST, over HTTP/2 and TLS, as a CDN serves them.
    """

    PLAIN = "plain"
    TLS = "tls"
    DOOR = "door"


class Server:
    """One nginx, and the listing behind it, for as long as the context lasts.

    Attributes:
        ports: Where each front listens.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self.ports: dict[Front, int] = {}
        self._folder = folder
        self._work = work
        self._log = work / "access.log"
        self._read_to = 0
        self._until = ExitStack()

    def __enter__(self) -> Self:
        self._work.mkdir(exist_ok=True)
        listing = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.listing", self._work / "listing.sock", self._folder],
            stdout=subprocess.PIPE,
        )
        self._until.callback(_stop, listing)
        # nginx inherits sockets that listen already: no port can be taken in between, and no client comes too early.
        sockets = {front: self._until.enter_context(listening_socket()) for front in Front}
        self.ports = {front: port_of(listening) for front, listening in sockets.items()}
        descriptors = [listening.fileno() for listening in sockets.values()]
        configuration = self._work / "nginx.conf"
        configuration.write_text(_configuration(self._folder, self._work, self.ports))
        self._log.touch()
        assert listing.stdout is not None
        if listing.stdout.readline() != b"ready\n":
            raise RuntimeError("the server of listings did not start")
        nginx = subprocess.Popen(
            [_nginx() or "nginx", "-e", self._work / "error.log", "-p", self._work, "-c", configuration],
            pass_fds=descriptors,
            env=os.environ | {"NGINX": "".join(f"{number};" for number in descriptors)},
            stderr=subprocess.DEVNULL,
        )
        self._until.callback(_stop, nginx)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until.close()

    def traffic(self) -> Traffic:
        """Return what was asked for since the last call, once nothing more is written about it."""
        size = -1
        while size != (size := self._log.stat().st_size):
            time.sleep(_SETTLED_SECONDS)
        with self._log.open() as log:
            log.seek(self._read_to)
            counted = traffic_of(log)
        self._read_to = size
        return counted


def url_of(front: Front, port: int) -> str:
    """Return the address of a front at a port: its own, or that of a wire which leads to it."""
    return f"{'http' if front is Front.PLAIN else 'https'}://127.0.0.1:{port}"


def missing_for_server() -> str | None:
    """Return what a server needs and this machine lacks, in words; None if it has all."""
    return None if _nginx() else "nginx is missing: sudo apt-get install nginx-light"


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.terminate()


def _configuration(folder: Path, work: Path, ports: dict[Front, int]) -> str:
    # Workers of a master that is root would be nobody, who may not read temporary folders.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
{user}
daemon off;
pid {work}/nginx.pid;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 9000; }}
http {{
    {temporary}
    log_format bench '{LOG_FORMAT}';
    access_log {work}/access.log bench;
    default_type application/zip;
    etag off;  # S3's is the MD5, as the listing says; nginx has no idea of it
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75;
    keepalive_requests 1000000;
    ssl_certificate {CERTIFICATE}/certificate.pem;
    ssl_certificate_key {CERTIFICATE}/key.pem;
    ssl_session_cache shared:sessions:10m;
    upstream listing {{ server unix:{work}/listing.sock; keepalive 64; }}
    server {{
        listen 127.0.0.1:{ports[Front.PLAIN]} backlog={WAITING};
        listen 127.0.0.1:{ports[Front.TLS]} ssl backlog={WAITING};
        root {folder};
        location ~ ^/{BUCKET}/?$ {{
            proxy_pass http://listing;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 64 16k;
        }}
    }}
    server {{
        listen 127.0.0.1:{ports[Front.DOOR]} ssl http2 backlog={WAITING};
        http2_max_concurrent_streams 128;
        root {folder}/{BUCKET};
    }}
}}
"""
