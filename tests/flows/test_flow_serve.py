"""The flow on a schedule: served, triggered, cancelled; and as a deployment that Prefect takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.archive.proxy import Stall
from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, processes_of, stored
from tests.archive.running import until

if TYPE_CHECKING:
    from prefect.client.schemas.responses import DeploymentResponse

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive
    from tests.flows.reading import Prefect

pytest.importorskip("prefect", reason="needs the extra prefect")

CRON = "0 6 * * *"


def crons(deployment: DeploymentResponse) -> list[tuple[str, str | None]]:
    return [(one.schedule.cron, one.schedule.timezone) for one in deployment.schedules]


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_served_flow_has_a_schedule_and_runs_when_it_is_asked_for(
    flow: Runner, proxy: FaultProxy, archive: Archive, prefect: Prefect
) -> None:
    stalled = proxy.fault("GET", KEYS[2], Stall(times=1))
    root = flow.folder / ROOT
    arguments = ("serve", *THREE, "-o", ROOT, "--shards", "2", "--cron", CRON, "--name", "served")
    with flow.at(proxy.endpoint_url).start(*arguments) as process:
        try:
            deployment = prefect.deployment("served")
            assert crons(deployment) == [(CRON, "UTC")]
            assert not deployment.paused

            misspelt = prefect.ended(prefect.trigger(deployment, preset="reserch"))
            assert misspelt.state is not None
            assert misspelt.state_name == "Failed"
            assert "unknown preset 'reserch'; did you mean 'research'?" in (misspelt.state.message or "")
            (validated,) = prefect.tasks(misspelt, "validate").values()
            assert (validated.state_name, validated.run_count) == ("Failed", 1)

            cancelled = prefect.trigger(deployment)
            stalled.wait(seconds=60.0)
            until(lambda: len(stored(root)) == 2)
            prefect.cancel(cancelled)
            assert prefect.ended(cancelled).state_name == "Cancelled"
            until(lambda: processes_of(flow.folder) == [], 5.0)
            reports = [json.loads(path.read_text()) for path in root.rglob("runs/*/report.json")]
            assert sorted(report["status"] for report in reports) == ["interrupted", "success"]
            assert stored(root) == set(KEYS[:2])

            resumed = prefect.ended(prefect.trigger(deployment))
            assert resumed.state_name == "Completed"
            assert "| spot | klines | 3 | 1 | 2 |" in prefect.artifact(resumed)
            assert_same_bytes(root, archive.bucket, KEYS)
        finally:
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert prefect.deployment("served").paused


def test_a_deployment_is_one_that_prefect_takes(run: Runner, flow: Runner, prefect: Prefect) -> None:
    ended = run("flow", "deployment", *THREE, "-o", ROOT, "--shards", "2", "--cron", CRON, "--name", "deployed")
    assert ended.code == 0, ended.stderr
    (flow.folder / "prefect.yaml").write_text(ended.stdout)
    prefect.create_work_pool("default")
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "prefect.yaml"]
    done = subprocess.run(
        deploy, cwd=flow.folder, env=dict(flow.environment), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deployment = prefect.deployment("deployed")
    assert crons(deployment) == [(CRON, "UTC")]
    assert deployment.pull_steps == []
    assert deployment.global_concurrency_limit is not None
    assert deployment.global_concurrency_limit.limit == 1
    (written,) = yaml.safe_load(ended.stdout)["deployments"]
    assert deployment.parameters == written["parameters"]
    assert deployment.parameters["overrides"]["output_directory"] == str(flow.folder / ROOT)
    assert deployment.entrypoint == "crypto_archive.flows.flow.archive_collection_flow"


def test_a_flow_that_is_cancelled_where_it_runs_stops_its_lanes(
    flow: Runner, proxy: FaultProxy, prefect: Prefect
) -> None:
    stalled = proxy.fault("GET", KEYS[2], Stall())
    with flow.at(proxy.endpoint_url).start("run", *THREE, "-o", ROOT, "--json") as process:
        flow_run = prefect.begun(process)
        stalled.wait(seconds=60.0)
        until(lambda: len(stored(flow.folder / ROOT)) == 2)
        prefect.cancel(flow_run.id)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert processes_of(flow.folder) == []
    result = json.loads(stdout)
    assert result["status"] == "interrupted"
    assert result["collection"]["outcomes"] | {"fetched": 2, "cancelled": 1} == result["collection"]["outcomes"]
    after = prefect.run(flow_run.id)
    assert after.state is not None
    assert (after.state_name, after.state.message) == ("Cancelled", result["reason"])
    assert prefect.tasks(flow_run, "report")["collect-1-of-1"].state_name == "Cancelled"
