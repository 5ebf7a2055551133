"""The spool: batches come out once, in order, whoever asks, and those who wait hear of the end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import RootUnusable
from crypto_archive.files import Spool
from crypto_archive.model import Batch
from crypto_archive.plan.decide import batches
from tests.objects import an_object, listed, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "not yet there")
    yield spool
    spool.discard()


def drain(spool: Spool) -> list[Batch]:
    return list(iter(spool.get, None))


def test_batches_come_out_whole_and_in_order(spool: Spool) -> None:
    planned = [to_fetch(an_object(0, symbol="币安人生USDT"), remote=listed()), *many_to_fetch(5, with_sidecar=False)]
    cut = list(batches(planned, 2))
    for batch in cut:
        spool.put(batch)
    spool.close()
    assert drain(spool) == cut
    assert spool.get() is None


@given(puts=st.lists(st.booleans(), max_size=40))
def test_putting_and_taking_in_any_order(puts: list[bool], tmp_path_factory: pytest.TempPathFactory) -> None:
    spool, waiting = Spool(tmp_path_factory.getbasetemp()), list[Batch]()
    numbers = iter(range(1, 100))
    for put in puts:
        if put:
            batch = Batch(next(numbers), tuple(many_to_fetch(2)))
            spool.put(batch)
            waiting.append(batch)
        elif waiting:
            assert spool.get() == waiting.pop(0)
    spool.close()
    assert drain(spool) == waiting
    spool.discard()


def test_a_spool_that_is_closed_empty_ends_all_who_wait(spool: Spool) -> None:
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(spool.get) for _ in range(4)]
        spool.close()
        assert [future.result() for future in waiting] == [None] * 4


def test_several_threads_share_the_batches(spool: Spool) -> None:
    cut = list(batches(many_to_fetch(200), 2))
    ready = threading.Barrier(4)

    def take() -> list[Batch]:
        ready.wait()
        return drain(spool)

    with ThreadPoolExecutor(3) as threads:
        takers = [threads.submit(take) for _ in range(3)]
        ready.wait()
        for batch in cut:
            spool.put(batch)
        spool.close()
        taken = [taker.result() for taker in takers]
    assert sorted(batch.number for some in taken for batch in some) == [batch.number for batch in cut]
    assert all(some == sorted(some, key=lambda batch: batch.number) for some in taken)


def test_nothing_is_left_of_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(Batch(1, tuple(many_to_fetch(1))))
    spool.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RootUnusable, match=r"The plan cannot be kept in .*staging: ") as caught:
        Spool(tmp_path / "file" / "staging")
    assert "--output" in caught.value.hint
