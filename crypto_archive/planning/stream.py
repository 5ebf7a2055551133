"""All candidates of a selection as one stream, from the calendar or from the listing, whichever the request says."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.planning.candidates import by_calendar, by_listing
from crypto_archive.request import Discovery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Notice
    from crypto_archive.planning.candidates import Candidate, Say
    from crypto_archive.planning.selection import Selection
    from crypto_archive.request import Request
    from crypto_archive.s5cmd.binary import Binary


def candidates(
    request: Request,
    selection: Selection,
    matrix: Matrix,
    binary: Binary | None,
    today: date,
    say: Say,
    cancelled: threading.Event | None = None,
) -> Iterator[Candidate]:
    """Yield every object of a selection that the calendar allows or the bucket lists.

    Args:
        request: How objects are discovered, and how the bucket is reached.
        selection: What is wanted.
        matrix: What the archive can hold.
        binary: s5cmd, for the listing; not needed for the calendar.
        today: The current UTC day.
        say: Takes notices that come up on the way.
        cancelled: Ends a listing early, once it is set.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    cancelled = cancelled or threading.Event()

    def say_unless_cancelled(notice: Notice) -> None:
        if not cancelled.is_set():  # a listing that was cut short proves nothing
            say(notice)

    for group in selection.groups:
        if request.discovery is Discovery.CALENDAR or binary is None:
            yield from by_calendar(group, matrix, today, say)
        else:
            # Imported here because a plan from the calendar has no use for s5cmd.
            from crypto_archive.s5cmd.listing import list_folders, list_objects

            objects = partial(list_objects, binary, request.access, cancelled=cancelled)
            folders = partial(list_folders, binary, request.access, cancelled=cancelled)
            yield from by_listing(group, today, objects, folders, say_unless_cancelled)
