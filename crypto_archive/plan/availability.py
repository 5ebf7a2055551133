"""Which days are available, and if not, why: from the calendar, and from what the listing shows of a series."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.matrix import Status
from crypto_archive.model import Absence, DateRange, Partition, Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.model import ArchiveObject, Series

EARLIEST = date(2017, 1, 1)
"""No object of the archive is older: its first market, spot, starts in August 2017."""

PUBLICATION_DELAY = {Partition.DAILY: timedelta(days=2), Partition.MONTHLY: timedelta(days=16)}
"""How long after the end of a period its object may still be on the way (archive: 99 % of the daily objects within
34 hours of the day's start; monthly ones from the first Monday on, some by mid-month)."""


def periods(partition: Partition, dates: DateRange, today: date) -> Iterator[Period]:
    """Yield the periods that overlap ``dates`` and are over, oldest first.

    An open start means the archive's first day, an open end yesterday. A period that contains ``today`` is not over.
    """
    if (ends := bounds(partition, dates, today)) is None:
        return
    first, last = ends
    if partition is Partition.DAILY:
        yield from map(_day, range(first.first_day.toordinal(), last.first_day.toordinal() + 1))
        return
    while first <= last:
        yield first
        first = first.next()


def bounds(partition: Partition, dates: DateRange, today: date) -> tuple[Period, Period] | None:
    """Return the first and the last of ``periods``, without walking through them; None where there are none."""
    first = Period.containing(max(dates.start or EARLIEST, EARLIEST), partition)
    last_over = Period.containing(Period.containing(today, partition).first_day - timedelta(days=1), partition)
    last = min(last_over, Period.containing(min(dates.end or today, today), partition))
    return (first, last) if first <= last else None


@lru_cache(maxsize=4096)
def _day(ordinal: int) -> Period:
    """Return a day; cached, since a plan walks through the same years for each of its series."""
    return Period(Partition.DAILY, date.fromordinal(ordinal))


def within(row: Row, dates: DateRange) -> DateRange:
    """Return the part of ``dates`` in which the archive publishes a row, as the matrix knows it."""
    starts = [day for day in (dates.start, row.first_date) if day is not None]
    ends = [day for day in (dates.end, row.last_date) if day is not None]
    return DateRange(max(starts, default=None), min(ends, default=None))


def absence(row: Row, item: ArchiveObject, today: date) -> Absence:
    """Return why the archive answers that it does not have an object."""
    if row.status in {Status.NEVER_PUBLISHED, Status.REMOVED}:
        return Absence.NEVER_PUBLISHED if row.status is Status.NEVER_PUBLISHED else Absence.DISCONTINUED
    period = item.period
    if row.first_date is not None and period.last_day < row.first_date:
        return Absence.BEFORE_FIRST
    if row.last_date is not None and period.first_day > row.last_date:
        return Absence.DISCONTINUED if row.status is Status.DISCONTINUED else Absence.AFTER_LAST
    if period.last_day + PUBLICATION_DELAY[period.partition] >= today:
        return Absence.NOT_YET
    return Absence.HOLE


T = TypeVar("T")

GAP_DAYS = 30
"""After so many days in a row without data, a symbol may name another coin."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How the days of a span are covered.

    Attributes:
        days: How many days are wanted.
        stored: Days on disk, in a daily or a monthly object.
        listed: Days that the archive has, in either.
        to_fetch: Days that the archive has and that are not on disk.
        missing: Days in neither place, by reason; every reason that occurs.
    """

    days: int = 0
    stored: int = 0
    listed: int = 0
    to_fetch: int = 0
    missing: Mapping[Absence, int] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """How many days are in the archive or on disk."""
        return self.stored + self.to_fetch

    @property
    def holes(self) -> int:
        """How many days the archive lacks without a reason."""
        return self.missing.get(Absence.HOLE, 0)

    @property
    def share(self) -> float | None:
        """The share of the available days that is on disk, 0 to 1; None where none is available."""
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
    """Return the same, sorted by the declaration of the reasons."""
    return {reason: by_reason[reason] for reason in Absence if reason in by_reason}


@dataclass(frozen=True, slots=True)
class SeriesCoverage:
    """How the wanted days of one series are covered. ``stored``, ``listed`` and ``missing`` are within ``wanted``.

    Attributes:
        series: The series.
        wanted: The selected days that are over.
        stored: Those on disk.
        listed: Those that the archive has.
        missing: Those in neither place, each under exactly one reason, in the order of the reasons' declaration.
        first_day: The first day that the archive has of the series, wanted or not; None where it has nothing.
        last_day: The last one.
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
        """Count the wanted days among ``days``."""
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
        days: The days in the archive, at least one.
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
        """The gaps of at least ``GAP_DAYS`` between days with data: signs of a reused name."""
        between = Days(dayset.enclosed(self.days) & ~self.days)
        return tuple(gap for gap in dayset.runs(between) if _length(gap) >= GAP_DAYS)


def _length(days: DateRange) -> int:
    return (days.end - days.start).days + 1 if days.start is not None and days.end is not None else 0


LATE = timedelta(days=7)
"""How long after its publication delay the next object of a series may be missing before the series counts as ended:
now and then the archive is some days late."""


@dataclass(frozen=True, slots=True)
class ObjectDays:
    """The days of a series for which there are objects, in the archive or on disk.

    Attributes:
        daily: The days of daily objects.
        monthly: The days of the months of monthly objects.
    """

    daily: Days = dayset.NONE
    monthly: Days = dayset.NONE

    def __or__(self, other: ObjectDays) -> ObjectDays:
        """Return the days of both."""
        return ObjectDays(Days(self.daily | other.daily), Days(self.monthly | other.monthly))

    def covered(self, seen: ObjectDays | None = None) -> Days:
        """Return the days of which the objects have data.

        A monthly object counts for its whole month, with one exception: a symbol may come or go in the middle of the
        first or last month of a stretch, and where that month has daily objects, they show on which day. ``seen`` are
        the objects by which to find those ends, if there are more than these.
        """
        return Days((self.daily | self.monthly) & ~_outside(seen or self))


def _outside(objects: ObjectDays) -> Days:
    """Return the days of months at the ends of stretches that lie before the first or after the last daily object."""
    everything = Days(objects.daily | objects.monthly)
    outside = 0
    for days in dayset.runs(objects.monthly):
        assert days.start is not None
        assert days.end is not None
        first = Period.containing(days.start, Partition.MONTHLY)
        last = Period.containing(days.end, Partition.MONTHLY)
        before = dayset.of_period(Period.containing(first.first_day - timedelta(days=1), Partition.MONTHLY))
        after = dayset.of_period(last.next())
        if not everything & before and (day := dayset.first(Days(objects.daily & dayset.of_period(first)))):
            outside |= dayset.of_period(first) & dayset.before(day)
        if not everything & after and (day := dayset.last(Days(objects.daily & dayset.of_period(last)))):
            outside |= dayset.of_period(last) & ~dayset.before(day + timedelta(days=1))
    return Days(outside)


def series_coverage(
    series: Series, row: Row, listed: ObjectDays, stored: ObjectDays, dates: DateRange, today: date
) -> SeriesCoverage:
    """Return how the days in ``dates`` are covered, and why the archive lacks those that it lacks.

    ``listed`` and ``stored`` are all objects of the series, whatever days are wanted. An open start means the row's
    first day, an open end yesterday.
    """
    yesterday = today - timedelta(days=1)
    wanted = dayset.span(dates.start or row.first_date or EARLIEST, min(dates.end or yesterday, yesterday))
    seen = listed | stored
    in_archive, on_disk = listed.covered(seen), stored.covered(seen)
    known = Days(in_archive | on_disk)
    missing: dict[Absence, Days] = {}
    rest = Days(wanted & ~known)
    for reason, explained in _claims(row, known, series.interval, today):
        if days := Days(rest & explained):
            missing[reason] = Days(missing.get(reason, dayset.NONE) | days)
            rest = Days(rest & ~days)
    return SeriesCoverage(
        series, wanted, Days(on_disk & wanted), Days(in_archive & wanted), ordered(missing),
        dayset.first(in_archive), dayset.last(in_archive),
    )  # fmt: skip


def _claims(row: Row, known: Days, interval: str | None, today: date) -> Iterator[tuple[Absence, Days]]:
    """Yield reasons with the days that they explain, the strongest first; the last one explains all that is left.

    What the series itself shows comes before what the matrix says of the row, which is true of its oldest symbol.
    """
    everything = Days(-1)
    if row.status in {Status.NEVER_PUBLISHED, Status.REMOVED}:
        yield (Absence.NEVER_PUBLISHED if row.status is Status.NEVER_PUBLISHED else Absence.DISCONTINUED), everything
    # The newest days of a series come in daily objects where there are any.
    daily = Partition.DAILY in row.partitions and (interval is None or interval in row.intervals(Partition.DAILY))
    partition = Partition.DAILY if daily else Partition.MONTHLY
    due_until = Period.containing(today - PUBLICATION_DELAY[partition], partition).first_day
    yield Absence.NOT_YET, Days(dayset.enclosed(known) & ~dayset.before(due_until))
    yield Absence.HOLE, dayset.enclosed(known)
    if row.first_date is not None:
        yield Absence.BEFORE_FIRST, dayset.before(row.first_date)
    if row.last_date is not None:
        after = Days(~dayset.before(row.last_date + timedelta(days=1)))
        yield (Absence.DISCONTINUED if row.status is Status.DISCONTINUED else Absence.AFTER_LAST), after
    first, last = dayset.first(known), dayset.last(known)
    if first is None or last is None:
        yield Absence.NEVER_PUBLISHED, everything
        return
    yield Absence.BEFORE_FIRST, dayset.before(first)
    if row.status is Status.DISCONTINUED:
        yield Absence.DISCONTINUED, everything
    following = Period.containing(last + timedelta(days=1), partition)
    ended = following.last_day + PUBLICATION_DELAY[partition] + LATE < today
    yield (Absence.DELISTED if ended else Absence.NOT_YET), everything


def whole_months(row: Row, dates: DateRange, today: date) -> tuple[Period, Period] | None:
    """Return the first and last month that are over and of which every published day is in ``dates``, None if none."""
    begins, ends = row.first_date or EARLIEST, row.last_date or today
    months = [
        month
        for month in periods(Partition.MONTHLY, dates, today)
        if (dates.start is None or dates.start <= max(month.first_day, begins))
        and (dates.end is None or dates.end >= min(month.last_day, ends))
    ]
    return (months[0], months[-1]) if months else None
