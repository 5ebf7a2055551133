"""What is held of a series, as values: by the archive, on disk, or by nobody and for which reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from crypto_archive import dayset
from crypto_archive.dayset import Days
from crypto_archive.model import Absence, DateRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from crypto_archive.model import Period, Series

T = TypeVar("T")

GAP_DAYS = 30
"""A symbol that had no data for so many days in a row may have been given to another coin meanwhile."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How the days of a span are covered.

    Attributes:
        days: How many days are wanted.
        stored: Those that are on disk, in a daily or a monthly object.
        listed: Those that the archive has, in either.
        to_fetch: Those that the archive has and that are not on disk.
        missing: The days that are in neither place, by the reason; every reason that occurs.
    """

    days: int = 0
    stored: int = 0
    listed: int = 0
    to_fetch: int = 0
    missing: Mapping[Absence, int] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """How many days there are to be had or already on disk."""
        return self.stored + self.to_fetch

    @property
    def holes(self) -> int:
        """How many days the archive lacks without a reason."""
        return self.missing.get(Absence.HOLE, 0)

    @property
    def share(self) -> float | None:
        """Which part of the available days is on disk, 0 to 1; None where none is available."""
        return self.stored / self.available if self.available else None


def total(counts: Iterable[DayCounts]) -> DayCounts:
    """Return the sum of counts."""
    days = stored = listed = to_fetch = 0
    missing: dict[Absence, int] = {}
    for one in counts:
        days, stored, listed = days + one.days, stored + one.stored, listed + one.listed
        to_fetch += one.to_fetch
        for reason, lacking in one.missing.items():
            missing[reason] = missing.get(reason, 0) + lacking
    return DayCounts(days, stored, listed, to_fetch, ordered(missing))


def ordered(by_reason: Mapping[Absence, T]) -> dict[Absence, T]:
    """Return what stands under the reasons in the order of their declaration."""
    return {reason: by_reason[reason] for reason in Absence if reason in by_reason}


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """How the wanted days of one series are covered. ``stored``, ``listed`` and ``missing`` are within ``wanted``.

    Attributes:
        series: The series.
        wanted: The days that were asked for and are over.
        stored: Those that are on disk.
        listed: Those that the archive has.
        missing: Those that are neither, each under exactly one reason, in the order of the reasons' declaration.
        first_day: The first day of all that the archive has of the series, None where it has nothing.
        last_day: The last one likewise.
    """

    series: Series
    wanted: Days
    stored: Days
    listed: Days
    missing: Mapping[Absence, Days]
    first_day: date | None = None
    last_day: date | None = None

    @property
    def to_fetch(self) -> Days:
        """The days that the archive has and that are not on disk."""
        return Days(self.listed & ~self.stored)

    @property
    def only_stored(self) -> Days:
        """The days that are on disk and that the archive does not list."""
        return Days(self.stored & ~self.listed)

    def within(self, days: Days) -> DayCounts:
        """Count those of the wanted days that are among ``days``."""
        stored, listed = self.stored & days, self.listed & days
        found = ((reason, (lacking & days).bit_count()) for reason, lacking in self.missing.items())
        return DayCounts(
            (self.wanted & days).bit_count(), stored.bit_count(), listed.bit_count(),
            (listed & ~stored).bit_count(), {reason: count for reason, count in found if count},
        )  # fmt: skip

    def counts(self) -> DayCounts:
        """Count all wanted days."""
        return self.within(self.wanted)

    def months(self) -> Iterator[tuple[Period, DayCounts]]:
        """Yield the months of the wanted days with their counts, oldest first."""
        for month, days in dayset.months(self.wanted):
            yield month, self.within(days)


@dataclass(frozen=True, slots=True)
class SymbolHistory:
    """When the archive has data of a series.

    Attributes:
        series: The series.
        days: The days that the archive has, at least one.
    """

    series: Series
    days: Days

    @property
    def first_day(self) -> date | None:
        """The first day with data."""
        return dayset.first(self.days)

    @property
    def last_day(self) -> date | None:
        """The last day with data."""
        return dayset.last(self.days)

    @property
    def gaps(self) -> tuple[DateRange, ...]:
        """The stretches of at least ``GAP_DAYS`` without data between two with: hints at a reused name."""
        between = Days(dayset.enclosed(self.days) & ~self.days)
        return tuple(gap for gap in dayset.runs(between) if _length(gap) >= GAP_DAYS)


def _length(days: DateRange) -> int:
    return (days.end - days.start).days + 1 if days.start is not None and days.end is not None else 0
