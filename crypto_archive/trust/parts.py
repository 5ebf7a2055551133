"""Shards that run side by side in one root: who may run beside whom, and how what they kept apart is joined again.

Each has a part of the root to itself: a lock, a staging folder and a manifest. It publishes to the same final paths as
any other run; shards of one plan share no object. While shards run, nobody writes to the manifest of the whole root;
what theirs have come to is taken into it by the last of them, or else by the next run of whatever kind.

Parts appear, are locked and go only while the lock of the whole root is held, which a shard holds for a moment when it
begins. So there is no moment in which a lock is taken in a folder that somebody else is about to remove, nor one in
which a run of the whole root and a shard both believe to be alone.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.errors import ManifestUnreadable
from crypto_archive.model import Notice, ShardName
from crypto_archive.s5cmd.orphans import end_orphans
from crypto_archive.trust.database import SIDE_FILES, explained as database_explained, fold_log
from crypto_archive.trust.lock import hold, is_held, keep, locked_by_another
from crypto_archive.trust.merging import merge
from crypto_archive.trust.store import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crypto_archive.trust.lock import Holder
    from crypto_archive.trust.store import Root

_PART = re.compile(r"([0-9a-f]{12})-([1-9][0-9]{0,5})-of-([1-9][0-9]{0,5})")


def part_for(root: Root, shard: ShardName) -> Root:
    """Return the part of a root that a shard has to itself while it runs; nothing is made yet."""
    return replace(root, part=f"{shard.plan}-{shard.number}-of-{shard.count}")


def parts_of(root: Root) -> tuple[Root, ...]:
    """Return the parts that there are, whether their shards run or have left them behind.

    Raises:
        RootUnusable: Their folder cannot be read.
    """
    with explained(root):
        try:
            names = sorted(folder.name for folder in root.parts.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return ()
    return tuple(replace(root, part=name) for name in names if _PART.fullmatch(name))


@contextmanager
def hold_whole(root: Root, purpose: str, *, brief: bool = False) -> Iterator[Holder]:
    """Hold a whole root as long as the context lasts: no other run is in it, and no shard.

    Args:
        root: A root that ``open_root`` has made.
        purpose: What it is held for, told to whoever comes second.
        brief: Whether it will be let go in moments.

    Raises:
        RootLocked: Another run holds it, or a part of it.
        RootUnusable: It cannot be written to.
    """
    with hold(root, purpose, brief=True) as holder:  # until it is seen to be free of shards
        for part in parts_of(root):
            if is_held(part):
                raise locked_by_another(part)
        yield holder if brief else keep(root, holder)


@contextmanager
def hold_part(
    part: Root, purpose: str, when_alone: Callable[[Root], tuple[Notice, ...]]
) -> Iterator[tuple[Notice, ...]]:
    """Hold what a shard has to itself as long as the context lasts; make its folders.

    Other shards of the same plan may run beside it, but no other run and no shard of another plan, with which it might
    share objects.

    Args:
        part: The part, of a root that ``open_root`` has made.
        purpose: What it is held for, told to whoever comes second.
        when_alone: What is done before with the whole root, where no shard runs in it; it says what there is to say.

    Yields:
        What ``when_alone`` had to say.

    Raises:
        RootLocked: Such a run holds the root, or the same shard runs already.
        RootUnusable: It cannot be written to.
    """
    own = _shard_of(part)
    with ExitStack() as held:
        with hold(part.whole, f"the beginning of shard {own}", brief=True):
            running = [other for other in parts_of(part) if is_held(other)]
            for other in running:
                if not own.is_beside(_shard_of(other)):
                    raise locked_by_another(other)
            notices = () if running else when_alone(part.whole)
            with explained(part):
                part.staging.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold(part, f"{purpose}, shard {own}"))
        yield notices


def join(root: Root) -> tuple[Notice, ...]:
    """Take what the parts of a root know into its manifest, and remove the parts; only who holds the whole root may.

    Killed at any moment, it leaves parts that the next one joins again, to the same end. A manifest that cannot be read
    is kept, under another name; the files that it knew of are proven by the next collect.

    Returns:
        What there is to say of that.

    Raises:
        EnvironmentFailure: The manifest of the root cannot be used, or an s5cmd of an earlier run cannot be ended.
        RootUnusable: The root cannot be written to, or its disk is full.
    """
    notices: list[Notice] = []
    for part in parts_of(root):
        end_orphans(part.staging)
        shutil.rmtree(part.staging, ignore_errors=True)
        if part.manifest_path.exists():
            notices += _take_in(part)
            with explained(part):
                part.manifest_path.unlink(missing_ok=True)  # where it stayed, it would be joined for ever
        # What somebody keeps open on another machine may stay for now: it says nothing any more.
        shutil.rmtree(part.private, ignore_errors=True)
    with suppress(OSError):
        root.parts.rmdir()
    with database_explained(root.manifest_path):
        fold_log(root.manifest_path)
    return tuple(notices)


def _take_in(part: Root) -> Iterator[Notice]:
    try:
        merge(part.manifest_path, part.whole.manifest_path)
    except ManifestUnreadable as error:
        if error.path != part.manifest_path:
            raise
        kept = _keep_aside(part)
        yield Notice(
            f"what shard {_shard_of(part)} remembered cannot be read and is kept as {kept}; "
            f"the next collect proves its files ({error.message})"
        )


def _keep_aside(part: Root) -> Path:
    """Move a part's manifest beside that of the root, under the first free name."""
    wanted = part.whole.manifest_path.with_name(f"{part.manifest_path.name}.{part.part}")
    names = (wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}") for number in count(1))
    kept = next(path for path in names if not os.path.lexists(path))
    with explained(part):
        for suffix in (*SIDE_FILES, ""):  # the file itself last: without it nobody comes back for the others
            file = part.manifest_path.with_name(part.manifest_path.name + suffix)
            if file.exists():
                file.replace(kept.with_name(kept.name + suffix))
    return kept


def _shard_of(part: Root) -> ShardName:
    found = _PART.fullmatch(part.part)
    if found is None:
        raise ValueError(f"{part.part!r} is no name of a part")
    return ShardName(found[1], int(found[2]), int(found[3]))
