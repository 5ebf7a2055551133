"""What earlier runs waited for: who inherits it, how it is listed, and when the wait ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.config.run_config import Partitioning, Selection, SymbolFilter
from crypto_archive.model import Absence, Action, DateRange, Market, Partition, Period, StoredStat
from crypto_archive.plan.awaited import (
    SYMBOLS_NAMED,
    Earlier,
    awaited_earlier,
    earlier_groups,
    moves_on,
    wanted_by,
)
from crypto_archive.plan.candidates import listed_objects
from crypto_archive.plan.selection import ResolvedSelection
from crypto_archive.root.manifest import LONGEST_WAIT, Awaited, Manifest
from tests.objects import Files, a_context, row_of
from tests.unit.plan.test_candidates import Bucket, with_sidecars

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from crypto_archive.model import ArchiveObject, Candidate

TODAY = date(2025, 12, 8)
SINCE = date(2025, 12, 1)
ROLLING = Selection(
    (Market.FUTURES_UM,),
    ("fundingRate", "klines"),
    {Market.FUTURES_UM: ("BTCUSDT", "ETHUSDT")},
    {"klines": ("1d", "1mo")},
    DateRange(date(2025, 12, 5), date(2025, 12, 7)),
)


def month(symbol: str = "BTCUSDT", when: date = date(2025, 11, 1), data_type: str = "fundingRate") -> ArchiveObject:
    interval = "1mo" if data_type == "klines" else None
    return row_of(Market.FUTURES_UM, data_type).object(symbol, interval, Period(Partition.MONTHLY, when))


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    with Manifest(tmp_path / "manifest.sqlite") as opened:
        yield opened


def wait(manifest: Manifest, item: ArchiveObject, selection: Selection = ROLLING, since: date = SINCE) -> None:
    who = wanted_by(selection, item.series.market, item.series.data_type)
    manifest.record_awaited(Awaited(item.key, who, since))


def inherited(manifest: Manifest, selection: Selection, today: date = TODAY) -> list[str]:
    context = a_context(today, selection=selection)
    return [f"{one.object.series.symbol} {one.object.period}" for one in awaited_earlier(context, manifest)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"symbols": {Market.FUTURES_UM: ("ETHUSDT", "BTCUSDT")}}, True),
        ({"data_types": ("fundingRate",)}, True),
        ({"markets": (Market.SPOT, Market.FUTURES_UM)}, True),
        ({"dates": DateRange(date(2025, 12, 7), None)}, True),
        ({"dates": DateRange(date(2025, 11, 30), date(2025, 12, 7))}, False),  # which have the object themselves
        ({"dates": DateRange(None, date(2025, 12, 7))}, False),
        ({"dates": DateRange(date(2025, 12, 1), date(2025, 12, 6))}, False),
        ({"symbols": {Market.FUTURES_UM: ("BTCUSDT",)}}, False),
        ({"markets": (Market.SPOT,)}, False),
        ({"partition": Partitioning.MONTHLY}, False),
        ({"filters": SymbolFilter(settled=False)}, False),
    ],
)
def test_the_same_selection_apart_from_its_dates_inherits(
    manifest: Manifest, changed: dict[str, Any], expected: bool
) -> None:
    wait(manifest, month())
    assert inherited(manifest, replace(ROLLING, **changed)) == (["BTCUSDT 2025-11"] if expected else [])


def test_a_data_type_that_is_not_selected_any_more_is_not_wanted(manifest: Manifest) -> None:
    wait(manifest, month())
    assert candidates(manifest, set(), replace(ROLLING, data_types=("klines",)))[0] == []


@pytest.mark.parametrize(("end", "expected"), [(None, True), (date(2025, 12, 7), True), (date(2025, 12, 6), False)])
def test_dates_that_reach_yesterday_move(end: date | None, expected: bool) -> None:
    assert moves_on(DateRange(SINCE, end), TODAY) is expected
    assert not moves_on(DateRange(None, end), TODAY)


def test_what_never_came_is_given_up_after_a_year_with_a_notice(manifest: Manifest) -> None:
    since = TODAY - LONGEST_WAIT[Partition.MONTHLY]
    wait(manifest, month(), since=since)
    wait(manifest, month("ETHUSDT"), since=since - timedelta(days=1))
    said: list[str] = []
    context = a_context(TODAY, lambda notice: said.append(notice.text), selection=ROLLING)
    assert [one.object.series.symbol for one in awaited_earlier(context, manifest)] == ["BTCUSDT"]
    assert said == ["futures_um fundingRate: given up: ETHUSDT 2025-11, waited for since 2024-12-06"]


@pytest.mark.parametrize(
    ("partition", "days", "came", "expected"),
    [("monthly", 366, None, False), ("monthly", 367, None, True), ("daily", 62, None, False), ("daily", 63, None, True),
     ("daily", 8, 7, False), ("daily", 9, 8, True)],
)  # fmt: skip
def test_a_wait_is_over_after_a_while(partition: str, days: int, came: int | None, expected: bool) -> None:
    ended = None if came is None else TODAY - timedelta(days=came)
    one = Awaited(f"data/spot/{partition}/trades/BTCUSDT/x.zip", "who", TODAY - timedelta(days=days), ended)
    assert one.is_over(TODAY) is expected


def candidates(
    manifest: Manifest,
    keys: set[str],
    selection: Selection = ROLLING,
    today: date = TODAY,
    stored: Container[str] = (),
) -> tuple[list[Candidate], list[str], Bucket]:
    """Return what the listing of keys makes of what is awaited, what is said of it, and the bucket that was asked."""
    said: list[str] = []
    months = {key: 50_000 for key in keys if "/monthly/" in key}
    bucket = Bucket(with_sidecars(*keys, "data/other/key.zip"), sizes=months)
    context = a_context(today, lambda notice: said.append(notice.text), selection=selection)
    earlier = awaited_earlier(context, manifest)
    files = Files(lambda key: StoredStat(1, None) if key in stored else None)
    found = listed_objects(context, ResolvedSelection((), ()), files, bucket, earlier)  # type: ignore[arg-type]
    return list(found), said, bucket


def test_what_is_listed_by_now_is_wanted_and_the_rest_waits_on(manifest: Manifest) -> None:
    for item in (month(), month("ETHUSDT"), month(data_type="klines")):
        wait(manifest, item)
    found, said, _ = candidates(manifest, {month().key})
    assert [(one.object, one.action, one.why, one.awaited_since) for one in found] == [
        (month(), None, "waited for since 2025-12-01", SINCE),
        (month("ETHUSDT"), Action.WAIT, Absence.NOT_YET, SINCE),
        (month(data_type="klines"), Action.WAIT, Absence.NOT_YET, SINCE),
    ]
    assert said == [
        "futures_um fundingRate: published now: BTCUSDT 2025-11, waited for since 2025-12-01",
        "futures_um fundingRate: still not published: ETHUSDT 2025-11, waited for since 2025-12-01",
        "futures_um klines: still not published: BTCUSDT 1mo 2025-11, waited for since 2025-12-01",
    ]


def test_what_will_never_come_ends_for_that_reason(manifest: Manifest) -> None:
    ended = row_of(Market.FUTURES_UM, "bookTicker").last_date
    assert ended is not None
    when = (ended + timedelta(days=40)).replace(day=1)
    row = row_of(Market.FUTURES_UM, "bookTicker")
    books = replace(ROLLING, data_types=("bookTicker",))
    wait(manifest, row.object("BTCUSDT", None, Period(Partition.MONTHLY, when)), books)
    found, said, _ = candidates(manifest, set(), books)
    assert [(one.action, one.why) for one in found] == [(Action.WAIT, Absence.DISCONTINUED)]
    assert f"will not be published (discontinued): BTCUSDT {when:%Y-%m}" in said[0]


@pytest.mark.parametrize(("symbol", "reason"), [("BTCUSDT", Absence.HOLE), ("ICPUSDTSETTLED", Absence.DELISTED)])
def test_what_is_overdue_is_delisted_only_where_the_name_says_so(
    manifest: Manifest, symbol: str, reason: Absence
) -> None:
    later = date(2026, 1, 20)
    chosen = replace(ROLLING, symbols={Market.FUTURES_UM: (symbol,)}, dates=DateRange(later - timedelta(days=3), None))
    wait(manifest, month(symbol), chosen)
    assert [one.why for one in candidates(manifest, set(), chosen, later)[0]] == [reason]


def test_what_a_symbol_that_has_ended_lacks_is_not_waited_for(manifest: Manifest) -> None:
    """Its name does not say so, but it has no candles either, and the type goes on."""
    later = date(2026, 1, 20)
    dates = DateRange(later - timedelta(days=3), None)
    chosen = replace(ROLLING, data_types=("fundingRate",), symbols={Market.FUTURES_UM: ("LUNAUSDT",)}, dates=dates)
    wait(manifest, month("LUNAUSDT"), chosen)
    listed = {month("LUNAUSDT", date(2025, 10, 1)).key, *(month(when=date(2025, at, 1)).key for at in (10, 11, 12))}
    found, said, _ = candidates(manifest, listed, chosen, later)
    assert [(one.action, one.why) for one in found] == [(Action.WAIT, Absence.DELISTED)]
    assert "will not be published (delisted): LUNAUSDT 2025-11" in said[-1]


def test_a_day_that_came_only_in_its_month_is_had_by_the_month(manifest: Manifest) -> None:
    klines = row_of(Market.FUTURES_UM, "klines")
    dates = DateRange(TODAY - timedelta(days=3), None)
    chosen = replace(ROLLING, data_types=("klines",), intervals={"klines": ("1d",)}, dates=dates)
    waited = klines.object("BTCUSDT", "1d", Period(Partition.DAILY, date(2025, 11, 29)))
    of_month = klines.object("BTCUSDT", "1d", Period(Partition.MONTHLY, date(2025, 11, 1)))
    others = [date(2025, 11, 28), date(2025, 12, 1), date(2025, 12, 5)]
    listed = {of_month.key, *(klines.object("BTCUSDT", "1d", Period(Partition.DAILY, day)).key for day in others)}
    wait(manifest, waited, chosen)
    found, _, _ = candidates(manifest, listed, chosen)
    assert [(one.object, one.action, one.why, one.awaited_since) for one in found] == [
        (of_month, None, "has days waited for since 2025-12-01", SINCE)
    ]
    found, said, _ = candidates(manifest, listed, chosen, stored={of_month.key})
    assert [(one.object, one.why) for one in found] == [(waited, Absence.MONTHLY_ONLY)]  # which ends the wait
    assert "will not be published (monthly-only): BTCUSDT 1d 2025-11-29" in said[-1]
    only_days = replace(chosen, partition=Partitioning.DAILY)
    wait(manifest, waited, only_days)
    assert [one.why for one in candidates(manifest, listed, only_days)[0]] == [Absence.MONTHLY_ONLY]


def test_few_symbols_are_listed_by_name_and_many_as_the_selection_has_them() -> None:
    everything = replace(ROLLING, symbols={Market.FUTURES_UM: ("*USDT",)})
    context = a_context(TODAY, selection=everything)
    for count, expected in ((2, ("S0USDT", "S1USDT")), (SYMBOLS_NAMED + 1, ("*USDT",))):
        earlier = [Earlier(month(f"S{number}USDT"), SINCE) for number in range(count)]
        (group,) = earlier_groups(context, earlier)
        assert group.symbols == expected
        assert group.dates == DateRange(date(2025, 11, 1), date(2025, 11, 30))


def test_a_wait_costs_one_request_for_each_series(manifest: Manifest) -> None:
    wait(manifest, month())
    _, _, bucket = candidates(manifest, {month().key})
    assert bucket.asked == [month().key.removesuffix("2025-11.zip")]
    assert bucket.folders_asked == []
