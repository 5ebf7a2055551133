"""From a wish and the matrix to groups of series, with a line for everything that the archive does not have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crypto_archive.matrix import Status
from crypto_archive.model import DateRange, Notice, Partition, Topic
from crypto_archive.planning.calendar import periods, within
from crypto_archive.planning.consolidation import whole_months
from crypto_archive.request import Partitioning, SymbolFilter
from crypto_archive.symbols import is_glob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix, Row
    from crypto_archive.model import Market
    from crypto_archive.request import Wish

RENAMED_SHOWN = 20
"""How many symbols that have another name in the keys are told, of a list that may be long."""


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """Series of one matrix row and partition that are planned together.

    Attributes:
        row: The matrix row.
        partition: Daily or monthly objects.
        symbols: Names and globs, in the row's own symbol form.
        intervals: The intervals; ``(None,)`` where the row has no interval layer.
        dates: The days wanted, cut to those in which the row is published.
        consolidates: Whether the listed monthly object of a whole month takes the place of its daily ones;
            ``partition`` is daily then.
        filters: Which of the symbols count, in the row's own symbol form.
    """

    row: Row
    partition: Partition
    symbols: tuple[str, ...]
    intervals: tuple[str | None, ...]
    dates: DateRange
    consolidates: bool = False
    filters: SymbolFilter = field(default_factory=SymbolFilter)

    @property
    def label(self) -> str:
        """What it is part of, for people."""
        return f"{self.row.market} {self.row.data_type}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be planned, and what has to be said about it.

    Attributes:
        groups: The groups of series, in the order of the request.
        notices: A line for each thing that was asked for and that the archive does not have in that form.
    """

    groups: tuple[SeriesGroup, ...]
    notices: tuple[Notice, ...]


def select(wish: Wish, matrix: Matrix, today: date) -> Selection:
    """Resolve a wish against the matrix.

    Args:
        wish: Markets, data types, symbols, intervals, dates, partition.
        matrix: What the archive can hold.
        today: The current UTC day.
    """
    groups: list[SeriesGroup] = []
    notices: list[Notice] = []
    for market in wish.markets:
        for row in _rows(market, wish, matrix, notices):
            groups += _groups(row, wish, matrix, today, notices)
    return Selection(tuple(groups), tuple(dict.fromkeys(notices)))


def _rows(market: Market, wish: Wish, matrix: Matrix, notices: list[Notice]) -> Iterator[Row]:
    unknown = []
    seen = set()
    for name in wish.data_types or tuple(row.data_type for row in matrix.rows_of(market)):
        row = matrix.row(market, name)
        if row is None:
            unknown.append(name)
        elif row.data_type not in seen:
            seen.add(row.data_type)
            yield row
    if unknown:
        notices.append(Notice(f"{market}: the archive has no {', '.join(unknown)} there, 0 objects"))


def _groups(row: Row, wish: Wish, matrix: Matrix, today: date, notices: list[Notice]) -> Iterator[SeriesGroup]:
    label = f"{row.market} {row.data_type}"
    if row.status is Status.NEVER_PUBLISHED:
        notices.append(Notice(f"{label}: never published by the archive, 0 objects"))
        return
    if row.status is Status.REMOVED:
        notices.append(Notice(f"{label}: removed from the archive, its last day was {row.last_date}, 0 objects"))
        return
    symbols = _symbols(row, wish, matrix, notices)
    dates = within(row, wish.dates)
    preferred = wish.partition.preferred
    for partition, intervals in _by_partition(row, wish, notices):
        what = label if None in intervals or partition is preferred else f"{label} {', '.join(map(str, intervals))}"
        if next(periods(partition, dates, today), None) is None:
            notices.append(Notice(f"{what}: {_nothing_to_plan(row, partition, wish.dates)}, 0 objects"))
            continue
        if partition is not preferred:
            notices.append(
                Notice(f"{what}: published {partition} only, {partition} objects are planned", Topic.PLANNING)
            )
        if row.last_date is not None and (wish.dates.end is None or wish.dates.end > row.last_date):
            notices.append(Notice(f"{what}: discontinued, planned up to its last day {row.last_date}", Topic.PLANNING))
        for some, consolidates in _consolidating(row, partition, intervals, wish, dates, today):
            yield SeriesGroup(row, partition, symbols, some, dates, consolidates, wish.filters)


def _consolidating(
    row: Row, partition: Partition, intervals: tuple[str | None, ...], wish: Wish, dates: DateRange, today: date
) -> Iterator[tuple[tuple[str | None, ...], bool]]:
    """Split intervals into those whose whole months may be fetched as one object, and the others."""
    both: tuple[str | None, ...] = ()
    if wish.partition is Partitioning.AUTO and partition is Partition.DAILY and Partition.MONTHLY in row.partitions:
        monthly = row.intervals(Partition.MONTHLY)
        both = tuple(interval for interval in intervals if interval is None or interval in monthly)
    if both and whole_months(row, dates, today) is None:
        both = ()
    if both:
        yield both, True
    if rest := tuple(interval for interval in intervals if interval not in both):
        yield rest, False


def _symbols(row: Row, wish: Wish, matrix: Matrix, notices: list[Notice]) -> tuple[str, ...]:
    names = wish.symbols.get(row.market) or (("*",) if wish.filters else matrix.symbols.get(row.market, ()))
    symbols = {name: name if is_glob(name) else row.symbol(name) for name in names}
    renamed = [f"{name} is {symbol}" for name, symbol in symbols.items() if name != symbol]
    if renamed:
        more = f" and {len(renamed) - RENAMED_SHOWN} more" if len(renamed) > RENAMED_SHOWN else ""
        notices.append(Notice(f"{row.market} {row.data_type}: {', '.join(renamed[:RENAMED_SHOWN])} there{more}"))
    return tuple(dict.fromkeys(symbols.values()))


def _by_partition(row: Row, wish: Wish, notices: list[Notice]) -> Iterator[tuple[Partition, tuple[str | None, ...]]]:
    """Split the wanted intervals by the partition that has them: the preferred one first, else the other."""
    preferred = wish.partition.preferred
    label = f"{row.market} {row.data_type}"
    wished = wish.intervals.get(row.data_type, wish.intervals.get("*", ()))
    if not row.has_intervals:
        named = wish.intervals.get(row.data_type, ())
        if named:
            notices.append(Notice(f"{label}: has no intervals, {', '.join(named)} ignored"))
        yield (preferred if preferred in row.partitions else preferred.other), (None,)
        return
    intervals = wished or row.all_intervals
    unknown = [interval for interval in intervals if interval not in row.all_intervals]
    if unknown:
        notices.append(Notice(f"{label}: no interval {', '.join(unknown)} there, 0 objects of it"))
    here = tuple(interval for interval in intervals if interval in row.partitions.get(preferred, ()))
    there = tuple(interval for interval in intervals if interval in row.all_intervals and interval not in here)
    if here:
        yield preferred, here
    if there:
        yield preferred.other, there


def _nothing_to_plan(row: Row, partition: Partition, dates: DateRange) -> str:
    if row.last_date is not None and dates.start is not None and dates.start > row.last_date:
        return f"discontinued, its last day is {row.last_date}"
    if row.first_date is not None and dates.end is not None and dates.end < row.first_date:
        return f"its first day is {row.first_date}"
    if partition is Partition.MONTHLY:
        return "published monthly, when the month is over"
    return "published daily, when the day is over"
