"""``verify``: what is on disk against sidecars, manifest and, when asked, the listing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    files_below,
    in_research,
    keys_where,
    stored,
    validate,
)
from tests.archive.sample import SIDECAR, Defect
from tests.archive.served import needs_the_sample

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

BOTH = pytest.mark.parametrize("selection", [THREE, ("--all",), ()], ids=["selection", "all", "nothing selected"])


def verify(run: Runner, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run ``verify --json``; the document is held against its schema and must add up."""
    code, stdout, stderr = run("verify", "--json", "-o", ROOT, *arguments)
    assert stdout, stderr
    document: dict[str, Any] = json.loads(stdout)
    validate(document, "verify.schema.json")
    assert document["exit_code"] == code
    groups = document["by_market_and_type"]
    assert sum(document["verdicts"].values()) == document["objects"] == sum(group["objects"] for group in groups)
    assert document["bytes"] == sum(group["bytes"] for group in groups)
    return code, document, stderr


def verdicts(document: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in document["verdicts"].items() if count}


@pytest.fixture
def root(run: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive root that holds the three objects: collected once, then copied for each test."""
    kept = tmp_path_factory.getbasetemp() / "root-to-verify"
    if not kept.exists():
        shutil.copytree(collect(run, *THREE, to=tmp_path_factory.mktemp("collected")).root, kept)
    return Path(shutil.copytree(kept, run.folder / ROOT))


def spoil(path: Path) -> None:
    """Turn over one bit and keep size and time stamps, as a bad disk does."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@BOTH
def test_what_was_collected_is_proven_without_a_network(
    run: Runner, root: Path, proxy: FaultProxy, selection: tuple[str, ...]
) -> None:
    offline = run.at(proxy.endpoint_url).with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent")
    before = files_below(run.folder)
    code, document, _ = verify(offline, *selection)
    assert (code, document["status"], verdicts(document)) == (0, "success", {"ok": 3})
    assert document["bytes"] == sum((root / key).stat().st_size for key in KEYS)
    assert document["bad"] == []
    assert proxy.requests == ()
    assert files_below(run.folder) == before


@BOTH
def test_one_bit_is_enough_to_be_corrupt(run: Runner, root: Path, selection: tuple[str, ...]) -> None:
    spoil(root / KEYS[1])
    code, document, stderr = verify(run, *selection)
    assert (code, document["status"], verdicts(document)) == (4, "bad", {"ok": 2, "corrupt": 1})
    (bad,) = document["bad"]
    assert (bad["key"], bad["verdict"]) == (KEYS[1], "corrupt")
    assert "the sidecar says" in bad["reason"]
    assert f"corrupt: {KEYS[1]}" in stderr


@BOTH
def test_a_file_that_is_gone_is_missing(run: Runner, root: Path, selection: tuple[str, ...]) -> None:
    (root / KEYS[0]).unlink()
    code, document, _ = verify(run, *selection)
    assert (code, verdicts(document)) == (4, {"ok": 2, "missing": 1})
    assert [(bad["key"], bad["size"]) for bad in document["bad"]] == [(KEYS[0], 0)]


@pytest.mark.parametrize("with_sidecar", [True, False])
def test_a_truncated_file_is_corrupt(run: Runner, root: Path, with_sidecar: bool) -> None:
    os.truncate(root / KEYS[2], 100)
    if not with_sidecar:
        (root / (KEYS[2] + SIDECAR)).unlink()
    code, document, _ = verify(run, *THREE)
    assert (code, verdicts(document)) == (4, {"ok": 2, "corrupt": 1})
    assert document["bad"][0]["size"] in {0, 100}


def test_a_sidecar_that_is_gone_is_not_a_fault(run: Runner, root: Path) -> None:
    (root / (KEYS[0] + SIDECAR)).unlink()
    code, document, _ = verify(run, *THREE)
    assert (code, verdicts(document)) == (0, {"ok": 3})
    spoil(root / KEYS[0])
    assert verify(run, *THREE)[0] == 4


def test_a_spoilt_sidecar_confirms_nothing(run: Runner, root: Path) -> None:
    (root / (KEYS[0] + SIDECAR)).write_text("nonsense", encoding="utf-8")
    code, document, _ = verify(run, *THREE)
    assert (code, verdicts(document)) == (4, {"ok": 2, "corrupt": 1})
    assert "malformed sidecar" in document["bad"][0]["reason"]


@needs_the_sample
def test_globs_match_what_is_on_disk_or_in_the_manifest(run: Runner, archive: Archive) -> None:
    day = ("--start", "2025-07-15", "--end", "2025-07-15")
    wanted = ("-m", "futures_um", "-t", "klines", "-i", "1h", "-s", "*SETTLED", *day)
    assert collect(run, *wanted).outcomes == {"fetched": 3}
    gone = next((run.folder / ROOT).rglob("ICPUSDTSETTLED-*.zip"))
    shutil.rmtree(gone.parents[1])
    code, document, _ = verify(run, *wanted)
    assert (code, verdicts(document)) == (4, {"ok": 2, "missing": 1})
    assert document["bad"][0]["key"].endswith(gone.name)


@needs_the_sample
def test_the_archives_own_faults_are_counted_but_only_its_broken_zips_are_bad(run: Runner, archive: Archive) -> None:
    collect(run, "-m", "spot", "-t", "klines", "-s", "*USDT", "--start", "2022-01-01", "--end", "2023-12-31")
    code, document, _ = verify(run, "--all")
    assert (code, verdicts(document)) == (4, {"bad-zip": 1, "sidecar-missing": 1, "sidecar-stale": 1})
    of = {defect: key for key, defect in archive.spec.defects.items()}
    broken, stale = of[Defect.BROKEN_ZIP], of[Defect.STALE_SIDECAR]
    assert [(bad["key"], bad["at_fault"]) for bad in document["bad"]] == [(broken, "archive")]
    spoil(run.folder / ROOT / stale)
    code, document, _ = verify(run, "--all")
    assert code == 4
    assert {bad["key"]: bad["at_fault"] for bad in document["bad"]} == {broken: "archive", stale: "local"}


def test_a_selection_by_preset(run: Runner, archive: Archive) -> None:
    collect(run, *RESEARCH)
    expected = keys_where(archive.spec, in_research)
    code, document, _ = verify(run, *RESEARCH)
    assert (code, verdicts(document)) == (0, {"ok": len(expected)})
    (run.folder / ROOT / KEYS[2]).unlink()
    assert verify(run, *RESEARCH, "-m", "options")[0] == 0
    assert verify(run, *RESEARCH, "-m", "spot")[0] == 4


@needs_the_sample
def test_what_was_never_fetched_is_missing_where_the_listing_has_it(run: Runner, root: Path) -> None:
    assert verify(run, *THREE, "--discover", "listing")[0] == 0
    more = (*SERIES, "--start", "2025-01-01", "--end", "2025-07-31")
    code, document, _ = verify(run, *more, "--discover", "listing")
    assert (code, verdicts(document)) == (4, {"ok": 3, "missing": 2})  # whole months, which the archive has as such
    monthly = KEYS[0].replace("/daily/", "/monthly/")
    assert [bad["key"] for bad in document["bad"]] == [
        monthly.replace("2025-07-13", month) for month in ("2025-01", "2025-06")
    ]
    code, document, _ = verify(run, *more, "--discover", "listing", "--partition", "daily")
    assert [bad["key"] for bad in document["bad"]] == [KEYS[0].replace("2025-07-13", "2025-01-01")]
    code, document, _ = verify(run, *more)
    assert (code, document["status"], document["objects"]) == (0, "incomplete", 3)
    never = document["never_collected"]
    assert (never["days"], never["objects"]) == (209, 209)
    assert [(one["symbol"], one["interval"], one["first"], one["last"]) for one in never["series"]] == [
        ("BTCUSDT", "1h", "2025-01-01", "2025-07-31")
    ]
    stdout = run("verify", *more, "-o", ROOT).stdout
    assert "Part of the selection was never collected" in stdout
    assert "209 days of spot klines BTCUSDT 1h (2025-01-01 to 2025-07-31) never collected" in stdout
    assert "good" not in stdout
    code, _, stderr = run("verify", *more, "-o", ROOT, "-q")
    assert (code, stderr.partition(" (")[0]) == (
        0, "verification incomplete: 3 objects; 209 days of spot klines BTCUSDT 1h",
    )  # fmt: skip
    assert stored(root) == set(KEYS)


@needs_the_sample
def test_the_calendar_expects_what_the_archive_was_not_seen_without(run: Runner, root: Path) -> None:
    longer = (*SERIES, "--start", "2025-07-13", "--end", "2025-07-17", "--discover", "calendar")
    code, document, _ = verify(run, *longer)
    assert (code, verdicts(document)) == (4, {"ok": 3, "missing": 2})
    collect(run, *longer)  # which learns that there are none
    assert verify(run, *longer)[:1] == (0,)


def test_the_whole_root_has_files_that_the_manifest_does_not_know(run: Runner, root: Path) -> None:
    (root / ".crypto-archive" / "manifest.sqlite").unlink()
    (root / "data" / "notes.txt").write_text("mine", encoding="utf-8")
    assert verdicts(verify(run, "--all")[1]) == {"ok": 3}
    spoil(root / KEYS[0])
    code, document, _ = verify(run, "--all")
    assert (code, verdicts(document)) == (4, {"ok": 2, "corrupt": 1})


def test_a_collect_mends_what_verify_found_missing(run: Runner, archive: Archive, root: Path) -> None:
    shutil.rmtree(root / "data")
    code, document, _ = verify(run, "--all")
    assert (code, verdicts(document)) == (4, {"missing": 3})
    assert collect(run, *THREE).outcomes == {"fetched": 3}
    assert_same_bytes(root, archive.bucket, KEYS)
    assert verify(run, "--all")[0] == 0


def test_repair_fetches_what_is_bad_or_missing(run: Runner, archive: Archive, root: Path) -> None:
    spoil(root / KEYS[0])
    spoilt = (root / KEYS[0]).read_bytes()
    (root / KEYS[1]).unlink()
    code, document, _ = verify(run, *THREE, "--repair")
    assert (code, verdicts(document)) == (0, {"ok": 1, "missing": 1, "corrupt": 1})
    assert_whole(document["repair"])
    assert document["repair"]["outcomes"]["fetched"] == 2
    assert_same_bytes(root, archive.bucket, KEYS)
    held = root / ".crypto-archive" / "quarantine"
    assert [(held / name).read_bytes() for name in files_below(held) if not name.endswith(".json")] == [spoilt]
    assert verify(run, "--all")[0] == 0


def test_a_person_reads_a_summary(run: Runner, root: Path) -> None:
    spoil(root / KEYS[0])
    code, stdout, stderr = run("verify", *THREE, "-o", ROOT)
    assert code == 4
    assert KEYS[0] in stdout
    assert "corrupt" in stdout
    assert "verification ended" in stderr.splitlines()[-1]


def test_a_root_that_is_not_there(run: Runner) -> None:
    code, stdout, stderr = run("verify", *THREE, "-o", "nowhere")
    assert (code, stdout) == (5, "")
    assert f"Error: There is no archive root at {run.folder / 'nowhere'}" in stderr
    assert files_below(run.folder) == []
