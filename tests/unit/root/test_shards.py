"""Shards side by side: which runs exclude each other, and what is left when they end or are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import EnvironmentFailure, RootLocked, RootUnusable
from crypto_archive.model import ManifestEntry, ShardName, Verdict
from crypto_archive.root import session
from crypto_archive.root.lock import RootLock, hold_shard, hold_whole, shards_of, start_shard
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.session import merge_shards
from crypto_archive.root.store import Root, new_run_id, open_root, quarantine
from crypto_archive.s5cmd import orphans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.root.lock import Holder

PLAN = "0a1b2c3d4e5f"
NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
RUN = new_run_id(NOON)
KEYS = [f"data/{number}.zip" for number in range(3)]

SHARD = """
import sys
from pathlib import Path
from crypto_archive.model import ShardName
from crypto_archive.root.lock import hold_shard
from crypto_archive.root.store import Root

with hold_shard(Root(Path(sys.argv[1]), ShardName("0a1b2c3d4e5f", 1, 3)), "collect"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def shard(root: Root, number: int = 1, count: int = 3, plan: str = PLAN) -> Root:
    return Root(root.path, ShardName(plan, number, count))


@contextmanager
def started(root: Root, *, alone: bool) -> Iterator[Holder]:
    """Start a shard as a collect does."""
    with ExitStack() as held:
        with start_shard(root) as is_alone:
            assert is_alone is alone
            holder = held.enter_context(hold_shard(root, "collect"))
        yield holder


@contextmanager
def another_process(root: Root) -> Iterator[subprocess.Popen[str]]:
    """Let a child hold the first of three shards until it is killed."""
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
    """A shard that was killed after it had recorded some objects."""
    killed = shard(root, number)
    with hold_shard(killed, "collect"), Manifest(killed.manifest_path) as manifest:
        (killed.staging / RUN).mkdir(parents=True)
        (killed.staging / RUN / "half").write_bytes(b"half")
        for key in keys:
            manifest.record(ManifestEntry(key, 1, sha256, Verdict.OK, "etag", NOON, NOON, "run"))
    return killed


def known(root: Root) -> list[str]:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        return [entry.key for entry in manifest.iterate()]


# Paths


def test_a_shard_has_its_own_lock_staging_and_manifest_and_shares_the_rest(root: Root) -> None:
    share = shard(root)
    own = root.path / ".crypto-archive" / "parts" / f"{PLAN}-1-of-3"
    assert (share.private, share.lock_path, share.staging) == (own, own / "lock", own / "staging")
    assert share.manifest_path == own / "manifest.sqlite"
    assert (share.data, share.file(KEYS[0])) == (root.data, root.file(KEYS[0]))
    assert (share.quarantine, share.covered, share.runs) == (root.quarantine, root.covered, root.runs)
    assert share.listings_path == root.listings_path
    assert (share.whole, root.whole) == (root, root)


def test_other_folders_are_not_shards(root: Root) -> None:
    assert shards_of(root) == ()
    for name in ("notes", f"{PLAN}-0-of-3", f"{PLAN}-1-of-3.old", "x" * 12 + "-1-of-3"):
        (root.shards / name).mkdir(parents=True)
    assert shards_of(root) == ()
    merge_shards(root, NOON.date())
    assert len(list(root.shards.iterdir())) == 4


# Which runs exclude each other


def test_shards_of_one_plan_run_side_by_side(root: Root) -> None:
    with started(shard(root, 1), alone=True), started(shard(root, 2), alone=False):
        assert [RootLock(each).is_held() for each in shards_of(root)] == [True, True]
        assert not RootLock(root).is_held()


@pytest.mark.parametrize(
    "second", [ShardName(PLAN, 1, 3), ShardName(PLAN, 2, 4), ShardName("f" * 12, 2, 3)], ids=["same", "cut", "plan"]
)
def test_a_shard_that_might_share_objects_with_one_that_runs_is_turned_away(root: Root, second: ShardName) -> None:
    with another_process(root) as child:
        with pytest.raises(RootLocked) as raised:
            start_shard(Root(root.path, second)).__enter__()
        assert f": collect, shard 1/3 of {PLAN}, process {child.pid} on " in raised.value.message
        assert not raised.value.brief
        assert not RootLock(root).is_held()
    with started(Root(root.path, second), alone=True):
        pass


def test_a_run_of_the_whole_root_is_turned_away_while_a_shard_runs(root: Root) -> None:
    with another_process(root) as child:
        with pytest.raises(RootLocked) as raised, hold_whole(root, "collect"):
            pass
        assert raised.value.message.startswith(
            f"Another run holds the lock of {root.path}: collect, shard 1/3 of {PLAN}"
        )
        assert f"process {child.pid} on " in raised.value.message
        assert not RootLock(root).is_held()
        child.kill()
        child.wait()
        with hold_whole(root, "collect"):
            pass


def test_a_shard_is_turned_away_while_a_run_has_the_whole_root(root: Root) -> None:
    with hold_whole(root, "verify --repair"):
        with pytest.raises(RootLocked, match="verify --repair, process") as raised:
            start_shard(shard(root)).__enter__()
        assert not raised.value.brief
    assert shards_of(root) == ()


def test_a_shard_that_starts_holds_the_root_briefly(root: Root) -> None:
    with start_shard(shard(root)):
        with pytest.raises(RootLocked) as raised, RootLock(root).hold("collect"):
            pass
        assert raised.value.brief
        assert f"start of shard 1/3 of {PLAN}" in raised.value.message


def test_a_run_that_finds_a_shard_held_the_root_briefly_too(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a run that waits for a shard, trying again and again, would turn away another one that starts."""
    notes = []

    def look(lock: RootLock) -> bool:
        notes.append(RootLock(root).holder())
        return False

    with hold_shard(shard(root), "collect"):
        monkeypatch.setattr(RootLock, "is_held", look)
        with hold_whole(root, "collect"):
            notes.append(RootLock(root).holder())
        with hold_whole(root, "merge of shards", brief=True):
            notes.append(RootLock(root).holder())
    assert [note and note.brief for note in notes] == [True, False, True, True]


def test_a_shard_that_fails_to_start_holds_nothing(root: Root) -> None:
    with pytest.raises(EnvironmentFailure, match="no"), start_shard(shard(root)):
        raise EnvironmentFailure("no")
    with hold_whole(root, "collect"):
        pass


def test_a_folder_that_cannot_be_made_is_reported(root: Root) -> None:
    root.shards.write_text("in the way")
    with pytest.raises(RootUnusable, match="Cannot write to output directory"), started(shard(root), alone=True):
        pass
    assert RootLock(root).holder() is None


def test_a_folder_that_cannot_be_read_is_reported(root: Root) -> None:
    root.shards.symlink_to(root.shards)
    with pytest.raises(RootUnusable, match="Cannot read the folder"):
        hold_whole(root, "collect").__enter__()
    assert RootLock(root).holder() is None


# What they leave


def test_shards_are_merged_and_nothing_of_them_is_left(root: Root) -> None:
    left_behind(root, 1, KEYS[0])
    left_behind(root, 2, KEYS[1])
    with Manifest(root.manifest_path) as manifest:
        manifest.record(ManifestEntry(KEYS[2], 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))
    with hold_whole(root, "collect"):
        assert merge_shards(root, NOON.date()) == ()
    assert known(root) == KEYS
    assert not root.shards.exists()


def test_processes_of_killed_shards_are_ended(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [left_behind(root, number, KEYS[number]) for number in (1, 2)]
    ended: list[tuple[Path, bool]] = []
    monkeypatch.setattr(orphans, "end_orphans", lambda folder: ended.append((folder, (folder / RUN / "half").exists())))
    merge_shards(root, NOON.date())
    assert ended == [(one.staging, True) for one in left]  # before what they write to is removed


@pytest.mark.parametrize("step", ["end_orphans", "merge", "rmtree", "fold_log"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_between_any_two_steps_nothing_is_lost(
    root: Root, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    left_behind(root, 1, KEYS[0])
    left_behind(root, 2, KEYS[1])
    place = {"end_orphans": orphans, "rmtree": session.shutil, "merge": Manifest}.get(step, session)
    original = getattr(place, step)

    def killed(*arguments: object, **named: object) -> None:
        if after:
            original(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, step, killed)
        with pytest.raises(KeyboardInterrupt):
            merge_shards(root, NOON.date())
    assert merge_shards(root, NOON.date()) == ()
    assert known(root) == KEYS[:2]
    assert not root.shards.exists()


def test_killed_while_its_folder_is_removed_a_stale_log_is_not_a_manifest(root: Root) -> None:
    killed = left_behind(root, 1, KEYS[0])
    killed.manifest_path.unlink()
    killed.manifest_path.with_name("manifest.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82" + b"stale" * 100)
    assert merge_shards(root, NOON.date()) == ()
    assert known(root) == []
    assert not root.shards.exists()


def test_a_shard_that_cannot_be_removed_is_reported(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    left_behind(root, 1, KEYS[0])

    def denied(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(type(root.path), "unlink", denied)
        with pytest.raises(RootUnusable, match="Permission denied writing to output directory"):
            merge_shards(root, NOON.date())
    assert merge_shards(root, NOON.date()) == ()
    assert known(root) == [KEYS[0]]


def test_a_manifest_that_cannot_be_read_is_kept_and_reported(root: Root) -> None:
    kept = root.private / f"manifest.sqlite.{PLAN}-1-of-3"
    for name in (kept, kept.with_name(kept.name + ".2")):
        killed = left_behind(root, 1, KEYS[0])
        content = b"spoilt" * 1_000
        killed.manifest_path.write_bytes(content)
        left_behind(root, 2, KEYS[1])
        (notice,) = merge_shards(root, NOON.date())
        assert notice.text.startswith(f"the manifest of shard 1/3 of {PLAN} cannot be read and is kept as {name}; ")
        assert name.read_bytes() == content
        assert known(root) == [KEYS[1]]
        assert not root.shards.exists()


def test_a_manifest_of_the_root_that_cannot_be_read_costs_no_shard(root: Root) -> None:
    killed = left_behind(root, 1, KEYS[0])
    root.manifest_path.write_bytes(b"spoilt" * 1_000)
    with pytest.raises(EnvironmentFailure, match="manifest"):
        merge_shards(root, NOON.date())
    root.manifest_path.unlink()
    assert killed.manifest_path.exists()
    merge_shards(root, NOON.date())
    assert known(root) == [KEYS[0]]


def test_readers_that_write_nothing_see_what_a_killed_run_left_in_the_log(root: Root) -> None:
    writer = Manifest(root.manifest_path)
    writer.record(ManifestEntry(KEYS[0], 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))
    writer.flush()
    copies = {path: path.read_bytes() for path in root.private.glob("manifest.sqlite*") if path.suffix != ".sqlite-shm"}
    writer.close()
    for path, content in copies.items():
        path.write_bytes(content)
    assert root.manifest_path.with_name("manifest.sqlite-wal").exists()

    merge_shards(root, NOON.date())
    with Manifest(root.manifest_path, unchanging=True) as manifest:
        assert manifest.entry(KEYS[0]) is not None
        assert sorted(path.name for path in root.private.glob("manifest*")) == ["manifest.sqlite"]


def test_quarantined_bytes_of_two_shards_do_not_collide(root: Root) -> None:
    kept = []
    for number in (1, 2):
        share = shard(root, number)
        with hold_shard(share, "collect"):
            staged = share.staging / "bad.zip"
            staged.write_bytes(str(number).encode())
            kept.append(quarantine(share, staged, KEYS[0], "bad", "run"))
    merge_shards(root, NOON.date())
    assert [path.read_bytes() for path in kept] == [b"1", b"2"]
