from __future__ import annotations

import json
from datetime import UTC, date, datetime

from crypto_archive.events import (
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Comparing,
    DaysCovered,
    DaysKept,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.jobs.record import event_line
from crypto_archive.model import (
    Action,
    ArchiveObject,
    ManifestEntry,
    Market,
    Notice,
    Outcome,
    Partition,
    Period,
    PlannedObject,
    RemoteStat,
    Series,
    Verdict,
)

MOMENT = datetime(2025, 7, 16, 12, tzinfo=UTC)
OBJECT = ArchiveObject(
    "data/spot/daily/trades/币安人生USDT/币安人生USDT-trades-2025-07-15.zip",
    Series(Market.SPOT, "trades", "币安人生USDT"),
    Period(Partition.DAILY, date(2025, 7, 15)),
)
REMOTE = RemoteStat(10, "abc", MOMENT)


def read(line: str | None) -> dict[str, object]:
    assert line is not None
    assert "\n" not in line
    return json.loads(line)


def test_a_settled_object() -> None:
    event = ObjectFinished(
        OBJECT, Outcome.FETCHED, "two\nlines", 10, 101, "ff", Verdict.OK, REMOTE, attempts=2, lane=3, etag="abc"
    )
    line = event_line(event)
    assert read(line) == {
        "event": "object-finished",
        "key": OBJECT.key,
        "outcome": "fetched",
        "reason": "two\nlines",
        "size": 10,
        "bytes_fetched": 101,
        "sha256": "ff",
        "verdict": "ok",
        "remote": {"size": 10, "etag": "abc", "last_modified": "2025-07-16T12:00:00+00:00", "has_sidecar": True},
        "attempts": 2,
        "lane": 3,
        "etag": "abc",
        "refused": False,
    }
    assert line is not None
    assert "币安人生USDT" in line


def test_a_planned_object_and_its_time() -> None:
    line = read(event_line(ObjectPlanned(PlannedObject(OBJECT, Action.FETCH, "not there")), at=MOMENT))
    assert list(line)[:3] == ["event", "at", "key"]
    assert (line["event"], line["at"], line["action"]) == ("object-planned", "2025-07-16T12:00:00+00:00", "fetch")
    assert line["remote"] is None


def test_of_an_object_that_stays_only_its_settlement_is_told() -> None:
    assert event_line(ObjectPlanned(PlannedObject(OBJECT, Action.KEEP, "there", stored_size=10))) is None
    settled = ObjectFinished(OBJECT, Outcome.PRESENT, size=10, remote=REMOTE)
    expected = {"event": "object-finished", "key": OBJECT.key, "outcome": "present", "size": 10}
    assert read(event_line(settled)) == expected
    assert read(event_line(settled, at=MOMENT)) == expected | {"at": "2025-07-16T12:00:00+00:00"}


def test_of_a_file_that_is_adopted_both_are_told() -> None:
    entry = ManifestEntry(OBJECT.key, 10, "ff", Verdict.OK, "abc", MOMENT, MOMENT, "run")
    line = read(event_line(ObjectPlanned(PlannedObject(OBJECT, Action.KEEP, "there", stored_size=10, adopted=entry))))
    assert (line["event"], line["action"]) == ("object-planned", "keep")
    assert line["adopted"] == {
        "key": OBJECT.key, "size": 10, "sha256": "ff", "verdict": "ok", "etag": "abc", "run_id": "run",
        "last_modified": "2025-07-16T12:00:00+00:00", "fetched_at": "2025-07-16T12:00:00+00:00",
    }  # fmt: skip


def test_the_frame_of_a_run() -> None:
    assert read(event_line(RunStarted("r", MOMENT, (Notice("n"),), "v2.3.0"))) == {
        "event": "run-started",
        "run_id": "r",
        "started_at": "2025-07-16T12:00:00+00:00",
        "notices": ["n"],
        "s5cmd_version": "v2.3.0",
    }
    assert event_line(PlanFinished()) == '{"event":"plan-finished"}'
    assert read(event_line(RunFinished(1.5, 2)))["interrupted_by"] == 2
    assert read(event_line(BatchStarted(0, 1, "spot klines", 1, 50)))["objects"] == 50
    assert read(event_line(BatchRetried(0, 1, 1, 2.5, 7, "stall")))["wait_seconds"] == 2.5


def test_bytes_on_their_way_are_left_out() -> None:
    assert event_line(BytesArrived(0, 10)) is None


def test_what_is_moved_aside_and_what_stays() -> None:
    assert read(event_line(DaysCovered(OBJECT, ("a", "b"), 7))) == {
        "event": "days-covered", "key": OBJECT.key, "moved": ["a", "b"], "bytes": 7
    }  # fmt: skip
    assert read(event_line(DaysKept(OBJECT, 31, "it lacks rows"))) == {
        "event": "days-kept", "key": OBJECT.key, "days": 31, "reason": "it lacks rows"
    }  # fmt: skip
    assert event_line(Comparing(OBJECT, 31, 12)) is None
