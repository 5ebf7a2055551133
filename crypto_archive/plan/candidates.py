"""The objects that a selection may consist of: from the calendar, or as the bucket lists them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.symbols import is_glob
from crypto_archive.config.run_config import Partitioning
from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import Absence, Action, Candidate, Notice, Notices, Partition, Topic
from crypto_archive.plan.availability import ObjectDays, newest_partition, periods, stop_of, wanted_days, whole_months
from crypto_archive.plan.awaited import earlier_groups, report_earlier, why_awaited
from crypto_archive.plan.endings import Endings, Stop
from crypto_archive.plan.selection import NamedSymbols, ResolvedSelection, announce, resolve_offline

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject, DateRange, Period, Series, SeriesDays
    from crypto_archive.plan.awaited import Earlier
    from crypto_archive.plan.selection import SeriesGroup
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context


def named_objects(objects: Iterable[ArchiveObject]) -> Generator[Candidate, None, None]:
    """Yield given objects, about which nothing more is known."""
    return (Candidate(item) for item in objects)


@dataclass(frozen=True, slots=True)
class CalendarSeries:
    """The objects of a series that the calendar allows; each is made when it is asked for.

    Attributes:
        row: The row of the series.
        partition: The partition of the objects.
        symbol: The symbol, as keys spell it.
        interval: The interval.
        dated: Their periods, oldest first, by their texts.
    """

    row: Row
    partition: Partition
    symbol: str
    interval: str | None
    dated: dict[str, Period]

    def __iter__(self) -> Iterator[ArchiveObject]:
        return self.row.objects(self.partition, self.symbol, self.interval, self.dated)


def calendar_objects(
    context: Context, selection: ResolvedSelection, earlier: Sequence[Earlier] = ()
) -> Generator[Candidate, None, None]:
    """Yield the objects of ``calendar`` one by one."""
    for some in calendar(context, selection, earlier):
        yield from map(Candidate, some) if isinstance(some, CalendarSeries) else some


def calendar(
    context: Context, selection: ResolvedSelection, earlier: Sequence[Earlier] = ()
) -> Generator[CalendarSeries | tuple[Candidate, ...], None, None]:
    """Yield every series of a selection as the calendar allows it, then what earlier runs waited for, if anything.

    Globs match the matrix's default symbols only, since no others are known. For the same reason no monthly object
    replaces daily ones.
    """
    announce(context, selection.groups)
    for group in selection.groups:
        known = default_symbols(group, context.matrix)
        if any(map(is_glob, group.symbols)):
            what = "globs and filters" if group.filters else "globs"
            count = len(resolve_offline(context, group, known))
            context.note(
                Notice(
                    f"{group.label}: without a listing, {what} match only the matrix's {count} default symbols",
                    about=("symbols", "quote_assets", "contract", "settled"),
                )
            )
        if group.consolidates and whole_months(group.row, group.dates, context.today) is not None:
            why = "planning daily objects only: the calendar does not know which monthly ones exist"
            context.note(Notice(f"{group.label}: {why}", Topic.PLANNING, about=("data_types", "partition")))
        yield from _calendar_of_group(context, group, known)
    report_earlier(context, "asking again", earlier)
    if earlier:
        yield tuple(Candidate(item, why=f"waited for since {since}", awaited_since=since) for item, since, _ in earlier)


def by_calendar(context: Context, group: SeriesGroup, known: Iterable[str]) -> Iterator[Candidate]:
    """Yield every object of a group that the calendar allows; globs match the symbols in ``known``.

    Where the group consolidates, only its daily objects are given.
    """
    for series in _calendar_of_group(context, group, known):
        yield from map(Candidate, series)


def _calendar_of_group(context: Context, group: SeriesGroup, known: Iterable[str]) -> Iterator[CalendarSeries]:
    symbols = resolve_offline(context, group, known)
    context.planning.expect(len(symbols) * len(group.intervals))
    dated = {str(period): period for period in periods(group.partition, group.dates, context.today)}
    for symbol in symbols:
        for interval in group.intervals:
            yield CalendarSeries(group.row, group.partition, symbol, interval, dated)
            context.planning.read()


def default_symbols(group: SeriesGroup, matrix: Matrix) -> tuple[str, ...]:
    """Return the default symbols of a group's market, as its keys spell them."""
    return tuple(dict.fromkeys(map(group.row.symbol, matrix.symbols.get(group.row.market, ()))))


def listed_objects(
    context: Context,
    selection: ResolvedSelection,
    stored: StoredFiles,
    listing: BucketListing,
    earlier: Sequence[Earlier] = (),
) -> Generator[Candidate, None, None]:
    """Yield every object of a selection that the bucket lists, the recent ones to wait for, and those of earlier runs.

    The listing is opened and closed by the thread that consumes the generator.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    listing.cancelled = context.cancelled
    names = NamedSymbols(context.config)
    with listing:
        endings = Endings(context, listing)
        announce(context, selection.groups)
        for group in selection.groups:
            yield from _listed_group(context, group, listing, stored, names, endings)
        names.look_elsewhere(listing)
        for notice in names.notices():
            context.on_notice(notice)
        if earlier:
            yield from _listed_earlier(context, earlier, listing, stored, endings)
        if remark := listing.remark():
            context.on_notice(remark)


def _listed_group(
    context: Context,
    group: SeriesGroup,
    listing: BucketListing,
    stored: StoredFiles | None = None,
    names: NamedSymbols | None = None,
    endings: Endings | None = None,
) -> Iterator[Candidate]:
    """Yield the objects of a group; where there are none, check that the server is an archive.

    Raises:
        EndpointUnreachable: The listing failed, or the server lists nothing at all.
    """
    from crypto_archive.plan.listed import ListedGroup

    found = False
    for candidate in ListedGroup(context, group, listing, stored, names, endings).objects():
        found = found or candidate.remote is not None
        yield candidate
    if not found and group.row.partitions:
        require_archive(context, listing, group.row.key_pattern.symbols_prefix(group.partition))


def require_archive(context: Context, listing: BucketListing, prefix: str) -> None:
    """Check that the server lists anything at all, if nothing was listed below a prefix.

    Raises:
        EndpointUnreachable: It lists nothing.
    """
    access, top = context.request.access, prefix.partition("/")[0] + "/"
    if not listing.is_cut_short and not listing.folders(top):
        listing.invalidate()
        raise EndpointUnreachable(
            f"The server {access.endpoint_url} responds, but it does not look like the archive: it lists nothing below "
            f"{top!r} in the bucket {access.bucket!r}",
            hint="Check that no login page or proxy answers in the archive's place, and check --endpoint-url.",
        )


def _listed_earlier(
    context: Context, earlier: Sequence[Earlier], listing: BucketListing, stored: StoredFiles, endings: Endings
) -> Iterator[Candidate]:
    """Yield what earlier runs waited for, as the bucket lists it now, or as what is still to wait for."""
    waiting = {one.object.key: one for one in earlier}
    found: list[Earlier] = []
    reasons: dict[str, Absence] = {}
    answered: list[SeriesDays] = []
    # What else these days lack has been reported in its time.
    quiet = replace(context, on_notice=Notices(), on_days=answered.append)
    for group in earlier_groups(context, earlier):
        for candidate in _listed_group(quiet, group, listing, stored, endings=endings):
            key = candidate.object.key
            if candidate.action is Action.WAIT:
                reasons[key] = Absence(candidate.why)
            elif (one := waiting.pop(key, None)) is not None:
                found.append(one)
                yield candidate._replace(why=f"waited for since {one.since}", awaited_since=one.since)
    if listing.is_cut_short:
        return
    report_earlier(context, "published now", found)
    by_series = {of_series.series: of_series for of_series in answered}
    for key, one in waiting.items():
        final = _final_reason(one.object, by_series.get(one.object.series))
        reasons[key] = reasons.get(key) or final or why_awaited(one.object, context)
    if context.request.selection.partition is Partitioning.AUTO:
        by_month = [one for key, one in waiting.items() if reasons[key] is Absence.MONTHLY_ONLY]
        for month, days in _months_instead(quiet, by_month, listing, stored, endings):
            since = min(one.since for one in days)
            yield month._replace(why=f"has days waited for since {since}", awaited_since=since)
            for one in days:  # waited for until their month is there
                del waiting[one.object.key]
    missing: dict[Absence, list[Earlier]] = defaultdict(list)
    for key, one in waiting.items():
        missing[reasons[key]].append(one)
    for reason, some in missing.items():
        what = f"will not be published ({reason})" if reason.is_final else "still not published"
        report_earlier(context, what, some)
        for one in some:
            yield Candidate(one.object, action=Action.WAIT, why=reason, awaited_since=one.since)


def _months_instead(
    context: Context, earlier: Sequence[Earlier], listing: BucketListing, stored: StoredFiles, endings: Endings
) -> Iterator[tuple[Candidate, list[Earlier]]]:
    """Yield the monthly objects that are not stored yet and have days for which earlier runs waited, with those."""
    for group in earlier_groups(context, earlier):
        in_months = replace(group, consolidates=True)
        for candidate in _listed_group(context, in_months, listing, stored, endings=endings):
            month = candidate.object
            first, last = month.period.first_day, month.period.last_day
            days = [
                one
                for one in earlier
                if one.object.series == month.series and first <= one.object.period.first_day <= last
            ]
            if month.period.partition is Partition.MONTHLY and days and stored.find(month.key) is None:
                yield candidate, days


def _final_reason(item: ArchiveObject, known: SeriesDays | None) -> Absence | None:
    """Return why an object will not be published any more, if what is listed of its series shows that."""
    last, over = item.period.last_day, {Absence.DELISTED, Absence.DISCONTINUED, Absence.MONTHLY_ONLY}
    absent = known.absent if known is not None else ()
    return next((one.reason for one in absent if one.reason in over and one.first <= last <= one.last), None)


def whole(group: SeriesGroup, intervals: tuple[str | None, ...], dates: DateRange) -> Iterator[SeriesGroup]:
    """Yield the groups of all that the archive publishes of a row, whatever partition is preferred."""
    row = group.row
    by_partitions: dict[frozenset[Partition], tuple[str | None, ...]] = {}
    for interval in intervals:
        partitions = frozenset(one for one in row.partitions if interval is None or interval in row.intervals(one))
        by_partitions[partitions] = (*by_partitions.get(partitions, ()), interval)
    for partitions, own in by_partitions.items():
        if partitions:
            partition = Partition.DAILY if Partition.DAILY in partitions else Partition.MONTHLY
            both = len(partitions) > 1
            yield replace(group, partition=partition, intervals=own, dates=dates, consolidates=both)


def listed_days(
    context: Context,
    groups: Iterable[SeriesGroup],
    listing: BucketListing,
    names: NamedSymbols,
    stored: StoredFiles | None = None,
) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the archive lists of the groups of one row, by series.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    from crypto_archive.plan.listed import ListedGroup

    found: dict[Series, ObjectDays] = {}
    notices = Notices()
    quiet = replace(context, on_notice=notices)
    for group in groups:
        of_group = dict(ListedGroup(quiet, group, listing, stored, names).days())
        found |= of_group
        if not of_group and group.row.partitions:
            require_archive(context, listing, group.row.key_pattern.symbols_prefix(group.partition))
        # What one more partition lacks is not worth a notice.
        quiet = replace(context, on_notice=Notices())
    for notice in notices.kept:
        if not (found and notice.topic is Topic.NO_MATCH):
            context.on_notice(notice)
    return found


def endings_of(
    context: Context, row: Row, found: Mapping[Series, ObjectDays], dates: DateRange, listing: BucketListing
) -> dict[Series, Absence]:
    """Return for each series of a row that stops before the wanted days end whether it is late or delisted.

    All its objects are known.
    """
    endings, stops = Endings(context, listing), dict[Partition, list[Stop]]()
    for series, there in found.items():
        stop = stop_of(there.known, row, series.interval, context.today)
        endings.note(series, stop or context.today - timedelta(days=1))
        if stop is not None and wanted_days(row, dates, context.today) & ~dayset.before(stop + timedelta(days=1)):
            stops.setdefault(newest_partition(row, series.interval), []).append(Stop(series, stop))
    return {
        series: ending
        for partition, of_partition in stops.items()
        for series, ending in endings.of(row, partition, of_partition).items()
    }


def expected_days(context: Context, groups: Iterable[SeriesGroup]) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the calendar allows of the groups of one row, by series."""
    found: dict[Series, ObjectDays] = {}
    for candidate in calendar_objects(context, ResolvedSelection(tuple(groups), ())):
        add_object(found, candidate.object)
    return found


def add_object(found: dict[Series, ObjectDays], item: ArchiveObject) -> None:
    """Add the days of an object to those of its series."""
    days, so_far = dayset.of_period(item.period), found.get(item.series, ObjectDays())
    daily = item.period.partition is Partition.DAILY
    found[item.series] = so_far | (ObjectDays(daily=days) if daily else ObjectDays(monthly=days))
