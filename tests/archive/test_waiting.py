"""``--wait``: a second run on a root that another one holds takes its turn."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.archive.proxy import Stall
from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, collect, collected, ended, processes_of, stored

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")

COLLECT = ("collect", *THREE, "-o", ROOT, "--json")


@pytest.fixture
def first(run: Runner, proxy: FaultProxy) -> Iterator[subprocess.Popen[str]]:
    """A collect that holds the lock until the proxy lets it go on."""
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start(*COLLECT) as process:
        stalled.wait()
        try:
            yield process
        finally:
            process.kill()
            for orphan in processes_of(run.folder):
                orphan.kill()


@contextmanager
def waiting(run: Runner, holder: subprocess.Popen[str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has said that it waits, and for whom."""
    with run.start(*arguments, "--wait") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert f"Another run holds the lock of {run.folder / ROOT}: collect, process {holder.pid} on " in said
        assert "; waiting for it to finish" in said
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_the_second_run_goes_on_when_the_first(
    run: Runner, proxy: FaultProxy, archive: Archive, first: subprocess.Popen[str], how: str
) -> None:
    with waiting(run, first, *COLLECT) as second:
        if how == "ends":
            proxy.clear()
            assert ended(run, first).outcomes == {"fetched": 3}
        else:
            first.kill()
            first.communicate(timeout=30)
        stdout, stderr = second.communicate(timeout=30)
    done = collected(run, second.returncode, stdout, stderr)
    assert "waiting" not in stderr  # it was told once
    assert done.code == 0
    assert done.outcomes.get("present", 0) == (3 if how == "ends" else len(KEYS) - done.outcomes.get("fetched", 0))
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert processes_of(run.folder) == []


def test_a_wait_can_be_interrupted(run: Runner, first: subprocess.Popen[str]) -> None:
    with waiting(run, first, *COLLECT) as second, waiting(run, first, "collect", *THREE, "-o", ROOT) as third:
        second.send_signal(signal.SIGINT)
        done = ended(run, second, seconds=10)
        third.send_signal(signal.SIGTERM)
        stdout, stderr = third.communicate(timeout=10)
    assert (done.code, done.outcomes, done.report["status"]) == (130, {}, "interrupted")
    assert "Traceback" not in done.stderr
    assert len(list((run.folder / ROOT).glob(".crypto-archive/runs/*"))) == 1  # that of the first
    assert third.returncode == 143  # and a person is told
    assert "The run was interrupted" in stdout
    assert "report.json" not in stdout
    assert "Traceback" not in stderr


def test_a_repair_waits_too(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    done = collect(run, *THREE, "--end", "2025-07-14")
    (done.root / KEYS[1]).write_bytes(b"not what it was")
    stalled = proxy.fault("GET", KEYS[2], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "--discover", "calendar", "-o", ROOT, "--json") as first:
        stalled.wait()
        (done.root / KEYS[0]).write_bytes(b"nor this")
        with waiting_repair(run, first) as repair:
            proxy.clear()
            first.communicate(timeout=30)
            stdout, stderr = repair.communicate(timeout=30)
    assert repair.returncode == 0, stderr
    assert json.loads(stdout)["repair"]["outcomes"]["fetched"] >= 1
    assert_same_bytes(done.root, archive.bucket, stored(done.root))


@contextmanager
def waiting_repair(run: Runner, holder: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with run.start("verify", "--all", "--repair", "--wait", "--json", "-o", ROOT) as process:
        assert process.stderr is not None
        while "; waiting for it to finish" not in (said := process.stderr.readline()):
            assert said, "it does not wait"
        assert f"process {holder.pid} on " in said
        try:
            yield process
        finally:
            process.kill()
