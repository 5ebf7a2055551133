"""The one answer to "can this day be had, and if not, why?": from what the archive lists, for everybody who asks.

Plan, collect, coverage, symbols, verify and metrics differ in what they list and in what they show. Which object has a
day, and why no object has it, is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.matrix import Status
from crypto_archive.model import Absence, AbsentDays, DateRange, Partition, Period, SeriesDays
from crypto_archive.shown import Shown, joined, span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

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
    """Return the part of ``dates`` in which the archive publishes a row, as the matrix knows it.

    Only what is planned without a listing is cut to it: the bucket may have more.
    """
    starts = [day for day in (dates.start, row.first_date) if day is not None]
    ends = [day for day in (dates.end, row.last_date) if day is not None]
    return DateRange(max(starts, default=None), min(ends, default=None))


def absence(row: Row, item: ArchiveObject, today: date) -> Absence:
    """Return why the archive answers that it does not have an object which the calendar allows."""
    if row.status in {Status.NEVER_PUBLISHED, Status.REMOVED}:
        return Absence.NEVER_PUBLISHED if row.status is Status.NEVER_PUBLISHED else Absence.DISCONTINUED
    period = item.period
    if row.first_date is not None and period.last_day < row.first_date:
        return Absence.BEFORE_FIRST
    if row.last_date is not None and period.first_day > row.last_date:
        return Absence.DISCONTINUED
    if period.last_day + PUBLICATION_DELAY[period.partition] >= today:
        return Absence.NOT_YET
    return Absence.HOLE


EVERYTHING = Days(-1)
BOTH = frozenset(Partition)


@dataclass(frozen=True, slots=True)
class ObjectDays:
    """The days of a series for which there are objects, in the archive or on disk.

    Attributes:
        daily: The days of daily objects.
        monthly: The days for which monthly objects answer.
        unopened: Those of them of which only the rows of the month could tell.
    """

    daily: Days = dayset.NONE
    monthly: Days = dayset.NONE
    unopened: Days = dayset.NONE

    def __or__(self, other: ObjectDays) -> ObjectDays:
        """Return the days of both."""
        return ObjectDays(
            Days(self.daily | other.daily), Days(self.monthly | other.monthly), Days(self.unopened | other.unopened)
        )

    @property
    def known(self) -> Days:
        """The days for which there is any object."""
        return Days(self.daily | self.monthly)


# What a monthly object holds

SHORT_SHARE = 0.6
"""A monthly object with less than this share of its days' bytes does not hold all of them."""
ZIP_OVERHEAD_BYTES = 150
"""What a zip of one CSV takes besides its content, with names of the archive's length."""
LEAST_PAYLOAD_BYTES = 1000
"""With less content per day, as in 1d klines, rows of many days pack far better than those of one."""
TELLING_PAYLOAD_BYTES = 100_000
"""With so much content per day, months pack as days do, so that a day more or less shows in the size."""
LACKS_ROWS = "the monthly object is known to lack rows"
LARGEST_LOOKED_INTO = 1 << 24
"""In bytes. The rows of a larger monthly object are not read: its days are fetched where sizes leave a doubt."""


class MonthEvidence(NamedTuple):
    """What is known of a month of a series that has a monthly object.

    Attributes:
        size: The size of the monthly object; None where it is unknown.
        days: The days of the daily objects.
        payload: The content of the daily objects, in bytes.
        least: The content of the smallest of them.
        rows: The days of which the monthly object is known to have rows; None while it was not looked into.
        is_sole: Whether the archive has no daily objects of such a series, so that no day can speak against the month.
        lacks_rows: Whether it is known to lack rows of its days.
    """

    size: int | None = None
    days: Days = dayset.NONE
    payload: int = 0
    least: int = 0
    rows: Days | None = None
    is_sole: bool = False
    lacks_rows: bool = False


class MonthAnswer(NamedTuple):
    """What a monthly object holds, as far as that is known.

    Attributes:
        holds: The days that it certainly holds.
        may_hold: Further days that it may hold; only its rows can tell.
        doubt: Why it does not replace its daily objects; None where it may.
        by_size: Whether its size tells that it holds its days.
    """

    holds: Days
    may_hold: Days
    doubt: str | None = None
    by_size: bool = False


def month_answer(month: Days, known: MonthEvidence) -> MonthAnswer:
    """Return for which days a monthly object answers. Daily evidence wins wherever there is any.

    Sizes prove little: only where the days are large does the size of a month show whether it holds them. Once its rows
    have been read, they decide.
    """
    if known.rows is not None:
        return MonthAnswer(Days(known.rows & month), dayset.NONE, LACKS_ROWS if known.lacks_rows else None)
    if known.is_sole:
        return MonthAnswer(month, dayset.NONE)
    there = dayset.count(known.days)
    others = Days(month & ~known.days)
    if known.size is None or not there:
        return MonthAnswer(dayset.NONE, month)
    content = known.size - ZIP_OVERHEAD_BYTES
    packs_alike = known.payload >= LEAST_PAYLOAD_BYTES * there
    least_for_all = known.payload * dayset.count(month) / there * (0.9 if packs_alike else 0.5)
    if content <= 1.05 * known.payload and content < least_for_all:
        others = dayset.NONE  # no more than its days, and too little for the whole month
    if known.lacks_rows:
        return MonthAnswer(dayset.NONE, others, LACKS_ROWS)
    if packs_alike and content < SHORT_SHARE * known.payload:
        what = f"the monthly object is too small, {known.size:,} bytes where its days have {known.payload:,}"
        return MonthAnswer(dayset.NONE, others, what)
    if known.payload >= TELLING_PAYLOAD_BYTES * there and content >= known.payload - known.least / 2:
        return MonthAnswer(known.days, others, by_size=True)
    if known.size > LARGEST_LOOKED_INTO:
        what = f"sizes do not tell whether the monthly object holds its days, {known.size:,} bytes"
        return MonthAnswer(dayset.NONE, others, f"{what} where they have {known.payload:,}")
    return MonthAnswer(dayset.NONE, Days(known.days | others))


# The answer


@dataclass(frozen=True, slots=True)
class Answers:
    """The answer for every wanted day of a series: obtainable as which object, or absent for which reason.

    Attributes:
        series: The series.
        wanted: The selected days that are over.
        daily: Those that daily objects have.
        monthly: Those for which monthly objects answer; a day may have both.
        unopened: Those of them that no daily object has, and of which only the rows of the month can tell.
        absent: The other days, each under exactly one reason, in the order of the reasons' declaration.
        newest: The newest day that the archive is known to have of the series, wanted or not.
    """

    series: Series
    wanted: Days
    daily: Days
    monthly: Days
    unopened: Days
    absent: Mapping[Absence, Days]
    newest: date | None = None

    @property
    def available(self) -> Days:
        """The days that can be had."""
        return Days(self.daily | self.monthly)

    def summed(self) -> SeriesDays | None:
        """Return it in ranges, for reports and the manifest; None where no day is wanted."""
        first, last = dayset.first(self.wanted), dayset.last(self.wanted)
        if first is None or last is None:
            return None
        ranges = [AbsentDays(why, *run) for why, days in self.absent.items() for run in dayset.ends(days)]
        ranges.sort(key=lambda one: one.first)
        available = self.available
        return SeriesDays(self.series, first, last, dayset.count(available), self.newest, tuple(ranges))


def wanted_days(row: Row, dates: DateRange, today: date, known: Days = dayset.NONE) -> Days:
    """Return the days of a selection that are over; an open start means the first day of the row, or what is older."""
    yesterday = today - timedelta(days=1)
    start = dates.start or min(filter(None, (row.first_date or EARLIEST, dayset.first(known))))
    return dayset.span(start, min(dates.end or yesterday, yesterday))


def answers(
    series: Series,
    row: Row,
    wanted: Days,
    there: ObjectDays,
    today: date,
    *,
    ending: Absence = Absence.LATE,
    partitions: Collection[Partition] = BOTH,
) -> Answers:
    """Return the answer for every wanted day of a series.

    Args:
        series: The series.
        row: Its row of the matrix.
        wanted: The wanted days.
        there: What the archive has of the series, also on other days.
        today: The current UTC day.
        ending: What the days after its last one are, if their objects are due: ``late``, or ``delisted``.
        partitions: In which partitions objects are wanted.
    """
    daily = Days(wanted & there.daily) if Partition.DAILY in partitions else dayset.NONE
    monthly = Days(wanted & there.monthly) if Partition.MONTHLY in partitions else dayset.NONE
    rest, absent = Days(wanted & ~(daily | monthly)), dict[Absence, Days]()
    for reason, explained in _claims(row, there, series.interval, today, ending, partitions):
        if days := Days(rest & explained):
            absent[reason] = Days(absent.get(reason, dayset.NONE) | days)
            rest = Days(rest & ~days)
    unopened = Days(monthly & there.unopened & ~daily)
    return Answers(series, wanted, daily, monthly, unopened, ordered(absent), dayset.last(there.known))


def newest_partition(row: Row, interval: str | None, partitions: Collection[Partition] = BOTH) -> Partition:
    """Return in which partition the newest days of a series come: in daily objects where there are any."""
    publishes_days = Partition.DAILY in row.partitions and (
        interval is None or interval in row.intervals(Partition.DAILY)
    )
    return Partition.DAILY if publishes_days and Partition.DAILY in partitions else Partition.MONTHLY


def due_before(partition: Partition, today: date) -> Days:
    """Return the days whose objects should be there by now."""
    return dayset.before(Period.containing(today - PUBLICATION_DELAY[partition], partition).first_day)


def _claims(
    row: Row, there: ObjectDays, interval: str | None, today: date, ending: Absence, partitions: Collection[Partition]
) -> Iterator[tuple[Absence, Days]]:
    """Yield reasons with the days that they explain, the strongest first; the last one explains all that is left.

    What the series itself shows comes before what the matrix says of the row, which is true of its oldest symbol.
    """
    known = there.known if Partition.DAILY in partitions else there.monthly
    if row.status is Status.NEVER_PUBLISHED:
        yield Absence.NEVER_PUBLISHED, EVERYTHING
    if Partition.MONTHLY not in partitions:
        yield Absence.MONTHLY_ONLY, there.monthly
    due = due_before(newest_partition(row, interval, partitions), today)
    first = dayset.first(known)
    if first is None:
        if row.first_date is not None:
            yield Absence.BEFORE_FIRST, dayset.before(row.first_date)
        if row.last_date is not None:
            yield Absence.DISCONTINUED, Days(~dayset.before(row.last_date + timedelta(days=1)))
        yield Absence.DISCONTINUED if row.status is Status.REMOVED else Absence.NEVER_PUBLISHED, EVERYTHING
        return
    yield Absence.NOT_YET, Days(dayset.enclosed(known) & ~due)
    yield Absence.HOLE, dayset.enclosed(known)
    if row.status is Status.REMOVED:
        yield Absence.DISCONTINUED, EVERYTHING
    yield Absence.BEFORE_FIRST, dayset.before(first)
    if row.status is Status.DISCONTINUED:
        yield Absence.DISCONTINUED, EVERYTHING
    if row.last_date is not None:
        yield Absence.DISCONTINUED, Days(~dayset.before(row.last_date + timedelta(days=1)))
    if not (due & ~dayset.before(first) & ~dayset.enclosed(known)):  # nothing after the last day is due yet
        yield Absence.NOT_YET, EVERYTHING
    if ending is Absence.LATE:
        yield Absence.NOT_YET, Days(~due)
    yield ending, EVERYTHING


def stop_of(
    known: Days, row: Row, interval: str | None, today: date, partitions: Collection[Partition] = BOTH
) -> date | None:
    """Return the last day of a series after which more is due; None where it goes on, or never began."""
    last = dayset.last(known)
    if last is None or row.status in {Status.DISCONTINUED, Status.REMOVED}:
        return None
    due = due_before(newest_partition(row, interval, partitions), today)
    return last if due & ~dayset.before(last + timedelta(days=1)) else None


# Counts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How the days of a span are covered.

    Attributes:
        days: How many days are wanted.
        stored: Days on disk, in a daily object, or in a monthly one that is known to hold them.
        listed: Days that the archive has, in either.
        to_fetch: Days that the archive has and that are not on disk.
        missing: Days in neither place, by reason; every reason that occurs.
        unopened: Days of monthly objects on disk of which only their rows can tell.
    """

    days: int = 0
    stored: int = 0
    listed: int = 0
    to_fetch: int = 0
    missing: Mapping[Absence, int] = field(default_factory=dict)
    unopened: int = 0

    @property
    def available(self) -> int:
        """How many days are in the archive or on disk."""
        return self.stored + self.to_fetch + self.unopened

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
    days = stored = listed = to_fetch = unopened = 0
    missing: dict[Absence, int] = {}
    for one in counts:
        days, stored, listed = days + one.days, stored + one.stored, listed + one.listed
        to_fetch, unopened = to_fetch + one.to_fetch, unopened + one.unopened
        for reason, lacking in one.missing.items():
            missing[reason] = missing.get(reason, 0) + lacking
    return DayCounts(days, stored, listed, to_fetch, ordered(missing), unopened)


def ordered(by_reason: Mapping[Absence, T]) -> dict[Absence, T]:
    """Return the same, sorted by the declaration of the reasons."""
    return {reason: by_reason[reason] for reason in Absence if reason in by_reason}


@dataclass(frozen=True, slots=True, repr=False)
class SeriesCoverage(Shown):
    """How the wanted days of one series are covered. All sets of days are within ``wanted``.

    Attributes:
        series: The series.
        wanted: The selected days that are over.
        stored: Those on disk.
        unopened: Those of months on disk of which only their rows can tell.
        listed: Those that the archive has.
        missing: Those in no place, each under exactly one reason, in the order of the reasons' declaration.
        first_day: The first day that the archive has of the series, wanted or not; None where it has nothing.
        last_day: The last one.
    """

    series: Series
    wanted: Days
    stored: Days
    unopened: Days
    listed: Days
    missing: Mapping[Absence, Days]
    first_day: date | None = None
    last_day: date | None = None

    def _summary(self) -> str:
        counts = self.counts()
        days = f"{counts.stored:,} of {counts.available:,} days on disk"
        return joined(str(self.series), span(self.first_day, self.last_day), days)

    @property
    def to_fetch(self) -> Days:
        """The days that the archive has and that are not on disk."""
        return Days(self.listed & ~self.stored & ~self.unopened)

    @property
    def only_stored(self) -> Days:
        """The days that are on disk and that the archive does not list."""
        return Days(self.stored & ~self.listed)

    def within(self, days: Days) -> DayCounts:
        """Count the wanted days among ``days``."""
        stored, listed = self.stored & days, self.listed & days
        found = ((reason, (lacking & days).bit_count()) for reason, lacking in self.missing.items())
        to_fetch, unopened = self.to_fetch & days, self.unopened & days
        return DayCounts(
            (self.wanted & days).bit_count(), stored.bit_count(), listed.bit_count(), to_fetch.bit_count(),
            {reason: count for reason, count in found if count}, unopened.bit_count(),
        )  # fmt: skip

    def counts(self) -> DayCounts:
        """Count all wanted days."""
        return self.within(self.wanted)

    def months(self) -> Iterator[tuple[Period, DayCounts]]:
        """Yield the months of the wanted days with their counts, oldest first."""
        for month, days in dayset.months(self.wanted):
            yield month, self.within(days)


def series_coverage(
    series: Series,
    row: Row,
    listed: ObjectDays,
    stored: ObjectDays,
    dates: DateRange,
    today: date,
    *,
    ending: Absence = Absence.LATE,
    partitions: Collection[Partition] = BOTH,
) -> SeriesCoverage:
    """Return how the days in ``dates`` are covered, and why the archive lacks those that it lacks.

    ``listed`` and ``stored`` are all objects of the series, whatever days are wanted. What the archive lists decides;
    of a series that it does not list at all, what is left of it on disk.
    """
    wanted = wanted_days(row, dates, today, listed.known)
    known, ending = (listed, ending) if listed.known else (stored, Absence.DELISTED)
    answer = answers(series, row, wanted, known, today, ending=ending, partitions=partitions)
    sure = Days((stored.daily | (stored.monthly & ~stored.unopened)) & wanted)
    unopened = Days(stored.unopened & wanted & ~sure)
    in_archive = Days(answers(series, row, wanted, listed, today, partitions=partitions).available)
    there = sure | unopened | in_archive
    missing = {why: left for why, days in answer.absent.items() if (left := Days(days & ~there))}
    return SeriesCoverage(
        series, wanted, sure, unopened, in_archive, missing, dayset.first(listed.known), dayset.last(listed.known)
    )


# Lives and gaps of symbols

GAP_DAYS = 3
"""After so many days without data that other symbols have, a name may have been given to another coin."""


@dataclass(frozen=True, slots=True, repr=False)
class SymbolHistory(Shown):
    """When the archive has data of a series.

    Attributes:
        series: The series.
        days: The days in the archive, at least one.
        gaps: Gaps that other symbols do not share, after which data come again: signs of a reused name.
        answer: What a day that was asked for is: ``daily``, ``monthly``, or why the archive lacks it; None if none was.
    """

    series: Series
    days: Days
    gaps: tuple[DateRange, ...] = ()
    answer: str | None = None

    def _summary(self) -> str:
        return joined(str(self.series), span(self.first_day, self.last_day), self.answer)

    @property
    def first_day(self) -> date | None:
        """The first day with data."""
        return dayset.first(self.days)

    @property
    def last_day(self) -> date | None:
        """The last day with data."""
        return dayset.last(self.days)


def gaps_of(there: ObjectDays) -> Days:
    """Return the days between the first and the last one that the daily evidence shows to be without data.

    A month that has daily objects does not count for its other days between them.
    """
    lacking = Days(dayset.enclosed(there.known) & ~there.daily)
    only_monthly = Days(lacking & there.monthly)
    shown = dayset.enclosed(there.daily)
    for _, days in dayset.months(only_monthly) if only_monthly else ():
        if not days & there.daily:
            shown = Days(shown & ~days)
    return Days(lacking & ~(only_monthly & ~shown))


def reuse_gaps(gaps: Days, shared: Days = dayset.NONE) -> tuple[DateRange, ...]:
    """Return the gaps of a symbol that are long enough, without what is an outage that most symbols share."""
    own = (run for run in dayset.runs(gaps) if _length(run) >= GAP_DAYS)
    return tuple(gap for gap in own if dayset.count(Days(_span(gap) & ~shared)) >= GAP_DAYS)


def _span(days: DateRange) -> Days:
    return dayset.span(days.start, days.end) if days.start is not None and days.end is not None else dayset.NONE


def _length(days: DateRange) -> int:
    return dayset.count(_span(days))


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
