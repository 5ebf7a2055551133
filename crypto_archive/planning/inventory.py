"""All that the archive lists of series, as sets of days: every partition, and from the first object to the last."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from crypto_archive import dayset
from crypto_archive.model import Partition, Topic
from crypto_archive.planning.absences import ObjectDays
from crypto_archive.planning.selection import Selection
from crypto_archive.planning.stream import calendar_candidates, listed_candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import ArchiveObject, DateRange, Notice, Say, Series
    from crypto_archive.planning.reading import Listing
    from crypto_archive.planning.selection import SeriesGroup
    from crypto_archive.request import Access


def whole(group: SeriesGroup, intervals: tuple[str | None, ...], dates: DateRange) -> Iterator[SeriesGroup]:
    """Yield a group for each partition that the archive publishes, whatever partition was wished for.

    Args:
        group: Gives row and symbols.
        intervals: The intervals.
        dates: The days; open ends for all that there is.
    """
    row = group.row
    for partition in (one for one in Partition if one in row.partitions):
        those = tuple(one for one in intervals if one is None or one in row.intervals(partition))
        if those:
            yield replace(group, partition=partition, intervals=those, dates=dates, consolidates=False)


def listed_days(
    groups: Iterable[SeriesGroup], access: Access, bucket: Listing, today: date, say: Say
) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the archive lists of the groups, by series.

    What there is to say of a partition beside the first one, such as that it does not have a symbol, is left out.

    Args:
        groups: The groups of one row, as ``whole`` makes them.
        access: How the bucket is reached, for messages.
        bucket: Lists the bucket.
        today: The current UTC day.
        say: Takes notices that come up on the way.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    found: dict[Series, ObjectDays] = {}
    heard: list[Notice] = []

    def hear(notice: Notice) -> None:
        if notice != bucket.remark():  # whoever opened the listing says that, and once
            heard.append(notice)

    for place, group in enumerate(groups):
        one_group, only_bucket = Selection((group,), ()), nullcontext(bucket)
        for candidate in listed_candidates(one_group, access, only_bucket, today, hear if not place else _ignore):
            if candidate.action is None:  # what is only awaited is not there
                add_object(found, candidate.object)
    for notice in heard:
        if not (found and notice.topic is Topic.NO_MATCH):
            say(notice)
    return found


def expected_days(groups: Iterable[SeriesGroup], matrix: Matrix, today: date, say: Say) -> dict[Series, ObjectDays]:
    """Return the days of all objects that the calendar allows of the groups, by series; nobody is asked.

    Args:
        groups: The groups of one row, as ``whole`` makes them.
        matrix: What the archive can hold.
        today: The current UTC day.
        say: Takes notices that come up on the way.
    """
    found: dict[Series, ObjectDays] = {}
    for candidate in calendar_candidates(Selection(tuple(groups), ()), matrix, today, say):
        add_object(found, candidate.object)
    return found


def add_object(found: dict[Series, ObjectDays], item: ArchiveObject) -> None:
    """Add the days of an object to those of its series."""
    days, so_far = dayset.of_period(item.period), found.get(item.series, ObjectDays())
    daily = item.period.partition is Partition.DAILY
    found[item.series] = so_far | (ObjectDays(daily=days) if daily else ObjectDays(monthly=days))


def _ignore(notice: Notice) -> None:
    """Take no notice."""
