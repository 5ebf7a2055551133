"""The objects that a group of series may consist of: by the calendar, or as the bucket lists them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from crypto_archive.model import Candidate, DateRange, Partition
from crypto_archive.planning.calendar import periods
from crypto_archive.planning.consolidation import whole_months
from crypto_archive.planning.prefixes import chunked, scopes, span_of
from crypto_archive.planning.reading import Reading
from crypto_archive.planning.symbols import resolve, resolve_offline
from crypto_archive.symbols import is_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from crypto_archive.model import Say
    from crypto_archive.planning.consolidation import KnownShort
    from crypto_archive.planning.prefixes import Span
    from crypto_archive.planning.reading import Listing
    from crypto_archive.planning.selection import SeriesGroup


def by_calendar(group: SeriesGroup, known: Iterable[str], today: date, say: Say) -> Iterator[Candidate]:
    """Yield every object that the calendar allows, without asking anybody.

    Args:
        group: The series; where it consolidates, only its daily objects are given.
        known: The symbols that globs are matched against.
        today: The current UTC day.
        say: Takes a notice when filters leave no symbol.
    """
    for symbol in resolve_offline(group, known, say):
        for interval in group.intervals:
            for period in periods(group.partition, group.dates, today):
                yield Candidate(group.row.object(symbol, interval, period))


def by_listing(
    group: SeriesGroup, today: date, listing: Listing, say: Say, known_short: KnownShort = lambda *_: False
) -> Iterator[Candidate]:
    """Yield the objects that the bucket lists, with their sizes, ETags and times, each once, series by series.

    What the listing says is not believed to be an answer to what was asked: objects of other series are left out.
    Recent days that a living series lacks are yielded too, as objects to wait for.

    Args:
        group: The series.
        today: The current UTC day.
        listing: Lists the bucket.
        say: Takes a notice for each series without any object.
        known_short: Knows monthly objects that were found to lack rows.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    spans = _spans(group, today)
    if not spans:
        return
    list_folders = cache(partial(_folders, group, tuple(spans), listing))
    symbols = resolve(group, list_folders, _unless_cut_short(say, listing))
    folders = len(list_folders()) if any(map(is_glob, group.symbols)) else None
    reading = Reading(group, spans, known_short, say, today, list_folders)
    for chunk in chunked(scopes(group, spans, symbols, folders)):
        prefixes = [prefix for scope in chunk for some in scope.prefixes.values() for prefix in some]
        if len(prefixes) > 1:
            listing.prepare(prefixes)
        for scope in chunk:
            yield from reading.of(scope, listing)
            if listing.is_cut_short:
                return
    for notice in reading.remarks():
        say(notice)


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


def _unless_cut_short(say: Say, listing: Listing) -> Say:
    """Return the same, but silent once the listing was cancelled: what it gave proves nothing then."""
    return lambda notice: None if listing.is_cut_short else say(notice)
