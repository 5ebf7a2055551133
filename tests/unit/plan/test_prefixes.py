"""What is listed: all that is wanted, nothing twice, and with the fewest requests."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import islice, pairwise
from math import ceil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog.matrix import Status
from crypto_archive.model import SIDECAR_SUFFIX, DateRange, Market, Partition
from crypto_archive.plan.availability import EARLIEST, periods, within
from crypto_archive.plan.prefixes import (
    FEWEST_REQUESTS_AT_ONCE,
    MOST_REQUESTS_AT_ONCE,
    PREFIXES_AT_ONCE,
    Scope,
    Span,
    chunked,
    scopes,
    span_of,
)
from crypto_archive.plan.selection import SeriesGroup
from tests.objects import bundled, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crypto_archive.catalog.matrix import Row

TODAY = date(2026, 11, 20)
DAILY, MONTHLY = Partition.DAILY, Partition.MONTHLY
SYMBOLS = ("BTCUSDT", "BTCUSDT_260925", "币安人生USDT")
ROWS = tuple(row for row in bundled().rows if row.status not in {Status.NEVER_PUBLISHED, Status.REMOVED})
DATES = st.none() | st.dates(date(2016, 1, 1), date(2027, 12, 31))


@st.composite
def groups(draw: st.DrawFn) -> SeriesGroup:
    """Series of any row, of one partition or, where the row has those, of both."""
    row = draw(st.sampled_from(ROWS))
    partition = draw(st.sampled_from(sorted(row.partitions)))
    intervals: tuple[str | None, ...] = (None,)
    if row.has_intervals:
        known = sorted(row.intervals(partition))
        intervals = tuple(draw(st.lists(st.sampled_from(known), min_size=1, unique=True)))
    dates = within(row, DateRange(draw(DATES), draw(DATES)))
    symbols = tuple(draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True)))
    both = partition is DAILY and MONTHLY in row.partitions and draw(st.booleans())
    return SeriesGroup(row, partition, symbols, intervals, dates, consolidates=both)


def spans_of(group: SeriesGroup) -> dict[Partition, Span]:
    partitions = (MONTHLY, DAILY) if group.consolidates else (group.partition,)
    return {one: span for one in partitions if (span := span_of(group, one, TODAY)) is not None}


def keys_of(row: Row, partition: Partition, symbol: str, interval: str | None, dates: DateRange) -> set[str]:
    """All keys that a series can have in a span, those with a month of one digit too."""
    found = set()
    for period in periods(partition, dates, TODAY):
        key = row.object(symbol, interval, period).key
        found |= {key, key + SIDECAR_SUFFIX}
        if partition is MONTHLY:
            found.add(key.replace(f"{period}.zip", f"{period.first_day.year}-{period.first_day.month}.zip"))
    return found


def ways(group: SeriesGroup, spans: Mapping[Partition, Span], folders: int | None) -> tuple[list[Scope], set[str]]:
    """The scopes of a group, and by what they list: series, symbol or type."""
    found = list(scopes(group, spans, group.symbols, folders))
    prefixes = [prefix for scope in found for some in scope.prefixes.values() for prefix in some]
    types = {group.row.key_pattern.symbols_prefix(partition) for partition in spans}
    return found, {"type" if one in types else "symbol" if one.endswith("/") else "series" for one in prefixes}


@given(group=groups(), folders=st.none() | st.integers(1, 4000))
def test_all_that_is_wanted_is_listed_once(group: SeriesGroup, folders: int | None) -> None:
    spans = spans_of(group)
    found, _ = ways(group, spans, folders)
    members = Counter(member for scope in found for member in scope.members)
    assert members == Counter((symbol, interval) for symbol in group.symbols for interval in group.intervals)
    for scope in found:
        assert list(scope.prefixes) == list(spans)
        for partition, prefixes in scope.prefixes.items():
            assert not any(one.startswith(other) for one in prefixes for other in prefixes if one is not other)
            for symbol, interval in scope.members:
                for key in keys_of(group.row, partition, symbol, interval, group.dates):
                    assert sum(map(key.startswith, prefixes)) == 1, key
    assert not set(spans) or found


def requests_of_a_full_bucket(group: SeriesGroup, partition: Partition, prefixes: Iterable[str], folders: int) -> int:
    """What a listing takes where every symbol has every interval on every day that the row is published."""
    row = group.row
    whole = DateRange(row.first_date or EARLIEST, row.last_date)
    dates = [str(period) for period in periods(partition, whole, TODAY)]
    of_symbol = len(dates) * max(1, len(row.intervals(partition)))
    requests = 0
    for prefix in prefixes:
        rest = prefix.removeprefix(row.key_pattern.symbols_prefix(partition))
        if not rest:
            objects = folders * of_symbol
        elif rest.endswith("/"):
            objects = of_symbol
        else:
            symbol, _, name = rest.partition("/")
            interval = name.partition("/")[0] if row.has_intervals else None
            start = prefix.removeprefix(row.key_pattern.series_prefix(partition, symbol, interval))
            objects = sum(date.startswith(start) for date in dates)
        requests += max(1, ceil(2 * objects / 1000))
    return requests


@given(group=groups(), folders=st.none() | st.integers(1, 4000))
def test_no_other_way_takes_fewer_requests(group: SeriesGroup, folders: int | None) -> None:
    spans, pattern = spans_of(group), group.row.key_pattern
    found, _ = ways(group, spans, folders)

    def cost(partition: Partition, prefixes: Iterable[str]) -> int:
        return requests_of_a_full_bucket(group, partition, prefixes, folders or 0)

    taken = sum(cost(partition, prefixes) for scope in found for partition, prefixes in scope.prefixes.items())
    assert taken <= sum(scope.requests for scope in found)
    members = [(symbol, interval) for symbol in group.symbols for interval in group.intervals]

    def by_series(one: Partition, dates: Iterable[str]) -> list[str]:
        return [pattern.series_prefix(one, *member) + date for member in members for date in dates]

    def years(span: Span) -> list[str]:
        return [str(year) for year in range(span.first.first_day.year, span.last.first_day.year + 1)]

    # All of each series; a year after the other of each; each symbol's folder; the folder of the type.
    others = [
        sum(cost(one, by_series(one, [""])) for one in spans),
        sum(cost(one, by_series(one, years(span))) for one, span in spans.items()),
    ]
    if group.row.has_intervals:
        others.append(sum(cost(one, [pattern.symbols_prefix(one) + f"{s}/" for s in group.symbols]) for one in spans))
    if folders is not None and len(spans) == 1:
        others.append(sum(cost(one, [pattern.symbols_prefix(one)]) for one in spans))
    assert all(taken <= other for other in others)


def a_group(
    market: Market,
    data_type: str,
    symbols: Iterable[str],
    dates: DateRange,
    *,
    intervals: tuple[str | None, ...] = (None,),
    partition: Partition = DAILY,
) -> SeriesGroup:
    row = row_of(market, data_type)
    return SeriesGroup(row, partition, tuple(symbols), intervals, within(row, dates))


def test_a_month_of_a_thousand_symbols_is_cheapest_as_the_folder_of_the_type() -> None:
    names = [f"S{number}USDT" for number in range(1000)]
    group = a_group(Market.FUTURES_UM, "fundingRate", names, DateRange(), partition=MONTHLY)
    [scope], how = ways(group, spans_of(group), 1000)
    assert how == {"type"}
    assert scope.prefixes == {MONTHLY: ("data/futures/um/monthly/fundingRate/",)}
    assert len(scope.members) == 1000
    months = 12 * (2026 - 2020) + 10  # up to the last one that is over
    assert scope.requests == ceil(2 * 1000 * months / 1000)
    assert ways(group, spans_of(group), None)[1] == {"series"}  # nobody knows how many there are


def test_few_symbols_of_many_are_not_worth_the_folder_of_the_type() -> None:
    group = a_group(Market.FUTURES_UM, "fundingRate", SYMBOLS, DateRange(), partition=MONTHLY)
    found, how = ways(group, spans_of(group), 1000)
    assert (len(found), how) == (3, {"series"})


def test_all_intervals_of_a_symbol_over_years_are_cheapest_as_its_folder() -> None:
    intervals = row_of(Market.SPOT, "klines").intervals(MONTHLY)
    assert len(intervals) == 16
    group = a_group(Market.SPOT, "klines", ["BTCUSDT"], DateRange(), intervals=intervals, partition=MONTHLY)
    [scope], how = ways(group, spans_of(group), None)
    assert (scope.prefixes, how) == ({MONTHLY: ("data/spot/monthly/klines/BTCUSDT/",)}, {"symbol"})
    assert scope.members == tuple(("BTCUSDT", interval) for interval in intervals)
    assert scope.requests == ceil(2 * 16 * (12 * 9 + 3) / 1000)


def test_a_week_of_many_symbols_is_cheapest_series_by_series() -> None:
    names = [f"S{number}USDT" for number in range(300)]
    week = DateRange(date(2026, 11, 10), date(2026, 11, 16))
    group = a_group(Market.SPOT, "klines", names, week, intervals=("1h",))
    found, how = ways(group, spans_of(group), 3600)
    assert (len(found), how, sum(scope.requests for scope in found)) == (300, {"series"}, 300)
    assert found[0].prefixes == {DAILY: ("data/spot/daily/klines/S0USDT/1h/S0USDT-1h-2026-11-",)}


@pytest.mark.parametrize(
    ("partition", "first", "last", "dates", "requests"),
    [
        (DAILY, date(2025, 12, 30), date(2026, 1, 2), ("2025-12-", "2026-01-"), 2),
        (DAILY, date(2025, 12, 31), date(2026, 1, 1), ("2025-12-", "2026-01-"), 2),
        (DAILY, date(2025, 2, 3), date(2026, 3, 4), ("2025-", "2026-0"), 2),
        (DAILY, date(2019, 12, 31), date(2020, 1, 1), ("2019-12-", "2020-01-"), 2),
        (DAILY, date(2018, 3, 1), date(2026, 3, 4), ("20",), 7),
        (DAILY, date(2021, 1, 1), date(2026, 1, 1), ("202",), 6),  # six years would cost the same, and be more to ask
        (MONTHLY, date(2025, 12, 1), date(2026, 1, 31), ("",), 1),
        (MONTHLY, date(2019, 12, 1), date(2020, 1, 31), ("",), 1),
        (MONTHLY, date(2025, 1, 1), date(2025, 1, 31), ("",), 1),
    ],
    ids=str,
)
def test_dates_of_more_than_one_year(
    partition: Partition, first: date, last: date, dates: tuple[str, ...], requests: int
) -> None:
    group = a_group(Market.SPOT, "klines", ["BTCUSDT"], DateRange(first, last), intervals=("1h",), partition=partition)
    span = spans_of(group)[partition]
    assert (span.dates, span.requests) == (dates, requests)


def test_nothing_is_listed_where_no_day_is_over_or_no_symbol_is_wanted() -> None:
    tomorrow = DateRange(TODAY + timedelta(days=1), None)
    assert span_of(a_group(Market.SPOT, "klines", ["X"], tomorrow, intervals=("1h",)), DAILY, TODAY) is None
    group = a_group(Market.SPOT, "klines", [], DateRange(), intervals=("1h",))
    assert ways(group, spans_of(group), 3600) == ([], set())


def a_scope(prefixes: int, requests: int) -> Scope:
    return Scope((("X", None),), {DAILY: tuple(map(str, range(prefixes)))}, requests)


@given(st.lists(st.builds(a_scope, st.integers(1, 120), st.integers(1, 500)), max_size=60))
def test_chunks_are_as_large_as_they_may_be(found: list[Scope]) -> None:
    chunks = list(chunked(found))
    assert [scope for chunk in chunks for scope in chunk] == found

    def fits(chunk: Iterable[Scope], number: int) -> bool:
        several = tuple(chunk)
        prefixes = sum(len(scope.prefixes[DAILY]) for scope in several)
        most = min(MOST_REQUESTS_AT_ONCE, FEWEST_REQUESTS_AT_ONCE * 2**number)
        return prefixes <= PREFIXES_AT_ONCE and sum(scope.requests for scope in several) <= most

    assert all(fits(chunk, number) or len(chunk) == 1 for number, chunk in enumerate(chunks))
    assert not any(fits((*one, other[0]), number) for number, (one, other) in enumerate(pairwise(chunks)))


def test_chunks_are_made_as_they_are_asked_for() -> None:
    def endless() -> Iterable[Scope]:
        while True:
            yield a_scope(1, 1)

    assert [len(chunk) for chunk in islice(chunked(endless()), 5)] == [16, 32, 64, 100, 100]
