"""The status of a root in every state that it may be in, without a trace of having looked."""

from __future__ import annotations

import json
import os
import socket
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import RootUnusable
from crypto_archive.events import ObjectFinished, ObjectPlanned, RunFinished, RunStarted
from crypto_archive.jobs import status as status_module
from crypto_archive.jobs.progress import RunProgress
from crypto_archive.jobs.record import Record
from crypto_archive.jobs.report import Report
from crypto_archive.jobs.status import Status, status, watch
from crypto_archive.model import Market, Outcome, ShardName, Verdict
from crypto_archive.render.status import show_statuses
from crypto_archive.root.layout import LayoutNote, write_note
from crypto_archive.root.lock import RootLock, hold_schedule, hold_shard, hold_whole, start_shard
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.store import Root, open_root, quarantine
from tests.objects import LISTED_AT, an_object, entry_of, to_fetch
from tests.unit.config.test_presets import TODAY

if TYPE_CHECKING:
    from crypto_archive.events import Event

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "status.schema.json").read_text(encoding="utf-8"))
FIRST, SECOND, THIRD = (f"2025071{day}T001011Z-abcdef" for day in (6, 7, 8))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "root")


def look(root: Root) -> Status:
    return status(load_run_config([], {"output_directory": str(root.path)}, today=TODAY))


def document(root: Root) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(look(root).document()))
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


def page(root: Root) -> str:
    shown = StringIO()
    show_statuses([look(root)], shown)
    return shown.getvalue()


def collected(root: Root, run_id: str, *events: Event) -> None:
    """A collect that has run to its end."""
    with Record.opened(root, run_id, Report(Request(Selection((Market.SPOT,)), root.path))) as record:
        for event in (RunStarted(run_id, LISTED_AT, (), "v2"), *events, RunFinished(60.0)):
            record.take(event)


def fetched(number: int) -> tuple[Event, Event]:
    item = an_object(number)
    return ObjectPlanned(to_fetch(item)), ObjectFinished(item, Outcome.FETCHED, size=5, bytes_fetched=6)


def failed(number: int) -> tuple[Event, Event]:
    item = an_object(number)
    return ObjectPlanned(to_fetch(item)), ObjectFinished(item, Outcome.FAILED, "timeout")


def under_way(root: Root, run_id: str, **fields: Any) -> RunProgress:
    """What the folder of a run has that runs in this process, or was killed."""
    folder = root.runs / run_id
    folder.mkdir(parents=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    shard = root.private.name if root.shard else None
    found = RunProgress(
        run_id, os.getpid(), socket.gethostname(), shard, now, now, planning=False, objects=4, done=1, bytes=400,
        bytes_done=100, bytes_per_second=10.0, percent=25.0, seconds_left=30.0, outcomes={"fetched": 1},
    )  # fmt: skip
    found = replace(found, **fields)
    (folder / "progress.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RootUnusable, match="There is no archive root at"):
        look(Root(tmp_path / "none"))


def test_a_folder_in_which_nothing_was_collected(tmp_path: Path) -> None:
    root = Root(tmp_path / "root")
    root.path.mkdir()
    found = document(root)
    assert (found["state"], found["objects"], found["running"], found["last_run"]) == ("empty", 0, [], None)
    assert "nothing yet; `crypto-archive collect`" in page(root)
    assert list(root.path.iterdir()) == []


def test_what_is_stored_what_is_wrong_and_how_runs_ended(root: Root) -> None:
    collected(root, FIRST, *fetched(0), *fetched(1))
    collected(root, SECOND, *fetched(2), *failed(3))
    with Manifest(root.manifest_path) as manifest:
        manifest.record(entry_of(an_object(2).key)._replace(verdict=Verdict.SIDECAR_STALE))
    (staged := root.staging / "x").write_text("bad")
    quarantine(root, staged, an_object(3).key, "wrong bytes", SECOND)
    found = document(root)
    assert (found["state"], found["series"], found["objects"], found["bytes"]) == ("idle", 1, 3, 15)
    assert found["by_market_and_type"] == [
        {"market": "spot", "data_type": "klines", "series": 1, "objects": 3, "bytes": 15, "newest": "2025-07-03"}
    ]
    # An object that the run did not prove is recorded as unproven.
    assert {name: count for name, count in found["faults"].items() if count} == {"sidecar-stale": 1, "unproven": 2}
    assert found["quarantined"] == 1
    last, complete = found["last_run"], found["last_complete_run"]
    assert (last["run_id"], last["status"], last["exit_code"], last["bytes_fetched"]) == (SECOND, "partial", 3, 6)
    assert last["outcomes"]["failed"] == 1
    assert (complete["run_id"], complete["status"], complete["finished_at"]) == (
        FIRST, "success", "2025-07-16T00:11:11+00:00"
    )  # fmt: skip
    text = page(root)
    assert "1 with a stale checksum, 2 unproven, 1 in quarantine" in text
    assert "partial, exit code 3, 2025-07-16 00:11 UTC, " in text
    assert "1 fetched, 1 failed; 6 B downloaded" in text


def test_no_run_that_is_kept_was_complete(root: Root) -> None:
    collected(root, FIRST, *failed(0))
    assert document(root)["last_complete_run"] is None
    assert "none of the runs that are kept" in page(root)


def test_the_lock_leads_to_the_run_and_its_progress(root: Root) -> None:
    collected(root, FIRST, *fetched(0))
    with hold_whole(root, "collect"):
        run = under_way(root, SECOND)
        found = document(root)
        text = page(root)
    assert found["state"] == "running"
    (job,) = found["running"]
    assert (job["purpose"], job["pid"], job["shard"]) == ("collect", os.getpid(), None)
    assert job["progress"] == asdict(run)
    assert found["last_run"]["run_id"] == FIRST
    assert f"collect, process {os.getpid()} on " in text
    assert "25.0 %  1 of 4 objects, 100 B of 400 B, 10 B/s, about 30 s left" in text
    assert "no news" not in text


def test_a_run_that_has_said_nothing_for_long(root: Root) -> None:
    with hold_whole(root, "collect"):
        now = datetime.now(UTC)
        under_way(root, FIRST, planning=True, percent=None, seconds_left=None,
                  updated_at=(now - timedelta(minutes=5)).isoformat(timespec="seconds"))  # fmt: skip
        text = page(root)
    assert "1 of 4 objects so far, still planning" in text
    assert "no news for 5 min: suspended, or waiting for the disk" in text


def test_another_job_has_no_progress_not_even_of_a_killed_run_of_that_number(root: Root) -> None:
    under_way(root, FIRST, started_at="2025-07-16T00:10:11+00:00")
    with hold_whole(root, "relayout"):
        found = document(root)
    assert [(job["purpose"], job["progress"]) for job in found["running"]] == [("relayout", None)]
    assert found["last_run"]["status"] == "died"


def test_a_run_that_has_only_just_begun_has_not_died(root: Root) -> None:
    collected(root, FIRST, *fetched(0))
    with hold_whole(root, "collect"):
        (root.runs / SECOND).mkdir()
        assert document(root)["last_run"]["run_id"] == FIRST


def test_a_killed_run_is_said_to_have_died_whatever_its_lock_says(root: Root) -> None:
    collected(root, FIRST, *fetched(0))
    under_way(root, SECOND, pid=2**30)
    root.lock_path.touch()
    note = {"pid": 2**30, "host": socket.gethostname(), "started": "2025-07-17T00:10:11+00:00", "purpose": "collect"}
    root.lock_path.with_name("lock.json").write_text(json.dumps(note | {"brief": False}))
    found = document(root)
    assert (found["state"], found["running"]) == ("died", [])
    last = found["last_run"]
    assert (last["run_id"], last["status"], last["exit_code"], last["percent"]) == (SECOND, "died", None, 25.0)
    assert found["last_complete_run"]["run_id"] == FIRST
    text = page(root)
    assert f"died at 25.0 %, without a report (run {SECOND})" in text
    assert "The same command continues where it stopped." in text


def test_a_run_of_which_nothing_is_left_but_its_folder(root: Root) -> None:
    (root.runs / FIRST).mkdir()
    (root.runs / FIRST / "report.json").write_text("{}")
    assert (document(root)["state"], document(root)["last_run"]["started_at"]) == ("died", None)
    assert f"died, without a report (run {FIRST})" in page(root)


def test_shards_have_a_lock_and_a_run_each(root: Root) -> None:
    one, two = (replace(root, shard=ShardName("a" * 12, number, 3)) for number in (1, 2))
    for shard, run_id in ((one, FIRST), (two, SECOND)):
        with start_shard(shard):
            shard.staging.mkdir(parents=True)
            with Manifest(shard.manifest_path) as manifest:
                manifest.record(entry_of(an_object(int(run_id == FIRST)).key))
    with hold_shard(one, "collect"), hold_shard(two, "collect"):
        under_way(one, FIRST)
        under_way(two, SECOND, done=2)
        found = document(root)
        text = page(root)
    assert [(job["shard"], job["progress"]["run_id"]) for job in found["running"]] == [
        (one.private.name, FIRST), (two.private.name, SECOND)
    ]  # fmt: skip
    assert (found["unmerged"], found["objects"]) == (2, 0)
    assert "2 objects more, not yet in the manifest of the root" in text
    assert f"collect, shard {two.shard}, process" in text
    assert document(root)["state"] == "died"


def test_a_lock_that_is_held_for_a_moment_is_no_news(root: Root) -> None:
    with hold_whole(root, "merge of shards", brief=True):
        assert document(root)["running"] == []


def test_between_two_rounds(root: Root) -> None:
    collected(root, FIRST, *fetched(0))
    with hold_schedule(root, "collect every 3600 seconds"):
        found, text = document(root), page(root)
    assert (found["state"], found["schedule"]["purpose"]) == ("waiting", "collect every 3600 seconds")
    assert "; the next round is to come" in text
    assert document(root)["schedule"] is None


def test_an_unfinished_relayout(root: Root) -> None:
    write_note(root, LayoutNote("mirror", "hive"))
    assert (document(root)["layout"], document(root)["moving_to"]) == ("mirror", "hive")
    assert "being moved from 'mirror' to 'hive'; run relayout to finish" in page(root)


def test_a_lock_that_may_not_be_tried_is_judged_by_its_note(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: RootLock) -> bool:
        raise RootUnusable("Permission denied")

    with hold_whole(root, "collect"), hold_schedule(root, "collect every 60 seconds"):
        monkeypatch.setattr(RootLock, "is_held", denied)
        found = document(root)
    assert (found["state"], found["schedule"]["pid"]) == ("running", os.getpid())
    assert document(root)["state"] == "empty"


def test_looking_leaves_nothing_behind(root: Root) -> None:
    collected(root, FIRST, *fetched(0))
    before = sorted(root.path.rglob("*"))
    look(root)
    assert sorted(root.path.rglob("*")) == before


def test_watching_reads_the_manifest_only_when_it_may_have_changed(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "LOOK_SECONDS", 0.0)
    taken: list[Path] = []
    take = status_module.take_inventory
    monkeypatch.setattr(status_module, "take_inventory", lambda path, matrix: taken.append(path) or take(path, matrix))
    stop = threading.Event()
    shown = watch(load_run_config([], {"output_directory": str(root.path)}, today=TODAY), stop)
    assert [next(shown).state for _ in range(3)] == ["empty"] * 3
    assert len(taken) == 1
    with hold_whole(root, "collect"):
        under_way(root, FIRST)
        assert [next(shown).state for _ in range(3)] == ["running"] * 3
        assert len(taken) == 2
    assert next(shown).state == "died"
    assert len(taken) == 3
    stop.set()
    assert list(shown) == []
