"""Write a lock file in one step: whoever reads it sees the old one or the new one, never half of one."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from errno import EISDIR
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.lockfile.form import END, head_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.model import ShardName


def prepare_lock(path: Path) -> None:
    """See that a lock file can be written, before a long plan ends without one; makes its folder.

    Raises:
        RootUnusable: It cannot.
    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        draft = _draft(path)
        draft.touch()
        draft.unlink()


def write_lock(path: Path, bucket: str, lines: Iterable[str]) -> int:
    """Write the lines of a lock, which come sorted.

    Args:
        path: The file; what is there is replaced, once the new one is whole.
        bucket: The bucket that it is of.
        lines: A line an object, in the order of the keys.

    Returns:
        How many objects it has.

    Raises:
        RootUnusable: It cannot be written. What was there stays then, as it does when ``lines`` fails.
    """
    with _explained(path):
        draft = _draft(path)
        try:
            count = write_content(draft, bucket, lines)
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    return count


def write_content(path: Path, bucket: str, lines: Iterable[str], shard: ShardName | None = None) -> int:
    """Write all that a lock file holds, and return how many objects that is.

    Args:
        path: The file, which nobody may take for a lock yet.
        bucket: The bucket that it is of.
        lines: A line an object, in the order of the keys.
        shard: Which shard of a plan it is; None for a whole one.

    Raises:
        OSError: It cannot be written.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in head_of(bucket, shard))
        for line in lines:
            file.write(f"{line}\n")
            count += 1
        file.write(f"{END}\n")
    return count


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RootUnusable(
            f"The lock file {path} cannot be written: {error.strerror or error}",
            hint="Name a file in a folder that you may write to with --lock.",
        ) from error
