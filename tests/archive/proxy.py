"""A proxy in front of an S3 server that does what networks and servers do on bad days.

    with FaultProxy(server.endpoint_url) as proxy:
        proxy.fault("GET", "*BTCUSDT-1h-2025-07-15.zip", Corrupt(times=1))
        ...                                   # a client at proxy.endpoint_url
        assert proxy.count("GET") == 2

Requests are of a kind: LIST for a GET of the bucket itself, else the method. A rule applies to the requests of its
kind whose key (for LIST: whose prefix) matches a pattern, where ``*`` stands for any text; the first rule that matches
and is not used up yet decides. What no rule matches passes unchanged.
"""

from __future__ import annotations

import socket
import threading
import time
from email.utils import formatdate
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.archive.faults import (
    Corrupt,
    Delay,
    Fault,
    Other,
    Rule,
    Seen,
    Skewed,
    Slow,
    Stall,
    Status,
    Truncate,
    corrupted,
    first_bytes,
    matches,
    moved,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Corrupt",
    "Delay",
    "Fault",
    "FaultProxy",
    "Other",
    "Rule",
    "Seen",
    "Skewed",
    "Slow",
    "Stall",
    "Status",
    "Truncate",
]

_CHUNK = 64 * 1024
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"})
_S3_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


class FaultProxy:
    """A proxy on a free port of the loopback interface, for as long as the context lasts."""

    def __init__(self, upstream_url: str) -> None:
        self.upstream_url = upstream_url
        self.closing = threading.Event()
        self._released = threading.Event()
        self._guard = threading.Lock()
        self._rules: list[Rule] = []
        self._seen: list[Seen] = []

    @property
    def endpoint_url(self) -> str:
        """The proxy's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fault-proxy")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()  # joins the threads of all connections

    def fault(self, kind: str, pattern: str, fault: Fault) -> Rule:
        """Put a fault in force for the requests of a kind (GET, HEAD, LIST) whose key matches the pattern."""
        rule = Rule(kind, pattern, fault)
        with self._guard:
            self._rules.append(rule)
        return rule

    def clear(self, *, release: bool = True) -> None:
        """Lift all faults; transfers that stand still go on, unless they are not to be released."""
        with self._guard:
            self._rules.clear()
        if release:
            self.release()

    def release(self) -> None:
        """Let the transfers that stand still go on; later stalls hold again."""
        with self._guard:
            self._released.set()
            self._released = threading.Event()
            if self.closing.is_set():
                self._released.set()

    @property
    def requests(self) -> tuple[Seen, ...]:
        """All requests so far, in the order of their arrival."""
        with self._guard:
            return tuple(self._seen)

    def count(self, kind: str | None = None, pattern: str = "*") -> int:
        """How many requests of a kind (all kinds without one) had a key that matches the pattern."""
        return sum(1 for seen in self.requests if kind in (None, seen.kind) and matches(seen.key, pattern))

    def note(self, seen: Seen) -> tuple[Fault | None, threading.Event]:
        """Count a request; return the fault that it meets, and the event that ends a stall."""
        with self._guard:
            self._seen.append(seen)
            rule = next((rule for rule in self._rules if rule.take(seen)), None)
            return (rule.fault if rule else None), self._released


class _Server(ThreadingHTTPServer):
    """Listens; knows its open connections, so that none keeps the end of a test waiting."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 512

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        upstream = urlsplit(proxy.upstream_url)
        self.upstream = (upstream.hostname or "", upstream.port or 80)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Break all connections, which ends the threads that read from them or write to them."""
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up in mid-transfer are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    """One client connection, and one connection to the server for it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and a small body leave in one packet
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = HTTPConnection(*self.server.upstream)

    def finish(self) -> None:
        self._upstream.close()
        try:
            super().finish()
        except OSError:
            self.close_connection = True  # what was left to send has no reader any more

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, HTTPException):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing; what came is in ``FaultProxy.requests``."""

    def _serve(self) -> None:
        fault, released = self.server.proxy.note(self._seen())
        if isinstance(fault, Delay):
            self.server.proxy.closing.wait(fault.seconds)
        if isinstance(fault, Status):
            self._read_body()
            self._answer_status(fault.code)
            return
        if isinstance(fault, Other):
            self._read_body()
            self._answer(fault.code, "text/html", fault.body)
            return
        response = self._ask()
        if response.status in (200, 206) and self.command == "GET":
            self._relay(response, fault, released)
        else:
            self._relay(response, None, released)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def _seen(self) -> Seen:
        target = urlsplit(self.path)
        _, _, key = unquote(target.path).lstrip("/").partition("/")
        if self.command == "GET" and not key:
            return Seen("LIST", parse_qs(target.query).get("prefix", [""])[0])
        return Seen(self.command, key, self.headers.get("Range", ""))

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _ask(self) -> HTTPResponse:
        """Hand the request to the server as it came; once more when the server had closed the idle connection."""
        body = self._read_body()
        for last in (False, True):
            try:
                self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        self._upstream.putheader(name, value)
                self._upstream.endheaders(body or None)
                return self._upstream.getresponse()
            except (HTTPException, OSError):
                self._upstream.close()
                if last:
                    raise
        raise AssertionError("unreachable")

    def _answer_status(self, code: int) -> None:
        name = _S3_CODES.get(code, "InternalError")
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{name}</Code><Message>{name}, by order of the test</Message></Error>"
        ).encode()
        self._answer(code, "application/xml", body)

    def _answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _relay(self, response: HTTPResponse, fault: Fault | None, released: threading.Event) -> None:
        """Pass an answer on, with what the fault does to its body."""
        length = response.getheader("Content-Length")
        body: Iterable[bytes] = iter(lambda: response.read(_CHUNK), b"")
        if length is None:  # a listing, sent in chunks: its length is known once it is here
            whole = response.read()
            length, body = str(len(whole)), (whole,)
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                late = isinstance(fault, Skewed) and name.lower() == "date"
                self.send_header(name, moved(value, fault.seconds) if late else value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        with response:
            for chunk in body if fault is None else self._spoilt(body, int(length), fault, released):
                self.wfile.write(chunk)

    def _spoilt(self, body: Iterable[bytes], length: int, fault: Fault, released: threading.Event) -> Iterator[bytes]:
        match fault:
            case Truncate(share):
                yield from first_bytes(body, int(length * share))
                self.close_connection = True
            case Stall(share):
                chunks = iter(body)
                yield from self._held(chunks, int(length * share), released)
            case Corrupt():
                yield from corrupted(body, length // 2)
            case Slow(rate):
                yield from self._throttled(body, rate)
            case _:
                yield from body

    def _held(self, chunks: Iterator[bytes], keep: int, released: threading.Event) -> Iterator[bytes]:
        for chunk in chunks:
            if keep >= len(chunk):
                keep -= len(chunk)
                yield chunk
                continue
            yield chunk[:keep]
            self.wfile.flush()
            released.wait()
            if self.server.proxy.closing.is_set():
                self.close_connection = True
                return
            yield chunk[keep:]
            break
        yield from chunks

    def _throttled(self, body: Iterable[bytes], rate: float) -> Iterator[bytes]:
        tick = 0.05
        step = max(1, int(rate * tick))
        due = time.monotonic()
        for chunk in body:
            for start in range(0, len(chunk), step):
                piece = chunk[start : start + step]
                yield piece
                self.wfile.flush()
                due += len(piece) / rate
                self.server.proxy.closing.wait(max(0.0, due - time.monotonic()))
