"""Read a lock file line by line; whatever is wrong with it is one error with its line."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from crypto_archive.errors import UsageError
from crypto_archive.lockfile.form import BUCKET, END, FORMAT, SHARD, LockedObject, is_comment, parse_line, parse_shard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from crypto_archive.model import ShardName

LONGEST_LINE = 1 << 14
"""In bytes; a key has 1,024 at most."""
_TAKE_ANOTHER = "Take the file from git again, or write a new one with `crypto-archive plan --lock`."
_VERSION = FORMAT.rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file; its objects are read anew each time that they are asked for.

    Attributes:
        path: The file.
        bucket: The bucket that it is of.
        shard: Which shard of a plan it is; None where it is a whole one.
    """

    path: Path
    bucket: str
    shard: ShardName | None = None

    def numbered(self) -> Iterator[tuple[int, LockedObject]]:
        """Yield every object in the order of the keys, with the number of its line.

        Raises:
            UsageError: The file cannot be read, is cut short, or has a line that is wrong or out of order.
        """
        with _explained(self.path), self.path.open("rb") as file:
            yield from _objects(self.path, file)

    def __iter__(self) -> Iterator[LockedObject]:
        """Yield every object in the order of the keys; raises as ``numbered`` does."""
        return (locked for _, locked in self.numbered())


def open_lock(path: Path) -> Lock:
    """Return a lock file, of which only the head is read.

    Raises:
        UsageError: There is no such file, or it is no lock file of a version that this one knows.
    """
    with _explained(path), path.open("rb") as file:
        lines = _lines(path, file)
        _, first = next(lines, (1, ""))
        if first != FORMAT:
            _refuse_format(path, first)
        number, second = next(lines, (2, ""))
        bucket = second.removeprefix(BUCKET)
        if not second.startswith(BUCKET) or not bucket.strip():
            fault(path, number, f"the line {BUCKET.strip()!r} with the bucket's name belongs here")
        return Lock(path, bucket, _shard(path, lines))


def fault(path: Path, number: int, what: str) -> NoReturn:
    """Raise the error of a line.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"The lock file {path} is not as it was written: line {number}: {what}", hint=_TAKE_ANOTHER)


def _shard(path: Path, lines: Iterator[tuple[int, str]]) -> ShardName | None:
    """Look for the shard's name among the comments that follow, which people may have added some to."""
    for number, line in lines:
        if not is_comment(line):
            break
        if line.startswith(SHARD):
            try:
                return parse_shard(line.removeprefix(SHARD))
            except ValueError as error:
                fault(path, number, str(error))
    return None


def _refuse_format(path: Path, first: str) -> NoReturn:
    if first.startswith(_VERSION):
        raise UsageError(
            f"The lock file {path} is of another version: {first!r}, this one knows {FORMAT!r}",
            hint="Use the crypto-archive that wrote it, or write a new one with `crypto-archive plan --lock`.",
        )
    raise UsageError(
        f"{path} is no lock file: its first line is not {FORMAT!r}",
        hint="`crypto-archive plan --lock FILE` writes one.",
    )


def _objects(path: Path, file: IO[bytes]) -> Iterator[tuple[int, LockedObject]]:
    last, number, ended = "", 0, False
    for number, line in _lines(path, file):
        if ended:
            fault(path, number, f"something follows its last line, {END!r}")
        ended = line == END
        if is_comment(line):
            continue
        try:
            locked = parse_line(line)
        except ValueError as error:
            fault(path, number, str(error))
        if locked.key <= last:
            wrong = "comes again" if locked.key == last else "is out of order, after " + repr(last)
            fault(path, number, f"the key {locked.key!r} {wrong}")
        last = locked.key
        yield number, locked
    if not ended:
        fault(path, number, f"the file ends here, without its last line, {END!r}")


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, without their ends; git may have given them those of Windows."""
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if not raw.endswith(b"\n"):
            fault(path, number, "it is cut short" if len(raw) < LONGEST_LINE else "it is too long")
        try:
            yield number, raw[:-1].removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            fault(path, number, "it is no UTF-8")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(
            f"Lock file not found: {path}", hint="`crypto-archive plan --lock FILE` writes one."
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"The lock file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
