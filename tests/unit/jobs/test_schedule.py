"""Rounds: when they are due, who makes them, and how they end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import RootLocked
from crypto_archive.events import Cancellation
from crypto_archive.jobs import schedule as module
from crypto_archive.jobs.schedule import next_due, schedule
from crypto_archive.root.lock import hold_whole, shards_of
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Clock:
    """A clock that only goes on while somebody sleeps, or when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= module.TURN_SECONDS
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@given(st.floats(0, 2e9), st.floats(0.1, 1e6), st.floats(0, 1e8))
def test_the_next_round_is_ahead_by_no_more_than_the_distance(first: float, every: float, later: float) -> None:
    now = first + later
    due = next_due(first, every, now)
    assert now < due + 1e-6
    assert due <= now + every + 1e-6
    assert abs((due - first) / every - round((due - first) / every)) < 1e-3


def test_rounds_do_not_drift_and_those_that_were_missed_are_left_out(tmp_path: Path, clock: Clock) -> None:
    begun, took = [], iter([10.0, 0.5, 130.0, 59.0, 0.0])
    said: list[datetime] = []
    token = Cancellation()
    for number in schedule(tmp_path, 60.0, cancellation=token, on_wait=said.append):
        begun.append(round(clock.now, 3))
        clock.now += next(took)
        if number == 5:
            token.request()
    assert begun == [1000, 1060, 1120, 1300, 1360]
    assert [moment.timestamp() for moment in said] == [1060, 1120, 1300, 1360]


def test_a_clock_that_is_set_back_does_not_stop_the_rounds(tmp_path: Path, clock: Clock) -> None:
    begun = []
    for number in schedule(tmp_path, 60.0):
        begun.append(clock.now)
        clock.now -= 1_000_000 if number == 1 else 0
        if number == 2:
            break
    assert 0 < begun[1] - (begun[0] - 1_000_000) <= 60.0 + module.TURN_SECONDS


def test_no_round_begins_once_it_is_cancelled(tmp_path: Path) -> None:
    token = Cancellation()
    token.request()
    assert list(schedule(tmp_path, 60.0, cancellation=token)) == []


def test_a_root_has_one_that_makes_rounds_and_others_between_them(tmp_path: Path, clock: Clock) -> None:
    making = schedule(tmp_path, 60.0)
    next(making)
    root = Root(tmp_path)
    with hold_whole(root, "verify --repair"):
        assert shards_of(root) == ()
    with pytest.raises(RootLocked, match=r"Another process already repeats collect in .*: process") as raised:
        next(schedule(tmp_path, 60.0))
    assert "--output" in raised.value.hint
    making.close()
    second = schedule(tmp_path, 60.0)
    assert next(second) == 1
    second.close()


def test_a_part_is_asked_to_stop_whenever_the_whole_is() -> None:
    token = Cancellation()
    with token.for_a_part() as first:
        first.requested.set()  # as a run does that has failed
    with token.for_a_part() as second:
        assert not second.requested.is_set()
        token.request(15)
        assert (second.requested.is_set(), second.signal_number, second.urgent.is_set()) == (True, 15, False)
        token.request(15)
        assert second.urgent.is_set()
    with token.for_a_part() as third:
        assert (third.requested.is_set(), third.signal_number) == (True, 15)
