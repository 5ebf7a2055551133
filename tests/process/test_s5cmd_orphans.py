"""What an earlier run has left running is found by where it works, and ended; nothing else is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest

from crypto_archive.errors import EnvironmentFailure, ExitCode
from crypto_archive.s5cmd import orphans
from crypto_archive.s5cmd.orphans import end_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the made-up s5cmd is a script with a shebang")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program that says ``up`` and does nothing more, by a name, in a folder, with arguments."""
    with ExitStack() as started:

        def run(name: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
            folder.mkdir(parents=True, exist_ok=True)
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            if not program.exists():  # a shell reads its script as it goes: never change one that runs
                program.write_text("#!/bin/sh\nsleep 600 &\necho $!\nwait\n", encoding="utf-8")
                program.chmod(0o755)
            process = subprocess.Popen(
                [str(program), *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            started.enter_context(process)
            started.callback(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
            return process

        yield run


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "root" / ".crypto-archive" / "staging"


def helper_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return what a made-up s5cmd has started itself."""
    assert process.stdout is not None
    return psutil.Process(int(process.stdout.readline()))


def is_dead(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_an_s5cmd_that_works_in_the_folder_is_ended_with_its_group(start: Start, staging: Path) -> None:
    here, below = start("s5cmd", staging), start("s5cmd", staging / "20250715T000000Z-abc123" / "00001")
    helpers = [helper_of(here), helper_of(below)]
    assert end_orphans(staging) >= 2  # a helper that is just being started may count
    assert not psutil.pid_exists(here.pid)
    assert not psutil.pid_exists(below.pid)
    psutil.wait_procs(helpers, timeout=10)
    assert all(map(is_dead, helpers))
    assert end_orphans(staging) == 0


def test_under_another_name_it_is_known_by_its_run_file(start: Start, staging: Path) -> None:
    process = start("my-downloader", staging / "run", "--json", "run", "/x/batch-00001.s5cmd")
    helper_of(process)  # it is up: for a moment after its start, a process has no arguments to be known by
    assert end_orphans(staging) >= 1
    assert not psutil.pid_exists(process.pid)


def test_one_whose_folder_is_gone_or_that_is_stopped_is_ended(start: Start, staging: Path) -> None:
    lost, stopped = start("s5cmd", staging / "lost"), start("s5cmd", staging / "stopped")
    shutil.rmtree(staging / "lost")
    os.kill(stopped.pid, signal.SIGSTOP)
    assert end_orphans(staging) >= 2
    assert not psutil.pid_exists(lost.pid)
    assert not psutil.pid_exists(stopped.pid)


def test_nothing_else_is_ended(start: Start, staging: Path, tmp_path: Path) -> None:
    others = [
        start("s5cmd", tmp_path / "other" / ".crypto-archive" / "staging"),
        start("s5cmd", staging.with_name("staging-of-mine")),
        start("editor", staging / "run"),
        start("s5cmd", tmp_path, "run", str(staging / "run.s5cmd")),
    ]
    for other in others:
        helper_of(other)
    assert end_orphans(staging) == 0
    assert [other.poll() for other in others] == [None] * len(others)


def test_a_root_behind_a_link_is_the_same_root(start: Start, staging: Path, tmp_path: Path) -> None:
    process = start("s5cmd", staging / "run")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert end_orphans(tmp_path / "link" / ".crypto-archive" / "staging") >= 1
    assert not psutil.pid_exists(process.pid)


def test_a_folder_that_is_not_there(staging: Path) -> None:
    assert end_orphans(staging) == 0


def test_one_that_cannot_be_ended_is_reported(start: Start, staging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start("s5cmd", staging)
    helper_of(process)

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(orphans.os, "killpg", refuse)
        patched.setattr(psutil.Process, "kill", refuse)  # of its helper, which may come first
        with pytest.raises(EnvironmentFailure, match=r"process \d+: permission denied") as caught:
            end_orphans(staging)
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert caught.value.hint == "Kill that process, then run the same command again."
    with monkeypatch.context() as patched:
        patched.setattr(orphans.os, "killpg", lambda *_: None)
        patched.setattr(psutil.Process, "kill", lambda *_: None)
        patched.setattr(orphans, "WAIT_SECONDS", 0.05)
        with pytest.raises(EnvironmentFailure, match=r"it was killed 0\.05 seconds ago and is still running"):
            end_orphans(staging)
