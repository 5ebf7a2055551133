"""All that the archive lists of series, as sets of days: every partition, and from the first object to the last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crypto_archive import dayset
from crypto_archive.model import Partition
from crypto_archive.planning.absences import Listed
from crypto_archive.planning.selection import Selection
from crypto_archive.planning.stream import candidates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import ArchiveObject, DateRange, Notice, Series
    from crypto_archive.planning.candidates import Say
    from crypto_archive.planning.selection import SeriesGroup
    from crypto_archive.request import Request
    from crypto_archive.s5cmd.binary import Binary

NO_MATCH = "no symbol of the archive matches"
"""What a notice says for each partition that has none; of interest where none has any."""


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
    request: Request, groups: Iterable[SeriesGroup], matrix: Matrix, binary: Binary | None, today: date, say: Say
) -> dict[Series, Listed]:
    """Return the days of all objects of the groups, by series.

    Args:
        request: How objects are discovered, and how the bucket is reached.
        groups: The groups of one row, as ``whole`` makes them.
        matrix: What the archive can hold.
        binary: s5cmd, for the listing.
        today: The current UTC day.
        say: Takes notices that come up on the way.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    found: dict[Series, Listed] = {}
    unmatched: list[Notice] = []

    def sort_out(notice: Notice) -> None:
        if NO_MATCH in notice.text:
            unmatched.append(notice)
        else:
            say(notice)

    for candidate in candidates(request, Selection(tuple(groups), ()), matrix, binary, today, sort_out):
        if candidate.action is None:  # what is only expected is not there
            add_object(found, candidate.object)
    if not found:
        for notice in unmatched:
            say(notice)
    return found


def add_object(found: dict[Series, Listed], item: ArchiveObject) -> None:
    """Add the days of an object to those of its series."""
    days, so_far = dayset.of_period(item.period), found.get(item.series, Listed())
    daily = item.period.partition is Partition.DAILY
    found[item.series] = so_far | (Listed(daily=days) if daily else Listed(monthly=days))
