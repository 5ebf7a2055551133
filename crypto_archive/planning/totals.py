"""Add up a plan as it streams by."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING

from crypto_archive.model import Action, Batch, Market, PlannedObject
from crypto_archive.planning.cost import added_bytes, known_size
from crypto_archive.totals import GroupTotals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


COUNTS = tuple(field.name for field in fields(GroupTotals) if field.name not in {"market", "data_type"})
"""The names of what is counted."""

_STAYING = {Action.KEEP: "present", Action.WAIT: "waiting", Action.REFUSE: "refused"}


class PlanTotals:
    """Running totals of a plan, per market and data type."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Market, str], Counter[str]] = {}

    @property
    def groups(self) -> tuple[GroupTotals, ...]:
        """The totals so far, in the order in which the plan came to them."""
        return tuple(GroupTotals(*group, *(counts[name] for name in COUNTS)) for group, counts in self._groups.items())

    @property
    def overall(self) -> dict[str, int]:
        """The sums over all groups, by the names of the fields of GroupTotals."""
        return {name: sum(counts[name] for counts in self._groups.values()) for name in COUNTS}

    def counting(self, planned: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
        """Count each planned object and pass it on."""
        for item in planned:
            _count(item, self._of(item))
            yield item

    def counting_batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Count each batch and pass it on."""
        for batch in batches:
            self._of(batch.items[0])["batches"] += 1
            yield batch

    def _of(self, item: PlannedObject) -> Counter[str]:
        series = item.object.series
        return self._groups.setdefault((series.market, series.data_type), Counter())


def _count(item: PlannedObject, counts: Counter[str]) -> None:
    counts["objects"] += 1
    if item.remote is not None:
        counts["bytes"] += item.remote.size
        counts["sized"] += 1
    if item.covers is not None:
        counts["consolidated"] += 1
        counts["saved_objects"] += item.covers.objects - 1
        counts["saved_bytes"] += item.covers.bytes - (known_size(item) or 0)
    if not item.action.transfers:
        counts[_STAYING[item.action]] += 1
        return
    counts["to_fetch"] += 1
    counts["updates"] += item.action is Action.UPDATE
    counts["sidecars"] += item.with_sidecar
    counts["commands"] += len(item.keys)
    size = known_size(item)
    if size is not None:
        counts["bytes_to_fetch"] += size
        counts["sized_to_fetch"] += 1
        counts["added_bytes"] += added_bytes(item)
