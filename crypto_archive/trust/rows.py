"""The rows of archive zips as streams of bytes, and whether a monthly zip holds those of daily ones.

Nothing is decoded and nothing is kept: a file of gigabytes needs the memory of one row and two buffers.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import deque
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LONGEST_ROW = 1 << 16
"""In bytes. The archive's rows have a few hundred at most; what is longer is no CSV."""
_BUFFER_BYTES = 1 << 20

# What zipfile is known to raise over bytes that are no zip, break off, or ask for what it cannot do.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class BrokenZip(Exception):
    """A file is no zip of one CSV, or breaks off.

    Attributes:
        path: The file.
        reason: What is wrong with it, for people.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def rows(path: Path) -> Iterator[bytes]:
    """Yield the rows of the CSV in a zip, without their line ends; column names and empty lines are left out.

    A line of column names is told by its first letter: rows begin with a digit. At the end of the rows the checksum
    within the zip has been compared.

    Raises:
        BrokenZip: The file is no zip of one CSV, or breaks off; also half way.
        OSError: The file cannot be read.
    """
    with _told_of(path), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BrokenZip(path, f"the zip holds {len(names)} files, not one CSV")
        with archive.open(names[0]) as packed, io.BufferedReader(packed, _BUFFER_BYTES) as stream:  # type: ignore[type-var]
            read_line = partial(stream.readline, LONGEST_ROW)
            first = read_line()
            for line in chain([] if first[:1].isalpha() else [first], iter(read_line, b"")):
                row = line.rstrip(b"\r\n")
                if len(row) == LONGEST_ROW:
                    raise BrokenZip(
                        path, f"it has a row of {LONGEST_ROW} bytes or more, so it is no CSV of the archive"
                    )
                if row:
                    yield row


def held(monthly: Path, dailies: Iterable[Path]) -> Iterator[Path]:
    """Yield daily files one by one as long as a monthly one holds all of their rows, in the order in which they stand.

    Each row of the days must have a row of its own in the month, which may have more. Days that are not yielded are not
    held, nor looked at beyond the first of them. All files are read once, and the monthly one to its end: only when the
    iteration is over is it known that it does not break off.

    Args:
        monthly: The zip of a month.
        dailies: Zips of its days, in the order of their dates.

    Raises:
        BrokenZip: One of the files is no zip of one CSV, or breaks off.
        OSError: One of them cannot be read.
    """
    rest = rows(monthly)
    for daily in dailies:
        if not all(row in rest for row in rows(daily)):  # ``in`` moves ``rest`` to behind the row that it finds
            return
        yield daily
    deque(rest, maxlen=0)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Turn what reading a broken zip raises into one error that names the file."""
    try:
        yield
    except _BROKEN as error:
        raise BrokenZip(path, f"the zip is broken: {error}") from error
