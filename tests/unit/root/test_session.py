"""How a job takes a root or a shard's share, what it clears away, and how the last shard merges what all recorded."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive import load_preset
from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import ExitCode, RootLocked, UsageError
from crypto_archive.events import Cancellation, Noticed
from crypto_archive.jobs.collect import refuse_to_prune
from crypto_archive.model import ManifestEntry, ShardName, Verdict
from crypto_archive.root.lock import RootLock, hold_shard, hold_whole
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.session import Context, Session, lock_root
from crypto_archive.root.store import Root, new_run_id, open_root

if TYPE_CHECKING:
    from collections.abc import Generator

NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
RUN = new_run_id(NOON)


def name(number: int = 1) -> ShardName:
    return ShardName("0a1b2c3d4e5f", number, 3)


def share(root: Root, number: int = 1) -> Root:
    return Root(root.path, name(number))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root in which an earlier run of the whole was killed, with the folders of three runs."""
    root = open_root(tmp_path / "archive")
    leave_half(root)
    for second in range(3):
        (root.runs / new_run_id(NOON.replace(second=second))).mkdir()
    return root


def leave_half(root: Root) -> None:
    (root.staging / RUN).mkdir(parents=True)
    (root.staging / RUN / "half").write_bytes(b"half")


def record(root: Root, key: str) -> None:
    with Manifest(root.manifest_path) as manifest:
        manifest.record(ManifestEntry(key, 1, "a" * 64, Verdict.OK, "", None, NOON, "run"))


def recorded(root: Root) -> list[str]:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        return [entry.key for entry in manifest.iterate()]


def context_of(root: Root, keep_runs: int = 1, cancellation: Cancellation | None = None) -> Context:
    """Return the context of a collect that works in a root, or in a shard's share of one."""
    config = load_preset(output_directory=root.path)
    request = replace(config.request, shard=root.shard, keep_runs=keep_runs)
    return Context.of(replace(config, request=request), cancellation=cancellation)


def acquired(session: Session) -> bool:
    steps = session.acquire()
    while True:
        try:
            pytest.fail(f"it waits: {next(steps)}")
        except StopIteration as end:
            return bool(end.value)


def merged_by(root: Root) -> list[str]:
    """Let a shard run, and return what it reports when it ends."""
    with lock_root(context_of(root), "collect") as session:
        assert acquired(session)
    return [notice.text for notice in session.merge_notices]


def test_a_shard_gets_its_share_of_the_root(root: Root) -> None:
    with lock_root(context_of(root), "collect") as session:
        assert session.root == root
        assert not RootLock(root).is_held()
    with lock_root(context_of(share(root)), "collect") as session:
        assert session.root == share(root)
        assert not root.shards.exists()  # its folder is made under the lock of the root


def test_only_a_shard_refuses_to_prune() -> None:
    refuse_to_prune(Request(Selection(()), Path("archive")))
    with pytest.raises(
        UsageError, match=r"--prune-covered cannot be combined with a shard: shard-1-of-3\.lock"
    ) as error:
        refuse_to_prune(Request(Selection(()), Path("archive"), locked=Path("shard-1-of-3.lock"), shard=name()))
    assert error.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("of", ["the whole", "a shard"])
def test_a_run_that_starts_alone_clears_away_what_earlier_runs_left(root: Root, of: str) -> None:
    killed = share(root)
    with hold_shard(killed, "collect"):
        record(killed, "data/a.zip")
    leave_half(killed)
    own = root if of == "the whole" else killed
    with lock_root(context_of(own, keep_runs=2), "collect") as session:
        assert acquired(session)
        assert session.notices == ()
        assert list(root.staging.iterdir()) == []
        assert len(list(root.runs.iterdir())) == 1  # that of the run which starts is the second
        assert recorded(root) == ["data/a.zip"]
        assert killed.private.exists() is (of == "a shard")
        assert list(own.staging.iterdir()) == []


def test_a_shard_that_starts_next_to_another_clears_away_only_its_own(root: Root) -> None:
    own, other = share(root, 1), share(root, 2)
    with hold_shard(other, "collect"):
        leave_half(own)
        record(own, "data/a.zip")
        leave_half(other)
        with lock_root(context_of(own), "collect") as session:
            assert acquired(session)
            assert list(own.staging.iterdir()) == []
            assert (other.staging / RUN / "half").exists()
            assert (root.staging / RUN / "half").exists()
            assert len(list(root.runs.iterdir())) == 3  # that of the other one must not go
            assert recorded(own) == ["data/a.zip"]


def test_without_tidying_nothing_is_touched(root: Root) -> None:
    killed = share(root)
    with hold_shard(killed, "collect"):
        record(killed, "data/a.zip")
    root.manifest_path.write_bytes(b"spoilt" * 2_000)
    with lock_root(context_of(root), "verify --rebuild-manifest", tidy=False) as session:
        assert acquired(session)
    assert (root.staging / RUN / "half").exists()
    assert len(list(root.runs.iterdir())) == 3
    assert recorded(killed) == ["data/a.zip"]


def test_the_last_shard_merges_what_all_recorded(root: Root) -> None:
    first, second = share(root, 1), share(root, 2)
    with hold_shard(second, "collect"):
        with hold_shard(first, "collect"):
            record(first, "data/a.zip")
        assert merged_by(first) == []
        assert recorded(root) == []
        record(second, "data/b.zip")
    assert merged_by(second) == []
    assert recorded(root) == ["data/a.zip", "data/b.zip"]
    assert not root.shards.exists()
    with hold_whole(root, "collect"):
        pass


def test_a_shard_leaves_merging_to_a_run_that_has_the_root(root: Root) -> None:
    with ExitStack() as other:
        with lock_root(context_of(share(root)), "collect") as session:
            assert acquired(session)
            record(share(root), "data/a.zip")
            session.held.close()
            other.enter_context(hold_whole(root, "relayout"))
        assert session.merge_notices == ()
        assert recorded(root) == []
    with lock_root(context_of(root), "collect") as session:
        assert acquired(session)
        assert recorded(root) == ["data/a.zip"]


def test_an_error_while_merging_is_only_reported(root: Root) -> None:
    with lock_root(context_of(share(root)), "collect") as session:
        assert acquired(session)
        record(share(root), "data/a.zip")
        root.manifest_path.write_bytes(b"spoilt" * 2_000)
    (notice,) = session.merge_notices
    assert notice.text.startswith("the shard's records are not in the manifest of the root yet; ")
    assert "verify --rebuild-manifest" in notice.text
    assert recorded(share(root)) == ["data/a.zip"]


def test_a_shard_that_fails_does_not_merge(root: Root) -> None:
    with suppress(KeyError), lock_root(context_of(share(root)), "collect") as session:
        assert acquired(session)
        record(share(root), "data/a.zip")
        raise KeyError
    assert recorded(root) == []
    assert recorded(share(root)) == ["data/a.zip"]
    assert not RootLock(share(root)).is_held()


def test_a_second_run_is_turned_away(root: Root) -> None:
    with lock_root(context_of(root), "collect") as first, lock_root(context_of(root), "collect") as second:
        assert acquired(first)
        with pytest.raises(RootLocked):
            next(second.acquire())


def test_a_run_that_waits_reports_the_holder_until_it_is_cancelled(root: Root) -> None:
    def steps(acquiring: Generator[Noticed, None, bool]) -> Generator[Noticed | bool, None, None]:
        yield (yield from acquiring)

    cancellation = Cancellation()
    context = context_of(root, cancellation=cancellation)
    with hold_whole(root, "relayout"), lock_root(context, "collect", wait=True) as session:
        waiting = steps(session.acquire())
        notice = next(waiting)
        assert isinstance(notice, Noticed)
        assert "relayout, process" in notice.notice.text
        cancellation.requested.set()
        assert next(waiting) is False
        assert not session.acquired
