"""A month in place of its days: only a whole one, only a listed one, and only where nothing speaks against it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import (
    ArchiveObject,
    Candidate,
    Covered,
    DateRange,
    Market,
    Notice,
    Partition,
    Period,
    RemoteStat,
)
from crypto_archive.plan.availability import EARLIEST, periods, whole_months, within
from crypto_archive.plan.listed import LEAST_PAYLOAD_BYTES, SHORT_SHARE, ZIP_OVERHEAD_BYTES, consolidated
from tests.objects import Files, bundled, listed, not_a_word, row_of

if TYPE_CHECKING:
    from crypto_archive.catalog.matrix import Row

DAILY, MONTHLY = Partition.DAILY, Partition.MONTHLY
KLINES = row_of(Market.SPOT, "klines")
ROWS = tuple(row for row in bundled().rows if set(Partition) <= set(row.partitions))
DATES = st.none() | st.dates(date(2016, 1, 1), date(2027, 12, 31))
JUNE = date(2025, 6, 1)
THOUSAND = LEAST_PAYLOAD_BYTES + ZIP_OVERHEAD_BYTES
"""The least size of a daily object by which a month can be recognised as short."""


def a_day(day: date, size: int = THOUSAND, symbol: str = "BTCUSDT") -> Candidate:
    return Candidate(KLINES.object(symbol, "1h", Period(DAILY, day)), listed(size))


def a_month(month: date, size: int = 30 * THOUSAND, symbol: str = "BTCUSDT") -> Candidate:
    return Candidate(KLINES.object(symbol, "1h", Period(MONTHLY, month)), listed(size))


def days_of(month: date, count: int = 30, size: int = THOUSAND, symbol: str = "BTCUSDT") -> list[Candidate]:
    return [a_day(month + timedelta(days=number), size, symbol) for number in range(count)]


def chosen(months: list[Candidate], days: list[Candidate], *short: str) -> tuple[list[Candidate], list[str]]:
    said: list[Notice] = []
    found = list(consolidated(months, days, Files(short=short), said.append))
    return found, [notice.text for notice in said]


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


# Which of them are taken

MONTHS = [date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)]
SIZES = st.integers(0, 5000)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candidate], list[Candidate], set[str]]:
    """Months and days that are listed, of two symbols, and which of the months are known to be short."""
    months, days = [], []
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for month in MONTHS:
            if draw(st.booleans()):
                months.append(a_month(month, draw(st.integers(0, 50_000)), symbol))
            numbers = sorted(draw(st.sets(st.integers(0, 29), max_size=5)))
            days += [a_day(month + timedelta(days=number), draw(SIZES), symbol) for number in numbers]
    short = draw(st.sets(st.sampled_from([month.object.key for month in months]))) if months else set()
    return months, days, short


@given(world=worlds())
def test_every_listed_day_is_covered_once(world: tuple[list[Candidate], list[Candidate], set[str]]) -> None:
    months, days, short = world
    found, said = chosen(months, days, *short)
    taken = {item.object.key: item for item in found}
    assert len(taken) == len(found)
    assert set(taken) <= {item.object.key for item in (*months, *days)}
    covering = Counter(in_month(item.object) for item in found if item.object.period.partition is MONTHLY)
    for day in days:
        assert (day.object.key in taken) + covering[in_month(day.object)] == 1
    with_days = {in_month(day.object) for day in days}
    for month in months:
        own = [day.remote.size for day in days if in_month(day.object) == in_month(month.object) and day.remote]
        if month.object.key in taken:
            assert month.object.key not in short or not own
            assert taken[month.object.key].covers == (Covered(len(own), sum(own)) if own else None)
        else:
            assert in_month(month.object) in with_days
    assert len(said) == len(months) - covering.total()
    order = [in_month(item.object) for item in found if in_month(item.object) in with_days]
    assert list(dict.fromkeys(order)) == list(dict.fromkeys(in_month(day.object) for day in days))


def in_month(item: ArchiveObject) -> tuple[str, date]:
    return item.series.symbol, item.period.first_day.replace(day=1)


def test_a_month_without_daily_objects_is_taken() -> None:
    months = [a_month(JUNE), a_month(date(2025, 7, 1))]
    assert chosen(months, days_of(JUNE)) == ([months[0]._replace(covers=Covered(30, 30 * THOUSAND)), months[1]], [])
    assert chosen(months, [], months[0].object.key) == (months, [])  # there is nothing else to take


def test_the_running_month_is_taken_day_by_day() -> None:
    july = days_of(date(2025, 7, 1), 15)
    found, said = chosen([a_month(JUNE)], [*days_of(JUNE), *july])
    assert ([item.object.key for item in found[1:]], said) == ([item.object.key for item in july], [])


@pytest.mark.parametrize("share", [0.1, SHORT_SHARE - 0.01, SHORT_SHARE + 0.01, 1.0, 1.2])
def test_a_month_with_too_few_bytes_is_not_trusted(share: float) -> None:
    month = a_month(JUNE, ZIP_OVERHEAD_BYTES + int(share * 30 * LEAST_PAYLOAD_BYTES))
    found, said = chosen([month], days_of(JUNE))
    if share > SHORT_SHARE:
        assert (len(found), said) == (1, [])
        return
    assert found == days_of(JUNE)
    assert month.remote is not None
    sizes = f"{month.remote.size:,} bytes where its days have 30,000"
    assert said == [
        f"spot klines BTCUSDT 1h 2025-06: the monthly object is too small, {sizes}; planning its daily objects"
    ]


def test_sizes_of_little_content_prove_nothing() -> None:
    """Thirty days of one row each pack into 30 zips of 250 bytes, and into one of 1.2 kB."""
    found, said = chosen([a_month(JUNE, 1200)], days_of(JUNE, size=250))
    assert ([item.covers for item in found], said) == ([Covered(30, 7500)], [])
    assert len(chosen([a_month(JUNE, 1)], days_of(JUNE, size=THOUSAND - 1))[0]) == 1


def test_a_month_that_is_known_to_be_short_is_not_taken_whatever_its_size() -> None:
    month = a_month(JUNE)
    found, said = chosen([month], days_of(JUNE), month.object.key)
    assert found == days_of(JUNE)
    what = "the monthly object is known to lack rows; planning its daily objects"
    assert said == [f"spot klines BTCUSDT 1h 2025-06: {what}"]


def test_what_is_known_to_be_short_is_asked_with_what_is_listed() -> None:
    month, asked = a_month(JUNE), list[tuple[str, RemoteStat]]()

    class Stored:
        def is_short(self, key: str, remote: RemoteStat) -> bool:
            asked.append((key, remote))
            return False

    list(consolidated([month], days_of(JUNE), Stored(), not_a_word))
    assert asked == [(month.object.key, month.remote)]
