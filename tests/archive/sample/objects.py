"""The objects of a sample: what identifies them, their keys, and when the archive would have written them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from crypto_archive.model import Market, Partition, Period
from tests.archive.sample.schemas import MARKET_FOLDERS, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUCKET = "data.binance.vision"


@dataclass(frozen=True, slots=True)
class SampleObject:
    """One zip of the sample.

    Attributes:
        market: Its market.
        data_type: Its data type, by the name of the folder.
        symbol: Its symbol.
        interval: Its interval, None where the archive has no interval folder.
        period: The day or month that it covers.
        padded: False for the one known kind of key whose month lacks the leading zero (``2020-8``).
    """

    market: Market
    data_type: str
    symbol: str
    interval: str | None
    period: Period
    padded: bool = True

    @classmethod
    def of_key(cls, key: str) -> SampleObject:
        """Return the object that stands at a key of a sample.

        Raises:
            ValueError: The key is not the key of a zip that the archive could hold.
        """
        market = next((known for known, folder in MARKET_FOLDERS.items() if key.startswith(f"data/{folder}/")), None)
        parts = key.removeprefix(f"data/{MARKET_FOLDERS[market]}/").split("/") if market else []
        if market is None or len(parts) not in (4, 5) or (market, parts[1]) not in PUBLISHED:
            raise ValueError(f"{key!r} is not the key of a zip of the archive")
        partition, data_type, symbol, *interval, name = parts
        pieces = name.removesuffix(".zip").split("-")
        when = pieces[-3:] if partition == Partition.DAILY else [*pieces[-2:], "1"]
        year, month, day = (int(piece) for piece in when)
        period = Period(Partition(partition), date(year, month, day))
        item = cls(market, data_type, symbol, interval[0] if interval else None, period, padded=len(when[1]) == 2)
        if item.key != key:
            raise ValueError(f"{key!r} is not the key of a zip of the archive; {item.key!r} would be")
        return item

    @property
    def stem(self) -> str:
        """The name that zip and CSV share, without a suffix."""
        first = self.period.first_day
        when = str(self.period) if self.padded else f"{first.year}-{first.month}"
        return f"{self.symbol}-{self.interval or self.data_type}-{when}"

    @property
    def name(self) -> str:
        """The zip's file name."""
        return f"{self.stem}.zip"

    @property
    def key(self) -> str:
        """The zip's key in the bucket."""
        folders = ["data", MARKET_FOLDERS[self.market], self.period.partition, self.data_type, self.symbol]
        return "/".join([*folders, *([self.interval] if self.interval else []), self.name])

    @property
    def written_at(self) -> datetime:
        """When the archive wrote it: as the day after its period begins, UTC."""
        after = self.period.last_day + timedelta(days=1)
        return datetime(after.year, after.month, after.day, tzinfo=UTC)


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days of a span, both ends included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def of_days(
    market: Market, data_type: str, symbols: Iterable[str], when: Iterable[date], intervals: Iterable[str] = ()
) -> Iterator[SampleObject]:
    """Yield the daily objects of the symbols, intervals and days."""
    periods = [Period(Partition.DAILY, day) for day in when]
    yield from _product(market, data_type, symbols, periods, intervals)


def of_months(
    market: Market, data_type: str, symbols: Iterable[str], when: Iterable[date], intervals: Iterable[str] = ()
) -> Iterator[SampleObject]:
    """Yield the monthly objects of the symbols, intervals and of the months that the days fall into."""
    periods = sorted({Period.containing(day, Partition.MONTHLY) for day in when})
    yield from _product(market, data_type, symbols, periods, intervals)


def _product(
    market: Market, data_type: str, symbols: Iterable[str], periods: list[Period], intervals: Iterable[str]
) -> Iterator[SampleObject]:
    row = PUBLISHED[market, data_type]
    chosen = tuple(intervals) or (None,)
    for period in periods:
        published = row.intervals(period.partition) or (None,)
        if period.partition not in row.partitions or not set(chosen) <= set(published):
            raise ValueError(f"the archive has no {period.partition} {market} {data_type} of {chosen}")
    for symbol in symbols:
        for interval in chosen:
            for period in periods:
                yield SampleObject(market, data_type, symbol, interval, period)
