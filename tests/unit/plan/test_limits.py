"""A plan that exceeds its budget is stopped before any of it starts."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import Budget, Discovery, Request, RunConfig, Selection
from crypto_archive.errors import ExitCode, FileUnusable
from crypto_archive.model import Action, PlannedObject
from crypto_archive.plan import limits as module
from crypto_archive.plan.limits import (
    ITEMS_PER_CHUNK,
    OverBudget,
    check_budget,
    require_sizes,
    within_budget,
    without_max_bytes,
)
from tests.objects import an_object, bundled, kept, listed, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def of_size(size: int, number: int = 0) -> PlannedObject:
    return to_fetch(an_object(number), remote=listed(size))


def test_without_a_limit_the_stream_stays_a_stream(tmp_path: Path) -> None:
    asked = count()
    endless = (of_size(1, number) for number in asked)
    passed = within_budget(endless, Budget(), tmp_path / "not there")
    assert next(passed).object == an_object(0)
    assert next(asked) == 1


def test_with_a_limit_all_is_counted_before_the_first_is_passed_on(tmp_path: Path) -> None:
    plan = [*many_to_fetch(2 * ITEMS_PER_CHUNK + 1), kept(an_object(9_000))]
    counted: list[PlannedObject] = []

    def watched() -> Iterator[PlannedObject]:
        for item in plan:
            counted.append(item)
            yield item

    passed = within_budget(watched(), Budget(max_objects=2 * ITEMS_PER_CHUNK + 1), tmp_path)
    first = next(passed)
    assert len(counted) == len(plan)
    assert [first, *passed] == plan
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_a_piece_or_two_of_the_plan_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ITEMS_PER_CHUNK", 10)

    def alive() -> int:
        gc.collect()
        return sum(isinstance(one, PlannedObject) for one in gc.get_objects())

    gc.freeze()  # what other tests have left does not count, and is not looked through each time
    most = 0

    def watched(plan: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
        nonlocal most
        for number, item in enumerate(plan):
            if number % 33 == 0:
                most = max(most, alive())
            yield item

    try:
        counted = watched(many_to_fetch(100))
        passed = watched(within_budget(counted, Budget(max_objects=100), tmp_path))
        assert sum(1 for _ in passed) == 100
    finally:
        gc.unfreeze()
    assert 10 <= most <= 22


def test_one_too_many_stops_it_there_and_nothing_is_passed_on(tmp_path: Path) -> None:
    asked = count()
    endless = (of_size(1, number) for number in asked)
    with pytest.raises(OverBudget) as caught:
        next(within_budget(endless, Budget(max_objects=1000), tmp_path))
    assert next(asked) == 1001
    assert caught.value.message == ("The plan exceeds max_objects: at least 1,001 objects to download, 1,000 allowed")
    assert "Select less, for example fewer days, or raise --max-objects" in caught.value.hint
    assert "`crypto-archive plan`" in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_bytes_are_counted_exactly() -> None:
    plan = [of_size(600), of_size(424, 1)]
    assert list(within_budget(plan, Budget(max_bytes=1024))) == plan
    with pytest.raises(OverBudget) as caught:
        list(within_budget(plan, Budget(max_bytes=1023)))
    assert caught.value.message == (
        "The plan exceeds max_bytes: at least 1.0 KiB (1,024 bytes) to download, 1023 B allowed"
    )
    assert "--max-bytes" in caught.value.hint


def test_what_stays_costs_nothing() -> None:
    plan = [of_size(9)._replace(action=action) for action in Action if not action.transfers]
    assert list(within_budget(plan, Budget(1, 1))) == plan


def test_unknown_sizes_do_not_count_as_nothing() -> None:
    with pytest.raises(OverBudget, match="the plan does not know the sizes") as caught:
        list(within_budget(many_to_fetch(1), Budget(max_bytes=1)))
    assert "--discover listing" in caught.value.hint
    assert list(within_budget(many_to_fetch(1), Budget(max_objects=1)))
    assert list(within_budget([kept(an_object())], Budget(max_bytes=1)))


def test_a_whole_plan_is_reported_with_its_exact_figures() -> None:
    check_budget(Budget(10, 10), 10, 10)
    with pytest.raises(OverBudget, match="exceeds max_objects: 11 objects to download, 10 allowed") as caught:
        check_budget(Budget(10), 11, None)
    assert "crypto-archive plan" not in caught.value.hint


def test_a_cancelled_run_does_not_count_to_the_end(tmp_path: Path) -> None:
    cancelled = threading.Event()

    def endless() -> Iterator[PlannedObject]:
        for number in count():
            if number == 3:
                cancelled.set()
            yield of_size(1, number)

    assert len(list(within_budget(endless(), Budget(max_objects=10**9), tmp_path, cancelled))) == 3


def test_a_folder_that_takes_no_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="Cannot keep the plan in"):
        next(within_budget(many_to_fetch(1), Budget(max_objects=1), tmp_path / "not there"))


def test_a_plan_from_the_calendar_is_refused_immediately() -> None:
    limited = Request(Selection(()), Path(), budget=Budget(max_bytes=1))
    require_sizes(limited)
    require_sizes(Request(Selection(()), Path(), Discovery.CALENDAR, budget=Budget(max_objects=1)))
    with pytest.raises(OverBudget, match="max_bytes cannot be enforced"):
        require_sizes(replace(limited, discovery=Discovery.CALENDAR))


def test_where_sizes_do_not_matter_a_notice_says_so() -> None:
    free = RunConfig(Request(Selection(()), Path(), budget=Budget(max_objects=1)), bundled(), (), (), {})
    assert without_max_bytes(free) is free
    limited = replace(free, request=replace(free.request, budget=Budget(1, 1)))
    found = without_max_bytes(limited)
    assert found.request == free.request
    assert [notice.text for notice in found.notices] == [
        "max_bytes is ignored: a plan from the calendar does not know sizes"
    ]


@given(
    st.lists(st.integers(0, 50), max_size=20), st.none() | st.integers(1, 20), st.none() | st.integers(1, 500),
    st.integers(1, 5),
)  # fmt: skip
def test_it_passes_everything_or_nothing(
    sizes: list[int], max_objects: int | None, max_bytes: int | None, piece: int
) -> None:
    plan = [of_size(size, number) for number, size in enumerate(sizes)]
    fits = (max_objects is None or len(sizes) <= max_objects) and (max_bytes is None or sum(sizes) <= max_bytes)
    passed: list[PlannedObject] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "ITEMS_PER_CHUNK", piece)
        try:
            passed.extend(within_budget(plan, Budget(max_objects, max_bytes)))
        except OverBudget:
            assert not fits
            assert passed == []
        else:
            assert fits
            assert passed == plan
