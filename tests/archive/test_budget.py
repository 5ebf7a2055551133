"""What a plan would take, and limits that stop it before anything is fetched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.plan.totals import SIDECAR_BYTES
from tests.archive.results import KEYS, ROOT, THREE, collect, copied_by, files_below, preset, stored
from tests.archive.served import needs_the_sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

CALENDAR = ("--discover", "calendar")
OVER = "The plan exceeds max_objects: at least 3 objects to download, 2 allowed"


def figures(run: Runner, *arguments: str) -> dict[str, Any]:
    code, stdout, stderr = run("plan", "--json", "-o", ROOT, *THREE, *arguments)
    assert code == 0, stderr
    found: dict[str, Any] = json.loads(stdout)["budget"]
    return found


def bytes_of_three(archive: Archive) -> int:
    return sum((archive.bucket / key).stat().st_size for key in KEYS)


# What it would take


@needs_the_sample
def test_the_figures_are_what_a_collect_then_takes(run: Runner, archive: Archive, proxy: FaultProxy) -> None:
    through = run.at(proxy.endpoint_url)
    size = bytes_of_three(archive)
    found = figures(run)
    assert found.pop("disk_free") > size
    assert found == {
        "objects_to_fetch": 3, "bytes_to_fetch": size, "requests": 7, "requests_listed": found["requests_listed"],
        "requests_per_object": round((7 + found["requests_listed"]) / 3, 3),
        "disk_needed": size + 3 * SIDECAR_BYTES, "seconds": None, "judged_by_runs": 0,
        "monthly_objects": 0, "daily_objects": 0, "saved_objects": 0, "saved_bytes": 0,
        "max_objects": None, "max_bytes": None,
    }  # fmt: skip
    assert collect(through, *THREE).code == 0
    assert len(proxy.requests) == found["requests"] + found["requests_listed"]
    assert proxy.count("GET") == 6
    there = sum(path.stat().st_size for path in (run.folder / ROOT / "data").rglob("*.*") if path.is_file())
    assert there == pytest.approx(found["disk_needed"], abs=3 * SIDECAR_BYTES)
    after = figures(run)
    assert (after["objects_to_fetch"], after["bytes_to_fetch"], after["requests"], after["disk_needed"]) == (0, 0, 0, 0)


def test_the_time_is_judged_by_the_runs_of_the_root(run: Runner) -> None:
    arguments = ("plan", "-o", ROOT, *THREE)
    assert "duration  unknown: nothing has been downloaded into this root yet" in run(*arguments).stdout
    done = collect(run, *THREE, "--end", "2025-07-14")
    seconds, size = done.report["collection_stats"]["processing_time_seconds"], done.report["bytes_fetched"]
    told = run(*arguments).stdout
    assert "based on the last run" in told
    assert "alone" not in told
    found = figures(run)
    assert found["judged_by_runs"] == 1
    assert found["seconds"] == pytest.approx(seconds / 2 / 2 + seconds / 2 / size * found["bytes_to_fetch"], abs=0.06)
    assert "based on the last run and the number of objects alone" in run(*arguments, *CALENDAR).stdout
    assert figures(run, *CALENDAR)["seconds"] == pytest.approx(seconds / 2, abs=0.06)
    (report,) = (run.folder / ROOT).glob(".crypto-archive/runs/*/report.json")
    report.write_text("{", encoding="utf-8")
    try:
        assert figures(run)["judged_by_runs"] == 0
    finally:
        report.write_text(json.dumps(done.report), encoding="utf-8")


def test_sizes_that_the_calendar_does_not_know_are_said_to_be_unknown(run: Runner) -> None:
    code, stdout, _ = run("plan", *THREE, *CALENDAR)
    assert code == 0
    assert "to fetch  3 objects, size unknown" in stdout
    assert "disk      need unknown, " in stdout
    found = figures(run, *CALENDAR)
    assert (found["bytes_to_fetch"], found["disk_needed"], found["requests"]) == (None, None, 7)


# Limits


@needs_the_sample
@pytest.mark.parametrize("limit", ["--max-objects", "--max-bytes", "preset"])
def test_a_plan_over_its_limit_fetches_nothing(run: Runner, archive: Archive, proxy: FaultProxy, limit: str) -> None:
    size = bytes_of_three(archive)
    values: dict[str, tuple[str | Path, ...]] = {
        "--max-objects": ("--max-objects", "2"),
        "--max-bytes": ("--max-bytes", str(size - 1)),
        "preset": ("-p", preset(run.folder, "max_objects: 2\n")),
    }
    done = collect(run.at(proxy.endpoint_url), *THREE, *values[limit])
    assert done.code == 2
    assert (proxy.count("GET"), proxy.count("HEAD")) == (0, 0)
    assert proxy.count("LIST") > 0
    assert done.report["status"] == "failed"
    bytes_over = f"({size:,} bytes) to download, "
    assert (bytes_over if limit == "--max-bytes" else OVER) in done.report["error"]
    assert done.stderr.rstrip().endswith("Error: {}\nHint: {}".format(*done.report["error"].split(". Hint: ")))
    assert done.report["collection_stats"]["total_tasks"] == 0
    assert stored(done.root) == set()
    assert done.run_files == []
    assert files_below(done.root / ".crypto-archive" / "staging") == []


@needs_the_sample
def test_a_plan_at_its_limit_is_fetched_and_what_is_there_does_not_count(run: Runner, archive: Archive) -> None:
    over = (*THREE, "-p", preset(run.folder, "max_objects: 1\nmax_bytes: 1 kB\n"))
    size = bytes_of_three(archive)
    done = collect(run, *over, "--max-objects", "3", "--max-bytes", f"{size}B")
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    (done.root / KEYS[0]).unlink()
    again = collect(run, *over, "--max-bytes", "1GiB")
    assert (again.code, again.outcomes) == (0, {"fetched": 1, "present": 2})


def test_unknown_bytes_are_not_limited(run: Runner, proxy: FaultProxy) -> None:
    for command in ("plan", "collect"):
        code, stdout, stderr = run.at(proxy.endpoint_url)(command, *THREE, *CALENDAR, "--max-bytes", "50GB")
        assert (code, stdout) == (2, "")
        assert "Error: max_bytes cannot be enforced: the plan does not know the sizes of the objects" in stderr
        assert "--discover listing" in stderr
    assert proxy.requests == ()
    assert files_below(run.folder) == []


def test_a_plan_over_its_limit_is_shown_all_the_same(run: Runner) -> None:
    exact = "Error: The plan exceeds max_objects: 3 objects to download, 2 allowed"
    code, stdout, stderr = run("plan", *THREE, "--max-objects", "2")
    assert code == 2
    assert "to fetch  3 objects, " in stdout
    assert exact in stderr
    code, stdout, stderr = run("plan", *THREE, "--max-objects", "2", "--json")
    assert (code, json.loads(stdout)["budget"]["max_objects"]) == (2, 2)
    assert exact in stderr


def test_no_run_file_of_a_plan_over_its_limit_is_written(run: Runner) -> None:
    code, _, stderr = run("plan", *THREE, "--max-objects", "2", "--format", "runfiles", "--to", "files")
    assert code == 2
    assert f"Error: {OVER}" in stderr
    assert files_below(run.folder / "files") == []


def test_a_dry_run_keeps_to_the_number_of_objects(run: Runner, archive: Archive) -> None:
    code, stdout, stderr = run("collect", *THREE, "-n", "--max-objects", "2")
    assert (code, stdout) == (2, "")
    assert f"Error: {OVER}" in stderr
    code, stdout, stderr = run(
        "collect", *THREE, "-n", "-p", preset(run.folder, "max_bytes: 1\n"), "--max-objects", "3"
    )
    (command,) = [line for line in stdout.splitlines() if line.startswith("cp ")]
    assert (code, len(copied_by(command, archive.bucket))) == (0, 6)
    assert "max_bytes is ignored: a plan from the calendar does not know sizes" in stderr
    assert "to fetch  3 objects, size unknown" in stderr
    code, stdout, stderr = run("collect", *THREE, "-n", "--max-bytes", "50GB")
    assert (code, stdout) == (2, "")
    assert "a dry run plans from the calendar" in " ".join(stderr.split())


def test_nonsense_is_reported(run: Runner) -> None:
    code, _, stderr = run("collect", *THREE, "--max-bytes", "50 apples", "--max-objects", "0")
    assert code == 2
    assert "--max-bytes: '50 apples' is not a size; write it like 50GB, 1.5TiB or 5000000" in stderr
    assert "--max-objects: 0 is too small; the minimum is 1" in stderr


def test_a_repair_has_no_limit(run: Runner) -> None:
    done = collect(run, *THREE)
    for key in KEYS:
        (done.root / key).write_bytes(b"bad")
    over = ("-p", preset(run.folder, "max_objects: 1\nmax_bytes: 1\n"))
    code, stdout, stderr = run("verify", *THREE, *over, "--repair", "--json", "-o", ROOT)
    assert code == 0, stderr
    assert json.loads(stdout)["repair"]["outcomes"]["fetched"] == 3
