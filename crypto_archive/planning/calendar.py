"""Which periods a span of days covers, and why the archive may not have an object. Pure; all days are UTC."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from crypto_archive.matrix import Status
from crypto_archive.model import Absence, ArchiveObject, DateRange, Partition, Period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.matrix import Row

EARLIEST = date(2017, 1, 1)
"""No object of the archive is older: its first market, spot, starts with 2017-08."""

PUBLICATION_DELAY = {Partition.DAILY: timedelta(days=2), Partition.MONTHLY: timedelta(days=16)}
"""How long after the end of a period its object may still be on the way (archive: 99 % of the daily objects within
34 hours of the day's start; monthly ones from the first Monday on, some by mid-month)."""


def periods(partition: Partition, dates: DateRange, today: date) -> Iterator[Period]:
    """Yield the periods that overlap ``dates`` and are over, oldest first.

    Args:
        partition: Days or months.
        dates: The span; an open start means the archive's first day, an open end yesterday.
        today: The current UTC day; a period that it falls into is not over.
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
    """Return the first and the last of ``periods``, without walking through them; None where there is none.

    Args:
        partition: As of ``periods``.
        dates: As of ``periods``.
        today: As of ``periods``.
    """
    first = Period.containing(max(dates.start or EARLIEST, EARLIEST), partition)
    last_over = Period.containing(Period.containing(today, partition).first_day - timedelta(days=1), partition)
    last = min(last_over, Period.containing(min(dates.end or today, today), partition))
    return (first, last) if first <= last else None


@lru_cache(maxsize=4096)
def _day(ordinal: int) -> Period:
    """Return a day; remembered, since a plan walks through the same eleven years for each of its series."""
    return Period(Partition.DAILY, date.fromordinal(ordinal))


def within(row: Row, dates: DateRange) -> DateRange:
    """Return the part of ``dates`` in which the archive publishes a row, as the matrix knows it."""
    starts = [day for day in (dates.start, row.first_date) if day is not None]
    ends = [day for day in (dates.end, row.last_date) if day is not None]
    return DateRange(max(starts, default=None), min(ends, default=None))


def absence(row: Row, item: ArchiveObject, today: date) -> Absence:
    """Say why the archive answers that it does not have an object.

    Args:
        row: The matrix row of the object.
        item: The object.
        today: The current UTC day.
    """
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
