"""The doctor against the sample archive, and against everything that can be wrong; it changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from crypto_archive.root.database import SCHEMA_VERSION
from tests.archive.proxy import Skewed, Stall, Status
from tests.archive.results import KEYS, ROOT, THREE, collect, files_below, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner

SECONDS = 20.0
NAMES = (
    "crypto-archive", "matrix", "settings", "extras", "open files", "archive root", "space", "layout", "lock", "shards",
    "manifest", "s5cmd", "proxy", "endpoint", "listing", "clock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Examined:
    code: int
    document: dict[str, Any]

    def __getitem__(self, name: str) -> dict[str, str]:
        return next(check for check in self.document["checks"] if check["name"] == name)

    def not_ok(self) -> dict[str, str]:
        return {check["name"]: check["status"] for check in self.document["checks"] if check["status"] != "ok"}


def examine(run: Runner, *arguments: str | Path) -> Examined:
    code, stdout, stderr = run("doctor", "--json", *arguments, seconds=SECONDS)
    assert stderr == ""
    document = json.loads(stdout)
    validate(document, "doctor.schema.json")
    assert tuple(check["name"] for check in document["checks"]) == NAMES
    assert document["exit_code"] == code
    for check in document["checks"]:
        assert check["found"]
        assert bool(check["advice"]) is (check["status"] != "ok")
    return Examined(code, document)


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {name: ((folder / name).stat().st_size, (folder / name).read_bytes()) for name in files_below(folder)}


def test_all_is_well_and_no_root_is_made(run: Runner) -> None:
    done = examine(run, "-o", ROOT)
    assert (done.code, done.not_ok(), done.document["status"]) == (0, {}, "ok")
    assert done["s5cmd"]["found"].startswith("2.")
    assert done["listing"]["found"].endswith("/data/ has futures, option, spot")
    assert done["clock"]["found"] == "agrees with the server's"
    assert "does not exist yet" in done["archive root"]["found"]
    assert list(run.folder.iterdir()) == []


def test_a_root_in_use_is_looked_at_and_left_as_it_is(run: Runner) -> None:
    collected = collect(run, *THREE)
    before = state_of(collected.root)
    done = examine(run, "-o", ROOT)
    assert (done.code, done.not_ok()) == (0, {})
    assert done["manifest"]["found"] == f"sound, version {SCHEMA_VERSION}, 3 objects"
    assert state_of(collected.root) == before


def test_the_table_says_what_to_do(run: Runner) -> None:
    code, stdout, _ = run.with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent/s5cmd")("doctor")
    assert code == 5
    lines = [" ".join(line.split()) for line in stdout.splitlines()]
    at = lines.index("s5cmd failed s5cmd was not found at /nonexistent/s5cmd")
    assert lines[at + 1].startswith("→ It is installed together with crypto-archive;")
    assert "endpoint warning not checked: only s5cmd talks to the server" in lines
    assert "space ok" in stdout.replace("  ", "")


@pytest.fixture
def nowhere() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_dead_port_is_reported_within_seconds_whatever_the_retries(run: Runner, nowhere: str, tmp_path: Path) -> None:
    (tmp_path / "patient.yaml").write_text("s5cmd_extra_args: [--retry-count=10]\n", "utf-8")
    started = time.monotonic()
    done = examine(run, "--endpoint-url", nowhere, "-p", tmp_path / "patient.yaml")
    assert time.monotonic() - started < SECONDS / 2
    assert done.code == 5
    assert done.not_ok() == {"endpoint": "failed", "listing": "warning", "clock": "warning"}
    assert done["endpoint"]["found"].startswith(f"{nowhere} cannot be reached: dial tcp 127.0.0.1:")
    assert done["endpoint"]["found"].endswith("connection refused")


def test_a_denied_listing_is_not_a_dead_endpoint(run: Runner, proxy: FaultProxy) -> None:
    proxy.fault("LIST", "*", Status(403))
    done = examine(run.at(proxy.endpoint_url))
    assert (done.code, done.not_ok()) == (5, {"listing": "failed"})
    assert "is denied: AccessDenied" in done["listing"]["found"]
    assert "--discover calendar" in done["listing"]["advice"]
    assert proxy.count() == 1


def test_a_server_in_trouble_is_asked_once(run: Runner, proxy: FaultProxy) -> None:
    proxy.fault("LIST", "*", Status(503))
    done = examine(run.at(proxy.endpoint_url))
    assert (done.code, done.not_ok()) == (5, {"listing": "failed"})
    assert "SlowDown" in done["listing"]["found"]
    assert proxy.count() == 1


def test_a_bucket_without_data_is_not_an_archive(run: Runner) -> None:
    done = examine(run.with_environment(CRYPTO_ARCHIVE_BUCKET="other"))
    assert done.code == 5
    assert done["endpoint"]["status"] == "ok"
    assert done["listing"]["status"] == "failed"
    assert done["settings"]["found"] == (
        "endpoint_url from CRYPTO_ARCHIVE_ENDPOINT_URL; bucket from CRYPTO_ARCHIVE_BUCKET"
    )


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (30.0, "ok", "agrees with the server's"),
        (600.0, "warning", "10 minutes behind the server's"),
        (7200.0, "failed", "2 hours behind the server's"),
        (-86_400.0 * 3, "failed", "3 days ahead of the server's"),
    ],
)
def test_a_clock_that_is_wrong(run: Runner, proxy: FaultProxy, seconds: float, status: str, words: str) -> None:
    proxy.fault("LIST", "*", Skewed(seconds))
    done = examine(run.at(proxy.endpoint_url))
    assert (done["clock"]["status"], done["clock"]["found"]) == (status, words)
    assert done.code == (5 if status == "failed" else 0)


def test_a_damaged_manifest_is_found_and_left_alone(run: Runner) -> None:
    collected = collect(run, *THREE)
    manifest = collected.root / ".crypto-archive" / "manifest.sqlite"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    before = state_of(collected.root)
    done = examine(run, "-o", ROOT)
    assert (done.code, done.not_ok()) == (5, {"manifest": "failed"})
    assert done["manifest"]["found"].startswith(f"The manifest is damaged: {manifest} (")
    assert "verify --rebuild-manifest" in done["manifest"]["advice"]
    assert state_of(collected.root) == before


def test_the_holder_of_the_lock_is_reported_and_not_disturbed(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", "-q", "-o", ROOT, *THREE) as first:
        stalled.wait()
        done = examine(run, "-o", ROOT)
        proxy.clear()
        assert first.wait(timeout=60) == 0
    assert (done.code, done.not_ok()) == (0, {"lock": "warning"})
    assert f"collect, process {first.pid} on {socket.gethostname()}" in done["lock"]["found"]


def test_shards_that_run_and_shards_that_were_left(run: Runner) -> None:
    collected = collect(run, *THREE)
    private = collected.root / ".crypto-archive"
    for number in (1, 2):
        part = private / "parts" / f"0123456789ab-{number}-of-3"
        part.mkdir(parents=True)
        shutil.copy(private / "manifest.sqlite", part)
    (private / "parts" / "0123456789ab-1-of-3" / "lock").touch()
    with FileLock(private / "parts" / "0123456789ab-1-of-3" / "lock"):
        running = examine(run, "-o", ROOT)
    left = examine(run, "-o", ROOT)
    assert running["shards"]["found"] == "1 running: 0123456789ab-1-of-3; 1 left: 0123456789ab-2-of-3"
    assert running["shards"]["status"] == "ok"
    assert left["shards"]["found"] == "2 left: 0123456789ab-1-of-3, 0123456789ab-2-of-3"
    assert (left.code, left["shards"]["status"]) == (0, "warning")


def test_every_problem_of_one_call_is_reported_together(run: Runner, nowhere: str) -> None:
    (run.folder / "file").write_text("in the way", "utf-8")
    done = examine(run, "--endpoint-url", nowhere, "-o", run.folder / "file" / "root")
    assert done.code == 5
    assert {"archive root": "failed", "endpoint": "failed"}.items() <= done.not_ok().items()
    assert done["archive root"]["found"] == f"{run.folder / 'file'} is not a folder"
