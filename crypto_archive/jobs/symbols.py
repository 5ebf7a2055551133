"""Universe: which symbols the archive had data of, and when, so that a backtest avoids survivorship bias."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.matrix import Status
from crypto_archive.errors import ExitCode, UsageError
from crypto_archive.events import PlanningMeter
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport, unknown_symbols
from crypto_archive.model import Absence, DateRange, Notice, Notices, Partition
from crypto_archive.plan.availability import ObjectDays, SymbolHistory, answers, gaps_of, reuse_gaps
from crypto_archive.plan.candidates import endings_of, listed_days, whole
from crypto_archive.plan.endings import ENOUGH_SYMBOLS
from crypto_archive.plan.selection import NamedSymbols, SeriesGroup, select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.session import Context
from crypto_archive.root.store import Root
from crypto_archive.shown import Table, joined, span
from crypto_archive.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.config.run_config import RunConfig, Selection
    from crypto_archive.events import Planning
    from crypto_archive.model import OnNotice, Series
    from crypto_archive.root.listing import BucketListing

EVERY_SYMBOL = ("*",)
DATA_TYPE = "klines"
"""The data type that is listed where none is selected."""
ENDED = timedelta(days=40)
"""After so many days without data a series counts as ended, unless data come again."""
LIVING = frozenset({Absence.HOLE, Absence.NOT_YET, Absence.LATE})
"""Why the archive may lack a day of a symbol that lived on it."""
INTERVAL = "1d"
"""The interval that is listed where none is named: the smallest objects."""


def symbols(
    config: RunConfig,
    *,
    as_of: date | None = None,
    on_notice: OnNotice = lambda _: None,
    on_planning: Callable[[Planning], object] = lambda _: None,
    today: date | None = None,
) -> SymbolsReport:
    """Return the symbols that the archive has data of, market by market and sorted by name, with first and last day.

    Of each market one data type is listed, the first one selected or else klines, and one interval; markets without
    that type are left out. Without selected symbols, all of the archive's are meant.

    Args:
        config: What is asked about.
        as_of: Only symbols that lived on this UTC day: that had data, or of which the archive merely lacks the day;
            None for all that ever had.
        on_notice: Takes what a person should know, as it comes up.
        on_planning: Takes how far planning is, a few times a second at most.
        today: The current UTC day; read from the clock when not given.

    Raises:
        UsageError: The day is not over, or none of the markets has the data type.
        S5cmdUnusable: No usable s5cmd was found for the listing.
        EndpointUnreachable: The listing failed.

    Example:
        >>> from datetime import date
        >>> from crypto_archive import load_preset, symbols
        >>> config = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]})
        >>> "BTCUSDT" in [history.series.symbol for history in symbols(config, as_of=date(2025, 7, 14))]
        True
    """
    notices = Notices(on_notice)
    found = [*_symbols(config, as_of, notices, PlanningMeter(on_planning), today)]
    return SymbolsReport(found, as_of, notices.kept)


@dataclass(eq=False, repr=False)
class SymbolsReport(JobReport):
    """The symbols that the archive has data of; iterate over it.

    ``status`` is ``success``, ``partial`` (a named symbol does not exist) or ``empty``.

    Attributes:
        symbols: The symbols, each with its days in the archive.
        as_of: The day that they lived on; None for all that ever had data.
        notices: What a person should know.
    """

    symbols: list[SymbolHistory]
    as_of: date | None = None
    notices: list[Notice] = field(default_factory=list)

    def __iter__(self) -> Iterator[SymbolHistory]:
        return iter(self.symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    def document(self) -> dict[str, object]:
        """Return the symbols as the JSON document of the command."""
        return {
            "schema_version": SCHEMA_VERSION,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "symbols": [_symbol_document(history) for history in self.symbols],
        }

    def _result(self) -> tuple[str, ExitCode]:
        if not self.symbols:
            return "empty", ExitCode.PARTIAL
        return ("partial", ExitCode.PARTIAL) if unknown_symbols(self.notices) else ("success", ExitCode.OK)

    def _summary(self) -> str:
        return joined(
            self.status, format_count(len(self.symbols), "symbol"), f"as of {self.as_of}" if self.as_of else ""
        )

    def _table(self) -> Table:
        headings = ("market", "data type", "symbol", "interval", "first day", "last day", "days", "on the day", "gaps")
        return Table(headings, self.symbols, _cells)


def _cells(one: SymbolHistory) -> tuple[object, ...]:
    gaps = joined(*(span(gap.start, gap.end) for gap in one.gaps))
    return (
        one.series.market, one.series.data_type, one.series.symbol, one.series.interval, one.first_day, one.last_day,
        dayset.count(one.days), one.answer, gaps,
    )  # fmt: skip


def _symbols(
    config: RunConfig, as_of: date | None, notices: Notices, planning: PlanningMeter, today: date | None
) -> Iterator[SymbolHistory]:
    root = Root(config.request.root.absolute())  # its layout does not matter, since nothing but listings is read
    context = Context(config, root, today or datetime.now(UTC).date(), on_notice=notices, planning=planning)
    request, matrix, selection = context.request, context.matrix, context.request.selection
    if as_of is not None and as_of >= context.today:
        raise UsageError(
            f"--as-of: {as_of} is not over yet, so there is no data of it",
            hint="Choose an earlier day, such as --as-of yesterday. Days are UTC.",
        )
    data_type = next(iter(selection.data_types), DATA_TYPE)
    found = (matrix.row(market, data_type) for market in selection.markets)
    rows = [row for row in found if row is not None and row.status in {Status.ACTIVE, Status.DISCONTINUED}]
    if not rows:
        raise UsageError(
            f"The archive has no {data_type} in {', '.join(selection.markets)}",
            hint="`crypto-archive matrix` shows which market has which data types.",
        )
    for notice in config.notices:
        notices(notice)
    with open_listing(request, root) as bucket:
        names = NamedSymbols(config)
        for row in rows:
            interval = _interval(row, selection)
            if interval is not None and interval not in row.all_intervals:
                notices(Notice(f"{row.market} {row.data_type}: no interval {interval}"))
                continue
            of_row = replace(
                selection, markets=(row.market,), data_types=(row.data_type,), dates=DateRange(),
                intervals={"*": (interval,)} if interval else {},
                symbols={row.market: selection.symbols.get(row.market) or EVERY_SYMBOL},
            )  # fmt: skip
            for group in select(context, of_row, listed=True).groups[:1]:
                days = listed_days(context, whole(group, (interval,), DateRange()), bucket, names)
                yield from _histories(context, row, days, as_of, bucket)
        names.look_elsewhere(bucket)
        for notice in names.notices():
            notices(notice)
        if remark := bucket.remark():
            notices(remark)


def _histories(
    context: Context, row: Row, found: Mapping[Series, ObjectDays], as_of: date | None, bucket: BucketListing
) -> Iterator[SymbolHistory]:
    """Yield the histories of the series of a row, or those that had data, or should have had it, on a day."""
    gaps = {series: lacking for series, there in found.items() if (lacking := gaps_of(there))}
    shared = _shared_gaps(context, row, found, gaps, bucket)
    endings: dict[Series, Absence] = {}
    if as_of is not None:  # a series that stopped long before the day does not need to be asked about
        near = dayset.span(as_of - ENDED, context.today)
        living = {series: there for series, there in found.items() if there.known & near}
        endings = endings_of(context, row, living, DateRange(as_of, as_of), bucket)
    for series in sorted(found):
        there = found[series]
        own = reuse_gaps(gaps.get(series, dayset.NONE), shared)
        if as_of is None:
            yield SymbolHistory(series, there.known, own)
            continue
        ending = endings.get(series, Absence.DELISTED)
        day = dayset.span(as_of, as_of)
        answer = answers(series, row, day, there, context.today, ending=ending)
        reason = next(iter(answer.absent), None)
        in_gap = any(gap.start and gap.end and gap.start <= as_of <= gap.end for gap in own)
        if not in_gap and (reason is None or reason in LIVING):
            have = Partition.DAILY if answer.daily else Partition.MONTHLY
            yield SymbolHistory(series, there.known, own, str(reason or have))


def _shared_gaps(
    context: Context, row: Row, found: Mapping[Series, ObjectDays], gaps: Mapping[Series, Days], bucket: BucketListing
) -> Days:
    """Return the days that most symbols lack; where few are listed, those that a well-known symbol lacks."""
    if not any(map(reuse_gaps, gaps.values())):
        return dayset.NONE
    changes: Counter[date] = Counter()
    lacking: Counter[date] = Counter()
    for series, there in found.items():
        _count_ends(changes, dayset.enclosed(there.known))
        _count_ends(lacking, gaps.get(series, dayset.NONE))
    shared, few, living, without = 0, 0, 0, 0
    days = sorted({*changes, *lacking})
    for day, following in pairwise(days):
        living, without = living + changes[day], without + lacking[day]
        stretch = dayset.span(day, following - timedelta(days=1))
        if living < ENOUGH_SYMBOLS:
            few |= stretch
        elif 2 * without > living:
            shared |= stretch
    defaults = context.matrix.symbols.get(row.market, ())
    if few & _union(gaps.values()) and defaults:
        one = next(iter(found))
        known = one._replace(symbol=row.symbol(defaults[0]))
        if known not in found:
            group = SeriesGroup(row, Partition.DAILY, (known.symbol,), (one.interval,), DateRange())
            quiet = replace(context, on_notice=lambda _: None)
            listed = listed_days(
                quiet, whole(group, (one.interval,), DateRange()), bucket, NamedSymbols(context.config)
            )
            there = listed.get(known, ObjectDays())
            shared |= few & gaps_of(there)
        else:
            shared |= few & gaps.get(known, dayset.NONE)
    return Days(shared)


def _count_ends(changes: Counter[date], days: Days) -> None:
    """Count one more from the first day of each stretch, and one less after its last."""
    for first, last in dayset.ends(days):
        changes[first] += 1
        changes[last + timedelta(days=1)] -= 1


def _union(some: Iterable[Days]) -> int:
    return reduce(or_, some, 0)


def _interval(row: Row, selection: Selection) -> str | None:
    """Return the interval to list: the named one, else the usual one, else the longest of the row."""
    if not row.has_intervals:
        return None
    named = selection.intervals.get(row.data_type, selection.intervals.get("*", ()))
    return named[0] if named else INTERVAL if INTERVAL in row.all_intervals else row.all_intervals[-1]


def _symbol_document(history: SymbolHistory) -> dict[str, object]:
    return {
        "market": str(history.series.market),
        "data_type": history.series.data_type,
        "symbol": history.series.symbol,
        "interval": history.series.interval,
        "first_day": str(history.first_day),
        "last_day": str(history.last_day),
        "days": dayset.count(history.days),
        "answer": history.answer,
        "reused": bool(history.gaps),
        "gaps": [[str(gap.start), str(gap.end)] for gap in history.gaps],
    }
