"""How long a run may take, judged by those before it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, strategies as st

from crypto_archive.plan.estimate import Estimate, PastRun, estimate, rates

RUNS = st.lists(
    st.builds(PastRun, st.integers(1, 10**7), st.integers(0, 10**14), st.floats(0.001, 10**6)), min_size=1, max_size=10
)
OBJECTS, SIZES = st.integers(0, 10**7), st.integers(0, 10**14)


def test_without_a_run_nobody_knows() -> None:
    assert estimate((), 10, 1000) is None


def test_one_run_gives_half_of_its_time_to_objects_and_half_to_bytes() -> None:
    past = [PastRun(100, 4000, 20.0)]
    assert estimate(past, 100, 4000) == Estimate(20.0, 1)
    assert estimate(past, 200, 8000) == Estimate(40.0, 1)
    assert estimate(past, 100, 0) == Estimate(10.0, 1)


def test_two_runs_of_different_shape_tell_the_rates_apart() -> None:
    past = [PastRun(1000, 10_000, 11.0), PastRun(10, 1_000_000, 100.1)]
    assert rates(past) == pytest.approx((0.01, 0.0001))


def test_what_made_no_difference_counts_for_nothing() -> None:
    slower_with_fewer_bytes = [PastRun(10, 1000, 10.0), PastRun(20, 100, 20.0), PastRun(30, 10, 31.0)]
    per_object, per_byte = rates(slower_with_fewer_bytes)
    assert per_byte == 0
    assert per_object == pytest.approx(1430 / 1400)


def test_unknown_sizes_leave_the_objects_alone() -> None:
    past = [PastRun(10, 7, 1.0), PastRun(20, 70_000, 2.0)]
    assert estimate(past, 100, None) == Estimate(pytest.approx(10.0), 2, by_bytes=False)


def test_empty_objects_take_time_too() -> None:
    assert rates([PastRun(10, 0, 5.0)]) == (0.5, 0.0)


@given(RUNS, OBJECTS, SIZES | st.none(), st.integers(0, 10**6), st.integers(0, 10**12))
def test_it_is_never_negative_and_never_less_for_more(
    past: list[PastRun], objects: int, size: int | None, more_objects: int, more_bytes: int
) -> None:
    found = estimate(past, objects, size)
    more = estimate(past, objects + more_objects, None if size is None else size + more_bytes)
    assert found is not None
    assert more is not None
    assert 0 <= found.seconds <= more.seconds


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**12)), min_size=1, max_size=10),
    st.floats(0, 10),
    st.floats(0, 10**-5),
)
def test_it_is_exact_on_runs_that_follow_it(shapes: list[tuple[int, int]], per_object: float, per_byte: float) -> None:
    past = [PastRun(objects, size, per_object * objects + per_byte * size) for objects, size in shapes]
    assume(all(run.seconds > 0.001 for run in past))
    longest = max(past, key=lambda run: run.seconds)
    found = estimate(past, longest.objects, longest.bytes)
    assert found is not None
    assert found.seconds == pytest.approx(longest.seconds, rel=1e-3)


@given(RUNS, st.floats(0, 100), st.floats(0, 10**-6))
def test_no_other_rates_explain_the_runs_better(past: list[PastRun], per_object: float, per_byte: float) -> None:
    def error(a: float, b: float) -> float:
        return sum((a * run.objects + b * run.bytes - run.seconds) ** 2 for run in past)

    assert error(*rates(past)) <= error(per_object, per_byte) * (1 + 1e-6) + 1e-6 * sum(run.seconds**2 for run in past)
