"""Coverage: per series and day, what is on disk, what is available, and why the rest is missing."""

from __future__ import annotations

import json
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.keys import is_symbol
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.symbols import is_glob
from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import ExitCode
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport, selection_document
from crypto_archive.jobs.run import Run
from crypto_archive.model import SIDECAR_SUFFIX, Absence, DateRange, Series, Topic, Verdict
from crypto_archive.plan.availability import ObjectDays, series_coverage, total, within
from crypto_archive.plan.candidates import add_object, expected_days, listed_days, whole
from crypto_archive.plan.selection import matching, passes, select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk
from crypto_archive.root.session import root_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from contextlib import AbstractContextManager

    from crypto_archive.catalog.days import Days
    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.run_config import Request, RunConfig, Selection
    from crypto_archive.model import Market, Notice, OnNotice
    from crypto_archive.plan.availability import DayCounts, SeriesCoverage
    from crypto_archive.plan.selection import ResolvedSelection, SeriesGroup
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.store import Root


def coverage(
    configured: RunConfig, *, on_notice: Callable[[Notice], None] = lambda _: None, today: date | None = None
) -> CoverageReport:
    """Return what is on disk of a selection, what the archive has, and why the rest is missing, series by series.

    Args:
        configured: What is asked about, and where the archive root is; it need not exist.
        on_notice: Takes what there is to say, as it comes up; the report has it, too.
        today: The current UTC day; read from the clock when not given.

    Raises:
        EndpointUnreachable: The listing failed.
        RootUnusable: A folder of the archive root cannot be read.

    Example:
        >>> from crypto_archive import coverage, load_preset
        >>> wanted = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-15", end="2025-07-16")
        >>> found = coverage(wanted)
        >>> [str(one.series.symbol) for one in found.series]
        ['BTCUSDT']
    """
    return Run(covering(configured, on_notice=on_notice, today=today)).finish()


SELECTED = ("markets", "data_types", "symbols", "intervals", "start", "end", "discovery")
"""The fields of a selection that decide what a coverage shows."""


@dataclass(eq=False, repr=False)
class CoverageReport(JobReport):
    """What ``coverage`` found, per series: the days on disk, the days in the archive, and why the rest is missing.

    ``status`` is ``success``, or ``empty`` if nothing of the selection is in the archive or on disk; ``document()`` is
    the JSON document of ``docs/coverage.schema.json``. A series takes a few hundred bytes, however many objects it has.

    Attributes:
        request: What was asked about.
        matrix_version: The edition of the matrix.
        today: The UTC day on which it was asked.
        series: The coverage of every series, in the order of the selection.
        notices: What a person should know about the selection.
        generated_at: When it was asked, UTC.

    Example:
        >>> from crypto_archive import coverage, load_preset
        >>> config = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-15", end="2025-07-16")
        >>> report = coverage(config)
        >>> report.status, report.counts().days, report["totals"]["stored"]
        ('success', 2, 0)
    """

    request: Request
    matrix_version: str
    today: date
    series: list[SeriesCoverage] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    generated_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def add(self, series: SeriesCoverage) -> None:
        """Take in the coverage of one more series; those of one market and data type come one after the other."""
        self.series.append(series)

    @property
    def root(self) -> str:
        """The archive root that was looked at, as an absolute path."""
        return str(self.request.root.absolute())

    @property
    def groups(self) -> list[tuple[Market, str, list[SeriesCoverage]]]:
        """The series by market and data type, in their order."""
        by_row = groupby(self.series, key=lambda one: (one.series.market, one.series.data_type))
        return [(market, data_type, list(series)) for (market, data_type), series in by_row]

    def counts(self) -> DayCounts:
        """Count the days of all series; a day counts once for each series."""
        return total(one.counts() for one in self.series)

    def _result(self) -> tuple[str, ExitCode]:
        any_days = any(one.stored or one.listed for one in self.series)
        return ("success", ExitCode.OK) if any_days else ("empty", ExitCode.PARTIAL)

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/coverage.schema.json`` describes it."""
        return self._head() | {"series": [_series_document(one) for one in self.series]}

    def json_text(self) -> Iterator[str]:
        """Yield the document as JSON text, one line per series, so that it is never in memory as a whole."""
        head = json.dumps(self._head(), indent=2, ensure_ascii=False)
        yield head.removesuffix("\n}") + ',\n  "series": ['
        separator = "\n    "
        for one in self.series:
            yield separator + json.dumps(_series_document(one), ensure_ascii=False)
            separator = ",\n    "
        yield "\n  ]\n}\n" if self.series else "]\n}\n"

    def _head(self) -> dict[str, object]:
        access, selection = self.request.access, selection_document(self.request)
        return {
            "schema_version": SCHEMA_VERSION,
            "generated_at": self.generated_at.isoformat(),
            "output_directory": self.root,
            "source": {"endpoint_url": access.endpoint_url, "bucket": access.bucket},
            "selection": {name: selection[name] for name in SELECTED},
            "totals": {"series": len(self.series), **counts_document(self.counts())},
            "by_market_and_type": [
                {
                    "market": str(market),
                    "data_type": data_type,
                    "series": len(series),
                    **counts_document(total(one.counts() for one in series)),
                }
                for market, data_type, series in self.groups
            ],
            "notices": [notice.text for notice in self.notices],
            "versions": {"crypto_archive": __version__, "matrix": self.matrix_version},
        }


def counts_document(counts: DayCounts) -> dict[str, object]:
    """Return counts of days as a document."""
    return {
        "days": counts.days,
        "stored": counts.stored,
        "listed": counts.listed,
        "to_fetch": counts.to_fetch,
        "missing": {str(reason): days for reason, days in counts.missing.items()},
    }


def _series_document(one: SeriesCoverage) -> dict[str, object]:
    return {
        "market": str(one.series.market),
        "data_type": one.series.data_type,
        "symbol": one.series.symbol,
        "interval": one.series.interval,
        "first_day": _text(one.first_day),
        "last_day": _text(one.last_day),
        **counts_document(one.counts()),
        "holes": _stretches(one.missing.get(Absence.HOLE, dayset.NONE)),
        "months": [{"month": str(month), **counts_document(counts)} for month, counts in one.months()],
    }


def _stretches(days: Days) -> list[list[str | None]]:
    return [[_text(run.start), _text(run.end)] for run in dayset.runs(days)]


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


UNPUBLISHED = frozenset({Status.NEVER_PUBLISHED, Status.REMOVED})
"""The statuses of rows of which nothing is in the bucket."""


def covering(
    configured: RunConfig, *, on_notice: OnNotice = lambda _: None, today: date | None = None
) -> Generator[SeriesCoverage, None, CoverageReport]:
    """Look at every series of a selection, in the order of market, data type, symbol and interval; return the report.

    Series are listed as a whole, whatever dates are wanted, since only so their first and last days are known. With
    discovery by the calendar, the archive is taken to have all that the calendar allows.

    Args:
        configured: What is asked about, and where the archive root is; it need not exist.
        on_notice: Takes what the selection has to say.
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
            on_notice(notice)

    selection = select(replace(request.selection, dates=DateRange()), matrix, today)
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
    on_notice: OnNotice
    short: frozenset[str]

    def at(self, selection: ResolvedSelection) -> Iterator[SeriesCoverage]:
        """Yield the coverage of every series of a selection, row by row."""
        groups: dict[Row, list[SeriesGroup]] = {}
        for group in selection.groups:
            groups.setdefault(group.row, []).append(group)
        for row in _rows(self.request.selection, self.matrix):
            if row in groups:
                intervals = dict.fromkeys(interval for group in groups[row] for interval in group.intervals)
                yield from self._at_row(groups[row][0], tuple(intervals))
            elif row.status in UNPUBLISHED:
                yield from self._at_unpublished(row)

    def _at_row(self, group: SeriesGroup, intervals: tuple[str | None, ...]) -> Iterator[SeriesCoverage]:
        row, selection = group.row, self.request.selection
        listed = self._listed(group, intervals)
        stored = dict(_stored(self.on_disk, group, intervals, listed, self.short))
        order = {interval: place for place, interval in enumerate(row.all_intervals or (None,))}
        for series in sorted(stored, key=lambda one: (one.symbol, order.get(one.interval, 0))):
            there = listed.get(series, ObjectDays())
            yield series_coverage(series, row, there, stored[series], selection.dates, self.today)

    def _listed(self, group: SeriesGroup, intervals: tuple[str | None, ...]) -> dict[Series, ObjectDays]:
        if self.bucket is None:
            groups = whole(group, intervals, within(group.row, DateRange()))
            return expected_days(groups, self.matrix, self.today, self.on_notice)
        groups = whole(group, intervals, DateRange())
        return listed_days(groups, self.request.access, self.bucket, self.today, self.on_notice)

    def _at_unpublished(self, row: Row) -> Iterator[SeriesCoverage]:
        """Yield the named symbols of a row that the archive never published, or has removed."""
        selection = self.request.selection
        names = (row.symbol(name) for name in selection.symbols.get(row.market, ()) if not is_glob(name))
        for symbol in (name for name in dict.fromkeys(names) if passes(row.market, name, selection.filters)):
            series = Series(row.market, row.data_type, symbol)
            stored = _stored_days(self.on_disk, row, series, self.short)
            yield series_coverage(series, row, ObjectDays(), stored, selection.dates, self.today)


def _rows(selection: Selection, matrix: Matrix) -> Iterator[Row]:
    """Yield the rows of a wish, each once, in its order."""
    for market in selection.markets:
        named = (
            [matrix.row(market, name) for name in selection.data_types]
            if selection.data_types
            else matrix.rows_of(market)
        )
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
