"""One writer at a time: a lock that the kernel frees when its holder dies, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from crypto_archive.errors import RootLocked, RootUnusable
from crypto_archive.events import Noticed
from crypto_archive.model import Notice
from crypto_archive.trust.store import DISK_FULL, explained

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager, ExitStack
    from pathlib import Path

    from filelock import BaseFileLock

    from crypto_archive.trust.store import Root

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
