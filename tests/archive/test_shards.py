"""Shards end to end: cut, collected side by side or on other machines, killed, and whole in the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from crypto_archive.plan.lockfile import open_lock
from crypto_archive.root.manifest import Manifest
from tests.archive.proxy import Stall
from tests.archive.results import (
    KEYS,
    RESEARCH,
    ROOT,
    THREE,
    assert_same_bytes,
    collect,
    ended,
    files_below,
    in_research,
    keys_where,
    processes_of,
    stored,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.archive.proxy import FaultProxy, Rule
    from tests.archive.running import Runner
    from tests.archive.served import Archive

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX"),
    pytest.mark.usefixtures("no_orphans"),
]

SPOT = (*RESEARCH, "-m", "spot")


def cut(run: Runner, *arguments: str, count: int = 2) -> list[Path]:
    """Run ``plan --shards`` and return the files, in the order of their numbers."""
    code, stdout, stderr = run("plan", *arguments, "--shards", str(count), "--to", "shards", "--json")
    assert code == 0, stderr
    paths = sorted((run.folder / "shards").iterdir())
    assert f"shards has {len(paths)} shards" in stderr
    assert json.loads(stdout)["totals"]["objects"] == sum(len(keys_of(path)) for path in paths)
    return paths


def keys_of(shard: Path) -> list[str]:
    return [locked.key for locked in open_lock(shard)]


def remembered(root: Path) -> set[str]:
    """The keys in the manifest of the whole root; no shard has left anything next to it."""
    assert not (root / ".crypto-archive" / "parts").exists()
    with Manifest(root / ".crypto-archive" / "manifest.sqlite", read_only=True) as manifest:
        return {entry.key for entry in manifest.iterate()}


@contextmanager
def held(run: Runner, proxy: FaultProxy, shard: Path) -> Iterator[tuple[subprocess.Popen[str], Rule]]:
    """A collect of a shard that cannot end before the proxy lets its last object come."""
    stalled = proxy.fault("GET", keys_of(shard)[-1], Stall())
    with run.at(proxy.endpoint_url).start("collect", "--locked", shard, "-o", ROOT, "--json") as process:
        try:
            stalled.wait()
            yield process, stalled
        finally:
            process.kill()


def test_shards_are_the_plan_and_each_is_all_that_another_machine_needs(run: Runner, archive: Archive) -> None:
    wanted = keys_where(archive.spec, in_research)
    shards = cut(run, *RESEARCH, count=4)
    assert [path.name for path in shards] == [f"shard-{number}-of-4.lock" for number in (1, 2, 3, 4)]
    keys = [key for path in shards for key in keys_of(path)]
    assert len(keys) == len(set(keys))
    assert set(keys) == wanted

    elsewhere = collect(run, "--locked", shards[2], to="another-machine")
    assert (elsewhere.code, elsewhere.outcomes) == (0, {"fetched": len(keys_of(shards[2]))})
    assert stored(elsewhere.root) == remembered(elsewhere.root) == set(keys_of(shards[2]))
    assert_same_bytes(elsewhere.root, archive.bucket, keys_of(shards[2]))
    assert elsewhere.folder.is_dir()


def test_the_same_plan_is_cut_into_the_same_files(run: Runner) -> None:
    first = [path.read_bytes() for path in cut(run, *THREE)]
    shutil.rmtree(run.folder / "shards")
    assert [path.read_bytes() for path in cut(run, *THREE)] == first


def test_fewer_objects_than_shards_are_fewer_files_and_said(run: Runner) -> None:
    code, stdout, stderr = run("plan", *THREE, "--shards", "12", "--to", "shards")
    assert code == 0
    assert "shards has 3 shards (not 12, for lack of objects) of 3 objects, " in stderr
    assert "spot" in stdout  # the totals are what a plan prints
    assert files_below(run.folder / "shards") == [f"shard-{number}-of-3.lock" for number in (1, 2, 3)]


def test_a_folder_that_holds_shards_is_refused(run: Runner) -> None:
    before = [path.read_bytes() for path in cut(run, *THREE)]
    code, _, stderr = run("plan", *THREE, "--shards", "3", "--to", "shards")
    assert code == 5
    assert "The folder shards already contains lock files" in stderr
    assert [path.read_bytes() for path in sorted((run.folder / "shards").iterdir())] == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--shards", "2"), 2, "name a folder for the shards with --to DIR"),
        (("--shards", "0", "--to", "x"), 2, "Error: --shards: Input should be greater than or equal to 1"),
        (("--shards", "2", "--to", "x", "--format", "runfiles"), 2, "shards cannot be combined with --format runfiles"),
        (("--shards", "2", "--to", "x", "--diff", "y"), 2, "a comparison writes neither run-files nor shards"),
        (("--shards", "2", "--to", "x", "--discover", "calendar"), 2, "A plan from the calendar cannot be locked"),
        (("--shards", "2", "--to", "x", "--max-objects", "1"), 2, "3 objects"),
    ],
)
def test_what_does_not_go_together_writes_nothing(
    run: Runner, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = run("plan", *THREE, *arguments)
    assert done.code == code
    assert message in done.stderr
    assert list(run.folder.rglob("*.lock")) == []


def test_two_concurrent_shards_into_one_root(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    shards = cut(run, *SPOT)
    wanted = [keys_of(path) for path in shards]
    with ExitStack() as both:
        processes = [both.enter_context(held(run, proxy, path))[0] for path in shards]
        parts = sorted((run.folder / ROOT / ".crypto-archive" / "parts").iterdir())
        assert [path.name.partition("-")[2] for path in parts] == ["1-of-2", "2-of-2"]
        proxy.clear()
        done = [ended(run, process) for process in processes]
    assert [(one.code, one.outcomes) for one in done] == [(0, {"fetched": len(keys)}) for keys in wanted]
    root, everything = done[0].root, {key for keys in wanted for key in keys}
    assert everything == keys_where(archive.spec, lambda item: in_research(item) and item.market == "spot")
    assert stored(root) == remembered(root) == everything
    assert_same_bytes(root, archive.bucket, everything)
    assert all((one.folder / "report.json").is_file() for one in done)
    assert run("verify", "--all", "-o", ROOT).code == 0

    proxy_count = proxy.count("GET")
    again = collect(run.at(proxy.endpoint_url), *SPOT)
    assert (again.code, again.outcomes) == (0, {"present": len(everything)})
    assert proxy.count("GET") == proxy_count


def test_what_the_root_has_already_is_not_asked_for_nor_read(run: Runner, proxy: FaultProxy) -> None:
    first = collect(run, *THREE)
    for path in cut(run, *THREE, count=3):
        done = collect(run.at(proxy.endpoint_url), "--locked", path)
        assert (done.code, done.outcomes) == (0, {"present": 1})
    assert proxy.requests == ()
    assert remembered(done.root) == set(KEYS)
    with Manifest(done.root / ".crypto-archive" / "manifest.sqlite", read_only=True) as manifest:
        assert {entry.run_id for entry in manifest.iterate()} == {first.report["run_id"]}  # none was adopted anew


def test_a_shard_that_is_killed_is_taken_up_again(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    first, second = cut(run, *SPOT)
    with held(run, proxy, second) as (other, _):
        with held(run, proxy, first) as (killed, _):
            killed.kill()
            killed.wait()
        share = next((run.folder / ROOT / ".crypto-archive" / "parts").glob("*-1-of-2"))
        assert files_below(share / "staging")
        proxy.clear(release=False)
        again = collect(run, "--locked", first)
        assert (again.code, sum(again.outcomes.values())) == (0, len(keys_of(first)))
        assert set(again.outcomes) <= {"fetched", "present"}
        assert share.is_dir()  # the other one still runs, so nothing is merged yet
        proxy.release()
        assert ended(run, other).code == 0
    everything = {*keys_of(first), *keys_of(second)}
    assert stored(again.root) == remembered(again.root) == everything
    assert_same_bytes(again.root, archive.bucket, everything)
    assert processes_of(run.folder) == []
    assert run("verify", "--all", "-o", ROOT).code == 0


def test_what_a_killed_shard_came_to_is_joined_by_any_next_run(
    run: Runner, proxy: FaultProxy, archive: Archive
) -> None:
    first, second = cut(run, *THREE)
    collect(run, "--locked", first)
    with held(run, proxy, second) as (killed, _):
        killed.kill()
        killed.wait()
    assert (run.folder / ROOT / ".crypto-archive" / "parts").is_dir()
    done = collect(run, *THREE)
    assert (done.code, sum(done.outcomes.values())) == (0, 3)
    assert remembered(done.root) == set(KEYS)
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_a_shard_that_is_interrupted_keeps_what_it_has(run: Runner, proxy: FaultProxy) -> None:
    first, _ = cut(run, *SPOT)
    with held(run, proxy, first) as (process, _):
        process.send_signal(signal.SIGINT)
        done = ended(run, process)
    assert (done.code, done.report["status"]) == (130, "interrupted")
    assert remembered(done.root) == stored(done.root)
    assert (done.folder / "report.json").is_file()


def test_who_is_turned_away_while_a_shard_runs(run: Runner, proxy: FaultProxy) -> None:
    first, _ = cut(run, *THREE)
    name = open_lock(first).shard
    with held(run, proxy, first) as (process, _):
        for command in (
            ("collect", *THREE, "-o", ROOT),
            ("collect", "--locked", first, "-o", ROOT),
            ("verify", "--rebuild-manifest", "-o", ROOT),
        ):
            code, _, stderr = run(*command)
            assert code == 5, command
            assert (
                f"Another run holds the lock of {run.folder / ROOT}: collect, shard {name}, process {process.pid} on"
                in (stderr)
            )
        assert run("verify", "--all", "-o", ROOT).code in {0, 3}  # who only looks is not turned away
        assert run("plan", *THREE, "-o", ROOT).code == 0
        proxy.clear()
        assert ended(run, process).code == 0


def test_a_run_of_the_whole_root_waits_for_a_shard(run: Runner, proxy: FaultProxy) -> None:
    first, _ = cut(run, *THREE)
    with (
        held(run, proxy, first) as (shard, _),
        run.start("collect", *THREE, "-o", ROOT, "--json", "--wait") as waiting,
    ):
        assert waiting.stderr is not None
        assert f"process {shard.pid} on " in waiting.stderr.readline()
        proxy.clear()
        assert ended(run, shard).code == 0
        done = ended(run, waiting)
    own = len(keys_of(first))
    assert (done.code, done.outcomes) == (0, {"present": own, "fetched": 3 - own})
    assert remembered(done.root) == set(KEYS)


def test_a_shard_is_turned_away_while_the_whole_root_is_held(run: Runner, proxy: FaultProxy) -> None:
    first, _ = cut(run, *THREE)
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT, "--json") as process:
        stalled.wait()
        code, _, stderr = run("collect", "--locked", first, "-o", ROOT)
        assert code == 5
        assert f"Another run holds the lock of {run.folder / ROOT}: collect, process {process.pid} on" in stderr
        proxy.clear()
        assert ended(run, process).code == 0


def test_a_shard_moves_no_days_aside(run: Runner) -> None:
    first, _ = cut(run, *THREE)
    code, _, stderr = run("collect", "--locked", first, "-o", ROOT, "--prune-covered")
    assert code == 2
    assert "--prune-covered cannot be combined with a shard: " in stderr
    assert not (run.folder / ROOT).exists()


def test_a_manifest_of_a_shard_that_is_damaged_costs_no_download(run: Runner, proxy: FaultProxy) -> None:
    first, second = cut(run, *THREE)
    with held(run, proxy, second) as (other, _):
        done = collect(run, "--locked", first)
        share = next((run.folder / ROOT / ".crypto-archive" / "parts").glob("*-1-of-2"))
        (share / "manifest.sqlite").write_bytes(b"spoilt" * 2_000)
        proxy.clear()
        said = ended(run, other)
    assert said.code == 0
    assert "cannot be read and is kept as " in said.stderr
    kept = done.root / ".crypto-archive" / f"manifest.sqlite.{share.name}"
    assert kept.read_bytes().startswith(b"spoilt")
    assert remembered(done.root) == set(keys_of(second))
    again = collect(run, *THREE)
    assert (again.code, again.outcomes) == (0, {"present": 3})
    assert remembered(done.root) == set(KEYS)
