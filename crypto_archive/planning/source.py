"""Where the candidates of a run come from: a selection, a list, a lock file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.model import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crypto_archive.model import ArchiveObject, Notice
    from crypto_archive.planning.candidates import ListObjects
    from crypto_archive.planning.plan import Stored


class Source(NamedTuple):
    """Candidates in the making, and what is to be said of them beforehand.

    Attributes:
        candidates: Yields them, in the thread that looks at the disk; may look there too, and ask the listing.
        notices: A line for each thing that a person should know of.
    """

    candidates: Callable[[Stored, ListObjects], Iterable[Candidate]]
    notices: tuple[Notice, ...] = ()


def of_objects(objects: Iterable[ArchiveObject]) -> Source:
    """Return the source of objects that are known one by one; nobody is asked about them."""
    return Source(lambda _stored, _list_objects: (Candidate(item) for item in objects))
