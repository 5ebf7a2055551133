"""The totals of a plan, per market and data type."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from crypto_archive.model import Action, Batch, Market, Period, PlannedObject
from crypto_archive.plan.batches import copies_of, groups, span_of
from crypto_archive.plan.decide import AlikeObjects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from crypto_archive.plan.batches import Copy

SIDECAR_BYTES = 100
"""About the size of a sidecar; a plan does not know it exactly."""


def known_size(item: PlannedObject) -> int | None:
    """Return the length of an object in bytes according to listing or lock file; None where it is unknown."""
    if item.remote is not None:
        return item.remote.size
    return None if item.pin is None else item.pin.size


def added_bytes(item: PlannedObject) -> int:
    """Return by how many bytes fetching an object changes the disk: negative if it shrinks, 0 if unknown."""
    size = known_size(item)
    if item.action is Action.CHECK:
        return SIDECAR_BYTES
    if not item.action.transfers or size is None:
        return 0
    sidecar = SIDECAR_BYTES if item.with_sidecar and not item.stored_size else 0
    return size - item.stored_size + sidecar


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """The totals of one market and data type.

    Attributes:
        market: The market.
        data_type: The data type.
        objects: Planned objects, including those already present.
        sidecars: Sidecars to fetch.
        commands: Copy commands to run; one copies many objects with their sidecars.
        batches: Batches of commands, if each has as many as it may.
        bytes: The bytes of the objects whose size is known, without sidecars.
        sized: How many objects have a known size.
        present: Objects that are already present and left alone; of some, only the sidecar is to be fetched.
        updates: Objects that are present but were replaced in the archive.
        waiting: Objects that the archive has not published yet.
        refused: Objects that cannot be had as they are wanted.
        to_fetch: Objects to fetch; present, waiting and refused ones are the others.
        bytes_to_fetch: The bytes of those of them whose size is known, without sidecars.
        sized_to_fetch: How many of them have a known size.
        added_bytes: By how many bytes the disk usage would grow, with sidecars; negative if it would shrink.
        consolidated: Monthly objects that replace daily ones.
        saved_objects: How many objects fewer that makes.
        saved_bytes: How many bytes fewer, without sidecars; negative where the monthly objects are larger.
        first_day: The first day of the objects that are present or to be fetched; None where there are none.
        last_day: The last day of these; that of the whole month for a monthly object.
    """

    market: Market
    data_type: str
    objects: int = 0
    sidecars: int = 0
    commands: int = 0
    batches: int = 0
    bytes: int = 0
    sized: int = 0
    present: int = 0
    updates: int = 0
    waiting: int = 0
    refused: int = 0
    to_fetch: int = 0
    bytes_to_fetch: int = 0
    sized_to_fetch: int = 0
    added_bytes: int = 0
    consolidated: int = 0
    saved_objects: int = 0
    saved_bytes: int = 0
    first_day: date | None = None
    last_day: date | None = None

    def document(self) -> dict[str, object]:
        """Return the totals as a document."""
        return asdict(self) | days_document(self.first_day, self.last_day)


_NOT_COUNTED = {"market", "data_type", "first_day", "last_day"}
COUNTS = tuple(field.name for field in fields(GroupTotals) if field.name not in _NOT_COUNTED)
"""The names of what is counted."""
_UPDATE = Action.UPDATE


def days_document(first: date | None, last: date | None) -> dict[str, object]:
    """Return a first and a last day as a document."""
    return {"first_day": first.isoformat() if first else None, "last_day": last.isoformat() if last else None}


class _Running:
    """The totals of one group so far, under the names that they have in ``GroupTotals``."""

    __slots__ = ("first_day", "last_day", *COUNTS)

    def __init__(self) -> None:
        self.objects = self.sidecars = self.commands = self.batches = self.bytes = self.sized = 0
        self.present = self.updates = self.waiting = self.refused = self.to_fetch = self.bytes_to_fetch = 0
        self.sized_to_fetch = self.added_bytes = self.consolidated = self.saved_objects = self.saved_bytes = 0
        self.first_day: date | None = None
        self.last_day: date | None = None

    def totals(self, market: Market, data_type: str) -> GroupTotals:
        """Return them as a value."""
        return GroupTotals(market, data_type, **{name: getattr(self, name) for name in self.__slots__})

    def add(self, item: PlannedObject) -> None:
        """Count a planned object."""
        action, size = item.action, known_size(item)
        self.objects += 1
        if size is not None:
            self._add_size(item, size)
        if item.covers is not None:
            self.consolidated += 1
            self.saved_objects += item.covers.objects - 1
            self.saved_bytes += item.covers.bytes - (size or 0)
        if action.downloads:
            self.to_fetch += 1
            self.sidecars += item.with_sidecar
            self.updates += action is _UPDATE
        elif action is Action.WAIT:
            self.waiting += 1
            return
        elif action is Action.REFUSE:
            self.refused += 1
            return
        else:
            self.present += 1
            if action.transfers:
                self.sidecars += item.with_sidecar
                self.added_bytes += added_bytes(item)
        self._cover(item.object.period)

    def add_alike(self, part: AlikeObjects) -> None:
        """Count objects for which the same holds."""
        count = len(part)
        self.objects += count
        self.to_fetch += count
        self.sidecars += count * part.first.with_sidecar
        self._cover(part.first.object.period)
        self._cover(part.last)

    def _add_size(self, item: PlannedObject, size: int) -> None:
        if item.remote is not None:
            self.bytes += size
            self.sized += 1
        if item.action.downloads:
            self.bytes_to_fetch += size
            self.sized_to_fetch += 1
            self.added_bytes += added_bytes(item)

    def _cover(self, period: Period) -> None:
        """Take in the days of an object."""
        first, last = period.first_day, period.last_day
        if self.first_day is None or first < self.first_day:
            self.first_day = first
        if self.last_day is None or last > self.last_day:
            self.last_day = last


class _BatchCounter:
    """Counts batches and their commands, from the copies that each group takes, as ``batches`` would make them."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._of: _Running | None = None
        self._commands = 0
        self._copies: set[Copy] = set()
        self._spans: dict[tuple[Period, Period], tuple[tuple[object, ...], ...]] = {}

    def add(self, of: _Running, copies: set[Copy]) -> None:
        """Count the next group."""
        self._commands += len(copies)
        if of is not self._of or self._commands > self._batch_size:
            of.batches += 1
            self._of, self._commands, self._copies = of, len(copies), set()
        of.commands += len(copies - self._copies)
        self._copies |= copies

    def copies_of_alike(self, part: AlikeObjects) -> Iterator[set[Copy]]:
        """Yield the copies of each group of objects for which the same holds."""
        first = part.first
        ends = first.object.period, part.last
        if ends not in self._spans:  # many series have the same periods
            self._spans[ends] = tuple(span_of(group[0])[1:] for group in groups(part, self._batch_size))
        for span in self._spans[ends]:
            yield {((first.object.series, *span), False, first.with_sidecar)}


class PlanTotals:
    """Running totals of a plan, per market and data type."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Market, str], _Running] = {}

    @property
    def groups(self) -> tuple[GroupTotals, ...]:
        """The totals so far, in the order of the plan."""
        return tuple(of.totals(*group) for group, of in self._groups.items())

    @property
    def overall(self) -> dict[str, int]:
        """The sums over all groups, by the field names of GroupTotals."""
        return {name: sum(getattr(of, name) for of in self._groups.values()) for name in COUNTS}

    @property
    def first_day(self) -> date | None:
        """The first day over all groups."""
        return min((of.first_day for of in self._groups.values() if of.first_day), default=None)

    @property
    def last_day(self) -> date | None:
        """The last day over all groups."""
        return max((of.last_day for of in self._groups.values() if of.last_day), default=None)

    def counting(self, planned: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
        """Count each planned object and pass it on."""
        series, of = None, _Running()
        for item in planned:
            if item.object.series is not series:  # in most plans thousands of objects are of the same one
                series, of = item.object.series, self._of(item)
            of.add(item)
            yield item

    def count(self, parts: Iterable[Iterable[PlannedObject]], batch_size: int) -> None:
        """Count a plan and its batches, as ``counting`` and ``counting_batches`` do; no series is in two parts."""
        counter = _BatchCounter(batch_size)
        for part in parts:
            if isinstance(part, AlikeObjects):
                of = self.count_alike(part)
                for copies in counter.copies_of_alike(part):
                    counter.add(of, copies)
            else:
                to_copy = (item for item in self.counting(part) if item.action.transfers)
                for group in groups(to_copy, batch_size):
                    counter.add(self._of(group[0]), copies_of(group))

    def count_alike(self, part: AlikeObjects) -> _Running:
        """Count objects for which the same holds, and return the totals of their group."""
        of = self._of(part.first)
        of.add_alike(part)
        return of

    def counting_batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Count each batch and its commands, and pass it on."""
        for batch in batches:
            of = self._of(batch.items[0])
            of.batches += 1
            of.commands += batch.commands
            yield batch

    def _of(self, item: PlannedObject) -> _Running:
        group = item.object.series.market, item.object.series.data_type
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = _Running()
        return found
