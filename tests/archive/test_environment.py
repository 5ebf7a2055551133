"""What keeps a run from its work: one clear message, what to do about it, and the exit code of the table."""

from __future__ import annotations

import shlex
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.archive.programs import s5cmd
from tests.archive.proxy import Stall, Status
from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, collect, collected, files_below, preset, stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

LISTING, CALENDAR = ("--discover", "listing"), ("--discover", "calendar")
BOTH = pytest.mark.parametrize("discovery", [LISTING, CALENDAR], ids=["listing", "calendar"])
SECONDS = 10.0


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The URL of an endpoint that refuses connections: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@BOTH
def test_a_refused_connection_is_reported_within_seconds(run: Runner, nowhere: str, discovery: tuple[str, ...]) -> None:
    started = time.monotonic()
    done = collect(run.at(nowhere), "-p", "research", "--start", "2025-07-01", "--end", "2025-07-15", *discovery)
    assert time.monotonic() - started < SECONDS
    assert done.code == 5
    assert done.report["status"] == "failed"
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert f"The archive's server {nowhere} cannot be reached: " in errors[0]
    assert "connection refused" in errors[0]
    assert "--discover calendar" not in done.stderr
    assert "Traceback" not in done.stderr
    assert stored(done.root) == set()


def test_a_plan_reports_it_too(run: Runner, nowhere: str) -> None:
    code, stdout, stderr = run.at(nowhere)("plan", *THREE)
    assert (code, stdout) == (5, "")
    assert stderr.startswith(f"Error: The archive's server {nowhere} cannot be reached: ")
    assert "\nHint: Check the network" in stderr


@BOTH
def test_a_server_that_denies_everything_ends_the_run(
    run: Runner, proxy: FaultProxy, discovery: tuple[str, ...]
) -> None:
    for kind in ("LIST", "GET", "HEAD"):
        proxy.fault(kind, "*", Status(403))
    done = collect(
        run.at(proxy.endpoint_url), "-p", "research", "--start", "2025-07-01", "--end", "2025-07-31", *discovery,
        "--jobs", "2",
    )  # fmt: skip
    assert len({event["batch"] for event in done.events("batch-started")}) <= 2  # one for each lane
    assert done.code == 5
    assert done.report["status"] == "failed"
    assert "AccessDenied" in done.report["error"]
    assert f"The archive's server {proxy.endpoint_url} denies" in done.stderr
    assert stored(done.root) == set()


def test_objects_that_are_denied_although_the_listing_is_not(run: Runner, proxy: FaultProxy) -> None:
    proxy.fault("GET", "*", Status(403))
    done = collect(run.at(proxy.endpoint_url), *THREE)
    assert (done.code, done.report["status"]) == (5, "failed")
    assert "denies access: AccessDenied" in done.report["error"]


def test_a_bucket_that_is_not_there(run: Runner) -> None:
    done = collect(run.with_environment(CRYPTO_ARCHIVE_BUCKET="other"), *THREE)
    assert done.code == 5
    assert "has no bucket 'other'" in done.report["error"]


def test_a_second_run_on_the_same_root_names_the_first(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", "--json", "-o", ROOT, *THREE) as first:
        stalled.wait()
        code, stdout, stderr = run("collect", *THREE, "-o", ROOT)
        proxy.clear()
        stdout_of_first, stderr_of_first = first.communicate(timeout=60)
    assert (code, stdout) == (5, "")
    holder = f"collect, process {first.pid} on {socket.gethostname()}, since "
    assert f"Error: Another run holds the lock of {run.folder / ROOT}: {holder}" in stderr
    assert "Hint: Wait for it with --wait" in stderr
    done = collected(run, first.returncode, stdout_of_first, stderr_of_first)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert len(list((done.root / ".crypto-archive" / "runs").iterdir())) == 1


def test_a_missing_s5cmd_is_reported_before_anything_is_created(run: Runner) -> None:
    broken = run.with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent/s5cmd")
    for command in (("collect", *THREE), ("plan", *THREE)):
        code, stdout, stderr = broken(*command)
        assert (code, stdout) == (5, "")
        assert stderr.startswith("Error: s5cmd was not found at /nonexistent/s5cmd\nHint: ")
        assert "CRYPTO_ARCHIVE_S5CMD" in stderr
    assert files_below(run.folder) == []


def test_an_old_s5cmd_is_refused(run: Runner, tmp_path: Path) -> None:
    old = tmp_path / "s5cmd"
    old.write_text("#!/bin/sh\necho v2.2.2-48f7e59\n", encoding="utf-8")
    old.chmod(0o755)
    code, _, stderr = run.with_environment(CRYPTO_ARCHIVE_S5CMD=old)("collect", *THREE)
    assert code == 5
    assert f"Error: s5cmd at {old} is too old: version 2.2.2, 2.3.0 or newer is needed" in stderr


def test_an_output_directory_that_is_a_file(run: Runner) -> None:
    (run.folder / ROOT).write_text("mine", encoding="utf-8")
    code, stdout, stderr = run("collect", *THREE, "-o", ROOT)
    assert (code, stdout) == (5, "")
    assert stderr.startswith(f"Error: Cannot write to output directory: {run.folder / ROOT}\nHint: ")
    assert (run.folder / ROOT).read_text(encoding="utf-8") == "mine"


def test_a_disk_that_is_full_ends_the_run_and_loses_nothing(run: Runner, archive: Archive, tmp_path: Path) -> None:
    collect(run, *THREE, "--end", "2025-07-13")
    full = tmp_path / "s5cmd"
    said = (
        '{"operation":"cp","command":"cp s3://data.binance.vision/%s %s","error":"write %s: no space left on device"}'
    )
    lines = "".join(f"echo {shlex.quote(said % (key, key, key))}\n" for key in KEYS[1:])
    full.write_text(f'#!/bin/sh\n[ "$1" = version ] && exec {s5cmd()} version\n{lines}exit 1\n', encoding="utf-8")
    full.chmod(0o755)
    done = collect(run.with_environment(CRYPTO_ARCHIVE_S5CMD=full), *THREE, *CALENDAR)
    assert done.code == 5
    assert "disk of the archive root is full" in done.report["error"]
    assert "Traceback" not in done.stderr
    assert done.outcomes["present"] == 1
    assert collect(run, *THREE).outcomes == {"present": 1, "fetched": 2}
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_matrix_file_that_is_not_there(run: Runner) -> None:
    for arguments in (("--matrix", "no.json"), ("-p", preset(run.folder, "matrix_path: no.json\n"))):
        code, stdout, stderr = run("collect", *THREE, *arguments)
        assert (code, stdout) == (2, "")
        assert "Archive matrix file not found: no.json" in stderr
        assert "Hint: " in stderr


def test_an_invalid_market(run: Runner) -> None:
    code, stdout, stderr = run("collect", "-m", "futures_uk", "-t", "klines")
    assert (code, stdout) == (2, "")
    assert "--market" in stderr
    assert "futures_uk" in stderr
    assert "did you mean 'futures_um'? (allowed: spot, futures_um, futures_cm, options)" in stderr


def test_all_problems_are_reported_together(run: Runner) -> None:
    path = preset(run.folder, "markets: [spott]\nbatch_size: 101\nsymbol: [BTCUSDT]\nintervals: {klines: [1x]}\n")
    code, stdout, stderr = run("collect", "-p", path, "--jobs", "0")
    assert (code, stdout) == (2, "")
    for line, words in ((1, "spott"), (2, "batch_size"), (3, "'symbols'"), (4, "'1x'")):
        assert [text for text in stderr.splitlines() if f"line {line}" in text and words in text], (line, stderr)
    assert "--jobs" in stderr
    assert "Error: 5 problems" in stderr
    assert files_below(run.folder) == ["preset.yaml"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_who_leaves_does_not_change_how_a_run_ends(run: Runner, proxy: FaultProxy, stream: str) -> None:
    proxy.fault("GET", KEYS[1], Status(403))
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT, "--json") as process:
        stalled.wait()
        getattr(process, stream).close()
        proxy.release()
        process.wait(timeout=30)
    assert process.returncode == 3
    assert stored(run.folder / ROOT) == {KEYS[0], KEYS[2]}
    assert "run-finished" in next((run.folder / ROOT).rglob("events.jsonl")).read_text("utf-8").splitlines()[-1]
