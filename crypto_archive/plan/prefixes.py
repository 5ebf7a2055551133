"""Which prefixes to list, so that the fewest requests cover what is wanted.

A LIST request returns up to 1,000 keys in their order, and an object has two, its own and its sidecar's. So a prefix
may be a series, narrowed by what its dates have in common; a symbol, where many of its intervals are wanted; or the
folder of a whole type, where many symbols have few objects each. The cost of a prefix is computed from the dates
between which the archive publishes the row: no symbol can have more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, takewhile
from math import ceil
from operator import itemgetter
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import KEYS_A_REQUEST
from crypto_archive.model import DateRange, Partition, Period
from crypto_archive.plan.availability import EARLIEST, bounds, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.plan.selection import SeriesGroup

KEYS_AN_OBJECT = 2
PREFIXES_AT_ONCE = 100
FEWEST_REQUESTS_AT_ONCE = 16
MOST_REQUESTS_AT_ONCE = 400
"""How many prefixes, and about how many requests, are listed before the first of their objects are planned: few at
first, so that the lanes soon have work, then more and more, so that s5cmd is rarely started."""

Member = tuple[str, "str | None"]
"""Symbol and interval: a series within its group."""


@dataclass(frozen=True, slots=True)
class Span:
    """The wanted periods of one partition, and what listing them costs.

    Attributes:
        first: The first period.
        last: The last period.
        dates: Beginnings of dates that cover all of them, in their order.
        requests: The requests to list them for one series.
        objects: How many objects a series can have in all, wanted or not.
    """

    first: Period
    last: Period
    dates: tuple[str, ...]
    requests: int
    objects: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Series that are listed together.

    Attributes:
        members: The wanted series; its prefixes may match others too.
        prefixes: What to list, by partition.
        requests: About how many requests that takes.
    """

    members: tuple[Member, ...]
    prefixes: Mapping[Partition, tuple[str, ...]]
    requests: int


def span_of(group: SeriesGroup, partition: Partition, today: date) -> Span | None:
    """Return the wanted periods of a group in one partition; None where none of them is over."""
    wanted = bounds(partition, group.dates, today)
    if wanted is None:
        return None
    published = bounds(partition, within(group.row, DateRange()), today) or wanted
    begins, ends = published[0].first_day, published[1].last_day
    dates, requests = _date_prefixes(*wanted, begins, ends)
    return Span(*wanted, dates, requests, _count(partition, begins, ends))


def dates_between(row: Row, partition: Partition, first: date, last: date) -> tuple[str, ...]:
    """Return beginnings of dates that cover all periods from one day to another, for the fewest requests."""
    begin, end = Period.containing(first, partition), Period.containing(last, partition)
    return _date_prefixes(begin, end, row.first_date or EARLIEST, last)[0]


def scopes(
    group: SeriesGroup, spans: Mapping[Partition, Span], symbols: Sequence[str], folders: int | None
) -> Iterator[Scope]:
    """Yield what to list of a group, series in the order of the request, in the way that costs the fewest requests.

    Args:
        group: The series.
        spans: The wanted periods by partition; monthly before daily where both are wanted.
        symbols: The wanted symbols.
        folders: How many symbols the archive has of the type; None where it was not asked.
    """
    if not symbols:
        return
    by_series = len(symbols) * len(group.intervals) * sum(span.requests for span in spans.values())
    by_symbol = len(symbols) * _whole_symbol(group, spans) if group.row.has_intervals else by_series
    by_type = _whole_type(group, spans, folders) if folders is not None and len(spans) == 1 else by_series
    if by_type < min(by_series, by_symbol):
        yield _type_scope(group, spans, symbols, by_type)
    elif by_symbol < by_series:
        yield from (_symbol_scope(group, spans, symbol) for symbol in symbols)
    else:
        yield from (
            _series_scope(group, spans, (symbol, interval)) for symbol in symbols for interval in group.intervals
        )


def stored_scopes(
    row: Row, partition: Partition, stored: Mapping[Member, DateRange | None], today: date, folders: int | None = None
) -> list[Scope]:
    """Return what to list of a row to see certain objects of it, in the order of their keys, as cheaply as may be.

    Args:
        row: The row.
        partition: Daily or monthly objects.
        stored: The dates between which the objects of each series are; None where their keys spell them differently.
        today: The current UTC day.
        folders: How many symbols the archive has of the type; None where it was not asked.
    """
    published = bounds(partition, within(row, DateRange()), today)
    objects = _count(partition, published[0].first_day, published[1].last_day) if published else 0
    intervals = max(1, len(row.intervals(partition)))
    whole_symbol = _pages(intervals * objects)
    chosen: list[Scope] = []
    members = sorted(stored, key=lambda member: row.key_pattern.series_prefix(partition, *member))
    for symbol, some in groupby(members, key=itemgetter(0)):
        by_series = [_stored_scope(row, partition, member, stored[member], today, objects) for member in some]
        if row.has_intervals and whole_symbol < sum(scope.requests for scope in by_series):
            together = tuple(member for scope in by_series for member in scope.members)
            folder = f"{row.key_pattern.symbols_prefix(partition)}{symbol}/"
            chosen.append(Scope(together, {partition: (folder,)}, whole_symbol))
        else:
            chosen += by_series
    whole_type = _pages((folders or 0) * intervals * objects)
    if folders is not None and whole_type < sum(scope.requests for scope in chosen):
        return [Scope(tuple(members), {partition: (row.key_pattern.symbols_prefix(partition),)}, whole_type)]
    return chosen


def _stored_scope(
    row: Row, partition: Partition, member: Member, dates: DateRange | None, today: date, objects: int
) -> Scope:
    prefix = row.key_pattern.series_prefix(partition, *member)
    wanted = bounds(partition, dates, today) if dates is not None else None
    published = bounds(partition, within(row, DateRange()), today)
    if wanted is None or published is None:
        return Scope((member,), {partition: (prefix,)}, _pages(objects))
    beginnings, requests = _date_prefixes(*wanted, published[0].first_day, published[1].last_day)
    return Scope((member,), {partition: tuple(prefix + beginning for beginning in beginnings)}, requests)


def chunked(all_scopes: Iterable[Scope]) -> Iterator[tuple[Scope, ...]]:
    """Yield scopes in chunks that are listed together; the first is small."""
    chunk: list[Scope] = []
    prefixes, requests, most = 0, 0, FEWEST_REQUESTS_AT_ONCE
    for scope in all_scopes:
        more = sum(map(len, scope.prefixes.values()))
        if chunk and (prefixes + more > PREFIXES_AT_ONCE or requests + scope.requests > most):
            yield tuple(chunk)
            chunk, prefixes, requests, most = [], 0, 0, min(2 * most, MOST_REQUESTS_AT_ONCE)
        chunk.append(scope)
        prefixes, requests = prefixes + more, requests + scope.requests
    if chunk:
        yield tuple(chunk)


def _series_scope(group: SeriesGroup, spans: Mapping[Partition, Span], member: Member) -> Scope:
    prefixes = {
        partition: tuple(group.row.key_pattern.series_prefix(partition, *member) + date for date in span.dates)
        for partition, span in spans.items()
    }
    return Scope((member,), prefixes, sum(span.requests for span in spans.values()))


def _symbol_scope(group: SeriesGroup, spans: Mapping[Partition, Span], symbol: str) -> Scope:
    folders = {partition: (f"{group.row.key_pattern.symbols_prefix(partition)}{symbol}/",) for partition in spans}
    return Scope(tuple((symbol, interval) for interval in group.intervals), folders, _whole_symbol(group, spans))


def _type_scope(group: SeriesGroup, spans: Mapping[Partition, Span], symbols: Sequence[str], requests: int) -> Scope:
    members = tuple((symbol, interval) for symbol in symbols for interval in group.intervals)
    return Scope(members, {part: (group.row.key_pattern.symbols_prefix(part),) for part in spans}, requests)


def _whole_symbol(group: SeriesGroup, spans: Mapping[Partition, Span]) -> int:
    return sum(_pages(_intervals(group, partition) * span.objects) for partition, span in spans.items())


def _whole_type(group: SeriesGroup, spans: Mapping[Partition, Span], folders: int) -> int:
    return sum(_pages(folders * _intervals(group, partition) * span.objects) for partition, span in spans.items())


def _intervals(group: SeriesGroup, partition: Partition) -> int:
    """Return how many intervals a symbol has in the archive, wanted or not; 1 where there is no interval layer."""
    return max(1, len(group.row.intervals(partition)))


def _pages(objects: int) -> int:
    return max(1, ceil(objects * KEYS_AN_OBJECT / KEYS_A_REQUEST))


def _date_prefixes(first: Period, last: Period, begins: date, ends: date) -> tuple[tuple[str, ...], int]:
    """Return beginnings of dates that cover all periods between two, and how many requests they cost.

    One beginning for all, unless that lists so many other years too that one a year costs less. Months are listed
    from the first to the last: that takes a single request, and shows when a symbol came and went.
    """
    if first.partition is Partition.MONTHLY:
        return ("",), _pages(_count(first.partition, begins, ends))
    common = _common_start(first, last)
    if len(common) > len("2025"):  # within a year, which is less than a request
        return (common,), 1
    listed_from = begins.replace(year=max(int(f"{common}000"[:4]), begins.year), month=1, day=1)
    listed_to = ends.replace(year=min(int(f"{common}999"[:4]), ends.year), month=12, day=31)
    requests = _pages(_count(first.partition, max(begins, listed_from), min(ends, listed_to)))
    years = range(first.first_day.year, last.first_day.year + 1)
    if requests <= len(years):
        return (common,), requests
    pieces = (_within_year(first, last, year) for year in years)
    return tuple(_common_start(*piece) for piece in pieces), len(years)


def _within_year(first: Period, last: Period, year: int) -> tuple[Period, Period]:
    new_year = first.first_day.replace(year=year, month=1, day=1)
    eve = new_year.replace(month=12, day=31)
    return max(first, Period(first.partition, new_year)), min(last, Period.containing(eve, first.partition))


def _common_start(first: Period, last: Period) -> str:
    """Return what the dates of all days between two begin with: ``2025-07-`` for days of one month.

    Never more than a month: days without their leading zero sort elsewhere.
    """
    same = takewhile(lambda pair: pair[0] == pair[1], zip(str(first)[: len("2025-07-")], str(last), strict=False))
    return "".join(character for character, _ in same)


def _count(partition: Partition, first: date, last: date) -> int:
    if partition is Partition.DAILY:
        return max(0, (last - first).days + 1)
    return max(0, 12 * (last.year - first.year) + last.month - first.month + 1)
