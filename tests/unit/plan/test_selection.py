"""A selection against the matrix: what is planned, and the notice for everything that the archive does not have."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Partitioning, Selection, SymbolFilter
from crypto_archive.model import Contract, DateRange, Market, Partition
from crypto_archive.plan.selection import select
from tests.objects import a_context, bundled, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.plan.selection import ResolvedSelection

TODAY = date(2026, 11, 20)
SPOT, UM, CM, OPTIONS = Market
DAILY, MONTHLY = Partition.DAILY, Partition.MONTHLY
WHILE_ALL_WERE_PUBLISHED = DateRange(date(2023, 6, 25), date(2023, 10, 20))


class Group(NamedTuple):
    """What a test checks of a group of series."""

    name: str
    partition: Partition
    symbols: tuple[str, ...]
    intervals: tuple[str | None, ...]


def groups_of(selection: ResolvedSelection) -> list[Group]:
    return [
        Group(f"{group.row.market} {group.row.data_type}", group.partition, group.symbols, group.intervals)
        for group in selection.groups
    ]


def names_of(selection: ResolvedSelection) -> list[tuple[str, Partition]]:
    return [(group.name, group.partition) for group in groups_of(selection)]


def texts_of(selection: ResolvedSelection) -> list[str]:
    return [notice.text for notice in selection.notices]


def selected(
    market: Market,
    *data_types: str,
    symbols: tuple[str, ...] = ("X",),
    intervals: Mapping[str, tuple[str, ...]] | None = None,
    dates: DateRange = WHILE_ALL_WERE_PUBLISHED,
    partition: Partitioning = Partitioning.DAILY,
    today: date = TODAY,
) -> ResolvedSelection:
    selection = Selection((market,), data_types, {market: symbols}, intervals or {}, dates, partition)
    return select(a_context(today), selection)


def asked(market: Market, **options: object) -> ResolvedSelection:
    """The selection of options, by way of the configuration."""
    given = {"markets": [market.value], "start": "2025-06-01", "end": "2025-06-30"} | options
    configured = load_run_config([], given, today=TODAY)
    return select(a_context(TODAY), configured.request.selection)


def test_a_plain_selection_is_one_group_without_notices() -> None:
    selection = selected(SPOT, "klines", symbols=("BTCUSDT", "ETHUSDT"), intervals={"klines": ("1h", "1d")})
    assert groups_of(selection) == [Group("spot klines", DAILY, ("BTCUSDT", "ETHUSDT"), ("1h", "1d"))]
    assert texts_of(selection) == []


# What older matrix files say, against the archive


@pytest.mark.parametrize("data_type", ["bookDepth", "bookTicker"])
def test_spot_book_data_was_never_published(data_type: str) -> None:
    selection = selected(SPOT, data_type)
    assert groups_of(selection) == []
    assert texts_of(selection) == [f"spot {data_type}: never published by the archive; nothing to plan"]


def test_liquidation_snapshots_were_removed() -> None:
    selection = selected(UM, "liquidationSnapshot")
    assert groups_of(selection) == []
    assert texts_of(selection) == [
        "futures_um liquidationSnapshot: removed from the archive, last day 2024-03-31; nothing to plan"
    ]


@pytest.mark.parametrize("market", [UM, CM])
def test_premium_index_is_an_alias(market: Market) -> None:
    selection = selected(market, "premiumIndex", intervals={"premiumIndexKlines": ("1h",)})
    assert groups_of(selection) == [Group(f"{market} premiumIndexKlines", DAILY, ("X",), ("1h",))]
    assert texts_of(selection) == []


def test_intervals_may_be_given_under_the_alias() -> None:
    selection = asked(UM, data_types=["premiumIndex"], symbols=["X"], intervals={"premiumIndex": ["1h"]})
    assert groups_of(selection) == [Group("futures_um premiumIndexKlines", DAILY, ("X",), ("1h",))]


def test_a_type_asked_for_by_both_names_is_planned_once() -> None:
    selection = selected(UM, "premiumIndex", "premiumIndexKlines", intervals={"*": ("1h",)})
    assert names_of(selection) == [("futures_um premiumIndexKlines", DAILY)]


@pytest.mark.parametrize("market", [UM, CM])
def test_funding_rates_are_monthly_only(market: Market) -> None:
    selection = selected(market, "fundingRate")
    assert groups_of(selection) == [Group(f"{market} fundingRate", MONTHLY, ("X",), (None,))]
    assert texts_of(selection) == [f"{market} fundingRate: published monthly only; planning monthly objects"]
    assert texts_of(selected(market, "fundingRate", partition=Partitioning.MONTHLY)) == []


@pytest.mark.parametrize(("market", "data_type"), [(UM, "metrics"), (CM, "bookDepth"), (OPTIONS, "BVOLIndex")])
def test_what_is_daily_only_is_planned_daily(market: Market, data_type: str) -> None:
    selection = selected(market, data_type, symbols=("BTCBVOLUSDT",), partition=Partitioning.MONTHLY)
    assert names_of(selection) == [(f"{market} {data_type}", DAILY)]
    assert texts_of(selection) == [f"{market} {data_type}: published daily only; planning daily objects"]


@pytest.mark.parametrize(
    ("market", "data_type", "words"),
    [
        (UM, "bookDepth", ("1000ms", "1s", "1m")),
        (CM, "bookDepth", ("1000ms",)),
        (OPTIONS, "BVOLIndex", ("1h", "1d")),
        (UM, "trades", ("1h",)),
    ],
)
def test_intervals_of_a_type_without_intervals_are_ignored(
    market: Market, data_type: str, words: tuple[str, ...]
) -> None:
    selection = selected(market, data_type, symbols=("BTCBVOLUSDT",), intervals={data_type: words})
    assert groups_of(selection) == [Group(f"{market} {data_type}", DAILY, ("BTCBVOLUSDT",), (None,))]
    assert texts_of(selection) == [f"{market} {data_type}: has no intervals; ignoring {', '.join(words)}"]


def test_the_configuration_lets_the_old_intervals_of_book_depth_pass() -> None:
    selection = asked(UM, data_types=["bookDepth"], symbols=["X"], intervals={"bookDepth": ["1000ms"]})
    assert texts_of(selection) == ["futures_um bookDepth: has no intervals; ignoring 1000ms"]


def test_intervals_for_every_type_are_ignored_silently_by_a_type_without_intervals() -> None:
    selection = selected(UM, "trades", "klines", intervals={"*": ("1h",)})
    assert [group.intervals for group in selection.groups] == [(None,), ("1h",)]
    assert texts_of(selection) == []


@pytest.mark.parametrize("market", [SPOT, UM, CM])
def test_capital_m_is_the_month(market: Market) -> None:
    selection = asked(market, data_types=["klines"], symbols=["X"], intervals=["1M", "1mo"], partition="monthly")
    assert groups_of(selection) == [Group(f"{market} klines", MONTHLY, ("X",), ("1mo",))]
    assert texts_of(selection) == []


@pytest.mark.parametrize(
    ("market", "data_type"),
    [(UM, "klines"), (CM, "klines"), (UM, "markPriceKlines"), (CM, "premiumIndexKlines")],
)
def test_one_second_is_spot_only(market: Market, data_type: str) -> None:
    selection = selected(market, data_type, intervals={data_type: ("1s", "1m")})
    assert groups_of(selection) == [Group(f"{market} {data_type}", DAILY, ("X",), ("1m",))]
    assert texts_of(selection) == [f"{market} {data_type}: no interval 1s; nothing to plan for it"]


def test_one_second_alone_on_futures_is_nothing() -> None:
    selection = selected(UM, "klines", intervals={"klines": ("1s",)})
    assert groups_of(selection) == []
    assert texts_of(selection) == ["futures_um klines: no interval 1s; nothing to plan for it"]


def test_one_second_on_spot_is_both_daily_and_monthly() -> None:
    for partition in Partition:
        selection = selected(SPOT, "klines", intervals={"klines": ("1s",)}, partition=Partitioning(partition))
        assert groups_of(selection) == [Group("spot klines", partition, ("X",), ("1s",))]


@pytest.mark.parametrize("market", [SPOT, UM, CM])
def test_long_intervals_are_monthly_only(market: Market) -> None:
    selection = selected(market, "klines", intervals={"klines": ("3d", "1h", "1w", "1mo")})
    assert groups_of(selection) == [
        Group(f"{market} klines", DAILY, ("X",), ("1h",)),
        Group(f"{market} klines", MONTHLY, ("X",), ("3d", "1w", "1mo")),
    ]
    assert texts_of(selection) == [f"{market} klines 3d, 1w, 1mo: published monthly only; planning monthly objects"]


def test_long_intervals_alone_make_no_empty_daily_group() -> None:
    selection = selected(UM, "klines", intervals={"klines": ("1w",)})
    assert names_of(selection) == [("futures_um klines", MONTHLY)]


def test_all_intervals_of_a_month_are_monthly() -> None:
    selection = selected(SPOT, "klines", partition=Partitioning.MONTHLY)
    assert groups_of(selection) == [
        Group("spot klines", MONTHLY, ("X",), row_of(SPOT, "klines").intervals(MONTHLY)),
    ]
    assert texts_of(selection) == []


def test_coin_margined_metrics_exist() -> None:
    assert names_of(selected(CM, "metrics")) == [("futures_cm metrics", DAILY)]


@pytest.mark.parametrize("market", [UM, CM])
def test_book_ticker_is_monthly_too(market: Market) -> None:
    selection = selected(market, "bookTicker", partition=Partitioning.MONTHLY)
    assert groups_of(selection) == [Group(f"{market} bookTicker", MONTHLY, ("X",), (None,))]
    assert texts_of(selection) == []


@pytest.mark.parametrize(
    ("data_type", "symbols", "words"),
    [
        ("BVOLIndex", ("BTCBVOLUSDT", "ETHBVOLUSDT"), "BTCBVOLUSDT for BTC, ETHBVOLUSDT for ETH"),
        ("EOHSummary", ("BTCUSDT", "ETHUSDT"), "BTCUSDT for BTC, ETHUSDT for ETH"),
    ],
)
def test_the_symbols_of_options(data_type: str, symbols: tuple[str, ...], words: str) -> None:
    """BTC and ETH are what the matrix has by default, and what older presets say."""
    for asked_for in ((), ("BTC", "ETH")):
        selection = selected(OPTIONS, data_type, symbols=asked_for)
        assert groups_of(selection) == [Group(f"options {data_type}", DAILY, symbols, (None,))]
        assert texts_of(selection) == [f"options {data_type}: using {words}"]


def test_index_prices_of_coin_margined_futures_go_by_pair() -> None:
    intervals = {"*": ("1h",)}
    symbols = ("BTCUSD_PERP", "ETHUSD_250627", "BNBUSD")
    selection = selected(CM, "indexPriceKlines", "markPriceKlines", symbols=symbols, intervals=intervals)
    assert groups_of(selection) == [
        Group("futures_cm indexPriceKlines", DAILY, ("BTCUSD", "ETHUSD", "BNBUSD"), ("1h",)),
        Group("futures_cm markPriceKlines", DAILY, symbols, ("1h",)),
    ]
    assert texts_of(selection) == [
        "futures_cm indexPriceKlines: using BTCUSD for BTCUSD_PERP, ETHUSD for ETHUSD_250627"
    ]


def test_two_contracts_of_a_pair_are_planned_once() -> None:
    selection = selected(CM, "indexPriceKlines", symbols=("BTCUSD_PERP", "BTCUSD", "BTCUSD_250627"))
    assert {group.symbols for group in selection.groups} == {("BTCUSD",)}


def test_globs_are_left_for_the_plan() -> None:
    selection = selected(CM, "indexPriceKlines", symbols=("BTC*", "!*_PERP"), intervals={"*": ("1h",)})
    assert groups_of(selection)[0].symbols == ("BTC*", "!*_PERP")
    assert texts_of(selection) == []


# Dates


@pytest.mark.parametrize(
    ("market", "data_type", "last_day"),
    [
        (UM, "bookTicker", "2024-03-30"),
        (CM, "liquidationSnapshot", "2024-10-14"),
        (OPTIONS, "EOHSummary", "2023-10-23"),
    ],
)
def test_after_its_last_day_a_type_is_discontinued(market: Market, data_type: str, last_day: str) -> None:
    selection = selected(market, data_type, symbols=("BTCUSDT",), dates=DateRange(date(2025, 1, 1), None))
    assert groups_of(selection) == []
    assert texts_of(selection) == [f"{market} {data_type}: discontinued, last day {last_day}; nothing to plan"]


@pytest.mark.parametrize(
    ("market", "data_type", "end", "first_day"),
    [
        (SPOT, "klines", date(2017, 8, 16), "2017-08-17"),
        (UM, "trades", date(2019, 9, 7), "2019-09-08"),
        (CM, "bookDepth", date(2022, 12, 31), "2023-01-01"),
        (OPTIONS, "BVOLIndex", date(2016, 1, 1), "2023-06-20"),
    ],
)
def test_before_its_first_day_there_is_nothing(market: Market, data_type: str, end: date, first_day: str) -> None:
    dates = DateRange(None, end)
    selection = selected(market, data_type, symbols=("BTCBVOLUSDT",), dates=dates, intervals={"klines": ("1h",)})
    assert groups_of(selection) == []
    assert texts_of(selection) == [f"{market} {data_type}: first day {first_day}; nothing to plan"]


def test_today_is_not_over() -> None:
    selection = selected(SPOT, "trades", dates=DateRange(TODAY, TODAY))
    assert groups_of(selection) == []
    assert texts_of(selection) == ["spot trades: published daily, once the day is over; nothing to plan"]


def test_this_month_is_not_over() -> None:
    selection = selected(UM, "fundingRate", dates=DateRange(date(2026, 11, 1), None))
    assert groups_of(selection) == []
    assert texts_of(selection) == [
        "futures_um fundingRate: published monthly, once the month is over; nothing to plan",
    ]


def test_only_the_part_that_is_over_is_planned() -> None:
    dates = DateRange(date(2026, 11, 1), None)
    selection = selected(SPOT, "klines", dates=dates, intervals={"klines": ("1d", "1w")})
    assert names_of(selection) == [("spot klines", DAILY)]
    assert texts_of(selection) == ["spot klines 1w: published monthly, once the month is over; nothing to plan"]


def test_dates_are_cut_to_those_of_the_row() -> None:
    selection = selected(UM, "bookTicker", dates=DateRange())
    assert [group.dates for group in selection.groups] == [DateRange(date(2023, 5, 16), date(2024, 3, 30))]


# Markets and data types


def test_a_type_that_a_market_does_not_have() -> None:
    selection = selected(SPOT, "fundingRate", "klines", "metrics", intervals={"*": ("1h",)})
    assert names_of(selection) == [("spot klines", DAILY)]
    assert texts_of(selection) == ["spot does not have fundingRate, metrics; nothing to plan"]


def test_each_market_in_its_turn_and_each_line_once() -> None:
    selection = Selection(
        (CM, SPOT, CM), ("klines", "trades"), {CM: ("X",), SPOT: ("Y",)}, {"klines": ("1w",)}, WHILE_ALL_WERE_PUBLISHED
    )
    selection = select(a_context(TODAY), selection)
    assert [name for name, _ in names_of(selection)][:4] == [
        "futures_cm klines", "futures_cm trades", "spot klines", "spot trades",
    ]  # fmt: skip
    assert len(set(texts_of(selection))) == len(texts_of(selection)) == 2


def test_symbols_and_intervals_of_the_matrix_where_none_are_named() -> None:
    selection = select(a_context(TODAY), Selection((SPOT,), ("klines",), dates=WHILE_ALL_WERE_PUBLISHED))
    row = row_of(SPOT, "klines")
    assert groups_of(selection) == [
        Group("spot klines", DAILY, bundled().symbols[SPOT], row.intervals(DAILY)),
        Group("spot klines", MONTHLY, bundled().symbols[SPOT], ("3d", "1w", "1mo")),
    ]


def test_without_any_data_type_all_rows_of_the_market_are_wanted() -> None:
    """Each of the 29 rows is planned or reported."""
    selection = select(a_context(TODAY), Selection(tuple(Market), dates=WHILE_ALL_WERE_PUBLISHED))
    planned = {name for name, _ in names_of(selection)}
    assert Counter(name.split()[0] for name in planned) == {"spot": 3, "futures_um": 10, "futures_cm": 11, "options": 2}
    reported = [text for text in texts_of(selection) if text.endswith("nothing to plan")]
    assert reported == [
        "spot bookDepth: never published by the archive; nothing to plan",
        "spot bookTicker: never published by the archive; nothing to plan",
        "futures_um liquidationSnapshot: removed from the archive, last day 2024-03-31; nothing to plan",
    ]


WORDS = ("1s", "1m", "1h", "1d", "3d", "1w", "1mo", "1000ms")
SELECTIONS = st.builds(
    Selection,
    markets=st.lists(st.sampled_from(Market), max_size=4, unique=True).map(tuple),
    data_types=st.lists(st.sampled_from(bundled().names), max_size=6).map(tuple),
    intervals=st.dictionaries(
        st.sampled_from(["*", *bundled().data_types]),
        st.lists(st.sampled_from(WORDS), min_size=1, unique=True).map(tuple),
        max_size=3,
    ),
    dates=st.builds(
        DateRange,
        st.none() | st.dates(date(2016, 1, 1), date(2022, 1, 1)),
        st.none() | st.dates(date(2022, 1, 1), date(2027, 1, 1)),
    ),
    partition=st.sampled_from(Partitioning),
)


@given(selection=SELECTIONS)
def test_everything_selected_is_planned_or_reported(selection: Selection) -> None:
    resolved = select(a_context(TODAY), selection)
    names = {name for name, _ in names_of(resolved)}
    text = "\n".join(texts_of(resolved))
    for market in selection.markets:
        for data_type in selection.data_types:
            row = bundled().row(market, data_type)
            assert (
                f"{market} {row.data_type}" in names or f"{market} {row.data_type}:" in text
                if row
                else (data_type in text)
            )


@given(selection=SELECTIONS)
def test_groups_hold_only_what_the_matrix_publishes_and_nothing_twice(selection: Selection) -> None:
    selection = select(a_context(TODAY), selection)
    for group in selection.groups:
        assert group.partition in group.row.partitions
        assert group.symbols
        assert group.intervals
        assert set(group.intervals) <= set(group.row.intervals(group.partition) or (None,))
    series = [
        (group.row.market, group.row.data_type, group.partition, symbol, interval)
        for group in selection.groups
        for symbol in group.symbols
        for interval in group.intervals
    ]
    assert len(set(series)) == len(series)


def test_a_filter_without_symbols_means_all_and_not_the_default_ones() -> None:
    (group,) = asked(UM, data_types=["klines"], intervals=["1h"], quote_assets=["USDT"], contract="delivery").groups
    assert group.symbols == ("*",)
    assert group.filters == SymbolFilter(("USDT",), Contract.DELIVERY)
    (group,) = asked(UM, data_types=["klines"], intervals=["1h"], symbols=["BTCUSDT"], settled=False).groups
    assert (group.symbols, group.filters) == (("BTCUSDT",), SymbolFilter(settled=False))


def test_of_many_renamed_symbols_some_are_listed() -> None:
    symbols = tuple(f"COIN{number}USD_PERP" for number in range(25))
    (text,) = texts_of(selected(CM, "indexPriceKlines", symbols=symbols, intervals={"*": ("1h",)}))
    assert text.startswith("futures_cm indexPriceKlines: using COIN0USD for COIN0USD_PERP, ")
    assert text.endswith("COIN19USD for COIN19USD_PERP and 5 more")
