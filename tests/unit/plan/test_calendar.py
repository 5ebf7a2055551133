"""Which days and months a span covers, and why the archive does not have an object."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Absence, ArchiveObject, DateRange, Market, Partition, Period, Series
from crypto_archive.plan.availability import EARLIEST, PUBLICATION_DELAY, absence, periods, within
from tests.objects import row_of

DAILY, MONTHLY = Partition.DAILY, Partition.MONTHLY
TODAY = date(2025, 7, 15)

DAYS = st.dates(date(2024, 1, 1), date(2025, 12, 31))
PARTITIONS = st.sampled_from(Partition)


def dates_of(partition: Partition, start: date | None, end: date | None, today: date = TODAY) -> list[str]:
    return [str(period) for period in periods(partition, DateRange(start, end), today)]


def test_days_with_both_ends() -> None:
    span = date(2025, 6, 29), date(2025, 7, 1)
    assert dates_of(DAILY, *span) == ["2025-06-29", "2025-06-30", "2025-07-01"]


def test_months_that_a_span_touches_with_a_single_day() -> None:
    assert dates_of(MONTHLY, date(2025, 2, 28), date(2025, 5, 1)) == ["2025-02", "2025-03", "2025-04", "2025-05"]


def test_months_across_a_new_year() -> None:
    assert dates_of(MONTHLY, date(2023, 12, 31), date(2024, 1, 1)) == ["2023-12", "2024-01"]


def test_a_leap_day_is_a_day() -> None:
    assert dates_of(DAILY, date(2024, 2, 28), date(2024, 3, 1)) == ["2024-02-28", "2024-02-29", "2024-03-01"]


@pytest.mark.parametrize("end", [None, TODAY - timedelta(days=1), TODAY, TODAY + timedelta(days=9)])
def test_the_last_day_is_yesterday(end: date | None) -> None:
    assert dates_of(DAILY, date(2025, 7, 13), end) == ["2025-07-13", "2025-07-14"]


@pytest.mark.parametrize("end", [None, TODAY, date(2026, 1, 1)])
def test_the_current_month_is_not_over(end: date | None) -> None:
    assert dates_of(MONTHLY, date(2025, 5, 20), end) == ["2025-05", "2025-06"]


def test_a_month_is_over_on_the_first_of_the_next() -> None:
    assert dates_of(MONTHLY, date(2025, 6, 1), None, today=date(2025, 6, 30)) == []
    assert dates_of(MONTHLY, date(2025, 6, 1), None, today=date(2025, 7, 1)) == ["2025-06"]


@pytest.mark.parametrize("start", [None, date(1970, 1, 1), EARLIEST])
def test_an_open_start_is_the_first_day_of_the_archive(start: date | None) -> None:
    first = next(periods(DAILY, DateRange(start, None), TODAY))
    assert first == Period(DAILY, date(2017, 1, 1))


@pytest.mark.parametrize("partition", Partition)
@pytest.mark.parametrize(
    "dates",
    [
        DateRange(TODAY, None),
        DateRange(date(2030, 1, 1), date(2030, 12, 31)),
        DateRange(None, date(2016, 12, 31)),
        DateRange(date(2025, 6, 2), date(2025, 5, 1)),
    ],
    ids=["from today", "future", "before the archive", "the wrong way round"],
)
def test_spans_without_any_period(partition: Partition, dates: DateRange) -> None:
    assert list(periods(partition, dates, TODAY)) == []


@given(partition=PARTITIONS, start=DAYS, length=st.integers(0, 400), today=DAYS)
def test_periods_are_over_follow_each_other_and_cover_the_span(
    partition: Partition, start: date, length: int, today: date
) -> None:
    end = start + timedelta(days=length)
    found = list(periods(partition, DateRange(start, end), today))
    assert all(one.next() == other for one, other in pairwise(found))
    assert all(period.first_day <= end and start <= period.last_day < today for period in found)
    days = (start + timedelta(days=number) for number in range(length + 1))
    whole = dict.fromkeys(Period.containing(day, partition) for day in days)
    assert found == [period for period in whole if period.last_day < today]


def test_periods_are_made_as_they_are_asked_for() -> None:
    centuries = periods(DAILY, DateRange(), date(9999, 1, 1))
    assert [str(period) for period in islice(centuries, 2)] == ["2017-01-01", "2017-01-02"]


@pytest.mark.parametrize(
    ("dates", "cut"),
    [
        (DateRange(), DateRange(date(2023, 5, 16), date(2024, 3, 30))),
        (DateRange(date(2020, 1, 1), date(2026, 1, 1)), DateRange(date(2023, 5, 16), date(2024, 3, 30))),
        (DateRange(date(2024, 1, 1), date(2024, 2, 1)), DateRange(date(2024, 1, 1), date(2024, 2, 1))),
        (DateRange(date(2024, 1, 1), None), DateRange(date(2024, 1, 1), date(2024, 3, 30))),
        (DateRange(None, date(2023, 6, 1)), DateRange(date(2023, 5, 16), date(2023, 6, 1))),
    ],
)
def test_a_span_is_cut_to_the_days_of_a_discontinued_row(dates: DateRange, cut: DateRange) -> None:
    assert within(row_of(Market.FUTURES_UM, "bookTicker"), dates) == cut


def test_a_row_that_goes_on_leaves_the_end_open() -> None:
    assert within(row_of(Market.SPOT, "klines"), DateRange()) == DateRange(date(2017, 8, 17), None)


def reason(market: Market, data_type: str, first_day: date, today: date, partition: Partition = DAILY) -> Absence:
    period = Period(partition, first_day)
    item = ArchiveObject("any key", Series(market, data_type, "BTCUSDT"), period)
    return absence(row_of(market, data_type), item, today)


@pytest.mark.parametrize(
    ("market", "data_type", "day", "why"),
    [
        (Market.SPOT, "bookDepth", date(2025, 1, 1), Absence.NEVER_PUBLISHED),
        (Market.FUTURES_UM, "liquidationSnapshot", date(2024, 1, 1), Absence.DISCONTINUED),
        (Market.SPOT, "klines", date(2017, 8, 16), Absence.BEFORE_FIRST),
        (Market.SPOT, "klines", date(2017, 8, 17), Absence.HOLE),
        (Market.FUTURES_UM, "bookTicker", date(2023, 5, 15), Absence.BEFORE_FIRST),
        (Market.FUTURES_UM, "bookTicker", date(2024, 3, 30), Absence.HOLE),
        (Market.FUTURES_UM, "bookTicker", date(2024, 3, 31), Absence.DISCONTINUED),
        (Market.OPTIONS, "EOHSummary", date(2023, 9, 8), Absence.HOLE),
        (Market.OPTIONS, "EOHSummary", date(2023, 10, 24), Absence.DISCONTINUED),
        (Market.SPOT, "klines", date(2025, 7, 10), Absence.HOLE),
        (Market.SPOT, "klines", date(2025, 7, 12), Absence.HOLE),
        (Market.SPOT, "klines", date(2025, 7, 13), Absence.NOT_YET),
        (Market.SPOT, "klines", date(2025, 7, 14), Absence.NOT_YET),
        (Market.SPOT, "klines", date(2025, 7, 20), Absence.NOT_YET),
    ],
)
def test_why_a_day_is_absent(market: Market, data_type: str, day: date, why: Absence) -> None:
    assert reason(market, data_type, day, TODAY) is why


@pytest.mark.parametrize(
    ("today", "why"),
    [(date(2025, 7, 1), Absence.NOT_YET), (date(2025, 7, 16), Absence.NOT_YET), (date(2025, 7, 17), Absence.HOLE)],
)
def test_a_month_may_come_until_the_middle_of_the_next(today: date, why: Absence) -> None:
    assert reason(Market.SPOT, "klines", date(2025, 6, 1), today, MONTHLY) is why


def test_a_month_in_which_a_row_begins_is_not_before_it() -> None:
    """The month has the first day in it, so that an object could be there."""
    assert reason(Market.SPOT, "klines", date(2017, 8, 1), TODAY, MONTHLY) is Absence.HOLE
    assert reason(Market.SPOT, "klines", date(2017, 7, 1), TODAY, MONTHLY) is Absence.BEFORE_FIRST


@given(day=DAYS, today=DAYS, partition=PARTITIONS)
def test_a_published_row_is_absent_for_its_age_or_a_hole(day: date, today: date, partition: Partition) -> None:
    period = Period.containing(day, partition)
    expected = Absence.NOT_YET if period.last_day + PUBLICATION_DELAY[partition] >= today else Absence.HOLE
    assert reason(Market.SPOT, "klines", period.first_day, today, partition) is expected
