"""Digests of files, and the ``.CHECKSUM`` sidecars that the archive publishes beside its zips.

A sidecar holds 64 hexadecimal digits, two spaces and the zip's name; spot sidecars end without a newline, those of
futures and options with one (measured on published files).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIDECAR = re.compile(r"(?P<digest>[0-9a-fA-F]{64})[ \t]+\*?(?P<name>[^\r\n]*[^\s])")
# A real sidecar has about 100 bytes; what is longer is another thing, such as an error page.
_SIDECAR_LIMIT = 4096
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says.

    Attributes:
        digest: The SHA-256 in lowercase hexadecimal.
        name: The file that it speaks of, verbatim.
    """

    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file's bytes come to.

    Attributes:
        sha256: Lowercase hexadecimal, empty when there was no file to read.
        md5: The same; equals the ETag of an object that was uploaded in one piece.
        size: Length in bytes.
    """

    sha256: str
    md5: str
    size: int


def parse_sidecar(text: str) -> Sidecar:
    """Read the text of a sidecar; a missing newline, uppercase digits and ``*name`` are fine.

    Raises:
        ValueError: The text is not one line of a digest and a name.
    """
    found = _SIDECAR.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected 64 hexadecimal digits and a file name, found {_excerpt(text)}")
    return Sidecar(found["digest"].lower(), found["name"])


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar file.

    Raises:
        ValueError: It does not hold what a sidecar holds.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_SIDECAR_LIMIT + 1)
    if len(content) > _SIDECAR_LIMIT:
        raise ValueError(f"expected about 100 bytes, found more than {_SIDECAR_LIMIT}")
    return parse_sidecar(content.decode("utf-8", errors="backslashreplace"))


def digest_file(path: Path) -> Digest:
    """Read a file once and return its digests and its length; memory stays at 1 MiB.

    Raises:
        OSError: The file cannot be read.
    """
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    chunk = memoryview(bytearray(_CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(chunk):
            sha256.update(chunk[:count])
            md5.update(chunk[:count])
            size += count
    return Digest(sha256.hexdigest(), md5.hexdigest(), size)


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
