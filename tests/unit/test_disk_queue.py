"""The queue on disk: items come out once, in order, whoever takes them, and those who wait learn of the end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import FileUnusable
from crypto_archive.files import DiskQueue
from crypto_archive.model import Batch
from crypto_archive.plan.batches import batches
from tests.objects import an_object, listed, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[DiskQueue[Batch]]:
    with DiskQueue[Batch](tmp_path) as queue:
        yield queue


def test_batches_come_out_complete_and_in_order(queue: DiskQueue[Batch]) -> None:
    planned = [to_fetch(an_object(0, symbol="币安人生USDT"), remote=listed()), *many_to_fetch(5, with_sidecar=False)]
    cut = list(batches(planned, 2))
    for batch in cut:
        queue.put(batch)
    queue.end()
    assert list(queue) == cut
    assert list(queue) == []


@given(puts=st.lists(st.booleans(), max_size=40), in_memory=st.integers(0, 5))
def test_putting_and_taking_in_any_order(
    puts: list[bool], in_memory: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether all of them, some or none are in memory."""
    waiting: list[str] = []
    with DiskQueue[str](tmp_path_factory.getbasetemp(), in_memory=in_memory) as queue:
        items = iter(queue)
        for number, put in enumerate(puts):
            if put:
                queue.put(f"{number}" * number)
                waiting.append(f"{number}" * number)
            elif waiting:
                assert next(items) == waiting.pop(0)
        queue.end()
        assert list(items) == waiting


def test_a_queue_that_ends_empty_releases_all_who_wait(queue: DiskQueue[Batch]) -> None:
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(list, queue) for _ in range(4)]
        queue.end()
        assert [future.result() for future in waiting] == [[]] * 4


def test_several_threads_share_the_items(queue: DiskQueue[Batch]) -> None:
    cut = list(batches(many_to_fetch(200), 2))
    ready = threading.Barrier(4)

    def take() -> list[Batch]:
        ready.wait()
        return list(queue)

    with ThreadPoolExecutor(3) as threads:
        takers = [threads.submit(take) for _ in range(3)]
        ready.wait()
        for batch in cut:
            queue.put(batch)
        queue.end()
        taken = [taker.result() for taker in takers]
    assert sorted(batch.number for some in taken for batch in some) == [batch.number for batch in cut]
    assert all(some == sorted(some, key=lambda batch: batch.number) for some in taken)


def test_nothing_is_left_of_a_queue(tmp_path: Path) -> None:
    with DiskQueue[str](tmp_path) as queue:
        queue.put("x")
        assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match=r"^Cannot keep the plan in .*gone: No such file or directory") as caught:
        DiskQueue(tmp_path / "gone")
    assert "--output" in caught.value.hint
