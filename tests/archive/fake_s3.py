"""A small S3 server that answers whatever a test tells it: for listings and contents that no honest server has.

with FakeS3() as server:
    server.listing = ["<Contents>…", …]      # or text of another kind, sent as it is
    server.content[key] = lambda first, last, number: bytes
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = "2025-07-16T00:10:11.000Z"


def entry(key: str, size: int, etag: str = "e") -> str:
    """Return the entry of an object in a listing."""
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{TIME}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
    )


def folder(prefix: str) -> str:
    """Return the entry of a folder in a listing."""
    return f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>"


class FakeS3:
    """The server, on a free port of the loopback interface for as long as the context lasts.

    Attributes:
        listing: What each LIST answers: entries, whatever was asked for; or, given the prefix, a whole body.
        content: The objects, each a function from the number of the GET to the whole content; others are 404.
        seen: How often each method came for each key.
    """

    def __init__(self) -> None:
        self.listing: list[str] | Callable[[str], str] = []
        self.content: dict[str, Callable[[int], bytes]] = {}
        self.seen: Counter[tuple[str, str]] = Counter()
        self.guard = threading.Lock()

    @property
    def endpoint_url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def hold(self, key: str, content: bytes) -> None:
        """Hold an object of one content."""
        self.content[key] = lambda _: content

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-s3")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def body_of_listing(self, prefix: str) -> bytes:
        """Return what a LIST of a prefix answers."""
        if callable(self.listing):
            return self.listing(prefix).encode()
        entries = "".join(self.listing)
        return f"<ListBucketResult>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()

    def count(self, method: str, key: str) -> int:
        """Count a request, and return its number."""
        with self.guard:
            self.seen[method, key] += 1
            return self.seen[method, key]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeS3

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        key = unquote(target.path).lstrip("/").partition("/")[2]
        number = self.fake.count(self.command if key else "LIST", key)
        if not key:
            self._send(200, self.fake.body_of_listing(parse_qs(target.query).get("prefix", [""])[0]))
        elif key not in self.fake.content:
            self._send(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        else:
            content = self.fake.content[key](number if self.command == "GET" else 0)
            self._send_part(content, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")))

    do_HEAD = do_GET  # noqa: N815 - a name that http.server looks for

    def _send_part(self, content: bytes, wanted: re.Match[str] | None) -> None:
        if wanted is None or not content:
            self._send(200, content)
            return
        first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
        if first > last:
            self._send(416, b"<Error><Code>InvalidRange</Code><Message>beyond the end</Message></Error>")
            return
        self._send(206, content[first : last + 1], f"bytes {first}-{last}/{len(content)}")

    def _send(self, status: int, body: bytes, content_range: str = "") -> None:
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
