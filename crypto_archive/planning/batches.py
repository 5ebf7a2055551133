"""Cut planned objects into batches."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.model import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.model import PlannedObject


def batches(planned: Iterable[PlannedObject], batch_size: int) -> Iterator[Batch]:
    """Yield batches of at most ``batch_size`` copy commands, zip and sidecar each counted.

    A batch never mixes market and data type. An object is never split: where ``batch_size`` is 1, a batch is one
    object, and its commands go to run-files of one command each.

    Args:
        planned: The objects to fetch.
        batch_size: Copy commands a run-file.
    """
    numbers = count(1)
    items: list[PlannedObject] = []
    commands = 0
    for item in planned:
        if items and (commands + len(item.keys) > batch_size or not _alike(items[-1], item)):
            yield Batch(next(numbers), tuple(items))
            items, commands = [], 0
        items.append(item)
        commands += len(item.keys)
    if items:
        yield Batch(next(numbers), tuple(items))


def _alike(one: PlannedObject, other: PlannedObject) -> bool:
    series, another = one.object.series, other.object.series
    return series.market == another.market and series.data_type == another.data_type
