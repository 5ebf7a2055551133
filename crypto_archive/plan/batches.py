"""How planned objects are shared out: into groups that one command copies, and batches that one run-file copies."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from crypto_archive.model import Action, Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_archive.model import PlannedObject

Group = tuple["PlannedObject", ...]
"""Objects of one series and month, or one decade of monthly objects: what one copy command can name by a pattern."""
Copy = tuple[tuple[object, ...], bool, bool]
"""What one command copies: the span, whether only sidecars, and whether sidecars."""

HUGE_BYTES = 32 << 20
"""From this size on, the bytes of an object count, and its requests do not. It is a group of its own."""


def groups(planned: Iterable[PlannedObject], batch_size: int) -> Iterator[Group]:
    """Yield what is to be copied in groups of at most ``batch_size`` objects."""
    items: list[PlannedObject] = []
    size, span = 0, None
    for item in planned:
        its_size, its_span = item.remote.size if item.remote is not None else 0, span_of(item)
        if items and (its_span != span or len(items) >= batch_size or size + its_size > HUGE_BYTES):
            yield tuple(items)
            items, size = [], 0
        items.append(item)
        size, span = size + its_size, its_span
    if items:
        yield tuple(items)


def commands_of(items: Iterable[PlannedObject]) -> int:
    """Return how many commands copy objects."""
    return len(copies_of(items))


def copies_of(items: Iterable[PlannedObject]) -> set[Copy]:
    """Return what a command each copies: of each span zips with sidecars, zips alone, sidecars alone."""
    return {(span_of(item), item.action is Action.CHECK, item.with_sidecar) for item in items}


def is_huge(items: Sequence[PlannedObject]) -> bool:
    """Whether objects are known to be huge, on average."""
    sizes = [item.remote.size for item in items if item.remote is not None and item.action.downloads]
    return len(sizes) == len(items) and sum(sizes) >= HUGE_BYTES * len(items)


def alike(one: Group, other: Group) -> bool:
    """Whether two groups are of the same market and data type, which a batch never mixes."""
    series, another = one[0].object.series, other[0].object.series
    return series.data_type == another.data_type and series.market == another.market


def batch_of(number: int, parts: list[Group]) -> Batch:
    """Return the batch of some groups."""
    items = tuple(chain.from_iterable(parts))
    return Batch(number, items, commands_of(items))


def batches(planned: Iterable[PlannedObject], batch_size: int) -> Iterator[Batch]:
    """Yield batches of as many groups as ``batch_size`` copy commands can copy; their numbers are from 1."""
    numbers = count(1)
    parts: list[Group] = []
    commands = 0
    for group in groups(planned, batch_size):
        commands += commands_of(group)
        if parts and (commands > batch_size or not alike(parts[0], group)):
            yield batch_of(next(numbers), parts)
            parts, commands = [], commands_of(group)
        parts.append(group)
    if parts:
        yield batch_of(next(numbers), parts)


def span_of(item: PlannedObject) -> tuple[object, ...]:
    """Return the series and month of an object, or the decade of a monthly one."""
    series, period = item.object.series, item.object.period
    day = period.first_day
    return (series, day.year, day.month) if period.partition.is_daily else (series, day.year // 10)
