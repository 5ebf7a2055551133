"""What is inside a zip of the archive: whether it is sound, and the rows of its CSV."""

from __future__ import annotations

import io
import re
import struct
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
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s2xB13xL4x3H8xL")
# What the program that the archive uses notes of each file: its time and owner.
_INFO_ZIP = re.compile(rb"UT\x05\x00.{5}ux\x0b\x00.{11}", re.DOTALL)


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


def zip_fault(zipped: str | Path | bytes, name: str, *, read: bool) -> str | None:
    """Return why a file is not a zip of the one CSV that belongs into it, None if it is.

    Looks at the zip's directory, which takes microseconds; and reads the CSV to its end, for its CRC, only if ``read``.

    Args:
        zipped: The bytes, or the path of the file; raises ``OSError`` if it cannot be read.
        name: Its name in the archive; the CSV has the same one.
        read: Whether to read the CSV.
    """
    wanted = f"{name.removesuffix('.zip')}.csv"
    if not read and isinstance(zipped, bytes) and _is_plain(zipped, wanted.encode()):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(zipped) if isinstance(zipped, bytes) else zipped) as archive:
            return _fault_in(archive, wanted, read=read)
    except Exception as error:
        return _in_words(error)


def _is_plain(content: bytes, wanted: bytes) -> bool:
    """Whether bytes are a zip of one member of that name, with nothing unusual in its directory; else ask ``zipfile``.

    Nearly all of the archive's are, and that module takes ten times as long for the same answer.
    """
    length = len(content) - _END.size
    if length < _ENTRY.size or not wanted.isascii():
        return False
    signature, disk, its_disk, here, members, size, start, comment = _END.unpack_from(content, length)
    if signature != b"PK\5\6" or disk or its_disk or here != 1 or members != 1 or comment or start + size != length:
        return False
    if size < _ENTRY.size or content[-42:-38] == b"PK\6\7":
        return False
    signature, version, packed, name, extra, comment, at = _ENTRY.unpack_from(content, start)
    end = start + _ENTRY.size + name
    return (
        signature == b"PK\1\2"
        and version <= zipfile.DEFAULT_VERSION
        and not comment
        and end + extra == length
        and content[end - name : end] == wanted
        and (not extra or _INFO_ZIP.fullmatch(content, end, length) is not None)
        and at + _LOCAL_HEADER_BYTES + name + packed <= start
    )


def _fault_in(archive: zipfile.ZipFile, wanted: str, *, read: bool) -> str | None:
    members = archive.infolist()
    if len(members) != 1:
        return _not_one(members)
    member = members[0]
    if member.filename != wanted:
        return f"the zip holds {member.filename!r}, not {wanted!r}"
    end = member.header_offset + _LOCAL_HEADER_BYTES + len(member.orig_filename) + member.compress_size
    if end > archive.start_dir:
        return "the zip is broken: its directory says that it is longer than it is"
    if read and (size := _read_to_end(archive, member)) != member.file_size:
        return f"the zip is broken: its CSV has {size:,} bytes, its directory says {member.file_size:,}"
    return None


def rows(path: Path) -> Iterator[bytes]:
    """Yield the rows of the CSV in a zip, without line ends, column names and empty lines.

    Column names are recognised by their first letter: rows begin with a digit. Reading to the end also checks the zip's
    own checksum. May raise ``BrokenZip`` or ``OSError`` half way.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1:
            raise BrokenZip(path, _not_one(members))
        with archive.open(members[0]) as packed, io.BufferedReader(packed, _BUFFER_BYTES) as stream:  # type: ignore[type-var]
            read_line = partial(stream.readline, LONGEST_ROW)
            first = read_line()
            for line in chain([] if first[:1].isalpha() else [first], iter(read_line, b"")):
                row = line.rstrip(b"\r\n")
                if len(row) == LONGEST_ROW:
                    raise BrokenZip(path, f"it has a row of {LONGEST_ROW} bytes or more, so it is not a CSV file")
                if row:
                    yield row


def _not_one(members: list[zipfile.ZipInfo]) -> str:
    return f"the zip holds {len(members)} files, not one CSV"


def _read_to_end(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return how many bytes a member has; reading the last of them checks its CRC."""
    size = 0
    with archive.open(member) as packed:
        while chunk := packed.read(_BUFFER_BYTES):
            size += len(chunk)
    return size


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever reading a broken zip raises into one error that names the file."""
    try:
        yield
    except BrokenZip:
        raise
    except Exception as error:
        raise BrokenZip(path, _in_words(error)) from error


def _in_words(error: Exception) -> str:
    """Return what reading a broken zip has raised in words; raise it again where the system cannot read the file.

    Hostile bytes make zipfile and the decompressors raise nearly anything: ``BadZipFile``, ``zlib.error``,
    ``LZMAError``, ``struct.error``, ``RuntimeError``, ``ValueError``; bz2 even ``OSError``, but without a number, and a
    place before the beginning of the file is ``EINVAL``.
    """
    if isinstance(error, OSError) and error.errno not in {None, EINVAL}:
        raise error
    return f"the zip is broken: {str(error) or type(error).__name__}"
