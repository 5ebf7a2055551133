"""Ready-made samples: one for tests, one for the demonstration, and one of many small objects."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from crypto_archive.model import Market, Partition, Period
from tests.archive.sample.objects import SampleObject, days, of_days, of_months
from tests.archive.sample.schemas import PUBLISHED, Published
from tests.archive.sample.writing import Defect, SampleSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPOT, UM, CM, OPTIONS = Market.SPOT, Market.FUTURES_UM, Market.FUTURES_CM, Market.OPTIONS

PAIRS = ("BTCUSDT", "ETHUSDT", "ADAUSDT")
PERPETUALS = ("BTCUSD_PERP", "ETHUSD_PERP")
VOLATILITY = ("BTCBVOLUSDT", "ETHBVOLUSDT")
_COINS = ("BTC", "ETH", "ADA", "BNB", "XRP", "SOL", "DOT", "LINK", "LTC", "BCH", "MATIC", "AVAX", "UNI", "ATOM", "FIL")
MAJORS = tuple(f"{coin}USDT" for coin in _COINS)
RESEARCH_INTERVALS = ("1m", "5m", "1h", "1d")

SMALL_FIRST_DAY = date(2025, 7, 13)
SMALL_LAST_DAY = date(2025, 7, 15)
UNPADDED_MONTH = SampleObject(
    SPOT, "klines", "ADABKRW", "1h", Period(Partition.MONTHLY, date(2020, 8, 1)), padded=False
)
NON_ASCII = "币安人生USDT"
UNUSUAL_SYMBOLS = {
    SPOT: (NON_ASCII,),
    UM: (NON_ASCII, "1000SHIBUSDT", "BTCUSDT_260925", "ICPUSDTSETTLED", "BTCSTUSDT_SETTLED", "TLMUSDTSETTLEDSETTLED"),
    CM: ("BTCUSD_250627",),
}
"""Names that the archive really has: non-ASCII, with a leading digit, dated, settled."""

_DEFECTIVE = (
    (Defect.MISSING_SIDECAR, "BTCUSDT", "12h", date(2022, 9, 20)),
    (Defect.STALE_SIDECAR, "ETHUSDT", "1d", date(2023, 2, 24)),
    (Defect.BROKEN_ZIP, "BNBUSDT", "1h", date(2022, 12, 11)),
)
DEFECTS = {
    SampleObject(SPOT, "klines", symbol, interval, Period(Partition.DAILY, day)).key: defect
    for defect, symbol, interval, day in _DEFECTIVE
}
"""The keys of the small sample that have something wrong, all of them spot klines of 2022 and 2023."""


def small() -> SampleSpec:
    """Return the sample for tests: the research selection of 2025-07-13 to 15, and one of everything unusual."""
    return SampleSpec.of(_small_objects(), DEFECTS)


def demo(last_day: date) -> SampleSpec:
    """Return all that the research preset asks for in the seven days that end on ``last_day``.

    There are two days before them too, and an object of every other row. Months that had not ended by ``last_day`` are
    missing, as they would be in the archive.
    """
    window = list(days(last_day - timedelta(days=8), last_day))
    ended = [month for month in _months_before(last_day, 2) if month.last_day <= last_day]
    funding = [month.first_day for month in ended]
    return SampleSpec.of([*_research(window, funding), *_every_row(exact_day=window[0])])


def bulk(objects: int = 2_000) -> SampleSpec:
    """Return at least so many objects of one row each: 1d klines of 15 symbols on spot and um, up to 2025-07-15."""
    count = -(-objects // (2 * len(MAJORS)))
    window = list(days(SMALL_LAST_DAY - timedelta(days=count - 1), SMALL_LAST_DAY))
    return SampleSpec.of(item for market in (SPOT, UM) for item in of_days(market, "klines", MAJORS, window, ("1d",)))


def _small_objects() -> Iterator[SampleObject]:
    window = list(days(SMALL_FIRST_DAY, SMALL_LAST_DAY))
    yield from _research(window, [date(2025, 6, 1), date(2025, 7, 1)])
    yield from _every_row()
    yield from _unusual(SMALL_LAST_DAY)
    yield from _history()
    yield from map(SampleObject.of_key, DEFECTS)
    yield UNPADDED_MONTH


def _research(window: Iterable[date], funding: Iterable[date]) -> Iterator[SampleObject]:
    window, funding = list(window), list(funding)
    for market, symbols in ((SPOT, PAIRS), (UM, PAIRS), (CM, PERPETUALS)):
        yield from of_days(market, "klines", symbols, window, RESEARCH_INTERVALS)
        yield from of_days(market, "trades", symbols, window)
        if market is not SPOT:
            yield from of_days(market, "metrics", symbols, window)
            yield from of_days(market, "bookDepth", symbols, window)
            yield from of_months(market, "fundingRate", symbols, funding)
    yield from of_days(OPTIONS, "BVOLIndex", VOLATILITY, window)


def _every_row(exact_day: date | None = None) -> Iterator[SampleObject]:
    """Yield an object of every row and partition, and of every interval unless a demonstration waits for it."""
    for row in PUBLISHED.values():
        active = row.day == SMALL_LAST_DAY
        day = exact_day if exact_day and active else row.day
        if Partition.DAILY in row.partitions:
            intervals = _shown_intervals(row, Partition.DAILY, every=exact_day is None)
            yield from of_days(row.market, row.data_type, (row.symbol,), (day,), intervals)
        if Partition.MONTHLY in row.partitions:
            month = (day.replace(day=1) - timedelta(days=1),)
            intervals = _shown_intervals(row, Partition.MONTHLY, every=exact_day is None)
            yield from of_months(row.market, row.data_type, (row.symbol,), month, intervals)


def _shown_intervals(row: Published, partition: Partition, *, every: bool) -> tuple[str, ...]:
    """Every interval of the klines where asked for, 1h and the longest otherwise.

    Months of a few minutes are those of spot alone: one of 1m has 43,200 rows.
    """
    intervals = row.intervals(partition)
    if intervals and not (every and row.data_type == "klines"):
        return "1h", intervals[-1]
    if partition is Partition.MONTHLY and row.market is not SPOT:
        return tuple(one for one in intervals if one not in {"1m", "3m", "5m"})
    return intervals


def _unusual(day: date) -> Iterator[SampleObject]:
    for market, symbols in UNUSUAL_SYMBOLS.items():
        yield from of_days(market, "klines", symbols, (day,), ("1h",))
    yield from of_days(UM, "metrics", (NON_ASCII,), (day,))


def _history() -> Iterator[SampleObject]:
    """Yield what changed its form over time: spot's time unit in 2025, futures' headers in 2022, doubled metrics."""
    turn = (date(2024, 12, 31), date(2025, 1, 1))
    for market in (SPOT, UM):
        yield from of_days(market, "klines", ("BTCUSDT",), turn, ("1h",))
        yield from of_months(market, "klines", ("BTCUSDT",), turn, ("1h",))
        yield from of_days(market, "trades", ("BTCUSDT",), turn)
        yield from of_days(market, "aggTrades", ("BTCUSDT",), turn)
    old = (date(2021, 6, 1),)
    yield from of_days(UM, "klines", ("BTCUSDT",), old, ("1h",))
    yield from of_days(UM, "trades", ("BTCUSDT",), old)
    yield from of_days(CM, "klines", ("BTCUSD_PERP",), old, ("1h",))
    yield from of_days(UM, "metrics", ("BTCUSDT",), (date(2021, 5, 10),))


def _months_before(day: date, count: int) -> Iterator[Period]:
    """Yield the month of a day, and so many before it."""
    month = Period.containing(day, Partition.MONTHLY)
    for _ in range(count + 1):
        yield month
        month = Period.containing(month.first_day - timedelta(days=1), Partition.MONTHLY)
