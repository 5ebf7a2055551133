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
    Moved,
    MovesCounted,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    PlanFinished,
    Planning,
)
from crypto_archive.jobs.progress import RateEstimator
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
from crypto_archive.render.stats import COLLECT, PLAN, RELAYOUT, VERIFY, ProgressStats, Remarks

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


def stats_of(*events: Event, clock: Clock | None = None) -> ProgressStats:
    stats = ProgressStats(clock or Clock())
    for event in events:
        stats.add(event)
    return stats


def test_bytes_in_staging_count_as_done() -> None:
    stats = stats_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    assert (stats.bytes_done, stats.bytes_total, stats.fraction) == (0, 200, 0.0)
    stats.add(BytesArrived(0, 50))
    assert (stats.bytes_done, stats.fraction) == (50, 0.25)


def test_an_object_is_not_counted_in_staging_and_at_its_final_path() -> None:
    stats = stats_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    stats.add(BytesArrived(0, 120))
    stats.add(fetched(100))
    assert stats.bytes_done == 120
    stats.add(BytesArrived(0, 30))
    assert stats.bytes_done == 130


def test_an_object_of_an_unknown_lane_is_not_counted_twice_either() -> None:
    stats = stats_of(planned(100), planned(100), PlanFinished())
    stats.add(BatchStarted(0, 1, "spot klines", 1, 1))
    stats.add(BatchStarted(1, 2, "spot klines", 1, 1))
    stats.add(BytesArrived(0, 80))
    stats.add(BytesArrived(1, 60))
    stats.add(fetched(100, lane=None))
    assert stats.bytes_done == 140


def test_the_figure_waits_rather_than_going_backwards() -> None:
    stats = stats_of(planned(100), planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 2))
    stats.add(BytesArrived(0, 100))
    stats.add(BytesArrived(0, 0))  # published, but not reported as finished yet
    assert stats.bytes_done == 100
    stats.add(fetched(100))
    assert stats.bytes_done == 100


def test_a_retry_may_lower_it() -> None:
    stats = stats_of(planned(100), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 1), BytesArrived(0, 90))
    stats.add(BatchRetried(0, 1, 1, 2.0, 1, "stall"))
    stats.add(BytesArrived(0, 10))
    assert stats.bytes_done == 10
    assert stats.lanes[0].arrived == 10


def test_present_objects_are_not_traffic() -> None:
    stats = stats_of(planned(100, Action.KEEP), ObjectFinished(OBJECT, Outcome.PRESENT, size=100, remote=stat(100)))
    assert (stats.bytes_done, stats.bytes_total, stats.done) == (0, None, 1)


def test_what_stays_counts_as_each_of_its_objects_would() -> None:
    kept = ObjectsKept(tuple(PlannedObject(OBJECT, Action.KEEP, "there", stored_size=size) for size in (1, 2, 3)))
    together, apart = stats_of(kept), stats_of(*kept.each())
    assert (together.total, together.done, together.counts) == (apart.total, apart.done, apart.counts)
    assert (together.done, together.named_counts()) == (3, [(Outcome.PRESENT, 3)])

    verbose, brief = Remarks(10, verbose=True), Remarks(10)
    assert [*verbose.of(kept)] == [remark for event in kept.each() for remark in verbose.of(event)]
    assert (len([*verbose.of(kept)]), [*brief.of(kept)]) == (3, [])


def test_absent_objects_leave_the_total() -> None:
    stats = stats_of(planned(100), planned(60), PlanFinished())
    stats.add(ObjectFinished(OBJECT, Outcome.ABSENT, remote=stat(100)))
    assert stats.bytes_total == 60


def test_without_sizes_objects_are_counted() -> None:
    stats = stats_of(planned(None), planned(None), planned(None), planned(None), PlanFinished())
    stats.add(ObjectFinished(OBJECT, Outcome.FETCHED, bytes_fetched=7))
    assert (stats.bytes_total, stats.fraction, stats.bytes_done) == (None, 0.25, 7)


def test_the_fraction_is_unknown_while_planning() -> None:
    stats = stats_of(planned(100), fetched(100))
    assert (stats.fraction, stats.seconds_left) == (None, None)
    stats.add(PlanFinished())
    assert (stats.fraction, stats.complete) == (1.0, True)


def test_it_is_complete_only_when_every_object_is_done() -> None:
    stats = stats_of(planned(100), planned(0), PlanFinished(), fetched(100))
    assert stats.fraction == 0.999


def test_rate_and_time_left() -> None:
    clock = Clock()
    stats = stats_of(planned(1000), PlanFinished(), BatchStarted(0, 1, "spot klines", 1, 1), clock=clock)
    for step in range(1, 5):
        clock.now += 1.0
        stats.add(BytesArrived(0, 100 * step))
    assert stats.bytes_per_second == 100.0
    assert stats.seconds_left == 6.0
    clock.now += 4.0
    assert stats.bytes_per_second == 50.0


def test_time_left_by_objects() -> None:
    clock = Clock()
    stats = stats_of(*[planned(None)] * 4, PlanFinished(), clock=clock)
    clock.now += 2.0
    stats.add(ObjectFinished(OBJECT, Outcome.FETCHED))
    assert stats.seconds_left == 6.0


def test_lanes_keep_their_state() -> None:
    clock = Clock()
    stats = stats_of(BatchStarted(2, 7, "spot klines", 1, 3), fetched(10, lane=2), clock=clock)
    lane = stats.lanes[2]
    assert (lane.batch, lane.objects, lane.finished, lane.arrived, lane.busy) == (7, 3, 1, 10, True)
    stats.add(BatchRetried(2, 7, 1, 4.0, 2, "SlowDown"))
    assert (lane.retry_at, lane.reason) == (104.0, "SlowDown")
    stats.add(BatchStarted(2, 7, "spot klines", 2, 2))
    lane = stats.lanes[2]
    assert (lane.attempt, lane.finished, lane.published, lane.retry_at) == (2, 0, 10, None)
    stats.add(BatchFinished(2, 7))
    assert not lane.busy
    stats.add(BytesArrived(2, 55))
    assert stats.bytes_done == 10


def test_the_rate_ignores_what_is_long_past() -> None:
    rate = RateEstimator(window_seconds=10.0)
    assert rate.per_second(0.0, 0.0) == 0.0
    for second in range(21):
        rate.note(float(second), 0.0 if second < 10 else (second - 10) * 5.0)
    assert rate.per_second(20.0, 50.0) == 5.0
    assert rate.per_second(20.0, -50.0) == 0.0


SIZES = st.integers(0, 1000)


@given(st.lists(st.tuples(SIZES, st.integers(0, 3)), min_size=1), st.data())
def test_bytes_never_exceed_the_total_nor_fall_without_a_retry(
    objects: list[tuple[int, int]], data: st.DataObject
) -> None:
    stats = stats_of(*(planned(size) for size, _ in objects), PlanFinished())
    for lane in range(4):
        stats.add(BatchStarted(lane, lane + 1, "spot klines", 1, len(objects)))
    before = 0
    for size, lane in objects:
        stats.add(BytesArrived(lane, data.draw(SIZES)))
        stats.add(fetched(size, lane=data.draw(st.sampled_from([lane, None]))))
        assert stats.bytes_total is not None
        assert stats.bytes_done <= stats.bytes_total
        if not stats.complete:
            assert stats.bytes_done >= before
            before = stats.bytes_done
    assert stats.bytes_done == sum(size for size, _ in objects)
    assert stats.fraction == 1.0


def check(size: int) -> Checked:
    return Checked("k.zip", Market.SPOT, "klines", Verdict.OK, size)


def test_a_verification_has_no_total() -> None:
    clock = Clock()
    stats = ProgressStats(clock, VERIFY)
    stats.add(check(100))
    clock.now += 2.0
    stats.add(check(100))
    assert (stats.done, stats.total, stats.bytes_done, stats.bytes_total) == (2, None, 200, None)
    assert (stats.fraction, stats.seconds_left, stats.seconds) == (None, None, 2.0)
    assert (stats.bytes_per_second, stats.counts[Verdict.OK]) == (50.0, 2)
    assert (stats.objects_text(), stats.bytes_text()) == ("2 objects", "200 B")


def test_a_relayout_counts_objects() -> None:
    clock = Clock()
    stats = ProgressStats(clock, RELAYOUT)
    assert (stats.fraction, stats.counting) == (None, True)
    stats.add(MovesCounted(4))
    for _ in range(2):
        clock.now += 1.0
        stats.add(Moved("k.zip", "a", "b"))
    assert (stats.fraction, stats.seconds_left, stats.objects_text()) == (0.5, 2.0, "2 of 4 objects moved")
    stats.add(Moved("k.zip", "a", "b"))
    stats.add(Moved("k.zip", "a", "b"))
    assert (stats.fraction, stats.complete, stats.named_counts()) == (1.0, True, [])


def test_how_far_planning_is() -> None:
    clock = Clock()
    stats = ProgressStats(clock, PLAN)
    assert stats.planning_text() == ""
    stats.add(Planning())
    assert stats.planning_text() == "reading the listing"
    clock.now += 2.0
    stats.add(Planning(30, 3000, 18_000, growing=False))
    assert stats.planning_text() == "30 of 3,000 series, 15 series/s, 18,000 keys listed"


def test_a_collect_shows_its_planning_until_the_plan_is_complete() -> None:
    stats = ProgressStats(Clock(), COLLECT)
    stats.add(Planning(1, 2))
    assert (stats.planning_text(), stats.fraction) == ("1 of 2 series so far", None)
    stats.add(PlanFinished())
    assert stats.planning_text() == ""
