"""The flow against the sample archive, as Prefect's server and the files remember it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.proxy import Stall, Status
from tests.archive.results import (
    KEYS,
    RESEARCH,
    ROOT,
    THREE,
    assert_same_bytes,
    assert_whole,
    files_below,
    in_research,
    keys_where,
    preset,
    processes_of,
    stored,
    validate,
)
from tests.archive.running import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Ended, Runner
    from tests.archive.served import Archive
    from tests.flows.reading import Prefect

pytest.importorskip("prefect", reason="needs the extra prefect")

STEPS = ("validate", "plan", "verify", "report")


def result_of(ended: Ended) -> dict[str, Any]:
    """Return the document that ``flow run --json`` has printed; what is in it must add up."""
    assert ended.stdout, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    assert result["exit_code"] == ended.code
    assert_whole(result["collection"])
    if result["verification"]:
        validate(result["verification"], "verify.schema.json")
    assert (
        sum(shard["objects"] for shard in result["shards"]) == result["collection"]["collection_stats"]["total_tasks"]
    )
    return result


def test_a_flow_run_collects_in_shards_verifies_and_reports(flow: Runner, archive: Archive, prefect: Prefect) -> None:
    ended = flow("run", *RESEARCH, "-o", ROOT, "--shards", "3", "--json")
    assert ended.code == 0, ended.stderr
    result = result_of(ended)
    wanted = keys_where(archive.spec, in_research)
    assert result["status"] == "success"
    assert result["collection"]["outcomes"]["fetched"] == result["verification"]["verdicts"]["ok"] == len(wanted)
    assert stored(flow.folder / ROOT) == wanted
    assert_same_bytes(flow.folder / ROOT, archive.bucket, wanted)

    flow_run = prefect.run_named_in(ended.stderr)
    assert flow_run.state is not None
    assert (flow_run.state.type.value, flow_run.state.message) == ("COMPLETED", result["reason"])
    shards = [f"collect-{number}-of-3" for number in (1, 2, 3)]
    tasks = prefect.tasks(flow_run, *STEPS, *shards)
    assert {name: (task.state_name, task.run_count) for name, task in tasks.items()} == dict.fromkeys(
        [*STEPS, *shards], ("Completed", 1)
    )
    assert tasks["plan"].state is not None
    assert tasks["plan"].state.message == f"objects: {len(wanted)}, to fetch: {len(wanted)}"
    artifact = prefect.artifact(flow_run)
    assert artifact.startswith("# Archive collection: success\n")
    assert "| spot | klines | 12 | 12 |" in artifact
    assert "## Failures" not in artifact
    assert not (flow.folder / ROOT / ".crypto-archive" / "shards").exists()


def test_a_partial_collection_is_a_failed_flow_run_that_says_why(
    flow: Runner, proxy: FaultProxy, archive: Archive, prefect: Prefect
) -> None:
    for kind in ("HEAD", "GET"):
        proxy.fault(kind, KEYS[2], Status(404))
    ended = flow.at(proxy.endpoint_url)("run", *THREE, "-o", ROOT, "--shards", "3", "--json")
    result = result_of(ended)
    assert (ended.code, result["status"]) == (3, "partial")
    flow_run = prefect.run_named_in(ended.stderr)
    assert flow_run.state is not None
    assert flow_run.state_name == "Failed"
    assert flow_run.state.message == result["reason"]
    assert result["reason"].startswith("partial: 3 objects, ")
    tasks = prefect.tasks(flow_run, *STEPS)
    assert {name: (tasks[name].state_name, tasks[name].run_count) for name in tasks if "collect" in name} == {
        "collect-1-of-3": ("Completed", 1),
        "collect-2-of-3": ("Completed", 1),
        "collect-3-of-3": ("Failed", 1),  # for a server that refuses, another attempt is none
    }
    artifact = prefect.artifact(flow_run)
    assert artifact.startswith("# Archive collection: partial\n")
    assert f"| {KEYS[2]} | failed | " in artifact
    assert_same_bytes(flow.folder / ROOT, archive.bucket, KEYS[:2])
    shards = flow.folder / ROOT / ".crypto-archive" / "shards" / str(flow_run.id)
    assert files_below(shards) == [f"shard-{number}-of-3.lock" for number in (1, 2, 3)]


def test_what_another_attempt_can_help_is_tried_again(
    flow: Runner, proxy: FaultProxy, archive: Archive, prefect: Prefect, tmp_path: Path
) -> None:
    hasty = preset(tmp_path, "s5cmd_extra_args: [--retry-count=0]\n")
    proxy.fault("GET", KEYS[0], Status(503, times=4))
    ended = flow.at(proxy.endpoint_url)(
        "run", *THREE, "-p", hasty, "-o", ROOT, "--retries", "1", "--retry-delay", "0", "--json"
    )
    result = result_of(ended)
    assert (ended.code, result["status"]) == (0, "success"), ended.stderr
    flow_run = prefect.run_named_in(ended.stderr)
    collected = prefect.tasks(flow_run, *STEPS)["collect-1-of-1"]
    assert collected.run_count == 2
    assert prefect.states(collected) == ["Pending", "Running", "Retrying", "Completed"]
    assert_same_bytes(flow.folder / ROOT, archive.bucket, KEYS)


def test_a_bad_verification_is_a_failed_flow_run(run: Runner, flow: Runner, prefect: Prefect) -> None:
    assert run("collect", *THREE, "-o", ROOT, "-q").code == 0
    stored_file = flow.folder / ROOT / KEYS[1]
    spoilt = bytes([stored_file.read_bytes()[0] ^ 1]) + stored_file.read_bytes()[1:]
    times = stored_file.stat()
    stored_file.write_bytes(spoilt)
    os.utime(stored_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    ended = flow("run", *THREE, "-o", ROOT, "--json")
    result = result_of(ended)
    assert (ended.code, result["status"]) == (4, "bad")
    flow_run = prefect.run_named_in(ended.stderr)
    assert flow_run.state is not None
    assert (flow_run.state_name, flow_run.state.message) == ("Failed", result["reason"])
    assert f"verification bad: 3 objects, 1 corrupt; first: {KEYS[1]}: corrupt" in result["reason"]
    assert f"| {KEYS[1]} | corrupt | " in prefect.artifact(flow_run)


def test_a_shard_outlives_the_dask_worker_that_collects_it(
    flow: Runner, proxy: FaultProxy, archive: Archive, prefect: Prefect
) -> None:
    held = proxy.fault("GET", KEYS[1], Stall(times=1))
    arguments = ("run", *THREE, "-o", ROOT, "--shards", "3", "--dask-workers", "2", "--json")
    with flow.at(proxy.endpoint_url).start(*arguments) as process:
        flow_run = prefect.begun(process)
        held.wait(seconds=60.0)
        until(lambda: len(stored(flow.folder / ROOT)) == 2)  # the others are through
        prefect.until_running(flow_run, "collect-2-of-3")
        until(lambda: len(processes_of(flow.folder)) == 1)
        (s5cmd,) = processes_of(flow.folder)
        worker = s5cmd.parent()
        assert worker is not None
        assert worker.pid != process.pid
        worker.kill()
        stdout, stderr = process.communicate(timeout=90)
    result = json.loads(stdout)
    assert (process.returncode, result["status"]) == (0, "success"), stderr
    assert result["collection"]["outcomes"]["fetched"] == len(KEYS)
    assert_same_bytes(flow.folder / ROOT, archive.bucket, KEYS)
    assert processes_of(flow.folder) == []
    assert prefect.run(flow_run.id).state_name == "Completed"
    tasks = prefect.tasks(flow_run, *STEPS)
    assert prefect.states(tasks["collect-2-of-3"]) == ["Pending", "Running", "Pending", "Running", "Completed"]
    for name in ("collect-1-of-3", "collect-3-of-3"):
        assert prefect.states(tasks[name]) == ["Pending", "Running", "Completed"]
