"""How a collect takes a root or a part of one, what it clears away, and how the last shard joins what all came to."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive import load_preset
from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import ExitCode, RootLocked, UsageError
from crypto_archive.model import ManifestEntry, ShardName, Verdict
from crypto_archive.root.lock import hold_part, hold_whole, part_for
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.session import leave, occupied, place_for, refuse_to_prune
from crypto_archive.root.store import Root, new_run_id, open_root

if TYPE_CHECKING:
    from crypto_archive.model import Notice

NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)


def name(number: int = 1) -> ShardName:
    return ShardName("0a1b2c3d4e5f", number, 3)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root in which an earlier run of the whole was killed, with the folders of three runs."""
    root = open_root(tmp_path / "archive")
    leave_half(root)
    for second in range(3):
        (root.runs / new_run_id(NOON.replace(second=second))).mkdir()
    return root


def leave_half(root: Root) -> None:
    (root.staging / "run").mkdir(parents=True)
    (root.staging / "run" / "half").write_bytes(b"half")


def remember(root: Root, key: str) -> None:
    with Manifest(root.manifest_path) as manifest:
        manifest.record(ManifestEntry(key, 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))


def known(root: Root) -> list[str]:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        return [entry.key for entry in manifest.iterate()]


def quiet(_: Root) -> tuple[Notice, ...]:
    return ()


def left(part: Root) -> list[str]:
    return [told.notice.text for told in leave(part, threading.Event())]


def test_a_request_without_a_shard_is_for_the_whole_root(tmp_path: Path) -> None:
    wanted = load_preset(output_directory=tmp_path)
    assert place_for(wanted) == Root(tmp_path)
    shard = replace(wanted, request=replace(wanted.request, shard=name()))
    assert place_for(shard) == part_for(Root(tmp_path), name())
    assert not Root(tmp_path).parts.exists()  # its folder is made under the lock of the root


def test_only_a_shard_refuses_to_prune() -> None:
    refuse_to_prune(Request(Selection(()), Path("archive")))
    with pytest.raises(
        UsageError, match=r"--prune-covered does not go together with a shard: shard-1-of-3\.lock"
    ) as error:
        refuse_to_prune(Request(Selection(()), Path("archive"), locked=Path("shard-1-of-3.lock"), shard=name()))
    assert error.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("of", ["the whole", "a part"])
def test_who_begins_alone_clears_away_what_earlier_runs_have_left(root: Root, of: str) -> None:
    killed = part_for(root, name())
    with hold_part(killed, "collect", quiet):
        remember(killed, "data/a.zip")
    leave_half(killed)
    place = root if of == "the whole" else killed
    with occupied(place, 2) as notices:
        assert notices == ()
        assert list(root.staging.iterdir()) == []
        assert len(list(root.runs.iterdir())) == 1  # that of the run which begins is the second
        assert known(root) == ["data/a.zip"]
        assert killed.private.exists() is (of == "a part")
        assert list(place.staging.iterdir()) == []


def test_a_shard_that_begins_beside_another_clears_away_its_own_alone(root: Root) -> None:
    own, other = part_for(root, name(1)), part_for(root, name(2))
    with hold_part(other, "collect", quiet):
        leave_half(own)
        remember(own, "data/a.zip")
        leave_half(other)
        with occupied(own, 1):
            assert list(own.staging.iterdir()) == []
            assert (other.staging / "run" / "half").exists()
            assert (root.staging / "run" / "half").exists()
            assert len(list(root.runs.iterdir())) == 3  # that of the other one must not go
            assert known(own) == ["data/a.zip"]


def test_the_last_shard_joins_what_all_came_to(root: Root) -> None:
    first, second = part_for(root, name(1)), part_for(root, name(2))
    with hold_part(second, "collect", quiet):
        with hold_part(first, "collect", quiet):
            remember(first, "data/a.zip")
        assert left(first) == []
        assert known(root) == []
        remember(second, "data/b.zip")
    assert left(second) == []
    assert known(root) == ["data/a.zip", "data/b.zip"]
    assert not root.parts.exists()
    with hold_whole(root, "collect"):
        pass


def test_where_a_run_waits_for_the_root_that_one_joins(root: Root) -> None:
    part = part_for(root, name())
    with hold_part(part, "collect", quiet):
        remember(part, "data/a.zip")
    with hold_whole(root, "collect"):
        assert left(part) == []
    assert known(root) == []
    with occupied(root, 1):
        assert known(root) == ["data/a.zip"]


def test_what_keeps_a_shard_from_joining_is_told_and_no_failure(root: Root) -> None:
    part = part_for(root, name())
    with hold_part(part, "collect", quiet):
        remember(part, "data/a.zip")
    root.manifest_path.write_bytes(b"spoilt" * 2_000)
    (said,) = left(part)
    assert said.startswith("what the shard came to is not in the manifest of the root yet; ")
    assert "verify --rebuild-manifest" in said
    assert known(part) == ["data/a.zip"]


def test_a_second_run_is_turned_away(root: Root) -> None:
    with occupied(root, 1), pytest.raises(RootLocked):
        occupied(root, 1).__enter__()
