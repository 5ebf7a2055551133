"""Which series and symbols a selection means: rows of the matrix, names, globs, exclusions and filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import islice
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import is_symbol
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.symbols import contract_of, is_glob, is_settled, quote_of
from crypto_archive.config.run_config import Partitioning, SymbolFilter
from crypto_archive.errors import EndpointUnreachable, nearest_phrase
from crypto_archive.model import DateRange, Notice, Partition, Topic
from crypto_archive.plan.availability import periods, whole_months, within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import date

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.run_config import Selection
    from crypto_archive.model import Market, OnNotice

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
class ResolvedSelection:
    """What is to be planned, and what has to be said about it.

    Attributes:
        groups: The groups of series, in the order of the request.
        notices: A line for each thing that was asked for and that the archive does not have in that form.
    """

    groups: tuple[SeriesGroup, ...]
    notices: tuple[Notice, ...]


def select(selection: Selection, matrix: Matrix, today: date) -> ResolvedSelection:
    """Resolve a wish against the matrix.

    Args:
        selection: Markets, data types, symbols, intervals, dates, partition.
        matrix: What the archive can hold.
        today: The current UTC day.
    """
    groups: list[SeriesGroup] = []
    notices: list[Notice] = []
    for market in selection.markets:
        for row in _rows(market, selection, matrix, notices):
            groups += _groups(row, selection, matrix, today, notices)
    return ResolvedSelection(tuple(groups), tuple(dict.fromkeys(notices)))


def _rows(market: Market, selection: Selection, matrix: Matrix, notices: list[Notice]) -> Iterator[Row]:
    unknown = []
    seen = set()
    for name in selection.data_types or tuple(row.data_type for row in matrix.rows_of(market)):
        row = matrix.row(market, name)
        if row is None:
            unknown.append(name)
        elif row.data_type not in seen:
            seen.add(row.data_type)
            yield row
    if unknown:
        notices.append(Notice(f"{market}: the archive has no {', '.join(unknown)} there, 0 objects"))


def _groups(
    row: Row, selection: Selection, matrix: Matrix, today: date, notices: list[Notice]
) -> Iterator[SeriesGroup]:
    label = f"{row.market} {row.data_type}"
    if row.status is Status.NEVER_PUBLISHED:
        notices.append(Notice(f"{label}: never published by the archive, 0 objects"))
        return
    if row.status is Status.REMOVED:
        notices.append(Notice(f"{label}: removed from the archive, its last day was {row.last_date}, 0 objects"))
        return
    symbols = _symbols(row, selection, matrix, notices)
    dates = within(row, selection.dates)
    preferred = selection.partition.preferred
    for partition, intervals in _by_partition(row, selection, notices):
        what = label if None in intervals or partition is preferred else f"{label} {', '.join(map(str, intervals))}"
        if next(periods(partition, dates, today), None) is None:
            notices.append(Notice(f"{what}: {_nothing_to_plan(row, partition, selection.dates)}, 0 objects"))
            continue
        if partition is not preferred:
            notices.append(
                Notice(f"{what}: published {partition} only, {partition} objects are planned", Topic.PLANNING)
            )
        if row.last_date is not None and (selection.dates.end is None or selection.dates.end > row.last_date):
            notices.append(Notice(f"{what}: discontinued, planned up to its last day {row.last_date}", Topic.PLANNING))
        for some, consolidates in _consolidating(row, partition, intervals, selection, dates, today):
            yield SeriesGroup(row, partition, symbols, some, dates, consolidates, selection.filters)


def _consolidating(
    row: Row,
    partition: Partition,
    intervals: tuple[str | None, ...],
    selection: Selection,
    dates: DateRange,
    today: date,
) -> Iterator[tuple[tuple[str | None, ...], bool]]:
    """Split intervals into those whose whole months may be fetched as one object, and the others."""
    both: tuple[str | None, ...] = ()
    if (
        selection.partition is Partitioning.AUTO
        and partition is Partition.DAILY
        and Partition.MONTHLY in row.partitions
    ):
        monthly = row.intervals(Partition.MONTHLY)
        both = tuple(interval for interval in intervals if interval is None or interval in monthly)
    if both and whole_months(row, dates, today) is None:
        both = ()
    if both:
        yield both, True
    if rest := tuple(interval for interval in intervals if interval not in both):
        yield rest, False


def _symbols(row: Row, selection: Selection, matrix: Matrix, notices: list[Notice]) -> tuple[str, ...]:
    names = selection.symbols.get(row.market) or (("*",) if selection.filters else matrix.symbols.get(row.market, ()))
    symbols = {name: name if is_glob(name) else row.symbol(name) for name in names}
    renamed = [f"{name} is {symbol}" for name, symbol in symbols.items() if name != symbol]
    if renamed:
        more = f" and {len(renamed) - RENAMED_SHOWN} more" if len(renamed) > RENAMED_SHOWN else ""
        notices.append(Notice(f"{row.market} {row.data_type}: {', '.join(renamed[:RENAMED_SHOWN])} there{more}"))
    return tuple(dict.fromkeys(symbols.values()))


def _by_partition(
    row: Row, selection: Selection, notices: list[Notice]
) -> Iterator[tuple[Partition, tuple[str | None, ...]]]:
    """Split the wanted intervals by the partition that has them: the preferred one first, else the other."""
    preferred = selection.partition.preferred
    label = f"{row.market} {row.data_type}"
    wished = selection.intervals.get(row.data_type, selection.intervals.get("*", ()))
    if not row.has_intervals:
        named = selection.intervals.get(row.data_type, ())
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


Folders = Callable[[], tuple[str, ...]]
"""Lists the folders that the archive has for the symbols of a group, in all partitions that count."""

MOST_NAMED = 20
"""How many symbols that the archive does not have are named one by one."""
_PATTERNS_SHOWN = 5


def passes(market: Market, symbol: str, filters: SymbolFilter) -> bool:
    """Whether a symbol counts under the filters; it has the form that it has in the keys."""
    if filters.settled is not None and is_settled(symbol) is not filters.settled:
        return False
    if filters.contract is not None and contract_of(market, symbol) not in {None, filters.contract}:
        return False
    return not filters.quotes or quote_of(market, symbol, filters.quotes) in filters.quotes


def matching(
    patterns: Sequence[str], known: Iterable[str], counts: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """Return the symbols that the patterns choose, plain names first, each once.

    A plain name is taken as it is, known or not. A pattern that starts with ``!`` takes symbols away; when there is
    nothing else, it takes them away from all that are known.

    Args:
        patterns: Names and globs.
        known: The symbols that globs are matched against.
        counts: Whether a symbol counts at all, named or found.
    """
    excluded = _matcher(pattern[1:] for pattern in patterns if pattern.startswith("!"))
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    names = [pattern for pattern in wanted if not is_glob(pattern)]
    globs = _matcher(pattern for pattern in wanted if is_glob(pattern))
    chosen = dict.fromkeys([*names, *filter(globs, known)])
    return tuple(symbol for symbol in chosen if not excluded(symbol) and counts(symbol))


def resolve(group: SeriesGroup, list_folders: Folders, on_notice: OnNotice) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against the folders that the archive has.

    Args:
        group: The series.
        list_folders: Lists the folders of the archive; asked only when there are globs.
        on_notice: Takes a notice when folders cannot be symbols, and when no symbol is left.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    folders: tuple[str, ...] = ()
    if any(is_glob(pattern) for pattern in group.symbols):
        folders = list_folders()
        if unfit := [name for name in folders if not can_be_listed(name)]:
            names = ", ".join(repr(name[:40]) for name in unfit[:3])
            what = f"{len(unfit)} folders of the archive are left out, no symbol can be named {names}"
            on_notice(Notice(f"{group.label}: {what}"))
    symbols = _chosen(group, filter(can_be_listed, folders))
    if group.symbols and not symbols:
        on_notice(Notice(f"{group.label}: no symbol of the archive matches {_asked(group)}, 0 objects", Topic.NO_MATCH))
    return symbols


def resolve_offline(group: SeriesGroup, known: Iterable[str], on_notice: OnNotice) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against symbols that are known without asking the archive.

    Args:
        group: The series.
        known: The symbols, in the form that they have in the keys.
        on_notice: Takes a notice when filters leave no symbol.
    """
    symbols = _chosen(group, known)
    if group.symbols and not symbols and not any(map(is_glob, group.symbols)):
        on_notice(Notice(f"{group.label}: none of the symbols passes the filters ({group.filters}), 0 objects"))
    return symbols


def folders_beside(group: SeriesGroup, quiet: Collection[str], list_folders: Folders) -> tuple[str, ...]:
    """Return the folders that the archive has beside those of the symbols that it has no object of.

    Args:
        group: The series.
        quiet: The symbols without any object; nothing is asked, and nothing returned, where nobody named one of them.
        list_folders: Lists the folders of the archive. It may fail: the plan is whole without the answer.
    """
    if not any(pattern in quiet for pattern in group.symbols):
        return ()
    try:
        return list_folders()
    except EndpointUnreachable:
        return ()


def unknown(symbols: Iterable[str], folders: Collection[str], label: str) -> Iterator[Notice]:
    """Yield a notice for each symbol that has no folder, with the nearest that have one.

    Args:
        symbols: Symbols that somebody named.
        folders: All that the archive has there.
        label: Where that is, for people.
    """
    real = list(filter(can_be_listed, folders))
    strange = iter(sorted(set(symbols).difference(real)))
    for symbol in islice(strange, MOST_NAMED):
        yield Notice(f"{label}: the archive has no symbol {symbol!r} there{nearest_phrase(symbol, real)}")
    if rest := sum(1 for _ in strange):
        yield Notice(f"{label}: the archive has no such symbol there for {rest} more of those that were named")


def can_be_listed(name: str) -> bool:
    """Whether a folder's name can be a symbol, and s5cmd can list what is below it: it cannot take signs of globs."""
    return is_symbol(name) and not set("*?") & set(name)


def _chosen(group: SeriesGroup, known: Iterable[str]) -> tuple[str, ...]:
    if not group.symbols:
        return ()
    return matching(group.symbols, known, lambda symbol: passes(group.row.market, symbol, group.filters))


def _asked(group: SeriesGroup) -> str:
    """Return the patterns and filters of a group as people read them, shortened where there are many."""
    patterns = ", ".join(group.symbols[:_PATTERNS_SHOWN])
    more = f" and {len(group.symbols) - _PATTERNS_SHOWN} more" if len(group.symbols) > _PATTERNS_SHOWN else ""
    return patterns + more + (f" ({group.filters})" if group.filters else "")


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether any of the patterns matches; a list may hold thousands of them."""
    plain: set[str] = set()
    globs: set[str] = set()
    for pattern in patterns:
        (globs if any(sign in pattern for sign in "*?[") else plain).add(pattern)
    if not globs:
        return plain.__contains__
    expression = re.compile("|".join(map(translate, sorted(globs))))
    return lambda symbol: symbol in plain or expression.match(symbol) is not None
