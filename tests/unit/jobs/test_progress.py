"""How far a run is, as its folder tells others while it runs."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from crypto_archive.config.run_config import Request, Selection
from crypto_archive.events import BytesArrived, Event, ObjectFinished, ObjectPlanned, PlanFinished, RunStarted
from crypto_archive.files import read_json
from crypto_archive.jobs import progress as progress_module
from crypto_archive.jobs.progress import ProgressNote, RunProgress
from crypto_archive.jobs.report import Report
from crypto_archive.model import Action, Market, Outcome, PlannedObject, ShardName
from crypto_archive.root.store import Root
from tests.objects import LISTED_AT, an_object, listed, to_fetch

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: self.now))


class Noting:
    """A run whose events a test gives."""

    def __init__(self, folder: Path, clock: Clock, shard: ShardName | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.report = Report(Request(Selection((Market.SPOT,)), folder))
        self.path = folder / "progress.json"
        self.clock = clock
        self.note = ProgressNote(Root(folder, shard=shard), folder, self.report)

    def __call__(self, *events: Event, after: float = 0.0) -> RunProgress:
        self.clock.now += after
        for event in events:
            self.report.add(event)
            self.note.add(event)
        return read_json(self.path, RunProgress)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def noting(tmp_path: Path, clock: Clock) -> Noting:
    return Noting(tmp_path / "run", clock)


STARTED = RunStarted("run", LISTED_AT, (), "v2")


def planned(number: int, size: int | None = 100) -> ObjectPlanned:
    return ObjectPlanned(to_fetch(an_object(number), remote=None if size is None else listed(size)))


def present(number: int) -> tuple[Event, Event]:
    item = an_object(number)
    return ObjectPlanned(PlannedObject(item, Action.KEEP, "there")), ObjectFinished(item, Outcome.PRESENT, size=100)


def fetched(number: int, size: int = 100) -> ObjectFinished:
    return ObjectFinished(an_object(number), Outcome.FETCHED, size=size, bytes_fetched=size, remote=listed(size))


def test_a_run_that_begins_names_itself_and_has_no_percentage(noting: Noting) -> None:
    found = noting(STARTED)
    assert (found.run_id, found.pid, found.host, found.shard) == ("run", os.getpid(), socket.gethostname(), None)
    assert (found.planning, found.percent, found.seconds_left, found.objects) == (True, None, None, 0)


def test_a_shard_names_its_folder(tmp_path: Path, clock: Clock) -> None:
    assert Noting(tmp_path / "run", clock, ShardName("a" * 12, 3, 8))(STARTED).shard == f"{'a' * 12}-3-of-8"


def test_bytes_rate_and_time_left_once_everything_is_planned(noting: Noting) -> None:
    noting(STARTED, *(planned(number) for number in range(4)))
    assert noting(BytesArrived(0, 100), after=5.0).percent is None
    found = noting(fetched(0), PlanFinished(), BytesArrived(0, 100), after=5.0)
    assert (found.planning, found.objects, found.done, found.outcomes) == (False, 4, 1, {"fetched": 1})
    assert (found.bytes, found.bytes_done, found.percent) == (400, 200, 50.0)
    assert (found.bytes_per_second, found.seconds_left) == (20.0, 10.0)


def test_without_sizes_objects_count(noting: Noting) -> None:
    noting(STARTED, *(planned(number, None) for number in range(4)), PlanFinished())
    found = noting(fetched(0), BytesArrived(0, 7), after=10.0)
    assert (found.bytes, found.percent, found.seconds_left) == (None, 25.0, 30.0)


def test_what_is_present_says_nothing_about_the_time_left(noting: Noting) -> None:
    noting(STARTED, *present(0), planned(1), PlanFinished())
    found = noting(BytesArrived(0, 0), after=10.0)
    assert (found.done, found.percent, found.seconds_left) == (1, 0.0, None)


def test_the_bytes_never_go_back_and_100_percent_is_the_end(noting: Noting) -> None:
    noting(STARTED, planned(0), planned(1), PlanFinished())
    assert noting(BytesArrived(0, 150), after=2.0).percent == 75.0
    assert noting(BytesArrived(0, 0), after=2.0).percent == 75.0  # a lane has discarded a download
    assert noting(BytesArrived(0, 500), after=2.0).percent == 99.9
    assert noting(fetched(0), fetched(1), BytesArrived(0, 0), after=2.0).percent == 100.0


def test_it_is_written_once_per_second_at_most(noting: Noting) -> None:
    noting(STARTED)
    noting.path.write_text("mine")
    noting.clock.now += 0.9
    noting.note.add(BytesArrived(0, 1))
    assert noting.path.read_text() == "mine"
    assert noting(BytesArrived(0, 1), after=0.1).bytes_done == 0  # of nothing that is planned


def test_a_disk_without_room_for_it_does_not_end_the_run(noting: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    noting(STARTED)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(progress_module, "atomic_write", full)
    noting(BytesArrived(0, 1), after=2.0)


def test_a_run_with_a_report_removes_it(noting: Noting) -> None:
    noting(STARTED)
    noting.note.remove()
    noting.note.remove()
    assert not noting.path.exists()
