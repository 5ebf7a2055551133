"""Where the objects of a run come from: the selection of a request, or objects that somebody names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.listings.bucket import open_listing
from crypto_archive.model import Candidate, Notice
from crypto_archive.planning.selection import select
from crypto_archive.planning.stream import calendar_candidates, listed_candidates
from crypto_archive.request import Discovery

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable
    from datetime import date

    from crypto_archive.config import Configured
    from crypto_archive.listings.bucket import BucketListing
    from crypto_archive.model import ArchiveObject, Say
    from crypto_archive.trust.presence import StoredFiles
    from crypto_archive.trust.store import Root


@dataclass(frozen=True, slots=True)
class Source:
    """The objects that a run is about.

    Attributes:
        notices: What there is to say before the first of them.
        candidates: Yields them, given what is stored, who takes further notices, and what ends a listing early once it
            is set; to be consumed and closed in one thread.
        listing: The listing that they are read from; None where nobody is asked.
    """

    notices: tuple[Notice, ...]
    candidates: Callable[[StoredFiles, Say, threading.Event], Generator[Candidate, None, None]]
    listing: BucketListing | None = None


def selected(configured: Configured, root: Root, today: date) -> Source:
    """Return the objects that a request selects, from the calendar or from the listing.

    Args:
        configured: What is wanted.
        root: Where listings are remembered.
        today: The current UTC day.

    Raises:
        S5cmdUnusable: The listing is asked for, and there is no s5cmd that can be used.
    """
    request, matrix = configured.request, configured.matrix
    selection = select(request.wish, matrix, today)
    notices = (*configured.notices, *selection.notices)
    if request.discovery is Discovery.CALENDAR:
        return Source(notices, lambda _stored, say, _cancelled: calendar_candidates(selection, matrix, today, say))
    listing = open_listing(request, root.listings_path)

    def candidates(stored: StoredFiles, say: Say, cancelled: threading.Event) -> Generator[Candidate, None, None]:
        listing.cancelled = cancelled
        return listed_candidates(selection, request.access, listing, today, say, stored.is_short)

    return Source(notices, candidates, listing)


def named(objects: Iterable[ArchiveObject]) -> Source:
    """Return given objects, of which nothing more is known."""
    return Source((), lambda *_: (Candidate(item) for item in objects))
