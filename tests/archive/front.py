"""A web server that speaks HTTP/2, as a CDN does: nginx with TLS, in front of anything that speaks HTTP/1.1.

with Front(f"{proxy.endpoint_url}/data.binance.vision", folder) as front:
    front.url                             # https, with the certificate of ``CERTIFICATE``
    ...
    front.requests, front.connections     # once the context has ended
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

CERTIFICATE = Path(__file__).parent / "certificate" / "certificate.pem"
_PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
NGINX = shutil.which("nginx", path=_PLACES)
needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx, as Debian's package nginx-light has it")

_CONFIGURATION = """
{user} daemon off; pid nginx.pid; error_log error.log; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    log_format brief '$connection $server_protocol $request_method $status $request_uri';
    access_log access.log brief;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{ proxy_pass {upstream}/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Front:
    """One nginx for as long as the context lasts, or until it is killed."""

    def __init__(self, upstream_url: str, folder: Path) -> None:
        self._upstream_url = upstream_url
        self._folder = folder

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[tuple[str, str, str]]:
        """Version of HTTP, method and status of each request that has been answered."""
        return [(version, method, status) for _, version, method, status in self._logged]

    @property
    def connections(self) -> int:
        """How many connections these requests came over."""
        return len({connection for connection, *_ in self._logged})

    @property
    def _logged(self) -> list[Sequence[str]]:
        lines = (self._folder / "access.log").read_text("utf-8").splitlines()
        return [line.split(" ")[:4] for line in lines]

    def __enter__(self) -> Self:
        self._folder.mkdir()
        with socket.socket() as listening:  # nginx inherits it: it cannot choose a free port itself
            listening.bind(("127.0.0.1", 0))
            listening.listen(512)
            self._port = listening.getsockname()[1]
            values = {
                "user": "user root;" if os.geteuid() == 0 else "",  # its worker would be nobody, who may write nothing
                "port": self._port, "upstream": self._upstream_url,
                "certificate": CERTIFICATE, "key": CERTIFICATE.with_name("key.pem"),
            }  # fmt: skip
            (self._folder / "nginx.conf").write_text(_CONFIGURATION.format(**values), encoding="utf-8")
            self._process = subprocess.Popen(
                [str(NGINX), "-p", str(self._folder), "-c", "nginx.conf"], stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=[listening.fileno()],
                env=os.environ | {"NGINX": f"{listening.fileno()};"},
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """End it in the middle of whatever it does: connections break, and others are refused."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
