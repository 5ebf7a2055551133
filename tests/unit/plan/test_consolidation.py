"""Months: which are wanted as a whole, and what is known of the days that one holds."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import NONE, Days
from crypto_archive.model import DateRange, Market, Partition, Period
from crypto_archive.plan.availability import (
    EARLIEST,
    TELLING_PAYLOAD_BYTES,
    ZIP_OVERHEAD_BYTES,
    MonthEvidence,
    month_answer,
    periods,
    whole_months,
    within,
)
from tests.objects import bundled, row_of

if TYPE_CHECKING:
    from crypto_archive.catalog.matrix import Row

MONTHLY = Partition.MONTHLY
KLINES = row_of(Market.SPOT, "klines")
ROWS = tuple(row for row in bundled().rows if set(Partition) <= set(row.partitions))
DATES = st.none() | st.dates(date(2016, 1, 1), date(2027, 12, 31))
JUNE = date(2025, 6, 1)


# Which months are whole


def is_published(row: Row, day: date) -> bool:
    return (row.first_date or EARLIEST) <= day and (row.last_date is None or day <= row.last_date)


@given(row=st.sampled_from(ROWS), start=DATES, end=DATES, today=st.dates(date(2020, 1, 1), date(2027, 1, 1)))
def test_a_month_is_whole_when_it_is_over_and_every_published_day_of_it_is_wanted(
    row: Row, start: date | None, end: date | None, today: date
) -> None:
    dates = within(row, DateRange(start, end))
    expected = []
    for month in periods(MONTHLY, DateRange(EARLIEST, today), today):
        days = (month.first_day + timedelta(days=number) for number in range(month.last_day.day))
        published = [day for day in days if is_published(row, day)]
        if published and (start is None or start <= published[0]) and (end is None or end >= published[-1]):
            expected.append(month)
    found = whole_months(row, dates, today)
    if start is not None and end is not None and start > end:
        return
    assert found == ((expected[0], expected[-1]) if expected else None)
    if found is not None:
        assert list(periods(MONTHLY, DateRange(found[0].first_day, found[1].first_day), today)) == expected


@pytest.mark.parametrize(
    ("start", "end", "today", "months"),
    [
        (date(2025, 6, 1), date(2025, 6, 30), date(2025, 7, 1), ("2025-06", "2025-06")),
        (date(2025, 6, 1), date(2025, 6, 30), date(2025, 6, 30), None),  # it is not over
        (date(2025, 6, 2), date(2025, 7, 30), date(2025, 9, 1), None),  # neither is wanted as a whole
        (date(2025, 6, 2), date(2025, 8, 1), date(2025, 9, 1), ("2025-07", "2025-07")),
        (date(2024, 2, 1), date(2024, 2, 28), date(2025, 9, 1), None),  # a leap year
        (date(2024, 12, 31), None, date(2025, 9, 1), ("2025-01", "2025-08")),
        (None, None, date(2025, 9, 20), ("2017-08", "2025-08")),  # the first day of the archive is no first of a month
    ],
)
def test_whole_months(start: date | None, end: date | None, today: date, months: tuple[str, str] | None) -> None:
    found = whole_months(KLINES, within(KLINES, DateRange(start, end)), today)
    assert (found and tuple(map(str, found))) == months


# What a monthly object holds, by what its days and its size tell

JUNE_DAYS = dayset.of_period(Period(MONTHLY, JUNE))


def first_days(count: int) -> Days:
    return dayset.span(JUNE, JUNE + timedelta(days=count - 1))


def evidence(days: int, payload: int, size: int, **known: Any) -> MonthEvidence:
    """A month with so many daily objects, of so many bytes of content each, and a monthly object of a size."""
    least = payload if days else 0
    return MonthEvidence(ZIP_OVERHEAD_BYTES + size, first_days(days) if days else NONE, days * payload, least, **known)


@pytest.mark.parametrize(
    ("known", "holds", "may_hold", "doubt"),
    [
        # Large days: a day more or less shows.
        (evidence(30, 1_000_000, 30_000_000), 30, 0, ""),
        (evidence(30, 1_000_000, 28_900_000), 0, 0, "sizes do not tell"),
        (evidence(15, 1_000_000, 15_000_000), 15, 0, ""),  # delisted in the middle of the month
        (evidence(15, 1_000_000, 30_000_000), 15, 15, ""),  # the other days exist as a month only
        # Small ones: only the rows tell, unless it is clearly too small.
        (evidence(30, 1500, 45_000), 0, 30, ""),
        (evidence(30, 1500, 43_000), 0, 30, ""),  # it may lack a day
        (evidence(30, 1500, 20_000), 0, 0, "too small"),
        (evidence(5, 110, 1800), 0, 30, ""),
        (evidence(5, 110, 400), 0, 5, ""),
        (evidence(30, 110, 400), 0, 30, ""),  # rows of many days pack better than those of one
        # Nothing speaks against a month without daily objects.
        (evidence(0, 0, 1200), 0, 30, ""),
        (evidence(0, 0, 1200, is_sole=True), 30, 0, ""),
        # Its rows have the last word.
        (evidence(30, 1500, 20_000, rows=first_days(7)), 7, 0, ""),
        (evidence(5, 110, 400, rows=first_days(30)), 30, 0, ""),
        (evidence(30, 1500, 45_000, lacks_rows=True), 0, 0, "known to lack rows"),
    ],
)
def test_what_a_month_holds(known: MonthEvidence, holds: int, may_hold: int, doubt: str) -> None:
    answer = month_answer(JUNE_DAYS, known)
    assert (dayset.count(answer.holds), dayset.count(answer.may_hold)) == (holds, may_hold)
    assert doubt in (answer.doubt or "")
    assert bool(answer.doubt) is bool(doubt)


@given(
    days=st.integers(0, 30), payload=st.integers(0, 200_000), size=st.integers(0, 10_000_000),
    rows=st.none() | st.integers(1, 30).map(first_days), short=st.booleans(), sole=st.booleans(),
)  # fmt: skip
def test_no_doubt_is_resolved_in_favour_of_a_month(
    days: int, payload: int, size: int, rows: Days | None, short: bool, sole: bool
) -> None:
    known = evidence(days, payload, size, rows=rows, lacks_rows=short, is_sole=sole)
    answer = month_answer(JUNE_DAYS, known)
    assert answer.holds & answer.may_hold == 0
    assert (answer.holds | answer.may_hold) & ~JUNE_DAYS == 0
    if rows is not None:
        assert (answer.holds, answer.may_hold) == (rows, NONE)
    elif not sole and answer.holds:
        assert answer.by_size
        assert payload >= TELLING_PAYLOAD_BYTES
