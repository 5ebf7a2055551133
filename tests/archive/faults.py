"""What can go wrong with a request, which requests it goes wrong for, and what it does to the bytes of a body."""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an error of S3's own form, and never ask the server."""

    code: int
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """Answer with other bytes, such as an older copy or a page for people, and never ask the server."""

    body: bytes
    code: int = 200
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Truncate:
    """Announce the whole body, send this share of it, and close the connection."""

    share: float = 0.5
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Send a body of the right length with other bytes in its middle."""

    times: int | None = None


@dataclass(frozen=True, slots=True)
class Stall:
    """Send this share of the body, then nothing more until ``release``, with the connection open all the while."""

    share: float = 0.5
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """Send the body at so many bytes a second."""

    bytes_per_second: float
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait so many seconds before the answer begins."""

    seconds: float
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Skewed:
    """Answer with a Date that is so many seconds away from the server's."""

    seconds: float
    times: int | None = None


Fault = Status | Other | Truncate | Corrupt | Stall | Slow | Delay | Skewed


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that reached the proxy.

    Attributes:
        kind: LIST, or the HTTP method.
        key: The key without the bucket, unquoted; the prefix for LIST.
        range: The Range header, empty without one.
    """

    kind: str
    key: str
    range: str = ""


class Rule:
    """A fault in force: which requests it is for, and how often it has struck."""

    def __init__(self, kind: str, pattern: str, fault: Fault) -> None:
        self.kind = kind
        self.pattern = pattern
        self.fault = fault
        self.hits = 0
        self._changed = threading.Condition()

    def take(self, seen: Seen) -> bool:
        """Count one strike and return True, where the rule is for this request and not used up."""
        if seen.kind != self.kind or not matches(seen.key, self.pattern):
            return False
        with self._changed:
            if self.fault.times is not None and self.hits >= self.fault.times:
                return False
            self.hits += 1
            self._changed.notify_all()
            return True

    def wait(self, hits: int = 1, seconds: float = 30.0) -> None:
        """Wait until the fault has struck so often.

        Raises:
            TimeoutError: It has not within the time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.hits >= hits, seconds):
                raise TimeoutError(f"{self.fault} struck {self.hits} times within {seconds} s, not {hits}")


def moved(date: str, seconds: float) -> str:
    """Return the value of a Date header, so many seconds later."""
    return format_datetime(parsedate_to_datetime(date) + timedelta(seconds=seconds), usegmt=True)


def matches(key: str, pattern: str) -> bool:
    """Whether a key matches a pattern in which ``*`` stands for any text, folders included."""
    return fnmatch.fnmatchcase(key, pattern)


def first_bytes(body: Iterable[bytes], keep: int) -> Iterator[bytes]:
    """Yield so many bytes of a body."""
    for chunk in body:
        yield chunk[:keep]
        keep -= min(keep, len(chunk))
        if not keep:
            return


def corrupted(body: Iterable[bytes], middle: int) -> Iterator[bytes]:
    """Turn over the bits of sixteen bytes, or fewer where the body ends before."""
    position = 0
    for chunk in body:
        start, stop = max(middle - position, 0), min(middle + 16 - position, len(chunk))
        if start < stop:
            turned = bytes(byte ^ 0xFF for byte in chunk[start:stop])
            yield chunk[:start] + turned + chunk[stop:]
        else:
            yield chunk
        position += len(chunk)
