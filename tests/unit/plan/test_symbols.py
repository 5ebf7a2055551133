"""Symbols are chosen by name, by glob, by exclusion and by filter; those that do not exist are reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog.symbols import is_glob, symbol_of_pair
from crypto_archive.config.run_config import Request, RunConfig, Selection, SymbolFilter
from crypto_archive.events import ObjectFinished
from crypto_archive.model import (
    Absence,
    Contract,
    DateRange,
    Market,
    Notice,
    Outcome,
    Partition,
    Period,
    UnknownSymbols,
)
from crypto_archive.plan.candidates import calendar_objects
from crypto_archive.plan.selection import (
    MOST_NAMED,
    UNKNOWN_SHOWN,
    NamedSymbols,
    ResolvedSelection,
    SeriesGroup,
    matching,
    passes,
    resolve,
    resolve_offline,
    spelled,
)
from tests.objects import a_context, bundled, row_of

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


def test_an_unknown_plain_name_is_taken() -> None:
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


def test_a_list_may_hold_thousands_of_words() -> None:
    known = [f"COIN{number}USDT" for number in range(4_000)]
    patterns = ["*", *(f"!{name}" for name in known[:2_000]), *(f"!{name[:-4]}B*" for name in known[:200])]
    assert matching(patterns, known) == tuple(known[2_000:])


# Filters

UM_FOLDERS = ("BTCBUSD", "BTCSTUSDT_SETTLED", "BTCUSDC", "BTCUSDT", "BTCUSDT_260925", "ICPUSDTSETTLED", "币安人生USDT")
FILTERS = st.builds(
    SymbolFilter,
    st.lists(st.sampled_from(["USDT", "USDC", "A"]), max_size=2).map(tuple),
    st.sampled_from([None, *Contract]),
    st.sampled_from([None, True, False]),
)


def a_group(
    *symbols: str, filters: SymbolFilter | None = None, market: Market = Market.FUTURES_UM, data_type: str = "klines"
) -> SeriesGroup:
    row = row_of(market, data_type)
    return SeriesGroup(row, Partition.DAILY, symbols, ("1h",), DateRange(), filters=filters or SymbolFilter())


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        (SymbolFilter(), UM_FOLDERS),
        (SymbolFilter(quotes=("BUSD", "USDC")), ("BTCBUSD", "BTCUSDC")),
        (SymbolFilter(contract=Contract.DELIVERY), ("BTCUSDT_260925",)),
        (SymbolFilter(settled=True), ("BTCSTUSDT_SETTLED", "ICPUSDTSETTLED")),
        (SymbolFilter(("USDT",), Contract.PERPETUAL, settled=False), ("BTCUSDT", "币安人生USDT")),
        (SymbolFilter(("USDC",), Contract.DELIVERY), ()),
    ],
)
def test_filters_look_at_what_names_say(filters: SymbolFilter, chosen: tuple[str, ...]) -> None:
    assert tuple(symbol for symbol in UM_FOLDERS if passes(Market.FUTURES_UM, symbol, filters)) == chosen


@pytest.mark.parametrize("contract", Contract)
@pytest.mark.parametrize(
    ("market", "symbol"), [(Market.SPOT, "BTCUSDT"), (Market.OPTIONS, "BTCBVOLUSDT"), (Market.FUTURES_CM, "BTCUSD")]
)
def test_what_is_not_a_contract_stays(market: Market, symbol: str, contract: Contract) -> None:
    assert passes(market, symbol, SymbolFilter(contract=contract))


@pytest.mark.parametrize(
    ("filters", "active", "text"),
    [
        (SymbolFilter(), False, ""),
        (SymbolFilter(("USDT", "USDC")), True, "quote asset USDT or USDC"),
        (SymbolFilter(contract=Contract.DELIVERY, settled=False), True, "delivery, not settled"),
        (SymbolFilter(settled=True), True, "settled"),
    ],
)
def test_a_filter_says_what_it_is(filters: SymbolFilter, active: bool, text: str) -> None:
    assert (bool(filters), str(filters)) == (active, text)


@given(patterns=PATTERNS, known=st.lists(WORDS, max_size=8), filters=FILTERS, market=st.sampled_from(Market))
def test_filters_never_add_symbols(
    patterns: list[str], known: list[str], filters: SymbolFilter, market: Market
) -> None:
    every = matching(patterns, known)
    chosen = matching(patterns, known, lambda symbol: passes(market, symbol, filters))
    assert chosen == tuple(symbol for symbol in every if passes(market, symbol, filters))
    assert filters or chosen == every


# Against the folders of the archive


def test_the_folders_are_those_that_globs_are_matched_against() -> None:
    group = a_group("*", "!BTC*", filters=SymbolFilter(settled=False))
    assert resolve(a_context(), group, UM_FOLDERS) == ("币安人生USDT",)


def test_names_need_no_folders_though_they_are_filtered() -> None:
    group = a_group("BTCUSDT", "BTCUSDT_260925", filters=SymbolFilter(contract=Contract.DELIVERY))
    assert resolve(a_context(), group, ()) == ("BTCUSDT_260925",)


def test_a_filter_looks_at_the_form_in_the_keys() -> None:
    """The row of index prices has bare pairs, which are no contracts."""
    group = a_group(
        "BTCUSD",
        filters=SymbolFilter(contract=Contract.DELIVERY),
        market=Market.FUTURES_CM,
        data_type="indexPriceKlines",
    )
    assert resolve(a_context(), group, ()) == ("BTCUSD",)


@pytest.mark.parametrize(
    ("symbols", "filters", "text"),
    [
        (("X*",), SymbolFilter(), "futures_um klines: no symbol in the archive matches X*; nothing to plan"),
        (
            ("*",),
            SymbolFilter(("EUR",), settled=True),
            "futures_um klines: no symbol in the archive matches * (quote asset EUR, settled); nothing to plan",
        ),
        (
            tuple(f"X{number}*" for number in range(8)),
            SymbolFilter(),
            "futures_um klines: no symbol in the archive matches X0*, X1*, X2*, X3*, X4* and 3 more; nothing to plan",
        ),
    ],
)
def test_a_notice_when_no_symbol_is_left(symbols: tuple[str, ...], filters: SymbolFilter, text: str) -> None:
    said: list[Notice] = []
    assert resolve(a_context(on_notice=said.append), a_group(*symbols, filters=filters), UM_FOLDERS) == ()
    assert [notice.text for notice in said] == [text]


def test_without_the_archive_globs_match_what_is_known_otherwise() -> None:
    group = a_group("*", filters=SymbolFilter(("USDC",)))
    assert resolve_offline(a_context(), group, ["BTCUSDT", "ETHUSDC"]) == ("ETHUSDC",)


def test_a_plan_from_the_calendar_says_that_it_knows_the_default_symbols_only() -> None:
    said: list[Notice] = []
    group = a_group("*", filters=SymbolFilter(("USDC", "USDT")))
    selection = ResolvedSelection((replace(group, dates=DateRange(date(2025, 7, 1), date(2025, 7, 1))),), ())
    assert len(list(calendar_objects(a_context(date(2025, 7, 9), said.append), selection))) == 15
    assert [notice.text for notice in said] == [
        "futures_um klines: without a listing, globs and filters match only the matrix's 15 default symbols"
    ]


def test_the_calendar_filters_names_too() -> None:
    said: list[Notice] = []
    group = a_group("BTCUSDT", filters=SymbolFilter(("USDC",)))
    assert resolve_offline(a_context(on_notice=said.append), group, ["ETHUSDC"]) == ()
    assert [notice.text for notice in said] == [
        "futures_um klines: none of the symbols passes the filters (quote asset USDC); nothing to plan"
    ]


# Symbols that do not exist

SPOT, UM, OPTIONS = Market.SPOT, Market.FUTURES_UM, Market.OPTIONS


def named(*names: str, by_user: bool = True, markets: tuple[Market, ...] = (SPOT, UM, OPTIONS)) -> NamedSymbols:
    selection = Selection(markets, symbols=dict.fromkeys(markets, names))
    given = frozenset() if by_user else frozenset({"symbols"})
    return NamedSymbols(RunConfig(Request(selection), bundled(), (), (), {}, bundled=given))


def unknown_of(names: NamedSymbols) -> dict[str, tuple[str, ...]]:
    return {
        one.name: one.nearest
        for notice in names.notices() if isinstance(notice, UnknownSymbols)
        for one in notice.symbols
    }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "folders", "hint"),
    [
        ("BTCUSD", ["BTCUSDC", "BTCUSDT", "ETHBTC", "XRPRLUSD"], "; nearest are 'BTCUSDT', 'BTCUSDC'"),
        ("btcusd", ["BTCUSDT", "ADAEUR"], "; nearest is 'BTCUSDT'"),
        ("BTC-USDT", ["BTCUSDC", "BTCUSDT_250926", "BTCUSDT"], "; nearest are 'BTCUSDT', 'BTCUSDC', 'BTCUSDT_250926'"),
        ("BTC_USDT", ["XBTC_USDT", "BTCUSDT"], "; nearest are 'BTCUSDT', 'XBTC_USDT'"),
        ("币安USDT", ["币安人生USDT", "ADAEUR"], "; nearest is '币安人生USDT'"),
        ("NOSUCH", ["BTCUSDT", "B*D"], ""),
    ],
)
def test_an_unknown_symbol_comes_with_the_nearest(symbol: str, folders: list[str], hint: str) -> None:
    names = named(symbol)
    names.note(row_of(SPOT, "klines"), (), [symbol], folders)
    assert [notice.text for notice in names.notices()] == [f"the archive has no symbol {symbol!r}{hint}"]


def test_a_symbol_of_another_selected_market_is_only_a_note() -> None:
    names = named("BTC", "BTCUSDT", "NOSUCH")
    names.note(row_of(SPOT, "klines"), ["BTCUSDT"], ["BTC", "NOSUCH"], ["BTCUSDT"])
    names.note(row_of(OPTIONS, "BVOLIndex"), ["BTCBVOLUSDT"], ["NOSUCHBVOLUSDT"], ["BTCBVOLUSDT", "ETHBVOLUSDT"])
    assert [notice.text for notice in names.notices()] == [
        "spot klines: the archive has no symbol 'BTC'; nearest is 'BTCUSDT'",
        "the archive has no symbol 'NOSUCH'",
    ]


def test_what_only_one_partition_of_a_type_has_is_known() -> None:
    names = named("BTCUSDT")
    names.note(row_of(SPOT, "klines"), ["BTCUSDT"])
    names.note(row_of(SPOT, "klines"), (), ["BTCUSDT"], ["ETHUSDT"])
    assert list(names.notices()) == []


def test_symbols_that_the_user_did_not_name_are_never_unknown() -> None:
    names = named("GONEUSDT", by_user=False)
    names.note(row_of(SPOT, "klines"), (), ["GONEUSDT"], ["BTCUSDT"])
    by_default = NamedSymbols(RunConfig(Request(Selection((SPOT,))), bundled(), (), (), {}))
    by_default.note(row_of(SPOT, "klines"), (), ["MATICUSDT"], ["BTCUSDT"])
    globs = named("GONE*", "!BTCUSDT")
    globs.note(row_of(SPOT, "klines"), (), ["GONEUSDT"], ["BTCUSDT"])
    assert [list(one.notices()) for one in (names, by_default, globs)] == [[], [], []]


def test_many_unknown_symbols_are_one_line_and_all_in_the_report() -> None:
    unknown = [f"NO{number}USDT" for number in range(MOST_NAMED + 5)]
    names = named(*unknown)
    names.note(row_of(SPOT, "klines"), (), unknown, ["NOUSDT"])
    [notice] = names.notices()
    assert notice.text.startswith("the archive has nothing of 25 named symbols: 'NO0USDT' (nearest: 'NOUSDT'); ")
    assert notice.text.endswith(f"; and {25 - UNKNOWN_SHOWN} more")
    found = unknown_of(names)
    assert (list(found), found["NO0USDT"], found[unknown[-1]]) == (unknown, ("NOUSDT",), ())


def finished(symbol: str, outcome: Outcome, reason: str = "", market: Market = SPOT) -> ObjectFinished:
    period = Period(Partition.DAILY, date(2025, 7, 15))
    return ObjectFinished(row_of(market, "klines").object(symbol, "1h", period), outcome, reason)


def test_without_a_listing_a_symbol_is_unknown_if_nothing_of_it_is_found() -> None:
    names = named("BTCUSDT", "BTCUSDTT", "NEWUSDT", "ETHUSDT", "FAILUSDT")
    for event in (
        finished("BTCUSDT", Outcome.ABSENT, Absence.HOLE),
        finished("BTCUSDT", Outcome.FETCHED),
        finished("BTCUSDTT", Outcome.ABSENT, Absence.HOLE),
        finished("BTCUSDTT", Outcome.ABSENT, Absence.NOT_YET),
        finished("NEWUSDT", Outcome.ABSENT, Absence.NOT_YET),
        finished("ETHUSDT", Outcome.ABSENT, Absence.HOLE),
        finished("ETHUSDT", Outcome.PRESENT, market=UM),
        finished("FAILUSDT", Outcome.FAILED, "timeout"),
    ):
        names.note_finished(event)
    assert unknown_of(names) == {"BTCUSDTT": ("BTCUSDT", "LTCUSDT", "BCHUSDT")}


# Symbols in another spelling


@pytest.mark.parametrize(
    ("symbols", "known", "meant"),
    [
        (("btcusdt",), ("BTCUSDT",), ("BTCUSDT",)),
        (("btcusdt",), ("btcusdt", "BTCUSDT"), ("btcusdt",)),
        (("btcusdt", "BTCUSDT"), ("BTCUSDT",), ("BTCUSDT",)),
        (("nosuch",), ("BTCUSDT",), ("NOSUCH",)),
        (("*usdt", "!btc*"), ("BTCUSDT", "ETHUSDT"), ("*USDT", "!BTC*")),
        (("*usdt",), ("newusdt", "ETHUSDT"), ("*usdt",)),
        (("币安人生usdt", "ÄäUSDT"), ("币安人生USDT",), ("币安人生USDT", "ÄäUSDT")),
    ],
)
def test_case_matters_only_where_the_archive_knows_it(
    symbols: tuple[str, ...], known: tuple[str, ...], meant: tuple[str, ...]
) -> None:
    assert spelled(a_group(*symbols), known).symbols == meant


def test_lower_case_becomes_the_symbol_of_the_keys() -> None:
    group = SeriesGroup(row_of(OPTIONS, "BVOLIndex"), Partition.DAILY, ("btc",), (None,), DateRange())
    assert resolve_offline(a_context(), group, ()) == ("BTCBVOLUSDT",)


@pytest.mark.parametrize("name", ["BTC/USDT", "btc-usdt", "BTC_USDT", "BTC/USDT:USDT", "BTC USDT"])
def test_pairs_as_other_programs_write_them(name: str) -> None:
    assert symbol_of_pair(name) == "BTCUSDT"
