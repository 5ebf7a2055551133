"""Shards: together they are the plan, none shares an object with another, and each has its share of the bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from crypto_archive.errors import ExitCode, FileUnusable, UsageError
from crypto_archive.model import RemoteStat, ShardName
from crypto_archive.plan.lockfile import (
    LockedObject,
    Shard,
    cut,
    cut_into_files,
    extent,
    line_of,
    open_lock,
    prepare_shards,
    write_lock,
)
from tests.objects import LISTED_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

BUCKET = "data.binance.vision"
sizes = st.lists(st.integers(0, 20) | st.just(1_000), min_size=1, max_size=40)


def lines_of(found: Sequence[int]) -> list[str]:
    """The lines of a plan whose objects have these sizes."""
    return [
        line_of(LockedObject(f"data/{n:04d}.zip", RemoteStat(size, "e", LISTED_AT))) for n, size in enumerate(found)
    ]


def shards_of(found: Sequence[int], count: int) -> list[list[int]]:
    """The sizes of the objects of each shard, after it was seen that the shards are the plan."""
    lines = lines_of(found)
    numbered = list(cut(lines, extent(lines), count))
    assert [line for _, line in numbered] == lines
    numbers = [number for number, _ in numbered]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, count + 1))
    return [[size for size, number in zip(found, numbers, strict=True) if number == n] for n in range(1, count + 1)]


@given(sizes, st.integers(1, 12))
@example([0, 0, 0, 5], 3)
@example([1_000, 1, 1], 3)
@example([1, 1, 1, 1, 1_000], 4)
@example([5, 0, 0], 2)
def test_each_shard_has_its_share_to_within_one_object(found: list[int], count: int) -> None:
    count = min(count, len(found))
    share, largest = sum(found) / count, max(found)
    for own in shards_of(found, count):
        assert abs(sum(own) - share) <= largest


@pytest.mark.parametrize(
    ("found", "count", "shards"),
    [
        ([1, 1, 1, 1], 2, [[1, 1], [1, 1]]),
        ([3, 1, 1, 1], 2, [[3], [1, 1, 1]]),
        ([9, 1, 1], 3, [[9], [1], [1]]),
        ([1, 1, 9], 3, [[1], [1], [9]]),
        ([0, 0, 0], 2, [[0, 0], [0]]),
        ([7], 1, [[7]]),
    ],
)
def test_where_a_plan_is_cut(found: list[int], count: int, shards: list[list[int]]) -> None:
    assert shards_of(found, count) == shards


@given(sizes, st.integers(1, 12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_the_files_are_the_plan(tmp_path_factory: pytest.TempPathFactory, found: list[int], count: int) -> None:
    folder, lines = tmp_path_factory.mktemp("shards"), lines_of(found)
    shards = cut_into_files(lambda: lines, BUCKET, count, folder)
    assert len(shards) == min(count, len(found))
    assert sorted(folder.iterdir()) == [shard.path for shard in shards]  # by name as by number, and no draft is left
    read = [(shard, open_lock(shard.path)) for shard in shards]
    assert [line_of(locked) for _, lock in read for locked in lock] == lines
    for shard, lock in read:
        own = [locked.stat.size for locked in lock]
        assert (shard.objects, shard.bytes) == (len(own), sum(own))
        assert lock.bucket == BUCKET
        assert lock.shard == ShardName(extent(lines).digest, shard.number, len(shards))


def test_what_a_shard_looks_like(tmp_path: Path) -> None:
    lines = lines_of([1] * 10)
    shards = cut_into_files(lambda: lines, BUCKET, 10, tmp_path)
    assert shards[2] == Shard(tmp_path / "shard-03-of-10.lock", 3, 10, 1, 1)
    digest = extent(lines).digest
    assert shards[2].path.read_text("utf-8") == (
        f"# crypto-archive lock 1\n# bucket: data.binance.vision\n# shard: 3/10 of {digest}\n"
        f"# columns: key, size, etag, last_modified, sha256, sidecar\n{lines[2]}\n# end\n"
    )
    assert len(digest) == 12


def test_the_same_plan_has_the_same_name_and_another_one_another() -> None:
    assert extent(lines_of([1, 2])) == extent(lines_of([1, 2]))
    assert extent(lines_of([1, 2])).digest != extent(lines_of([2, 1])).digest


def test_a_plan_without_objects_has_no_shards(tmp_path: Path) -> None:
    assert cut_into_files(list, BUCKET, 3, tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_shards_of_one_plan_cut_in_one_way_run_side_by_side() -> None:
    one = ShardName("a" * 12, 1, 4)
    assert one.is_beside(ShardName("a" * 12, 2, 4))
    assert not one.is_beside(one)
    assert not one.is_beside(ShardName("a" * 12, 2, 8))
    assert not one.is_beside(ShardName("b" * 12, 2, 4))


def test_a_folder_with_lock_files_is_refused(tmp_path: Path) -> None:
    write_lock(tmp_path / "shard-1-of-2.lock", BUCKET, [])
    with pytest.raises(FileUnusable, match="already contains lock files") as raised:
        prepare_shards(tmp_path)
    assert raised.value.exit_code is ExitCode.ENVIRONMENT
    assert "--to" in raised.value.hint


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    prepare_shards(tmp_path / "new" / "shards")
    assert list((tmp_path / "new" / "shards").iterdir()) == []


def test_a_path_that_is_not_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnusable, match=r"Cannot write shards to .*file"):
        prepare_shards(tmp_path / "file")
    with pytest.raises(FileUnusable, match=r"Cannot write shards to .*file"):
        cut_into_files(lambda: lines_of([1]), BUCKET, 1, tmp_path / "file")


@pytest.mark.parametrize("failing", [2, 5])
def test_all_shards_appear_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """The second write fails, or the second rename (of which there is one for each of three shards)."""
    calls = 0

    def counted(original: object) -> object:
        def call(path: Path, *arguments: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(28, "No space left on device")
            return original(path, *arguments, **named)  # type: ignore[operator]

        return call

    monkeypatch.setattr(Path, "open", counted(Path.open))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    with pytest.raises(FileUnusable, match="No space left on device"):
        cut_into_files(lambda: lines_of([1, 1, 1]), BUCKET, 3, tmp_path)
    assert list(tmp_path.iterdir()) == []


# Reading


def test_a_whole_lock_file_is_not_a_shard(tmp_path: Path) -> None:
    write_lock(tmp_path / "whole.lock", BUCKET, lines_of([1]))
    assert open_lock(tmp_path / "whole.lock").shard is None


def test_a_comment_before_the_name_does_not_hide_it(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.write_text(
        f"# crypto-archive lock 1\n# bucket: b\n# for the third machine\n# shard: 3/8 of {'a' * 12}\n# end\n"
    )
    assert open_lock(path).shard == ShardName("a" * 12, 3, 8)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("three of eight", "'three of eight' is not a shard such as '3/8 of 0a1b2c3d4e5f'"),
        ("0/8 of " + "a" * 12, "is not a shard such as"),
        ("3/8 of ../../etc", "is not a shard such as"),
        ("9/8 of " + "a" * 12, "there is no shard 9 of 8"),
    ],
)
def test_an_invalid_shard_is_reported_with_its_line(tmp_path: Path, name: str, why: str) -> None:
    path = tmp_path / "some.lock"
    path.write_text(f"# crypto-archive lock 1\n# bucket: b\n# shard: {name}\n# end\n")
    with pytest.raises(UsageError, match=r"is corrupt at line 3: ") as raised:
        open_lock(path)
    assert why in raised.value.message
