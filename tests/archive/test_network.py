"""Networks that do not lead to the archive, or no longer: one message, exit code 5, and no grinding through a plan.

The number of requests is counted where it can be, not the time.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import pytest

from crypto_archive.transfer.concurrency import LANES
from tests.archive.fake_s3 import FakeS3
from tests.archive.proxy import FaultProxy
from tests.archive.results import KEYS, ROOT, SERIES, THREE, assert_same_bytes, collect, preset, stored
from tests.archive.server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.archive.faults import Fault, Seen
    from tests.archive.results import Collected
    from tests.archive.running import Runner
    from tests.archive.sample import Sample
    from tests.archive.served import Archive

CERTIFICATE = Path(__file__).parent / "certificate"
NO_NAME = "a" * 64 + ".test"
"""A host that no name server has to be asked for: no part of a name may be as long."""
BOTH = pytest.mark.parametrize("discovery", ["listing", "calendar"])
Options = tuple[str | Path, ...]
MANY = (*SERIES, "--start", "2024-01-01", "--end", "2025-07-15")


@pytest.fixture
def hasty(tmp_path: Path) -> tuple[str | Path, ...]:
    """Options without s5cmd's own retries, which are slow on purpose."""
    return ("-p", preset(tmp_path, "batch_size: 2\ns5cmd_extra_args: [--retry-count=0]\n"))


@contextmanager
def with_tls(sample: Sample, log: Path) -> Iterator[str]:
    """Serve the sample with a certificate that nobody trusts."""
    options = ["--cert", str(CERTIFICATE / "certificate.pem"), "--key", str(CERTIFICATE / "key.pem")]
    with S3Server(sample.root, log=log, options=options) as server:
        yield server.endpoint_url


def assert_told_at_once(done: Collected, endpoint_url: str, *words: str) -> None:
    """One error with these words, exit code 5, and not one batch after the other."""
    assert (done.code, done.report["status"]) == (5, "failed")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert f"server {endpoint_url} " in errors[0]
    for word in words:
        assert word in errors[0]
    assert "Traceback" not in done.stderr
    assert stored(done.root) == set()
    started = done.events("batch-started")
    assert len(started) <= LANES + 2  # of some hundred objects, in batches of two


@BOTH
def test_a_name_that_is_none(run: Runner, discovery: str, hasty: Options) -> None:
    url = f"http://{NO_NAME}"
    done = collect(run.at(url), *MANY, "--discover", discovery, *hasty)
    assert_told_at_once(done, url, "cannot be reached", "no such host")


@BOTH
def test_an_untrusted_certificate(run: Runner, sample: Sample, tmp_path: Path, discovery: str, hasty: Options) -> None:
    with with_tls(sample, tmp_path / "log") as url:
        done = collect(run.at(url), *MANY, "--discover", discovery, *hasty)
    assert_told_at_once(done, url, "cannot be reached", "x509: certificate signed by unknown authority")


def test_a_certificate_that_the_user_trusts(run: Runner, sample: Sample, archive: Archive, tmp_path: Path) -> None:
    with with_tls(sample, tmp_path / "log") as url:
        done = collect(run.at(url).with_environment(SSL_CERT_FILE=CERTIFICATE / "certificate.pem"), *THREE)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_tls_spoken_to_a_server_without_it(run: Runner, archive: Archive, hasty: Options) -> None:
    url = archive.endpoint_url.replace("http:", "https:")
    done = collect(run.at(url), *MANY, "--discover", "calendar", *hasty)
    assert_told_at_once(done, url, "cannot be reached", "server gave HTTP response to HTTPS client")


def test_plain_http_spoken_to_a_server_with_tls(run: Runner, sample: Sample, tmp_path: Path, hasty: Options) -> None:
    with with_tls(sample, tmp_path / "log") as url:
        plain = url.replace("https:", "http:")
        done = collect(run.at(plain), *THREE, "--discover", "calendar", *hasty)
    assert_told_at_once(done, plain, "denies", "BadRequest")


# The network dies


class DyingProxy(FaultProxy):
    """Answers what is asked of the first object, and what there is of its month, and hangs up on everything else."""

    def note(self, seen: Seen) -> tuple[Fault | None, threading.Event]:
        if not (seen.key.startswith(KEYS[0]) or (seen.kind, seen.key) == ("LIST", KEYS[0].removesuffix("13.zip"))):
            raise ConnectionAbortedError
        return super().note(seen)


def test_a_network_that_dies_in_mid_run_is_noticed(run: Runner, archive: Archive, hasty: Options) -> None:
    options = (*MANY, "--discover", "calendar", *hasty, "--start", "2025-07-13", "--end", "2025-12-31", "-j", "3")
    with DyingProxy(archive.endpoint_url) as proxy:
        done = collect(run.at(proxy.endpoint_url), *options)
    assert done.code == 5
    assert "for 3 batches in a row: " in done.report["error"]
    assert f"Nothing came from the archive's server {proxy.endpoint_url} " in done.report["error"]
    assert "run the same command again" in done.stderr
    assert done.outcomes["fetched"] == 1
    assert done.outcomes["failed"] + done.outcomes["cancelled"] == sum(done.outcomes.values()) - 1
    assert len({event["batch"] for event in done.events("batch-started")}) <= 6  # of 86
    again = collect(run, *options, "--end", "2025-07-15")
    assert again.outcomes == {"present": 1, "fetched": 2}
    assert_same_bytes(done.root, archive.bucket, KEYS)


# Somebody else answers

PORTALS = {
    "XHTML": "<html><head><title>Welcome</title></head><body><p>Please log in.</p></body></html>",
    "HTML": "<!DOCTYPE html><html><head><meta charset=utf-8></head><body>Please<br>log in.</body></html>",
}


@pytest.mark.parametrize("page", PORTALS.values(), ids=PORTALS)
def test_the_page_of_a_captive_portal_is_not_an_empty_listing(run: Runner, page: str) -> None:
    with FakeS3() as portal:
        portal.listing = lambda _: page
        done = collect(run.at(portal.endpoint_url), *THREE)
    assert (done.code, done.report["status"]) == (5, "failed")
    assert (
        "responds, but it does not look like the archive" in done.report["error"]
        or "SerializationError" in done.report["error"]
    )
    assert "the archive lists no" not in done.report["error"]


def test_the_page_of_a_captive_portal_is_not_an_object(run: Runner, hasty: Options) -> None:
    with FakeS3() as portal:
        portal.listing = lambda _: PORTALS["XHTML"]
        for key in KEYS:
            portal.hold(key, PORTALS["HTML"].encode())
            portal.hold(key + ".CHECKSUM", PORTALS["HTML"].encode())
        done = collect(run.at(portal.endpoint_url), *THREE, "--discover", "calendar", *hasty)
    assert (done.code, done.outcomes) == (3, {"quarantined": 3})
    assert stored(done.root) == set()


# Proxies, and what else the user's environment says


class ForwardProxy:
    """An ordinary HTTP proxy: forwards absolute URLs, tunnels CONNECT; all hosts are the one server to it."""

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self.upstream = (parts.hostname or "", parts.port or 0)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Forward,), {"proxy": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="forward-proxy")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Forward(BaseHTTPRequestHandler):
    proxy: ForwardProxy

    def do_GET(self) -> None:
        self.proxy.asked.append(f"{self.command} {self.path}")
        target = urlsplit(self.path)
        upstream = HTTPConnection(*self.proxy.upstream)
        headers = {name: self.headers[name] for name in ("Range", "Host") if name in self.headers}
        upstream.request(self.command, f"{target.path}?{target.query}".rstrip("?"), headers=headers)
        with upstream.getresponse() as answer:
            body = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Range", "ETag", "Last-Modified", "Content-Type"):
                if value := answer.getheader(name):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(body)))
            self.end_headers()
        upstream.close()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - a name that http.server looks for

    def do_CONNECT(self) -> None:
        self.proxy.asked.append(f"CONNECT {self.path}")
        with socket.create_connection(self.proxy.upstream) as upstream:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: upstream, upstream: self.connection}
            while True:
                for side in select.select([*pair], [], [])[0]:
                    if not (piece := side.recv(65536)):
                        self.close_connection = True
                        return
                    pair[side].sendall(piece)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_proxy_is_used(run: Runner, archive: Archive) -> None:
    """s5cmd takes no proxy for a loopback address, so the endpoint has a name that only the proxy can resolve."""
    with ForwardProxy(archive.endpoint_url) as proxy:
        done = collect(run.at(f"http://{NO_NAME}").with_environment(HTTP_PROXY=proxy.url), *THREE)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    asked = Counter(line.split()[0] for line in proxy.asked)
    assert asked["GET"] >= 7  # a LIST, three zips and three sidecars
    assert all(f"http://{NO_NAME}/" in line for line in proxy.asked)
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_proxy_for_https_is_a_tunnel(run: Runner, sample: Sample, archive: Archive, tmp_path: Path) -> None:
    with with_tls(sample, tmp_path / "log") as url, ForwardProxy(url) as proxy:
        environment = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": CERTIFICATE / "certificate.pem"}
        done = collect(run.at("https://archive.test").with_environment(**environment), *THREE)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert set(proxy.asked) == {"CONNECT archive.test:443"}
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_no_proxy_where_the_user_wants_none(run: Runner, archive: Archive, hasty: Options) -> None:
    with ForwardProxy(archive.endpoint_url) as proxy:
        hidden = run.at(f"http://{NO_NAME}").with_environment(HTTP_PROXY=proxy.url, NO_PROXY=".test")
        done = collect(hidden, *THREE, *hasty)
    assert_told_at_once(done, f"http://{NO_NAME}", "no such host")
    assert proxy.asked == []


def test_a_missing_proxy_is_reported_without_its_password(run: Runner, hasty: Options) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://me:s3cret@127.0.0.1:{taken.getsockname()[1]}"
        done = collect(run.at(f"http://{NO_NAME}").with_environment(HTTP_PROXY=dead), *THREE, *hasty)
    assert_told_at_once(done, f"http://{NO_NAME}", "proxyconnect", "connection refused")
    assert "s3cret" not in done.stderr + str(done.report)


def test_the_users_aws_settings_do_not_disturb(run: Runner, archive: Archive, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    for name in ("config", "credentials"):
        (home / ".aws" / name).write_text("[default]\nregion = mars-1\n[broken\n= =\n", encoding="utf-8")
    environment = {
        "HOME": home,
        "AWS_REGION": "mars-1",
        "AWS_DEFAULT_REGION": "mars-2",
        "AWS_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "AKIAMARKER",
        "AWS_SECRET_ACCESS_KEY": "s3cret-marker",
        "AWS_SDK_LOAD_CONFIG": "1",
        "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    code, stdout, stderr = run.with_environment(**environment)("collect", *THREE, "-o", ROOT)
    assert code == 0, stderr
    assert_same_bytes(run.folder / ROOT, archive.bucket, KEYS)
    assert "marker" not in (stdout + stderr).lower()
