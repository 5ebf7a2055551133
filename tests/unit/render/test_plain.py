from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from crypto_archive.events import (
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Checked,
    Comparing,
    DaysCovered,
    DaysKept,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.model import Action, Market, Notice, Outcome, PlannedObject, Verdict
from crypto_archive.render.plain import LINES_OF_A_KIND, PROGRESS_SECONDS, PlainProgress, stamped
from crypto_archive.render.stats import COLLECT, VERIFY, Work
from tests.unit.jobs.test_report import archive_object

BEGIN = datetime(2025, 7, 16, 12, tzinfo=UTC)


class Time:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)


class Screen:
    def __init__(self, work: Work = COLLECT) -> None:
        self.time = Time()
        self.stream = io.StringIO()
        self.progress = PlainProgress(stamped(self.stream, self.time.now), work, self.time.clock)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


STARTED = RunStarted("run-1", BEGIN, (Notice("spot bookDepth: never published"),), "v2.3.0")
PLANNED = ObjectPlanned(PlannedObject(archive_object(), Action.FETCH, "not there"))


def test_a_run_from_first_to_last_line() -> None:
    screen = Screen()
    with screen.progress as progress:
        progress.show(STARTED)
        progress.show(PLANNED)
        progress.show(PlanFinished())
        progress.show(BatchStarted(0, 1, "spot klines", 1, 1))
        screen.time.seconds = 4.0
        progress.show(BytesArrived(0, 1024))
        screen.time.seconds = 6.0
        progress.show(BytesArrived(0, 2048))
        progress.show(BatchRetried(0, 1, 1, 2.0, 1, "SlowDown:\n503"))
        progress.show(ObjectFinished(archive_object(), Outcome.FAILED, "SlowDown", bytes_fetched=2048, lane=0))
        screen.time.seconds = 8.0
        progress.show(RunFinished(8.0))
    assert screen.lines == [
        "2025-07-16T12:00:00Z run run-1 started, s5cmd v2.3.0",
        "2025-07-16T12:00:00Z note: spot bookDepth: never published",
        "2025-07-16T12:00:06Z 0%, 0 of 1 object, 2.0 KiB, 341 B/s",
        "2025-07-16T12:00:06Z batch 1 (spot klines): attempt 1 left 1 object: SlowDown: 503; next attempt in 2.0 s",
        f"2025-07-16T12:00:06Z failed: {archive_object().key}: SlowDown",
        "2025-07-16T12:00:08Z run ended after 8.0 s: 1 failed; 2.0 KiB downloaded, 256 B/s",
    ]


def test_a_growing_plan_says_so_far() -> None:
    screen = Screen()
    screen.progress.show(PLANNED)
    screen.time.seconds = 5.0
    screen.progress.show(PLANNED)
    assert screen.lines == ["2025-07-16T12:00:05Z 0 of 2 objects so far, 0 B, 0 B/s"]


def test_an_early_end_is_reported() -> None:
    screen = Screen()
    screen.progress.show(RunFinished(1.0, interrupted_by=2))
    screen.progress.show(RunFinished(1.0, error="the disk is full"))
    assert [line.split(" ", 1)[1] for line in screen.lines] == [
        "run was interrupted by SIGINT after 1.0 s: nothing was planned; nothing downloaded",
        "run stopped (the disk is full) after 1.0 s: nothing was planned; nothing downloaded",
    ]


@given(st.lists(st.floats(0, 3), max_size=60))
def test_progress_comes_at_most_once_in_a_while(pauses: list[float]) -> None:
    screen = Screen()
    for pause in pauses:
        screen.time.seconds += pause
        screen.progress.show(BytesArrived(0, 1))
    stamps = [datetime.strptime(line[:20], "%Y-%m-%dT%H:%M:%S%z") for line in screen.lines]
    assert len(stamps) <= sum(pauses) / PROGRESS_SECONDS
    assert all((after - before).total_seconds() > PROGRESS_SECONDS - 1.0 for before, after in pairwise(stamps))


def test_lines_of_a_kind_are_limited() -> None:
    screen = Screen()
    for number in range(LINES_OF_A_KIND + 5):
        screen.progress.show(ObjectFinished(archive_object(number), Outcome.QUARANTINED))
        screen.progress.show(Noticed(Notice(f"note {number}")))
        screen.progress.show(BatchRetried(0, number, 1, 1.0, 1, ""))
    assert len(screen.lines) == 3 * (LINES_OF_A_KIND + 1)
    assert screen.lines[-3].endswith("further failures are in the report")
    assert screen.lines[-2].endswith("further notes are in the report")
    assert screen.lines[-1].endswith("further retries are in the journal")


def test_a_verification() -> None:
    screen = Screen(VERIFY)
    with screen.progress as progress:
        progress.show(Checked("a.zip", Market.SPOT, "klines", Verdict.OK, 1024))
        screen.time.seconds = 7.0
        progress.show(Checked("b.zip", Market.SPOT, "klines", Verdict.CORRUPT, 0, "wrong digest"))
        progress.show(Checked("c.zip", Market.SPOT, "klines", Verdict.MISSING))
    assert screen.lines == [
        "2025-07-16T12:00:00Z verification started",
        "2025-07-16T12:00:07Z corrupt: b.zip: wrong digest",
        "2025-07-16T12:00:07Z 2 objects, 1.0 KiB, 0 B/s (1 ok, 1 corrupt)",
        "2025-07-16T12:00:07Z missing: c.zip",
        "2025-07-16T12:00:07Z verification ended after 7.0 s: 3 objects, 1.0 KiB (1 ok, 1 missing, 1 corrupt)",
    ]


@pytest.mark.parametrize(("checks", "ends"), [(1, ["verification stopped after 0.0 s: 1 object, 5 B (1 ok)"]), (0, [])])
def test_an_error_ends_a_verification_with_what_was_done_if_anything_was(checks: int, ends: list[str]) -> None:
    screen = Screen(VERIFY)
    with pytest.raises(OSError, match="disk"), screen.progress as progress:  # noqa: PT012
        for _ in range(checks):
            progress.show(Checked("a.zip", Market.SPOT, "klines", Verdict.OK, 5))
        raise OSError("disk")
    assert [line.split(" ", 1)[1] for line in screen.lines] == ["verification started", *ends]


def test_daily_objects_that_are_moved_aside_and_those_that_stay() -> None:
    screen = Screen()
    key = archive_object().key
    screen.progress.show(Comparing(archive_object(), 31))
    screen.time.seconds = 6.0
    screen.progress.show(Comparing(archive_object(), 31, 12))
    screen.progress.show(DaysCovered(archive_object(), ("a", "b"), 100))
    screen.progress.show(DaysKept(archive_object(), 31, "it is too short"))
    assert screen.lines == [
        f"2025-07-16T12:00:06Z comparing {key} with 31 daily objects, 12 held so far",
        f"2025-07-16T12:00:06Z moved aside: 2 daily objects, held by {key}",
        f"2025-07-16T12:00:06Z note: {key} does not stand for 31 daily objects, which stay: it is too short",
    ]


def test_only_some_objects_moved_aside_get_a_line() -> None:
    screen = Screen()
    for _ in range(LINES_OF_A_KIND + 5):
        screen.progress.show(DaysCovered(archive_object(), ("a",), 100))
    assert len(screen.lines) == LINES_OF_A_KIND + 1
    assert screen.lines[-1].endswith("further objects moved aside are in the journal")
