"""``collect`` on bad days of networks and servers: every object comes to one end, and no bad byte to a final path."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.archive.programs import s5cmd
from tests.archive.proxy import Corrupt, Delay, Slow, Stall, Status, Truncate
from tests.archive.results import (
    KEYS,
    ROOT,
    THREE,
    assert_same_bytes,
    collect,
    files_below,
    preset,
    processes_of,
    stored,
)
from tests.archive.sample import SIDECAR

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import Fault, FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

HASTE = "s5cmd_extra_args: [--retry-count=0]\n"
"""A preset in which only our own retries count, s5cmd's being slow on purpose."""


@pytest.fixture
def hasty(tmp_path: Path) -> tuple[str | Path, ...]:
    """Options for the three objects, without s5cmd's own retries."""
    return (*THREE, "-p", preset(tmp_path, HASTE))


@pytest.fixture
def faulty(run: Runner, proxy: FaultProxy) -> Runner:
    """A runner whose processes meet the proxy's faults."""
    return run.at(proxy.endpoint_url)


def test_bytes_spoilt_once_are_fetched_again(faulty: Runner, proxy: FaultProxy, archive: Archive) -> None:
    proxy.fault("GET", KEYS[0], Corrupt(times=1))
    done = collect(faulty, *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert proxy.count("GET", KEYS[0]) == proxy.count("GET", KEYS[0] + SIDECAR) == 2
    assert proxy.count("GET", KEYS[1]) == 1
    assert [event["objects"] for event in done.events("batch-retried")] == [1]
    assert "the sidecar says" in done.events("batch-retried")[0]["reason"]
    assert_same_bytes(done.root, archive.bucket, KEYS)


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_a_spoilt_sidecar_is_fetched_again(faulty: Runner, proxy: FaultProxy, archive: Archive, discovery: str) -> None:
    proxy.fault("GET", KEYS[0] + SIDECAR, Corrupt(times=1))
    done = collect(faulty, *THREE, "--discover", discovery)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_bytes_that_stay_bad_go_to_quarantine(
    faulty: Runner, proxy: FaultProxy, archive: Archive, discovery: str
) -> None:
    proxy.fault("GET", KEYS[0], Corrupt())
    done = collect(faulty, *THREE, "--discover", discovery)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "quarantined": 1})
    assert done.report["status"] == "partial"
    assert stored(done.root) == set(KEYS[1:])
    assert not (done.root / (KEYS[0] + SIDECAR)).exists()
    held = done.root / ".crypto-archive" / "quarantine"
    bytes_name, note_name = files_below(held)
    assert bytes_name == f"{KEYS[0]}.{done.report['run_id']}"
    assert note_name == f"{bytes_name}.reason.json"
    note = json.loads((held / note_name).read_text("utf-8"))
    size = (archive.bucket / KEYS[0]).stat().st_size
    assert (held / bytes_name).stat().st_size == note["size"] == size
    assert "the sidecar says" in note["reason"]
    assert f"kept as .crypto-archive/quarantine/{bytes_name}" in done.reasons[KEYS[0]]
    proxy.clear()
    assert collect(faulty, *THREE).outcomes == {"present": 2, "fetched": 1}
    assert files_below(held) == [bytes_name, note_name]


def test_one_denied_object_fails_in_the_words_of_the_server(
    faulty: Runner, proxy: FaultProxy, archive: Archive
) -> None:
    rule = proxy.fault("GET", f"{KEYS[1]}*", Status(403))
    done = collect(faulty, *THREE)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert "AccessDenied, by order of the test" in done.reasons[KEYS[1]]
    assert "status code: 403" in done.reasons[KEYS[1]]
    assert rule.hits == 2  # the zip and its sidecar, and no second attempt
    assert stored(done.root) == {KEYS[0], KEYS[2]}
    proxy.clear()
    _run_by_hand(done.folder / "failed.s5cmd", archive, done.root)
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert collect(faulty, *THREE).outcomes == {"present": 3}


def _run_by_hand(run_file: Path, archive: Archive, folder: Path) -> None:
    command = [
        str(s5cmd()),
        "--no-sign-request",
        "--endpoint-url",
        archive.endpoint_url,
        "run",
        str(run_file.absolute()),
    ]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={"AWS_REGION": "us-east-1"})


def test_failures_are_reported_to_a_person_with_what_to_do(faulty: Runner, proxy: FaultProxy) -> None:
    proxy.fault("GET", KEYS[1], Status(403))
    code, stdout, stderr = faulty("collect", *THREE, "-o", ROOT)
    assert code == 3
    assert "AccessDenied, by order of the test" in stdout
    assert "failed.s5cmd" in stdout
    assert f"failed: {KEYS[1]}: AccessDenied" in stderr


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_objects_that_vanish_after_the_listing_are_absent(faulty: Runner, proxy: FaultProxy, discovery: str) -> None:
    proxy.fault("GET", f"{KEYS[1]}*", Status(404))
    done = collect(faulty, *THREE, "--discover", discovery)
    assert (done.code, done.outcomes) == (0, {"fetched": 2, "absent": 1})
    assert done.report["absences"]["hole"] == 1
    assert done.run_files[0] != []
    assert len(done.run_files) == 1


def test_an_archive_that_has_nothing_of_it_is_not_a_success(faulty: Runner, proxy: FaultProxy) -> None:
    proxy.fault("GET", "*", Status(404))
    done = collect(faulty, *THREE, "--discover", "calendar")
    assert (done.code, done.outcomes, done.report["status"]) == (3, {"absent": 3}, "empty")
    assert stored(done.root) == set()


def test_a_busy_server_is_asked_again_until_all_is_there(
    faulty: Runner, proxy: FaultProxy, archive: Archive, hasty: tuple[str, ...]
) -> None:
    rule = proxy.fault("GET", "*", Status(503, times=8))
    done = collect(faulty, *hasty)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert rule.hits == 8
    assert "SlowDown" in done.events("batch-retried")[0]["reason"]
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_server_that_stays_busy_fails_what_it_has_not_sent(
    faulty: Runner, proxy: FaultProxy, hasty: tuple[str, ...]
) -> None:
    rule = proxy.fault("GET", KEYS[1], Status(503))
    done = collect(faulty, *hasty)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert "SlowDown" in done.reasons[KEYS[1]]
    assert rule.hits == done.report["failures"][0]["attempts"] == 4
    assert [event["attempt"] for event in done.events("batch-started")] == [1, 2, 3, 4]


@pytest.mark.parametrize("fault", [Truncate(times=1), Delay(0.5, times=2)], ids=["truncated", "late"])
def test_what_passes_by_itself_is_not_a_failure(
    faulty: Runner, proxy: FaultProxy, archive: Archive, hasty: tuple[str, ...], fault: Fault
) -> None:
    rule = proxy.fault("GET", "*.zip", fault)
    done = collect(faulty, *hasty)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert rule.hits == fault.times
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_half_of_an_object_never_reaches_its_final_path(
    faulty: Runner, proxy: FaultProxy, hasty: tuple[str, ...]
) -> None:
    proxy.fault("GET", KEYS[2], Truncate())
    done = collect(faulty, *hasty)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert "unexpected EOF" in done.reasons[KEYS[2]]
    assert stored(done.root) == set(KEYS[:2])
    assert files_below(done.root / ".crypto-archive" / "staging") == []


def test_a_transfer_that_stands_still_is_stopped_and_tried_again(
    faulty: Runner, proxy: FaultProxy, archive: Archive
) -> None:
    rule = proxy.fault("GET", KEYS[0], Stall(times=1))
    done = collect(faulty.with_environment(CRYPTO_ARCHIVE_STALL_SECONDS="1"), *THREE)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert (rule.hits, proxy.count("GET", KEYS[1])) == (1, 1)
    retried = done.events("batch-retried")
    assert [(event["objects"], event["reason"]) for event in retried] == [(1, "nothing arrived for 1 seconds")]
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert processes_of(faulty.folder) == []


def test_a_slow_transfer_is_not_a_stall(faulty: Runner, proxy: FaultProxy, archive: Archive) -> None:
    key = KEYS[0].replace("1h", "1m")
    rule = proxy.fault("GET", key, Slow((archive.bucket / key).stat().st_size / 2.5))
    runner = faulty.with_environment(CRYPTO_ARCHIVE_STALL_SECONDS="1")
    done = collect(runner, *THREE, "-i", "1m", "--end", "2025-07-13")
    assert (done.code, done.outcomes, rule.hits) == (0, {"fetched": 2}, 1)
    assert done.report["collection_stats"]["processing_time_seconds"] > 2
    assert_same_bytes(done.root, archive.bucket, [key])


def test_an_attempt_that_takes_too_long_is_stopped_and_tried_again(
    faulty: Runner, proxy: FaultProxy, archive: Archive, tmp_path: Path
) -> None:
    proxy.fault("GET", KEYS[0], Stall(times=1))
    done = collect(faulty, *THREE, "-p", preset(tmp_path, "timeout_seconds: 1\n"))
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert [event["reason"] for event in done.events("batch-retried")] == ["not done within 1 seconds"]
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_listing_that_is_busy_once_is_complete_in_the_end(faulty: Runner, proxy: FaultProxy) -> None:
    rule = proxy.fault("LIST", "*", Status(503, times=1))
    assert collect(faulty, *THREE).outcomes == {"fetched": 3}
    assert rule.hits == 1
