"""The bundled matrix against the facts of the archive, and the questions that a matrix answers."""

from __future__ import annotations

import pickle
from datetime import date
from itertools import product

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog.matrix import Header, Matrix, Row, Status, TimeUnit
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.model import Market, Partition, Period, Series

SPOT, UM, CM, OPTIONS = Market
DAILY, MONTHLY = Partition
MATRIX = load_matrix()
ROWS = {(row.market, row.data_type): row for row in MATRIX.rows}
PUBLISHED = [row for row in MATRIX.rows if row.partitions]

MINUTES_TO_DAY = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
LONGER = ("3d", "1w", "1mo")

# market, data type, status, first day, last day, partitions
FACTS = [
    (SPOT, "klines", Status.ACTIVE, "2017-08-17", None, "dm"),
    (SPOT, "aggTrades", Status.ACTIVE, "2017-08-17", None, "dm"),
    (SPOT, "trades", Status.ACTIVE, "2017-08-17", None, "dm"),
    (SPOT, "bookDepth", Status.NEVER_PUBLISHED, None, None, ""),
    (SPOT, "bookTicker", Status.NEVER_PUBLISHED, None, None, ""),
    (UM, "klines", Status.ACTIVE, "2019-12-31", None, "dm"),
    (UM, "aggTrades", Status.ACTIVE, "2019-12-31", None, "dm"),
    (UM, "trades", Status.ACTIVE, "2019-09-08", None, "dm"),
    (UM, "indexPriceKlines", Status.ACTIVE, "2019-12-23", None, "dm"),
    (UM, "markPriceKlines", Status.ACTIVE, "2019-12-23", None, "dm"),
    (UM, "premiumIndexKlines", Status.ACTIVE, "2019-12-23", None, "dm"),
    (UM, "fundingRate", Status.ACTIVE, "2020-01-01", None, "m"),
    (UM, "metrics", Status.ACTIVE, "2020-09-01", None, "d"),
    (UM, "bookDepth", Status.ACTIVE, "2023-01-01", None, "d"),
    (UM, "bookTicker", Status.DISCONTINUED, "2023-05-16", "2024-03-30", "dm"),
    (UM, "liquidationSnapshot", Status.REMOVED, None, "2024-03-31", "d"),
    (CM, "klines", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "aggTrades", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "trades", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "indexPriceKlines", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "markPriceKlines", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "premiumIndexKlines", Status.ACTIVE, "2020-08-01", None, "dm"),
    (CM, "fundingRate", Status.ACTIVE, "2020-08-01", None, "m"),
    (CM, "metrics", Status.ACTIVE, "2020-09-01", None, "d"),
    (CM, "bookDepth", Status.ACTIVE, "2023-01-01", None, "d"),
    (CM, "bookTicker", Status.DISCONTINUED, "2023-05-16", "2024-10-31", "dm"),
    (CM, "liquidationSnapshot", Status.DISCONTINUED, "2023-06-25", "2024-10-14", "d"),
    (OPTIONS, "BVOLIndex", Status.ACTIVE, "2023-06-20", None, "d"),
    (OPTIONS, "EOHSummary", Status.DISCONTINUED, "2023-05-18", "2023-10-23", "d"),
]

KLINE_COLUMNS = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
AGG_TRADE_COLUMNS = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
COLUMNS = {
    (SPOT, "aggTrades"): "id,price,qty,first_id,last_id,time,is_buyer_maker,is_best_match",
    (SPOT, "trades"): "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match",
    (UM, "aggTrades"): AGG_TRADE_COLUMNS,
    (CM, "aggTrades"): AGG_TRADE_COLUMNS,
    (UM, "trades"): "id,price,qty,quote_qty,time,is_buyer_maker",
    (CM, "trades"): "id,price,qty,base_qty,time,is_buyer_maker",
}
COLUMNS_OF_TYPE = {
    "fundingRate": "calc_time,funding_interval_hours,last_funding_rate",
    "metrics": (
        "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
        "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
    ),
    "bookDepth": "timestamp,percentage,depth,notional",
    "bookTicker": "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    "liquidationSnapshot": (
        "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
        "accumulated_fill_quantity"
    ),
    "BVOLIndex": "calc_time,symbol,base_asset,quote_asset,index_value",
    "EOHSummary": (
        "date,hour,symbol,underlying,type,strike,open,high,low,close,volume_contracts,volume_usdt,best_bid_price,"
        "best_ask_price,best_bid_qty,best_ask_qty,best_buy_iv,best_sell_iv,mark_price,mark_iv,delta,gamma,vega,theta,"
        "openinterest_contracts,openinterest_usdt"
    ),
}


def named(row: Row) -> str:
    return f"{row.market}-{row.data_type}"


def test_there_are_the_28_rows_of_older_files_and_coin_margined_metrics() -> None:
    assert list(ROWS) == [(market, data_type) for market, data_type, *_ in FACTS]
    assert len(MATRIX.rows) == len(ROWS) == 29
    assert [len(MATRIX.rows_of(market)) for market in Market] == [5, 11, 11, 2]


@pytest.mark.parametrize(("market", "data_type", "status", "first", "last", "partitions"), FACTS)
def test_status_dates_and_partitions(
    market: Market, data_type: str, status: Status, first: str | None, last: str | None, partitions: str
) -> None:
    row = ROWS[market, data_type]

    assert row.status is status
    assert row.first_date == (first and date.fromisoformat(first))
    assert row.last_date == (last and date.fromisoformat(last))
    assert list(row.partitions) == [{"d": DAILY, "m": MONTHLY}[letter] for letter in partitions]


@pytest.mark.parametrize("row", MATRIX.rows, ids=named)
def test_every_row_says_more_and_from_where(row: Row) -> None:
    assert row.note.endswith(".")
    assert len(row.source) > 20


def test_what_is_doubtful_is_said() -> None:
    assert [named(row) for row in MATRIX.rows if row.doubtful] == [
        "futures_um-liquidationSnapshot", "futures_cm-liquidationSnapshot",
    ]  # fmt: skip
    [note] = MATRIX.notes
    assert "data/option/daily/trades" in note


@pytest.mark.parametrize(
    ("market", "data_type", "fact", "issue"),
    [
        (Market.OPTIONS, "BVOLIndex", "missing from 2025-12-15 to 2026-01-04", "499"),
        (UM, "aggTrades", "2026-01-11 and 2026-01-12 came a week late", "336"),
        (UM, "klines", "Monthly 1w files are reported to end with 2024-02", "443"),
        (SPOT, "klines", "BTT became BTTC and NANO became XNO", "311"),
    ],
)
def test_reported_facts_come_with_their_issue(market: Market, data_type: str, fact: str, issue: str) -> None:
    row = ROWS[market, data_type]
    assert fact in row.note
    assert issue in row.source


@pytest.mark.parametrize("row", MATRIX.rows, ids=named)
def test_only_the_kline_family_has_intervals(row: Row) -> None:
    family = row.data_type.lower().endswith("klines")
    seconds = ("1s",) if row.market is SPOT else ()

    assert row.has_intervals is family
    assert row.intervals(DAILY) == ((*seconds, *MINUTES_TO_DAY) if family else ())
    assert row.intervals(MONTHLY) == ((*seconds, *MINUTES_TO_DAY, *LONGER) if family else ())
    assert row.all_intervals == row.intervals(MONTHLY)


@pytest.mark.parametrize("row", PUBLISHED, ids=named)
def test_columns_header_and_time_unit(row: Row) -> None:
    found = COLUMNS.get((row.market, row.data_type), COLUMNS_OF_TYPE.get(row.data_type, KLINE_COLUMNS))
    old = row.first_date is not None and row.first_date < date(2022, 1, 1)
    text = row.data_type in {"metrics", "bookDepth", "EOHSummary"}

    assert ",".join(row.columns) == found
    if row.market is SPOT:
        assert (row.header, row.time_unit) == (Header.NEVER, TimeUnit.MICROSECONDS_SINCE_2025)
    else:
        assert row.header is (Header.SINCE_2022 if old else Header.ALWAYS)
        assert row.time_unit is (TimeUnit.TEXT if text else TimeUnit.MILLISECONDS)


@pytest.mark.parametrize(
    ("market", "data_type", "symbol", "interval", "key"),
    [
        (SPOT, "klines", "BTCUSDT", "1h", "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2023-07-15.zip"),
        (SPOT, "aggTrades", "BTCUSDT", None, "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-07-15.zip"),
        (UM, "trades", "币安人生", None, "data/futures/um/daily/trades/币安人生/币安人生-trades-2023-07-15.zip"),
        (UM, "premiumIndex", "X", "1m", "data/futures/um/daily/premiumIndexKlines/X/1m/X-1m-2023-07-15.zip"),
        (CM, "bookDepth", "X_PERP", None, "data/futures/cm/daily/bookDepth/X_PERP/X_PERP-bookDepth-2023-07-15.zip"),
        (OPTIONS, "BVOLIndex", "X", None, "data/option/daily/BVOLIndex/X/X-BVOLIndex-2023-07-15.zip"),
        (OPTIONS, "EOHSummary", "X", None, "data/option/daily/EOHSummary/X/X-EOHSummary-2023-07-15.zip"),
    ],
)
def test_objects_have_the_keys_of_the_archive(
    market: Market, data_type: str, symbol: str, interval: str | None, key: str
) -> None:
    row = MATRIX.row(market, data_type)
    assert row is not None

    item = row.object(symbol, interval, Period(DAILY, date(2023, 7, 15)))

    assert item.key == key
    assert item.series == Series(market, row.data_type, symbol, interval)
    assert MATRIX.object_of(key) == item


def test_names_aliases_and_intervals() -> None:
    premium = MATRIX.row(UM, "premiumIndexKlines")

    assert premium is not None
    assert premium is MATRIX.row(UM, "premiumIndex")
    assert premium.names == ("premiumIndexKlines", "premiumIndex")
    assert MATRIX.row(SPOT, "premiumIndex") is None
    assert MATRIX.row(SPOT, "Klines") is None
    assert len(MATRIX.data_types) == 13
    assert MATRIX.names == (*MATRIX.data_types, "premiumIndex")
    assert MATRIX.intervals == ("1s", *MINUTES_TO_DAY, *LONGER)
    assert [MATRIX.interval(word) for word in ("1M", "1m", "1mo", "7x")] == ["1mo", "1m", "1mo", "7x"]


@pytest.mark.parametrize(
    ("market", "data_type", "name", "symbol"),
    [
        (OPTIONS, "BVOLIndex", "BTC", "BTCBVOLUSDT"),
        (OPTIONS, "BVOLIndex", "ETHUSDT", "ETHBVOLUSDT"),
        (OPTIONS, "BVOLIndex", "BTCBVOLUSDT", "BTCBVOLUSDT"),
        (OPTIONS, "BVOLIndex", "*", "*"),
        (OPTIONS, "EOHSummary", "BTC", "BTCUSDT"),
        (OPTIONS, "EOHSummary", "DOGEUSDT", "DOGEUSDT"),
        (OPTIONS, "EOHSummary", "BTCBVOLUSDT", "BTCUSDT"),
        (CM, "indexPriceKlines", "BTCUSD_PERP", "BTCUSD"),
        (CM, "indexPriceKlines", "BTCUSD_250627", "BTCUSD"),
        (CM, "indexPriceKlines", "BTCUSD", "BTCUSD"),
        (CM, "klines", "BTCUSD_PERP", "BTCUSD_PERP"),
        (SPOT, "klines", "BTC", "BTC"),
    ],
)
def test_symbols_become_those_of_the_keys(market: Market, data_type: str, name: str, symbol: str) -> None:
    assert ROWS[market, data_type].symbol(name) == symbol


def test_default_symbols() -> None:
    assert {market: len(symbols) for market, symbols in MATRIX.symbols.items()} == {SPOT: 15, UM: 15, CM: 7, OPTIONS: 2}
    assert MATRIX.symbols[OPTIONS] == ("BTC", "ETH")
    assert MATRIX.symbols[SPOT][:2] == ("BTCUSDT", "ETHUSDT")
    assert all(symbol.endswith("USD_PERP") for symbol in MATRIX.symbols[CM])


@given(
    st.sampled_from(MATRIX.rows),
    st.sampled_from(["BTCUSDT", "BTCUSDT_260925", "币安人生USDT", "1000SHIBUSDT", "LUNA-SETTLED", "klines"]),
    st.dates(min_value=date(2017, 1, 1)),
    st.sampled_from(Partition),
    st.data(),
)
def test_the_object_of_a_key_is_found_again(
    row: Row, symbol: str, day: date, partition: Partition, data: st.DataObject
) -> None:
    interval = data.draw(st.sampled_from(MATRIX.intervals)) if row.has_intervals else None
    item = row.object(symbol, interval, Period.containing(day, partition))

    assert MATRIX.object_of(item.key) == item
    assert [other for other in MATRIX.rows if other.parse(item.key)] == [row]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "data/",
        "data/spot/daily/klines/",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip.CHECKSUM",
        "data2/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-trades-2025-07-15.zip",
        "data/spot/daily/nothing/BTCUSDT/BTCUSDT-nothing-2025-07-15.zip",
    ],
)
def test_other_keys_have_no_object(key: str) -> None:
    assert MATRIX.object_of(key) is None


DATES = [
    "2025-07-15", "2025-7-1", "2025-07", "2025-02-29", "2024-02-29", "+2025-07", " 2025-07-15", "２０２５-07-15",
    "2025-0_7", "2025-07-15-", "", "-", "20250715", "2025-07-15.zip", "a/2025-07-15", "1h-2025-07-15",
]  # fmt: skip
TAILS = [".zip", ".zip.CHECKSUM", "", ".ZIP", "\n.zip"]


@given(
    st.lists(
        st.builds(
            lambda row, symbol, partition, text, tail: (
                row.key_pattern.ends(partition, symbol, row.all_intervals[0] if row.has_intervals else None)[0]
                + text
                + tail
            ),
            st.sampled_from([ROWS[SPOT, "klines"], ROWS[SPOT, "trades"], ROWS[UM, "klines"]]),
            st.sampled_from(["BTCUSDT", "币安人生USDT"]),
            st.sampled_from(Partition),
            st.sampled_from(DATES),
            st.sampled_from(TAILS),
        ),
        max_size=12,
    )
)
def test_the_objects_of_many_keys_are_those_of_each(keys: list[str]) -> None:
    assert list(MATRIX.objects_of(keys)) == [MATRIX.object_of(key) for key in keys]
    assert list(MATRIX.objects_of(sorted(keys))) == [MATRIX.object_of(key) for key in sorted(keys)]


def test_objects_of_one_series_share_it() -> None:
    first, second = (ROWS[SPOT, "trades"].object("X", None, Period(DAILY, date(2025, 1, day))) for day in (1, 2))

    assert first.series is second.series


def test_a_matrix_is_loaded_once_can_be_hashed_and_can_travel_between_processes() -> None:
    assert load_matrix() is MATRIX
    assert isinstance(hash(MATRIX), int)
    copied: Matrix = pickle.loads(pickle.dumps(MATRIX))
    assert copied == MATRIX
    assert {named(row) for row in copied.rows} == {named(row) for row in MATRIX.rows}
    assert all(copied.row(market, name) == MATRIX.row(market, name) for market, name in product(Market, MATRIX.names))
