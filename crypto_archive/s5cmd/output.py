"""What s5cmd prints with ``--json``, as values.

Every other line is passed on as its text: usage errors come as plain text, ``--json`` or not (measured, v2.3.0).
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.model import RemoteStat
from crypto_archive.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGGER = logging.getLogger("crypto_archive.s5cmd")
"""Takes s5cmd's commands and what it prints, at the level DEBUG."""
NOTHING_FOUND = "no object found"
"""The error of an ``ls`` that matches nothing (measured)."""


# Tuples, where there are very many: one is made in a fraction of the time of a frozen dataclass.


class Copied(NamedTuple):
    """A copy succeeded.

    Attributes:
        source: The URL, ``s3://bucket/key``.
        destination: The path as given in the command.
        size: Length in bytes.
    """

    source: str
    destination: str
    size: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A command failed.

    Attributes:
        command: The command as s5cmd repeats it: without quotes, and without flags, which only some errors have
            (``cp s3://bucket/key destination``). Empty where s5cmd names none.
        error: The cause on one line, without the URL of a request and the server's request identifiers.
    """

    command: str
    error: str


class Listed(NamedTuple):
    """An object is in the bucket.

    Attributes:
        key: Its key, without the bucket.
        size: Length in bytes.
        etag: Its ETag, without quotes.
        last_modified: When it was last written, UTC.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime

    @property
    def stat(self) -> RemoteStat:
        """The same of its bytes; a line says nothing of a sidecar."""
        return RemoteStat(self.size, self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in a listing without depth.

    Attributes:
        key: Its prefix, with the ``/`` at its end and without the bucket.
    """

    key: str


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A line that is not about an object."""

    text: str


Message = Copied | Failed | Listed | Folder | OtherLine


class Fault(StrEnum):
    """What kind of failure an error is, by what can be done about it."""

    ABSENT = "absent"
    """The archive has no such object."""
    DENIED = "denied"
    """The server refuses, and will refuse again."""
    DISK_FULL = "disk-full"
    """The disk takes no more: full, over its quota, or read-only."""
    TOO_LARGE = "too-large"
    """The file system, or a limit of the user, takes no file of that size."""
    UNREACHABLE = "unreachable"
    """The server or bucket does not exist, or the connection to it is not trusted."""
    TRANSIENT = "transient"
    """Another attempt may succeed."""
    SILENT = "silent"
    """s5cmd exited, or was stopped, without reporting the object; never the fault of an error."""
    OTHER = "other"


# The first match decides. "TLS handshake timeout" passes by itself, other TLS errors do not. An object that was
# replaced while it was read answers 412 or 416, a captive portal 511, a TLS server BadRequest to plain HTTP (measured);
# S3 words its own 400s differently, RequestTimeout among them.
_SIGNS = tuple(
    (fault, re.compile(pattern, re.IGNORECASE))
    for fault, pattern in (
        (Fault.DISK_FULL, r"no space left|not enough space|quota exceeded|read-only file system"),
        (Fault.TOO_LARGE, r"\bfile too large\b"),
        (Fault.UNREACHABLE, r"NoSuchBucket|BucketRegionError|PermanentRedirect|value for --endpoint-url"),
        (Fault.ABSENT, rf"NoSuchKey|NotFound\b|status code: 404|{NOTHING_FOUND}"),
        (Fault.TRANSIENT, r"RequestTimeout\b|PreconditionFailed|InvalidRange|RangeNotSatisfiable|status code: 41[26]"),
        (Fault.DENIED, r"AccessDenied|Forbidden|status code: 40[13]|BadRequest: |ExpiredToken"),
        (Fault.DENIED, r"NoCredentialProviders|SharedCredsLoad|SharedConfig\w*Error"),
        (Fault.UNREACHABLE, r"proxyconnect|Proxy ?Authentication|status code: (407|511)"),
        (Fault.UNREACHABLE, r"dial tcp\b.*(timeout|timed out)"),
        (Fault.TRANSIENT, r"status code: (5\d\d|429|408)|SlowDown|handshake timeout"),
        (Fault.UNREACHABLE, r"connection refused|no such host|server misbehaving|(network is|host is) unreachable"),
        (Fault.UNREACHABLE, r"no route to host|x509|certificate|\btls: |gave HTTP response to HTTPS"),
        (Fault.TRANSIENT, r"timeout|timed out|\bEOF\b|reset by|broken pipe|connection (was )?(closed|aborted)"),
        (Fault.TRANSIENT, r"http2: |InternalError|ServiceUnavailable|SerializationError|deadline exceeded"),
    )
)
_QUOTED = re.compile(r'"[^"]*"')
_IDENTIFIERS = re.compile(r",? request id: .*$")
_REQUEST = re.compile(r'RequestError: send request failed caused by: (?:\w+ "(?:[^"\\]|\\.)*": )?')
"""What precedes the cause of a request that failed, with its URL."""
_SECRETS = re.compile(r"(?<=://)[^\s\"]*@")  # user and password in the URL of a proxy; they may hold @ and /
_FLAGS = re.compile(r"^(\w+) (?:--?[\w-]+=\S* )+")


def fault_of(error: str) -> Fault:
    """Return what kind of failure an error of s5cmd is."""
    text = _QUOTED.sub("", error)  # URLs are in quotes: the name of a key must not look like a failure
    return next((fault for fault, sign in _SIGNS if sign.search(text)), Fault.OTHER)


_decode = json.JSONDecoder().raw_decode
"""Does what ``json.loads`` does of a text without spaces at its ends, without its cost."""


def parse_line(line: str | bytes) -> Message:
    """Return the message of one line of s5cmd's output; never raises."""
    text = (line.decode("utf-8", "replace") if isinstance(line, bytes) else line).strip()
    if text.startswith("{"):
        try:
            document, end = _decode(text)
        except (ValueError, RecursionError):
            pass
        else:
            if end == len(text) and (message := _message(document)) is not None:
                return message
    return OtherLine(one_line(text))


def log_message(message: Message) -> None:
    """Log a message of s5cmd, but for what it lists."""
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    if isinstance(message, Copied):
        LOGGER.debug("cp %s %s (%d bytes)", message.source, message.destination, message.size)
    elif isinstance(message, Failed):
        LOGGER.debug("ERROR %s: %s", message.command, message.error)
    elif isinstance(message, OtherLine) and message.text:
        LOGGER.debug("%s", _SECRETS.sub("", message.text))


def log_command(command: Sequence[str]) -> None:
    """Log a command line of s5cmd, without what is secret in the URL of an endpoint or a proxy."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("%s", _SECRETS.sub("", shlex.join(command)))


def _message(document: dict[str, Any]) -> Message | None:
    if "error" in document:
        error = document["error"]
        return Failed(_plain_command(document.get("command")), _plain_error(error)) if isinstance(error, str) else None
    if isinstance(url := document.get("key"), str):
        return _entry(document, url)
    source, destination = document.get("source"), document.get("destination")
    if document.get("success") is not True or not isinstance(source, str) or not isinstance(destination, str):
        return None
    size = _size(document.get("object"))
    return None if size is None else Copied(source, destination, size)


def _entry(document: dict[str, Any], url: str) -> Listed | Folder | None:
    key = url.removeprefix("s3://").partition("/")[2]
    if document.get("type") == "directory":
        return Folder(key)
    size, when, etag = _size(document), _moment(document.get("last_modified")), document.get("etag", "")
    if size is None or when is None or not isinstance(etag, str):
        return None
    return Listed(key, size, etag.strip('"'), when)


def _size(document: object) -> int | None:
    """Return the size in an object's description; s5cmd leaves out a size of 0 (measured)."""
    size = document.get("size", 0) if isinstance(document, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None


def _moment(stamp: object) -> datetime | None:
    if not isinstance(stamp, str):
        return None
    try:
        when = datetime.fromisoformat(stamp)
        if when.tzinfo is UTC:
            return when
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _plain_command(command: object) -> str:
    return _FLAGS.sub(r"\1 ", command.lstrip()) if isinstance(command, str) else ""


def _plain_error(error: str) -> str:
    return _SECRETS.sub("", _IDENTIFIERS.sub("", _REQUEST.sub("", one_line(error))))
