"""``collect`` on real disks: too small, full, read-only, limited, gone; and with places that it may not write to."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.disks import NoSuchMeans, SmallDisk, small_disk, without_privileges
from tests.archive.proxy import Stall
from tests.archive.results import (
    KEYS,
    ROOT,
    THREE,
    assert_same_bytes,
    assert_whole,
    collect,
    files_below,
    processes_of,
    stored,
)
from tests.archive.sample import SIDECAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Ended, Runner
    from tests.archive.served import Archive

LISTING, CALENDAR = ("--discover", "listing"), ("--discover", "calendar")
NINE = ("-m", "spot", "-t", "klines", "-i", "1m", "-s", "BTCUSDT", "-s", "ETHUSDT", "-s", "ADAUSDT",
        "--start", "2025-07-13", "--end", "2025-07-15")  # fmt: skip
"""Options that select nine objects of about 90 KiB each."""


@pytest.fixture
def disk(run: Runner) -> Iterator[SmallDisk]:
    """A disk of 4 MiB that holds the archive root, and nothing yet."""
    with _or_skip(lambda: small_disk(run, "size=4m")) as mounted:
        yield mounted


@pytest.fixture
def plain_user(run: Runner) -> Runner:
    """A runner to which file modes apply."""
    runner: Runner = _or_skip(lambda: without_privileges(run))
    return runner


def _or_skip(make: Callable[[], Any]) -> Any:
    if sys.platform != "linux":
        pytest.skip("works by Linux's means")
    try:
        return make()
    except NoSuchMeans as why:
        pytest.skip(str(why))


def document_of(ended: Ended) -> dict[str, Any]:
    """Return the report on standard output of a run that began; it must add up."""
    assert ended.stdout, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    assert_whole(report)
    assert report["exit_code"] == ended.code
    return report


def assert_only_whole_files(root: Path, bucket: Path) -> None:
    """See that each zip at its final path has the bucket's bytes and its sidecar, and that staging is empty."""
    assert_same_bytes(root, bucket, stored(root))
    assert files_below(root / ".crypto-archive" / "staging") == []


# A full disk


@pytest.mark.parametrize("free", [0, 64, 76, 300])
def test_a_full_disk_ends_the_run_wherever_the_space_runs_out(disk: SmallDisk, archive: Archive, free: int) -> None:
    """From the note of the lock (0 KiB are free) and the manifest (64) to the plan (76) and s5cmd's writing (300)."""
    disk.leave_free(free)
    ended = disk.run("collect", *NINE, *CALENDAR, "-o", ROOT, "--json")
    assert ended.code == 5, ended.stderr
    assert "Traceback" not in ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "is full: " in errors[0] or "No space left on device" in errors[0]
    assert_only_whole_files(disk.root, archive.bucket)
    if ended.stdout:
        report = document_of(ended)
        assert report["outcomes"]["fetched"] == len(stored(disk.root))
        assert report["outcomes"]["failed"] == 0
        for path in disk.root.rglob("report.json"):
            assert json.loads(path.read_text("utf-8"))["status"] == "failed"
    else:
        assert free < 70
    disk.remount("size=20m")
    again = document_of(disk.run("collect", *NINE, *CALENDAR, "-o", ROOT, "--json"))
    assert again["exit_code"] == 0
    assert again["outcomes"]["fetched"] + again["outcomes"]["present"] == 9
    assert len(stored(disk.root)) == 9
    assert_only_whole_files(disk.root, archive.bucket)


def test_a_disk_without_room_for_another_name(run: Runner, archive: Archive) -> None:
    with _or_skip(lambda: small_disk(run, "size=20m,nr_inodes=35")) as disk:
        ended = disk.run("collect", *NINE, *CALENDAR, "-o", ROOT, "--json")
        assert (ended.code, "is full: " in ended.stderr) == (5, True), ended.stderr
        assert_only_whole_files(disk.root, archive.bucket)
        disk.remount("nr_inodes=2k")
        assert document_of(disk.run("collect", *NINE, *CALENDAR, "-o", ROOT, "--json"))["exit_code"] == 0
        assert len(stored(disk.root)) == 9


def test_what_a_killed_run_left_does_not_keep_the_disk_full(disk: SmallDisk) -> None:
    leftover = disk.root / ".crypto-archive" / "staging" / "20250715T120000Z-abcdef" / "00001" / "half.zip"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(bytes(2 << 20))
    disk.leave_free(0)
    report = document_of(disk.run("collect", *NINE, "-o", ROOT, "--json"))
    assert (report["exit_code"], report["outcomes"]["fetched"]) == (0, 9)


def test_a_plan_that_does_not_fit_is_reported_before_anything_is_fetched(disk: SmallDisk, proxy: FaultProxy) -> None:
    disk.leave_free(400)
    ended = disk.run.at(proxy.endpoint_url)("collect", *NINE, *LISTING, "-o", ROOT, "--json")
    report = document_of(ended)
    assert (ended.code, report["status"]) == (5, "failed")
    root = disk.run.folder / ROOT
    assert f"Not enough space on the disk of the output directory {root}: at least " in report["error"]
    assert " KiB needed, " in report["error"]
    assert " KiB free. " in report["error"]
    assert "Error: {}\nHint: {}".format(*report["error"].split(". Hint: ")) in ended.stderr
    assert proxy.count("GET") == 0
    assert stored(disk.root) == set()
    assert sum(report["outcomes"].values()) == report["outcomes"]["cancelled"]
    disk.remount("size=20m")
    assert document_of(disk.run("collect", *NINE, *LISTING, "-o", ROOT, "--json"))["outcomes"]["fetched"] == 9
    disk.leave_free(100)
    assert document_of(disk.run("collect", *NINE, *LISTING, "-o", ROOT, "--json"))["outcomes"]["present"] == 9


# A disk that is read-only, limited or gone


def test_a_read_only_root(run: Runner, disk: SmallDisk) -> None:
    shutil.copytree(collect(run, *THREE, to="elsewhere").root, disk.root, dirs_exist_ok=True)
    disk.remount("ro")
    code, stdout, stderr = disk.run("collect", *THREE, "-o", ROOT)
    assert (code, stdout) == (5, "")
    assert stderr.startswith(f"Error: Permission denied writing to output directory: {disk.run.folder / ROOT}\nHint: ")
    assert "Read-only file system" in stderr
    for command in (("plan", *THREE), ("verify", "--all")):
        assert disk.run(*command, "-o", ROOT).code == 0


def test_an_output_directory_that_may_not_be_written_to(plain_user: Runner) -> None:
    (plain_user.folder / ROOT).mkdir(mode=0o555)
    code, stdout, stderr = plain_user("collect", *THREE, "-o", ROOT)
    assert (code, stdout) == (5, "")
    assert f"Error: Permission denied writing to output directory: {plain_user.folder / ROOT}" in stderr


@pytest.mark.parametrize("discovery", [LISTING, CALENDAR], ids=["listing", "calendar"])
def test_a_root_that_vanishes_while_the_lanes_run(run: Runner, proxy: FaultProxy, discovery: tuple[str, ...]) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, *discovery, "-o", ROOT, "--json") as process:
        stalled.wait()
        while (run.folder / ROOT).exists():  # what arrives meanwhile goes as well
            shutil.rmtree(run.folder / ROOT, ignore_errors=True)
        proxy.release()
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 5, stderr
    assert "Traceback" not in stderr
    report = json.loads(stdout)
    assert_whole(report)
    assert report["error"].startswith(f"The output directory is gone: {run.folder / ROOT}. ")
    assert files_below(run.folder) == []
    assert processes_of(run.folder) == []
    assert collect(run, *THREE).outcomes == {"fetched": 3}


def test_files_that_may_not_be_as_large_as_an_object(run: Runner, archive: Archive) -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit")
    limited = replace(run, command=("prlimit", "--fsize=65536", *run.command))
    done = collect(limited, *NINE, *CALENDAR, "-i", "1h")
    assert (done.code, done.outcomes) == (3, {"fetched": 9, "failed": 9})
    assert all("file too large" in reason for reason in done.reasons.values())
    assert {failure["attempts"] for failure in done.report["failures"]} == {1}  # another one would not help
    assert_only_whole_files(done.root, archive.bucket)


# Places that are taken


def test_places_that_are_taken_are_refused_and_the_rest_goes_on(run: Runner, archive: Archive, tmp_path: Path) -> None:
    root, elsewhere = run.folder / ROOT, tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / KEYS[0]).mkdir(parents=True)
    (root / KEYS[0] / "mine.txt").write_text("mine", encoding="utf-8")
    (root / "data/spot/daily/klines/ETHUSDT").symlink_to(elsewhere, target_is_directory=True)
    (root / "data/spot/daily/klines/ADAUSDT").write_text("mine", encoding="utf-8")
    done = collect(run, *THREE, "-s", "ETHUSDT", "-s", "ADAUSDT")
    assert done.code == 3
    assert done.outcomes == {"fetched": 2, "failed": 7}
    assert done.reasons[KEYS[0]].startswith(f"Refused to replace {root / KEYS[0]}: it is a folder")
    for symbol, words in (("ETHUSDT", "Refused to write outside of the archive root: "), ("ADAUSDT", "Refused to")):
        reasons = [reason for key, reason in done.reasons.items() if symbol in key]
        assert len(reasons) == 3
        assert all(reason.startswith(words) for reason in reasons), reasons
    assert files_below(elsewhere) == []
    assert (root / KEYS[0] / "mine.txt").read_text("utf-8") == "mine"
    assert_same_bytes(root, archive.bucket, KEYS[1:])


def test_what_belongs_to_another_user_is_refused_and_the_rest_goes_on(
    run: Runner, plain_user: Runner, private_archive: Archive
) -> None:
    run = run.at(private_archive.endpoint_url)
    root = run.folder / ROOT
    collect(run, *THREE)
    for name in (KEYS[0], KEYS[1] + SIDECAR):
        (root / name).write_bytes(b"shortened")
        (root / name).chmod(0o444)
    os.truncate(root / KEYS[1], 10)
    (root / "data/spot/daily/klines/ETHUSDT").mkdir(mode=0o555)
    done = collect(plain_user.at(private_archive.endpoint_url), *THREE, "-s", "ETHUSDT")
    assert (done.code, done.outcomes) == (3, {"present": 1, "failed": 5})
    for key, name in ((KEYS[0], KEYS[0]), (KEYS[1], KEYS[1] + SIDECAR)):
        assert done.reasons[key].startswith(f"Refused to replace {root / name}: you may not write to it")
    others = [reason for key, reason in done.reasons.items() if "ETHUSDT" in key]
    assert len(others) == 3
    assert all(reason.startswith("Refused to store ") and "Permission denied" in reason for reason in others)
    assert (root / KEYS[0]).read_bytes() == b"shortened"
    assert {*KEYS, *(key + SIDECAR for key in KEYS)} <= set(files_below(root))
    (root / "data/spot/daily/klines/ETHUSDT").chmod(0o755)
    for name in (KEYS[0], KEYS[1] + SIDECAR):
        (root / name).chmod(0o644)
    assert collect(run, *THREE, "-s", "ETHUSDT").code == 0
    assert_same_bytes(root, private_archive.bucket, KEYS)


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_folder_of_ours_that_is_a_link_is_refused_and_nothing_behind_it_touched(run: Runner) -> None:
    mine, staging = run.folder / "mine", run.folder / ROOT / ".crypto-archive" / "staging"
    (mine / "deep").mkdir(parents=True)
    (mine / "deep" / "notes.txt").write_text("mine")
    staging.parent.mkdir(parents=True)
    staging.symlink_to(mine, target_is_directory=True)
    for command in (("collect", *THREE), ("plan", *THREE), ("verify", "--all"), ("relayout", "--to", "hive")):
        code, _, stderr = run(*command, "-o", ROOT)
        assert code == 5
        assert f"Error: Refused to use {staging}: it is a symbolic link\nHint: " in stderr
    assert f"Refused to use {staging}: it is a symbolic link" in run("doctor", "-o", ROOT).stdout
    assert files_below(mine) == ["deep/notes.txt"]
    staging.unlink()
    assert collect(run, *THREE).outcomes == {"fetched": 3}
