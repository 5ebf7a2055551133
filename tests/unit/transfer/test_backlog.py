"""The backlog: lanes take all of it, each time a fair share, and wait for more only while more may come."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, count, repeat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import FileUnusable
from crypto_archive.files import DiskQueue
from crypto_archive.model import Action, Market
from crypto_archive.plan.batches import HUGE_BYTES
from crypto_archive.transfer import backlog as module
from crypto_archive.transfer.backlog import KEY_BYTES, Backlog, weight_of
from tests.objects import an_object, listed, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.model import Batch, PlannedObject
    from crypto_archive.plan.batches import Group

KINDS = ((Market.SPOT, "klines"), (Market.SPOT, "trades"), (Market.FUTURES_UM, "klines"))
HOUR = 3600.0


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of a few objects are worth a process, and no lane waits for more."""
    monkeypatch.setattr(module, "SMALLEST_SHARE", 4 * KEY_BYTES)
    monkeypatch.setattr(module, "SMALLEST_EARLY_SHARE", 8 * KEY_BYTES)
    monkeypatch.setattr(module, "LARGEST_SHARE", 40 * KEY_BYTES)
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.0)


@pytest.fixture
def backlog(tmp_path: Path) -> Iterator[Backlog]:
    backlog = Backlog(tmp_path, 2, 100)
    yield backlog
    backlog.close()


def a_group(*numbers: int, size: int = 0, kind: tuple[Market, str] = KINDS[0]) -> Group:
    """Objects with their sidecars; each weighs two requests and its bytes."""
    market, data_type = kind
    remote = listed(size)
    return tuple(to_fetch(an_object(number, market=market, data_type=data_type), remote=remote) for number in numbers)


def take_all(backlog: Backlog) -> list[Batch]:
    return list(iter(partial(backlog.take, 0), None))


def items_of(parts: Iterable[Group | Batch]) -> list[PlannedObject]:
    return list(chain.from_iterable(part if isinstance(part, tuple) else part.items for part in parts))


@st.composite
def planned_groups(draw: st.DrawFn) -> list[Group]:
    numbers = count()
    return [
        a_group(*(next(numbers) for _ in range(objects)), size=size * KEY_BYTES, kind=kind)
        for kind in draw(st.lists(st.sampled_from(KINDS), max_size=4))
        for objects, size in draw(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0, 1, 50])), max_size=12))
    ]


@given(groups=planned_groups(), lanes=st.integers(1, 12), batch_size=st.integers(1, 6), in_memory=st.integers(0, 64))
def test_batches_are_fair_shares_of_what_waits(
    groups: list[Group], lanes: int, batch_size: int, in_memory: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "GROUPS_IN_MEMORY", in_memory)
        backlog = Backlog(tmp_path_factory.getbasetemp(), lanes, batch_size)
        for group in groups:
            backlog.put(group)
        backlog.end()
        batches = take_all(backlog)
        backlog.close()
    assert items_of(batches) == items_of(groups)
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    left = items_of(groups)
    for takers, batch in zip(chain(range(lanes, 0, -1), repeat(max(1, lanes // 4))), batches, strict=False):
        waiting = weight_of(tuple(left))
        share = min(max(module.SMALLEST_SHARE, waiting // takers), module.LARGEST_SHARE)
        if waiting < share + module.SMALLEST_SHARE:
            share = waiting
        left = left[len(batch.items) :]
        assert len({(item.object.series.market, item.object.series.data_type) for item in batch.items}) == 1
        assert weight_of(batch.items[:-1]) < share  # no more than its share
        if left and batch.label == label_of(left[0]) and len(batch.items) + 2 <= batch_size:
            assert weight_of(batch.items) >= share  # and no less


def label_of(item: PlannedObject) -> str:
    series = item.object.series
    return f"{series.market.value} {series.data_type}"


def test_lanes_that_have_had_nothing_yet_share_evenly(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path, 3, 100)
    backlog.put(a_group(*range(30)))  # a command may copy a part of it
    backlog.end()
    assert [len(batch.items) for batch in take_all(backlog)] == [10, 10, 10]
    backlog.close()


def test_lanes_that_are_not_needed_take_nothing(backlog: Backlog) -> None:
    assert backlog.share_among(1)
    backlog.put(a_group(0, 1, 2, 3))
    assert backlog.take(1) is None
    batch = backlog.take(0)
    assert batch is not None
    assert len(batch.items) == 4
    assert not backlog.share_among(2)  # too late: a lane that had a batch has to come back


def test_huge_objects_come_first_and_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HUGE_LANES", 2)
    backlog = Backlog(tmp_path, 8, 100)
    backlog.put(a_group(0, 1, 2))
    for number in (3, 4, 5):
        backlog.put(a_group(number, size=HUGE_BYTES))
    backlog.end()
    batches = [batch for _ in range(3) if (batch := backlog.take(0)) is not None]
    assert [[*map(number_of, batch.items)] for batch in batches] == [[3], [4], [0, 1, 2]]
    backlog.copied(batches[1])
    last = backlog.take(0)
    assert last is not None
    assert [*map(number_of, last.items)] == [5]
    assert backlog.take(0) is None
    backlog.close()


@pytest.mark.parametrize("ended", [True, False], ids=["at the end of the plan", "while it goes on"])
def test_a_lane_waits_until_it_may_take_a_huge_object(
    backlog: Backlog, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    monkeypatch.setattr(module, "HUGE_LANES", 1)
    for number in range(2):
        backlog.put(a_group(number, size=HUGE_BYTES))
    if ended:
        backlog.end()
    first = backlog.take(0)
    assert first is not None
    with ThreadPoolExecutor(1) as thread:
        taking = thread.submit(backlog.take, 1)
        backlog.copied(first)
        second = taking.result()
        backlog.end()
    assert second is not None
    assert [*map(number_of, second.items)] == [1]


def number_of(item: PlannedObject) -> int:
    return (item.object.period.first_day - an_object(0).period.first_day).days


def test_shares_shrink_with_what_waits(tmp_path: Path) -> None:
    """Lanes end at about the same time, without a process for every object: others come back for the rest."""
    backlog = Backlog(tmp_path, 8, 100)
    backlog._unserved = 0
    for number in range(16):
        backlog.put(a_group(number))
    backlog.end()
    assert [len(batch.items) for batch in take_all(backlog)] == [8, 4, 2, 2]
    backlog.close()


def test_lanes_that_wait_together_share_evenly(backlog: Backlog) -> None:
    for number in range(16):
        backlog.put(a_group(number))
    backlog.end()
    backlog._unserved, backlog._idle = 0, 3  # besides the one that takes now
    batch = backlog.take(0)
    assert batch is not None
    assert len(batch.items) == 4


def test_no_share_is_too_large_for_a_slow_line(backlog: Backlog) -> None:
    for number in range(100):
        backlog.put(a_group(number))
    backlog.end()
    assert len(take_all(backlog)[0].items) == 20


@pytest.mark.parametrize(
    ("item", "weight"),
    [
        (to_fetch(an_object()), 2 * KEY_BYTES),
        (to_fetch(an_object(), with_sidecar=False), KEY_BYTES),
        (to_fetch(an_object(), remote=listed(7)), 2 * KEY_BYTES + 7),
        (to_fetch(an_object(), remote=listed(7))._replace(action=Action.CHECK), KEY_BYTES),
    ],
    ids=["of unknown size", "alone", "of known size", "only its sidecar"],
)
def test_what_is_asked_for_weighs_its_requests_and_its_bytes(item: PlannedObject, weight: int) -> None:
    assert weight_of((item, item)) == 2 * weight


# While the plan is being made


def test_what_waits_is_taken_though_more_may_come(backlog: Backlog) -> None:
    for number in range(3):
        backlog.put(a_group(number))
        batch = backlog.take(0)
        assert batch is not None
        assert (batch.number, items_of([batch])) == (number + 1, items_of([a_group(number)]))


@pytest.fixture
def lingering(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """A thread in which a lane takes a batch; only what a test does, and not time, ends its waiting."""
    monkeypatch.setattr(module, "LINGER_SECONDS", HOUR)
    monkeypatch.setattr(module, "QUIET_SECONDS", HOUR)
    with ThreadPoolExecutor(1) as thread:
        yield thread
        backlog.end()


def when_it_waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    waits = threading.Event()
    wait_for_more = Backlog._wait_for_more

    def noted(self: Backlog) -> None:
        waits.set()
        wait_for_more(self)

    monkeypatch.setattr(Backlog, "_wait_for_more", noted)
    return waits


def test_a_lane_waits_for_as_much_as_is_worth_a_process(
    backlog: Backlog, lingering: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = when_it_waits(monkeypatch)
    taking = lingering.submit(backlog.take, 0)
    backlog.put(a_group(*range(10)))
    assert waits.wait(HOUR)
    groups = [a_group(*range(at, at + 10)) for at in range(0, 40, 10)]  # the largest share for each of two lanes
    for group in groups[1:]:
        backlog.put(group)
    batch = taking.result()
    assert batch is not None
    assert items_of([batch]) == items_of(groups[:2])
    assert backlog.take(0) is not None
    taking = lingering.submit(backlog.take, 0)
    backlog.put(a_group(40, 41, 42, 43))  # and later what is worth a process
    assert taking.result() is not None


def test_the_end_of_the_plan_ends_the_waiting(
    backlog: Backlog, lingering: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = when_it_waits(monkeypatch)
    taking = lingering.submit(backlog.take, 0)
    backlog.put(a_group(0))
    assert waits.wait(HOUR)
    backlog.end()
    batch = taking.result()
    assert batch is not None
    assert items_of([batch]) == items_of([a_group(0)])
    assert lingering.submit(backlog.take, 0).result() is None


def test_nobody_waits_where_there_is_enough_or_no_more(backlog: Backlog, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour to linger, only a lane that does not lets the test end."""
    monkeypatch.setattr(module, "LINGER_SECONDS", HOUR)
    monkeypatch.setattr(module, "QUIET_SECONDS", HOUR)
    backlog.put(a_group(*range(40)))
    assert backlog.take(0) is not None
    backlog.put(a_group(8))
    backlog.end()
    assert [len(batch.items) for batch in take_all(backlog)] == [21]  # the last one is not worth a batch


# The end, and after it


def test_an_end_without_anything_releases_all_lanes(backlog: Backlog) -> None:
    with ThreadPoolExecutor(4) as threads:
        taking = [threads.submit(backlog.take, 0) for _ in range(4)]
        backlog.end()
        assert [future.result() for future in taking] == [None] * 4


def test_a_second_plan_may_follow(backlog: Backlog) -> None:
    for number in range(2):
        backlog.reopen()
        backlog.put(a_group(number))
        backlog.end()
        assert [(batch.number, items_of([batch])) for batch in take_all(backlog)] == [
            (number + 1, items_of([a_group(number)]))
        ]


def test_several_lanes_take_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPS_IN_MEMORY", 3)
    backlog = Backlog(tmp_path, 3, 5)
    groups = [a_group(2 * number, 2 * number + 1, kind=KINDS[number // 7 % 3]) for number in range(150)]
    ready = threading.Barrier(4)

    def take() -> list[Batch]:
        ready.wait()
        return take_all(backlog)

    with ThreadPoolExecutor(3) as threads:
        takers = [threads.submit(take) for _ in range(3)]
        ready.wait()
        for group in groups:
            backlog.put(group)
        backlog.end()
        batches = sorted(chain.from_iterable(taker.result() for taker in takers), key=lambda batch: batch.number)
    backlog.close()
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert items_of(batches) == items_of(groups)


def test_what_a_full_disk_did_not_take_is_not_waited_for(
    backlog: Backlog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(*_: object) -> None:
        raise FileUnusable("Cannot keep the plan", tmp_path)

    backlog.put(a_group(0))
    with monkeypatch.context() as full:
        full.setattr(DiskQueue, "put", put)
        with pytest.raises(FileUnusable):
            backlog.put(a_group(1))
    batch = backlog.take(0)
    assert batch is not None
    assert items_of([batch]) == items_of([a_group(0)])
