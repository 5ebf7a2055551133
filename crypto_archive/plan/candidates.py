"""The objects that a selection may consist of: by the calendar, or as the bucket lists them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.symbols import is_glob
from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import Candidate, DateRange, Notice, Partition, Topic
from crypto_archive.plan.availability import ObjectDays, periods, whole_months
from crypto_archive.plan.prefixes import chunked, scopes, span_of
from crypto_archive.plan.reading import Reading
from crypto_archive.plan.selection import ResolvedSelection, resolve, resolve_offline, select
from crypto_archive.root.listing import open_listing

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import date

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import Access, RunConfig
    from crypto_archive.model import ArchiveObject, OnNotice, Series
    from crypto_archive.plan.prefixes import Span
    from crypto_archive.plan.reading import KnownShort, Listing
    from crypto_archive.plan.selection import SeriesGroup
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.store import Root


def by_calendar(group: SeriesGroup, known: Iterable[str], today: date, on_notice: OnNotice) -> Iterator[Candidate]:
    """Yield every object that the calendar allows, without asking anybody.

    Args:
        group: The series; where it consolidates, only its daily objects are given.
        known: The symbols that globs are matched against.
        today: The current UTC day.
        on_notice: Takes a notice when filters leave no symbol.
    """
    for symbol in resolve_offline(group, known, on_notice):
        for interval in group.intervals:
            for period in periods(group.partition, group.dates, today):
                yield Candidate(group.row.object(symbol, interval, period))


def by_listing(
    group: SeriesGroup, today: date, listing: Listing, on_notice: OnNotice, known_short: KnownShort = lambda *_: False
) -> Iterator[Candidate]:
    """Yield the objects that the bucket lists, with their sizes, ETags and times, each once, series by series.

    What the listing says is not believed to be an answer to what was asked: objects of other series are left out.
    Recent days that a living series lacks are yielded too, as objects to wait for.

    Args:
        group: The series.
        today: The current UTC day.
        listing: Lists the bucket.
        on_notice: Takes a notice for each series without any object.
        known_short: Knows monthly objects that were found to lack rows.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    spans = _spans(group, today)
    if not spans:
        return
    list_folders = cache(partial(_folders, group, tuple(spans), listing))
    symbols = resolve(group, list_folders, _unless_cut_short(on_notice, listing))
    folders = len(list_folders()) if any(map(is_glob, group.symbols)) else None
    reading = Reading(group, spans, known_short, on_notice, today, list_folders)
    for chunk in chunked(scopes(group, spans, symbols, folders)):
        prefixes = [prefix for scope in chunk for some in scope.prefixes.values() for prefix in some]
        if len(prefixes) > 1:
            listing.prepare(prefixes)
        for scope in chunk:
            yield from reading.of(scope, listing)
            if listing.is_cut_short:
                return
    for notice in reading.remarks():
        on_notice(notice)


def _spans(group: SeriesGroup, today: date) -> dict[Partition, Span]:
    """Return the wanted periods by partition; whole months first, where their objects may stand for their days."""
    days = span_of(group, group.partition, today)
    if days is None:
        return {}
    months = whole_months(group.row, group.dates, today) if group.consolidates else None
    if months is None:
        return {group.partition: days}
    whole = replace(group, dates=DateRange(months[0].first_day, months[1].last_day))
    of_months = span_of(whole, Partition.MONTHLY, today)
    return {Partition.MONTHLY: of_months, group.partition: days} if of_months else {group.partition: days}


def _folders(group: SeriesGroup, partitions: Iterable[Partition], listing: Listing) -> tuple[str, ...]:
    """Return the names of all folders of symbols, each once; a symbol may be published in one partition only."""
    prefixes = (group.row.key_pattern.symbols_prefix(partition) for partition in partitions)
    return tuple(dict.fromkeys(name for prefix in prefixes for name in listing.folders(prefix)))


def _unless_cut_short(on_notice: OnNotice, listing: Listing) -> OnNotice:
    """Return the same, but silent once the listing was cancelled: what it gave proves nothing then."""
    return lambda notice: None if listing.is_cut_short else on_notice(notice)


def calendar_candidates(
    selection: ResolvedSelection, matrix: Matrix, today: date, on_notice: OnNotice
) -> Generator[Candidate, None, None]:
    """Yield every object of a selection that the calendar allows, for a plan that asks nobody.

    Globs are matched against the matrix's default symbols, since nothing else is known. For the same reason no monthly
    object takes the place of daily ones.

    Args:
        selection: What is wanted.
        matrix: What the archive can hold.
        today: The current UTC day.
        on_notice: Takes notices that come up on the way.
    """
    for group in selection.groups:
        known = default_symbols(group, matrix)
        if any(map(is_glob, group.symbols)):
            choice = "globs and filters" if group.filters else "globs"
            count = len(resolve_offline(group, known, on_notice))
            of_plan = f"{choice} match the matrix's {count} default symbols in a plan from the calendar"
            on_notice(Notice(f"{group.label}: {of_plan}"))
        if group.consolidates:
            why = "daily objects only, as the calendar does not say which monthly ones there are"
            on_notice(Notice(f"{group.label}: {why}", Topic.PLANNING))
        yield from by_calendar(group, known, today, on_notice)


def default_symbols(group: SeriesGroup, matrix: Matrix) -> tuple[str, ...]:
    """Return the default symbols of a group's market, in the form that they have in its keys."""
    return tuple(dict.fromkeys(map(group.row.symbol, matrix.symbols.get(group.row.market, ()))))


def listed_candidates(
    selection: ResolvedSelection,
    access: Access,
    listing: AbstractContextManager[Listing],
    today: date,
    on_notice: OnNotice,
    known_short: KnownShort = lambda *_: False,
) -> Generator[Candidate, None, None]:
    """Yield every object of a selection that the bucket lists, and the recent ones to wait for.

    Args:
        selection: What is wanted.
        access: How the bucket is reached, for messages.
        listing: Lists the bucket; entered and left by whoever consumes the stream.
        today: The current UTC day.
        on_notice: Takes notices that come up on the way.
        known_short: Knows monthly objects that were found to lack rows of their days.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    with listing as bucket:

        def say_unless_cut_short(notice: Notice) -> None:
            if not bucket.is_cut_short:  # a listing that was cut short proves nothing
                on_notice(notice)

        for group in selection.groups:
            silent = True
            for candidate in by_listing(group, today, bucket, say_unless_cut_short, known_short):
                silent = silent and candidate.remote is None
                yield candidate
            if silent and not bucket.is_cut_short:
                _see_that_it_is_an_archive(group, bucket, access)
        if remark := bucket.remark():
            on_notice(remark)


def _see_that_it_is_an_archive(group: SeriesGroup, listing: Listing, access: Access) -> None:
    """Tell an archive that has nothing of a group from a server that is none.

    The page of a captive portal, sent with status 200, looks to s5cmd like an empty listing (measured, v2.3.0); but an
    archive has folders.

    Raises:
        EndpointUnreachable: The server lists nothing at all, or cannot be asked.
    """
    top = group.row.key_pattern.symbols_prefix(group.partition).partition("/")[0] + "/"
    if not listing.folders(top):
        listing.invalidate()
        raise EndpointUnreachable(
            f"The server {access.endpoint_url} answers, but not as the archive: it lists nothing below {top!r} in the "
            f"bucket {access.bucket!r}",
            hint="See that no login page or proxy answers in the archive's place, and check --endpoint-url.",
        )


def whole(group: SeriesGroup, intervals: tuple[str | None, ...], dates: DateRange) -> Iterator[SeriesGroup]:
    """Yield a group for each partition that the archive publishes, whatever partition was wished for.

    Args:
        group: Gives row and symbols.
        intervals: The intervals.
        dates: The days; open ends for all that there is.
    """
    row = group.row
    for partition in (one for one in Partition if one in row.partitions):
        those = tuple(one for one in intervals if one is None or one in row.intervals(partition))
        if those:
            yield replace(group, partition=partition, intervals=those, dates=dates, consolidates=False)


def listed_days(
    groups: Iterable[SeriesGroup], access: Access, bucket: Listing, today: date, on_notice: OnNotice
) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the archive lists of the groups, by series.

    What there is to say of a partition beside the first one, such as that it does not have a symbol, is left out.

    Args:
        groups: The groups of one row, as ``whole`` makes them.
        access: How the bucket is reached, for messages.
        bucket: Lists the bucket.
        today: The current UTC day.
        on_notice: Takes notices that come up on the way.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    found: dict[Series, ObjectDays] = {}
    heard: list[Notice] = []

    def hear(notice: Notice) -> None:
        if notice != bucket.remark():  # whoever opened the listing says that, and once
            heard.append(notice)

    for place, group in enumerate(groups):
        one_group, only_bucket = ResolvedSelection((group,), ()), nullcontext(bucket)
        for candidate in listed_candidates(one_group, access, only_bucket, today, hear if not place else _ignore):
            if candidate.action is None:  # what is only awaited is not there
                add_object(found, candidate.object)
    for notice in heard:
        if not (found and notice.topic is Topic.NO_MATCH):
            on_notice(notice)
    return found


def expected_days(
    groups: Iterable[SeriesGroup], matrix: Matrix, today: date, on_notice: OnNotice
) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the calendar allows of the groups, by series; nobody is asked.

    Args:
        groups: The groups of one row, as ``whole`` makes them.
        matrix: What the archive can hold.
        today: The current UTC day.
        on_notice: Takes notices that come up on the way.
    """
    found: dict[Series, ObjectDays] = {}
    for candidate in calendar_candidates(ResolvedSelection(tuple(groups), ()), matrix, today, on_notice):
        add_object(found, candidate.object)
    return found


def add_object(found: dict[Series, ObjectDays], item: ArchiveObject) -> None:
    """Add the days of an object to those of its series."""
    days, so_far = dayset.of_period(item.period), found.get(item.series, ObjectDays())
    daily = item.period.partition is Partition.DAILY
    found[item.series] = so_far | (ObjectDays(daily=days) if daily else ObjectDays(monthly=days))


def _ignore(notice: Notice) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True)
class Source:
    """The objects that a run is about.

    Attributes:
        notices: What there is to say before the first of them.
        candidates: Yields them, given what is stored, who takes further notices, and what ends a listing early once it
            is set; to be consumed and closed in one thread.
        listing: The listing that they are read from; None where nobody is asked.
    """

    notices: tuple[Notice, ...]
    candidates: Callable[[StoredFiles, OnNotice, threading.Event], Generator[Candidate, None, None]]
    listing: BucketListing | None = None


def selected(configured: RunConfig, root: Root, today: date) -> Source:
    """Return the objects that a request selects, from the calendar or from the listing.

    Args:
        configured: What is wanted.
        root: Where listings are remembered.
        today: The current UTC day.

    Raises:
        S5cmdUnusable: The listing is asked for, and there is no s5cmd that can be used.
    """
    request, matrix = configured.request, configured.matrix
    selection = select(request.selection, matrix, today)
    notices = (*configured.notices, *selection.notices)
    if request.discovery is Discovery.CALENDAR:
        return Source(
            notices, lambda _stored, on_notice, _cancelled: calendar_candidates(selection, matrix, today, on_notice)
        )
    listing = open_listing(request, root.listings_path)

    def candidates(
        stored: StoredFiles, on_notice: OnNotice, cancelled: threading.Event
    ) -> Generator[Candidate, None, None]:
        listing.cancelled = cancelled
        return listed_candidates(selection, request.access, listing, today, on_notice, stored.is_short)

    return Source(notices, candidates, listing)


def named(objects: Iterable[ArchiveObject]) -> Source:
    """Return given objects, of which nothing more is known."""
    return Source((), lambda *_: (Candidate(item) for item in objects))
