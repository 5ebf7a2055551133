"""Shards side by side: who is turned away by whom, and what is left when they have ended or were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import EnvironmentFailure, RootLocked, RootUnusable
from crypto_archive.model import ManifestEntry, Notice, ShardName, Verdict
from crypto_archive.root import lock as parts
from crypto_archive.root.lock import hold, hold_part, hold_whole, is_held, join, part_for, parts_of, read_holder
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.store import Root, open_root, quarantine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAN = "0a1b2c3d4e5f"
NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
KEYS = [f"data/{number}.zip" for number in range(3)]

SHARD = """
import sys
from pathlib import Path
from crypto_archive.model import ShardName
from crypto_archive.root.lock import hold_part, part_for
from crypto_archive.root.store import open_root

root = open_root(Path(sys.argv[1]))
with hold_part(part_for(root, ShardName("0a1b2c3d4e5f", 1, 3)), "collect", lambda _: ()):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def shard(root: Root, number: int = 1, count: int = 3, plan: str = PLAN) -> Root:
    return part_for(root, ShardName(plan, number, count))


def not_alone(_: Root) -> tuple[Notice, ...]:
    pytest.fail("another shard runs")


def quiet(_: Root) -> tuple[Notice, ...]:
    return ()


@contextmanager
def another_process(root: Root) -> Iterator[subprocess.Popen[str]]:
    """Let a child hold the first of three parts until it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SHARD, str(root.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def left_behind(root: Root, number: int, *keys: str, sha256: str = "a" * 64) -> Root:
    """A part whose shard was killed after it had remembered some objects."""
    part = shard(root, number)
    with hold_part(part, "collect", quiet), Manifest(part.manifest_path) as manifest:
        (part.staging / "run").mkdir(parents=True)
        (part.staging / "run" / "half").write_bytes(b"half")
        for key in keys:
            manifest.record(ManifestEntry(key, 1, sha256, Verdict.OK, "etag", NOON, NOON, "run"))
    return part


def known(root: Root) -> list[str]:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        return [entry.key for entry in manifest.iterate()]


# Where things stand


def test_a_part_has_lock_staging_and_manifest_to_itself_and_shares_the_rest(root: Root) -> None:
    part = shard(root)
    own = root.path / ".crypto-archive" / "parts" / f"{PLAN}-1-of-3"
    assert (part.private, part.lock_path, part.staging) == (own, own / "lock", own / "staging")
    assert part.manifest_path == own / "manifest.sqlite"
    assert (part.data, part.file(KEYS[0])) == (root.data, root.file(KEYS[0]))
    assert (part.quarantine, part.covered, part.runs) == (root.quarantine, root.covered, root.runs)
    assert part.listings_path == root.listings_path
    assert (part.whole, root.whole) == (root, root)


def test_what_is_no_part_is_left_alone(root: Root) -> None:
    assert parts_of(root) == ()
    for name in ("notes", f"{PLAN}-0-of-3", f"{PLAN}-1-of-3.old", "x" * 12 + "-1-of-3"):
        (root.parts / name).mkdir(parents=True)
    assert parts_of(root) == ()
    join(root)
    assert len(list(root.parts.iterdir())) == 4


# Who may run beside whom


def test_shards_of_one_plan_run_side_by_side(root: Root) -> None:
    with hold_part(shard(root, 1), "collect", quiet), hold_part(shard(root, 2), "collect", not_alone):
        assert [is_held(part) for part in parts_of(root)] == [True, True]
        assert not is_held(root)


@pytest.mark.parametrize(
    "second", [ShardName(PLAN, 1, 3), ShardName(PLAN, 2, 4), ShardName("f" * 12, 2, 3)], ids=["same", "cut", "plan"]
)
def test_a_shard_that_might_share_objects_with_one_that_runs_is_turned_away(root: Root, second: ShardName) -> None:
    with another_process(root) as child:
        with pytest.raises(RootLocked) as raised, hold_part(part_for(root, second), "collect", not_alone):
            pass
        assert f": collect, shard 1/3 of {PLAN}, process {child.pid} on " in raised.value.message
        assert not raised.value.brief
        assert not is_held(root)
    with hold_part(part_for(root, second), "collect", quiet):
        pass


def test_a_run_of_the_whole_root_is_turned_away_while_a_shard_runs(root: Root) -> None:
    with another_process(root) as child:
        with pytest.raises(RootLocked) as raised, hold_whole(root, "collect"):
            pass
        assert raised.value.message.startswith(
            f"Another run holds the lock of {root.path}: collect, shard 1/3 of {PLAN}"
        )
        assert f"process {child.pid} on " in raised.value.message
        assert not is_held(root)
        child.kill()
        child.wait()
        with hold_whole(root, "collect"):
            pass


def test_a_shard_is_turned_away_while_a_run_has_the_whole_root(root: Root) -> None:
    with hold_whole(root, "verify --repair"):
        with pytest.raises(RootLocked, match="verify --repair, process") as raised:
            hold_part(shard(root), "collect", not_alone).__enter__()
        assert not raised.value.brief
    assert parts_of(root) == ()


def test_a_shard_that_begins_is_a_matter_of_moments(root: Root) -> None:
    seen = []

    def look(whole: Root) -> tuple[Notice, ...]:
        with pytest.raises(RootLocked) as raised, hold(whole, "collect"):
            pass
        seen.append(raised.value)
        return (Notice("said"),)

    with hold_part(shard(root), "collect", look) as notices:
        assert notices == (Notice("said"),)
    assert [error.brief for error in seen] == [True]
    assert f"the beginning of shard 1/3 of {PLAN}" in seen[0].message


def test_a_run_that_finds_a_shard_is_a_matter_of_moments_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else a run that waits for a shard, and looks again and again, would turn away another one that begins."""
    notes = []

    def look(part: Root) -> bool:
        notes.append(read_holder(part.whole))
        return False

    with hold_part(shard(root), "collect", quiet):
        monkeypatch.setattr(parts, "is_held", look)
        with hold_whole(root, "collect"):
            notes.append(read_holder(root))
        with hold_whole(root, "the joining of shards", brief=True):
            notes.append(read_holder(root))
    assert [note and note.brief for note in notes] == [True, False, True, True]


def test_a_shard_whose_beginning_fails_holds_nothing(root: Root) -> None:
    def fail(_: Root) -> tuple[Notice, ...]:
        raise EnvironmentFailure("no")

    with pytest.raises(EnvironmentFailure, match="no"):
        hold_part(shard(root), "collect", fail).__enter__()
    with hold_whole(root, "collect"):
        pass


def test_a_part_that_cannot_be_made_is_told(root: Root) -> None:
    root.parts.write_text("in the way")
    with pytest.raises(RootUnusable, match="Cannot write to output directory"):
        hold_part(shard(root), "collect", quiet).__enter__()
    assert read_holder(root) is None


def test_parts_that_cannot_be_read_are_told(root: Root) -> None:
    root.parts.symlink_to(root.parts)
    with pytest.raises(RootUnusable, match="Cannot write to output directory"):
        hold_whole(root, "collect").__enter__()
    assert read_holder(root) is None


# What is left of them


def test_what_shards_came_to_is_joined_and_nothing_of_them_is_left(root: Root) -> None:
    left_behind(root, 1, KEYS[0])
    left_behind(root, 2, KEYS[1])
    with Manifest(root.manifest_path) as manifest:
        manifest.record(ManifestEntry(KEYS[2], 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))
    with hold_whole(root, "collect"):
        assert join(root) == ()
    assert known(root) == KEYS
    assert not root.parts.exists()


def test_what_killed_shards_have_left_running_is_ended(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [left_behind(root, number, KEYS[number]) for number in (1, 2)]
    ended: list[tuple[Path, bool]] = []
    monkeypatch.setattr(parts, "end_orphans", lambda folder: ended.append((folder, (folder / "run" / "half").exists())))
    join(root)
    assert ended == [(part.staging, True) for part in left]  # before what they write to is removed


@pytest.mark.parametrize("step", ["end_orphans", "merge", "rmtree", "fold_log"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_steps_nothing_is_lost(
    root: Root, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    left_behind(root, 1, KEYS[0])
    left_behind(root, 2, KEYS[1])
    place = parts.shutil if step == "rmtree" else parts
    original = getattr(place, step)

    def killed(*arguments: object, **named: object) -> None:
        if after:
            original(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, step, killed)
        with pytest.raises(KeyboardInterrupt):
            join(root)
    assert join(root) == ()
    assert known(root) == KEYS[:2]
    assert not root.parts.exists()


def test_killed_while_its_folder_is_removed_a_stale_log_is_no_manifest(root: Root) -> None:
    part = left_behind(root, 1, KEYS[0])
    part.manifest_path.unlink()
    part.manifest_path.with_name("manifest.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82" + b"stale" * 100)
    assert join(root) == ()
    assert known(root) == []
    assert not root.parts.exists()


def test_a_part_that_cannot_be_removed_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind(root, 1, KEYS[0])

    def denied(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(type(root.path), "unlink", denied)
        with pytest.raises(RootUnusable, match="Permission denied writing to output directory"):
            join(root)
    assert join(root) == ()
    assert known(root) == [KEYS[0]]


def test_a_manifest_that_cannot_be_read_is_kept_and_said(root: Root) -> None:
    kept = root.private / f"manifest.sqlite.{PLAN}-1-of-3"
    for name in (kept, kept.with_name(kept.name + ".2")):
        part = left_behind(root, 1, KEYS[0])
        content = b"spoilt" * 1_000
        part.manifest_path.write_bytes(content)
        left_behind(root, 2, KEYS[1])
        (notice,) = join(root)
        assert notice.text.startswith(f"what shard 1/3 of {PLAN} remembered cannot be read and is kept as {name}; ")
        assert name.read_bytes() == content
        assert known(root) == [KEYS[1]]
        assert not root.parts.exists()


def test_a_manifest_of_the_root_that_cannot_be_read_costs_no_part(root: Root) -> None:
    part = left_behind(root, 1, KEYS[0])
    root.manifest_path.write_bytes(b"spoilt" * 1_000)
    with pytest.raises(EnvironmentFailure, match="manifest"):
        join(root)
    root.manifest_path.unlink()
    assert part.manifest_path.exists()
    join(root)
    assert known(root) == [KEYS[0]]


def test_what_a_killed_run_left_in_the_log_of_the_root_is_there_for_readers_that_write_nothing(root: Root) -> None:
    writer = Manifest(root.manifest_path)
    writer.record(ManifestEntry(KEYS[0], 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))
    writer.flush()
    copies = {path: path.read_bytes() for path in root.private.glob("manifest.sqlite*") if path.suffix != ".sqlite-shm"}
    writer.close()
    for path, content in copies.items():
        path.write_bytes(content)
    assert root.manifest_path.with_name("manifest.sqlite-wal").exists()

    join(root)
    with Manifest(root.manifest_path, unchanging=True) as manifest:
        assert manifest.entry(KEYS[0]) is not None
        assert sorted(path.name for path in root.private.glob("manifest*")) == ["manifest.sqlite"]


def test_quarantined_bytes_of_two_shards_do_not_meet(root: Root) -> None:
    kept = []
    for number in (1, 2):
        part = shard(root, number)
        with hold_part(part, "collect", quiet):
            staged = part.staging / "bad.zip"
            staged.write_bytes(str(number).encode())
            kept.append(quarantine(part, staged, KEYS[0], "bad", "run"))
    join(root)
    assert [path.read_bytes() for path in kept] == [b"1", b"2"]
