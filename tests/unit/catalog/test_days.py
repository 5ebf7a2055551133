"""Sets of days, held against Python's own sets."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import FIRST_DAY, Days
from crypto_archive.model import DateRange, Partition, Period
from crypto_archive.plan.availability import EARLIEST

DAYS = st.dates(FIRST_DAY, date(2019, 6, 30))
SETS = st.sets(DAYS, max_size=40)


def made(days: set[date]) -> Days:
    bits = 0
    for day in days:
        bits |= dayset.span(day, day)
    return Days(bits)


def taken_apart(days: Days) -> set[date]:
    found = set()
    for run in dayset.runs(days):
        assert run.start is not None
        assert run.end is not None
        found |= {run.start + timedelta(days=offset) for offset in range((run.end - run.start).days + 1)}
    return found


@given(SETS, SETS)
def test_a_set_is_what_was_put_in(one: set[date], other: set[date]) -> None:
    days = made(one)
    assert taken_apart(days) == one
    assert dayset.count(days) == len(one)
    assert (dayset.first(days), dayset.last(days)) == (min(one, default=None), max(one, default=None))
    assert taken_apart(Days(days & ~made(other))) == one - other


EVERY = st.dates(FIRST_DAY - timedelta(days=9), date(2019, 6, 30))


@given(st.lists(EVERY, max_size=40), EVERY)
def test_single_days_are_in_it_and_no_others(days: list[date], other: date) -> None:
    known = {day for day in days if day >= FIRST_DAY}
    assert dayset.of_days(days) == made(known)
    assert dayset.has(dayset.of_days(days), other) == (other in known)


@given(SETS)
def test_runs_are_as_long_as_they_can_be(days: set[date]) -> None:
    runs = list(dayset.runs(made(days)))
    for one, next_one in itertools.pairwise(runs):
        assert one.end is not None
        assert next_one.start is not None
        assert one.end + timedelta(days=1) < next_one.start


@given(DAYS, DAYS)
def test_a_span_has_both_ends(one: date, other: date) -> None:
    days = dayset.span(one, other)
    if other < one:
        assert days == dayset.NONE
    else:
        assert list(dayset.runs(days)) == [DateRange(one, other)]


@given(SETS.filter(bool))
def test_what_is_enclosed_has_no_gap(days: set[date]) -> None:
    assert list(dayset.runs(dayset.enclosed(made(days)))) == [DateRange(min(days), max(days))]
    assert dayset.enclosed(dayset.NONE) == dayset.NONE


@given(DAYS)
def test_what_is_before_a_day_ends_on_the_eve(day: date) -> None:
    days = dayset.before(day)
    assert dayset.count(days) == (day - FIRST_DAY).days
    assert dayset.last(days) == (None if day == FIRST_DAY else day - timedelta(days=1))


def test_days_before_the_first_are_cut_off() -> None:
    assert dayset.first(dayset.span(date(2015, 1, 1), date(2017, 1, 3))) == FIRST_DAY == EARLIEST
    assert dayset.span(date(2015, 1, 1), date(2016, 12, 31)) == dayset.NONE


def test_months_are_named_with_all_their_days() -> None:
    days = made({date(2019, 1, 31), date(2019, 3, 1)})
    months = dayset.months(days)
    assert [str(month) for month, _ in months] == ["2019-01", "2019-02", "2019-03"]
    assert [dayset.count(all_days) for _, all_days in months] == [31, 28, 31]
    assert dayset.of_period(Period(Partition.MONTHLY, date(2019, 2, 1))) == months[1][1]
    assert dayset.months(dayset.NONE) == ()
