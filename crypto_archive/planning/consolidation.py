"""Which months are fetched as one object in place of their days, judged by what the archive really lists.

The calendar alone never decides: the archive publishes some months late, and has had monthly objects that held a few
days only until they were replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive.model import Covered, Notice, Partition, Period, RemoteStat, Topic
from crypto_archive.planning.calendar import EARLIEST, periods

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from crypto_archive.matrix import Row
    from crypto_archive.model import Candidate, DateRange, Say, Series

KnownShort = Callable[[str, RemoteStat], bool]
"""Whether the very bytes that the listing gives of a monthly object were found to lack rows of its days."""

SHORT_SHARE = 0.6
"""A monthly object with less than this share of its days' bytes does not hold all of them."""
ZIP_OVERHEAD_BYTES = 150
"""What a zip of one CSV takes beside its content, with names of the archive's length."""
LEAST_PAYLOAD_BYTES = 1000
"""Of days with less content a zip each, such as those of 1d klines, sizes prove nothing: joined they pack better."""


def whole_months(row: Row, dates: DateRange, today: date) -> tuple[Period, Period] | None:
    """Return the first and last month of which every published day is wanted; None where there is none.

    Args:
        row: The matrix row, which says between which days it is published.
        dates: The days wanted, cut to those in which the row is published.
        today: The current UTC day; a month that it falls into is not over.
    """
    begins, ends = row.first_date or EARLIEST, row.last_date or today
    months = [
        month
        for month in periods(Partition.MONTHLY, dates, today)
        if (dates.start is None or dates.start <= max(month.first_day, begins))
        and (dates.end is None or dates.end >= min(month.last_day, ends))
    ]
    return (months[0], months[-1]) if months else None


def consolidated(
    months: Iterable[Candidate], days: Iterable[Candidate], known_short: KnownShort, say: Say
) -> Iterator[Candidate]:
    """Yield each month as its monthly object, where that is listed and holds its days, else as its daily objects.

    Args:
        months: The listed monthly objects of whole months.
        days: The listed daily objects, those of one series and month following one another.
        known_short: Knows monthly objects that were found to lack rows.
        say: Takes a notice of each month that is listed but not trusted.
    """
    listed = {(month.object.series, month.object.period.first_day): month for month in months}
    for (series, first_day), group in groupby(days, key=_month_of):
        of_month = tuple(group)
        month = listed.pop((series, first_day), None)
        reason = _doubt(month, of_month, known_short) if month is not None else ""
        if month is None or reason:
            yield from of_month
        else:
            yield month._replace(covers=_covered(of_month))
        if month is not None and reason:
            say(Notice(f"{series} {month.object.period}: {reason}, its daily objects are planned", Topic.PLANNING))
    yield from listed.values()


def _month_of(day: Candidate) -> tuple[Series, date]:
    return day.object.series, day.object.period.first_day.replace(day=1)


def _covered(days: tuple[Candidate, ...]) -> Covered:
    return Covered(len(days), sum(day.remote.size for day in days if day.remote))


def _doubt(month: Candidate, days: tuple[Candidate, ...], known_short: KnownShort) -> str:
    """Say what speaks against a monthly object; empty where nothing does."""
    if month.remote is None:
        return ""
    if known_short(month.object.key, month.remote):
        return "the monthly object is known to lack rows of its days"
    payload = sum(max(0, day.remote.size - ZIP_OVERHEAD_BYTES) for day in days if day.remote)
    held = month.remote.size - ZIP_OVERHEAD_BYTES
    if payload >= LEAST_PAYLOAD_BYTES * len(days) and held < SHORT_SHARE * payload:
        return f"the monthly object is short, {month.remote.size:,} bytes where its days have {payload:,}"
    return ""
