"""What the manifest says of a file was checked, and a sidecar that changed is fetched without its zip."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from crypto_archive.root.manifest import Manifest
from tests.archive.proxy import FaultProxy
from tests.archive.results import KEYS, THREE, assert_same_bytes, collect
from tests.archive.sample import SIDECAR, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.model import ManifestEntry
    from tests.archive.results import Collected
    from tests.archive.running import Runner
    from tests.archive.served import Archive


@pytest.fixture
def watched(private_archive: Archive) -> Iterator[FaultProxy]:
    """A proxy in front of an archive that the test may change."""
    with FaultProxy(private_archive.endpoint_url) as proxy:
        yield proxy


def manifest_of(root: Path) -> Path:
    return root / ".crypto-archive" / "manifest.sqlite"


def recorded(done: Collected) -> dict[str, ManifestEntry]:
    with Manifest(manifest_of(done.root), read_only=True) as manifest:
        return {entry.key: entry for entry in manifest.iterate()}


def is_recorded_as_stored(done: Collected) -> None:
    """See that every record has digest, ETag and the sidecar's ETag of the very bytes on disk."""
    for key, entry in recorded(done).items():
        content, sidecar = (done.root / key).read_bytes(), (done.root / (key + SIDECAR)).read_bytes()
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert entry.etag == md5_of(content)
        assert entry.sidecar_etag == md5_of(sidecar)


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def copied(run: Runner, bucket: Path, *, sidecars: bool) -> Path:
    """Copy what the bucket has into a root, as another tool leaves it."""
    root = run.folder / "archive"
    for key in KEYS:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(bucket / key, root / key)
        if sidecars:
            shutil.copy2(bucket / (key + SIDECAR), root / (key + SIDECAR))
    return root


def test_files_without_sidecars_are_proven_by_the_sidecars_alone(
    run: Runner, private_archive: Archive, watched: FaultProxy
) -> None:
    root = copied(run, private_archive.bucket, sidecars=False)
    (root / KEYS[1]).write_bytes(b"x" * (root / KEYS[1]).stat().st_size)
    run = run.at(watched.endpoint_url)
    done = collect(run, *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"present": 2, "fetched": 1}, {"ok": 3})
    assert [watched.count("GET", key) for key in KEYS] == [0, 1, 0]
    assert_same_bytes(done.root, private_archive.bucket, [*KEYS, *(key + SIDECAR for key in KEYS)])
    is_recorded_as_stored(done)
    gets = watched.count("GET")
    assert collect(run, *THREE).outcomes == {"present": 3}
    assert watched.count("GET") == gets


def test_a_file_that_nothing_can_prove_is_unproven_and_proven_later(
    run: Runner, private_archive: Archive, watched: FaultProxy
) -> None:
    copied(run, private_archive.bucket, sidecars=False)
    run = run.at(watched.endpoint_url)
    offline = collect(run, *THREE, "-p", no_sidecars(run), "--discover", "calendar")
    assert (offline.code, offline.outcomes, offline.report["stored_verdicts"]["unproven"]) == (0, {"present": 3}, 3)
    done = collect(run, *THREE)
    assert (done.outcomes, done.verdicts) == ({"present": 3}, {"ok": 3})
    assert [watched.count("GET", key) for key in KEYS] == [0, 0, 0]
    is_recorded_as_stored(done)


def no_sidecars(run: Runner) -> Path:
    path = run.folder / "plain.yaml"
    path.write_text("download_checksum: false\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["other tool", "manifest lost", "manifest rebuilt"])
def test_an_older_file_of_the_same_size_with_its_own_sidecar_is_replaced(
    run: Runner, private_archive: Archive, watched: FaultProxy, kind: str
) -> None:
    """Also what a run left that was killed before it recorded it: a file without a row."""
    run = run.at(watched.endpoint_url)
    if kind == "other tool":
        root = copied(run, private_archive.bucket, sidecars=True)
    else:
        root = collect(run, *THREE).root
        manifest_of(root).unlink()
    size = (root / KEYS[0]).stat().st_size
    assert len(replace(private_archive.bucket, KEYS[0], same_size=True)) == size
    if kind == "manifest rebuilt":
        assert run("verify", "--rebuild-manifest", "-o", "archive")[0] == 0
    gets = watched.count("GET")
    done = collect(run, *THREE, "--refresh")
    assert (done.code, done.outcomes) == (0, {"updated": 1, "present": 2})
    assert watched.count("GET") == gets + 2
    assert_same_bytes(done.root, private_archive.bucket, KEYS)
    is_recorded_as_stored(done)
    code, _, stderr = run("plan", *THREE, "-o", "archive", "--lock", "all.lock", "-q")
    assert code == 0, stderr
    assert run("collect", "--locked", "all.lock", "-o", "elsewhere", "-q")[0] == 0


def test_sidecars_that_the_archive_mends_adds_or_spoils_are_fetched_alone(
    run: Runner, private_archive: Archive, watched: FaultProxy
) -> None:
    bucket = private_archive.bucket
    good = {key: (bucket / (key + SIDECAR)).read_bytes() for key in KEYS}
    stale, late, fine = KEYS
    (bucket / (stale + SIDECAR)).write_bytes(b"0" * 64 + good[stale][64:])
    (bucket / (late + SIDECAR)).unlink()
    run = run.at(watched.endpoint_url)
    assert collect(run, *THREE).verdicts == {"ok": 1, "sidecar-missing": 1, "sidecar-stale": 1}
    for key in (stale, late):
        (bucket / (key + SIDECAR)).write_bytes(good[key])
    (bucket / (fine + SIDECAR)).write_bytes(b"<html>")
    zips = [watched.count("GET", key) for key in KEYS]
    gets = watched.count("GET")
    done = collect(run, *THREE, "--refresh")
    assert (done.code, done.outcomes, done.verdicts) == (0, {"present": 3}, {"ok": 2, "sidecar-malformed": 1})
    assert [watched.count("GET", key) for key in KEYS] == zips
    assert watched.count("GET") == gets + 3
    assert_same_bytes(done.root, bucket, [*KEYS, *(key + SIDECAR for key in KEYS)])
    is_recorded_as_stored(done)
    code, stdout, _ = run("verify", "--all", "-o", "archive")
    assert code == 0
    assert "2 of 3 files verified; 1 with a malformed checksum" in stdout
    assert collect(run, *THREE, "--refresh").outcomes == {"present": 3}
    assert watched.count("GET") == gets + 3


def test_a_newer_time_of_the_same_bytes_is_noted(run: Runner, private_archive: Archive, watched: FaultProxy) -> None:
    run = run.at(watched.endpoint_url)
    before = recorded(collect(run, *THREE))[KEYS[0]]
    path = private_archive.bucket / KEYS[0]
    moment = path.stat().st_mtime + 86_400
    os.utime(path, (moment, moment))
    gets = watched.count("GET")
    done = collect(run, *THREE, "--refresh")
    assert done.outcomes == {"present": 3}
    assert watched.count("GET") == gets
    after = recorded(done)[KEYS[0]]
    assert after.last_modified is not None
    assert after.last_modified.timestamp() == moment
    assert (after.sha256, after.etag, after.fetched_at) == (before.sha256, before.etag, before.fetched_at)


def test_a_root_of_an_earlier_version_learns_its_sidecars_without_a_download(
    run: Runner, private_archive: Archive, watched: FaultProxy
) -> None:
    run = run.at(watched.endpoint_url)
    done = collect(run, *THREE)
    with closing(sqlite3.connect(manifest_of(done.root))) as old, old:
        old.execute("DROP TRIGGER keep_former")  # which names the column
        for table in ("object", "history"):
            old.execute(f"ALTER TABLE {table} DROP COLUMN sidecar_etag")
        fields = "key, size, sha256, verdict, etag, last_modified, fetched_at, run_id"
        was = ", ".join(f"old.{field}" for field in fields.split(", "))
        old.execute(
            "CREATE TRIGGER keep_former AFTER UPDATE ON object WHEN old.sha256 <> new.sha256 BEGIN "
            f"INSERT INTO history ({fields}) VALUES ({was}); END"
        )
        for table in ("absent_days", "month_days"):
            old.execute(f"DROP TABLE {table}")
        old.execute("PRAGMA user_version = 2")
    sidecar = private_archive.bucket / (KEYS[2] + SIDECAR)
    sidecar.write_bytes(sidecar.read_bytes() + b"\n")  # written again since
    gets = watched.count("GET")
    code, stdout, _ = run("plan", *THREE, "-o", "archive", "--refresh", "-f", "jsonl")
    assert (code, stdout.count('"action": "keep"'), stdout.count('"action": "check"')) == (0, 2, 1)
    later = collect(run, *THREE)
    assert later.outcomes == {"present": 3}
    assert watched.count("GET") == gets + 1
    is_recorded_as_stored(later)
