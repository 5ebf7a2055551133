"""Why the archive lacks days of a series, judged by all that it lists of the series. Pure; all days are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from crypto_archive import dayset
from crypto_archive.dayset import Days
from crypto_archive.holdings import SeriesCoverage, ordered
from crypto_archive.matrix import Status
from crypto_archive.model import Absence, Partition, Period
from crypto_archive.planning.calendar import EARLIEST, PUBLICATION_DELAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.matrix import Row
    from crypto_archive.model import DateRange, Series

LATE = timedelta(days=7)
"""How long after its publication delay the next object of a series may be awaited, before the series counts as ended:
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
        """Return the days that the objects hold data of.

        A monthly object counts for its whole month, with one exception: at either end of a stretch of months a symbol
        came or went in the middle of one, and where there are daily objects in it, they say on which day.

        Args:
            seen: The objects by which to find the ends, if there are more than these.
        """
        return Days((self.daily | self.monthly) & ~_unheld(seen or self))


def _unheld(objects: ObjectDays) -> Days:
    """Return the days of months at the ends of stretches that no daily object reaches."""
    everything = Days(objects.daily | objects.monthly)
    unheld = 0
    for days in dayset.runs(objects.monthly):
        assert days.start is not None
        assert days.end is not None
        first = Period.containing(days.start, Partition.MONTHLY)
        last = Period.containing(days.end, Partition.MONTHLY)
        before = dayset.of_period(Period.containing(first.first_day - timedelta(days=1), Partition.MONTHLY))
        after = dayset.of_period(last.next())
        if not everything & before and (day := dayset.first(Days(objects.daily & dayset.of_period(first)))):
            unheld |= dayset.of_period(first) & dayset.before(day)
        if not everything & after and (day := dayset.last(Days(objects.daily & dayset.of_period(last)))):
            unheld |= dayset.of_period(last) & ~dayset.before(day + timedelta(days=1))
    return Days(unheld)


def wanted_days(row: Row, dates: DateRange, today: date) -> Days:
    """Return the days that are asked for and are over; an open start means the row's first day.

    Args:
        row: The matrix row.
        dates: The days asked for.
        today: The current UTC day.
    """
    yesterday = today - timedelta(days=1)
    return dayset.span(dates.start or row.first_date or EARLIEST, min(dates.end or yesterday, yesterday))


def series_coverage(
    series: Series, row: Row, listed: ObjectDays, stored: ObjectDays, dates: DateRange, today: date
) -> SeriesCoverage:
    """Return how the wanted days of a series are covered, and why the archive lacks those that it lacks.

    Args:
        series: The series.
        row: Its matrix row.
        listed: All that the archive lists of it, whatever days are wanted.
        stored: All that is on disk of it.
        dates: The days asked for.
        today: The current UTC day.
    """
    wanted = wanted_days(row, dates, today)
    seen = listed | stored
    in_archive, on_disk = listed.covered(seen), stored.covered(seen)
    known = Days(in_archive | on_disk)
    lacking = Days(wanted & ~known)
    reasons = _reasons(row, lacking, known, _partition(row, series.interval), today)
    return SeriesCoverage(
        series, wanted, Days(on_disk & wanted), Days(in_archive & wanted), reasons,
        dayset.first(in_archive), dayset.last(in_archive),
    )  # fmt: skip


def _reasons(row: Row, lacking: Days, known: Days, partition: Partition, today: date) -> dict[Absence, Days]:
    """Return each reason with its days; together they are the lacking ones, and no day has two."""
    found: dict[Absence, Days] = {}
    rest = lacking
    for reason, days in _claims(row, known, partition, today):
        if taken := Days(rest & days):
            found[reason] = Days(found.get(reason, dayset.NONE) | taken)
            rest = Days(rest & ~taken)
    return ordered(found)


def _claims(row: Row, known: Days, partition: Partition, today: date) -> Iterator[tuple[Absence, Days]]:
    """Yield reasons with the days that they explain, the one that counts first; the last one explains all that is left.

    What the series itself shows comes before what the matrix says of the row, which is true of its oldest symbol.
    """
    everything = Days(-1)
    if row.status in {Status.NEVER_PUBLISHED, Status.REMOVED}:
        yield (Absence.NEVER_PUBLISHED if row.status is Status.NEVER_PUBLISHED else Absence.DISCONTINUED), everything
    yield Absence.NOT_YET, Days(dayset.enclosed(known) & _not_due(partition, today))
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


def _not_due(partition: Partition, today: date) -> Days:
    """Return the days whose objects may still be on the way, and all after them."""
    newest_due = today - PUBLICATION_DELAY[partition] - timedelta(days=1)
    return Days(~dayset.before(Period.containing(newest_due + timedelta(days=1), partition).first_day))


def _partition(row: Row, interval: str | None) -> Partition:
    """Return the partition that brings the newest days of a series."""
    daily = Partition.DAILY in row.partitions and (interval is None or interval in row.intervals(Partition.DAILY))
    return Partition.DAILY if daily else Partition.MONTHLY
