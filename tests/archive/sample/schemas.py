"""What the archive holds, written down independently of the package's matrix: the one can be held against the other.

Columns, headers, time units and spellings are those of the files that the public archive served in 2025 and 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from crypto_archive.model import Market, Partition

MARKET_FOLDERS = {
    Market.SPOT: "spot",
    Market.FUTURES_UM: "futures/um",
    Market.FUTURES_CM: "futures/cm",
    Market.OPTIONS: "option",
}

MICROSECONDS_FROM = date(2025, 1, 1)
"""The first day whose spot files carry microseconds; before it, and on all other markets, time is in milliseconds."""

HEADERS_FROM = date(2022, 1, 1)
"""The first day whose futures files begin with a header here; the archive changed type by type through 2022."""

KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
SPOT_TRADES = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
UM_TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
CM_TRADES = "id,price,qty,base_qty,time,is_buyer_maker"
SPOT_AGG_TRADES = "id,price,qty,first_id,last_id,time,is_buyer_maker,is_best_match"
AGG_TRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
FUNDING_RATE = "calc_time,funding_interval_hours,last_funding_rate"
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
BOOK_DEPTH = "timestamp,percentage,depth,notional"
BOOK_TICKER = "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
LIQUIDATIONS = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
    "accumulated_fill_quantity"
)
BVOL_INDEX = "calc_time,symbol,base_asset,quote_asset,index_value"
EOH_SUMMARY = (
    "date,hour,symbol,underlying,type,strike,open,high,low,close,volume_contracts,volume_usdt,best_bid_price,"
    "best_ask_price,best_bid_qty,best_ask_qty,best_buy_iv,best_sell_iv,mark_price,mark_iv,delta,gamma,vega,theta,"
    "openinterest_contracts,openinterest_usdt"
)

FUTURES_DAILY = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
SPOT_DAILY = ("1s", *FUTURES_DAILY)
LONG_INTERVALS = ("3d", "1w", "1mo")


@dataclass(frozen=True, slots=True)
class Published:
    """One data type of one market as the archive publishes it.

    Attributes:
        market: The market.
        data_type: The name of its folder.
        columns: The CSV's header line.
        partitions: Daily, monthly, or both.
        symbol: A symbol that it exists for.
        day: A day that it exists for.
    """

    market: Market
    data_type: str
    columns: str
    partitions: tuple[Partition, ...] = (Partition.DAILY, Partition.MONTHLY)
    symbol: str = "BTCUSDT"
    day: date = date(2025, 7, 15)

    @property
    def has_intervals(self) -> bool:
        """Whether there is a folder an interval below the symbol's."""
        return self.data_type.lower().endswith("klines")

    def intervals(self, partition: Partition) -> tuple[str, ...]:
        """Return the intervals that the archive publishes, none where there is no interval folder."""
        if not self.has_intervals:
            return ()
        daily = SPOT_DAILY if self.market is Market.SPOT else FUTURES_DAILY
        return daily if partition is Partition.DAILY else (*daily, *LONG_INTERVALS)


def _published() -> tuple[Published, ...]:
    daily, monthly = (Partition.DAILY,), (Partition.MONTHLY,)
    spot, um, cm, option = Market.SPOT, Market.FUTURES_UM, Market.FUTURES_CM, Market.OPTIONS
    perpetual = "BTCUSD_PERP"
    return (
        Published(spot, "klines", KLINES),
        Published(spot, "aggTrades", SPOT_AGG_TRADES),
        Published(spot, "trades", SPOT_TRADES),
        Published(um, "klines", KLINES),
        Published(um, "aggTrades", AGG_TRADES),
        Published(um, "trades", UM_TRADES),
        Published(um, "indexPriceKlines", KLINES),
        Published(um, "markPriceKlines", KLINES),
        Published(um, "premiumIndexKlines", KLINES),
        Published(um, "fundingRate", FUNDING_RATE, monthly),
        Published(um, "metrics", METRICS, daily),
        Published(um, "bookDepth", BOOK_DEPTH, daily),
        Published(um, "bookTicker", BOOK_TICKER, day=date(2024, 3, 15)),
        Published(cm, "klines", KLINES, symbol=perpetual),
        Published(cm, "aggTrades", AGG_TRADES, symbol=perpetual),
        Published(cm, "trades", CM_TRADES, symbol=perpetual),
        Published(cm, "indexPriceKlines", KLINES, symbol="BTCUSD"),
        Published(cm, "markPriceKlines", KLINES, symbol=perpetual),
        Published(cm, "premiumIndexKlines", KLINES, symbol=perpetual),
        Published(cm, "fundingRate", FUNDING_RATE, monthly, symbol=perpetual),
        Published(cm, "metrics", METRICS, daily, symbol=perpetual),
        Published(cm, "bookDepth", BOOK_DEPTH, daily, symbol=perpetual),
        Published(cm, "bookTicker", BOOK_TICKER, symbol=perpetual, day=date(2024, 3, 15)),
        Published(cm, "liquidationSnapshot", LIQUIDATIONS, daily, symbol=perpetual, day=date(2024, 3, 15)),
        Published(option, "BVOLIndex", BVOL_INDEX, daily, symbol="BTCBVOLUSDT"),
        Published(option, "EOHSummary", EOH_SUMMARY, daily, day=date(2023, 10, 20)),
    )


PUBLISHED = {(row.market, row.data_type): row for row in _published()}
"""All that the bucket holds now. Missing on purpose: um liquidationSnapshot, which was removed from it, and spot
bookDepth and bookTicker, which were never in it."""


def has_header(market: Market, first_day: date) -> bool:
    """Whether a file whose first day is this one begins with a header line."""
    return market is not Market.SPOT and first_day >= HEADERS_FROM


def ticks_per_millisecond(market: Market, first_day: date) -> int:
    """Return 1000 where a file's time stamps are in microseconds, and 1 where they are in milliseconds."""
    return 1000 if market is Market.SPOT and first_day >= MICROSECONDS_FROM else 1


def booleans(market: Market) -> tuple[str, str]:
    """Return how the market's files spell false and true, in this order."""
    return ("False", "True") if market is Market.SPOT else ("false", "true")
