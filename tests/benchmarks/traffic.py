"""What a server was asked for, counted from its log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.archive.sample import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOG_FORMAT = "$request_method $connection $status $body_bytes_sent $server_protocol $request_uri"
"""What a line of the log holds, in nginx's words."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of one run.

    Attributes:
        requests: How many, by LIST, HEAD, GET and whatever else there was.
        connections: How many connections they came over.
        http2: How many of the requests were HTTP/2.
        failed: How many got an error for an answer.
        bytes: How many the answers had.
    """

    requests: Mapping[str, int]
    connections: int
    http2: int
    failed: int
    bytes: int

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())


def traffic_of(lines: Iterable[str]) -> Traffic:
    """Count the lines of a log that is written in ``LOG_FORMAT``."""
    requests: Counter[str] = Counter()
    connections = set()
    http2 = failed = total = 0
    for line in lines:
        method, connection, status, size, protocol, uri = line.rstrip("\n").split(" ", 5)
        is_list = method == "GET" and uri.partition("?")[0].strip("/") == BUCKET
        requests["LIST" if is_list else method] += 1
        connections.add(connection)
        http2 += protocol == "HTTP/2.0"
        failed += int(status) >= 400
        total += int(size)
    return Traffic(dict(sorted(requests.items())), len(connections), http2, failed, total)
