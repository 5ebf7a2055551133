"""Settings of how to fetch do what they say: run-files, lanes, checksums, and what s5cmd is started with."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.archive.programs import s5cmd
from tests.archive.proxy import Delay
from tests.archive.results import (
    KEYS,
    RESEARCH,
    THREE,
    assert_same_bytes,
    collect,
    copied_by,
    files_below,
    preset,
    stored,
)
from tests.archive.sample import SIDECAR, replace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

CALENDAR = ("--discover", "calendar")


@pytest.fixture
def noted(run: Runner, tmp_path: Path) -> tuple[Runner, Path]:
    """A runner whose s5cmd writes down its arguments, a line a start, and then is the real one; and that file."""
    notes, program = tmp_path / "started", tmp_path / "s5cmd"
    program.write_text(f'#!/bin/sh\necho "$@" >>{shlex.quote(str(notes))}\nexec {s5cmd()} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return run.with_environment(CRYPTO_ARCHIVE_S5CMD=program), notes


def starts(notes: Path) -> list[str]:
    """Return the arguments of those starts that fetched."""
    return [line for line in notes.read_text("utf-8").splitlines() if "batch-" in line]


def test_no_run_file_has_more_commands_than_the_batch_size(run: Runner, tmp_path: Path) -> None:
    done = collect(run, *RESEARCH, "-m", "spot", "-p", preset(tmp_path, "batch_size: 7\n"))
    assert done.outcomes == {"fetched": 15}
    sizes = [len(commands) for commands in done.run_files]
    assert max(sizes) <= 7
    assert sum(sizes) == 15  # zip and sidecar come together


def test_without_batch_mode_a_run_file_has_one_object(run: Runner, archive: Archive, tmp_path: Path) -> None:
    done = collect(run, *THREE, "-p", preset(tmp_path, "enable_batch_mode: false\nbatch_size: 20\n"))
    assert done.outcomes == {"fetched": 3}
    copied = [[key for line in commands for key in copied_by(line, archive.bucket)] for commands in done.run_files]
    assert sorted(map(sorted, copied)) == [[key, key + SIDECAR] for key in KEYS]
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_one_lane_works_alone(run: Runner, tmp_path: Path) -> None:
    done = collect(run, *THREE, "--jobs", "1", "-p", preset(tmp_path, "batch_size: 1\nmax_parallel_downloads: 4\n"))
    assert done.outcomes == {"fetched": 3}
    steps = [
        event["event"]
        for event in map(json.loads, (done.folder / "events.jsonl").read_text("utf-8").splitlines())
        if event["event"] in {"batch-started", "batch-finished"}
    ]
    assert steps == ["batch-started", "batch-finished"] * 3
    assert {event["lane"] for event in done.events("batch-started")} == {0}


def test_lanes_work_side_by_side(run: Runner, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("GET", "*", Delay(0.5))
    two = preset(tmp_path, "batch_size: 1\nmax_parallel_downloads: 2\n")
    done = collect(run.at(proxy.endpoint_url), *THREE, "-p", two)
    assert done.outcomes == {"fetched": 3}
    assert {event["lane"] for event in done.events("batch-started")} == {0, 1}


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_without_checksums_no_sidecar_is_fetched(
    run: Runner, archive: Archive, proxy: FaultProxy, tmp_path: Path, discovery: str
) -> None:
    off = preset(tmp_path, "download_checksum: false\n")
    done = collect(run.at(proxy.endpoint_url), *THREE, "-p", off, "--discover", discovery)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    # The listing's ETag confirms the bytes, but only a sidecar would make them verified; the calendar has nothing.
    assert done.verdicts == ({"sidecar-missing": 3} if discovery == "listing" else {"unproven": 3})
    assert proxy.count("GET", f"*{SIDECAR}") == 0
    assert stored(done.root) == set(KEYS)
    assert [name for name in files_below(done.root / "data") if name.endswith(SIDECAR)] == []
    assert all((done.root / key).read_bytes() == (archive.bucket / key).read_bytes() for key in KEYS)


def test_an_old_sidecar_does_not_outlive_an_update_without_checksums(
    run: Runner, private_archive: Archive, tmp_path: Path
) -> None:
    run = run.at(private_archive.endpoint_url)
    collect(run, *THREE)
    replace(private_archive.bucket, KEYS[0])
    done = collect(run, *THREE, "--refresh", "-p", preset(tmp_path, "download_checksum: false\n"))
    assert done.outcomes == {"present": 2, "updated": 1}
    assert not (done.root / (KEYS[0] + SIDECAR)).exists()
    assert run("verify", *THREE, "-o", done.root).code == 0


def test_the_part_size_reaches_every_copy(run: Runner, archive: Archive, tmp_path: Path) -> None:
    done = collect(run, *THREE, "-p", preset(tmp_path, "part_size_mb: 6\n"))
    copies = [line for commands in done.run_files for line in commands]
    assert copies
    assert all(" --part-size 6 " in line for line in copies)
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_s5cmd_is_started_anonymous_and_with_our_own_numbers(noted: tuple[Runner, Path], archive: Archive) -> None:
    run, notes = noted
    done = collect(run, *THREE, *CALENDAR)
    started = f"--endpoint-url {archive.endpoint_url} --no-sign-request --numworkers 5 --retry-count 3"
    assert starts(notes) == [f"--json --log info {started} run {done.folder / 'batch-00001.s5cmd'}"]


def test_further_arguments_reach_s5cmd_in_place_of_our_own(noted: tuple[Runner, Path], tmp_path: Path) -> None:
    run, notes = noted
    extra = preset(tmp_path, "s5cmd_extra_args: [--no-sign-request, --retry-count=5, --numworkers, '8']\n")
    done = collect(run, *THREE, *CALENDAR, "-p", extra)
    assert done.outcomes == {"fetched": 3}
    words = starts(notes)[0].split()
    assert [word for word in words if word.startswith(("--retry", "--numw", "--no-s"))] == [
        "--no-sign-request", "--retry-count=5", "--numworkers=8",
    ]  # fmt: skip


def test_the_bundled_overlays_lie_over_a_preset(noted: tuple[Runner, Path]) -> None:
    run, notes = noted
    done = collect(run, *RESEARCH, "-m", "options", "-p", "low-memory", "-p", "resilient")
    assert done.outcomes == {"fetched": 2}
    assert done.report["presets"] == ["research", "low-memory", "resilient"]
    assert {len(commands) for commands in done.run_files} == {1}
    assert all("--part-size 10 " in line for commands in done.run_files for line in commands)
    assert {event["lane"] for event in done.events("batch-started")} <= {0, 1}
    assert all("--retry-count=5" in line for line in starts(notes))


def test_settings_of_the_environment_and_of_a_file_count(run: Runner, archive: Archive) -> None:
    (run.folder / ".env").write_text("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY=kept\n", encoding="utf-8")
    code, stdout, _ = run.with_environment(CRYPTO_ARCHIVE_DISCOVER="calendar")("collect", *THREE, "--json")
    assert code == 0
    report = json.loads(stdout)
    assert report["selection"]["discovery"] == "calendar"
    assert report["output_directory"] == "kept"
    assert_same_bytes(run.folder / "kept", archive.bucket, KEYS)


@pytest.mark.parametrize(
    "arguments", [(), ("-p", "resilient"), ("--dry-run",)], ids=["nothing", "an overlay", "a dry run"]
)
def test_the_whole_archive_is_not_fetched_by_accident(run: Runner, arguments: tuple[str, ...]) -> None:
    code, stdout, stderr = run("collect", *arguments)
    assert (code, stdout) == (2, "")
    assert "Error: Nothing is selected, and the whole archive is too much to fetch by accident\n" in stderr
    assert "Hint: Name a preset, such as --preset research" in stderr
    assert list(run.folder.iterdir()) == []
