"""Whether a series that stops is late or has ended: what other series of its type, and of its symbol, do."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.symbols import delivery_day, is_settled
from crypto_archive.model import Absence, Notice, Partition, Series
from crypto_archive.plan.prefixes import dates_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.model import Market
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.session import Context

SAME_TIME = {Partition.DAILY: timedelta(days=1), Partition.MONTHLY: timedelta(days=31)}
"""How far apart two series may stop for the same reason."""
ENOUGH_SYMBOLS = 5
"""So many symbols of a type show by themselves whether the archive goes on; of fewer, a well-known symbol is asked."""
RECENT = timedelta(days=40)
"""How far back another series is listed, to see whether it goes on."""
SISTER_TYPE = "klines"
SISTER_INTERVALS = ("1d", "1h")


class Stop(NamedTuple):
    """A series of which more is due than there is.

    Attributes:
        series: The series.
        last: Its last day.
    """

    series: Series
    last: date


class Endings:
    """Remembers the last days of the series of a job, and lists a few more where those leave a doubt.

    Args:
        context: The context of the job.
        listing: Lists the bucket.
    """

    def __init__(self, context: Context, listing: BucketListing) -> None:
        self._context = context
        self._listing = listing
        self._of_symbol: dict[tuple[Market, str], dict[Series, date]] = defaultdict(dict)
        self._of_type: dict[tuple[Market, str, str | None], dict[str, date]] = defaultdict(dict)

    def note(self, series: Series, last: date) -> None:
        """Take in the last known day of a series, whether it goes on or not."""
        self._of_symbol[series.market, series.symbol][series] = last
        self._of_type[series.market, series.data_type, series.interval][series.symbol] = last

    def knows(self, market: Market, symbol: str) -> bool:
        """Whether the archive has another series of a symbol, as far as this job has seen."""
        return bool(self._of_symbol.get((market, symbol)))

    def of(self, row: Row, partition: Partition, stops: Sequence[Stop]) -> dict[Series, Absence]:
        """Return for each series of a row that stops what its later days are: ``late``, or ``delisted``.

        ``late`` where the archive is, or where the symbol goes on elsewhere; ``delisted`` where its name says so, or
        where its other series have ended too. Lists at most one more series per symbol, and one per type and interval.
        """
        endings: dict[Series, Absence] = {}
        doubtful: list[Stop] = []
        slack = SAME_TIME[partition]
        for interval in dict.fromkeys(stop.series.interval for stop in stops):
            of_interval = [stop for stop in stops if stop.series.interval == interval]
            late = self._outages(row, partition, interval, of_interval)
            for stop in of_interval:
                others = [
                    last
                    for other, last in self._of_symbol[row.market, stop.series.symbol].items()
                    if other != stop.series
                ]
                if has_ended_by_name(stop.series.symbol, self._context.today):
                    endings[stop.series] = Absence.DELISTED
                elif stop.last in late:
                    endings[stop.series] = Absence.LATE
                elif others:
                    lives = max(others) > stop.last + slack
                    endings[stop.series] = Absence.LATE if lives else Absence.DELISTED
                elif row.symbol_rules:  # its symbols are names of their own, so that no other series has them
                    endings[stop.series] = Absence.LATE
                else:
                    doubtful.append(stop)
        return endings | self._asked(row, doubtful, slack)

    def _outages(self, row: Row, partition: Partition, interval: str | None, stops: Sequence[Stop]) -> frozenset[date]:
        """Return the days on which series stop because the archive does."""
        lasts = self._of_type[row.market, row.data_type, interval]
        slack, late = SAME_TIME[partition], set[date]()
        for last in sorted({stop.last for stop in stops}, reverse=True):
            living = [other for other in lasts.values() if other >= last - slack]
            stopping = sum(other <= last + slack for other in living)
            if len(living) >= ENOUGH_SYMBOLS:
                is_late = 10 * stopping >= 9 * len(living)
            else:
                known = self._reference(row, partition, interval, last)
                is_late = stopping > 1 if known is None else last - slack <= known <= last + slack
            if is_late:
                late.add(last)
                what = " ".join(filter(None, (str(row.market), row.data_type, interval)))
                who = f"all {stopping:,}" if stopping == len(living) else f"{stopping:,} of {len(living):,}"
                end = f"{who} symbols stop on {last}" if stopping > 1 else f"the last day is {last}"
                self._context.on_notice(Notice(f"{what}: the archive is late: {end}"))
        return frozenset(late)

    def _reference(self, row: Row, partition: Partition, interval: str | None, last: date) -> date | None:
        """Return the last day of a well-known symbol of a type, None where the archive has none that is as new."""
        defaults = self._context.matrix.symbols.get(row.market, ())
        if not defaults:
            return None
        symbol = row.symbol(defaults[0])
        lasts = self._of_type[row.market, row.data_type, interval]
        if symbol not in lasts:
            series = Series(row.market, row.data_type, symbol, interval)
            prefixes = self._recent(row, partition, series, last - SAME_TIME[partition])
            self._listing.prepare(prefixes)
            if (found := self._last_listed(row, prefixes)) is None:
                return None
            lasts[symbol] = found
        known = lasts[symbol]
        return known if known >= last - SAME_TIME[partition] else None

    def _asked(self, row: Row, stops: Iterable[Stop], slack: timedelta) -> dict[Series, Absence]:
        """Return how series end whose symbols have no other series in the job: one more of each is listed."""
        asked: dict[Series, tuple[date, Row, tuple[str, ...]]] = {}
        endings: dict[Series, Absence] = {}
        for stop in stops:
            sister = self._sister(row, stop.series)
            if sister is None:
                endings[stop.series] = Absence.LATE
            else:
                of_sister = self._context.matrix.row(sister.market, sister.data_type) or row
                prefixes = self._recent(of_sister, Partition.DAILY, sister, stop.last + timedelta(days=1))
                asked[stop.series] = (stop.last, of_sister, prefixes)
        if wanted := [prefix for *_, some in asked.values() for prefix in some]:
            self._listing.prepare(wanted)
        for series, (last, of_sister, prefixes) in asked.items():
            found = self._last_listed(of_sister, prefixes)
            lives = found is not None and found > last + slack
            endings[series] = Absence.LATE if lives or self._listing.is_cut_short else Absence.DELISTED
        return endings

    def _sister(self, row: Row, series: Series) -> Series | None:
        """Return a series of candles that a symbol should have as long as it lives; None if its market has none."""
        of_sister = self._context.matrix.row(row.market, SISTER_TYPE)
        if of_sister is None:
            return None
        intervals = [one for one in SISTER_INTERVALS if one in of_sister.intervals(Partition.DAILY)]
        sisters = (Series(row.market, of_sister.data_type, series.symbol, interval) for interval in intervals)
        return next((sister for sister in sisters if sister != series), None)

    def _recent(self, row: Row, partition: Partition, series: Series, since: date) -> tuple[str, ...]:
        """Return the prefixes of the newest objects of a series, from a day on at the earliest."""
        prefix = row.key_pattern.series_prefix(partition, series.symbol, series.interval)
        yesterday = self._context.today - timedelta(days=1)
        dates = dates_between(row, partition, max(since, yesterday - RECENT), yesterday)
        return tuple(prefix + beginning for beginning in dates)

    def _last_listed(self, row: Row, prefixes: Iterable[str]) -> date | None:
        listed = (row.parse(entry.key) for prefix in prefixes for entry in self._listing.objects(prefix))
        return max((item.period.last_day for item in listed if item is not None), default=None)


def has_ended_by_name(symbol: str, today: date) -> bool:
    """Whether the name of a symbol says that it has ended: it is settled, or was due for delivery."""
    delivered = delivery_day(symbol)
    return is_settled(symbol) or (delivered is not None and delivered < today)
