"""Layouts end to end: the whole life of an archive root in each, moves between them, and refusals."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.model import Market
from crypto_archive.plan.lockfile import open_lock
from tests.archive.faults import Status
from tests.archive.proxy import Stall
from tests.archive.results import (
    FUTURES,
    KEYS,
    RESEARCH,
    ROOT,
    SERIES,
    THREE,
    collect,
    files_below,
    in_futures,
    in_research,
    keys_where,
    stored,
    validate,
)
from tests.archive.running import until
from tests.archive.sample import SIDECAR, SampleSpec, days, of_days, of_months, replace
from tests.objects import bundled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from crypto_archive.catalog.layouts import Placement
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

OWN = "by_asset:ByAsset"
OWN_MODULE = """
class ByAsset:
    def folder(self, item):
        series, period = item.series, item.period
        return f"{series.symbol}/{series.market}/{series.data_type}/{period.first_day.year}/{series.interval}"
"""
TEMPLATE = "{market}/{data_type}/{symbol}/{interval}/{name}"
LAYOUTS = ("hive", TEMPLATE, OWN)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a layout of the user's own, in a folder where modules are looked for."""
    path = tmp_path / "modules" / "by_asset.py"
    path.parent.mkdir()
    path.write_text(OWN_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.delitem(sys.modules, "by_asset", raising=False)
    return path


@pytest.fixture
def here(run: Runner, module: Path) -> Runner:
    """A runner that finds a layout of the user's own."""
    path = os.pathsep.join((str(module.parent), run.environment["PYTHONPATH"]))
    return dataclasses.replace(run, environment={**run.environment, "PYTHONPATH": path})


def placed(name: str) -> Placement:
    return placement_of(name, bundled())


def paths(layout: Placement, keys: Iterable[str]) -> set[str]:
    return {layout.path(key) for key in keys}


def assert_there(root: Path, layout: Placement, bucket: Path, keys: Iterable[str]) -> None:
    """See that exactly these objects stand below the root, with the bucket's bytes and sidecars."""
    for key in (*keys, *(key + SIDECAR for key in keys)):
        there, expected = root / layout.path(key), bucket / key
        assert there.is_file() is expected.is_file(), there
        assert not there.is_file() or there.read_bytes() == expected.read_bytes()
    assert stored(root) == paths(layout, keys)


def document(run: Runner, *arguments: str | Path, code: int = 0, schema: str = "") -> dict[str, Any]:
    ended, stdout, stderr = run(*arguments)
    assert ended == code, stderr
    found: dict[str, Any] = json.loads(stdout)
    if schema:
        validate(found, schema)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_whole_life_of_a_root(here: Runner, private_archive: Archive, name: str) -> None:
    run, layout, bucket = here.at(private_archive.endpoint_url), placed(name), private_archive.bucket
    wanted = keys_where(private_archive.spec, in_research) | set(KEYS)
    first = collect(run, *RESEARCH, "--layout", name)
    assert (first.code, first.outcomes) == (0, {"fetched": len(wanted) - 2}), first.stderr
    assert collect(run, *THREE).outcomes == {"present": 1, "fetched": 2}
    assert_there(first.root, layout, bucket, wanted)
    assert json.loads((first.root / ".crypto-archive" / "layout.json").read_text()) == {"layout": layout.name}

    again = collect(run, *RESEARCH)
    assert (again.outcomes, again.report["bytes_fetched"]) == ({"present": len(wanted) - 2}, 0)
    verified = document(run, "verify", "--all", "-o", ROOT, "--json", schema="verify.schema.json")
    assert (verified["objects"], verified["status"]) == (len(wanted), "success")
    selected = document(run, "verify", *SERIES, "-o", ROOT, "--json", schema="verify.schema.json")
    assert selected["objects"] == 3
    covered = document(run, "coverage", *THREE, "-s", "*USDT", "-o", ROOT, "--json")
    assert covered["totals"]["stored"] > 3

    (first.root / layout.path(KEYS[0])).write_bytes(b"spoilt")
    (first.root / layout.path(KEYS[1])).unlink()
    found = document(run, "verify", *THREE, "-o", ROOT, "--json", "--repair", schema="verify.schema.json")
    assert {(bad["key"], bad["verdict"]) for bad in found["bad"]} == {(KEYS[0], "corrupt"), (KEYS[1], "missing")}
    assert found["repair"]["outcomes"]["fetched"] == 2
    assert_there(first.root, layout, bucket, wanted)

    replace(bucket, KEYS[2])
    assert collect(run, *THREE, "--refresh").outcomes == {"present": 2, "updated": 1}
    assert_there(first.root, layout, bucket, wanted)

    (first.root / ".crypto-archive" / "manifest.sqlite").unlink()
    rebuilt = document(run, "verify", "--rebuild-manifest", "-o", ROOT, "--json", schema="verify.schema.json")
    assert (rebuilt["objects"], rebuilt["status"]) == (len(wanted), "success")
    assert collect(run, *RESEARCH).outcomes == {"present": len(wanted) - 2}


def test_a_file_that_no_manifest_knows_is_adopted(here: Runner) -> None:
    done = collect(here, *THREE, "--layout", "hive")
    (done.root / ".crypto-archive" / "manifest.sqlite").unlink()
    assert collect(here, *THREE).outcomes == {"present": 3}
    assert document(here, "verify", "--all", "-o", ROOT, "--json")["verdicts"]["ok"] == 3


def test_what_failed_is_fetched_by_hand_to_where_it_belongs(here: Runner, proxy: FaultProxy) -> None:
    proxy.fault("GET", KEYS[0], Status(403))
    done = collect(here.at(proxy.endpoint_url), *THREE, "--layout", "hive")
    assert done.outcomes == {"fetched": 2, "failed": 1}
    lines = (done.folder / "failed.s5cmd").read_text("utf-8").splitlines()
    target = placed("hive").path(KEYS[0])
    assert [line.split()[-1].strip("'") for line in lines] == [target, target + SIDECAR]


@pytest.mark.parametrize("name", LAYOUTS)
def test_days_give_way_to_their_month(here: Runner, own_archive: Callable[[SampleSpec], Archive], name: str) -> None:
    first, last = date(2025, 6, 1), date(2025, 6, 30)
    daily = tuple(of_days(Market.FUTURES_UM, "klines", ("BTCUSDT",), days(first, last), ("1h",)))
    monthly = tuple(of_months(Market.FUTURES_UM, "klines", ("BTCUSDT",), (first,), ("1h",)))
    run = here.at(own_archive(SampleSpec.of([*daily, *monthly])).endpoint_url)
    june = ("-m", "futures_um", "-t", "klines", "-i", "1h", "-s", "BTCUSDT", "--start", str(first), "--end", str(last))
    before = collect(run, *june, "--partition", "daily", "--layout", name)
    assert stored(before.root) == paths(placed(name), (item.key for item in daily))
    done = collect(run, *june, "--partition", "monthly", "--prune-covered")
    assert (done.code, done.report["pruned"]["objects"]) == (0, 30)
    assert stored(done.root) == paths(placed(name), (item.key for item in monthly))
    aside = files_below(done.root / ".crypto-archive" / "covered")
    assert aside == sorted(item.key + end for item in daily for end in ("", SIDECAR))
    assert document(run, "verify", "--all", "-o", ROOT, "--json")["objects"] == 1


def test_shards_fill_one_root_in_one_layout(here: Runner, archive: Archive, proxy: FaultProxy) -> None:
    code, _, stderr = here("plan", *FUTURES, "--shards", "2", "--to", "shards")
    assert code == 0, stderr
    first, second = sorted((here.folder / "shards").iterdir())
    last = [locked.key for locked in open_lock(first)][-1]
    stalled = proxy.fault("GET", last, Stall())
    slow = here.at(proxy.endpoint_url)
    with slow.start("collect", "--locked", first, "-o", ROOT, "--layout", "hive", "--json") as process:
        stalled.wait()
        code, _, stderr = here("collect", "--locked", second, "-o", ROOT, "--layout", "mirror")
        assert code == 2
        assert "has the layout 'hive', but 'mirror' was requested" in stderr
        beside = collect(here, "--locked", second)
        proxy.clear()
        process.communicate(timeout=60)
    assert (beside.code, process.returncode) == (0, 0)
    wanted = keys_where(archive.spec, in_futures)
    assert_there(beside.root, placed("hive"), archive.bucket, wanted)
    assert collect(here, *FUTURES).outcomes == {"present": len(wanted)}


# Moves


def test_a_root_is_moved_there_and_back_without_a_download(here: Runner, archive: Archive, proxy: FaultProxy) -> None:
    run = here.at(proxy.endpoint_url)
    done = collect(run, *THREE)
    (done.root / "data" / "notes.txt").write_text("mine", encoding="utf-8")
    code, stdout, stderr = run("relayout", "--to", "hive", "-o", ROOT, "--dry-run")
    assert (code, stored(done.root)) == (0, set(KEYS)), stderr
    assert stdout.splitlines() == [f"{key} -> {placed('hive').path(key)}" for key in KEYS]
    asked = len(proxy.requests)
    for name, source in (("hive", "mirror"), (OWN, "hive"), (TEMPLATE, OWN), ("mirror", placed(TEMPLATE).name)):
        moved = document(run, "relayout", "--to", name, "-o", ROOT, "--json")
        assert (moved["status"], moved["moved"], moved["from"]) == ("success", 3, source)
        (left,) = moved["left"]
        assert left == {"path": "data/notes.txt", "reason": "not an object of the archive", "in_the_way": False}
        assert_there(done.root, placed(name), archive.bucket, KEYS)
        assert document(run, "verify", "--all", "-o", ROOT, "--json")["verdicts"]["ok"] == 3
    assert len(proxy.requests) == asked
    assert "notes.txt" in files_below(done.root / "data")
    assert collect(run, *THREE).outcomes == {"present": 3}


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_move_that_is_killed_goes_on(here: Runner) -> None:
    done = collect(here, *RESEARCH)
    before, begun = len(stored(done.root)), done.root / "data" / "market=spot"
    with here.start("relayout", "--to", "hive", "-o", ROOT) as process:
        until(lambda: process.poll() is not None or begun.exists())
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if "moving_to" in (done.root / ".crypto-archive" / "layout.json").read_text("utf-8"):  # as a rule
        code, _, stderr = here("collect", *THREE, "-o", ROOT)
        assert code == 5
        assert "Run `crypto-archive relayout --to 'hive'` with the same --output to finish" in stderr
    assert here("relayout", "--to", "hive", "-o", ROOT).code == 0
    assert len(stored(done.root)) == before
    assert all(path.startswith("data/market=") for path in stored(done.root))
    assert document(here, "verify", "--all", "-o", ROOT, "--json")["objects"] == before


# Refusals


def test_another_layout_is_refused_with_what_to_do(here: Runner) -> None:
    done = collect(here, *THREE)
    for command in ("collect", "plan", "verify", "coverage"):
        code, stdout, stderr = here(command, *THREE, "-o", ROOT, "--layout", "hive")
        assert (code, stdout) == (2, ""), command
        assert f"Error: The archive root {done.root} has the layout 'mirror', but 'hive' was requested" in stderr
        assert "`crypto-archive relayout --to 'hive'` and the same --output" in stderr
    assert stored(done.root) == set(KEYS)


def test_a_layout_that_could_go_wrong_is_refused_before_anything_is_written(here: Runner) -> None:
    (here.folder / "preset.yaml").write_text("layout: '{symbol}/{interval}'\nsymbols: [BTCUSDT]\n", encoding="utf-8")
    code, _, stderr = here("collect", "-p", "preset.yaml", "-o", ROOT)
    assert code == 2
    assert (
        "preset.yaml, line 1, layout: the template '{symbol}/{interval}': {market} must be a folder of its own"
        in stderr
    )
    code, _, stderr = here("collect", *THREE, "-o", ROOT, "--layout", "hvie")
    assert code == 2
    assert "--layout: unknown layout 'hvie'" in stderr
    assert "did you mean 'hive'? (allowed: mirror, hive)" in stderr
    code, _, stderr = here.with_environment(CRYPTO_ARCHIVE_LAYOUT="nowhere:Layout")("collect", *THREE, "-o", ROOT)
    assert code == 2
    assert "CRYPTO_ARCHIVE_LAYOUT: 'nowhere:Layout' cannot be imported: ModuleNotFoundError" in stderr
    assert not (here.folder / ROOT).exists()


def test_a_layout_class_that_is_gone_is_reported(here: Runner, module: Path) -> None:
    done = collect(here, *THREE, "--layout", OWN)
    module.unlink()
    sys.modules.pop("by_asset", None)
    code, _, stderr = here("verify", "--all", "-o", ROOT)
    assert code == 5
    assert f"Error: The archive root {done.root} has the layout '{OWN}', which cannot be used: " in stderr
    assert "(PYTHONPATH, or install it)" in stderr


def test_objects_that_a_class_puts_at_one_path_fail_with_the_reason(here: Runner, module: Path) -> None:
    module.write_text(
        OWN_MODULE.replace(
            "series, period =", "if item.series.symbol == 'ETHUSDT': return 'all'\n        series, period ="
        ),
        encoding="utf-8",
    )
    both = collect(here, *THREE, "-s", "ETHUSDT", "--layout", OWN)
    assert (both.code, both.outcomes) == (3, {"fetched": 3, "failed": 3})
    for key, reason in both.reasons.items():
        assert f"the layout {OWN} puts {key} and " in reason
        assert f" at the same path: data/all/{key.rpartition('/')[2]}" in reason
    assert not (both.folder / "failed.s5cmd").exists()
    assert collect(here, *THREE, "-s", "ETHUSDT").outcomes == {"present": 3, "failed": 3}
