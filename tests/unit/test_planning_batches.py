"""Batches: small enough for a run-file, of one kind, and together exactly what is planned."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Market
from crypto_archive.plan.decide import batches
from tests.objects import an_object, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from crypto_archive.model import Batch, PlannedObject

KINDS = ((Market.SPOT, "klines"), (Market.SPOT, "trades"), (Market.FUTURES_UM, "klines"))


def commands_of(batch: Batch) -> int:
    return sum(len(item.keys) for item in batch.items)


def kind_of(item: PlannedObject) -> tuple[Market, str]:
    return item.object.series.market, item.object.series.data_type


@st.composite
def plans(draw: st.DrawFn) -> list[PlannedObject]:
    kinds = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=60))
    return [
        to_fetch(an_object(number, market=market, data_type=data_type), with_sidecar=with_sidecar)
        for number, ((market, data_type), with_sidecar) in enumerate(kinds)
    ]


PLANS = plans()
SIZES = st.integers(1, 12) | st.just(100)


@given(planned=PLANS, batch_size=SIZES)
def test_nothing_is_lost_and_the_order_is_kept(planned: list[PlannedObject], batch_size: int) -> None:
    assert [item for batch in batches(planned, batch_size) for item in batch.items] == planned


@given(planned=PLANS, batch_size=SIZES)
def test_a_batch_is_never_larger_than_a_run_file(planned: list[PlannedObject], batch_size: int) -> None:
    """Only where a run-file holds a single command does an object with its sidecar need two of them."""
    for batch in batches(planned, batch_size):
        assert batch.items
        assert commands_of(batch) <= batch_size or (batch_size == 1 and len(batch.items) == 1)


@given(planned=PLANS, batch_size=SIZES)
def test_a_batch_is_of_one_market_and_type(planned: list[PlannedObject], batch_size: int) -> None:
    for batch in batches(planned, batch_size):
        assert len({kind_of(item) for item in batch.items}) == 1


@given(planned=PLANS, batch_size=SIZES)
def test_batches_are_filled_before_the_next_one_is_begun(planned: list[PlannedObject], batch_size: int) -> None:
    for one, other in pairwise(batches(planned, batch_size)):
        alike = kind_of(one.items[0]) == kind_of(other.items[0])
        assert not alike or commands_of(one) + len(other.items[0].keys) > batch_size


@given(planned=PLANS, batch_size=SIZES)
def test_batches_are_numbered_from_one(planned: list[PlannedObject], batch_size: int) -> None:
    numbers = [batch.number for batch in batches(planned, batch_size)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("batch_size", "with_sidecar", "sizes"),
    [
        (100, True, [50, 50, 1]),
        (100, False, [100, 1]),
        (3, True, [1] * 101),
        (2, True, [1] * 101),
        (1, True, [1] * 101),
    ],
)
def test_sidecars_count(batch_size: int, with_sidecar: bool, sizes: list[int]) -> None:
    cut = batches(many_to_fetch(101, with_sidecar=with_sidecar), batch_size)
    assert [len(batch.items) for batch in cut] == sizes


def test_a_plan_without_anything_to_fetch_has_no_batch() -> None:
    assert list(batches([], 100)) == []


def test_the_label_says_what_a_batch_holds() -> None:
    [batch] = batches([to_fetch(an_object(market=Market.FUTURES_UM, data_type="bookDepth"))], 100)
    assert batch.label == "futures_um bookDepth"
