"""What is inside a zip of the archive: whether it is sound, and the rows of its CSV."""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager
from errno import EINVAL
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_ROW = 1 << 16
"""In bytes. The archive's rows have a few hundred at most; a longer one is not CSV."""
_BUFFER_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30


class BrokenZip(Exception):
    """A file is not a zip of one CSV, or breaks off.

    Attributes:
        path: The file.
        reason: What is wrong with it, for people.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def zip_fault(path: Path, name: str, *, read: bool) -> str | None:
    """Return why a file is not a zip of the one CSV that belongs into it, None if it is.

    Looks at the zip's directory, which takes microseconds; and reads the CSV to its end, for its CRC, only if ``read``.

    Args:
        path: The file; raises ``OSError`` if it cannot be read.
        name: Its name in the archive; the CSV has the same one.
        read: Whether to read the CSV.
    """
    try:
        with _explained(path), zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            wanted = f"{name.removesuffix('.zip')}.csv"
            if member.filename != wanted:
                return f"the zip holds {member.filename!r}, not {wanted!r}"
            end = member.header_offset + _LOCAL_HEADER_BYTES + len(member.orig_filename) + member.compress_size
            if end > archive.start_dir:
                return "the zip is broken: its directory says that it is longer than it is"
            if read and (size := _read_to_end(archive, member)) != member.file_size:
                return f"the zip is broken: its CSV has {size:,} bytes, its directory says {member.file_size:,}"
    except BrokenZip as error:
        return error.reason
    return None


def rows(path: Path) -> Iterator[bytes]:
    """Yield the rows of the CSV in a zip, without line ends, column names and empty lines.

    Column names are recognised by their first letter: rows begin with a digit. Reading to the end also checks the zip's
    own checksum. May raise ``BrokenZip`` or ``OSError`` half way.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        member = _only_member(path, archive)
        with archive.open(member) as packed, io.BufferedReader(packed, _BUFFER_BYTES) as stream:  # type: ignore[type-var]
            read_line = partial(stream.readline, LONGEST_ROW)
            first = read_line()
            for line in chain([] if first[:1].isalpha() else [first], iter(read_line, b"")):
                row = line.rstrip(b"\r\n")
                if len(row) == LONGEST_ROW:
                    raise BrokenZip(path, f"it has a row of {LONGEST_ROW} bytes or more, so it is not a CSV file")
                if row:
                    yield row


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise BrokenZip(path, f"the zip holds {len(members)} files, not one CSV")
    return members[0]


def _read_to_end(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return how many bytes a member has; reading the last of them checks its CRC."""
    size = 0
    with archive.open(member) as packed:
        while chunk := packed.read(_BUFFER_BYTES):
            size += len(chunk)
    return size


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever reading a broken zip raises into one error that names the file.

    Hostile bytes make zipfile and the decompressors raise nearly anything: ``BadZipFile``, ``zlib.error``,
    ``LZMAError``, ``struct.error``, ``RuntimeError``, ``ValueError``; bz2 even ``OSError``, but without a number, and a
    place before the beginning of the file is ``EINVAL``.
    """
    try:
        yield
    except BrokenZip:
        raise
    except OSError as error:
        if error.errno not in {None, EINVAL}:
            raise
        raise BrokenZip(path, f"the zip is broken: {error}") from error
    except Exception as error:
        raise BrokenZip(path, f"the zip is broken: {str(error) or type(error).__name__}") from error
