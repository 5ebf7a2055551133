"""What a symbol's name says of its pair, its quote asset, its contract, and whether it was settled."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog.symbols import QUOTE_ASSETS, contract_of, is_settled, pair_of, quote_of
from crypto_archive.model import Contract, Market

SPOT, UM, CM, OPTIONS = Market.SPOT, Market.FUTURES_UM, Market.FUTURES_CM, Market.OPTIONS
PERPETUAL, DELIVERY = Contract.PERPETUAL, Contract.DELIVERY


@pytest.mark.parametrize(
    ("market", "symbol", "pair", "quote", "contract", "settled"),
    [
        (SPOT, "BTCUSDT", "BTCUSDT", "USDT", None, False),
        (SPOT, "币安人生USDT", "币安人生USDT", "USDT", None, False),
        (SPOT, "BTCFDUSD", "BTCFDUSD", "FDUSD", None, False),
        (SPOT, "XRPRLUSD", "XRPRLUSD", "RLUSD", None, False),
        (SPOT, "BTCU", "BTCU", "U", None, False),
        (SPOT, "EUREURI", "EUREURI", "EURI", None, False),
        (SPOT, "USDTBIDR", "USDTBIDR", "BIDR", None, False),
        (UM, "BTCUSDT", "BTCUSDT", "USDT", PERPETUAL, False),
        (UM, "ETHBTC", "ETHBTC", "BTC", PERPETUAL, False),
        (UM, "BTCUSDT_260925", "BTCUSDT", "USDT", DELIVERY, False),
        (UM, "ICPUSDTSETTLED", "ICPUSDT", "USDT", PERPETUAL, True),
        (UM, "BTCSTUSDT_SETTLED", "BTCSTUSDT", "USDT", PERPETUAL, True),
        (UM, "TLMUSDTSETTLEDSETTLED", "TLMUSDT", "USDT", PERPETUAL, True),
        (UM, "BTCUSDT_210625_SETTLED", "BTCUSDT", "USDT", DELIVERY, True),
        (CM, "BTCUSD_PERP", "BTCUSD", "USD", PERPETUAL, False),
        (CM, "BTCUSD_250627", "BTCUSD", "USD", DELIVERY, False),
        (CM, "BTCUSD", "BTCUSD", "USD", None, False),
        (OPTIONS, "BTCBVOLUSDT", "BTCBVOLUSDT", "USDT", None, False),
    ],
)
def test_what_real_names_say(
    market: Market, symbol: str, pair: str, quote: str, contract: Contract | None, settled: bool
) -> None:
    assert pair_of(symbol) == pair
    assert quote_of(market, symbol) == quote
    assert contract_of(market, symbol) is contract
    assert is_settled(symbol) is settled


@pytest.mark.parametrize(
    ("market", "symbol", "quote"),
    [
        (SPOT, "ADAEUR", "EUR"),
        (SPOT, "BTCAEUR", "AEUR"),
        (SPOT, "BNBIDR", "IDR"),
        (SPOT, "BNBBIDR", "BIDR"),
        (SPOT, "BNBUSD", "USD"),
        (SPOT, "BNBBUSD", "BUSD"),
        (CM, "BNBUSD_PERP", "USD"),
        (CM, "DOTUSD_PERP", "USD"),
    ],
)
def test_the_longest_asset_that_fits_is_not_always_the_one(market: Market, symbol: str, quote: str) -> None:
    """Coins end in letters with which longer assets begin: ADA in EUR is not AD in AEUR."""
    assert quote_of(market, symbol) == quote


def test_an_asset_that_is_named_counts_as_known() -> None:
    assert quote_of(SPOT, "BTCXYZ") is None
    assert quote_of(SPOT, "BTCXYZ", ["XYZ"]) == "XYZ"
    assert quote_of(SPOT, "BTCXUSDT", ["XUSDT"]) == "XUSDT"


@pytest.mark.parametrize(
    "symbol", ["USDT", "SETTLED", "_PERP", "_260925", "", "币安人生", "SETTLEDUSDT", "BTCUSDT_26092"]
)
def test_names_that_say_less(symbol: str) -> None:
    assert pair_of(symbol) == symbol
    assert not is_settled(symbol)
    assert contract_of(UM, symbol) is PERPETUAL
    assert contract_of(CM, symbol) is None


def test_digits_are_those_of_the_archive() -> None:
    assert contract_of(UM, "BTCUSDT_٢٦٠٩٢٥") is PERPETUAL


BASES = st.text("ABC1币", min_size=1, max_size=6)
QUOTES = st.sampled_from(sorted(QUOTE_ASSETS))
CONTRACTS = st.sampled_from(["", "_PERP", "_250627"])
SETTLED = st.sampled_from(["", "SETTLED", "_SETTLED", "SETTLEDSETTLED", "_SETTLED1"])


@given(base=BASES, quote=QUOTES, contract=CONTRACTS, settled=SETTLED)
def test_the_parts_of_a_name_are_found_again(base: str, quote: str, contract: str, settled: str) -> None:
    symbol = base + quote + contract + settled
    assert pair_of(symbol) == base + quote
    assert is_settled(symbol) is bool(settled)
    assert contract_of(CM, symbol) is {"": None, "_PERP": PERPETUAL, "_250627": DELIVERY}[contract]
    found = quote_of(SPOT, symbol)
    assert found is not None
    assert found.endswith(quote)  # a longer one may fit as well
    assert found in QUOTE_ASSETS


@given(symbol=st.text(max_size=30), market=st.sampled_from(Market))
def test_any_text_has_parts(symbol: str, market: Market) -> None:
    assert symbol.startswith(pair_of(symbol))
    assert contract_of(market, symbol) in {None, *Contract}
    quote = quote_of(market, symbol)
    assert quote is None or pair_of(symbol).endswith(quote)
