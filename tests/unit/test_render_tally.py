from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given, strategies as st

from crypto_archive.events import (
    BatchFinished,
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Checked,
    Event,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
)
from crypto_archive.model import (
    Action,
    ArchiveObject,
    Market,
    Outcome,
    Partition,
    Period,
    PlannedObject,
    RemoteStat,
    Series,
    Verdict,
)
from crypto_archive.render.stats import CheckTally, ProgressStats, RateEstimator

OBJECT = ArchiveObject("k.zip", Series(Market.SPOT, "klines", "X", "1h"), Period(Partition.DAILY, date(2025, 7, 1)))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stat(size: int | None) -> RemoteStat | None:
    return None if size is None else RemoteStat(size, "", datetime(2025, 7, 2, tzinfo=UTC))


def planned(size: int | None, action: Action = Action.FETCH) -> ObjectPlanned:
    return ObjectPlanned(PlannedObject(OBJECT, action, "", True, stat(size)))


def fetched(size: int, lane: int | None = 0) -> ObjectFinished:
    return ObjectFinished(OBJECT, Outcome.FETCHED, size=size, bytes_fetched=size, remote=stat(size), lane=lane)


def tally_of(*events: Event, clock: Clock | None = None) -> ProgressStats:
    tally = ProgressStats(clock or Clock())
    for event in events:
        tally.add(event)
    return tally


def test_bytes_in_staging_count_as_done() -> None:
    tally = tally_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    assert (tally.bytes_done, tally.bytes_total, tally.fraction) == (0, 200, 0.0)
    tally.add(BytesArrived(0, 50))
    assert (tally.bytes_done, tally.fraction) == (50, 0.25)


def test_an_object_is_not_counted_in_staging_and_at_its_final_path() -> None:
    tally = tally_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    tally.add(BytesArrived(0, 120))
    tally.add(fetched(100))
    assert tally.bytes_done == 120
    tally.add(BytesArrived(0, 30))
    assert tally.bytes_done == 130


def test_an_object_of_an_unknown_lane_is_not_counted_twice_either() -> None:
    tally = tally_of(planned(100), planned(100), PlanFinished())
    tally.add(BatchStarted(0, 1, "spot klines", 1, 1))
    tally.add(BatchStarted(1, 2, "spot klines", 1, 1))
    tally.add(BytesArrived(0, 80))
    tally.add(BytesArrived(1, 60))
    tally.add(fetched(100, lane=None))
    assert tally.bytes_done == 140


def test_the_figure_waits_rather_than_going_backwards() -> None:
    tally = tally_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    tally.add(BytesArrived(0, 100))
    tally.add(BytesArrived(0, 0))  # published already, and not yet said to be settled
    assert tally.bytes_done == 100
    tally.add(fetched(100))
    assert tally.bytes_done == 100


def test_a_retry_may_lower_it() -> None:
    tally = tally_of(planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 1), BytesArrived(0, 90))
    tally.add(BatchRetried(0, 1, 1, 2.0, 1, "stall"))
    tally.add(BytesArrived(0, 10))
    assert tally.bytes_done == 10
    assert tally.lanes[0].arrived == 10


def test_present_objects_are_no_traffic() -> None:
    tally = tally_of(planned(100, Action.KEEP), ObjectFinished(OBJECT, Outcome.PRESENT, size=100, remote=stat(100)))
    assert (tally.bytes_done, tally.bytes_total, tally.settled) == (0, None, 1)


def test_absent_objects_leave_the_total() -> None:
    tally = tally_of(planned(100), planned(60), PlanFinished())
    tally.add(ObjectFinished(OBJECT, Outcome.ABSENT, remote=stat(100)))
    assert tally.bytes_total == 60


def test_without_sizes_objects_are_counted() -> None:
    tally = tally_of(planned(None), planned(None), planned(None), planned(None), PlanFinished())
    tally.add(ObjectFinished(OBJECT, Outcome.FETCHED, bytes_fetched=7))
    assert (tally.bytes_total, tally.fraction, tally.bytes_done) == (None, 0.25, 7)


def test_nobody_knows_how_far_it_is_while_planning() -> None:
    tally = tally_of(planned(100), fetched(100))
    assert (tally.fraction, tally.seconds_left) == (None, None)
    tally.add(PlanFinished())
    assert (tally.fraction, tally.finished) == (1.0, True)


def test_it_is_all_done_only_when_every_object_is_settled() -> None:
    tally = tally_of(planned(100), planned(0), PlanFinished(), fetched(100))
    assert tally.fraction == 0.999


def test_rate_and_time_left() -> None:
    clock = Clock()
    tally = tally_of(planned(1000), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 1), clock=clock)
    for step in range(1, 5):
        clock.now += 1.0
        tally.add(BytesArrived(0, 100 * step))
    assert tally.bytes_per_second == 100.0
    assert tally.seconds_left == 6.0
    clock.now += 4.0
    assert tally.bytes_per_second == 50.0


def test_time_left_by_objects() -> None:
    clock = Clock()
    tally = tally_of(*[planned(None)] * 4, PlanFinished(), clock=clock)
    clock.now += 2.0
    tally.add(ObjectFinished(OBJECT, Outcome.FETCHED))
    assert tally.seconds_left == 6.0


def test_lanes_remember_what_they_do() -> None:
    clock = Clock()
    tally = tally_of(BatchStarted(2, 7, "spot klines", 1, 3), fetched(10, lane=2), clock=clock)
    lane = tally.lanes[2]
    assert (lane.batch, lane.objects, lane.settled, lane.arrived, lane.busy) == (7, 3, 1, 10, True)
    tally.add(BatchRetried(2, 7, 1, 4.0, 2, "SlowDown"))
    assert (lane.retry_at, lane.reason) == (104.0, "SlowDown")
    tally.add(BatchStarted(2, 7, "spot klines", 2, 2))
    lane = tally.lanes[2]
    assert (lane.attempt, lane.settled, lane.landed, lane.retry_at) == (2, 0, 10, None)
    tally.add(BatchFinished(2, 7))
    assert not lane.busy
    tally.add(BytesArrived(2, 55))
    assert tally.bytes_done == 10


def test_pace_forgets_what_is_long_ago() -> None:
    pace = RateEstimator(window_seconds=10.0)
    assert pace.per_second(0.0, 0.0) == 0.0
    for second in range(21):
        pace.note(float(second), 0.0 if second < 10 else (second - 10) * 5.0)
    assert pace.per_second(20.0, 50.0) == 5.0
    assert pace.per_second(20.0, -50.0) == 0.0


SIZES = st.integers(0, 1000)


@given(st.lists(st.tuples(SIZES, st.integers(0, 3)), min_size=1), st.data())
def test_bytes_never_exceed_the_total_nor_fall_without_a_retry(
    objects: list[tuple[int, int]], data: st.DataObject
) -> None:
    tally = tally_of(*(planned(size) for size, _ in objects), PlanFinished())
    for lane in range(4):
        tally.add(BatchStarted(lane, lane + 1, "spot klines", 1, len(objects)))
    before = 0
    for size, lane in objects:
        tally.add(BytesArrived(lane, data.draw(SIZES)))
        tally.add(fetched(size, lane=data.draw(st.sampled_from([lane, None]))))
        assert tally.bytes_total is not None
        assert tally.bytes_done <= tally.bytes_total
        if not tally.finished:
            assert tally.bytes_done >= before
            before = tally.bytes_done
    assert tally.bytes_done == sum(size for size, _ in objects)
    assert tally.fraction == 1.0


def check(size: int) -> Checked:
    return Checked("k.zip", Market.SPOT, "klines", Verdict.OK, size)


def test_a_verification_counts_bytes_where_their_total_is_known() -> None:
    clock = Clock()
    tally = CheckTally(clock, objects=4, size=1000)
    tally.add(check(100))
    clock.now += 2.0
    tally.add(check(100))
    assert (tally.fraction, tally.checked, tally.seconds) == (0.2, 2, 2.0)
    assert (tally.bytes_per_second, tally.seconds_left) == (50.0, 16.0)


def test_a_verification_counts_objects_otherwise() -> None:
    clock = Clock()
    tally = CheckTally(clock, objects=4)
    tally.add(check(0))
    clock.now += 1.0
    tally.add(check(0))
    assert (tally.fraction, tally.seconds_left) == (0.5, 2.0)
    tally.add(check(0))
    tally.add(check(0))
    assert tally.fraction == 1.0


def test_a_verification_of_nobody_knows_how_much() -> None:
    tally = CheckTally(Clock())
    tally.add(check(10))
    assert (tally.fraction, tally.seconds_left, tally.bytes_done) == (None, None, 10)
