"""Which series and symbols a selection means: rows of the matrix, names, globs, exclusions and filters."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase, translate
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import is_symbol
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.symbols import contract_of, in_capitals, is_glob, is_settled, quote_of, symbol_of_pair
from crypto_archive.config.run_config import Partitioning, SymbolFilter
from crypto_archive.errors import EndpointUnreachable, nearest_few
from crypto_archive.events import ObjectsKept
from crypto_archive.model import (
    Absence,
    DateRange,
    Market,
    Notice,
    Outcome,
    Partition,
    Topic,
    UnknownSymbol,
    UnknownSymbols,
)
from crypto_archive.plan.availability import bounds, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.run_config import RunConfig, Selection
    from crypto_archive.events import ObjectFinished
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.session import Context

RENAMED_SHOWN = 20
"""How many symbols with another name in the keys are listed, of what may be many."""


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """Series of one matrix row and partition that are planned together.

    Attributes:
        row: The matrix row.
        partition: Daily or monthly objects.
        symbols: Names and globs, as the row's keys spell them.
        intervals: The intervals; ``(None,)`` where the row has no interval layer.
        dates: The days wanted, cut to those in which the row is published.
        consolidates: Whether monthly objects may have the days, in place of daily ones or where those lack them;
            ``partition`` is daily then.
        filters: Which of the symbols count, as the row's keys spell them.
    """

    row: Row
    partition: Partition
    symbols: tuple[str, ...]
    intervals: tuple[str | None, ...]
    dates: DateRange
    consolidates: bool = False
    filters: SymbolFilter = field(default_factory=SymbolFilter)

    @property
    def partitions(self) -> frozenset[Partition]:
        """In which partitions its objects are wanted."""
        return frozenset(Partition) if self.consolidates else frozenset({self.partition})

    @property
    def label(self) -> str:
        """Its market and data type, for people."""
        return f"{self.row.market} {self.row.data_type}"


@dataclass(frozen=True, slots=True)
class ResolvedSelection:
    """A selection as the matrix understands it.

    Attributes:
        groups: The groups of series, in the order of the request.
        notices: A line for each thing that was selected and that the archive does not have in that form.
    """

    groups: tuple[SeriesGroup, ...]
    notices: tuple[Notice, ...]


def select(context: Context, selection: Selection, *, listed: bool = False) -> ResolvedSelection:
    """Resolve a selection against the matrix.

    Args:
        context: The context of the job.
        selection: What is wanted.
        listed: Whether the bucket is listed, which has the last word then; else the dates and the status of a row
            decide what it has.
    """
    groups: list[SeriesGroup] = []
    notices: list[Notice] = []
    for market in selection.markets:
        names = selection.data_types or tuple(row.data_type for row in context.matrix.rows_of(market))
        rows = {name: context.matrix.row(market, name) for name in names}
        for row in dict.fromkeys(row for row in rows.values() if row is not None):
            groups += _groups(context, row, selection, notices, listed=listed)
        if lacking := [name for name, row in rows.items() if row is None]:
            what = f"{market} does not have {', '.join(lacking)}; nothing to plan"
            notices.append(Notice(what, about=("data_types",)))
    return ResolvedSelection(tuple(groups), tuple(dict.fromkeys(filter(context.config.concerns, notices))))


def _groups(
    context: Context, row: Row, selection: Selection, notices: list[Notice], *, listed: bool
) -> Iterator[SeriesGroup]:
    label = f"{row.market} {row.data_type}"
    if row.status in {Status.NEVER_PUBLISHED, Status.REMOVED}:
        yield from _unpublished(context, row, selection, notices, listed=listed)
        return
    symbols = _symbols(row, selection, context.matrix, notices)
    dates = selection.dates if listed else within(row, selection.dates)
    preferred = selection.partition.preferred
    for partition, intervals in _by_partition(row, selection, notices):
        what = label if None in intervals or partition is preferred else f"{label} {', '.join(map(str, intervals))}"
        if bounds(partition, dates, context.today) is None:
            why = f"{what}: {_why_nothing(row, partition, selection.dates)}; nothing to plan"
            about = ("data_types",) if row.last_date is not None else ("data_types", "date_range")
            notices.append(Notice(why, about=about))
            if listed and bounds(Partition.DAILY, within(row, selection.dates), context.today) is not None:
                # Its days are over, but not yet its months: the listing shows whether the symbols exist.
                yield SeriesGroup(row, partition, symbols, intervals, dates, filters=selection.filters)
            continue
        if partition is not preferred:
            why = f"{what}: published {partition} only; planning {partition} objects"
            notices.append(Notice(why, Topic.PLANNING, about=("data_types", "partition")))
        if not listed and row.last_date is not None and (dates.end is None or dates.end >= row.last_date):
            why = f"{what}: discontinued; planning up to its last day {row.last_date}"
            notices.append(Notice(why, Topic.PLANNING, about=("data_types", "date_range")))
        # Of intervals that both partitions have, either may have a day.
        both: tuple[str | None, ...] = ()
        if (
            selection.partition is Partitioning.AUTO
            and partition is Partition.DAILY
            and Partition.MONTHLY in row.partitions
        ):
            monthly = row.intervals(Partition.MONTHLY)
            both = tuple(interval for interval in intervals if interval is None or interval in monthly)
        rest = tuple(interval for interval in intervals if interval not in both)
        for some, consolidates in ((both, True), (rest, False)):
            if some:
                yield SeriesGroup(row, partition, symbols, some, dates, consolidates, selection.filters)


def _unpublished(
    context: Context, row: Row, selection: Selection, notices: list[Notice], *, listed: bool
) -> Iterator[SeriesGroup]:
    """Yield the group of a row of which nothing should be in the bucket; where it is listed, it may be there again."""
    label = f"{row.market} {row.data_type}"
    never = row.status is Status.NEVER_PUBLISHED
    if never or not listed:
        what = "never published by the archive" if never else f"removed from the archive, last day {row.last_date}"
        notices.append(Notice(f"{label}: {what}; nothing to plan", about=("data_types",)))
    symbols = _symbols(row, selection, context.matrix, notices) if listed else ()
    partition = next(iter(row.partitions), Partition.DAILY)
    if symbols and not row.has_intervals and bounds(partition, selection.dates, context.today) is not None:
        yield SeriesGroup(row, partition, symbols, (None,), selection.dates, filters=selection.filters)


def _symbols(row: Row, selection: Selection, matrix: Matrix, notices: list[Notice]) -> tuple[str, ...]:
    names = selection.symbols.get(row.market) or (("*",) if selection.filters else matrix.symbols.get(row.market, ()))
    symbols = {name: name if is_glob(name) else row.symbol(name) for name in names}
    renamed = [f"{symbol} for {name}" for name, symbol in symbols.items() if name != symbol]
    if renamed:
        more = f" and {len(renamed) - RENAMED_SHOWN} more" if len(renamed) > RENAMED_SHOWN else ""
        what = f"{row.market} {row.data_type}: using {', '.join(renamed[:RENAMED_SHOWN])}{more}"
        notices.append(Notice(what, about=("symbols",)))
    return tuple(dict.fromkeys(symbols.values()))


def _by_partition(
    row: Row, selection: Selection, notices: list[Notice]
) -> Iterator[tuple[Partition, tuple[str | None, ...]]]:
    """Split the wanted intervals by the partition that has them: the preferred one first, else the other."""
    preferred = selection.partition.preferred
    label = f"{row.market} {row.data_type}"
    if not row.has_intervals:
        if named := selection.intervals.get(row.data_type, ()):
            notices.append(Notice(f"{label}: has no intervals; ignoring {', '.join(named)}", about=("intervals",)))
        yield (preferred if preferred in row.partitions else preferred.other), (None,)
        return
    intervals = selection.intervals.get(row.data_type, selection.intervals.get("*", ())) or row.all_intervals
    if lacking := [interval for interval in intervals if interval not in row.all_intervals]:
        what = f"{label}: no interval {', '.join(lacking)}; nothing to plan for it"
        notices.append(Notice(what, about=("intervals",)))
    here = tuple(interval for interval in intervals if interval in row.partitions.get(preferred, ()))
    there = tuple(interval for interval in intervals if interval in row.all_intervals and interval not in here)
    if here:
        yield preferred, here
    if there:
        yield preferred.other, there


def partitions_of(row: Row, interval: str | None, preferred: Partitioning) -> frozenset[Partition]:
    """Return in which partitions the objects of a series are wanted: the preferred one, or the one that there is."""
    there = frozenset(one for one in row.partitions if interval is None or interval in row.intervals(one))
    wanted = there & {preferred.preferred}
    return there if preferred is Partitioning.AUTO or not wanted else wanted


def _why_nothing(row: Row, partition: Partition, dates: DateRange) -> str:
    if row.last_date is not None and dates.start is not None and dates.start > row.last_date:
        return f"discontinued, last day {row.last_date}"
    if row.first_date is not None and dates.end is not None and dates.end < row.first_date:
        return f"first day {row.first_date}"
    if partition is Partition.MONTHLY:
        return "published monthly, once the month is over"
    return "published daily, once the day is over"


MOST_NAMED = 20
"""How many unknown symbols are compared with the known ones."""
UNKNOWN_SHOWN = 5
"""How many of them are named in one line."""
MOST_NEAREST = 3
_PATTERNS_SHOWN = 5


def passes(market: Market, symbol: str, filters: SymbolFilter) -> bool:
    """Whether a symbol, as keys spell it, passes the filters."""
    if filters.settled is not None and is_settled(symbol) is not filters.settled:
        return False
    if filters.contract is not None and contract_of(market, symbol) not in {None, filters.contract}:
        return False
    return not filters.quotes or quote_of(market, symbol, filters.quotes) in filters.quotes


def matching(
    patterns: Sequence[str], known: Iterable[str], counts: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """Return the symbols that the patterns match, plain names first, each once, if they count.

    A plain name is taken as it is, known or not. A pattern that starts with ``!`` excludes symbols; without any other
    pattern, it excludes them from all that are known.
    """
    excluded = _matcher(pattern[1:] for pattern in patterns if pattern.startswith("!"))
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    names = [pattern for pattern in wanted if not is_glob(pattern)]
    globs = _matcher(pattern for pattern in wanted if is_glob(pattern))
    chosen = dict.fromkeys([*names, *filter(globs, known)])
    return tuple(symbol for symbol in chosen if not excluded(symbol) and counts(symbol))


def announce(context: Context, groups: Iterable[SeriesGroup]) -> None:
    """Report how many series are to be read, as far as they are named; globs may add more."""
    series, growing = 0, False
    for group in groups:
        globs = any(map(is_glob, group.symbols))
        series += 0 if globs else len(group.symbols) * len(group.intervals)
        growing = growing or globs
    context.planning.announce(series, growing=growing)


def resolve(context: Context, group: SeriesGroup, folders: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against the folders that the archive has."""
    folders = tuple(folders)
    if unfit := [name for name in folders if not can_be_listed(name)]:
        names = ", ".join(repr(name[:40]) for name in unfit[:3])
        what = f"skipping {len(unfit)} folders of the archive that cannot be symbols, such as {names}"
        context.on_notice(Notice(f"{group.label}: {what}"))
    symbols = _chosen(group, filter(can_be_listed, folders))
    if group.symbols and not symbols:
        patterns = ", ".join(group.symbols[:_PATTERNS_SHOWN])
        more = f" and {len(group.symbols) - _PATTERNS_SHOWN} more" if len(group.symbols) > _PATTERNS_SHOWN else ""
        filters = f" ({group.filters})" if group.filters else ""
        what = f"no symbol in the archive matches {patterns}{more}{filters}; nothing to plan"
        context.note(Notice(f"{group.label}: {what}", Topic.NO_MATCH, about=("symbols",)))
    return symbols


def resolve_offline(context: Context, group: SeriesGroup, known: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against symbols that are known without asking the archive."""
    group = spelled(group, known := tuple(known))
    symbols = _chosen(group, known)
    if group.symbols and not symbols and not any(map(is_glob, group.symbols)):
        what = f"none of the symbols passes the filters ({group.filters}); nothing to plan"
        context.on_notice(Notice(f"{group.label}: {what}"))
    return symbols


_Place = tuple[str, str]
"""A market and a data type."""


class NamedSymbols:
    """Which of the symbols that the user named some selected market has, and which none of them has.

    Symbols of the matrix's default list and of bundled presets are not named by the user, and globs name none.
    """

    def __init__(self, config: RunConfig) -> None:
        by_user = "symbols" not in config.bundled
        symbols = config.request.selection.symbols if by_user else {}
        self._names = {market: [name for name in names if not is_glob(name)] for market, names in symbols.items()}
        self._matrix = config.matrix
        self._by_row: dict[_Place, dict[str, set[str]]] = {}
        self._found: dict[str, set[_Place]] = {}
        self._lacking: dict[str, dict[_Place, tuple[str, ...]]] = {}

    def note(self, row: Row, found: Iterable[str], lacking: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        """Take in which symbols, as keys spell them, were found in a row, and which are not among the known ones."""
        names, place = self._named(row.market, row.data_type), (row.market, row.data_type)
        for name in (name for symbol in found for name in names.get(symbol, ())):
            self._found.setdefault(name, set()).add(place)
        if strange := [name for symbol in lacking for name in names.get(symbol, ())]:
            real = tuple(filter(can_be_listed, known))
            for name in strange:
                self._lacking.setdefault(name, {})[place] = real

    def note_finished(self, event: ObjectFinished | ObjectsKept) -> None:
        """Take in how objects ended that were planned without knowing whether the archive has their symbol."""
        series = event.series if isinstance(event, ObjectsKept) else event.object.series
        place = (series.market, series.data_type)
        for name in self._named(*place).get(series.symbol, ()):
            if isinstance(event, ObjectsKept) or event.outcome is not Outcome.ABSENT:
                self._found.setdefault(name, set()).add(place)
            elif event.reason != Absence.NOT_YET:
                self._lacking.setdefault(name, {})[place] = ()

    def look_elsewhere(self, listing: BucketListing) -> None:
        """Look for the symbols that no selected data type has among all of their markets; few LISTs, and seldom any."""
        for market, names in self._names.items():
            if (self._lacking.keys() - self._found.keys()).intersection(names):
                with suppress(EndpointUnreachable):  # the plan is complete without the answer
                    for row in self._matrix.rows_of(market):
                        if row.data_type == "klines" or (market is Market.OPTIONS and row.partitions):
                            self.note(row, listing.folders(row.key_pattern.symbols_prefix(Partition.DAILY)))

    def notices(self) -> Iterator[Notice]:
        """Yield where the archive lacks a symbol that it has elsewhere, then the symbols that it has nowhere."""
        in_order = dict.fromkeys(name for names in self._names.values() for name in names)
        unknown = [name for name in in_order if name in self._lacking and name not in self._found]
        lacking = [
            (place, name, known)
            for name, places in sorted(self._lacking.items())
            for place, known in places.items()
            if name in self._found and place not in self._found[name]
        ]
        for place, name, known in lacking[:MOST_NAMED]:
            yield Notice(
                f"{' '.join(place)}: the archive has no symbol {name!r}{_ending(nearest_symbols(name, known))}"
            )
        if more := len(lacking[MOST_NAMED:]):
            yield Notice(
                f"the archive lacks {more:,} more named symbols in some of the selected markets and data types"
            )
        if unknown:
            yield self._unknown(unknown)

    def _unknown(self, names: Sequence[str]) -> UnknownSymbols:
        symbols = []
        for number, name in enumerate(names):
            known = dict.fromkeys(symbol for some in self._lacking[name].values() for symbol in some)
            known = known or dict.fromkeys(symbol for some in self._matrix.symbols.values() for symbol in some)
            symbols.append(UnknownSymbol(name, nearest_symbols(name, known) if number < MOST_NAMED else ()))
        if len(symbols) == 1:
            listed = any(self._lacking[names[0]].values())
            what = "the archive has no symbol" if listed else "the archive has no selected object of the symbol"
            text = f"{what} {names[0]!r}{_ending(symbols[0].nearest)}"
        else:
            shown = "; ".join(f"{one.name!r}{_in_brackets(one.nearest)}" for one in symbols[:UNKNOWN_SHOWN])
            more = f"; and {len(symbols) - UNKNOWN_SHOWN:,} more" if len(symbols) > UNKNOWN_SHOWN else ""
            text = f"the archive has nothing of {len(symbols):,} named symbols: {shown}{more}"
        return UnknownSymbols(text, symbols=tuple(symbols))

    def _named(self, market: Market, data_type: str) -> dict[str, set[str]]:
        """Return the names by the symbols that they become in the keys of a row."""
        found = self._by_row.get((market, data_type))
        if found is None:
            found = self._by_row[market, data_type] = {}
            row = self._matrix.row(market, data_type)
            if row is not None:
                for name in self._names.get(market, ()):
                    for symbol in (row.symbol(name), row.symbol(in_capitals(name))):
                        found.setdefault(symbol, set()).add(name)
        return found


def nearest_symbols(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols that look most like a name; first the one that other programs write as ``BTC/USDT:USDT``."""
    plain = symbol_of_pair(name)
    known = dict.fromkeys(known)
    near = nearest_few(name, known)
    return tuple(dict.fromkeys((plain, *near)))[:MOST_NEAREST] if plain in known else near


def _ending(near: Sequence[str]) -> str:
    return f"; nearest {'is' if len(near) == 1 else 'are'} {', '.join(map(repr, near))}" if near else ""


def _in_brackets(near: Sequence[str]) -> str:
    return f" (nearest: {', '.join(map(repr, near))})" if near else ""


def spelled(group: SeriesGroup, known: Iterable[str]) -> SeriesGroup:
    """Return a group with symbols in capitals, as the archive has them, except those that are known as they are."""
    if not any(symbol != in_capitals(symbol) for symbol in group.symbols):
        return group
    real = frozenset(known)
    symbols = (symbol if _is_among(symbol, real) else _in_keys(group.row, symbol) for symbol in group.symbols)
    return replace(group, symbols=tuple(dict.fromkeys(symbols)))


def _is_among(symbol: str, known: frozenset[str]) -> bool:
    pattern = symbol.removeprefix("!")
    return pattern in known or (is_glob(pattern) and any(fnmatchcase(one, pattern) for one in known))


def _in_keys(row: Row, symbol: str) -> str:
    capitals = in_capitals(symbol)
    return capitals if is_glob(symbol) else row.symbol(capitals)


def can_be_listed(name: str) -> bool:
    """Whether a folder's name can be a symbol that s5cmd can list: it takes the signs of globs as such."""
    return is_symbol(name) and not set("*?") & set(name)


def _chosen(group: SeriesGroup, known: Iterable[str]) -> tuple[str, ...]:
    if not group.symbols:
        return ()
    return matching(group.symbols, known, lambda symbol: passes(group.row.market, symbol, group.filters))


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that tells whether any of the patterns, of which there may be thousands, matches."""
    plain: set[str] = set()
    globs: set[str] = set()
    for pattern in patterns:
        (globs if any(sign in pattern for sign in "*?[") else plain).add(pattern)
    if not globs:
        return plain.__contains__
    expression = re.compile("|".join(map(translate, sorted(globs))))
    return lambda symbol: symbol in plain or expression.match(symbol) is not None
