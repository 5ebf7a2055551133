"""``collect``: what it fetches, where it puts it, and what it says about it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import (
    KEYS,
    RESEARCH,
    ROOT,
    SERIES,
    THREE,
    assert_same_bytes,
    assert_whole,
    collect,
    collected,
    copied_by,
    files_below,
    in_research,
    keys_where,
    preset,
    processes_of,
    stored,
    validate,
)
from tests.archive.sample import DEFECTS, NON_ASCII, SIDECAR, Defect
from tests.archive.served import needs_the_sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.results import Collected
    from tests.archive.running import Runner
    from tests.archive.served import Archive


def test_the_research_preset_fetches_the_bytes_of_the_bucket_to_the_paths_of_its_keys(
    run: Runner, archive: Archive
) -> None:
    done = collect(run, *RESEARCH)
    expected = keys_where(archive.spec, in_research)
    assert done.code == 0
    assert done.outcomes == {"fetched": len(expected)}
    assert done.verdicts == {"ok": len(expected)}
    assert set(files_below(done.root / "data")) == {
        (key + suffix).removeprefix("data/") for key in expected for suffix in ("", SIDECAR)
    }
    assert_same_bytes(done.root, archive.bucket, expected)
    assert {path.name for path in run.folder.iterdir()} == {ROOT}
    assert {path.name for path in done.root.iterdir()} == {"data", ".crypto-archive"}
    assert files_below(done.root / ".crypto-archive" / "staging") == []
    assert processes_of(run.folder) == []
    _assert_the_report_tells_it(done, archive, expected)
    _assert_the_run_folder_tells_it(done, archive, expected)


def _assert_the_report_tells_it(done: Collected, archive: Archive, expected: set[str]) -> None:
    sizes = {key: (archive.bucket / key).stat().st_size for key in expected}
    sidecars = sum((archive.bucket / (key + SIDECAR)).stat().st_size for key in expected)
    report = done.report
    assert report["status"] == "success"
    assert report["success_rate"] == 100.0
    assert report["collection_stats"]["total_size_bytes"] == sum(sizes.values())
    assert report["bytes_fetched"] == sum(sizes.values()) + sidecars
    assert report["presets"] == ["research"]
    assert report["output_directory"] == ROOT
    assert report["source"] == {"endpoint_url": archive.endpoint_url, "bucket": "data.binance.vision"}
    groups = {(group["market"], group["data_type"]): group["bytes"] for group in report["by_market_and_type"]}
    assert groups["options", "BVOLIndex"] == sum(size for key, size in sizes.items() if "/BVOLIndex/" in key)
    assert report["notices"] == []  # they would be about the preset, which is not the user's


def _assert_the_run_folder_tells_it(done: Collected, archive: Archive, expected: set[str]) -> None:
    assert json.loads((done.folder / "report.json").read_text("utf-8")) == done.report
    copies = [line for commands in done.run_files for line in commands]
    copied = [key for line in copies for key in copied_by(line, archive.bucket)]
    assert sorted(copied) == sorted(key + suffix for key in expected for suffix in ("", SIDECAR))
    assert len(copies) == len(expected)  # each series has one object here, which comes with its sidecar
    assert max(len(commands) for commands in done.run_files) <= 100
    assert not (done.folder / "failed.s5cmd").exists()
    for name in ("object-planned", "object-finished"):
        assert sorted(event["key"] for event in done.events(name)) == sorted(expected)


@needs_the_sample
def test_every_object_of_the_sample_can_be_had(run: Runner, archive: Archive) -> None:
    """Two runs: the daily objects with what is monthly only, and the monthly ones with what is daily only.

    Series that have three days are fetched for the last one; the others are there.
    """
    for path in archive.bucket.rglob("*-2025-07-1[34].zip*"):
        there = run.folder / ROOT / path.relative_to(archive.bucket)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)
    broken = fetched = 0
    for partition in ("daily", "monthly"):
        done = collect(run, "-s", "*", "--partition", partition)
        broken += done.report["stored_verdicts"]["bad-zip"]
        fetched += done.outcomes["fetched"]
        assert done.code == (3 if done.report["stored_verdicts"]["bad-zip"] else 0)
        assert set(done.outcomes) <= {"fetched", "present", "absent"}
        # The sample ends before today, as if the archive were late.
        assert {reason for reason, count in done.report["absences"].items() if count} <= {"late", "not-yet"}
    assert (broken, fetched) == (
        1,
        sum("2025-07-13" not in key and "2025-07-14" not in key for key in archive.spec.keys),
    )
    assert stored(done.root) == set(archive.spec.keys)
    assert_same_bytes(done.root, archive.bucket, archive.spec.keys)


def test_report_file_and_standard_output_agree(run: Runner) -> None:
    done = collect(run, *THREE, "--report", "reports/today.json")
    written = json.loads((run.folder / "reports" / "today.json").read_text("utf-8"))
    assert written == done.report == json.loads((done.folder / "report.json").read_text("utf-8"))
    assert files_below(run.folder / "reports") == ["today.json"]


def test_without_json_a_person_reads_a_summary(run: Runner) -> None:
    code, stdout, stderr = run("collect", *THREE, "-o", ROOT)
    assert code == 0
    assert "All 3 files are in place" in stdout
    assert "3  downloaded" in stdout
    assert all(line[:4].isdigit() and line[19] == "Z" for line in stderr.splitlines()), stderr
    assert "3 fetched" in stderr.splitlines()[-1]
    assert "\x1b" not in stdout + stderr


def test_quiet_says_nothing(run: Runner) -> None:
    assert run("collect", *THREE, "-o", ROOT, "-q") == (0, "", "")


def test_a_plan_from_the_calendar_fetches_the_same(run: Runner, archive: Archive, proxy: FaultProxy) -> None:
    done = collect(run.at(proxy.endpoint_url), *THREE, "--discover", "calendar")
    assert done.outcomes == {"fetched": 3}
    assert done.verdicts == {"ok": 3}
    assert_same_bytes(done.root, archive.bucket, KEYS)
    looked = [seen.key for seen in proxy.requests if seen.kind == "LIST"]
    assert looked == [KEYS[0].removesuffix("13.zip")]  # what there is of the three: by the one command that copies them
    assert (proxy.count("HEAD"), proxy.count("GET")) == (0, 6)


@needs_the_sample
def test_what_the_archive_does_not_have_is_absent_for_a_reason(run: Runner, archive: Archive) -> None:
    july = (*SERIES, "--start", "2025-07-14", "--end", "2025-07-16", "--discover", "calendar")
    done = collect(run, *july)
    assert done.code == 0
    assert done.outcomes == {"fetched": 2, "absent": 1}
    assert done.report["absences"]["hole"] == 1
    assert done.report["status"] == "success"
    gone = [event for event in done.events("object-finished") if event["outcome"] == "absent"]
    assert [(event["key"], event["reason"]) for event in gone] == [(KEYS[2].replace("-15.zip", "-16.zip"), "hole")]
    assert_same_bytes(done.root, archive.bucket, KEYS[1:])
    assert stored(done.root) == set(KEYS[1:])


@needs_the_sample
def test_yesterday_may_not_be_published_yet(run: Runner) -> None:
    done = collect(run, *SERIES, "--last", "1d", "--discover", "calendar")
    assert (done.code, done.report["status"]) == (0, "success")
    assert done.outcomes == {"absent": 1}
    assert done.report["absences"]["not-yet"] == 1


def test_nothing_planned_is_not_a_success(run: Runner) -> None:
    done = collect(run, "-m", "spot", "-t", "bookDepth")
    assert done.code == 3
    assert done.outcomes == {}
    assert done.report["status"] == "empty"
    assert done.report["notices"] == ["spot bookDepth: never published by the archive; nothing to plan"]


@needs_the_sample
def test_symbols_may_have_any_letters(run: Runner, archive: Archive) -> None:
    key = f"data/spot/daily/klines/{NON_ASCII}/1h/{NON_ASCII}-1h-2025-07-15.zip"
    done = collect(run, "-m", "spot", "-t", "klines", "-i", "1h", "-s", NON_ASCII, "--start", "2025-07-15")
    assert done.outcomes == {"fetched": 1}
    assert_same_bytes(done.root, archive.bucket, [key])


def defect(archive: Archive, kind: Defect) -> tuple[str, tuple[str, ...]]:
    """Return the key with a defect, and the options that select it."""
    key = next(key for key, found in archive.spec.defects.items() if found is kind)
    symbol, interval, name = key.split("/")[-3:]
    day = name.removesuffix(".zip").split("-", 2)[2]
    return key, ("-m", "spot", "-t", "klines", "-s", symbol, "-i", interval, "--start", day, "--end", day)


def test_a_missing_sidecar_is_marked_and_the_listing_proves_the_bytes(run: Runner, archive: Archive) -> None:
    key, options = defect(archive, Defect.MISSING_SIDECAR)
    done = collect(run, *options)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 1}, {"sidecar-missing": 1})
    assert_same_bytes(done.root, archive.bucket, [key])
    by_calendar = collect(run, *options, "--discover", "calendar", to="other")
    assert (by_calendar.code, by_calendar.outcomes, by_calendar.verdicts) == (0, done.outcomes, done.verdicts)


def test_a_stale_sidecar_is_marked_and_the_next_run_is_content(run: Runner, archive: Archive) -> None:
    key, options = defect(archive, Defect.STALE_SIDECAR)
    done = collect(run, *options)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 1}, {"sidecar-stale": 1})
    assert_same_bytes(done.root, archive.bucket, [key])
    assert collect(run, *options).outcomes == {"present": 1}
    assert collect(run, *options, "--discover", "calendar").outcomes == {"present": 1}
    by_calendar = collect(run, *options, "--discover", "calendar", to="other")
    assert (by_calendar.code, by_calendar.outcomes, by_calendar.verdicts) == (0, done.outcomes, done.verdicts)


def test_a_zip_that_was_broken_before_its_checksum_was_made_is_kept_and_never_good(
    run: Runner, archive: Archive
) -> None:
    key, options = defect(archive, Defect.BROKEN_ZIP)
    done = collect(run, *options)
    assert (done.code, done.outcomes, done.verdicts) == (3, {"fetched": 1}, {"bad-zip": 1})
    assert_same_bytes(done.root, archive.bucket, [key])
    assert f"bad-zip: {key}: the zip " in done.stderr
    again = collect(run, *options)
    assert (again.code, again.outcomes, again.report["stored_verdicts"]["bad-zip"]) == (3, {"present": 1}, 1)
    code, stdout, _ = run("verify", "--all", "-o", done.root, "--json")
    found = json.loads(stdout)
    validate(found, "verify.schema.json")
    assert (code, [(bad["key"], bad["at_fault"]) for bad in found["bad"]]) == (4, [(key, "archive")])
    code, stdout, _ = run("verify", "--all", "-o", done.root, "--repair", "--json")
    assert (code, json.loads(stdout)["repair"]["outcomes"]["fetched"]) == (3, 1)
    assert_same_bytes(done.root, archive.bucket, [key])
    assert files_below(done.root / ".crypto-archive" / "quarantine") == []
    assert set(DEFECTS) == set(archive.spec.defects)


def test_a_preset_with_the_seeds_field_names_does_all_of_it(run: Runner, archive: Archive, tmp_path: Path) -> None:
    path = preset(
        tmp_path,
        "workflow_type: archive_collection\n"
        "matrix_path: enhanced_binance_archive_matrix.json\n"
        "output_directory: output/data\n"
        "markets: [spot]\nsymbols: [BTCUSDT]\ndata_types: [klines]\nintervals: {klines: [1h]}\n"
        "date_range: {start: 2025-07-13, end: 2025-07-15}\nenable_resume: true\ndownload_checksum: true\n",
    )
    code, stdout, stderr = run("collect", "-p", path, "--json")
    done = collected(run, code, stdout, stderr, "output/data")
    assert done.outcomes == {"fetched": 3}
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_report_that_does_not_add_up_would_be_noticed(run: Runner) -> None:
    report = collect(run, *THREE).report
    report["outcomes"]["fetched"] += 1
    with pytest.raises(AssertionError):
        assert_whole(report)
