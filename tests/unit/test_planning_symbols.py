"""Symbols are chosen by name, by glob and by exclusion."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_archive.planning.symbols import is_glob, matching

KNOWN = ("BTCUSDT", "ETHUSDT", "BTCDOWNUSDT", "ETHBTC", "1000SHIBUSDT", "币安人生USDT")


@pytest.mark.parametrize("pattern", ["*", "*USDT", "BTC?SDT", "[BE]*", "!BTCUSDT", "!*DOWN*"])
def test_patterns(pattern: str) -> None:
    assert is_glob(pattern)


@pytest.mark.parametrize("name", ["BTCUSDT", "BTCUSD_PERP", "BTCUSDT_260925", "1000SHIBUSDT", "币安人生USDT"])
def test_plain_names(name: str) -> None:
    assert not is_glob(name)


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["*"], KNOWN),
        (["*USDT"], ("BTCUSDT", "ETHUSDT", "BTCDOWNUSDT", "1000SHIBUSDT", "币安人生USDT")),
        (["*USDT", "!*DOWN*"], ("BTCUSDT", "ETHUSDT", "1000SHIBUSDT", "币安人生USDT")),
        (["!*USDT"], ("ETHBTC",)),
        (["!*USDT", "!*BTC"], ()),
        (["BTCUSDT", "!ETH*"], ("BTCUSDT",)),
        (["BTCUSDT", "!BTC*"], ()),
        (["币安*"], ("币安人生USDT",)),
        (["*nothing*"], ()),
        (["[!E]*BTC"], ()),
        (["???BTC"], ("ETHBTC",)),
    ],
)
def test_what_patterns_choose(patterns: list[str], chosen: tuple[str, ...]) -> None:
    assert matching(patterns, KNOWN) == chosen


def test_a_plain_name_is_taken_though_nobody_knows_it() -> None:
    assert matching(["NEWUSDT", "ETHB*"], KNOWN) == ("NEWUSDT", "ETHBTC")


def test_plain_names_come_first_and_everything_once() -> None:
    assert matching(["*BTC", "ETHBTC", "BTCUSDT", "ETH*", "BTCUSDT"], KNOWN) == ("ETHBTC", "BTCUSDT", "ETHUSDT")


def test_an_exclusion_takes_exactly_that_name_away() -> None:
    assert "BTCDOWNUSDT" in matching(["*", "!BTCUSDT"], KNOWN)
    assert "BTCUSDT" not in matching(["*", "!BTCUSDT"], KNOWN)


def test_letters_are_taken_as_they_are() -> None:
    """Keys tell capital and small letters apart, on every system."""
    assert matching(["btc*"], KNOWN) == ()


WORDS = st.text("ABC", min_size=1, max_size=3)
PATTERNS = st.lists(st.builds("".join, st.tuples(st.sampled_from(["", "!"]), st.text("ABC*?", min_size=1, max_size=3))))


@given(patterns=PATTERNS, known=st.lists(WORDS, max_size=8))
def test_every_choice_has_its_reason(patterns: list[str], known: list[str]) -> None:
    chosen = matching(patterns, known)
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    assert len(set(chosen)) == len(chosen)
    assert not any(fnmatchcase(symbol, pattern) for symbol in chosen for pattern in excluded)
    for symbol in chosen:
        assert symbol in known or symbol in wanted
    for symbol in known:
        meant = not wanted or any(fnmatchcase(symbol, pattern) for pattern in wanted)
        if meant and not any(fnmatchcase(symbol, pattern) for pattern in excluded):
            assert symbol in chosen
