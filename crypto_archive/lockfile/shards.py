"""Cut a plan into shards: lock files that share no object, have much the same bytes, and together are the plan."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import RootUnusable
from crypto_archive.lockfile.form import size_in
from crypto_archive.lockfile.writing import write_content
from crypto_archive.model import ShardName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_DIGITS = 12


class Extent(NamedTuple):
    """What the lines of a lock add up to.

    Attributes:
        objects: How many there are.
        bytes: The sum of their sizes.
        digest: The first digits of the SHA-256 over all of them.
    """

    objects: int
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard that was written.

    Attributes:
        path: Its lock file.
        number: Which of them it is, from 1.
        count: How many there are.
        objects: How many objects it has.
        bytes: The sum of their sizes.
    """

    path: Path
    number: int
    count: int
    objects: int
    bytes: int


def extent(lines: Iterable[str]) -> Extent:
    """Add up the lines of a lock, which come sorted."""
    objects, size, digest = 0, 0, hashlib.sha256()
    for line in lines:
        objects += 1
        size += size_in(line)
        digest.update(f"{line}\n".encode())
    return Extent(objects, size, digest.hexdigest()[:_DIGITS])


def cut(lines: Iterable[str], whole: Extent, count: int) -> Iterator[tuple[int, str]]:
    """Yield every line with the number of its shard, from 1; the numbers never go down, and none is left out.

    A shard ends where the sum of the sizes passes its share of the whole, so it has its share of the bytes to within
    the size of one object. None is empty; an object that is larger than a share may leave little for the next ones.

    Args:
        lines: The lines of a lock, sorted.
        whole: What they add up to.
        count: How many shards there are to be, at least 1 and at most as many as there are objects.
    """
    number, before = 1, 0
    for index, line in enumerate(lines):
        wanted = min(before * count // whole.bytes + 1, count) if whole.bytes else 1
        left = whole.objects - index
        # From one shard to the next only, and early where one of those left would else not get an object.
        number = max(min(wanted, number + (index > 0)), number, count - left + 1)
        yield number, line
        before += size_in(line)


def cut_into_files(lines: Callable[[], Iterable[str]], bucket: str, count: int, folder: Path) -> tuple[Shard, ...]:
    """Cut a plan into shards, and write each as a lock file ``shard-3-of-8.lock``; all of them or none appear.

    Args:
        lines: Yields the lines of the plan, sorted; it is called twice.
        bucket: The bucket that they are of.
        count: How many shards there are to be; fewer are written where there are fewer objects.
        folder: A folder that ``prepare_shards`` has made.

    Returns:
        The shards; none where the plan has no object.

    Raises:
        RootUnusable: They cannot be written.
    """
    whole = extent(lines())
    count = min(count, whole.objects)
    if not count:
        return ()
    shards: list[Shard] = []
    with _explained(folder), ExitStack() as undo:
        for number, own in groupby(cut(lines(), whole, count), key=lambda numbered: numbered[0]):
            path = folder / f"shard-{number:0{len(str(count))}}-of-{count}.lock"
            undo.callback(_draft(path).unlink, missing_ok=True)
            shards.append(_write(path, bucket, (line for _, line in own), ShardName(whole.digest, number, count)))
        for shard in shards:
            undo.callback(shard.path.unlink, missing_ok=True)
            _draft(shard.path).replace(shard.path)
        undo.pop_all()
    return tuple(shards)


def prepare_shards(folder: Path) -> None:
    """See that shards can be written, before a long plan ends without them; makes the folder.

    Raises:
        RootUnusable: The folder cannot be written to, or holds lock files already.
    """
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.lock")):
            raise RootUnusable(
                f"The folder {folder} holds lock files already",
                hint="Name another folder with --to, or move them away: shards of two plans do not mix.",
            )
        draft = _draft(folder / "shard")
        draft.touch()
        draft.unlink()


def _write(path: Path, bucket: str, lines: Iterable[str], name: ShardName) -> Shard:
    size = 0

    def weighed() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += size_in(line)
            yield line

    objects = write_content(_draft(path), bucket, weighed(), name)
    return Shard(path, name.number, name.count, objects, size)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RootUnusable(
            f"Shards cannot be written to {folder}: {error.strerror or error}",
            hint="Name a folder that you may write to with --to.",
        ) from error
