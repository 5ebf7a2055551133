"""What the name of a symbol says: its pair, its quote asset, its contract, and whether it is settled.

Pure text work: nothing here knows which symbols there are. ``BTCUSDT_260925`` is a contract on the pair ``BTCUSDT``,
to be delivered on 2026-09-25. ``ICPUSDTSETTLED``, ``BTCSTUSDT_SETTLED`` and ``TLMUSDTSETTLEDSETTLED`` are settled.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from string import ascii_lowercase
from typing import TYPE_CHECKING

from crypto_archive.model import Contract, Market

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

# Binance's own ``exchangeInfo`` says it for pairs that trade today. These are the assets that it has named on spot and
# USD-M since 2017, as several public projects have copied them from there between 2021 and 2026.
_COINS = ("BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL")
_DOLLARS = (
    "USDT",
    "USDC",
    "USDP",
    "USDS",
    "USDSOLD",
    "USD1",
    "BUSD",
    "FDUSD",
    "RLUSD",
    "TUSD",
    "PAX",
    "DAI",
    "UST",
    "U",
)
_OTHER_STABLE = ("VAI", "AEUR", "EURI", "BIDR", "BKRW", "BVND", "GYEN", "IDRT")
_MONEY = (
    "ARS",
    "AUD",
    "BRL",
    "COP",
    "CZK",
    "EUR",
    "GBP",
    "IDR",
    "JPY",
    "MXN",
    "NGN",
    "PLN",
    "RON",
    "RUB",
    "TRY",
    "UAH",
)
QUOTE_ASSETS = frozenset({*_COINS, *_DOLLARS, *_OTHER_STABLE, *_MONEY, "USD", "ZAR"})
"""The assets in which the archive's spot and USD-M pairs are quoted."""

COIN_MARGINED_QUOTE = "USD"
"""What all COIN-M pairs are quoted in: ``BNBUSD`` is BNB in USD there, and not BN in BUSD."""

# For some pairs the longest quote asset that fits is not the right one, according to the same sources.
_SHORTER_QUOTES = {
    **dict.fromkeys(("ADAEUR", "ENAEUR", "GALAEUR", "LUNAEUR", "THETAEUR"), "EUR"),  # and not AEUR
    **dict.fromkeys(("ARBIDR", "BNBIDR"), "IDR"),  # and not BIDR
    **dict.fromkeys(("BNBUSD", "USDTUSD"), "USD"),  # and not BUSD, TUSD
}

_TO_CAPITALS = {ord(letter): letter.upper() for letter in ascii_lowercase}
_PERPETUAL = "_PERP"
_PARTS = re.compile(
    rf"(?P<pair>.+?)(?P<contract>{_PERPETUAL}|_[0-9]{{6}})?(?P<settled>(?:_?SETTLED[0-9]*)+)?", re.DOTALL
)


def is_glob(pattern: str) -> bool:
    """Whether a pattern can only be resolved against a list of real symbols."""
    return pattern.startswith("!") or any(sign in pattern for sign in "*?[")


def in_capitals(name: str) -> str:
    """Return a name with its ASCII letters in upper case, as those of all symbols of the archive are."""
    return name.translate(_TO_CAPITALS)


def symbol_of_pair(text: str) -> str:
    """Return the symbol that other programs write as ``BTC/USDT``, ``btc-usdt``, ``BTC_USDT`` or ``BTC/USDT:USDT``."""
    pair = text.partition(":")[0]
    return in_capitals(re.sub(r"[\s/_-]", "", pair))


def pair_of(symbol: str) -> str:
    """Return the symbol without the suffixes for its contract and its settlement."""
    return _part(symbol, "pair") or symbol


def is_settled(symbol: str) -> bool:
    """Whether the name says that the symbol is settled, and no longer trades under its former name.

    A dated contract that has been delivered keeps its name and does not count.
    """
    return bool(_part(symbol, "settled"))


def delivery_day(symbol: str) -> date | None:
    """Return the day on which a dated contract is delivered, None for any other symbol."""
    ending = _part(symbol, "contract")
    if not ending or ending == _PERPETUAL:
        return None
    try:
        return datetime.strptime(ending, "%y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def contract_of(market: Market, symbol: str) -> Contract | None:
    """Return the kind of contract, None where there is none: on spot, in options, for the bare pairs of COIN-M."""
    ending = _part(symbol, "contract")
    if market is Market.FUTURES_UM:
        return Contract.DELIVERY if ending and ending != _PERPETUAL else Contract.PERPETUAL
    if market is Market.FUTURES_CM and ending:
        return Contract.PERPETUAL if ending == _PERPETUAL else Contract.DELIVERY
    return None


def quote_of(market: Market, symbol: str, named: Iterable[str] = ()) -> str | None:
    """Return the asset that the pair is quoted in, None where no asset fits.

    It is the longest of the known assets that the pair ends with, so that ``BTCFDUSD`` is quoted in FDUSD. The assets
    ``named`` count as known, except on COIN-M, which has one for all pairs.
    """
    pair = pair_of(symbol)
    known = {COIN_MARGINED_QUOTE} if market is Market.FUTURES_CM else QUOTE_ASSETS.union(named)
    if market is not Market.FUTURES_CM and pair in _SHORTER_QUOTES:
        return _SHORTER_QUOTES[pair]
    fitting = (pair[start:] for start in range(1, len(pair)) if pair[start:] in known)
    return next(fitting, None)


def _part(symbol: str, name: str) -> str:
    found = _PARTS.fullmatch(symbol)
    return (found[name] or "") if found else ""
