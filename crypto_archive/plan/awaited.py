"""What earlier runs of a selection waited for: it stays wanted until it comes, though the dates have moved on.

A job with ``last: 3d`` wants the month of November on the first three days of December, when it is not published yet.
Without a memory the job would never fetch it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.symbols import is_settled
from crypto_archive.model import Absence, DateRange, Notice, Topic
from crypto_archive.plan.availability import absence
from crypto_archive.plan.selection import select

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

    from crypto_archive.config.run_config import Selection
    from crypto_archive.model import ArchiveObject, Market
    from crypto_archive.plan.selection import SeriesGroup
    from crypto_archive.root.manifest import Manifest
    from crypto_archive.root.session import Context

SYMBOLS_NAMED = 50
"""Up to so many symbols are listed by name; of more, the listing of all that the selection matches may cost less."""
OBJECTS_NAMED = 3


class Earlier(NamedTuple):
    """An object that earlier runs of the selection waited for, outside its present dates.

    Attributes:
        object: The object.
        since: The day on which a run first waited for it.
        came: The day on which it was fetched; None while it is awaited.
    """

    object: ArchiveObject
    since: date
    came: date | None = None


def moves_on(dates: DateRange, today: date) -> bool:
    """Whether dates have a start and reach yesterday, so that a later run of the same selection may leave them behind.

    Of other dates later runs want the same, so that nothing has to be remembered.
    """
    return dates.start is not None and (dates.end is None or dates.end >= today - timedelta(days=1))


def wanted_by(selection: Selection, market: Market, data_type: str) -> str:
    """Return what identifies a selection of a market and data type apart from its dates: a digest."""
    own = {
        "market": market,
        "data_type": data_type,
        "symbols": sorted(selection.symbols.get(market, ())),
        "intervals": sorted(selection.intervals.get(data_type, selection.intervals.get("*", ()))),
        "partition": selection.partition,
        "quotes": sorted(selection.filters.quotes),
        "contract": selection.filters.contract,
        "settled": selection.filters.settled,
    }
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:32]


def awaited_earlier(context: Context, manifest: Manifest, *, with_came: bool = False) -> tuple[Earlier, ...]:
    """Return what earlier runs of the selection waited for and its dates have left behind, in the order of the keys.

    Dates that do not reach the present ask for themselves alone.

    Args:
        context: The context of the job.
        manifest: What the root remembers.
        with_came: Whether to return what has come of late, too.
    """
    selection, today = context.request.selection, context.today
    start = selection.dates.start
    if start is None or not moves_on(selection.dates, today):
        return ()
    found: list[Earlier] = []
    given_up: list[Earlier] = []
    for one in manifest.awaited():
        item = context.matrix.object_of(one.key)
        if item is None or item.period.last_day >= start or (one.came is not None and not with_came):
            continue
        series = item.series
        own = wanted_by(selection, series.market, series.data_type)
        if one.wanted_by == own and _selects(context, series.market, series.data_type):
            (given_up if one.is_over(today) else found).append(Earlier(item, one.since, one.came))
    report_earlier(context, "given up", given_up)
    return tuple(found)


def _selects(context: Context, market: Market, data_type: str) -> bool:
    """Whether a data type is still among those that are selected, by its name or an alias."""
    selection = context.request.selection
    rows = (context.matrix.row(market, name) for name in selection.data_types)
    named = not selection.data_types or any(row is not None and row.data_type == data_type for row in rows)
    return named and market in selection.markets


def earlier_groups(context: Context, earlier: Iterable[Earlier]) -> Iterator[SeriesGroup]:
    """Yield the groups of the selection that have awaited objects, each with the dates of those."""
    by_series = defaultdict(list)
    for item, *_ in earlier:
        row = context.matrix.row(item.series.market, item.series.data_type)
        by_series[row, item.period.partition, item.series.interval].append(item)
    if not by_series:
        return
    everything = [item for items in by_series.values() for item in items]
    selection = replace(context.request.selection, dates=_dates_of(everything))
    for group in select(context, selection).groups:
        wanted = {one: items for one in group.intervals if (items := by_series.get((group.row, group.partition, one)))}
        items = [item for some in wanted.values() for item in some]
        if items:
            named = tuple(dict.fromkeys(item.series.symbol for item in items))
            yield replace(
                group,
                symbols=named if len(named) <= SYMBOLS_NAMED else group.symbols,
                intervals=tuple(wanted),
                dates=_dates_of(items),
                consolidates=False,
            )


def why_awaited(item: ArchiveObject, context: Context) -> Absence:
    """Return why an object that earlier runs waited for is not listed yet, or never will be."""
    row = context.matrix.row(item.series.market, item.series.data_type)
    reason = absence(row, item, context.today) if row is not None else Absence.NEVER_PUBLISHED
    return Absence.DELISTED if reason is Absence.HOLE and is_settled(item.series.symbol) else reason


def report_earlier(context: Context, what: str, some: Iterable[Earlier]) -> None:
    """Report what holds for some of the objects, a notice for each data type; not of those that have come before."""
    for label, of_type in _by_type(one for one in some if one.came is None):
        context.on_notice(Notice(f"{label}: {what}: {_named(of_type)}", Topic.PLANNING))


def _by_type(some: Iterable[Earlier]) -> Iterator[tuple[str, list[Earlier]]]:
    found: defaultdict[str, list[Earlier]] = defaultdict(list)
    for one in some:
        found[f"{one.object.series.market} {one.object.series.data_type}"].append(one)
    yield from found.items()


def _named(some: list[Earlier]) -> str:
    """Return objects for people: ``BTCUSDT 2025-11, waited for since 2025-12-01``."""
    names = [
        " ".join(filter(None, (one.object.series.symbol, one.object.series.interval, str(one.object.period))))
        for one in some[:OBJECTS_NAMED]
    ]
    more = f" and {len(some) - OBJECTS_NAMED:,} more" if len(some) > OBJECTS_NAMED else ""
    return f"{', '.join(names)}{more}, waited for since {min(one.since for one in some)}"


def _dates_of(items: Collection[ArchiveObject]) -> DateRange:
    return DateRange(min(item.period.first_day for item in items), max(item.period.last_day for item in items))
