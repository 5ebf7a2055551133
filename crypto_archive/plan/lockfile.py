"""Lock files: the exact objects of a plan as sorted text; and shards, lock files that divide a plan."""

from __future__ import annotations

import hashlib
import heapq
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import FileUnusable, UsageError
from crypto_archive.files import atomic_write, create_draft, explain_os_errors, open_regular, require_writable
from crypto_archive.model import Absence, RemoteStat, ShardName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

FORMAT = "# crypto-archive lock 1"
BUCKET = "# bucket: "
COLUMNS = "# columns: key, size, etag, last_modified, sha256, sidecar"
SHARD = "# shard: "
AWAITED = "# awaited: "
END = "# end"
"""The last line: a file without it was cut short."""

_WRITABLE_FILE = "Name a file in a writable folder with --lock."
_WRITABLE_FOLDER = "Name a writable folder with --to."

_NONE = "-"
_SIDECAR = "sidecar"
_PUBLISHED = "published"
_FIELDS = 6
_DIGITS = 12
LONGEST_LINE = 1 << 14
"""In bytes; a key has 1,024 at most."""
_UNFIT = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # they would end or garble a line, or cannot be encoded
_SIZE = r"0|[1-9][0-9]{0,18}"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z"
_SHA256 = r"[0-9a-f]{64}"
_WAIT = r"([a-z-]+) ([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9a-f]{32}) ([^\x00-\x1f\x7f-\x9f\ud800-\udfff]+)"
_SHARD = r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5}) of ([0-9a-f]{12})"


class LockedObject(NamedTuple):
    """One line of a lock file: a key, and the exact bytes that it had when the plan was locked."""

    key: str
    stat: RemoteStat


class Wait(NamedTuple):
    """What the plan of a lock file knew of an object for which runs of its selection wait.

    Attributes:
        key: The object's key.
        wanted_by: The selection, apart from its dates.
        absence: Why the archive did not have it; None where it was published, so that it is locked.
        seen_on: The day of the plan.
    """

    key: str
    wanted_by: str
    absence: Absence | None
    seen_on: date

    @property
    def line(self) -> str:
        """Its line, without its end; a comment to versions that do not know it."""
        line = f"{AWAITED}{self.absence or _PUBLISHED} {self.seen_on} {self.wanted_by} {self.key}"
        if re.search(_UNFIT, line):
            raise ValueError(f"the key {self.key!r} contains a control character")
        return line


def parse_wait(text: str) -> Wait:
    """Return what the head of a lock file says of an awaited object.

    Raises:
        ValueError: It says nothing of that kind.
    """
    found = re.fullmatch(_WAIT, text)
    if found is None:
        raise ValueError(f"{text!r} is not an awaited object: expected a reason, a day, a selection and a key")
    reason, day, wanted_by, key = found.groups()
    return Wait(key, wanted_by, None if reason == _PUBLISHED else Absence(reason), date.fromisoformat(day))


def line_of(locked: LockedObject) -> str:
    """Return the line of an object, without its end. Lines sort as their keys do, by bytes.

    Raises:
        ValueError: Key or ETag contain characters that a line cannot hold, or the time has no zone.
    """
    stat = locked.stat
    for name, text in (("key", locked.key), ("ETag", stat.etag)):
        if re.search(_UNFIT, text):
            raise ValueError(f"the {name} {text!r} contains a control character")
    if stat.last_modified.tzinfo is None:
        raise ValueError(f"the time {stat.last_modified} has no time zone")
    moment = stat.last_modified.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    sidecar = _SIDECAR if stat.has_sidecar else _NONE
    return "\t".join((locked.key, str(stat.size), stat.etag or _NONE, moment, stat.sha256 or _NONE, sidecar))


def parse_line(line: str) -> LockedObject:
    """Return the object of a line.

    Raises:
        ValueError: The line is malformed; the text says how.
    """
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        raise ValueError(f"expected {_FIELDS} fields separated by tabs, found {len(fields)}")
    key, size, etag, moment, sha256, sidecar = fields
    if not key or re.search(_UNFIT, key):
        raise ValueError(f"{key!r} is not a valid key")
    if not re.fullmatch(_SIZE, size):
        raise ValueError(f"{size!r} is not a size in bytes")
    if not etag or re.search(_UNFIT, etag):
        raise ValueError(f"{etag!r} is not a valid ETag")
    try:
        if not re.fullmatch(_MOMENT, moment):
            raise ValueError
        last_modified = datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError(f"{moment!r} is not a UTC time such as 2025-07-16T00:10:11Z") from None
    if sha256 != _NONE and not re.fullmatch(_SHA256, sha256):
        raise ValueError(f"{sha256!r} is neither a SHA-256 of 64 lower-case hexadecimal digits nor '{_NONE}'")
    if sidecar not in {_SIDECAR, _NONE}:
        raise ValueError(f"{sidecar!r} is neither '{_SIDECAR}' nor '{_NONE}'")
    etag, digest = "" if etag == _NONE else etag, None if sha256 == _NONE else sha256
    return LockedObject(key, RemoteStat(int(size), etag, last_modified, sidecar == _SIDECAR, digest))


def size_in(line: str) -> int:
    """Return the size, in bytes, in a sound line."""
    return int(line.split("\t", 2)[1])


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file; its objects are read again each time it is iterated.

    Attributes:
        path: The file.
        bucket: The bucket that it belongs to.
        shard: Which shard of a plan it is; None where it is a whole one.
    """

    path: Path
    bucket: str
    shard: ShardName | None = None

    def __iter__(self) -> Iterator[LockedObject]:
        """Yield every object in the order of the keys; raises as ``numbered`` does."""
        return (locked for _, locked in self.numbered())

    def numbered(self) -> Iterator[tuple[int, LockedObject]]:
        """Yield every object in the order of the keys, with the number of its line.

        Raises:
            UsageError: The file cannot be read, is cut short, or has a line that is malformed or out of order.
        """
        last, number, ended = "", 0, False
        with _explained_reading(self.path), open_regular(self.path) as file:
            for number, line in _lines(self.path, file):
                if ended:
                    raise corrupt(self.path, number, f"something follows its last line, {END!r}")
                ended = line == END
                if is_comment(line):
                    continue
                try:
                    locked = parse_line(line)
                except ValueError as error:
                    raise corrupt(self.path, number, str(error)) from None
                if locked.key <= last:
                    problem = "is repeated" if locked.key == last else f"is out of order, after {last!r}"
                    raise corrupt(self.path, number, f"the key {locked.key!r} {problem}")
                last = locked.key
                yield number, locked
            if not ended:
                raise corrupt(self.path, number, f"the file ends here, without its last line, {END!r}")

    def waits(self) -> Iterator[Wait]:
        """Yield what its plan waited for, from its head.

        Raises:
            UsageError: The file cannot be read, or has a line that is malformed.
        """
        with _explained_reading(self.path), open_regular(self.path) as file:
            for number, line in _lines(self.path, file):
                if not is_comment(line):
                    return
                if line.startswith(AWAITED):
                    try:
                        yield parse_wait(line.removeprefix(AWAITED))
                    except ValueError as error:
                        raise corrupt(self.path, number, str(error)) from None


def open_lock(path: Path) -> LockFile:
    """Return a lock file, of which only the head is read.

    Raises:
        UsageError: The file does not exist, or is not a lock file of a known version.
    """
    with _explained_reading(path), open_regular(path) as file:
        lines = _lines(path, file)
        _, first = next(lines, (1, ""))
        if first.startswith(FORMAT.rpartition(" ")[0]) and first != FORMAT:
            raise UsageError(
                f"The lock file {path} has the format {first!r}; this version reads {FORMAT!r}",
                hint="Use the version of crypto-archive that wrote it, or write a new one with `crypto-archive plan "
                "--lock`.",
            )
        if first != FORMAT:
            raise UsageError(
                f"{path} is not a lock file: its first line is not {FORMAT!r}",
                hint="`crypto-archive plan --lock FILE` writes one.",
            )
        number, second = next(lines, (2, ""))
        bucket = second.removeprefix(BUCKET)
        if not second.startswith(BUCKET) or not bucket.strip():
            raise corrupt(path, number, f"expected the line {BUCKET.strip()!r} with the name of the bucket")
        for number, line in lines:  # more comments may follow, also some that a person has added
            if not is_comment(line):
                break
            if line.startswith(SHARD):
                try:
                    return LockFile(path, bucket, parse_shard(line.removeprefix(SHARD)))
                except ValueError as error:
                    raise corrupt(path, number, str(error)) from None
        return LockFile(path, bucket)


def parse_shard(text: str) -> ShardName:
    """Return the shard that the head of a lock file names.

    Raises:
        ValueError: It is not a shard; the text says why.
    """
    found = re.fullmatch(_SHARD, text)
    if found is None:
        raise ValueError(f"{text!r} is not a shard such as '3/8 of 0a1b2c3d4e5f'")
    number, count = int(found[1]), int(found[2])
    if number > count:
        raise ValueError(f"there is no shard {number} of {count}")
    return ShardName(found[3], number, count)


def corrupt(path: Path, number: int, problem: str) -> UsageError:
    """Return the error about a line of a lock file."""
    return UsageError(
        f"The lock file {path} is corrupt at line {number}: {problem}",
        hint="Restore the file from git, or write a new one with `crypto-archive plan --lock`.",
    )


def is_comment(line: str) -> bool:
    """Whether a line is not about an object; a key may begin with the same sign, but fields follow it."""
    return line.startswith("#") and "\t" not in line


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, without their ends; git may have turned those into CR LF."""
    number = 0
    while raw := file.readline(LONGEST_LINE):
        number += 1
        if not raw.endswith(b"\n"):
            raise corrupt(path, number, "it is cut short" if len(raw) < LONGEST_LINE else "it is too long")
        try:
            yield number, raw[:-1].removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise corrupt(path, number, "it is not UTF-8") from None


@contextmanager
def _explained_reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(
            f"Lock file not found: {path}", hint="`crypto-archive plan --lock FILE` writes one."
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"The lock file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def prepare_lock(path: Path) -> None:
    """Check that a lock file can be written, before a long plan ends without one; creates its folder.

    Raises:
        FileUnusable: It cannot.
    """
    with explain_os_errors("write", path, hint=_WRITABLE_FILE):
        require_writable(path)


def write_lock(path: Path, bucket: str, lines: Iterable[str], waits: Iterable[str] = ()) -> int:
    """Write the sorted lines of a lock file, and those of what is awaited; return how many objects there are.

    Raises:
        FileUnusable: It cannot be written. An existing file stays then, as it does when ``lines`` fails.
    """
    with explain_os_errors("write", path, hint=_WRITABLE_FILE), atomic_write(path) as file:
        return _write_content(file, bucket, lines, waits)[0]


def _write_content(
    file: IO[str], bucket: str, lines: Iterable[str], waits: Iterable[str], shard: ShardName | None = None
) -> tuple[int, int]:
    """Write the whole content of a lock file; return the number of its objects, and their bytes."""
    count, size = 0, 0
    head = (FORMAT, BUCKET + bucket, *(() if shard is None else (f"{SHARD}{shard}",)))
    file.writelines(f"{line}\n" for line in chain(head, waits, (COLUMNS,)))
    for line in lines:
        file.write(f"{line}\n")
        count, size = count + 1, size + size_in(line)
    file.write(f"{END}\n")
    return count, size


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that was written.

    Attributes:
        path: Its lock file.
        number: Its number, from 1.
        count: How many shards there are.
        objects: How many objects it has.
        bytes: The sum of their sizes.
    """

    path: Path
    number: int
    count: int
    objects: int
    bytes: int


class Extent(NamedTuple):
    """The totals of the lines of a lock file.

    Attributes:
        objects: How many there are.
        bytes: The sum of their sizes.
        digest: The first digits of the SHA-256 over all of them.
    """

    objects: int
    bytes: int
    digest: str


def prepare_shards(folder: Path) -> None:
    """Check that shards can be written, before a long plan ends without them; creates the folder.

    Raises:
        FileUnusable: The folder cannot be written to, or contains lock files already.
    """
    with explain_os_errors("write shards to", folder, hint=_WRITABLE_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.lock")):
            raise FileUnusable(
                f"The folder {folder} already contains lock files",
                folder,
                hint="Choose another folder with --to, or move them away: shards of two plans do not mix.",
            )
        require_writable(folder / "shard")


def cut_into_files(
    lines: Callable[[], Iterable[str]],
    bucket: str,
    count: int,
    folder: Path,
    waits: Callable[[], Iterable[str]] = tuple,
) -> tuple[Shard, ...]:
    """Cut a plan into shards, and write each as a lock file ``shard-3-of-8.lock``; all of them or none appear.

    Args:
        lines: Yields the lines of the plan, sorted; it is called twice.
        bucket: The bucket that they belong to.
        count: How many shards to write; fewer are written where there are fewer objects.
        folder: A folder that ``prepare_shards`` has created.
        waits: Yields the lines of what is awaited, sorted; each shard has all of them, whichever is collected.

    Returns:
        The shards; none where the plan has no objects.

    Raises:
        FileUnusable: They cannot be written.
    """
    whole = extent(lines())
    count = min(count, whole.objects)
    if not count:
        return ()
    shards: list[Shard] = []
    drafts: list[Path] = []
    with explain_os_errors("write shards to", folder, hint=_WRITABLE_FOLDER), ExitStack() as undo:
        for number, own in groupby(cut(lines(), whole, count), key=lambda numbered: numbered[0]):
            path = folder / f"shard-{number:0{len(str(count))}}-of-{count}.lock"
            name = ShardName(whole.digest, number, count)
            with create_draft(path) as file:
                drafts.append(Path(file.name))
                undo.callback(drafts[-1].unlink, missing_ok=True)
                objects, size = _write_content(file, bucket, (line for _, line in own), waits(), name)
            shards.append(Shard(path, number, count, objects, size))
        for draft, shard in zip(drafts, shards, strict=True):
            undo.callback(shard.path.unlink, missing_ok=True)
            draft.replace(shard.path)
        undo.pop_all()
    return tuple(shards)


def extent(lines: Iterable[str]) -> Extent:
    """Return the totals of sorted lines."""
    objects, size, digest = 0, 0, hashlib.sha256()
    for line in lines:
        objects += 1
        size += size_in(line)
        digest.update(f"{line}\n".encode())
    return Extent(objects, size, digest.hexdigest()[:_DIGITS])


def cut(lines: Iterable[str], whole: Extent, count: int) -> Iterator[tuple[int, str]]:
    """Yield every line with the number of its shard, from 1; the numbers never decrease, and none is left out.

    A shard ends where the sum of the sizes passes its share of the whole, so it has its share of the bytes to within
    the size of one object. None is empty; an object that is larger than a share may leave little for the next ones.
    ``count`` is at most the number of objects.
    """
    number, before = 1, 0
    for index, line in enumerate(lines):
        wanted = min(before * count // whole.bytes + 1, count) if whole.bytes else 1
        left = whole.objects - index
        # From one shard to the next only, and early where one of the rest would otherwise get no object.
        number = max(min(wanted, number + (index > 0)), number, count - left + 1)
        yield number, line
        before += size_in(line)


class Kind(StrEnum):
    """How an object differs."""

    NEW = "new"
    GONE = "gone"
    REPLACED = "replaced"


class Difference(NamedTuple):
    """An object on which a lock file and a plan disagree.

    Attributes:
        kind: How it differs.
        key: Its key.
        locked: Its bytes according to the lock file, None where it is new.
        planned: Its bytes according to the plan, None where it is gone.
    """

    kind: Kind
    key: str
    locked: RemoteStat | None
    planned: RemoteStat | None

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """Name, former and present value of what was replaced; empty for what is new or gone."""
        if self.locked is None or self.planned is None:
            return ()
        return tuple(_changes(self.locked, self.planned))


def differences(locked: Iterable[LockedObject], planned: Iterable[LockedObject]) -> Iterator[Difference]:
    """Yield what is new, gone or replaced, in the order of the keys; both sides come sorted, each key once."""
    sides = heapq.merge(
        ((key, False, stat) for key, stat in locked), ((key, True, stat) for key, stat in planned),
        key=lambda side: side[:2],
    )  # fmt: skip
    for key, found in groupby(sides, key=lambda side: side[0]):
        stats = {is_planned: stat for _, is_planned, stat in found}
        before, after = stats.get(False), stats.get(True)
        if before is None or after is None:
            yield Difference(Kind.NEW if before is None else Kind.GONE, key, before, after)
        elif any(_changes(before, after)):
            yield Difference(Kind.REPLACED, key, before, after)


def _changes(before: RemoteStat, after: RemoteStat) -> Iterator[tuple[str, str, str]]:
    """Yield what sets two states apart; a digest counts only where both are known, and a sidecar replaces nothing."""
    if before.size != after.size:
        yield "size", str(before.size), str(after.size)
    if before.etag != after.etag:
        yield "etag", before.etag, after.etag
    if before.last_modified != after.last_modified:
        yield "last_modified", before.last_modified.isoformat(), after.last_modified.isoformat()
    if before.sha256 and after.sha256 and before.sha256 != after.sha256:
        yield "sha256", before.sha256, after.sha256
