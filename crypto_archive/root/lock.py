"""Who may write to a root: one run for the whole root, or several shards of one plan side by side."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from crypto_archive.errors import ManifestUnreadable, RootLocked, RootUnusable
from crypto_archive.events import Noticed
from crypto_archive.model import Notice, ShardName
from crypto_archive.root.database import SIDE_FILES, explained as database_explained, fold_log
from crypto_archive.root.manifest import merge
from crypto_archive.root.store import DISK_FULL, explained
from crypto_archive.s5cmd.child import end_orphans

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from filelock import BaseFileLock

    from crypto_archive.root.store import Root

T = TypeVar("T")

TURN_SECONDS = 0.25
"""How often whoever waits for a lock tries to get it."""
PATIENCE_SECONDS = 60.0
"""How long a lock is waited for that is about to be let go, although nobody asked for a wait."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as ``lock.json`` has it.

    Attributes:
        pid: The process.
        host: The name of its machine.
        started: When it took the lock: ISO 8601, UTC.
        purpose: What it does, for people.
        brief: Whether it is a matter of moments.
    """

    pid: int
    host: str
    started: str
    purpose: str
    brief: bool = False


def wait_for(
    held: ExitStack,
    attempt: Callable[[], AbstractContextManager[T]],
    stop_waiting: threading.Event,
    *,
    wait: bool = True,
) -> Generator[Noticed, None, T | None]:
    """Hold a lock as long as ``held`` is open; wait for it, and yield once who holds it until then.

    One that is about to be let go is waited for in any case, for a minute at most.

    Args:
        held: Lets the lock go in the end.
        attempt: Tries to get the lock, once; raises ``RootLocked`` where it cannot.
        stop_waiting: Ends the wait once it is set.
        wait: Whether a lock that somebody keeps is waited for.

    Returns:
        What the attempt came to; None when the wait was ended.

    Raises:
        RootLocked: It is not to be waited for.
        RootUnusable: The lock's file cannot be written.
    """
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    told = False
    while True:
        try:
            return held.enter_context(attempt())
        except RootLocked as locked:
            if not (locked.brief and time.monotonic() < patience_ends):
                if not wait:
                    raise
                if not told:
                    yield Noticed(Notice(f"{locked.message}; waiting until it has ended"))
                    told = True
        if stop_waiting.wait(TURN_SECONDS):
            return None


@contextmanager
def hold(root: Root, purpose: str, *, brief: bool = False) -> Iterator[Holder]:
    """Hold the lock of a root, or of a part of one, as long as the context lasts.

    Args:
        root: A root that ``open_root`` has made.
        purpose: What the lock is taken for, told to whoever comes second.
        brief: Whether it will be let go in moments, so that it is worth while to wait.

    Raises:
        RootLocked: Another run holds it.
        RootUnusable: The lock's file cannot be written.
    """
    lock = _lock(root)
    with explained(root):
        if not _acquired(root, lock):
            raise locked_by_another(root)
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        holder = Holder(os.getpid(), socket.gethostname(), started, purpose, brief)
        with explained(root):
            _leave_note(root, holder)
        yield holder
    finally:
        with suppress(OSError):
            _note(root).unlink()
        lock.release()


def keep(root: Root, holder: Holder) -> Holder:
    """Say that a lock which was taken for moments will be held for longer; return what is said now.

    Raises:
        RootUnusable: The note cannot be written.
    """
    kept = replace(holder, brief=False)
    with explained(root):
        _leave_note(root, kept)
    return kept


def is_held(root: Root) -> bool:
    """Whether somebody holds the lock of a root or a part; for a moment it is held here, where nobody does.

    Raises:
        RootUnusable: The lock's file cannot be opened.
    """
    lock = _lock(root)
    with explained(root):
        if not _acquired(root, lock):
            return True
    lock.release()
    return False


def read_holder(root: Root) -> Holder | None:
    """Return who last said that it holds the lock; None when nobody did, or a process of this machine that is dead."""
    try:
        holder = Holder(**json.loads(_note(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return holder if _may_live(holder) else None


def locked_by_another(root: Root) -> RootLocked:
    """Return the error that names who holds the lock of a root or a part."""
    holder = read_holder(root)
    if holder is None:  # it has the lock, but has not got round to its note
        return RootLocked(
            f"Another run holds the lock of {root.path}",
            hint="Wait until it has ended, as --wait does, or choose another folder with --output.",
            brief=True,
        )
    return RootLocked(
        f"Another run holds the lock of {root.path}: {holder.purpose}, process {holder.pid} on {holder.host}, "
        f"since {holder.started}",
        hint="Wait until it has ended, as --wait does, stop that process, or choose another folder with --output.",
        brief=holder.brief,
    )


def _lock(root: Root) -> BaseFileLock:
    return FileLock(root.lock_path, thread_local=False)


def _acquired(root: Root, lock: BaseFileLock) -> bool:
    """Try to get the lock, and return whether it worked; the system frees it when its holder dies."""
    try:
        lock.acquire(timeout=0.0)
    except Timeout:
        return False
    except NotImplementedError as error:
        raise _lockless(root) from error
    return True


def _lockless(root: Root) -> RootUnusable:
    return RootUnusable(
        f"The file system of the output directory has no file locks: {root.path}",
        hint="Choose a folder on another disk with --output.",
    )


def _note(root: Root) -> Path:
    return root.lock_path.with_name("lock.json")


def _leave_note(root: Root, holder: Holder) -> None:
    """Replace the note in one step, so that nobody reads half of it; a full disk takes none, and the lock does."""
    draft = _note(root).with_suffix(".json.new")
    try:
        draft.write_text(json.dumps(asdict(holder)) + "\n", encoding="utf-8")
        draft.replace(_note(root))
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno not in DISK_FULL:
            raise


def _may_live(holder: Holder) -> bool:
    # Another machine's processes cannot be seen from here, and on Windows a look by signal 0 would end the process.
    if holder.host != socket.gethostname() or sys.platform == "win32":
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
