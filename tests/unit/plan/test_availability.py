"""Why the archive lacks days of a series, judged by all that it lists of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.matrix import Row, Status
from crypto_archive.model import Absence, DateRange, Market, Partition, Series
from crypto_archive.plan.availability import (
    GAP_DAYS,
    DayCounts,
    ObjectDays,
    SeriesCoverage,
    SymbolHistory,
    answers,
    gaps_of,
    reuse_gaps,
    series_coverage,
    total,
)
from tests.objects import bundled, row_of

TODAY = date(2025, 7, 20)
KLINES = row_of(Market.SPOT, "klines")
FUNDING = row_of(Market.FUTURES_UM, "fundingRate")
TICKER = row_of(Market.FUTURES_UM, "bookTicker")
NOTHING = ObjectDays()
SERIES = Series(Market.SPOT, "klines", "BTCUSDT", "1d")


def days(first: str, last: str) -> Days:
    return dayset.span(date.fromisoformat(first), date.fromisoformat(last))


def covered(
    listed: ObjectDays,
    stored: ObjectDays = NOTHING,
    *,
    dates: DateRange | None = None,
    row: Row = KLINES,
    today: date = TODAY,
    ending: Absence = Absence.LATE,
) -> SeriesCoverage:
    interval = "1d" if row.has_intervals else None
    series = Series(row.market, row.data_type, "BTCUSDT", interval)
    return series_coverage(series, row, listed, stored, dates or DateRange(date(2025, 5, 1)), today, ending=ending)


def reasons(coverage: SeriesCoverage) -> dict[str, list[tuple[str, str]]]:
    return {
        str(reason): [(str(run.start), str(run.end)) for run in dayset.runs(lacking)]
        for reason, lacking in coverage.missing.items()
    }


def test_a_series_that_goes_on() -> None:
    listed = ObjectDays(daily=Days(days("2025-06-03", "2025-07-17") & ~days("2025-06-10", "2025-06-11")))
    coverage = covered(listed, ObjectDays(daily=days("2025-06-03", "2025-06-05")))
    assert reasons(coverage) == {
        "not-yet": [("2025-07-18", "2025-07-19")],
        "before-first": [("2025-05-01", "2025-06-02")],
        "hole": [("2025-06-10", "2025-06-11")],
    }
    assert (coverage.first_day, coverage.last_day) == (date(2025, 6, 3), date(2025, 7, 17))
    assert dayset.count(coverage.to_fetch) == 45 - 2 - 3


def test_days_later_than_usual_are_late_while_the_symbol_lives() -> None:
    listed = ObjectDays(daily=days("2025-05-01", "2025-07-10"))
    assert reasons(covered(listed)) == {
        "not-yet": [("2025-07-18", "2025-07-19")],
        "late": [("2025-07-11", "2025-07-17")],
    }
    assert reasons(covered(listed, ending=Absence.DELISTED)) == {"delisted": [("2025-07-11", "2025-07-19")]}
    on_time = ObjectDays(daily=days("2025-05-01", "2025-07-17"))
    assert reasons(covered(on_time, ending=Absence.DELISTED)) == {"not-yet": [("2025-07-18", "2025-07-19")]}


def test_a_recent_gap_may_still_close() -> None:
    listed = ObjectDays(daily=Days(days("2025-05-01", "2025-07-19") & ~days("2025-07-18", "2025-07-18")))
    assert reasons(covered(listed)) == {"not-yet": [("2025-07-18", "2025-07-18")]}


def test_a_series_that_the_archive_does_not_have() -> None:
    coverage = covered(NOTHING, dates=DateRange(date(2017, 8, 1)))
    assert reasons(coverage) == {
        "before-first": [("2017-08-01", "2017-08-16")],
        "never-published": [("2017-08-17", "2025-07-19")],
    }
    assert coverage.first_day is coverage.last_day is None


def test_an_open_start_is_the_first_day_of_the_row() -> None:
    coverage = covered(NOTHING, dates=DateRange())
    assert dayset.first(coverage.wanted) == KLINES.first_date
    assert dayset.last(coverage.wanted) == date(2025, 7, 19)
    assert dayset.last(covered(NOTHING, dates=DateRange(end=TODAY)).wanted) == date(2025, 7, 19)


def test_a_type_that_is_published_no_more() -> None:
    listed = ObjectDays(daily=days("2024-02-01", "2024-03-10"))
    coverage = covered(listed, row=TICKER, dates=DateRange(date(2024, 2, 1), date(2024, 4, 30)))
    assert reasons(coverage) == {"discontinued": [("2024-03-11", "2024-04-30")]}
    ended = replace(TICKER, status=Status.ACTIVE)
    dates = DateRange(date(2024, 2, 1), date(2024, 4, 30))
    coverage = covered(listed, row=ended, dates=dates, ending=Absence.DELISTED)
    assert reasons(coverage) == {
        "delisted": [("2024-03-11", "2024-03-30")],
        "discontinued": [("2024-03-31", "2024-04-30")],
    }


@pytest.mark.parametrize(
    ("name", "market", "reason"),
    [("bookDepth", Market.SPOT, "never-published"), ("liquidationSnapshot", Market.FUTURES_UM, "discontinued")],
)
def test_a_row_that_the_archive_does_not_have(name: str, market: Market, reason: str) -> None:
    row = bundled().row(market, name)
    assert row is not None
    stored = ObjectDays(daily=days("2025-05-03", "2025-05-04"))
    coverage = covered(NOTHING, stored, row=row)
    assert list(coverage.missing) == [reason]
    assert dayset.count(coverage.stored) == 2


def test_months_are_awaited_longer() -> None:
    listed = ObjectDays(monthly=days("2025-03-01", "2025-05-31"))
    on_time = covered(listed, row=FUNDING, today=date(2025, 7, 16))  # the end of June and 16 days
    assert reasons(on_time) == {"not-yet": [("2025-06-01", "2025-07-15")]}
    late = covered(listed, row=FUNDING, today=date(2025, 7, 17))
    assert reasons(late) == {"not-yet": [("2025-07-01", "2025-07-16")], "late": [("2025-06-01", "2025-06-30")]}


def test_a_monthly_object_counts_for_its_month() -> None:
    listed = ObjectDays(daily=days("2025-07-01", "2025-07-17"), monthly=days("2025-06-01", "2025-06-30"))
    coverage = covered(listed, ObjectDays(monthly=days("2025-06-01", "2025-06-30")))
    assert coverage.first_day == date(2025, 6, 1)
    assert dayset.count(coverage.stored) == 30
    assert dayset.count(coverage.to_fetch) == 17


def test_a_monthly_object_fills_a_hole_of_the_daily_ones() -> None:
    daily = Days(days("2025-02-10", "2025-04-20") & ~days("2025-03-01", "2025-03-09"))
    assert "hole" in reasons(covered(ObjectDays(daily=daily), dates=DateRange(date(2025, 2, 1))))
    monthly = days("2025-02-01", "2025-04-30")
    assert "hole" not in reasons(covered(ObjectDays(daily, monthly), dates=DateRange(date(2025, 2, 1))))


def test_what_the_archive_no_longer_lists_is_still_on_disk() -> None:
    coverage = covered(NOTHING, ObjectDays(daily=days("2025-06-01", "2025-06-10")), dates=DateRange(date(2025, 6, 1)))
    assert dayset.count(coverage.only_stored) == 10
    assert reasons(coverage) == {"delisted": [("2025-06-11", "2025-07-19")]}


SPANS = st.tuples(st.dates(date(2017, 6, 1), date(2018, 4, 30)), st.integers(0, 90)).map(
    lambda pair: dayset.span(pair[0], pair[0] + timedelta(days=pair[1]))
)
SETS = st.lists(SPANS, max_size=4).map(lambda spans: Days(sum_of(spans)))


def sum_of(spans: list[Days]) -> int:
    days = 0
    for one in spans:
        days |= one
    return days


def whole_of(some: Days) -> Days:
    return Days(sum_of([all_days for month, all_days in dayset.months(some) if all_days & some]))


NEVER = bundled().row(Market.SPOT, "bookDepth")
assert NEVER is not None
ROWS = st.builds(
    replace,
    st.sampled_from([KLINES, FUNDING, TICKER, NEVER]),
    first_date=st.sampled_from([None, date(2017, 8, 17)]),
    last_date=st.sampled_from([None, date(2018, 2, 10)]),
)
OBJECTS = st.builds(
    lambda daily, monthly, some: ObjectDays(daily, monthly, Days(monthly & some)), SETS, SETS.map(whole_of), SETS
)


@settings(max_examples=150)
@given(
    ROWS,
    OBJECTS,
    OBJECTS,
    st.dates(date(2017, 6, 1), date(2017, 12, 31)),
    st.integers(0, 300),
    st.dates(date(2017, 12, 1), date(2018, 7, 1)),
)
def test_every_wanted_day_is_there_or_has_exactly_one_reason(
    row: Row, listed: ObjectDays, stored: ObjectDays, start: date, length: int, today: date
) -> None:
    wanted = DateRange(start, start + timedelta(days=length))
    coverage = covered(listed, stored, dates=wanted, row=row, today=today)
    assert coverage.stored & coverage.unopened == 0
    there = coverage.stored | coverage.unopened | coverage.listed
    assert there & ~coverage.wanted == 0
    lacking = sum_of(list(coverage.missing.values()))
    assert there & lacking == 0
    assert there | lacking == coverage.wanted
    assert sum(map(dayset.count, coverage.missing.values())) == lacking.bit_count()
    assert all(coverage.missing.values())
    counts = [one for _, one in coverage.months()]
    assert sum(one.days for one in counts) == dayset.count(coverage.wanted)
    for one in counts:
        assert one.days == one.stored + one.unopened + one.to_fetch + sum(one.missing.values())
        assert one.listed - one.to_fetch <= one.stored + one.unopened
    whole = coverage.counts()
    assert whole.days == whole.stored + whole.unopened + whole.to_fetch + sum(whole.missing.values())


PARTITIONS = st.sets(st.sampled_from(Partition), min_size=1).map(frozenset)


@settings(max_examples=200)
@given(ROWS, OBJECTS, SETS, st.dates(date(2017, 12, 1), date(2018, 7, 1)), PARTITIONS, st.booleans())
def test_answers_partition_the_wanted_days(
    row: Row, there: ObjectDays, wanted: Days, today: date, partitions: frozenset[Partition], lives: bool
) -> None:
    ending = Absence.LATE if lives else Absence.DELISTED
    series = Series(row.market, row.data_type, "BTCUSDT", "1d" if row.has_intervals else None)
    found = answers(series, row, wanted, there, today, ending=ending, partitions=partitions)
    lacking = sum_of(list(found.absent.values()))
    assert found.available & lacking == 0
    assert found.available | lacking == wanted
    assert sum(map(dayset.count, found.absent.values())) == lacking.bit_count()
    assert found.daily == (wanted & there.daily if Partition.DAILY in partitions else 0)
    assert found.unopened & ~found.monthly == 0
    if Partition.MONTHLY in partitions:
        assert Absence.MONTHLY_ONLY not in found.absent
    assert (Absence.DELISTED if lives else Absence.LATE) not in found.absent
    days = Days(dayset.enclosed(wanted))
    summed = answers(series, row, days, there, today, ending=ending, partitions=partitions).summed()
    if summed is None:
        assert not wanted
    else:
        assert summed.wanted == dayset.count(days) == summed.available + sum(one.count for one in summed.absent)
        assert list(summed.absent) == sorted(summed.absent, key=lambda one: one.first)


def test_days_that_only_a_month_has_are_had_by_it_or_said() -> None:
    there = ObjectDays(days("2021-03-01", "2021-03-31"), days("2021-01-01", "2021-03-31"))
    wanted = days("2021-01-15", "2021-03-10")
    assert answers(SERIES, KLINES, wanted, there, TODAY).absent == {}
    strict = answers(SERIES, KLINES, wanted, there, TODAY, partitions={Partition.DAILY})
    assert strict.absent == {Absence.MONTHLY_ONLY: days("2021-01-15", "2021-02-28")}


def test_absences_of_a_document_are_in_their_order() -> None:
    listed = ObjectDays(daily=Days(days("2025-06-03", "2025-07-17") & ~days("2025-06-10", "2025-06-11")))
    assert list(covered(listed).missing) == [Absence.NOT_YET, Absence.HOLE, Absence.BEFORE_FIRST]


JANUARY = dayset.span(date(2025, 1, 1), date(2025, 1, 31))


def test_a_history_has_its_ends() -> None:
    one = SymbolHistory(SERIES, days("2021-01-05", "2021-03-01"))
    assert (one.first_day, one.last_day, one.gaps) == (date(2021, 1, 5), date(2021, 3, 1), ())


LUNA = (("2022-04-01", "2022-05-13"), ("2022-05-31", "2022-06-30"))
"""Seventeen days without data in a month whose monthly object exists."""
COCOS = (("2023-01-01", "2023-01-18"), ("2023-01-22", "2023-02-28"))


@pytest.mark.parametrize(
    ("lives", "gap"), [(LUNA, ("2022-05-14", "2022-05-30")), (COCOS, ("2023-01-19", "2023-01-21"))]
)
def test_a_gap_that_the_daily_objects_show_hints_at_a_reused_name(
    lives: tuple[tuple[str, str], ...], gap: tuple[str, str]
) -> None:
    daily = Days(sum_of([days(*life) for life in lives]))
    there = ObjectDays(daily, whole_of(daily), Days(whole_of(daily) & ~daily))
    found = reuse_gaps(gaps_of(there))
    assert [(str(one.start), str(one.end)) for one in found] == [gap]
    assert reuse_gaps(gaps_of(there), days(*gap)) == ()  # an outage that the other symbols share


def test_neither_a_short_hole_nor_a_month_without_daily_objects_is_a_gap() -> None:
    hole = Days(days("2021-01-01", "2021-03-31") & ~days("2021-02-03", "2021-02-04"))
    assert GAP_DAYS == 3
    assert reuse_gaps(gaps_of(ObjectDays(hole))) == ()
    daily = Days(days("2021-01-01", "2021-01-31") | days("2021-03-01", "2021-03-31"))
    assert gaps_of(ObjectDays(daily, days("2021-02-01", "2021-02-28"))) == 0


def test_a_month_is_counted_by_itself() -> None:
    stored = dayset.span(date(2025, 1, 20), date(2025, 1, 31))
    listed = dayset.span(date(2025, 1, 22), date(2025, 2, 3))
    hole = dayset.span(date(2025, 2, 4), date(2025, 2, 5))
    wanted = Days(stored | listed | hole)
    one = SeriesCoverage(SERIES, wanted, stored, dayset.NONE, listed, {Absence.HOLE: hole})
    assert [(str(month), counts) for month, counts in one.months()] == [
        ("2025-01", DayCounts(12, 12, 10)),
        ("2025-02", DayCounts(5, 0, 3, 3, {Absence.HOLE: 2})),
    ]
    assert one.counts() == DayCounts(17, 12, 13, 3, {Absence.HOLE: 2})
    assert dayset.count(one.only_stored) == 2
    assert one.counts().available == 15
    assert one.counts().share == 12 / 15
    assert one.within(JANUARY).share == 1
    assert DayCounts(3, missing={Absence.HOLE: 3}).share is None


COUNTS = st.builds(
    DayCounts,
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(Absence), st.integers(1, 9)),
    st.integers(0, 99),
)


@given(st.lists(COUNTS))
def test_a_total_is_the_sum_of_each(counts: list[DayCounts]) -> None:
    whole = total(counts)
    for name in ("days", "stored", "listed", "to_fetch", "unopened"):
        assert getattr(whole, name) == sum(getattr(one, name) for one in counts)
    for reason in Absence:
        assert whole.missing.get(reason, 0) == sum(one.missing.get(reason, 0) for one in counts)
    assert list(whole.missing) == [reason for reason in Absence if reason in whole.missing]
