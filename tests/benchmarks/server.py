"""A server that is not the bottleneck: nginx for the bytes, a listing from memory, and a log that counts requests.

    with serve(folder, work) as server:        # each folder of folder is a bucket
        server.url(Front.TLS)
        server.traffic()                       # what was asked for since the last call

A port that leads to it over a wire is another way in: ``server.url(Front.TLS, port)``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from tests.archive.sample import BUCKET
from tests.benchmarks.traffic import LOG_FORMAT, Traffic, traffic_of
from tests.benchmarks.wire import WAITING, listening_socket, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CERTIFICATE = Path(__file__).parents[1] / "archive" / "certificate"
TRUST = {
    "SSL_CERT_FILE": str(CERTIFICATE / "certificate.pem"),
    "AWS_CA_BUNDLE": str(CERTIFICATE / "certificate.pem"),
}
"""Variables with which clients trust the server's certificate."""
START_SECONDS = 30
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
    """A server that is up, and its log.

    Attributes:
        ports: Where each front listens.
    """

    def __init__(self, ports: Mapping[Front, int], log: Path) -> None:
        self.ports = ports
        self._log = log
        self._read_to = 0

    def url(self, front: Front, port: int | None = None) -> str:
        """Return the address of a front, or of a port that leads to it."""
        return f"{'http' if front is Front.PLAIN else 'https'}://127.0.0.1:{port or self.ports[front]}"

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


@contextmanager
def serve(folder: Path, work: Path) -> Iterator[Server]:
    """Serve the folders of a folder as buckets.

    Args:
        folder: What to serve.
        work: A folder for the server's own files.

    Raises:
        RuntimeError: It does not start; the message holds what nginx says.
    """
    work.mkdir()
    log = work / "access.log"
    log.touch()
    with ExitStack() as until:
        listing = [sys.executable, "-m", "tests.benchmarks.listing", str(work / "listing.sock"), str(folder)]
        lister = until.enter_context(_running(subprocess.Popen(listing, stdout=subprocess.PIPE)))
        if lister.stdout is None or lister.stdout.readline() != b"ready\n":
            raise RuntimeError("the server of listings does not start")
        # nginx inherits sockets that listen already: no port can be taken in between.
        sockets = {front: until.enter_context(listening_socket()) for front in Front}
        server = Server({front: port_of(listening) for front, listening in sockets.items()}, log)
        inherited = [listening.fileno() for listening in sockets.values()]
        (work / "nginx.conf").write_text(_configuration(folder, work, server.ports))
        nginx = subprocess.Popen(
            [_nginx() or "nginx", "-e", work / "error.log", "-p", work, "-c", work / "nginx.conf"],
            pass_fds=inherited,
            env=os.environ | {"NGINX": "".join(f"{number};" for number in inherited)},
            stderr=subprocess.DEVNULL,
        )
        until.enter_context(_running(nginx))
        try:
            urllib.request.urlopen(f"{server.url(Front.PLAIN)}/{BUCKET}?max-keys=1", timeout=START_SECONDS).close()
        except OSError as error:
            raise RuntimeError(f"nginx does not answer: {(work / 'error.log').read_text()}") from error
        yield server


def missing_for_server() -> str | None:
    """Return what a server needs and this machine lacks, in words; None if it has all."""
    return None if _nginx() else "nginx is missing: sudo apt-get install nginx"


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


@contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _configuration(folder: Path, work: Path, ports: Mapping[Front, int]) -> str:
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
