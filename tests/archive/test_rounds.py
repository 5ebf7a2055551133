"""``collect --every`` and ``--metrics-file``: a root that is kept current, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.archive.proxy import Stall, Status
from tests.archive.results import KEYS, ROOT, THREE, processes_of, stored

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

EVERY = ("collect", *THREE, "-o", ROOT, "--every", "0.5s")


def reports(root: Path) -> list[dict[str, object]]:
    paths = sorted(root.glob(".crypto-archive/runs/*/report.json"))
    return [json.loads(path.read_text("utf-8")) for path in paths]


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """Read on until a line says something; the end of the process fails the test."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}")


def metrics(path: Path) -> dict[str, float]:
    """The samples of a file, by name and outcome where they have one."""
    families = text_string_to_metric_families(path.read_text("utf-8"))
    return {
        sample.name + (f" {sample.labels['outcome']}" if "outcome" in sample.labels else ""): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_root_is_kept_current_until_a_signal_ends_it(run: Runner, private_archive: Archive, tmp_path: Path) -> None:
    """What the archive publishes in between is fetched by the next round; each has a report; the end is a clean one."""
    late = private_archive.bucket / KEYS[2]
    hidden = tmp_path / "late.zip"
    late.rename(hidden)
    here = run.at(private_archive.endpoint_url)
    root = run.folder / ROOT
    with here.start(*EVERY, "--report", "last.json", "--metrics-file", "m/crypto.prom") as process:
        assert line_with(process, "note  the next round starts at 20").rstrip().endswith("Z")
        assert stored(root) == set(KEYS[:2])
        assert here("verify", "--all", "-o", ROOT, "-q").code == 0  # the root is free between two rounds
        code, _, said = here("collect", *THREE, "-o", ROOT, "--every", "1h")
        assert code == 5
        assert f"Another process already repeats collect in {root}: process {process.pid} on " in said
        hidden.rename(late)
        while stored(root) != set(KEYS):
            line_with(process, "the next round starts at")
        line_with(process, "the next round starts at")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0  # nothing was cut short
    told = reports(root)
    assert len(told) >= 3
    assert {report["status"] for report in told} == {"success"}
    assert json.loads((run.folder / "last.json").read_text("utf-8")) == told[-1]
    assert metrics(run.folder / "m" / "crypto.prom")["crypto_archive_objects present"] == 3
    assert processes_of(run.folder) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_signal_within_a_round_ends_it_cleanly(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", KEYS[1], Stall())
    with run.at(proxy.endpoint_url).start(*EVERY) as process:
        stalled.wait()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    (report,) = reports(run.folder / ROOT)
    assert report["status"] == "interrupted"


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_round_that_fails_is_not_the_last(run: Runner, proxy: FaultProxy) -> None:
    """Neither one with failures, nor one whose preset was spoilt meanwhile; the exit code is that of the last one."""
    wanted = run.folder / "wanted.yaml"
    text = "{markets: [spot], data_types: [klines], symbols: [BTCUSDT], intervals: {klines: [1h]}, "
    text += "date_range: {start: 2025-07-13, end: 2025-07-15}}"
    wanted.write_text(text, "utf-8")
    fault = proxy.fault("GET", KEYS[1], Status(403))
    arguments = ("collect", "-p", wanted, "-o", ROOT, "--every", "0.5s", "--metrics-file", "crypto.prom")
    with run.at(proxy.endpoint_url).start(*arguments) as process:
        line_with(process, "the next round starts at")
        fault.wait()
        first = metrics(run.folder / "crypto.prom")
        wanted.write_text("markets: [spto]", "utf-8")
        assert "'spto'" in line_with(process, "Error: ")
        proxy.clear()
        wanted.write_text(text, "utf-8")
        while reports(run.folder / ROOT)[-1]["status"] != "success":
            line_with(process, "the next round starts at")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert (first["crypto_archive_objects failed"], first["crypto_archive_last_run_exit_code"]) == (1, 3)
    assert "crypto_archive_last_success_timestamp_seconds" not in first
    assert "crypto_archive_last_success_timestamp_seconds" in metrics(run.folder / "crypto.prom")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--every", "hourly"), "'hourly' is not a duration; write it like 90s, 30min, 1h or 1d"),
        (("--every", "1h", "--json"), "every round has its own report"),
        (("--every", "1h", "--dry-run"), "--every: cannot be combined with --dry-run"),
        (("--metrics-file", "x", "--dry-run"), "a dry run has no report"),
    ],
)
def test_what_does_not_go_together(run: Runner, arguments: tuple[str, ...], words: str) -> None:
    code, stdout, stderr = run.with_environment(COLUMNS="200")("collect", *THREE, "-o", ROOT, *arguments)
    assert (code, stdout) == (2, "")
    assert words in " ".join(stderr.split())
    assert not (run.folder / ROOT).exists()


def test_a_first_round_that_cannot_begin_is_the_end(run: Runner) -> None:
    code, _, stderr = run("collect", "-m", "spto", "--every", "1h")
    assert (code, "did you mean 'spot'?" in stderr) == (2, True)


def test_metrics_that_cannot_be_written_are_reported_before_anything_begins(run: Runner) -> None:
    (run.folder / "file").touch()
    code, _, stderr = run("collect", *THREE, "-o", ROOT, "--metrics-file", "file/crypto.prom")
    assert code == 5
    assert "file/crypto.prom" in stderr
    assert "--metrics-file" in stderr
    assert not (run.folder / ROOT).exists()
