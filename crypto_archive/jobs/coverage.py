"""Coverage: what is on disk, what the archive has, and why the rest is missing, series by series; changes nothing."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crypto_archive.jobs.placing import root_of
from crypto_archive.keys import is_symbol
from crypto_archive.listings.bucket import open_listing
from crypto_archive.matrix import Status
from crypto_archive.model import SIDECAR_SUFFIX, DateRange, Series, Topic, Verdict
from crypto_archive.planning.absences import ObjectDays, series_coverage
from crypto_archive.planning.calendar import within
from crypto_archive.planning.inventory import add_object, expected_days, listed_days, whole
from crypto_archive.planning.selection import select
from crypto_archive.planning.symbols import matching, passes
from crypto_archive.report.coverage_report import CoverageReport
from crypto_archive.request import Discovery
from crypto_archive.symbols import is_glob
from crypto_archive.trust.folders import KeysOnDisk
from crypto_archive.trust.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from contextlib import AbstractContextManager

    from crypto_archive.config import Configured
    from crypto_archive.holdings import SeriesCoverage
    from crypto_archive.listings.bucket import BucketListing
    from crypto_archive.matrix import Matrix, Row
    from crypto_archive.model import Notice, Say
    from crypto_archive.planning.selection import Selection, SeriesGroup
    from crypto_archive.request import Request, Wish
    from crypto_archive.trust.store import Root

UNPUBLISHED = frozenset({Status.NEVER_PUBLISHED, Status.REMOVED})
"""The statuses of rows of which nothing is in the bucket."""


def coverage(
    configured: Configured, *, say: Say = lambda _: None, today: date | None = None
) -> Generator[SeriesCoverage, None, CoverageReport]:
    """Look at every series of a selection, in the order of market, data type, symbol and interval; return the report.

    Series are listed as a whole, whatever dates are wanted, since only so their first and last days are known. With
    discovery by the calendar, the archive is taken to have all that the calendar allows.

    Args:
        configured: What is asked about, and where the archive root is; it need not exist.
        say: Takes what the selection has to say.
        today: The current UTC day; read from the clock when not given.

    Raises:
        S5cmdUnusable: There is no s5cmd that can be used for the listing.
        EndpointUnreachable: The listing failed.
        RootUnusable: A folder of the archive root cannot be read.
    """
    request, matrix = configured.request, configured.matrix
    today = today or datetime.now(UTC).date()
    root = root_of(configured)
    report = CoverageReport(request, matrix.version, today)
    heard: set[str] = set()

    def say_once(notice: Notice) -> None:
        if notice.text not in heard and notice.topic is not Topic.PLANNING:
            heard.add(notice.text)
            report.notices.append(notice)
            say(notice)

    selection = select(replace(request.wish, dates=DateRange()), matrix, today)
    for notice in (*configured.notices, *selection.notices):
        say_once(notice)
    with ExitStack() as held:
        manifest = held.enter_context(Manifest(root.manifest_path, read_only=True))
        short = frozenset(manifest.keys_with(Verdict.GAPS))
        bucket = held.enter_context(_asking(request, root))
        for one in _Look(request, matrix, KeysOnDisk(root, manifest), bucket, today, say_once, short).at(selection):
            report.add(one)
            yield one
        if bucket is not None and (remark := bucket.remark()):
            say_once(remark)
    return report


def _asking(request: Request, root: Root) -> AbstractContextManager[BucketListing | None]:
    """Return the listing that a look at the archive reads; None for a request that asks nobody.

    Listings are remembered in the archive root, where there is one: a look makes none.

    Raises:
        S5cmdUnusable: There is no s5cmd that can be used.
    """
    if request.discovery is Discovery.CALENDAR:
        return nullcontext()
    return open_listing(request, root.listings_path if root.path.is_dir() else None)


@dataclass(frozen=True, slots=True)
class _Look:
    """What looking at a series takes; without a listing, the calendar speaks for the archive.

    The stored months in ``short`` are known to lack rows, and do not count for their days.
    """

    request: Request
    matrix: Matrix
    on_disk: KeysOnDisk
    bucket: BucketListing | None
    today: date
    say: Say
    short: frozenset[str]

    def at(self, selection: Selection) -> Iterator[SeriesCoverage]:
        """Yield the coverage of every series of a selection, row by row."""
        groups: dict[Row, list[SeriesGroup]] = {}
        for group in selection.groups:
            groups.setdefault(group.row, []).append(group)
        for row in _rows(self.request.wish, self.matrix):
            if row in groups:
                intervals = dict.fromkeys(interval for group in groups[row] for interval in group.intervals)
                yield from self._at_row(groups[row][0], tuple(intervals))
            elif row.status in UNPUBLISHED:
                yield from self._at_unpublished(row)

    def _at_row(self, group: SeriesGroup, intervals: tuple[str | None, ...]) -> Iterator[SeriesCoverage]:
        row, wish = group.row, self.request.wish
        listed = self._listed(group, intervals)
        stored = dict(_stored(self.on_disk, group, intervals, listed, self.short))
        order = {interval: place for place, interval in enumerate(row.all_intervals or (None,))}
        for series in sorted(stored, key=lambda one: (one.symbol, order.get(one.interval, 0))):
            there = listed.get(series, ObjectDays())
            yield series_coverage(series, row, there, stored[series], wish.dates, self.today)

    def _listed(self, group: SeriesGroup, intervals: tuple[str | None, ...]) -> dict[Series, ObjectDays]:
        if self.bucket is None:
            groups = whole(group, intervals, within(group.row, DateRange()))
            return expected_days(groups, self.matrix, self.today, self.say)
        groups = whole(group, intervals, DateRange())
        return listed_days(groups, self.request.access, self.bucket, self.today, self.say)

    def _at_unpublished(self, row: Row) -> Iterator[SeriesCoverage]:
        """Yield the named symbols of a row that the archive never published, or has removed."""
        wish = self.request.wish
        names = (row.symbol(name) for name in wish.symbols.get(row.market, ()) if not is_glob(name))
        for symbol in (name for name in dict.fromkeys(names) if passes(row.market, name, wish.filters)):
            series = Series(row.market, row.data_type, symbol)
            stored = _stored_days(self.on_disk, row, series, self.short)
            yield series_coverage(series, row, ObjectDays(), stored, wish.dates, self.today)


def _rows(wish: Wish, matrix: Matrix) -> Iterator[Row]:
    """Yield the rows of a wish, each once, in its order."""
    for market in wish.markets:
        named = [matrix.row(market, name) for name in wish.data_types] if wish.data_types else matrix.rows_of(market)
        yield from dict.fromkeys(row for row in named if row is not None)


def _stored(
    on_disk: KeysOnDisk,
    group: SeriesGroup,
    intervals: tuple[str | None, ...],
    listed: Iterable[Series],
    short: frozenset[str],
) -> Iterator[tuple[Series, ObjectDays]]:
    """Yield the series that are named, listed or on disk, each with what is on disk of it."""
    row = group.row
    prefixes = map(row.key_pattern.symbols_prefix, row.partitions)
    folders = {name for prefix in prefixes for name in on_disk.folders(prefix) if is_symbol(name)}
    symbols = matching(group.symbols, sorted(folders), lambda symbol: passes(row.market, symbol, group.filters))
    named = set(symbols).intersection(group.symbols)
    asked = (Series(row.market, row.data_type, symbol, interval) for symbol in symbols for interval in intervals)
    for series in dict.fromkeys((*listed, *asked)):
        objects = _stored_days(on_disk, row, series, short) if series.symbol in folders else ObjectDays()
        if objects != ObjectDays() or series in listed or series.symbol in named:
            yield series, objects


def _stored_days(on_disk: KeysOnDisk, row: Row, series: Series, short: frozenset[str]) -> ObjectDays:
    found: dict[Series, ObjectDays] = {}
    for partition in row.partitions if row.has_intervals == (series.interval is not None) else ():
        prefix = row.key_pattern.series_prefix(partition, series.symbol, series.interval).rpartition("/")[0] + "/"
        for name in on_disk.files(prefix):
            item = None if name.endswith(SIDECAR_SUFFIX) else row.parse(prefix + name)
            if item is not None and item.series == series and item.key not in short:
                add_object(found, item)
    return found.get(series, ObjectDays())
