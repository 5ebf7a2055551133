"""How planned objects are shared out: what one command can copy is a group, what one run-file can copy is a batch."""

from __future__ import annotations

from datetime import date
from itertools import chain, pairwise

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Action, Market, Partition, Period, PlannedObject
from crypto_archive.plan import batches as module
from crypto_archive.plan.batches import Group, alike, batches, commands_of, groups
from crypto_archive.s5cmd.copies import copy_commands
from tests.objects import an_object, listed, many_to_fetch, row_of, to_fetch

KINDS = (
    (Market.SPOT, "klines", "BTCUSDT"),
    (Market.SPOT, "klines", "ETHUSDT"),
    (Market.SPOT, "trades", "BTCUSDT"),
    (Market.FUTURES_UM, "klines", "BTCUSDT"),
)
MEBIBYTE = 1 << 20


def a_month(year: int, month: int = 1, *, symbol: str = "BTCUSDT") -> PlannedObject:
    """The monthly object of a series."""
    period = Period(Partition.MONTHLY, date(year, month, 1))
    return to_fetch(row_of(Market.SPOT, "klines").object(symbol, "1h", period))


def kind_of(item: PlannedObject) -> tuple[Market, str]:
    return item.object.series.market, item.object.series.data_type


@st.composite
def planned_objects(draw: st.DrawFn) -> list[PlannedObject]:
    """Objects of some series, one after the other as in a plan: days, of several months, and months, of all sizes."""
    plan: list[PlannedObject] = []
    for market, data_type, symbol in draw(st.lists(st.sampled_from(KINDS), max_size=8, unique=True)):
        for number in draw(st.lists(st.integers(0, 70), max_size=12, unique=True).map(sorted)):
            size = draw(st.none() | st.sampled_from([0, 100, 20 * MEBIBYTE, 300 * MEBIBYTE]))
            item = to_fetch(
                an_object(number, market=market, data_type=data_type, symbol=symbol),
                with_sidecar=draw(st.booleans()),
                remote=None if size is None else listed(size),
            )
            plan.append(item._replace(action=Action.CHECK) if item.with_sidecar and draw(st.booleans()) else item)
    plan += (a_month(year) for year in draw(st.lists(st.integers(2015, 2031), max_size=3, unique=True).map(sorted)))
    return plan


PLANS = planned_objects()
SIZES = st.integers(1, 12) | st.just(100)


# Groups


@given(plan=PLANS, batch_size=SIZES)
def test_groups_are_the_plan_in_its_order(plan: list[PlannedObject], batch_size: int) -> None:
    assert list(chain.from_iterable(groups(plan, batch_size))) == plan


@given(plan=PLANS, batch_size=SIZES)
def test_a_group_is_what_its_commands_can_copy(plan: list[PlannedObject], batch_size: int) -> None:
    """They are as many as are really written for it; only months years apart may take one for each year."""
    for group in groups(plan, batch_size):
        assert 1 <= len(group) <= batch_size
        assert sum(item.remote.size for item in group if item.remote) <= module.HUGE_BYTES or len(group) == 1
        assert len({item.object.series for item in group}) == 1
        written = list(copy_commands("bucket", (key for item in group for key in item.keys)))
        years = {item.object.period.first_day.year for item in group}
        assert commands_of(group) <= len(written) <= commands_of(group) * len(years)


@given(plan=PLANS, batch_size=SIZES)
def test_a_group_ends_only_where_it_has_to(plan: list[PlannedObject], batch_size: int) -> None:
    for one, other in pairwise(groups(plan, batch_size)):
        together = (*one, other[0])
        assert (
            len(one) == batch_size
            or span_of(one[-1]) != span_of(other[0])
            or sum(item.remote.size for item in together if item.remote) > module.HUGE_BYTES
        )


def span_of(item: PlannedObject) -> tuple[object, ...]:
    day = item.object.period.first_day
    months = day.year // 10 if item.object.period.partition is Partition.MONTHLY else (day.year, day.month)
    return item.object.series, item.object.period.partition, months


def lengths(plan: list[PlannedObject], batch_size: int = 100) -> list[int]:
    return [len(group) for group in groups(plan, batch_size)]


def test_the_days_of_a_month_are_a_group() -> None:
    assert lengths(list(many_to_fetch(31 + 31 + 3))) == [31, 31, 3]


def test_the_months_of_a_decade_are_a_group() -> None:
    assert lengths([a_month(year, month) for year in (2018, 2019, 2020) for month in (1, 2)]) == [4, 2]


def test_days_and_months_are_never_a_group() -> None:
    assert lengths([a_month(2025, 7), to_fetch(an_object(0))]) == [1, 1]


def test_large_objects_are_shared_out_one_by_one() -> None:
    large = listed(module.HUGE_BYTES)
    assert lengths([to_fetch(an_object(number), remote=large) for number in range(3)]) == [1, 1, 1]
    half = listed(module.HUGE_BYTES // 2)
    assert lengths([to_fetch(an_object(number), remote=half) for number in range(5)]) == [2, 2, 1]


def test_zips_with_and_without_sidecars_and_sidecars_alone_take_a_command_each() -> None:
    with_it, without, alone = (
        to_fetch(an_object(0)),
        to_fetch(an_object(1), with_sidecar=False),
        to_fetch(an_object(2))._replace(action=Action.CHECK),
    )
    assert [commands_of(group) for group in ((with_it,), (with_it, without), (with_it, without, alone))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (an_object(40, symbol="ETHUSDT", interval="1m"), True),
        (an_object(0, data_type="trades"), False),
        (an_object(0, market=Market.FUTURES_UM), False),
    ],
    ids=["another series", "another type", "another market"],
)
def test_groups_of_one_market_and_type_are_alike(other: object, expected: bool) -> None:
    one: Group = (to_fetch(an_object()),)
    assert alike(one, (to_fetch(other),)) is expected  # type: ignore[arg-type]


# Batches


@given(plan=PLANS, batch_size=SIZES)
def test_nothing_is_lost_and_the_order_is_kept(plan: list[PlannedObject], batch_size: int) -> None:
    assert [item for batch in batches(plan, batch_size) for item in batch.items] == plan


@given(plan=PLANS, batch_size=SIZES)
def test_a_batch_is_never_larger_than_a_run_file(plan: list[PlannedObject], batch_size: int) -> None:
    """Only where a run-file holds one or two commands may a single group need more of them."""
    for batch in batches(plan, batch_size):
        assert batch.items
        assert batch.commands <= batch_size or len(list(groups(batch.items, batch_size))) == 1


@given(plan=PLANS, batch_size=SIZES)
def test_a_batch_is_of_one_market_and_type(plan: list[PlannedObject], batch_size: int) -> None:
    for batch in batches(plan, batch_size):
        assert len({kind_of(item) for item in batch.items}) == 1


@given(plan=PLANS, batch_size=SIZES)
def test_batches_are_filled_before_the_next_one_is_begun(plan: list[PlannedObject], batch_size: int) -> None:
    for one, other in pairwise(batches(plan, batch_size)):
        is_alike = kind_of(one.items[0]) == kind_of(other.items[0])
        following = next(groups(other.items, batch_size))
        commands = sum(map(commands_of, groups(one.items, batch_size)))
        assert not is_alike or commands + commands_of(following) > batch_size


@given(plan=PLANS, batch_size=SIZES)
def test_batches_are_numbered_from_one(plan: list[PlannedObject], batch_size: int) -> None:
    numbers = [batch.number for batch in batches(plan, batch_size)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("with_sidecar", [True, False])
@pytest.mark.parametrize(("batch_size", "sizes"), [(100, [101]), (4, [16, 15, 16, 15, 16, 14, 9]), (1, [1] * 101)])
def test_a_batch_is_as_many_commands_of_as_many_objects(batch_size: int, with_sidecar: bool, sizes: list[int]) -> None:
    cut = batches(many_to_fetch(101, with_sidecar=with_sidecar), batch_size)
    assert [len(batch.items) for batch in cut] == sizes


def test_a_plan_without_anything_to_fetch_has_no_batch() -> None:
    assert list(batches([], 100)) == []


def test_the_label_says_what_a_batch_holds() -> None:
    [batch] = batches([to_fetch(an_object(market=Market.FUTURES_UM, data_type="bookDepth"))], 100)
    assert batch.label == "futures_um bookDepth"
