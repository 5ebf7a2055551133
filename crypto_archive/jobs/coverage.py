"""Coverage: per series and day, what is on disk, what is available, and why the rest is missing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.keys import is_symbol
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.symbols import is_glob
from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import ExitCode
from crypto_archive.events import PlanningMeter
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport, selection_document, unknown_document, unknown_symbols
from crypto_archive.model import SIDECAR_SUFFIX, Absence, DateRange, Notices, Partition, Series, Topic, Verdict
from crypto_archive.plan.availability import ObjectDays, newest_partition, series_coverage, total, within
from crypto_archive.plan.candidates import endings_of, expected_days, listed_days, whole
from crypto_archive.plan.selection import NamedSymbols, announce, matching, partitions_of, passes, select, spelled
from crypto_archive.root.listing import open_listing
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk, StoredFiles
from crypto_archive.root.session import Context
from crypto_archive.shown import Table, joined, span
from crypto_archive.text import document_of, format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.events import Planning
    from crypto_archive.model import Market, Notice
    from crypto_archive.plan.availability import DayCounts, SeriesCoverage
    from crypto_archive.plan.selection import SeriesGroup

UNPUBLISHED = frozenset({Status.NEVER_PUBLISHED, Status.REMOVED})
"""The statuses of rows of which nothing is in the bucket."""


def coverage(
    config: RunConfig,
    *,
    on_notice: Callable[[Notice], None] = lambda _: None,
    on_planning: Callable[[Planning], object] = lambda _: None,
    today: date | None = None,
) -> CoverageReport:
    """Return what is on disk of a selection, what the archive has, and why the rest is missing, series by series.

    With discovery by the calendar, the archive is assumed to have all that the calendar allows.

    Args:
        config: What is asked about, and where the archive root is; it need not exist.
        on_notice: Takes what a person should know, as it comes up; the report has it, too.
        on_planning: Takes how far planning is, a few times a second at most.
        today: The current UTC day; read from the clock when not given.

    Raises:
        S5cmdUnusable: No usable s5cmd was found for the listing.
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
    notices = Notices(on_notice, ignored=frozenset({Topic.PLANNING}))
    context = replace(Context.of(config, today=today, on_notice=notices), planning=PlanningMeter(on_planning))
    request, root = context.request, context.root
    report = CoverageReport(request, context.matrix.version)
    # Series are listed as a whole, whatever dates are wanted: only so their first and last days are known.
    is_listed = request.discovery is Discovery.LISTING
    selection = select(context, replace(request.selection, dates=DateRange()), listed=is_listed)
    for notice in (*config.notices, *selection.notices):
        notices(notice)
    groups = {row: list(of_row) for row, of_row in groupby(selection.groups, key=lambda group: group.row)}
    with ExitStack() as stack:
        manifest = stack.enter_context(Manifest(root.manifest_path, read_only=True))
        on_disk = _DaysOnDisk(KeysOnDisk(root, manifest), manifest)
        files = StoredFiles(root, manifest)
        bucket = None
        if is_listed:
            bucket = stack.enter_context(open_listing(request, root))
        names = NamedSymbols(config)
        announce(context, selection.groups)
        for row in _selected_rows(context):
            listed: dict[Series, ObjectDays] = {}
            stored: dict[Series, ObjectDays] = {}
            endings: dict[Series, Absence] = {}
            if row in groups:
                group = groups[row][0]
                intervals = tuple(dict.fromkeys(one for some in groups[row] for one in some.intervals))
                if bucket is None:
                    listed = expected_days(context, whole(group, intervals, within(row, DateRange())))
                else:
                    listed = listed_days(context, whole(group, intervals, DateRange()), bucket, names, files)
                    endings = endings_of(context, row, listed, request.selection.dates, bucket)
                order = {interval: place for place, interval in enumerate(row.all_intervals or (None,))}
                found = dict(on_disk.series(group, intervals, listed, seen=bucket is not None))
                in_order = sorted(found, key=lambda one: (one.symbol, order.get(one.interval, 0)))
                stored = {series: found[series] for series in in_order}
            elif row.status in UNPUBLISHED:
                stored = {series: on_disk.days(row, series) for series in _named_series(context, row)}
            for series, days in stored.items():
                in_archive, dates = listed.get(series, ObjectDays()), request.selection.dates
                report.add(series_coverage(
                    series, row, in_archive, days, dates, context.today, ending=endings.get(series, Absence.LATE),
                    partitions=partitions_of(row, series.interval, request.selection.partition),
                ))  # fmt: skip
        if bucket is not None:
            names.look_elsewhere(bucket)
        for notice in names.notices():
            notices(notice)
        if bucket is not None and (remark := bucket.remark()):
            notices(remark)
    report.notices = notices.kept
    return report


def _selected_rows(context: Context) -> Iterator[Row]:
    """Yield the matrix rows of a selection, each once, in its order."""
    selection, matrix = context.request.selection, context.matrix
    for market in selection.markets:
        named = (matrix.row(market, name) for name in selection.data_types)
        rows = named if selection.data_types else matrix.rows_of(market)
        yield from dict.fromkeys(row for row in rows if row is not None)


def _named_series(context: Context, row: Row) -> Iterator[Series]:
    """Yield the named symbols of a row that the archive never published, or has removed."""
    selection = context.request.selection
    names = (row.symbol(name) for name in selection.symbols.get(row.market, ()) if not is_glob(name))
    for symbol in dict.fromkeys(names):
        if passes(row.market, symbol, selection.filters):
            yield Series(row.market, row.data_type, symbol)


class _DaysOnDisk:
    """The days of the objects on disk; months that are known to lack rows of their days do not count."""

    def __init__(self, keys: KeysOnDisk, manifest: Manifest) -> None:
        self._keys = keys
        self._manifest = manifest
        self._short = frozenset(manifest.keys_with(Verdict.GAPS))

    def series(
        self, group: SeriesGroup, intervals: tuple[str | None, ...], listed: Mapping[Series, ObjectDays], *, seen: bool
    ) -> Iterator[tuple[Series, ObjectDays]]:
        """Yield the series that are named, listed or on disk, each with its days on disk.

        ``seen`` tells whether the archive was asked, so that what it lists tells what its months hold.
        """
        row = group.row
        prefixes = map(row.key_pattern.symbols_prefix, row.partitions)
        folders = {name for prefix in prefixes for name in self._keys.folders(prefix) if is_symbol(name)}
        group = spelled(group, {*folders, *(series.symbol for series in listed)})
        symbols = matching(group.symbols, sorted(folders), lambda symbol: passes(row.market, symbol, group.filters))
        named = set(symbols).intersection(group.symbols)
        asked = (Series(row.market, row.data_type, symbol, interval) for symbol in symbols for interval in intervals)
        for series in dict.fromkeys((*listed, *asked)):
            in_archive = listed.get(series, ObjectDays()) if seen else ObjectDays()
            days = self.days(row, series, in_archive) if series.symbol in folders else ObjectDays()
            if days != ObjectDays() or series in listed or series.symbol in named:
                yield series, days

    def days(self, row: Row, series: Series, listed: ObjectDays | None = None) -> ObjectDays:
        """Return the days of a series on disk."""
        found, listed = ObjectDays(), listed or ObjectDays()
        is_sole = newest_partition(row, series.interval) is Partition.MONTHLY
        for partition in row.partitions if row.has_intervals == (series.interval is not None) else ():
            prefix = row.key_pattern.series_prefix(partition, series.symbol, series.interval).rpartition("/")[0] + "/"
            looked_into = self._manifest.month_days(prefix) if partition is Partition.MONTHLY else {}
            for name in self._keys.files(prefix):
                item = None if name.endswith(SIDECAR_SUFFIX) else row.parse(prefix + name)
                if item is None or item.series != series or item.key in self._short:
                    continue
                days = dayset.of_period(item.period)
                if partition is Partition.DAILY:
                    found |= ObjectDays(daily=days)
                elif item.key in looked_into:
                    found |= ObjectDays(monthly=dayset.of_month(item.period, looked_into[item.key]))
                elif is_sole:
                    found |= ObjectDays(monthly=days)
                elif listed.known & days:
                    found |= ObjectDays(monthly=Days(days & listed.monthly), unopened=Days(days & listed.unopened))
                else:
                    found |= ObjectDays(monthly=days, unopened=days)
        return found


SELECTED = ("markets", "data_types", "symbols", "intervals", "start", "end", "discovery")
"""The fields of a selection that decide what a coverage shows."""


@dataclass(eq=False, repr=False)
class CoverageReport(JobReport):
    """What ``coverage`` found, per series: the days on disk, the days in the archive, and why the rest is missing.

    ``status`` is ``success``, ``partial`` if a named symbol does not exist, or ``empty`` if nothing of the selection is
    in the archive or on disk; ``document()`` is the JSON document of ``docs/coverage.schema.json``. A series takes a
    few hundred bytes, however many objects it has.

    Attributes:
        request: What was asked about.
        matrix_version: The edition of the matrix.
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
    series: list[SeriesCoverage] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    generated_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def add(self, series: SeriesCoverage) -> None:
        """Add the coverage of one more series; those of one market and data type follow one another."""
        self.series.append(series)

    @property
    def root(self) -> str:
        """The absolute path of the archive root."""
        return str(self.request.root.absolute())

    @property
    def groups(self) -> list[tuple[Market, str, list[SeriesCoverage]]]:
        """The series by market and data type, in their order."""
        by_row = groupby(self.series, key=lambda one: (one.series.market, one.series.data_type))
        return [(market, data_type, list(series)) for (market, data_type), series in by_row]

    def counts(self) -> DayCounts:
        """Count the days of all series; a day counts once per series."""
        return total(one.counts() for one in self.series)

    def _summary(self) -> str:
        counts = self.counts()
        days = f"{counts.stored:,} of {format_count(counts.available, 'day')} on disk"
        to_fetch = f"{counts.to_fetch:,} to fetch" if counts.to_fetch else ""
        first = min((one.first_day for one in self.series if one.first_day), default=None)
        last = max((one.last_day for one in self.series if one.last_day), default=None)
        archive = f"the archive has {span(first, last)}" if first else ""
        return joined(self.status, f"{len(self.series):,} series", days, to_fetch, archive)

    def _table(self) -> Table:
        headings = ("market", "data type", "symbol", "interval", "first day", "last day", "days", "on disk", "to fetch")
        return Table((*headings, "missing"), self.series, _cells)

    def _result(self) -> tuple[str, ExitCode]:
        if not any(one.stored or one.listed for one in self.series):
            return "empty", ExitCode.PARTIAL
        return ("partial", ExitCode.PARTIAL) if unknown_symbols(self.notices) else ("success", ExitCode.OK)

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/coverage.schema.json`` describes it."""
        return document_of(self.document_fields())

    def document_fields(self) -> Iterator[tuple[str, object]]:
        """Yield the fields of the document; the series, of which there may be very many, as an iterator."""
        yield from self._head().items()
        yield "series", map(_series_document, self.series)

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
            "unknown_symbols": unknown_document(unknown_symbols(self.notices)),
            "notices": [notice.text for notice in self.notices],
            "versions": {"crypto_archive": __version__, "matrix": self.matrix_version},
        }


def _cells(one: SeriesCoverage) -> tuple[object, ...]:
    series, counts = one.series, one.counts()
    missing = joined(*(f"{days:,} {reason}" for reason, days in counts.missing.items()))
    return (
        series.market, series.data_type, series.symbol, series.interval, one.first_day, one.last_day, counts.days,
        counts.stored, counts.to_fetch, missing,
    )  # fmt: skip


def counts_document(counts: DayCounts) -> dict[str, object]:
    """Return counts of days as a document."""
    return {
        "days": counts.days,
        "stored": counts.stored,
        "listed": counts.listed,
        "to_fetch": counts.to_fetch,
        "unopened": counts.unopened,
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
