"""The totals of a plan, added up while it streams by."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Action, Covered, Market, Partition, Period, PlannedObject, RemoteStat
from crypto_archive.plan.batches import batches
from crypto_archive.plan.totals import SIDECAR_BYTES, GroupTotals, PlanTotals, added_bytes, known_size
from tests.objects import LISTED_AT, an_object, kept, listed, many_to_fetch, to_fetch

KINDS = ((Market.SPOT, "klines"), (Market.FUTURES_UM, "trades"))
EMPTY = dict.fromkeys(
    ("objects", "sidecars", "commands", "batches", "bytes", "sized", "present", "updates", "waiting", "refused",
     "to_fetch", "bytes_to_fetch", "sized_to_fetch", "added_bytes", "consolidated", "saved_objects", "saved_bytes"),
    0,
)  # fmt: skip


def test_nothing_adds_up_to_nothing() -> None:
    totals = PlanTotals()
    assert totals.overall == EMPTY
    assert totals.groups == ()


def test_every_kind_of_object_is_counted_for_what_it_is() -> None:
    plan = [
        to_fetch(an_object(0), remote=listed(1000)),
        to_fetch(an_object(1), with_sidecar=False, remote=listed(200)),
        to_fetch(an_object(2)),
        kept(an_object(3)),
        PlannedObject(an_object(4), Action.UPDATE, "another ETag", remote=listed(30)),
        PlannedObject(an_object(5), Action.KEEP, "there", remote=listed(4)),
        PlannedObject(an_object(6), Action.WAIT, "not-yet"),
        PlannedObject(an_object(7), Action.REFUSE, "another ETag", remote=listed(5)),
    ]
    totals = PlanTotals()
    assert list(totals.counting(plan)) == plan
    assert totals.groups == (
        GroupTotals(
            Market.SPOT,
            "klines",
            objects=8,
            sidecars=3,
            bytes=1239,
            sized=5,
            present=2,
            updates=1,
            waiting=1,
            refused=1,
            to_fetch=4,
            bytes_to_fetch=1230,
            sized_to_fetch=3,
            added_bytes=1000 + 200 + 30 + 2 * SIDECAR_BYTES,
            first_day=an_object(0).period.first_day,
            last_day=an_object(5).period.last_day,  # those to wait for and those refused are not had
        ),
    )


def test_the_days_of_a_month_are_all_its_days() -> None:
    month = an_object(0)._replace(period=Period(Partition.MONTHLY, date(2024, 2, 1)))
    totals = PlanTotals()
    assert (totals.first_day, totals.last_day) == (None, None)
    list(totals.counting([to_fetch(month)]))
    assert (totals.first_day, totals.last_day) == (date(2024, 2, 1), date(2024, 2, 29))


def test_groups_stand_in_the_order_of_the_plan() -> None:
    items = [an_object(market=market, data_type=data_type) for market, data_type in reversed(KINDS)]
    totals = PlanTotals()
    list(totals.counting(map(to_fetch, items)))
    assert [(group.market, group.data_type) for group in totals.groups] == list(reversed(KINDS))


def test_totals_grow_with_what_was_consumed() -> None:
    totals = PlanTotals()
    stream = totals.counting(many_to_fetch(3))
    seen = []
    for _ in stream:
        seen.append(totals.overall["objects"])
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(("batch_size", "count", "commands"), [(100, 1, 4), (2, 26, 27)])
def test_batches_and_their_commands_are_counted_and_passed_on(batch_size: int, count: int, commands: int) -> None:
    """The days are of four months; one command copies what a batch has of a month."""
    totals = PlanTotals()
    cut = list(totals.counting_batches(batches(totals.counting(many_to_fetch(101)), batch_size)))
    assert [batch.number for batch in cut] == list(range(1, count + 1))
    assert [totals.overall[name] for name in ("batches", "objects", "commands")] == [count, 101, commands]


def test_what_monthly_objects_save_is_reported_truthfully() -> None:
    month, larger = Covered(31, 3100), Covered(30, 1500)
    plan = [
        to_fetch(an_object(0), remote=listed(2000))._replace(covers=month),
        kept(an_object(1))._replace(remote=listed(2000), covers=larger),
        to_fetch(an_object(2), remote=listed(10)),
    ]
    totals = PlanTotals()
    list(totals.counting(plan))
    found = totals.overall
    assert (found["consolidated"], found["saved_objects"], found["saved_bytes"]) == (2, 30 + 29, 1100 - 500)


PLANNED = st.builds(
    lambda kind, action, sidecar, size, covers, stored: PlannedObject(
        an_object(market=kind[0], data_type=kind[1]),
        action,
        "",
        sidecar,
        None if size is None else listed(size),
        stored_size=stored,
        covers=covers,
    ),
    st.sampled_from(KINDS),
    st.sampled_from(Action),
    st.booleans(),
    st.none() | st.integers(0, 10**12),
    st.none() | st.builds(Covered, st.integers(1, 31), st.integers(0, 10**12)),
    st.integers(0, 10**12),
)


@given(plan=st.lists(PLANNED, max_size=30))
def test_totals_are_the_sums_of_the_plan(plan: list[PlannedObject]) -> None:
    totals = PlanTotals()
    to_cut = (item for item in totals.counting(plan) if item.action.transfers)
    cut = list(totals.counting_batches(batches(to_cut, 4)))
    transfers = [item for item in plan if item.action.transfers]
    to_do = [item for item in transfers if item.action is not Action.CHECK]
    overall = totals.overall
    assert overall["objects"] == len(plan)
    assert overall["present"] == sum(item.action in {Action.KEEP, Action.CHECK} for item in plan)
    assert overall["waiting"] == sum(item.action is Action.WAIT for item in plan)
    assert overall["refused"] == sum(item.action is Action.REFUSE for item in plan)
    assert overall["to_fetch"] == len(to_do)
    assert overall["objects"] == sum(overall[part] for part in ("present", "waiting", "refused", "to_fetch"))
    assert overall["bytes_to_fetch"] == sum(item.remote.size for item in to_do if item.remote)
    assert overall["sized_to_fetch"] == sum(item.remote is not None for item in to_do)
    assert overall["added_bytes"] == sum(map(added_bytes, plan))
    covering = [item.covers for item in plan if item.covers]
    assert overall["consolidated"] == len(covering)
    assert overall["consolidated"] + overall["saved_objects"] == sum(covers.objects for covers in covering)
    assert overall["commands"] == sum(batch.commands for batch in cut)
    assert overall["sidecars"] == sum(item.with_sidecar for item in transfers)
    assert overall["updates"] == sum(item.action is Action.UPDATE for item in to_do)
    assert overall["bytes"] == sum(item.remote.size for item in plan if item.remote)
    assert overall["sized"] == sum(item.remote is not None for item in plan)
    assert len(transfers) >= overall["commands"] >= overall["batches"] >= bool(transfers)
    for name, total in overall.items():
        assert total == sum(asdict(group)[name] for group in totals.groups)


def of_size(size: int, *, action: Action = Action.FETCH, stored: int = 0) -> PlannedObject:
    return to_fetch(an_object(), remote=listed(size))._replace(action=action, stored_size=stored)


PINNED = to_fetch(an_object())._replace(pin=RemoteStat(11, "e" * 32, LISTED_AT))


@pytest.mark.parametrize(
    ("item", "added"),
    [
        (of_size(7), 7 + SIDECAR_BYTES),
        (of_size(7)._replace(with_sidecar=False), 7),
        (of_size(7, action=Action.KEEP, stored=7), 0),
        (of_size(9, action=Action.UPDATE, stored=7), 2),
        (of_size(5, action=Action.UPDATE, stored=7), -2),
        (of_size(7, action=Action.FETCH, stored=7), 0),
        (of_size(7, action=Action.WAIT), 0),
        (to_fetch(an_object()), 0),
        (PINNED, 11 + SIDECAR_BYTES),
    ],
    ids=["new", "without its sidecar", "kept", "grown", "shrunk", "forced", "not yet", "of unknown size", "pinned"],
)
def test_only_what_is_added_counts(item: PlannedObject, added: int) -> None:
    assert added_bytes(item) == added


def test_the_listing_knows_a_size_better_than_a_lock() -> None:
    assert known_size(PINNED._replace(remote=listed(12))) == 12
    assert known_size(PINNED) == 11
    assert known_size(to_fetch(an_object())) is None
