from __future__ import annotations

from datetime import date

from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.model import Absence, DateRange, Market, Series
from crypto_archive.plan.availability import GAP_DAYS, DayCounts, SeriesCoverage, SymbolHistory, total

SERIES = Series(Market.SPOT, "klines", "BTCUSDT", "1d")
JANUARY = dayset.span(date(2025, 1, 1), date(2025, 1, 31))


def history(*spans: tuple[date, date]) -> SymbolHistory:
    days = 0
    for first, last in spans:
        days |= dayset.span(first, last)
    return SymbolHistory(SERIES, Days(days))


def test_a_history_has_its_ends_and_no_gap() -> None:
    one = history((date(2021, 1, 5), date(2021, 3, 1)))
    assert (one.first_day, one.last_day, one.gaps) == (date(2021, 1, 5), date(2021, 3, 1), ())


def test_only_long_gaps_hint_at_a_reused_name() -> None:
    assert GAP_DAYS == 30
    short = history((date(2021, 1, 1), date(2021, 1, 1)), (date(2021, 1, 31), date(2021, 2, 1)))
    assert short.gaps == ()
    long = history((date(2021, 1, 1), date(2021, 1, 1)), (date(2021, 2, 1), date(2021, 2, 1)))
    assert long.gaps == (DateRange(date(2021, 1, 2), date(2021, 1, 31)),)


def test_a_month_is_counted_by_itself() -> None:
    stored = dayset.span(date(2025, 1, 20), date(2025, 1, 31))
    listed = dayset.span(date(2025, 1, 22), date(2025, 2, 3))
    hole = dayset.span(date(2025, 2, 4), date(2025, 2, 5))
    wanted = Days(stored | listed | hole)
    one = SeriesCoverage(SERIES, wanted, stored, listed, {Absence.HOLE: hole})
    assert [(str(month), counts) for month, counts in one.months()] == [
        ("2025-01", DayCounts(12, 12, 10, 0, {})),
        ("2025-02", DayCounts(5, 0, 3, 3, {Absence.HOLE: 2})),
    ]
    assert one.counts() == DayCounts(17, 12, 13, 3, {Absence.HOLE: 2})
    assert dayset.count(one.only_stored) == 2
    assert one.counts().available == 15
    assert one.counts().share == 12 / 15
    assert one.within(JANUARY).share == 1
    assert DayCounts(3, missing={Absence.HOLE: 3}).share is None


COUNTS = st.builds(
    DayCounts,
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(Absence), st.integers(1, 9)),
)


@given(st.lists(COUNTS))
def test_a_total_is_the_sum_of_each(counts: list[DayCounts]) -> None:
    whole = total(counts)
    for name in ("days", "stored", "listed", "to_fetch"):
        assert getattr(whole, name) == sum(getattr(one, name) for one in counts)
    for reason in Absence:
        assert whole.missing.get(reason, 0) == sum(one.missing.get(reason, 0) for one in counts)
    assert list(whole.missing) == [reason for reason in Absence if reason in whole.missing]
