from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given, strategies as st

from crypto_archive.catalog.keys import SIDECAR_SUFFIX, KeyPattern, ParsedKey, is_symbol, sidecar_key
from crypto_archive.model import Partition, Period

KLINES = KeyPattern("data/spot/{partition}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip")
TRADES = KeyPattern("data/futures/um/{partition}/trades/{symbol}/{symbol}-trades-{date}.zip")
JULY_15 = Period(Partition.DAILY, date(2025, 7, 15))
JULY = Period(Partition.MONTHLY, date(2025, 7, 1))

symbols = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters="/"), min_size=1, max_size=50
).filter(lambda text: text not in {".", ".."})
intervals = st.sampled_from(["1s", "1m", "15m", "1h", "12h", "1d", "3d", "1w", "1mo"])
periods = st.builds(Period.containing, st.dates(min_value=date(2009, 1, 3)), st.sampled_from(Partition))


@given(symbols, intervals, periods)
@example("币安人生USDT", "1h", JULY_15)
@example("BTCUSD_250627", "1mo", JULY)
@example("a-1h-2025-07-15.zip", "1h", JULY_15)
@example("%(date)s {date} 100%", "1h", JULY)
@example("...", "1h", JULY)
def test_a_key_with_an_interval_is_read_back(symbol: str, interval: str, period: Period) -> None:
    key = KLINES.key(symbol, interval, period)

    assert KLINES.parse(key) == ParsedKey(symbol, interval, period)
    assert key.startswith(KLINES.series_prefix(period.partition, symbol, interval))
    assert key.startswith(KLINES.symbols_prefix(period.partition))


@given(symbols, periods)
@example("1000SHIBUSDT", JULY)
@example("x-trades-2025-07", JULY_15)
def test_a_key_without_an_interval_is_read_back(symbol: str, period: Period) -> None:
    key = TRADES.key(symbol, None, period)

    assert TRADES.parse(key) == ParsedKey(symbol, None, period)
    assert key.startswith(TRADES.series_prefix(period.partition, symbol, None))


@given(st.text())
def test_reading_any_text_never_raises_and_gives_only_symbols(text: str) -> None:
    for key in (text, TRADES.key("BTCUSDT", None, JULY).replace("BTCUSDT", text)):
        parsed = TRADES.parse(key)
        assert parsed is None or is_symbol(parsed.symbol)


def test_keys_and_prefixes_are_spelled_as_the_archive_spells_them() -> None:
    assert KLINES.key("BTCUSDT", "1h", JULY_15) == "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip"
    assert KLINES.key("BTCUSDT", "1mo", JULY) == "data/spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2025-07.zip"
    assert TRADES.key("BTCUSDT", None, JULY) == "data/futures/um/monthly/trades/BTCUSDT/BTCUSDT-trades-2025-07.zip"
    assert KLINES.symbols_prefix(Partition.DAILY) == "data/spot/daily/klines/"
    assert KLINES.series_prefix(Partition.DAILY, "BTCUSDT", "1h") == "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-"
    assert TRADES.series_prefix(Partition.MONTHLY, "X", None) == "data/futures/um/monthly/trades/X/X-trades-"
    assert sidecar_key("a/b.zip") == "a/b.zip" + SIDECAR_SUFFIX == "a/b.zip.CHECKSUM"


def test_a_month_without_its_zero_is_understood() -> None:
    parsed = KLINES.parse("data/spot/monthly/klines/ADABKRW/1h/ADABKRW-1h-2020-8.zip")

    assert parsed == ParsedKey("ADABKRW", "1h", Period(Partition.MONTHLY, date(2020, 8, 1)))


@pytest.mark.parametrize(
    "key",
    [
        "data/spot/daily/klines/BTCUSDT/1h/ETHUSDT-1h-2025-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1d-2025-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07.zip",
        "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-02-30.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-0000-01-01.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-２０２５-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip.CHECKSUM",
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip\n",
        "data/spot/weekly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        "data/spot/daily/klines/../1h/..-1h-2025-07-15.zip",
        "data/spot/daily/klines/a\nb/1h/a\nb-1h-2025-07-15.zip",
        "data2/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        "",
    ],
)
def test_other_keys_are_not_of_the_pattern(key: str) -> None:
    assert KLINES.parse(key) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a\nb", "a\x00", "a\x7f", "a\x85", "a\udcff", "a\u202e", "a\u200b", "/"]
)
def test_what_cannot_be_a_symbol(text: str) -> None:
    assert not is_symbol(text)
    with pytest.raises(ValueError, match="is not a valid symbol: it must be a folder name without control characters"):
        TRADES.key(text, None, JULY)


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "BTCUSDT_260925", "BTCUSD_PERP", "1000SHIBUSDT", "币安人生USDT", "...", "a b"]
)
def test_what_can_be_a_symbol(text: str) -> None:
    assert is_symbol(text)


def test_an_interval_must_fit_the_pattern() -> None:
    with pytest.raises(ValueError, match=r"trades-{date}\.zip' does not have an interval, but '1h' is given"):
        TRADES.key("BTCUSDT", "1h", JULY)
    with pytest.raises(ValueError, match=r"{interval}-{date}\.zip' needs an interval"):
        KLINES.series_prefix(Partition.DAILY, "BTCUSDT", None)
    assert KLINES.has_interval
    assert not TRADES.has_interval


def test_a_pattern_without_partition_distinguishes_days_and_months_by_the_date() -> None:
    pattern = KeyPattern("mirror/{symbol}/{date}/100%.zip")

    assert pattern.key("BTC", None, JULY_15) == "mirror/BTC/2025-07-15/100%.zip"
    assert pattern.parse("mirror/BTC/2025-07/100%.zip") == ParsedKey("BTC", None, JULY)
    assert pattern.symbols_prefix(Partition.DAILY) == "mirror/"
    assert pattern.series_prefix(Partition.DAILY, "BTC", None) == "mirror/BTC/"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("data/{symbol}/x.zip", "the field {date} is missing"),
        ("data/x-{date}.zip", "the field {symbol} is missing"),
        ("", "the field {symbol} is missing"),
        ("data/{symbol}/{day}.zip", "unknown field {day}; the fields are {partition}, {symbol}, {interval}, {date}"),
        ("data/{symbol}/{}-{date}.zip", "unknown field {}; the fields are"),
        ("data/{symbol}/{date:>9}.zip", "{date:>9} cannot be formatted; write {date} alone"),
        ("data/{symbol}/{date!r}.zip", "{date!r} cannot be formatted; write {date} alone"),
        ("data/{symbol}/{date}-{date}.zip", "the field {date} must appear only once"),
        ("data/x-{symbol}/{date}.zip", "{symbol} must be a folder of its own"),
        ("{date}/{symbol}/x.zip", "the fields must come in the order {partition}, {symbol}, {interval}, {date}"),
        ("{symbol}/{date}-{interval}.zip", "the fields must come in the order"),
        ("/data/{symbol}/{date}.zip", "it must be relative: no slash at the start"),
        ("data/../{symbol}/{date}.zip", "it must not have a folder or file called '..'"),
        ("data//{symbol}/{date}.zip", "it must not have a folder or file called ''"),
        ("data/{symbol}/{date}\n.zip", "it must not contain control characters"),
        ("data/{symbol}/{date}.zip.CHECKSUM", "it must name the object, not its sidecar .CHECKSUM"),
        ("data/{symbol}/{date.zip", "a brace is unbalanced"),
    ],
)
def test_a_bad_template_is_refused_with_its_reason(template: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, the text is held against the parameter
        KeyPattern(template)
    assert complaint in str(caught.value)


def test_patterns_with_one_template_are_equal_and_hash_alike() -> None:
    assert KeyPattern(KLINES.template) == KLINES
    assert len({KeyPattern(KLINES.template), KLINES, TRADES}) == 2
