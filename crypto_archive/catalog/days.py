"""Sets of UTC days, each an integer with one bit per day: ten years of a series are 450 bytes, a union one instruction.

Bit 0 is ``FIRST_DAY``; days before it cannot be in a set.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

from crypto_archive.model import DateRange, Partition, Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Days = NewType("Days", int)
"""A set of days; ``|``, ``&`` and ``& ~`` are union, intersection and difference."""

FIRST_DAY = date(2017, 1, 1)
"""No object of the archive is older."""

NONE = Days(0)
_FIRST = FIRST_DAY.toordinal()


def span(first: date, last: date) -> Days:
    """Return the days from ``first`` to ``last``, both included; none where ``last`` is before ``first``."""
    begin, end = max(first.toordinal() - _FIRST, 0), last.toordinal() - _FIRST + 1
    return Days(((1 << end - begin) - 1) << begin) if end > begin else NONE


@lru_cache(maxsize=8192)
def of_period(period: Period) -> Days:
    """Return the days of a day or a month."""
    return span(period.first_day, period.last_day)


def of_days(some: Iterable[date]) -> Days:
    """Return single days as a set, in any order; those that cannot be in one are left out."""
    days = begin = end = 0
    for day in some:  # most follow one another: the days of a stretch are added together
        number = day.toordinal() - _FIRST
        if number != end:
            days |= ((1 << end - begin) - 1) << begin
            begin = end = max(number, 0)
        end += number >= 0
    return Days(days | ((1 << end - begin) - 1) << begin)


def of_month(month: Period, bits: int) -> Days:
    """Return days of a month that are given as one bit per day."""
    return Days(bits << (month.first_day.toordinal() - _FIRST))


def has(days: Days, day: date) -> bool:
    """Whether a day is in a set."""
    number = day.toordinal() - _FIRST
    return number >= 0 and bool(days >> number & 1)


def count(days: Days) -> int:
    """Return the number of days in a set."""
    return days.bit_count()


def first(days: Days) -> date | None:
    """Return the first day of a set, None where it is empty."""
    return _day((days & -days).bit_length() - 1) if days else None


def last(days: Days) -> date | None:
    """Return the last day of a set, None where it is empty."""
    return _day(days.bit_length() - 1) if days else None


def before(day: date) -> Days:
    """Return all days before ``day``."""
    return span(FIRST_DAY, day - timedelta(days=1))


def enclosed(days: Days) -> Days:
    """Return all days from the first to the last one of a set, whether in it or not."""
    return Days((1 << days.bit_length()) - (days & -days)) if days else NONE


def runs(days: Days) -> Iterator[DateRange]:
    """Yield the stretches of consecutive days, oldest first."""
    offset = 0
    while days:
        zeros = (days & -days).bit_length() - 1
        days, offset = Days(days >> zeros), offset + zeros
        ones = (~days & (days + 1)).bit_length() - 1
        yield DateRange(_day(offset), _day(offset + ones - 1))
        days, offset = Days(days >> ones), offset + ones


def ends(days: Days) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each stretch of consecutive days, oldest first."""
    for run in runs(days):
        if run.start is not None and run.end is not None:
            yield run.start, run.end


@lru_cache(maxsize=256)
def months(days: Days) -> tuple[tuple[Period, Days], ...]:
    """Return each month from that of the first day of a set to that of its last one, oldest first, with all its days.

    Remembered, since most series of a selection have the same days.
    """
    begin, end = first(days), last(days)
    if begin is None or end is None:
        return ()
    month, found = Period.containing(begin, Partition.MONTHLY), []
    while month.first_day <= end:
        found.append((month, of_period(month)))
        month = month.next()
    return tuple(found)


def _day(bit: int) -> date:
    return date.fromordinal(_FIRST + bit)
