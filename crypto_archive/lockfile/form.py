"""The form of a lock file: one locked object, and the line that stands for it. Pure, and the same both ways.

A line has six fields with a tab between: key, size, ETag, LastModified, SHA-256, sidecar; a dash stands for what there
is none of, or nobody knows. Nothing in it depends on when, where or by whom it was written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from crypto_archive.model import Pin, ShardName

FORMAT = "# crypto-archive lock 1"
BUCKET = "# bucket: "
COLUMNS = "# columns: key, size, etag, last_modified, sha256, sidecar"
SHARD = "# shard: "
END = "# end"
"""The last line: a file without it was cut short."""

_NONE = "-"
_SIDECAR = "sidecar"
_FIELDS = 6
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # they would end, garble or never reach a line
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARD = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5}) of ([0-9a-f]{12})")


class LockedObject(NamedTuple):
    """One line of a lock file.

    Attributes:
        key: The object's key.
        pin: The exact bytes.
        has_sidecar: Whether the archive had its sidecar then.
    """

    key: str
    pin: Pin
    has_sidecar: bool = True


def head_of(bucket: str, shard: ShardName | None = None) -> tuple[str, ...]:
    """Return the lines that a lock of a bucket, or a shard of one, begins with."""
    return FORMAT, BUCKET + bucket, *(() if shard is None else (f"{SHARD}{shard}",)), COLUMNS


def parse_shard(text: str) -> ShardName:
    """Return the shard that a head speaks of, by what stands behind ``SHARD``.

    Raises:
        ValueError: It is none; the text says why.
    """
    found = _SHARD.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no shard such as '3/8 of 0a1b2c3d4e5f'")
    number, count = int(found[1]), int(found[2])
    if number > count:
        raise ValueError(f"there is no shard {number} of {count}")
    return ShardName(found[3], number, count)


def is_comment(line: str) -> bool:
    """Whether a line says nothing of an object; a key may begin with the same sign, but has fields behind it."""
    return line.startswith("#") and "\t" not in line


def line_of(locked: LockedObject) -> str:
    """Return the line of an object, without its end. Lines sort as their keys do, bytewise.

    Raises:
        ValueError: Key or ETag have characters that no line can hold, or the time has no zone.
    """
    pin = locked.pin
    for name, text in (("key", locked.key), ("ETag", pin.etag)):
        if _UNFIT.search(text):
            raise ValueError(f"the {name} {text!r} has a control character in it")
    if pin.last_modified.tzinfo is None:
        raise ValueError(f"the time {pin.last_modified} has no zone; times are UTC here")
    moment = pin.last_modified.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    sidecar = _SIDECAR if locked.has_sidecar else _NONE
    return "\t".join((locked.key, str(pin.size), pin.etag or _NONE, moment, pin.sha256 or _NONE, sidecar))


def parse_line(line: str) -> LockedObject:
    """Return the object that a line stands for.

    Raises:
        ValueError: It is no such line; the text says why.
    """
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        raise ValueError(f"it has {len(fields)} fields with a tab between, not {_FIELDS}")
    key, size, etag, moment, sha256, sidecar = fields
    if not key or _UNFIT.search(key):
        raise ValueError(f"{key!r} is no key")
    if not _SIZE.fullmatch(size):
        raise ValueError(f"{size!r} is no size in bytes")
    if not etag or _UNFIT.search(etag):
        raise ValueError(f"{etag!r} is no ETag")
    if sha256 != _NONE and not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256 of 64 digits (0-9, a-f), nor '{_NONE}'")
    if sidecar not in {_SIDECAR, _NONE}:
        raise ValueError(f"{sidecar!r} is neither '{_SIDECAR}' nor '{_NONE}'")
    digest = "" if sha256 == _NONE else sha256
    pin = Pin(int(size), "" if etag == _NONE else etag, _moment(moment), digest)
    return LockedObject(key, pin, sidecar == _SIDECAR)


def size_in(line: str) -> int:
    """Return the size, in bytes, of the object that a sound line stands for."""
    return int(line.split("\t", 2)[1])


def _moment(text: str) -> datetime:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"{text!r} is no UTC time such as 2025-07-16T00:10:11Z")
