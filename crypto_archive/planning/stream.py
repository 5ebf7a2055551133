"""The plan of a request as one stream: selection, candidates by calendar or listing, decisions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.planning.candidates import by_calendar, by_listing
from crypto_archive.planning.plan import plan
from crypto_archive.request import Discovery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import PlannedObject
    from crypto_archive.planning.candidates import Candidate, Say
    from crypto_archive.planning.plan import Stored
    from crypto_archive.planning.selection import Selection
    from crypto_archive.request import Request
    from crypto_archive.s5cmd.binary import Binary


def planned_objects(
    request: Request, selection: Selection, matrix: Matrix, binary: Binary | None, today: date, stored: Stored, say: Say
) -> Iterator[PlannedObject]:
    """Yield every object of a selection with what is to be done to it.

    Args:
        request: How objects are discovered and fetched.
        selection: What is wanted.
        matrix: What the archive can hold.
        binary: s5cmd, for the listing; not needed for a plan from the calendar.
        today: The current UTC day.
        stored: Looks up what is on disk.
        say: Takes notices that come up on the way.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    return plan(candidates(request, selection, matrix, binary, today, say), stored, request.fetching)


def candidates(
    request: Request, selection: Selection, matrix: Matrix, binary: Binary | None, today: date, say: Say
) -> Iterator[Candidate]:
    """Yield every object of a selection that the calendar allows or the bucket lists; arguments as above."""
    for group in selection.groups:
        if request.discovery is Discovery.CALENDAR or binary is None:
            yield from by_calendar(group, matrix, today, say)
        else:
            # Imported here because a plan from the calendar has no use for s5cmd.
            from crypto_archive.s5cmd.listing import list_folders, list_objects

            yield from by_listing(
                group, today, partial(list_objects, binary, request.access),
                partial(list_folders, binary, request.access), say,
            )  # fmt: skip
