"""Candidates by the calendar and by the listing: each object once, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.config.run_config import SymbolFilter
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Absence,
    AbsentDays,
    Action,
    Covered,
    DateRange,
    Market,
    Notice,
    Partition,
    Period,
    SeriesDays,
)
from crypto_archive.plan.availability import PUBLICATION_DELAY
from crypto_archive.plan.candidates import by_calendar, calendar_objects
from crypto_archive.plan.listed import MONTHS_NAMED, KeyReader, ListedGroup
from crypto_archive.plan.selection import ResolvedSelection, SeriesGroup
from crypto_archive.root.listing_cache import Entry, joined
from crypto_archive.s5cmd.output import Listed
from tests.objects import LISTED_AT, Files, a_context, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_archive.model import Candidate

TODAY = date(2025, 8, 20)
LATER = date(2025, 12, 20)
"""Long after the days of most tests, so that none of them is waited for."""
JULY = DateRange(date(2025, 7, 1), date(2025, 7, 31))
SPOT_HOURS = "data/spot/daily/klines/{symbol}/1h/{symbol}-1h-{day}.zip"


def a_group(
    *symbols: str,
    intervals: tuple[str | None, ...] = ("1h",),
    dates: DateRange = JULY,
    partition: Partition = Partition.DAILY,
    market: Market = Market.SPOT,
    data_type: str = "klines",
) -> SeriesGroup:
    return SeriesGroup(row_of(market, data_type), partition, symbols, intervals, dates)


def hour_key(day: int | str, symbol: str = "BTCUSDT") -> str:
    return SPOT_HOURS.format(symbol=symbol, day=day if isinstance(day, str) else f"2025-07-{day:02}")


def an_entry(key: str, size: int | None = None) -> Listed:
    return Listed(key, len(key) if size is None else size, f"etag of {key}", LISTED_AT)


@dataclass
class Bucket:
    """A listing of what it holds, or of given entries in whatever order."""

    keys: set[str]
    entries: list[Listed] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    prepared: list[list[str]] = field(default_factory=list)
    folders_asked: list[str] = field(default_factory=list)
    said: list[Notice] = field(default_factory=list)
    days: list[SeriesDays] = field(default_factory=list)
    is_cut_short: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self, prefixes: Sequence[str]) -> None:
        self.prepared.append(list(prefixes))

    def objects(self, prefix: str) -> Iterator[Entry]:
        self.asked.append(prefix)
        keys = sorted(key for key in self.keys if key.startswith(prefix))
        for page in joined([*(self.entries or ()), *(an_entry(key, self.sizes.get(key)) for key in keys)]):
            yield from page.entries()

    def folders(self, prefix: str) -> tuple[str, ...]:
        self.folders_asked.append(prefix)
        return tuple(sorted({key[len(prefix) :].partition("/")[0] for key in self.keys if key.startswith(prefix)}))

    def invalidate(self) -> None:
        raise AssertionError("only a listing without any object is invalidated")

    def remark(self) -> Notice | None:
        return None

    def candidates(self, group: SeriesGroup, today: date = LATER) -> list[Candidate]:
        context = replace(a_context(today, self.said.append), on_days=self.days.append)
        return list(ListedGroup(context, group, self, Files(short=self.short)).objects())

    @property
    def texts(self) -> list[str]:
        return [notice.text for notice in self.said if "the archive is late" not in notice.text]


def with_sidecars(*keys: str) -> set[str]:
    return {*keys, *(key + SIDECAR_SUFFIX for key in keys)}


def keys_of(candidates: Iterable[Candidate]) -> list[str]:
    return [item.key for item, *_ in candidates]


# By the calendar


def test_the_calendar_gives_every_symbol_interval_and_day() -> None:
    group = a_group(
        "BTCUSDT", "币安人生USDT", intervals=("1h", "1d"), dates=DateRange(date(2025, 7, 30), date(2025, 7, 31))
    )
    said: list[Notice] = []
    found = list(by_calendar(a_context(TODAY, said.append), group, ()))
    assert keys_of(found) == [
        f"data/spot/daily/klines/{symbol}/{interval}/{symbol}-{interval}-2025-07-{day}.zip"
        for symbol in ("BTCUSDT", "币安人生USDT")
        for interval in ("1h", "1d")
        for day in (30, 31)
    ]
    assert {remote for _, remote, *_ in found} == {None}
    assert said == []


def test_the_calendar_gives_months_without_an_interval_layer() -> None:
    group = a_group(
        "BTCUSDT", intervals=(None,), partition=Partition.MONTHLY, market=Market.FUTURES_UM, data_type="fundingRate"
    )
    found = list(by_calendar(a_context(TODAY), group, ()))
    assert keys_of(found) == ["data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-07.zip"]
    assert found[0][0].period == Period(Partition.MONTHLY, date(2025, 7, 1))


def test_the_calendar_matches_globs_against_the_default_symbols_and_says_so() -> None:
    group = a_group("NEWUSDT", "BT*", "AD*", dates=DateRange(date(2025, 7, 1), date(2025, 7, 1)))
    said: list[Notice] = []
    found = list(calendar_objects(a_context(TODAY, said.append), ResolvedSelection((group,), ())))
    assert [item.series.symbol for item, *_ in found] == ["NEWUSDT", "BTCUSDT", "ADAUSDT"]
    assert [notice.text for notice in said] == [
        "spot klines: without a listing, globs match only the matrix's 3 default symbols"
    ]


@pytest.mark.parametrize(
    ("market", "data_type", "interval", "symbols"),
    [
        (Market.OPTIONS, "BVOLIndex", None, ("BTCBVOLUSDT", "ETHBVOLUSDT")),
        (Market.OPTIONS, "EOHSummary", None, ("BTCUSDT", "ETHUSDT")),
        (
            Market.FUTURES_CM,
            "indexPriceKlines",
            "1h",
            ("BTCUSD", "ETHUSD", "ADAUSD", "BNBUSD", "XRPUSD", "LTCUSD", "BCHUSD"),
        ),
    ],
)
def test_the_default_symbols_that_a_glob_matches_take_the_form_of_the_row(
    market: Market, data_type: str, interval: str | None, symbols: tuple[str, ...]
) -> None:
    dates = DateRange(date(2023, 7, 1), date(2023, 7, 1))
    group = a_group("*", intervals=(interval,), dates=dates, market=market, data_type=data_type)
    found = calendar_objects(a_context(TODAY, lambda _: None), ResolvedSelection((group,), ()))
    assert tuple(item.series.symbol for item, *_ in found) == symbols


# By the listing


def test_the_listing_gives_size_etag_and_time() -> None:
    bucket = Bucket(with_sidecars(hour_key(15)))
    [(item, remote, *_)] = bucket.candidates(a_group("BTCUSDT"))
    assert (item.key, item.series.symbol, item.series.interval) == (hour_key(15), "BTCUSDT", "1h")
    assert item.period == Period(Partition.DAILY, date(2025, 7, 15))
    assert remote is not None
    assert (remote.size, remote.etag) == (len(hour_key(15)), f"etag of {hour_key(15)}")
    assert (remote.last_modified, remote.has_sidecar) == (LISTED_AT, True)


@pytest.mark.parametrize("alone", [1, 2, 3])
def test_a_zip_without_a_sidecar_is_found_at_any_place(alone: int) -> None:
    keys = [hour_key(day) for day in (1, 2, 3)]
    bucket = Bucket(with_sidecars(*keys) - {hour_key(alone) + SIDECAR_SUFFIX})
    found = {item.key: remote.has_sidecar for item, remote, *_ in bucket.candidates(a_group("BTCUSDT")) if remote}
    assert found == {key: key != hour_key(alone) for key in keys}


def test_what_is_not_an_object_is_left_out() -> None:
    folder = "data/spot/daily/klines/BTCUSDT/1h/"
    strange = {
        folder,
        folder + "BTCUSDT-1h-2025-07-02.zip" + SIDECAR_SUFFIX,
        folder + "BTCUSDT-1h-2025-07-03.zip.bak",
        folder + "BTCUSDT-1h-2025-07-99.zip",
        folder + "BTCUSDT-1h-2025-07.zip",
        folder + "BTCUSDT-1h-2025-07-05.csv",
    }
    bucket = Bucket(with_sidecars(hour_key(1)) | strange)
    assert keys_of(bucket.candidates(a_group("BTCUSDT"))) == [hour_key(1)]


def test_objects_that_were_not_asked_for_are_left_out() -> None:
    """Whatever a server answers: other symbols, intervals, markets, months; and what it says again."""
    foreign = [
        hour_key(2, "ETHUSDT"),
        hour_key(2).replace("1h", "1d"),
        hour_key(2).replace("/daily/", "/monthly/").replace("-02.zip", ".zip"),
        hour_key(2).replace("data/spot", "data/futures/um"),
        hour_key(2, "B" * 300),
    ]
    asked = [hour_key(1), hour_key(1) + SIDECAR_SUFFIX, hour_key(3)]
    said: list[Notice] = []
    listed = [an_entry(key) for key in (*foreign, *asked, *foreign, *asked, asked[0])]
    found = ListedGroup(a_context(LATER, said.append), a_group("BTCUSDT"), Bucket(set(), listed)).objects()
    assert [(item.key, remote is not None and remote.has_sidecar) for item, remote, *_ in found] == [
        (hour_key(1), True),
        (hour_key(3), False),
    ]
    assert "spot klines: the archive lists 3 objects more than once; the first entry counts" in [
        notice.text for notice in said
    ]


KEYS_ALIKE = st.builds(
    "data/{0}/{1}/klines/{2}/{3}/{4}-{5}-{6}{7}".format,
    st.sampled_from(["spot", "futures/um"]),
    st.sampled_from(["daily", "monthly"]),
    st.sampled_from(["BTCUSDT", "BTC-2025-07-01", "币"]),
    st.sampled_from(["1h", "1d"]),
    st.sampled_from(["BTCUSDT", "BTC-2025-07-01", "币"]),
    st.sampled_from(["1h", "1d"]),
    st.sampled_from(
        ["2025-07-01", "2025-07-02", "2025-07-32", "2025-7-1", "2025-07", "2025-7", "20250701", " 2025-07-01"]
    ),
    st.sampled_from([".zip", ".zip.zip", ".ZIP", ""]),
)


@given(keys=st.lists(KEYS_ALIKE, max_size=30), partition=st.sampled_from(Partition))
def test_keys_are_read_as_if_each_were_parsed(keys: list[str], partition: Partition) -> None:
    row, stat = row_of(Market.SPOT, "klines"), an_entry("x").stat
    regular = [key for key in keys for key in (key, hour_key(1), hour_key(2))]
    for some in (keys, regular, sorted(regular)):
        parsed = [item for item in map(row.parse, some) if item is not None and item.period.partition is partition]
        reader = KeyReader(row, partition)
        assert [one.object for one in reader.read(Entry(key, stat) for key in some)] == parsed
        regular_ones = {item.key: (item.series, item.period) for item in parsed if item.key not in reader.odd}
        assert len(set(regular_ones.values())) == len(regular_ones)


def test_only_the_days_wanted_are_given() -> None:
    days = ["2025-06-30", "2025-07-01", "2025-07-31", "2025-08-01"]
    bucket = Bucket(with_sidecars(*(hour_key(day) for day in days)))
    group = a_group("BTCUSDT", dates=DateRange(date(2025, 7, 1), date(2025, 7, 31)))
    assert keys_of(bucket.candidates(group)) == [hour_key("2025-07-01"), hour_key("2025-07-31")]


@pytest.mark.parametrize(
    ("first", "last", "prefix"),
    [
        (date(2025, 7, 15), date(2025, 7, 15), "2025-07-"),
        (date(2025, 7, 10), date(2025, 7, 19), "2025-07-"),
        (date(2025, 7, 1), date(2025, 7, 31), "2025-07-"),
        (date(2025, 1, 1), date(2025, 7, 31), "2025-0"),
        (date(2024, 10, 1), date(2024, 12, 1), "2024-1"),
        (date(2024, 1, 1), date(2025, 7, 31), "2024- 2025-0"),  # of the 2020s there are more than 2,000 keys
        (date(2024, 12, 31), date(2025, 1, 1), "2024-12- 2025-01-"),
        (date(2018, 1, 1), date(2025, 7, 31), "20"),
    ],
)
def test_prefixes_are_narrowed_by_what_the_dates_have_in_common(first: date, last: date, prefix: str) -> None:
    bucket = Bucket(set())
    bucket.candidates(a_group("BTCUSDT", "ETHUSDT", dates=DateRange(first, last)))
    asked = [
        f"data/spot/daily/klines/{symbol}/1h/{symbol}-1h-{dates}"
        for symbol in ("BTCUSDT", "ETHUSDT")
        for dates in prefix.split()
    ]
    assert bucket.asked[: len(asked)] == asked


def test_an_open_end_is_narrowed_by_yesterday() -> None:
    bucket = Bucket(set())
    bucket.candidates(a_group("BTCUSDT", dates=DateRange(date(2025, 8, 2), None)), TODAY)
    assert bucket.asked[0] == "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-08-"


@pytest.mark.parametrize("months", [(8, 8), (7, 9), (1, 12)], ids=str)
def test_a_month_of_one_digit_is_found_too(months: tuple[int, int]) -> None:
    """The archive has one such key, ADABKRW-1h-2020-8.zip."""
    key = "data/spot/monthly/klines/ADABKRW/1h/ADABKRW-1h-2020-8.zip"
    group = a_group(
        "ADABKRW", dates=DateRange(date(2020, months[0], 1), date(2020, months[1], 28)), partition=Partition.MONTHLY
    )
    found = Bucket(with_sidecars(key)).candidates(group)
    assert [(item.key, str(item.period)) for item, *_ in found] == [(key, "2020-08")]


def test_names_ask_for_no_folders() -> None:
    bucket = Bucket(with_sidecars(*(hour_key(day) for day in range(1, 32))))
    bucket.candidates(a_group("BTCUSDT"))
    assert (bucket.folders_asked, len(bucket.asked)) == ([], 1)


def test_each_named_series_has_an_answer() -> None:
    keys = [hour_key(15), hour_key("2020-01-01", "BTCUSDC"), hour_key("2020-01-01", "ETHUSDT")]
    bucket = Bucket(with_sidecars(*keys))
    bucket.candidates(a_group("BTCUSDT", "BTCUSD", "ETHUSDT", "!ETHBTC", intervals=("1h", "1d")))
    assert bucket.folders_asked == ["data/spot/daily/klines/"]
    assert {(one.series.symbol, one.series.interval): one.summary.rpartition(" ")[2] for one in bucket.days} == {
        ("BTCUSDT", "1h"): "late",  # nothing goes on after July 15th
        ("BTCUSDT", "1d"): "never-published",
        ("BTCUSD", "1h"): "never-published",
        ("BTCUSD", "1d"): "never-published",
        ("ETHUSDT", "1h"): "delisted",
        ("ETHUSDT", "1d"): "never-published",
    }


def test_filters_choose_among_the_folders_of_the_bucket() -> None:
    keys = [hour_key(15, symbol) for symbol in ("BTCUSDT", "BTCFDUSD", "币安人生USDT")]
    bucket = Bucket(with_sidecars(*keys))
    found = bucket.candidates(replace(a_group("*"), filters=SymbolFilter(("USDT",))))
    assert [item.series.symbol for item, *_ in found] == ["BTCUSDT", "币安人生USDT"]


def test_globs_are_matched_against_the_folders_of_the_bucket() -> None:
    keys = [hour_key(15, symbol) for symbol in ("BTCUSDT", "BTCDOWNUSDT", "ETHBTC", "币安人生USDT")]
    bucket = Bucket(with_sidecars(*keys))
    found = bucket.candidates(a_group("*USDT", "!*DOWN*"))
    assert bucket.folders_asked == ["data/spot/daily/klines/"]
    assert [item.series.symbol for item, *_ in found] == ["BTCUSDT", "币安人生USDT"]


def test_folders_are_those_of_the_partition() -> None:
    bucket = Bucket(set())
    bucket.candidates(a_group("*", partition=Partition.MONTHLY, market=Market.FUTURES_CM))
    assert bucket.folders_asked == ["data/futures/cm/monthly/klines/"]


def test_globs_that_match_nothing_are_noticed() -> None:
    bucket = Bucket(with_sidecars(hour_key(15)))
    assert bucket.candidates(a_group("*FOO", "BAR*")) == []
    [text] = bucket.texts
    assert text.startswith("spot klines")
    assert "*FOO" in text
    assert "BAR*" in text


def test_nothing_is_listed_for_days_that_are_not_over() -> None:
    bucket = Bucket(set())
    assert bucket.candidates(a_group("BTCUSDT", dates=DateRange(TODAY, None)), TODAY) == []
    assert bucket.asked == []


# In any mixture

SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000SHIBUSDT", "币安人生USDT")
INTERVALS = ("1h", "1d")
DAYS = st.integers(0, 45)
KINDS = st.sampled_from(["both", "zip", "sidecar"])
SERIES = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(INTERVALS))
WORLDS = st.dictionaries(SERIES, st.dictionaries(DAYS, KINDS, max_size=6))


def keys_on(symbol: str, interval: str, days: dict[int, str]) -> Iterator[tuple[str, date, str]]:
    row = row_of(Market.SPOT, "klines")
    for number, kind in days.items():
        day = date(2025, 6, 25) + timedelta(days=number)
        yield row.object(symbol, interval, Period(Partition.DAILY, day)).key, day, kind


@given(world=WORLDS)
def test_zips_and_sidecars_are_joined_in_any_mixture(world: dict[tuple[str, str], dict[int, str]]) -> None:
    expected: dict[str, bool] = {}
    held: set[str] = set()
    for (symbol, interval), days in world.items():
        for key, day, kind in keys_on(symbol, interval, days):
            held |= {"both": with_sidecars(key), "zip": {key}, "sidecar": {key + SIDECAR_SUFFIX}}[kind]
            if kind != "sidecar" and date(2025, 7, 1) <= day <= date(2025, 7, 31):
                expected[key] = kind == "both"
    # Each symbol has a folder, so that none of them is unknown.
    old = {key for symbol in SYMBOLS for key in with_sidecars(hour_key("2020-01-01", symbol))}
    bucket = Bucket(held | old)
    found = bucket.candidates(a_group(*SYMBOLS, intervals=INTERVALS))
    assert len(found) == len(expected)
    assert {item.key: remote.has_sidecar for item, remote, *_ in found if remote} == expected
    assert len(bucket.days) == len(SYMBOLS) * len(INTERVALS)
    assert all(one.available + sum(days.count for days in one.absent) == one.wanted == 31 for one in bucket.days)
    assert sum(one.available for one in bucket.days) == len(expected)
    for symbol in SYMBOLS:
        for interval in INTERVALS:
            own = [item.key for item, *_ in found if (item.series.symbol, item.series.interval) == (symbol, interval)]
            assert own == sorted(own)


@given(first=DAYS, length=st.integers(0, 60), days=st.sets(DAYS))
def test_narrowing_loses_no_day(first: int, length: int, days: set[int]) -> None:
    start = date(2025, 6, 25) + timedelta(days=first)
    end = start + timedelta(days=length)
    world = list(keys_on("BTCUSDT", "1h", dict.fromkeys(days, "both")))
    bucket = Bucket(with_sidecars(*(key for key, _, _ in world)))
    found = bucket.candidates(a_group("BTCUSDT", dates=DateRange(start, end)))
    last = min(end, TODAY - timedelta(days=1))
    listed = [one for one in found if one.action is None]
    assert keys_of(listed) == sorted(key for key, day, _ in world if start <= day <= last)


# A month in place of its days


def month_key(month: str, symbol: str = "BTCUSDT") -> str:
    return f"data/spot/monthly/klines/{symbol}/1h/{symbol}-1h-{month}.zip"


def best_of_both(*symbols: str, dates: DateRange = JULY, intervals: tuple[str | None, ...] = ("1h",)) -> SeriesGroup:
    return replace(a_group(*symbols, dates=dates, intervals=intervals), consolidates=True)


def test_a_month_that_is_listed_takes_the_place_of_its_days() -> None:
    days = [hour_key(day) for day in range(1, 32)]
    bucket = Bucket(with_sidecars(*days, month_key("2025-07")), sizes=dict.fromkeys(days, 10))
    [found] = bucket.candidates(best_of_both("BTCUSDT"))
    assert (found.object.key, found.covers) == (month_key("2025-07"), Covered(31, 310))
    assert bucket.prepared == [
        [
            "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-",
            "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-",
        ]
    ]


def test_a_month_of_which_a_part_is_wanted_is_not_listed_where_all_days_are_there() -> None:
    days = [hour_key(day) for day in range(2, 31)]
    bucket = Bucket(with_sidecars(*days, month_key("2025-07")))
    group = best_of_both("BTCUSDT", dates=DateRange(date(2025, 7, 2), date(2025, 7, 30)))
    assert keys_of(bucket.candidates(group)) == days
    assert bucket.asked == ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-"]


def test_days_that_only_a_month_has_bring_the_month() -> None:
    months, days = [month_key("2025-05"), month_key("2025-06")], [hour_key(day) for day in range(1, 11)]
    bucket = Bucket(with_sidecars(*months, *days))
    group = best_of_both("BTCUSDT", dates=DateRange(date(2025, 5, 15), date(2025, 7, 10)))
    found = bucket.candidates(group)
    assert keys_of(found) == [*months, *days]
    assert [one.look.bit_count() for one in found[:2]] == [17, 30]
    what = "some days are only in monthly objects, which bring 14 further days: BTCUSDT 2025-05"
    assert bucket.texts == [f"spot klines: {what}"]
    strict = Bucket(bucket.keys)
    assert keys_of(strict.candidates(replace(group, consolidates=False))) == days
    [answer] = strict.days
    assert answer.summary == (
        "spot klines BTCUSDT 1h: 47 of 57 days not available: 2025-05-15 to 2025-06-30 monthly-only"
    )


def test_the_days_that_a_month_is_known_to_lack_are_taken_day_by_day() -> None:
    days, lacking = [hour_key(day) for day in range(1, 32)], [hour_key(day) for day in (8, 9)]
    bucket = Bucket(with_sidecars(*days, month_key("2025-07")))
    rows = Days(dayset.span(date(2025, 7, 1), date(2025, 7, 31)) & ~dayset.span(date(2025, 7, 8), date(2025, 7, 9)))
    files = Files(rows={month_key("2025-07"): rows})
    found = list(ListedGroup(a_context(LATER, bucket.said.append), best_of_both("BTCUSDT"), bucket, files).objects())
    assert sorted(keys_of(found)) == [*lacking, month_key("2025-07")]
    assert [one.look for one in found] == [0, 0, 0]


def test_a_day_without_its_zero_is_found() -> None:
    odd = hour_key("2025-7-13")
    days = [hour_key(day) for day in range(10, 16) if day != 13]
    bucket = Bucket(with_sidecars(odd, *days))
    found = bucket.candidates(a_group("BTCUSDT", dates=DateRange(date(2025, 7, 10), date(2025, 7, 15))))
    assert keys_of(found) == sorted([odd, *days], key=lambda key: int(key[:-4].rpartition("-")[2]))
    [answer] = bucket.days
    assert (answer.wanted, answer.available, answer.absent) == (6, 6, ())


def test_what_the_bucket_has_outside_the_dates_of_the_matrix_is_planned_with_a_note() -> None:
    bucket = Bucket(with_sidecars(hour_key("2017-08-15"), hour_key("2017-08-16"), hour_key("2017-08-17")))
    found = bucket.candidates(a_group("BTCUSDT", dates=DateRange(date(2017, 8, 15), date(2017, 8, 17))))
    assert len(found) == 3
    assert bucket.texts == [
        "spot klines: the archive has data of 2017-08-15; the matrix says that it starts 2017-08-17"
    ]


def test_globs_look_for_symbols_in_both_partitions() -> None:
    bucket = Bucket(with_sidecars(month_key("2025-07", "OLDUSDT"), hour_key(3, "NEWUSDT")))
    found = bucket.candidates(best_of_both("*USDT"))
    assert keys_of(found) == [month_key("2025-07", "OLDUSDT"), hour_key(3, "NEWUSDT")]
    assert bucket.folders_asked == ["data/spot/monthly/klines/", "data/spot/daily/klines/"]


@given(
    first=st.integers(-60, 31), length=st.integers(0, 120), today=st.integers(0, 90),
    days=st.sets(st.integers(-60, 80), max_size=30), months=st.sets(st.sampled_from(range(5, 10))), short=st.booleans(),
)  # fmt: skip
def test_every_wanted_day_comes_once_in_one_form_or_the_other(
    first: int, length: int, today: int, days: set[int], months: set[int], short: bool
) -> None:
    july, now = date(2025, 7, 1), date(2025, 7, 1) + timedelta(days=today)
    start, end = july + timedelta(days=first), july + timedelta(days=first + length)
    daily = {hour_key(str(day)): day for day in (july + timedelta(days=number) for number in days)}
    monthly = {month_key(f"2025-{month:02}"): date(2025, month, 1) for month in months}
    bucket = Bucket(with_sidecars(*daily, *monthly), short=set(monthly) if short else set())
    found = bucket.candidates(best_of_both("BTCUSDT", dates=DateRange(start, end)), now)
    taken = [one for one in found if one.action is None]
    assert set(keys_of(taken)) <= {*daily, *monthly}
    assert len(set(keys_of(found))) == len(found)
    wanted = {start + timedelta(days=number) for number in range(length + 1)}
    wanted = {day for day in wanted if day < now}
    whole = [one.object.period for one in taken if one.object.period.partition is Partition.MONTHLY]
    for month in whole:
        own = {day for day in wanted if month.first_day <= day <= month.last_day}
        # The whole month is wanted, or it may have wanted days that no daily object has.
        assert own - set(daily.values()) or month.last_day.day == len(own)
    for key, day in daily.items():
        times = keys_of(taken).count(key) + sum(month.first_day <= day <= month.last_day for month in whole)
        assert (times > 0) == (day in wanted), key
        assert short or times <= 1, key
    if wanted and bucket.days:
        [answer] = bucket.days
        assert answer.wanted == len(wanted) == answer.available + sum(one.count for one in answer.absent)


def test_of_many_months_that_are_not_trusted_some_are_named() -> None:
    names = [f"X{number:02}USDT" for number in range(MONTHS_NAMED + 5)]
    keys = [key for name in names for key in (hour_key(1, name), month_key("2025-07", name))]
    bucket = Bucket(
        with_sidecars(*keys), short={key for key in keys if "monthly" in key}, sizes=dict.fromkeys(keys, 99)
    )
    assert {one.object.series.symbol for one in bucket.candidates(best_of_both(*names))} == set(names)
    assert bucket.texts[0] == (
        "spot klines X00USDT 1h 2025-07: the monthly object is known to lack rows; planning its daily objects"
    )
    assert "spot klines: planning daily objects for 5 more months" in bucket.texts
    assert sum("known to lack rows" in text for text in bucket.texts) == MONTHS_NAMED


def test_the_calendar_plans_days_and_says_so() -> None:
    said: list[Notice] = []
    found = list(calendar_objects(a_context(TODAY, said.append), ResolvedSelection((best_of_both("BTCUSDT"),), ())))
    assert (len(found), {one.object.period.partition for one in found}) == (31, {Partition.DAILY})
    assert [notice.text for notice in said] == [
        "spot klines: planning daily objects only: the calendar does not know which monthly ones exist"
    ]


# What is still on its way


def awaited(found: Iterable[Candidate]) -> list[str]:
    """The periods to wait for; nothing may follow them in their series."""
    waiting = [one for one in found if one.action is not None]
    assert all((one.action, one.remote) == (Action.WAIT, None) and Absence(one.why).may_end for one in waiting)
    return [str(one.object.period) for one in waiting]


def test_the_days_behind_the_newest_of_a_living_series_are_waited_for() -> None:
    bucket = Bucket(with_sidecars(hour_key("2025-08-17")))
    found = bucket.candidates(a_group("BTCUSDT", dates=DateRange(date(2025, 8, 1), None)), TODAY)
    assert awaited(found) == ["2025-08-18", "2025-08-19"]  # today is the 20th; what is older is a hole
    assert keys_of(found)[0] == hour_key("2025-08-17")
    assert bucket.texts == []


@pytest.mark.parametrize(
    ("newest", "days"),
    [
        ("2025-08-19", []),
        ("2025-08-18", ["2025-08-19"]),
        ("2025-08-15", ["2025-08-16", "2025-08-17", "2025-08-18", "2025-08-19"]),
    ],
)
def test_a_series_that_is_late_is_waited_for(newest: str, days: list[str]) -> None:
    group = a_group("BTCUSDT", dates=DateRange(date(2025, 8, 1), date(2025, 8, 31)))
    assert sorted(awaited(Bucket(with_sidecars(hour_key(newest))).candidates(group, TODAY))) == days


def test_a_dead_series_is_not_waited_for() -> None:
    goes_on = [hour_key(f"2025-08-{day:02}") for day in range(1, 20)]
    bucket = Bucket(with_sidecars(hour_key("2025-08-10", "LUNAUSDT"), *goes_on))
    assert awaited(bucket.candidates(a_group("LUNAUSDT", dates=DateRange(date(2025, 8, 1), None)), TODAY)) == []
    [answer] = bucket.days
    assert answer.absent[-1] == AbsentDays(Absence.DELISTED, date(2025, 8, 11), date(2025, 8, 19))


def test_a_recent_hole_is_waited_for_and_an_older_one_is_not() -> None:
    bucket = Bucket(with_sidecars(*(hour_key(f"2025-08-{day}") for day in (14, 16, 17, 19))))
    group = a_group("BTCUSDT", dates=DateRange(date(2025, 8, 14), None))
    assert awaited(bucket.candidates(group, TODAY)) == ["2025-08-18"]


def test_only_wanted_days_are_waited_for() -> None:
    group = a_group("BTCUSDT", dates=DateRange(date(2025, 8, 1), date(2025, 8, 18)))
    assert awaited(Bucket(with_sidecars(hour_key("2025-08-17"))).candidates(group, TODAY)) == ["2025-08-18"]


@pytest.mark.parametrize(
    ("symbol", "start", "days"),
    [
        ("BTCUSDT", date(2025, 8, 18), ["2025-08-18", "2025-08-19"]),
        ("BTCUSDT", date(2025, 8, 19), ["2025-08-19"]),
        ("NOSUCH", date(2025, 8, 19), []),
        ("BTC*", date(2025, 8, 19), ["2025-08-19"]),
    ],
)
def test_of_a_series_without_a_day_only_named_and_real_symbols_are_waited_for(
    symbol: str, start: date, days: list[str]
) -> None:
    bucket = Bucket(with_sidecars(hour_key("2025-08-16")))
    assert awaited(bucket.candidates(a_group(symbol, dates=DateRange(start, None)), TODAY)) == days


@pytest.mark.parametrize(
    ("today", "months"),
    [
        (date(2025, 7, 31), []),  # it is not over
        (date(2025, 8, 1), ["2025-07"]),
        (date(2025, 8, 16), ["2025-07"]),
        (date(2025, 8, 17), ["2025-07"]),  # late, and still to come
    ],
)
def test_a_month_is_waited_for(today: date, months: list[str]) -> None:
    bucket = Bucket(with_sidecars(month_key("2025-06")))
    group = a_group("BTCUSDT", dates=DateRange(date(2025, 1, 1), None), partition=Partition.MONTHLY)
    found = bucket.candidates(group, today)
    assert (keys_of(found)[0], awaited(found)) == (month_key("2025-06"), months)
    assert PUBLICATION_DELAY[Partition.MONTHLY] == timedelta(days=16)


def test_a_month_that_is_late_is_not_waited_for_where_its_days_are_there() -> None:
    days = [hour_key(f"2025-07-{day:02}") for day in range(1, 32)]
    bucket = Bucket(with_sidecars(*days, month_key("2025-06")))
    found = bucket.candidates(
        best_of_both("BTCUSDT", dates=DateRange(date(2025, 6, 1), date(2025, 7, 31))), date(2025, 8, 2)
    )
    assert keys_of(found) == [month_key("2025-06"), *days]


def test_days_behind_a_month_are_waited_for_day_by_day() -> None:
    bucket = Bucket(with_sidecars(hour_key(31), month_key("2025-07")))
    found = bucket.candidates(best_of_both("BTCUSDT", dates=DateRange(date(2025, 7, 1), None)), date(2025, 8, 2))
    assert (keys_of(found)[0], awaited(found)) == (month_key("2025-07"), ["2025-08-01"])


def test_nothing_is_waited_for_once_the_listing_is_cut_short() -> None:
    bucket = Bucket(with_sidecars(hour_key("2025-08-17")), is_cut_short=True)
    assert awaited(bucket.candidates(a_group("BTCUSDT", dates=DateRange(date(2025, 8, 1), None)), TODAY)) == []
