"""A ``collect`` that is stopped from outside: it says so, leaves no process, and the next run finishes the work."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.archive.programs import s5cmd
from tests.archive.proxy import Delay, Slow, Stall
from tests.archive.results import (
    FOLDER,
    KEYS,
    RESEARCH,
    ROOT,
    THREE,
    assert_same_bytes,
    collect,
    ended,
    files_below,
    in_research,
    keys_where,
    preset,
    processes_of,
    stored,
)
from tests.archive.running import until
from tests.archive.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX"),
    pytest.mark.usefixtures("no_orphans"),
]

SPOT = (*RESEARCH, "-m", "spot")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=lambda one: str(one)
)
def test_a_signal_ends_a_run_cleanly_and_the_next_one_completes_it(
    run: Runner, proxy: FaultProxy, archive: Archive, number: signal.Signals, code: int
) -> None:
    expected = keys_where(archive.spec, lambda item: in_research(item) and item.market == "spot")
    stalled = proxy.fault("GET", "*ETHUSDT*.zip", Stall())
    with run.at(proxy.endpoint_url).start("collect", *SPOT, "-o", ROOT, "--json", "--jobs", "2") as process:
        stalled.wait(2)
        process.send_signal(number)
        done = ended(run, process)
    assert done.code == code
    assert done.report["status"] == "interrupted"
    assert done.report["interrupted_by"] == number.name
    assert done.outcomes["cancelled"] > 0
    assert set(done.outcomes) <= {"fetched", "cancelled"}
    assert done.outcomes.get("fetched", 0) == len(stored(done.root))
    assert f"was interrupted by {number.name}" in done.stderr
    assert processes_of(run.folder) == []
    assert files_below(done.root / ".crypto-archive" / "staging") == []
    assert_same_bytes(done.root, archive.bucket, stored(done.root))
    before = stored(done.root)
    after = collect(run, *SPOT)
    assert (after.code, after.outcomes) == (0, {"fetched": len(expected - before)} | _count("present", before))
    assert_same_bytes(done.root, archive.bucket, expected)


def _count(name: str, keys: set[str]) -> dict[str, int]:
    return {name: len(keys)} if keys else {}


def test_what_had_arrived_by_then_is_kept(run: Runner, proxy: FaultProxy, archive: Archive, tmp_path: Path) -> None:
    stalled = proxy.fault("GET", KEYS[2], Stall())
    one = preset(tmp_path, "batch_size: 2\nmax_parallel_downloads: 1\n")
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-p", one, "-o", ROOT, "--json") as process:
        stalled.wait()
        process.send_signal(signal.SIGINT)
        done = ended(run, process)
    assert done.outcomes == {"fetched": 2, "cancelled": 1}
    assert stored(done.root) == set(KEYS[:2])
    assert collect(run, *THREE).outcomes == {"present": 2, "fetched": 1}


@pytest.mark.parametrize("symbol", ["BTCUSDT", "*USDT"])
def test_a_signal_while_the_listing_is_under_way(run: Runner, proxy: FaultProxy, symbol: str) -> None:
    held = proxy.fault("LIST", "*", Delay(60))
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-s", symbol, "-o", ROOT, "--json") as process:
        held.wait()
        process.send_signal(signal.SIGINT)
        done = ended(run, process, seconds=10)
    assert (done.code, done.outcomes, done.report["status"]) == (130, {}, "interrupted")
    assert not [child for child in psutil.process_iter() if _started_for(proxy, child)]


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        (("plan", *THREE), signal.SIGINT, 130),
        (("plan", *THREE), signal.SIGTERM, 143),
        (("matrix", "check"), signal.SIGINT, 130),
        (("verify", *THREE, "--discover", "listing", "-o", "."), signal.SIGINT, 130),
    ],
    ids=["plan", "plan-term", "matrix-check", "verify"],
)
def test_commands_that_only_look_can_be_interrupted(
    run: Runner, proxy: FaultProxy, command: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    held = proxy.fault("LIST", "*", Delay(60))
    with run.at(proxy.endpoint_url).start(*command) as process:
        held.wait()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == code
    assert "Traceback" not in stderr
    assert not [child for child in psutil.process_iter() if _started_for(proxy, child)]


def _started_for(proxy: FaultProxy, process: psutil.Process) -> bool:
    try:
        return proxy.endpoint_url in process.cmdline()
    except psutil.Error:
        return False


def test_a_second_interrupt_does_not_wait_for_a_child_that_will_not_go(run: Runner, tmp_path: Path) -> None:
    stubborn, up, asked = tmp_path / "s5cmd", tmp_path / "up", tmp_path / "asked"
    stubborn.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec {s5cmd()} version\n'
        f"trap ': >{asked}' INT\ntrap '' TERM\n: >{up}\nwhile :; do sleep 600; done\n",
        encoding="utf-8",
    )
    stubborn.chmod(0o755)
    runner = run.with_environment(CRYPTO_ARCHIVE_S5CMD=stubborn)
    with runner.start("collect", *THREE, "-o", ROOT, "--json", "--discover", "calendar") as process:
        until(up.exists)
        process.send_signal(signal.SIGINT)
        until(asked.exists)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        done = ended(run, process)
    assert time.monotonic() - started < 3  # the grace would be 5 seconds
    assert (done.code, done.outcomes) == (130, {"cancelled": 3})
    assert done.report["interrupted_by"] == "SIGINT"
    assert processes_of(run.folder) == []


@pytest.mark.parametrize("requests", [1, 20])
def test_a_run_that_is_killed_leaves_no_half_file_and_the_next_one_completes_it(
    run: Runner, proxy: FaultProxy, archive: Archive, requests: int
) -> None:
    expected = keys_where(archive.spec, lambda item: in_research(item) and item.market == "spot")
    slow = proxy.fault("GET", "*", Slow(50_000))
    with run.at(proxy.endpoint_url).start("collect", *SPOT, "-o", ROOT, "--json", "--jobs", "2") as process:
        slow.wait(requests)
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    root = run.folder / ROOT
    there = stored(root)
    assert there < expected
    assert_same_bytes(root, archive.bucket, there)
    done = collect(run, *SPOT)
    assert done.code == 0
    assert done.outcomes.get("present", 0) >= len(there)
    assert stored(root) == expected
    assert_same_bytes(root, archive.bucket, expected)
    proxy.clear()
    until(lambda: processes_of(run.folder) == [])
    assert list((root / ".crypto-archive" / "staging").iterdir()) == []
    assert run("verify", "--all", "-o", ROOT).code == 0


# A run that was killed, or whose s5cmd was


def test_what_a_killed_run_has_left_running_is_ended_by_the_next_one(
    run: Runner, proxy: FaultProxy, archive: Archive
) -> None:
    """Its s5cmd waits for the second halves of files, and does not notice that nobody reads what it would say."""
    staging = run.folder / ROOT / ".crypto-archive" / "staging"
    stalled = proxy.fault("GET", "*", Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT, "--json") as process:
        stalled.wait(2)  # as many copies as there are at least in one s5cmd
        until(lambda: any(FOLDER in name for name in files_below(staging)))
        process.kill()
        process.communicate(timeout=30)
    (orphan,) = processes_of(run.folder)
    done = collect(run, *THREE)
    assert not orphan.is_running()
    assert processes_of(run.folder) == []
    assert list(staging.iterdir()) == []
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)


@pytest.mark.parametrize("kills", [1, 2])
def test_an_s5cmd_that_is_killed_is_started_again(run: Runner, proxy: FaultProxy, archive: Archive, kills: int) -> None:
    """The first one copies by a pattern, the second one by name, and then it is another attempt."""
    stalled = proxy.fault("GET", KEYS[0], Stall(times=kills))
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT, "--json") as process:
        for number in range(1, kills + 1):
            stalled.wait(number)
            (victim,) = processes_of(run.folder)
            victim.kill()
        done = ended(run, process)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    reasons = [event["reason"] for event in done.events("batch-retried")]
    assert reasons == ["s5cmd exited without reporting this object"] * (kills - 1)
    assert (done.folder / "batch-00001-by-name.s5cmd").exists()
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_an_s5cmd_that_runs_out_of_memory_is_started_again(run: Runner, archive: Archive, tmp_path: Path) -> None:
    starved, scarce = tmp_path / "starved", tmp_path / "s5cmd"
    scarce.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec {s5cmd()} version\n'
        f'[ -e {starved} ] || {{ : >{starved}; ulimit -v 100000; }}\nexec {s5cmd()} "$@"\n',
        encoding="utf-8",
    )
    scarce.chmod(0o755)
    done = collect(run.with_environment(CRYPTO_ARCHIVE_S5CMD=scarce), *THREE, "--discover", "calendar")
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert starved.exists()
    assert (done.folder / "batch-00001-by-name.s5cmd").exists()
    assert_same_bytes(done.root, archive.bucket, KEYS)


# Terminals


def test_a_terminal_that_is_closed_ends_the_run_cleanly(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with Terminal(run.at(proxy.endpoint_url)).start("collect", *THREE, "-o", ROOT) as terminal:
        stalled.wait()
        terminal.close()
        assert terminal.process.wait(timeout=30) == 143
    report = report_of(run)
    assert (report["status"], report["interrupted_by"]) == ("interrupted", "SIGHUP")
    assert processes_of(run.folder) == []
    assert files_below(run.folder / ROOT / ".crypto-archive" / "staging") == []
    done = collect(run, *THREE)
    assert (done.code, sum(done.outcomes.values())) == (0, 3)
    assert_same_bytes(done.root, archive.bucket, KEYS)


@pytest.mark.parametrize("typed", [b"\x03", b"\x03\x03"], ids=["once", "twice at once"])
def test_an_interrupt_that_is_typed(run: Runner, proxy: FaultProxy, typed: bytes) -> None:
    """The terminal sends it to all of its foreground; s5cmd is not among them, and ends nevertheless."""
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with Terminal(run.at(proxy.endpoint_url)).start("collect", *THREE, "-o", ROOT) as terminal:
        stalled.wait()
        terminal.type(typed)
        assert terminal.process.wait(timeout=30) == 130
    assert "The run was interrupted" in terminal.seen
    assert "Traceback" not in terminal.seen
    report = report_of(run)
    assert (report["status"], report["interrupted_by"]) == ("interrupted", "SIGINT")
    assert processes_of(run.folder) == []
    assert files_below(run.folder / ROOT / ".crypto-archive" / "staging") == []


def test_two_signals_together_end_a_run_that_has_two_lanes(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", "*ETHUSDT*.zip", Stall())
    with run.at(proxy.endpoint_url).start("collect", *SPOT, "-o", ROOT, "--json", "--jobs", "2") as process:
        stalled.wait(2)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        done = ended(run, process)
    assert done.code in {130, 143}  # the system may hand the second one over first
    assert done.report["status"] == "interrupted"
    assert processes_of(run.folder) == []


def test_a_run_that_was_started_with_nohup_goes_on(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    under_nohup = replace(run, command=("/bin/sh", "-c", 'trap "" HUP; exec "$0" "$@"', *run.command))
    with under_nohup.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT, "--json") as process:
        stalled.wait()
        process.send_signal(signal.SIGHUP)
        proxy.clear()
        done = ended(run, process)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})


# The first and the last moments of a process

STOPPING = "import os, signal\ndef stop(*_):\n    for one in (1, 15, 2): os.kill(os.getpid(), one)\n"
MOMENTS = {
    "its run is over": "import contextlib\nfrom crypto_archive.cli import process\nheeding = process.stopping\n"
    "@contextlib.contextmanager\ndef until_then(token):\n    with heeding(token): yield\n    stop()\n"
    "process.stopping = until_then\n",
    "it exits": "import atexit\natexit.register(stop)\n",
    "its modules are torn down": "class Late: __del__ = stop\nlate = Late()\n",
}
"""When a process sends itself all signals that stop a command."""


def sending(run: Runner, moment: str) -> Runner:
    """A runner whose processes send themselves these signals."""
    script = f"{STOPPING}{moment}from crypto_archive.__main__ import main\nmain()\n"
    return replace(run, command=(sys.executable, "-c", script))


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_signal_after_the_end_of_a_run_changes_nothing(run: Runner, moment: str) -> None:
    done = collect(sending(run, moment), *THREE)
    assert (done.code, done.outcomes, done.stderr.count("Traceback")) == (0, {"fetched": 3}, 0)
    assert report_of(run)["exit_code"] == 0


def test_a_signal_after_the_end_of_a_verification_changes_nothing(run: Runner) -> None:
    (collect(run, *THREE).root / KEYS[0]).unlink()
    code, stdout, stderr = sending(run, MOMENTS["its run is over"])("verify", "--all", "-o", ROOT, "--json")
    assert (code, stderr.count("Traceback")) == (4, 0)
    assert json.loads(stdout)["status"] == "bad"


def test_a_signal_after_a_command_that_only_looks_changes_nothing(run: Runner) -> None:
    assert sending(run, MOMENTS["it exits"])("preset", "list").code == 0


def test_an_interrupt_while_the_program_loads_is_not_a_traceback(run: Runner) -> None:
    loading = (
        "class Loading:\n    def find_spec(self, name, *_):\n        if name == 'typer': os.kill(os.getpid(), 2)\n"
    )
    done = sending(run, f"{loading}import sys\nsys.meta_path.insert(0, Loading())\n")("preset", "list")
    assert (done.code, done.stderr) == (130, "")


def report_of(run: Runner) -> dict[str, Any]:
    """Return the report of the only run."""
    (path,) = (run.folder / ROOT).rglob("report.json")
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return report
