"""A second ``collect``: it fetches what is missing or was replaced, and leaves the rest alone."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import (
    FOLDER,
    FUTURES,
    KEYS,
    THREE,
    assert_same_bytes,
    collect,
    files_below,
    in_futures,
    keys_where,
    preset,
)
from tests.archive.sample import SIDECAR, replace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.results import Collected
    from tests.archive.running import Runner
    from tests.archive.served import Archive

Row = tuple[str, str, str]


def rows(done: Collected, table: str) -> list[Row]:
    """Return key, digest and verdict of the rows of a table of the manifest."""
    with closing(sqlite3.connect(done.root / ".crypto-archive" / "manifest.sqlite")) as manifest:
        return list(manifest.execute(f"SELECT key, sha256, verdict FROM {table} ORDER BY key"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inodes(root: Path) -> dict[str, int]:
    return {name: (root / "data" / name).stat().st_ino for name in files_below(root / "data")}


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_a_second_run_fetches_nothing(run: Runner, proxy: FaultProxy, archive: Archive, discovery: str) -> None:
    run = run.at(proxy.endpoint_url)
    expected = keys_where(archive.spec, in_futures)
    first = collect(run, *FUTURES, "--discover", discovery)
    assert proxy.count("GET") == 2 * len(expected)
    before = inodes(first.root)
    lists = proxy.count("LIST")
    second = collect(run, *FUTURES, "--discover", discovery)
    assert (second.code, second.outcomes) == (0, {"present": len(expected)})
    assert second.report["status"] == "success"
    assert second.report["bytes_fetched"] == 0
    assert second.report["collection_stats"]["total_size_bytes"] == first.report["collection_stats"]["total_size_bytes"]
    assert proxy.count("GET") == 2 * len(expected)
    assert proxy.count("LIST") == lists, "what was listed is remembered"
    assert second.run_files == []
    assert inodes(second.root) == before


def test_only_what_is_missing_is_fetched(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    run = run.at(proxy.endpoint_url)
    collect(run, *THREE, "--end", "2025-07-14")
    done = collect(run, *THREE)
    assert done.outcomes == {"present": 2, "fetched": 1}
    assert [proxy.count("GET", key) for key in KEYS] == [1, 1, 1]
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_force_fetches_again(run: Runner, proxy: FaultProxy, tmp_path: Path, archive: Archive) -> None:
    run = run.at(proxy.endpoint_url)
    collect(run, *THREE)
    assert collect(run, *THREE, "--force").outcomes == {"fetched": 3}
    assert proxy.count("GET", "*.zip") == 6
    done = collect(run, *THREE, "-p", preset(tmp_path, "enable_resume: false\n"))
    assert done.outcomes == {"fetched": 3}
    assert proxy.count("GET", "*.zip") == 9
    assert rows(done, "history") == []
    assert_same_bytes(done.root, archive.bucket, KEYS)


@pytest.mark.parametrize("same_size", [False, True])
def test_what_the_archive_replaced_is_updated_and_the_old_digest_kept(
    run: Runner, private_archive: Archive, same_size: bool
) -> None:
    run = run.at(private_archive.endpoint_url)
    first = collect(run, *THREE)
    old = sha256(first.root / KEYS[1])
    content = replace(private_archive.bucket, KEYS[1], same_size=same_size)
    assert collect(run, *THREE).outcomes == {"present": 3}, "the listing of a moment ago still counts"
    second = collect(run, *THREE, "--refresh")
    assert (second.code, second.outcomes) == (0, {"present": 2, "updated": 1})
    assert (second.root / KEYS[1]).read_bytes() == content
    assert_same_bytes(second.root, private_archive.bucket, KEYS)
    assert rows(second, "history") == [(KEYS[1], old, "ok")]
    assert (KEYS[1], sha256(second.root / KEYS[1]), "ok") in rows(second, "object")
    assert collect(run, *THREE).outcomes == {"present": 3}


def test_a_file_replaced_without_its_sidecar_is_marked_stale_and_does_not_come_again(
    run: Runner, private_archive: Archive
) -> None:
    run = run.at(private_archive.endpoint_url)
    collect(run, *THREE)
    content = replace(private_archive.bucket, KEYS[0], sidecar=False)
    done = collect(run, *THREE, "--refresh")
    assert (done.outcomes, done.verdicts) == ({"present": 2, "updated": 1}, {"sidecar-stale": 1})
    assert (done.root / KEYS[0]).read_bytes() == content
    assert collect(run, *THREE).outcomes == {"present": 3}


def test_a_file_that_lost_bytes_is_fetched_again(run: Runner, archive: Archive) -> None:
    for discovery in ("listing", "calendar"):
        done = collect(run, *THREE, "--discover", discovery)
        os.truncate(done.root / KEYS[0], 100)
        mended = collect(run, *THREE, "--discover", discovery)
        assert mended.outcomes == {"present": 2, "fetched": 1}
        assert_same_bytes(mended.root, archive.bucket, KEYS)


def test_files_from_elsewhere_are_taken_as_present(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    for key in KEYS:
        for name in (key, key + SIDECAR):
            path = run.folder / "archive" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((archive.bucket / name).read_bytes())
    os.truncate(run.folder / "archive" / KEYS[2], 100)
    done = collect(run.at(proxy.endpoint_url), *THREE)
    assert done.outcomes == {"present": 2, "updated": 1}
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_manifest_that_is_gone_costs_no_download(run: Runner, proxy: FaultProxy) -> None:
    run = run.at(proxy.endpoint_url)
    first = collect(run, *THREE)
    known = rows(first, "object")
    (first.root / ".crypto-archive" / "manifest.sqlite").unlink()
    again = collect(run, *THREE)
    assert again.outcomes == {"present": 3}
    assert rows(again, "object") == known
    assert proxy.count("GET") == 6


def test_a_spoiled_file_that_the_manifest_does_not_know_is_fetched_again(run: Runner, archive: Archive) -> None:
    first = collect(run, *THREE)
    (first.root / ".crypto-archive" / "manifest.sqlite").unlink()
    spoiled = first.root / KEYS[1]
    spoiled.write_bytes(bytes(spoiled.stat().st_size))
    assert collect(run, *THREE, "--discover", "calendar").outcomes == {"present": 2, "fetched": 1}
    assert_same_bytes(first.root, archive.bucket, KEYS)


def test_a_replacement_of_the_same_size_is_seen_after_a_calendar_run(run: Runner, private_archive: Archive) -> None:
    run = run.at(private_archive.endpoint_url)
    collect(run, *THREE, "--discover", "calendar")
    replace(private_archive.bucket, KEYS[2], same_size=True)
    done = collect(run, *THREE)
    assert done.outcomes == {"present": 2, "updated": 1}
    assert_same_bytes(done.root, private_archive.bucket, KEYS)


def test_a_sidecar_that_turns_up_later_is_fetched(run: Runner, private_archive: Archive) -> None:
    run = run.at(private_archive.endpoint_url)
    sidecar = private_archive.bucket / (KEYS[0] + SIDECAR)
    content = sidecar.read_bytes()
    sidecar.unlink()
    assert collect(run, *THREE).verdicts == {"ok": 2, "sidecar-missing": 1}
    assert collect(run, *THREE).outcomes == {"present": 3}
    sidecar.write_bytes(content)
    late = collect(run, *THREE, "--refresh")
    assert (late.outcomes, late.verdicts, late.report["bytes_fetched"]) == ({"present": 3}, {"ok": 1}, len(content))
    assert (late.root / (KEYS[0] + SIDECAR)).read_bytes() == content
    assert collect(run, *THREE).outcomes == {"present": 3}


def test_staging_is_swept_at_the_start(run: Runner) -> None:
    leftover = (
        run.folder
        / "archive"
        / ".crypto-archive"
        / "staging"
        / "20250715T120000Z-abc123"
        / "00001"
        / FOLDER
        / "half.zip"
    )
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    done = collect(run, *THREE)
    assert done.outcomes == {"fetched": 3}
    assert list((done.root / ".crypto-archive" / "staging").iterdir()) == []


def test_what_was_absent_is_asked_for_again(run: Runner, private_archive: Archive) -> None:
    run = run.at(private_archive.endpoint_url)
    names = [KEYS[2], KEYS[2] + SIDECAR]
    held = {name: (private_archive.bucket / name).read_bytes() for name in names}
    for name in names:
        (private_archive.bucket / name).unlink()
    assert collect(run, *THREE, "--discover", "calendar").outcomes == {"fetched": 2, "absent": 1}
    for name, content in held.items():
        (private_archive.bucket / name).write_bytes(content)
    done = collect(run, *THREE, "--discover", "calendar")
    assert done.outcomes == {"present": 2, "fetched": 1}
    assert_same_bytes(done.root, private_archive.bucket, KEYS)
