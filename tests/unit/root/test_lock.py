"""One writer at a time, reported by name; a dead one leaves nothing behind that could stop the next."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

import filelock
import pytest

from crypto_archive.errors import ExitCode, RootLocked, RootUnusable
from crypto_archive.model import ShardName
from crypto_archive.root import lock
from crypto_archive.root.lock import TURN_SECONDS, Holder, RootLock, hold_schedule, hold_shard, wait_for
from crypto_archive.root.store import Root, open_root

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from crypto_archive.events import Noticed

HOLDER = """
import sys
from pathlib import Path
from crypto_archive.root.lock import RootLock
from crypto_archive.root.store import Root

with RootLock(Root(Path(sys.argv[1]))).hold("collect --preset research"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def hold(root: Root, purpose: str, *, brief: bool = False) -> AbstractContextManager[Holder]:
    return RootLock(root).hold(purpose, brief=brief)


def holder_of(root: Root) -> Holder | None:
    return RootLock(root).holder()


def is_held(root: Root) -> bool:
    return RootLock(root).is_held()


@contextmanager
def another_process(root: Root) -> Iterator[subprocess.Popen[str]]:
    """Let a child hold the lock until it hears a line, or is killed."""
    command = [sys.executable, "-c", HOLDER, str(root.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def note(root: Root) -> Path:
    return root.private / "lock.json"


def test_the_holder_is_noted_while_it_holds(root: Root) -> None:
    with hold(root, "collect") as holder:
        assert holder.pid == os.getpid()
        assert holder.purpose == "collect"
        assert holder.started.endswith("+00:00")
        assert holder_of(root) == holder
    assert not note(root).exists()
    assert holder_of(root) is None


def test_the_lock_can_be_taken_again(root: Root) -> None:
    for _ in range(3):
        with hold(root, "collect"):
            pass


def test_the_lock_is_freed_by_an_error(root: Root) -> None:
    with pytest.raises(KeyError), hold(root, "collect"):
        raise KeyError
    with hold(root, "collect"):
        pass


def test_a_second_holder_in_the_same_process_is_turned_away(root: Root) -> None:
    with hold(root, "collect"), pytest.raises(RootLocked), hold(root, "repair"):
        pass


def test_another_process_is_named(root: Root) -> None:
    with another_process(root) as child:
        with pytest.raises(RootLocked) as caught, hold(root, "collect"):
            pass
        holder = holder_of(root)
    assert holder is not None
    assert caught.value.message == (
        f"Another run holds the lock of {root.path}: collect --preset research, process {child.pid} on "
        f"{socket.gethostname()}, since {holder.started}"
    )
    assert caught.value.hint == ("Wait for it with --wait, stop that process, or choose another folder with --output.")
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_a_process_that_ends_frees_the_lock(root: Root) -> None:
    with another_process(root) as child:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.wait() == 0
    assert not note(root).exists()
    with hold(root, "collect"):
        pass


def test_a_killed_process_frees_the_lock_and_its_note_is_ignored(root: Root) -> None:
    with another_process(root) as child:
        child.kill()
        child.wait()
        assert note(root).exists()
        assert holder_of(root) is None
        with hold(root, "collect") as holder:
            assert holder_of(root) == holder


SOUND = {"pid": 1, "host": "elsewhere", "started": "2025-07-15T12:00:00+00:00", "purpose": "collect", "brief": False}
WRONG = [{"pid": pid} for pid in ("text", 1.5, None, 10**30, True)] + [{"host": 5}, {"purpose": []}, {"brief": "no"}]


@pytest.mark.parametrize(
    "left",
    ["", "{", "[]", "null", '{"pid": 1}', '{"who": "me"}', "[" * 10_000, " " * 100_000,
     *(json.dumps({**SOUND, "host": socket.gethostname(), **wrong}) for wrong in WRONG)],
)  # fmt: skip
def test_a_damaged_note_is_ignored(root: Root, left: str) -> None:
    note(root).write_text(left)
    assert holder_of(root) is None
    with hold(root, "collect"):
        pass


def test_a_holder_without_a_note_is_reported_too(root: Root) -> None:
    with hold(root, "collect"):
        note(root).unlink()
        with pytest.raises(RootLocked) as caught, hold(root, "collect"):
            pass
    assert caught.value.message == f"Another run holds the lock of {root.path}"
    assert "Wait for it with --wait" in caught.value.hint


def test_a_note_from_another_machine_is_believed(root: Root) -> None:
    said = {"pid": 4242, "host": "another.example", "started": "2025-07-15T00:00:00+00:00", "purpose": "collect"}
    with hold(root, "collect"):
        note(root).write_text(json.dumps(said))
        with pytest.raises(RootLocked, match=r"process 4242 on another\.example, since 2025-07-15"), hold(root, "x"):
            pass


def test_a_folder_in_place_of_the_lock_is_reported(root: Root) -> None:
    root.lock_path.mkdir()
    with pytest.raises(RootUnusable, match="Cannot write to output directory"), hold(root, "collect"):
        pass


def test_a_note_that_cannot_be_written_frees_the_lock(root: Root) -> None:
    note(root).mkdir()
    (note(root) / "something").touch()
    with pytest.raises(RootUnusable, match="Cannot write to output directory"), hold(root, "collect"):
        pass
    (note(root) / "something").unlink()
    note(root).rmdir()
    with hold(root, "collect"):
        pass


def test_a_file_system_without_locks_is_reported(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(RootUnusable, match="does not support file locks"), hold(root, "collect"):
        pass


# Waiting for it


class Turns(threading.Event):
    """Ends a wait after some turns; records how long each was, and does not take that long."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return len(self.seconds) >= self.count


def test_a_lock_that_is_free_is_not_waited_for(root: Root) -> None:
    with ExitStack() as held:
        assert outcome_of(waiting_for(held, root, Turns(0))) == ([], True)
        assert holder_of(root) is not None
    assert holder_of(root) is None


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_a_waiting_run_reports_the_holder_once_and_continues_when_it(root: Root, how: str) -> None:
    with another_process(root) as child, ExitStack() as held:
        waiting = waiting_for(held, root, threading.Event())
        reported = next(waiting)
        assert reported.notice.text.startswith(
            f"Another run holds the lock of {root.path}: collect --preset research, process {child.pid} on "
        )
        assert reported.notice.text.endswith("; waiting for it to finish")
        if how == "ends":
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        else:
            child.kill()
        assert outcome_of(waiting) == ([], True)
        holder = holder_of(root)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_wait_can_be_cancelled(root: Root) -> None:
    with another_process(root), ExitStack() as held:
        waiting = waiting_for(held, root, Turns(1))
        next(waiting)
        assert outcome_of(waiting) == ([], False)
        assert holder_of(root) is not None


def test_a_wait_does_not_keep_the_processor_busy(root: Root) -> None:
    turns = Turns(4)
    with hold(root, "collect"), ExitStack() as held:
        reported, got = outcome_of(waiting_for(held, root, turns))
    assert (len(reported), got) == (1, False)
    assert turns.seconds == [TURN_SECONDS] * 4


def test_without_wait_a_run_is_turned_away_immediately(root: Root) -> None:
    turns = Turns(1)
    with hold(root, "collect"), ExitStack() as held, pytest.raises(RootLocked):
        outcome_of(waiting_for(held, root, turns, wait=False))
    assert turns.seconds == []


@pytest.mark.parametrize("noted", [True, False])
def test_a_lock_that_is_held_briefly_is_waited_for_silently(root: Root, noted: bool) -> None:
    """Its note says so, or there is no note yet."""
    with ExitStack() as other, ExitStack() as held:
        other.enter_context(hold(root, "start of something", brief=True))
        if not noted:
            note(root).unlink()

        class Letting(Turns):
            def wait(self, timeout: float | None = None) -> bool:
                if len(self.seconds) == 1:
                    other.close()
                return super().wait(timeout)

        turns = Letting(9)
        assert outcome_of(waiting_for(held, root, turns, wait=False)) == ([], True)
        assert len(turns.seconds) == 2


@pytest.mark.parametrize("wait", [True, False])
def test_patience_ends(root: Root, monkeypatch: pytest.MonkeyPatch, wait: bool) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
    with hold(root, "start of something", brief=True), ExitStack() as held:
        waiting = waiting_for(held, root, Turns(1), wait=wait)
        if wait:
            assert "start of something" in next(waiting).notice.text
        else:
            with pytest.raises(RootLocked, match="start of something"):
                next(waiting)


def test_a_lock_knows_whether_it_is_held(root: Root) -> None:
    assert not is_held(root)
    with hold(root, "collect"):
        assert is_held(root)
    assert not is_held(root)


def test_the_note_of_a_dead_run_on_another_machine_is_ignored(root: Root) -> None:
    """The machine is out of reach, but the lock itself is free."""
    said = {"pid": 4242, "host": "another.example", "started": "2025-07-15T00:00:00+00:00", "purpose": "collect"}
    note(root).write_text(json.dumps(said))
    with hold(root, "collect") as holder:
        assert holder_of(root) == holder
    assert not note(root).exists()


def waiting_for(
    held: ExitStack, root: Root, stop: threading.Event, *, wait: bool = True
) -> Generator[Noticed, None, bool]:
    return wait_for(lambda: held.enter_context(hold(root, "collect")), stop, wait=wait)


def outcome_of(waiting: Generator[Noticed, None, bool]) -> tuple[list[Noticed], bool]:
    """Return what is reported from now on, and whether the lock was acquired."""
    reported = []
    while True:
        try:
            reported.append(next(waiting))
        except StopIteration as end:
            return reported, end.value


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_note_that_never_answers_is_not_waited_for(root: Root) -> None:
    os.mkfifo(note(root))
    assert holder_of(root) is None
    with pytest.raises(RootUnusable) as caught, hold(root, "collect"):
        pass
    assert f"{note(root)}: it is not a regular file" in caught.value.hint
    assert not is_held(root)


def test_a_lock_that_is_a_link_is_refused_and_empties_nothing(root: Root, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    root.lock_path.symlink_to(tmp_path / "mine.txt")
    with pytest.raises(RootUnusable) as caught, hold(root, "collect"):
        pass
    assert f"{root.lock_path}: it is not a regular file" in caught.value.hint
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("linked", ["parts", "parts/0a1b2c3d4e5f-1-of-3", "parts/rounds"])
def test_a_folder_of_locks_that_is_a_link_is_refused(root: Root, tmp_path: Path, linked: str) -> None:
    (tmp_path / "mine").mkdir()
    (root.shared / linked).parent.mkdir(exist_ok=True)
    (root.shared / linked).symlink_to(tmp_path / "mine", target_is_directory=True)
    shard = Root(root.path, ShardName("0a1b2c3d4e5f", 1, 3))
    take = hold_schedule if linked.endswith("rounds") else hold_shard
    with pytest.raises(RootUnusable, match="it is a symbolic link"), take(shard, "collect"):
        pass
    if "-of-" in linked:
        with pytest.raises(RootUnusable, match="it is a symbolic link"):
            lock.shards_of(root)
    assert list((tmp_path / "mine").iterdir()) == []
