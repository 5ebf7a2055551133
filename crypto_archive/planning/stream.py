"""All candidates of a selection as one stream, from the calendar or from the listing, whichever the request says."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.planning.candidates import by_calendar, by_listing
from crypto_archive.request import Discovery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Candidate, Notice
    from crypto_archive.planning.selection import Selection, SeriesGroup
    from crypto_archive.planning.symbols import ListFolders, Say
    from crypto_archive.request import Access, Request
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
            silent = True
            for candidate in by_listing(group, today, objects, folders, say_unless_cancelled):
                silent = False
                yield candidate
            if silent and not cancelled.is_set():
                _see_that_it_is_an_archive(group, folders, request.access)


def _see_that_it_is_an_archive(group: SeriesGroup, list_folders: ListFolders, access: Access) -> None:
    """Tell an archive that has nothing of a group from a server that is none.

    The page of a captive portal, sent with status 200, looks to s5cmd like an empty listing (measured, v2.3.0); but an
    archive has folders.

    Raises:
        EndpointUnreachable: The server lists nothing at all, or cannot be asked.
    """
    top = group.row.key_pattern.symbols_prefix(group.partition).partition("/")[0] + "/"
    if not list_folders(top):
        raise EndpointUnreachable(
            f"The server {access.endpoint_url} answers, but not as the archive: it lists nothing below {top!r} in the "
            f"bucket {access.bucket!r}",
            hint="See that no login page or proxy answers in the archive's place, and check --endpoint-url.",
        )
