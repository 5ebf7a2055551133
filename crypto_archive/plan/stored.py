"""Stored objects with what the archive lists of them now: two streams in the order of their keys, merged."""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive.files import LineSorter
from crypto_archive.model import DateRange
from crypto_archive.plan.prefixes import chunked, stored_scopes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from crypto_archive.model import ArchiveObject, Market, Partition, RemoteStat
    from crypto_archive.plan.prefixes import Member
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.listing_cache import Entry
    from crypto_archive.root.session import Context

WORTH_COUNTING = 20
"""Where listing a type takes more requests, the number of its symbols is asked for: its whole folder may take fewer."""

Folder = tuple["Market", str, "Partition"]
"""The market, data type and partition of a folder of symbols."""


def listed_now(
    context: Context, objects: Iterable[ArchiveObject], listing: BucketListing
) -> Iterator[tuple[ArchiveObject, RemoteStat | None]]:
    """Yield each object once, in the order of the keys, with its entry in the listing; None where it has none.

    What is kept in memory is a line for each series, however many objects there are. A listing that is cut short ends
    the objects early.

    Args:
        context: The context of the job.
        objects: The objects, in any order.
        listing: Lists the bucket; entered by the caller.

    Raises:
        EndpointUnreachable: The listing failed.
        FileUnusable: There is no room to sort the keys.
    """
    dates: dict[Folder, dict[Member, DateRange | None]] = {}
    with LineSorter() as keys:
        for item in objects:
            if context.cancelled.is_set():
                return
            keys.add(item.key)
            _widen(dates.setdefault(_folder(item), {}), item)
        sorted_items = filter(None, map(context.matrix.object_of, keys.sorted()))
        for folder, some in groupby(sorted_items, key=_folder):
            yield from _in_folder(context, listing, folder, dates[folder], some)
            if listing.is_cut_short:
                return


def _folder(item: ArchiveObject) -> Folder:
    return item.series.market, item.series.data_type, item.period.partition


def _member(item: ArchiveObject) -> Member:
    return item.series.symbol, item.series.interval


def _widen(dates: dict[Member, DateRange | None], item: ArchiveObject) -> None:
    """Widen the dates of a series to those of an object."""
    member, period = _member(item), item.period
    known = dates.get(member, DateRange(period.first_day, period.last_day))
    if known is None or str(period) not in item.key:  # a month or day without its leading zero
        dates[member] = None
    elif known.start is not None and known.end is not None:
        dates[member] = DateRange(min(known.start, period.first_day), max(known.end, period.last_day))


def _in_folder(
    context: Context,
    listing: BucketListing,
    folder: Folder,
    dates: dict[Member, DateRange | None],
    items: Iterator[ArchiveObject],
) -> Iterator[tuple[ArchiveObject, RemoteStat | None]]:
    market, data_type, partition = folder
    row = context.matrix.row(market, data_type)
    if row is None:  # the matrix has parsed the keys by it
        return
    scopes = stored_scopes(row, partition, dates, context.today)
    if sum(scope.requests for scope in scopes) > WORTH_COUNTING:
        symbols = listing.folders(row.key_pattern.symbols_prefix(partition))
        scopes = stored_scopes(row, partition, dates, context.today, len(symbols))
    item = next(items, None)
    for chunk in chunked(scopes):
        prefixes = [prefix for scope in chunk for prefix in scope.prefixes[partition]]
        if len(prefixes) > 1:
            listing.prepare(prefixes)
        for scope in chunk:
            members = frozenset(scope.members)
            with closing(_listed(listing, scope.prefixes[partition])) as entries:
                entry = next(entries, None)
                while item is not None and _member(item) in members:
                    while entry is not None and entry.key < item.key:
                        entry = next(entries, None)
                    if listing.is_cut_short:
                        return  # what is missing from it may exist
                    yield item, entry.stat if entry is not None and entry.key == item.key else None
                    item = next(items, None)


def _listed(listing: BucketListing, prefixes: Iterable[str]) -> Generator[Entry, None, None]:
    for prefix in prefixes:
        yield from listing.objects(prefix)
