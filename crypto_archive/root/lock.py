"""The locks of an archive root: one run at a time, or several shards of one plan side by side.

A lock is a file that its holder keeps locked, with a note, ``lock.json``, of who that is. There are three kinds:

- the root's: a run holds it while it works in the whole root, and a shard for the moments in which it starts;
- a shard's, in ``parts/<plan>-<number>-of-<count>/``: the shard holds it while it runs;
- the schedule's, in ``parts/rounds/``: the process that repeats collect in this root holds it all the time.

A run of the whole root takes the root's lock first and then checks that no shard's lock is held; a shard takes the
root's lock first and then its own. So whichever of two comes second sees the other.

A lock is never stale, since the operating system frees it when its holder dies. A note may outlive its writer, killed
before it could remove it. So the note never decides whether a lock is held, it only names the holder of one that is,
and it is ignored if it names a dead process of this machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.errors import RootLocked, RootUnusable
from crypto_archive.events import Noticed
from crypto_archive.files import atomic_write, read_json, require_own_file
from crypto_archive.model import Notice, ShardName
from crypto_archive.root.store import DISK_FULL, explain_root_errors, refuse_links, scan_folder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from crypto_archive.root.store import Root

TURN_SECONDS = 0.25
"""How often a waiting run tries to get a lock."""
PATIENCE_SECONDS = 60.0
"""How long a run without ``wait`` waits for a lock that is held only briefly."""

_SHARD_FOLDER = re.compile(r"([0-9a-f]{12})-([1-9][0-9]{0,5})-of-([1-9][0-9]{0,5})")


def this_host() -> str:
    """Return the name of this machine."""
    import socket

    return socket.gethostname()


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lock, as ``lock.json`` has it.

    Attributes:
        pid: Its process.
        host: The name of its machine.
        started: When it took the lock: ISO 8601, UTC.
        purpose: What it is doing, for people.
        brief: Whether it will release the lock in moments.
    """

    pid: int
    host: str
    started: str
    purpose: str
    brief: bool = False

    def __str__(self) -> str:
        return f"{self.purpose}, process {self.pid} on {self.host}, since {self.started}"

    def may_live(self) -> bool:
        """Whether its process may still exist; processes of other machines cannot be seen from here."""
        if self.host != this_host() or sys.platform == "win32":  # where signal 0 would end the process
            return True
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):  # the latter: no process can have that number
            return False
        except OSError:
            return True
        return True


class RootLock:
    """The lock of a root or of a shard: free, held briefly, or held.

    Holding it briefly tells others that it is worth waiting. It turns into holding it by ``keep``; ``release``, or the
    death of the process, frees it from either state.
    """

    def __init__(self, root: Root, path: Path | None = None) -> None:
        from filelock import FileLock

        self._root = root
        self._path = path or root.lock_path
        self._note = self._path.with_name("lock.json")
        self._file = FileLock(self._path, thread_local=False)

    @contextmanager
    def hold(self, purpose: str, *, brief: bool = False) -> Iterator[Holder]:
        """Hold the lock as long as the context lasts; raise ``RootLocked`` if another run holds it."""
        if not self._try():
            raise self.refusal()
        try:
            started = datetime.now(UTC).isoformat(timespec="seconds")
            holder = Holder(os.getpid(), this_host(), started, purpose, brief)
            self._write_note(holder)
            yield holder
        finally:
            # The note goes first: once the lock is free, the note may be that of the next holder.
            with suppress(OSError):
                self._note.unlink()
            self._file.release()

    def keep(self, holder: Holder) -> Holder:
        """Record that a lock that was taken briefly will be held for longer; return the new note."""
        holder = replace(holder, brief=False)
        self._write_note(holder)
        return holder

    def is_held(self) -> bool:
        """Whether any run holds the lock; if not, this process holds it for an instant, to find out."""
        if self._try():
            self._file.release()
            return False
        return True

    def holder(self) -> Holder | None:
        """Return who last noted that it holds the lock; None without a note, or if that process is dead."""
        try:
            holder = read_json(self._note, Holder)
        except (OSError, ValueError):
            return None
        return holder if holder.may_live() else None

    def refusal(self) -> RootLocked:
        """Return the error that names the holder."""
        holder = self.holder()
        if holder is None:  # it took the lock an instant ago and has not written its note yet, or is removing it
            return RootLocked(
                f"Another run holds the lock of {self._root.path}",
                hint="Wait for it with --wait, or choose another folder with --output.",
                brief=True,
            )
        return RootLocked(
            f"Another run holds the lock of {self._root.path}: {holder}",
            hint="Wait for it with --wait, stop that process, or choose another folder with --output.",
            brief=holder.brief,
        )

    def _try(self) -> bool:
        from filelock import Timeout

        with explain_root_errors(self._root):
            require_own_file(self._path)  # acquiring it empties the file
            try:
                self._file.acquire(timeout=0.0)
            except Timeout:
                return False
            except NotImplementedError as error:
                raise RootUnusable(
                    f"The file system of the output directory does not support file locks: {self._root.path}",
                    hint="Choose a folder on another disk with --output.",
                ) from error
        return True

    def _write_note(self, holder: Holder) -> None:
        with explain_root_errors(self._root):
            try:
                with atomic_write(self._note) as file:
                    file.write(json.dumps(asdict(holder)) + "\n")
            except OSError as error:
                # A full disk has no room for a note, but the lock is held, and the run may go on to free some space.
                if error.errno not in DISK_FULL:
                    raise


def wait_for(
    attempt: Callable[[], object], stop_waiting: threading.Event, *, wait: bool
) -> Generator[Noticed, None, bool]:
    """Repeat an attempt that may raise ``RootLocked`` until it succeeds; return False once ``stop_waiting`` is set.

    Without ``wait`` the error is raised, except that a lock held briefly is waited for. The first time that the wait is
    for longer, yields who holds the lock.
    """
    patience_ends = time.monotonic() + PATIENCE_SECONDS
    reported = False
    while True:
        try:
            attempt()
        except RootLocked as locked:
            if not (locked.brief and time.monotonic() < patience_ends):
                if not wait:
                    raise
                if not reported:
                    yield Noticed(Notice(f"{locked.message}; waiting for it to finish"))
                    reported = True
        else:
            return True
        if stop_waiting.wait(TURN_SECONDS):
            return False


def shards_of(root: Root) -> tuple[Root, ...]:
    """Return the shards' shares of a root, of those that run and those that have left something to merge."""
    found = (_SHARD_FOLDER.fullmatch(name) for name in sorted(entry.name for entry in scan_folder(root.shards)))
    shards = tuple(replace(root, shard=ShardName(name[1], int(name[2]), int(name[3]))) for name in found if name)
    for shard in shards:
        refuse_links(shard)
    return shards


@contextmanager
def hold_whole(root: Root, purpose: str, *, brief: bool = False) -> Iterator[Holder]:
    """Hold a whole root as long as the context lasts: no other run is in it, and no shard."""
    lock = RootLock(root)
    # Brief until no shard is found: a run that waits for a shard tries again and again, and each try would otherwise
    # turn away a sibling of that shard that starts at the same instant.
    with lock.hold(purpose, brief=True) as holder:
        for other in map(RootLock, shards_of(root)):
            if other.is_held():
                raise other.refusal()
        yield holder if brief else lock.keep(holder)


@contextmanager
def start_shard(root: Root) -> Iterator[bool]:
    """Hold the whole root briefly while a shard takes its own lock; yield whether no other shard runs.

    Other shards of the same plan may, but not the same shard, nor one of another plan, which might share objects.
    """
    assert root.shard is not None
    with RootLock(root.whole).hold(f"start of shard {root.shard}", brief=True):
        running = [other for other in shards_of(root) if RootLock(other).is_held()]
        for other in running:
            assert other.shard is not None
            if not root.shard.is_beside(other.shard):
                raise RootLock(other).refusal()
        yield not running


@contextmanager
def hold_shard(root: Root, purpose: str) -> Iterator[Holder]:
    """Hold a shard's lock as long as the context lasts, and make its folders; taken within ``start_shard``."""
    refuse_links(root)
    with explain_root_errors(root):
        root.staging.mkdir(parents=True, exist_ok=True)
    with RootLock(root).hold(f"{purpose}, shard {root.shard}") as holder:
        yield holder


@contextmanager
def hold_schedule(root: Root, purpose: str) -> Iterator[Holder]:
    """Be the one process that repeats collect in a root; its lock is free between two collects, so others may run."""
    refuse_links(root)
    with explain_root_errors(root):
        root.schedule_lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = RootLock(root, root.schedule_lock_path)
    with ExitStack() as held:
        try:
            holder = held.enter_context(lock.hold(purpose))
        except RootLocked:
            other = lock.holder()
            who = f": process {other.pid} on {other.host}, since {other.started}" if other else ""
            raise RootLocked(
                f"Another process already repeats collect in {root.path}{who}",
                hint="Stop that process, or choose another folder with --output.",
            ) from None
        yield holder
