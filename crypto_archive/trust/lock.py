"""One writer at a time: a lock that the kernel frees when its holder dies, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from crypto_archive.errors import RootLocked, RootUnusable
from crypto_archive.events import Noticed
from crypto_archive.model import Notice
from crypto_archive.trust.store import DISK_FULL, explained

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from filelock import BaseFileLock

    from crypto_archive.trust.store import Root


TURN_SECONDS = 0.5
"""How long whoever waits for the lock does not look whether it still is to wait."""
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as ``lock.json`` has it.

    Attributes:
        pid: The process.
        host: The name of its machine.
        started: When it took the lock: ISO 8601, UTC.
        purpose: What it does, for people.
    """

    pid: int
    host: str
    started: str
    purpose: str


def wait_for(
    held: ExitStack, root: Root, purpose: str, stop_waiting: threading.Event
) -> Generator[Noticed, None, bool]:
    """Hold the root's lock as long as ``held`` is open; wait for it, and yield once who holds it until then.

    Args:
        held: Lets the lock go in the end.
        root: A root that ``open_root`` has made.
        purpose: What the lock is taken for, told to whoever comes second.
        stop_waiting: Ends the wait once it is set.

    Returns:
        Whether the lock is held; False when the wait was ended.

    Raises:
        RootUnusable: The lock's file cannot be written.
    """
    try:
        held.enter_context(hold(root, purpose))
    except RootLocked as locked:
        yield Noticed(Notice(f"{locked.message}; waiting until it has ended"))
        try:
            held.enter_context(hold(root, purpose, stop_waiting))
        except RootLocked:
            return False
    return True


@contextmanager
def hold(root: Root, purpose: str, stop_waiting: threading.Event | None = None) -> Iterator[Holder]:
    """Hold the root's lock as long as the context lasts.

    Args:
        root: A root that ``open_root`` has made.
        purpose: What the lock is taken for, told to whoever comes second.
        stop_waiting: Wait for the lock until it is free or this is set; None for not waiting at all.

    Raises:
        RootLocked: Another run holds it, and it was not waited for, or no longer.
        RootUnusable: The lock's file cannot be written.
    """
    lock = FileLock(root.lock_path, thread_local=False)
    with explained(root):
        while not _acquired(root, lock, 0.0 if stop_waiting is None else TURN_SECONDS):
            if stop_waiting is None or stop_waiting.is_set():
                raise _locked(root)
    try:
        holder = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"), purpose)
        with explained(root):
            _leave_note(root, holder)
        yield holder
    finally:
        with suppress(OSError):
            _note(root).unlink()
        lock.release()


def read_holder(root: Root) -> Holder | None:
    """Return who last said that it holds the lock; None when nobody did, or a process of this machine that is dead."""
    try:
        holder = Holder(**json.loads(_note(root).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return holder if _may_live(holder) else None


def _acquired(root: Root, lock: BaseFileLock, seconds: float) -> bool:
    """Try for so long to get the lock, and return whether it worked; the system frees it when its holder dies."""
    try:
        lock.acquire(timeout=seconds, poll_interval=POLL_SECONDS)
    except Timeout:
        return False
    except NotImplementedError as error:
        raise _lockless(root) from error
    return True


def _locked(root: Root) -> RootLocked:
    holder = read_holder(root)
    if holder is None:  # it has the lock, but has not got round to its note
        return RootLocked(
            f"Another run holds the lock of {root.path}",
            hint="Wait until it has ended, as --wait does, or choose another folder with --output.",
        )
    return RootLocked(
        f"Another run holds the lock of {root.path}: {holder.purpose}, process {holder.pid} on {holder.host}, "
        f"since {holder.started}",
        hint="Wait until it has ended, as --wait does, stop that process, or choose another folder with --output.",
    )


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
