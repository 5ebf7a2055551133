"""``status`` from another process: beside a run, after it was killed, and once it is complete."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.proxy import Stall
from tests.archive.results import KEYS, ROOT, THREE, collect, processes_of, validate
from tests.archive.running import until

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")


def status(run: Runner) -> dict[str, Any]:
    code, stdout, stderr = run("status", "-o", ROOT, "--json")
    assert (code, stderr) == (0, "")
    document: dict[str, Any] = json.loads(stdout)
    validate(document, "status.schema.json")
    return document


def test_beside_a_run_after_its_death_and_when_all_is_there(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", KEYS[2], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT) as process:
        stalled.wait()
        until(lambda: status(run)["running"][0]["progress"]["done"] == 2)
        found = status(run)
        code, stdout, _ = run("status", "-o", ROOT)
        process.kill()
        for orphan in processes_of(run.folder):
            orphan.kill()
    (job,) = found["running"]
    assert (found["state"], job["purpose"], job["pid"]) == ("running", "collect", process.pid)
    assert (job["progress"]["objects"], job["progress"]["planning"]) == (3, False)
    assert 0 < job["progress"]["percent"] < 100
    assert (code, "2 of 3 objects" in stdout) == (0, True)

    died = status(run)
    assert (died["state"], died["last_run"]["status"]) == ("died", "died")
    assert died["last_run"]["run_id"] == job["progress"]["run_id"]

    proxy.clear()
    done = collect(run, *THREE)
    whole = status(run)
    assert (whole["state"], whole["objects"], whole["running"]) == ("idle", 3, [])
    assert whole["last_run"] == whole["last_complete_run"]
    assert whole["last_run"]["run_id"] == done.report["run_id"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watching_ends_with_a_signal(run: Runner, number: int, code: int) -> None:
    (run.folder / ROOT).mkdir()
    with run.start("status", "-o", ROOT, "--watch", "--json") as process:
        assert process.stdout is not None
        for _ in range(2):
            validate(json.loads(process.stdout.readline()), "status.schema.json")
        process.send_signal(number)
        assert process.wait(30) == code
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_watching_into_a_pipe_ends_with_its_reader(run: Runner) -> None:
    (run.folder / ROOT).mkdir()
    with run.start("status", "-o", ROOT, "--watch") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
