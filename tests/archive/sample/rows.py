"""The CSV of one object: true schema, true number of rows where that is cheap, figures drawn from its key alone.

The rows of a month are those of its days, one day after the other, wherever the archive has both. A file holds the
archive's true number of rows for klines of 1m and longer, for metrics (288 a day, each twice before 2021-05-20) and for
funding rates (3 a day). The others would take too long for a sample: unless ``full_rows`` is asked for, klines of 1s
stop after ``MOST_SECONDS`` rows a day, bookDepth has a snapshot every ten minutes in place of every 30 seconds, and
BVOLIndex a value a minute in place of a second. Trades, book tickers, liquidations and option summaries have no true
number; they have some hundred rows a day at most.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from crypto_archive.model import Market, Partition, Period
from tests.archive.sample.objects import days
from tests.archive.sample.schemas import PUBLISHED, booleans, has_header, ticks_per_millisecond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.archive.sample.objects import SampleObject

MOST_SECONDS = 240
DAY_MS = 86_400_000
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, where the weeks of the archive count from
_METRICS_ONCE_FROM = date(2021, 5, 20)
_TWELVE_BANDS_FROM = date(2026, 1, 15)


def csv_text(item: SampleObject, *, revision: int = 0, full_rows: bool = False, of_days: int | None = None) -> str:
    """Return the CSV of an object; another revision gives other figures, and the same arguments give the same text.

    Args:
        item: The object.
        revision: 0 for what the archive published first.
        full_rows: Write as many rows as the archive's files have.
        of_days: How many days of a month to write, from its first on; None for all of them.
    """
    parts = [item] if of_days is None else []
    if is_made_of_days(item):
        parts = list(islice(_days_of(item), of_days))
    lines = [PUBLISHED[item.market, item.data_type].columns] if has_header(item.market, item.period.first_day) else []
    for part in parts:
        lines += _WRITERS[part.data_type](_Draft(part, _generator(part, revision), full_rows))
    return "\n".join(lines) + "\n"


def is_made_of_days(item: SampleObject) -> bool:
    """Whether an object is a month whose rows are those of its days' objects, one day after the other."""
    published = PUBLISHED[item.market, item.data_type]
    return (
        item.period.partition is Partition.MONTHLY
        and Partition.DAILY in published.partitions
        and (item.interval is None or item.interval in published.intervals(Partition.DAILY))
    )


def _days_of(month: SampleObject) -> Iterator[SampleObject]:
    for day in days(month.period.first_day, month.period.last_day):
        yield replace(month, period=Period(Partition.DAILY, day), padded=True)


def _generator(item: SampleObject, revision: int) -> random.Random:
    return random.Random(hashlib.sha256(f"{item.key}#{revision}".encode()).digest())


@dataclass(frozen=True, slots=True)
class _Draft:
    """What the writers of rows need: the object, its own source of chance, and whether to write all rows."""

    item: SampleObject
    chance: random.Random
    full_rows: bool

    @property
    def start_ms(self) -> int:
        return _milliseconds(self.item.period.first_day)

    @property
    def end_ms(self) -> int:
        return _milliseconds(self.item.period.last_day + timedelta(days=1))

    @property
    def ticks(self) -> int:
        return ticks_per_millisecond(self.item.market, self.item.period.first_day)

    @property
    def truth(self) -> tuple[str, str]:
        return booleans(self.item.market)

    def numbers_from(self, first: int, a_day: int) -> int:
        """Draw the number of the first row, such that numbers rise from day to day."""
        return first + self.item.period.first_day.toordinal() * a_day + self.chance.randrange(a_day // 2)

    def few(self) -> int:
        """How many rows a file has whose true number depends on the day."""
        return self.chance.randrange(80, 130)

    def moments(self, count: int) -> list[int]:
        """Draw times within the period, ascending, in the unit of the file."""
        span = range(self.start_ms * self.ticks, self.end_ms * self.ticks)
        return sorted(self.chance.choices(span, k=count))

    def prices(self) -> Iterator[float]:
        """Walk at random from one price to the next, for ever."""
        price = 20_000 + 60_000 * self.chance.random()
        while True:
            yield price
            price *= 1 + (self.chance.random() - 0.5) * 0.002


def _milliseconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000


def _timestamp(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _kline_times(draft: _Draft) -> Iterator[tuple[int, int]]:
    """Yield when each kline of the period opens, and when the one after it does, in milliseconds."""
    interval = draft.item.interval or ""
    if interval == "1mo":
        month = Period.containing(draft.item.period.first_day, Partition.MONTHLY)
        yield _milliseconds(month.first_day), _milliseconds(month.next().first_day)
        return
    step = int(interval[:-1]) * _UNITS_MS[interval[-1]]
    base = _MONDAY_MS if interval == "1w" else 0
    first = base - (base - draft.start_ms) // step * step
    for opens in range(first, draft.end_ms, step):
        yield opens, opens + step


def _klines(draft: _Draft) -> Iterator[str]:
    times = _kline_times(draft)
    if draft.item.interval == "1s" and not draft.full_rows:
        times = islice(times, MOST_SECONDS)
    write = _trade_klines if draft.item.data_type == "klines" else _index_klines
    ticks = draft.ticks
    scaled = ((opens * ticks, following * ticks - 1) for opens, following in times)
    return write(draft, scaled, pairwise(draft.prices()))


# One format for a whole row, since most of a sample's time goes into these two loops.


def _trade_klines(
    draft: _Draft, times: Iterator[tuple[int, int]], prices: Iterator[tuple[float, float]]
) -> Iterator[str]:
    price = ",%.8f" if draft.item.market is Market.SPOT else ",%.2f"
    row = f"%d{price * 4},%.8f,%d,%.8f,%d,%.8f,%.8f,0"
    chance = draft.chance.random
    for (opens, closes), (first, last) in zip(times, prices, strict=False):
        low, high = (first, last) if first < last else (last, first)
        volume = 1 + 1000 * chance()
        bought = volume * chance()
        count = 1 + int(90_000 * chance())
        yield row % (
            opens, first, high * 1.0004, low * 0.9996, last, volume, closes, volume * last, count, bought, bought * last
        )  # fmt: skip


def _index_klines(
    draft: _Draft, times: Iterator[tuple[int, int]], prices: Iterator[tuple[float, float]]
) -> Iterator[str]:
    premium = draft.item.data_type == "premiumIndexKlines"
    scale = 1e-8 if premium else 1.0
    row = "%d" + (",%.8f" if premium else ",%.2f") * 4 + ",0,%d,0,60,0,0,0"
    for (opens, closes), (first, last) in zip(times, prices, strict=False):
        low, high = (first, last) if first < last else (last, first)
        yield row % (opens, first * scale, high * 1.0004 * scale, low * 0.9996 * scale, last * scale, closes)


def _trades(draft: _Draft) -> Iterator[str]:
    spot = draft.item.market is Market.SPOT
    number = draft.numbers_from(10**9, 1_000)
    for moment, price in zip(draft.moments(draft.few()), draft.prices(), strict=False):
        number += 1
        quantity = 0.001 + draft.chance.random()
        maker = draft.truth[draft.chance.randrange(2)]
        if spot:
            yield f"{number},{price:.8f},{quantity:.8f},{price * quantity:.8f},{moment},{maker},{draft.truth[1]}"
        else:
            yield f"{number},{price:.1f},{quantity:.3f},{price * quantity:.4f},{moment},{maker}"


def _agg_trades(draft: _Draft) -> Iterator[str]:
    best = f",{draft.truth[1]}" if draft.item.market is Market.SPOT else ""
    number = draft.numbers_from(10**8, 1_000)
    trade = 3 * number
    for moment, price in zip(draft.moments(draft.few()), draft.prices(), strict=False):
        number += 1
        first, trade = trade + 1, trade + draft.chance.randrange(1, 5)
        maker = draft.truth[draft.chance.randrange(2)]
        yield f"{number},{price:.2f},{0.001 + draft.chance.random():.5f},{first},{trade},{moment},{maker}{best}"


def _funding_rate(draft: _Draft) -> Iterator[str]:
    for moment in range(draft.start_ms, draft.end_ms, DAY_MS // 3):
        rate = (draft.chance.random() - 0.4) * 0.0003
        yield f"{moment + draft.chance.randrange(9)},8,{rate:.8f}"


def _metrics(draft: _Draft) -> Iterator[str]:
    step = 5 * 60_000
    moments = list(range(draft.start_ms + step, draft.end_ms + step, step))
    for index in range(0, len(moments) - 1, 7):  # the archive's rows are not in the order of time
        moments[index], moments[index + 1] = moments[index + 1], moments[index]
    copies = 1 if draft.item.period.first_day >= _METRICS_ONCE_FROM else 2
    for moment in moments:
        interest = 100_000 + 5_000 * draft.chance.random()
        ratios = ",".join(_ratio(draft) for _ in range(4))
        row = f"{_timestamp(moment)},{draft.item.symbol},{interest:.6f},{interest * 60_000:.6f},{ratios}"
        yield from [row] * copies


def _ratio(draft: _Draft) -> str:
    drawn = draft.chance.random()
    return '""' if drawn < 0.01 else f"{0.5 + 2 * drawn:.8f}"


def _book_depth(draft: _Draft) -> Iterator[str]:
    twelve = draft.item.period.first_day >= _TWELVE_BANDS_FROM
    positive = [0.2, 1, 2, 3, 4, 5] if twelve else [1, 2, 3, 4, 5]
    bands = [*(-band for band in reversed(positive)), *positive]
    step = 30_000 if draft.full_rows else 600_000
    for moment in range(draft.start_ms + 4_000, draft.end_ms, step):
        for band in bands:
            depth = abs(band) * 1_800 * (1 + draft.chance.random())
            yield f"{_timestamp(moment)},{band:.2f},{depth:.8f},{depth * 60_000:.8f}"


def _book_ticker(draft: _Draft) -> Iterator[str]:
    update = draft.numbers_from(10**12, 10**6)
    for moment, price in zip(draft.moments(draft.few()), draft.prices(), strict=False):
        update += draft.chance.randrange(1, 900)
        bid, ask = draft.chance.random() * 20, draft.chance.random() * 20
        yield f"{update},{price:.2f},{bid:.3f},{price + 0.1:.2f},{ask:.3f},{moment},{moment + 4}"


def _liquidations(draft: _Draft) -> Iterator[str]:
    for moment, price in zip(draft.moments(draft.chance.randrange(20, 60)), draft.prices(), strict=False):
        side = draft.chance.choice(("BUY", "SELL"))
        size = draft.chance.randrange(1, 900)
        row = f"{moment},{side},LIMIT,IOC,{size},{price:.1f},{price * 1.001:.1f},FILLED,{size},{size}"
        yield from (row, row)  # the archive writes each liquidation twice


def _volatility_index(draft: _Draft) -> Iterator[str]:
    symbol = draft.item.symbol
    quote = "USDT"
    step = 1_000 if draft.full_rows else 60_000
    for moment in range(draft.start_ms, draft.end_ms, step):
        value = 30 + 20 * draft.chance.random()
        yield f"{moment},{symbol},{symbol.removesuffix(quote)},{quote},{value:.4f}"


def _option_summary(draft: _Draft) -> Iterator[str]:
    base = draft.item.symbol.removesuffix("USDT")
    expiry = draft.item.period.first_day + timedelta(days=7)
    for hour in range(24):
        for strike in range(20_000, 45_000, 5_000):
            for kind in ("C", "P"):
                head = f"{draft.item.period},{hour},{base}-{expiry:%y%m%d}-{strike}-{kind},{draft.item.symbol},{kind}"
                figures = ",".join(f"{100 * draft.chance.random():.4f}" for _ in range(20))
                yield f"{head},{strike},{figures}"


_WRITERS: dict[str, Callable[[_Draft], Iterator[str]]] = {
    "klines": _klines,
    "indexPriceKlines": _klines,
    "markPriceKlines": _klines,
    "premiumIndexKlines": _klines,
    "trades": _trades,
    "aggTrades": _agg_trades,
    "fundingRate": _funding_rate,
    "metrics": _metrics,
    "bookDepth": _book_depth,
    "bookTicker": _book_ticker,
    "liquidationSnapshot": _liquidations,
    "BVOLIndex": _volatility_index,
    "EOHSummary": _option_summary,
}
