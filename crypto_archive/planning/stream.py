"""All candidates of a selection as one stream, from the calendar or from the listing, whichever the request says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import Notice, Topic
from crypto_archive.planning.candidates import by_calendar, by_listing
from crypto_archive.planning.symbols import resolve_offline
from crypto_archive.symbols import is_glob

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Candidate, Say
    from crypto_archive.planning.consolidation import KnownShort
    from crypto_archive.planning.reading import Listing
    from crypto_archive.planning.selection import Selection, SeriesGroup
    from crypto_archive.request import Access


def calendar_candidates(
    selection: Selection, matrix: Matrix, today: date, say: Say
) -> Generator[Candidate, None, None]:
    """Yield every object of a selection that the calendar allows, for a plan that asks nobody.

    Globs are matched against the matrix's default symbols, since nothing else is known. For the same reason no monthly
    object takes the place of daily ones.

    Args:
        selection: What is wanted.
        matrix: What the archive can hold.
        today: The current UTC day.
        say: Takes notices that come up on the way.
    """
    for group in selection.groups:
        known = default_symbols(group, matrix)
        if any(map(is_glob, group.symbols)):
            choice = "globs and filters" if group.filters else "globs"
            count = len(resolve_offline(group, known, say))
            of_plan = f"{choice} match the matrix's {count} default symbols in a plan from the calendar"
            say(Notice(f"{group.label}: {of_plan}"))
        if group.consolidates:
            why = "daily objects only, as the calendar does not say which monthly ones there are"
            say(Notice(f"{group.label}: {why}", Topic.PLANNING))
        yield from by_calendar(group, known, today, say)


def default_symbols(group: SeriesGroup, matrix: Matrix) -> tuple[str, ...]:
    """Return the default symbols of a group's market, in the form that they have in its keys."""
    return tuple(dict.fromkeys(map(group.row.symbol, matrix.symbols.get(group.row.market, ()))))


def listed_candidates(
    selection: Selection,
    access: Access,
    listing: AbstractContextManager[Listing],
    today: date,
    say: Say,
    known_short: KnownShort = lambda *_: False,
) -> Generator[Candidate, None, None]:
    """Yield every object of a selection that the bucket lists, and the recent ones to wait for.

    Args:
        selection: What is wanted.
        access: How the bucket is reached, for messages.
        listing: Lists the bucket; entered and left by whoever consumes the stream.
        today: The current UTC day.
        say: Takes notices that come up on the way.
        known_short: Knows monthly objects that were found to lack rows of their days.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    with listing as bucket:

        def say_unless_cut_short(notice: Notice) -> None:
            if not bucket.is_cut_short:  # a listing that was cut short proves nothing
                say(notice)

        for group in selection.groups:
            silent = True
            for candidate in by_listing(group, today, bucket, say_unless_cut_short, known_short):
                silent = silent and candidate.remote is None
                yield candidate
            if silent and not bucket.is_cut_short:
                _see_that_it_is_an_archive(group, bucket, access)
        if remark := bucket.remark():
            say(remark)


def _see_that_it_is_an_archive(group: SeriesGroup, listing: Listing, access: Access) -> None:
    """Tell an archive that has nothing of a group from a server that is none.

    The page of a captive portal, sent with status 200, looks to s5cmd like an empty listing (measured, v2.3.0); but an
    archive has folders.

    Raises:
        EndpointUnreachable: The server lists nothing at all, or cannot be asked.
    """
    top = group.row.key_pattern.symbols_prefix(group.partition).partition("/")[0] + "/"
    if not listing.folders(top):
        listing.distrust()
        raise EndpointUnreachable(
            f"The server {access.endpoint_url} answers, but not as the archive: it lists nothing below {top!r} in the "
            f"bucket {access.bucket!r}",
            hint="See that no login page or proxy answers in the archive's place, and check --endpoint-url.",
        )
