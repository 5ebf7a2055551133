"""Add up a plan as it streams by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from crypto_archive.model import Action, Batch, Market, PlannedObject
from crypto_archive.totals import GroupTotals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class _Running:
    """GroupTotals in the making; changed in place because a plan may have millions of objects."""

    objects: int = 0
    sidecars: int = 0
    commands: int = 0
    batches: int = 0
    bytes: int = 0
    sized: int = 0
    present: int = 0
    updates: int = 0

    def count(self, item: PlannedObject) -> None:
        self.objects += 1
        if item.remote is not None:
            self.bytes += item.remote.size
            self.sized += 1
        if item.action is Action.KEEP:
            self.present += 1
            return
        self.updates += item.action is Action.UPDATE
        self.sidecars += item.with_sidecar
        self.commands += 1 + item.with_sidecar


class PlanTotals:
    """Running totals of a plan, per market and data type."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Market, str], _Running] = {}

    @property
    def groups(self) -> tuple[GroupTotals, ...]:
        """The totals so far, in the order in which the plan came to them."""
        return tuple(GroupTotals(*group, **asdict(running)) for group, running in self._groups.items())

    @property
    def overall(self) -> dict[str, int]:
        """The sums over all groups, by the names of the fields of GroupTotals."""
        names = [field.name for field in fields(_Running)]
        return {name: sum(getattr(running, name) for running in self._groups.values()) for name in names}

    def counting(self, planned: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
        """Count each planned object and pass it on."""
        for item in planned:
            self._of(item).count(item)
            yield item

    def counting_batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Count each batch and pass it on."""
        for batch in batches:
            self._of(batch.items[0]).batches += 1
            yield batch

    def _of(self, item: PlannedObject) -> _Running:
        series = item.object.series
        return self._groups.setdefault((series.market, series.data_type), _Running())
