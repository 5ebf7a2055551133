"""The objects of a lock file as candidates: what is on disk as it was locked is not asked for, the rest is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.model import GONE, REPLACED, SIDECAR_SUFFIX, Action, Candidate, RemoteStat, is_md5
from crypto_archive.planning.plan import is_held

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from crypto_archive.model import ArchiveObject, Pin
    from crypto_archive.planning.plan import Stored
    from crypto_archive.s5cmd.protocol import Listed

ListObjects = Callable[[Iterable[str]], Iterable["Listed"]]
"""Lists the objects whose keys begin with one of several prefixes, in whatever order."""
PREFIXES_AT_ONCE = 100
"""How many prefixes are listed together, by one s5cmd process."""
OBJECTS_AT_ONCE = 10_000
"""How many objects wait for the answer of a listing, about 10 MB of them."""


class Locked(NamedTuple):
    """An object with the bytes that it must have.

    Attributes:
        object: The object.
        pin: The bytes.
        has_sidecar: Whether the archive had its sidecar when it was locked.
    """

    object: ArchiveObject
    pin: Pin
    has_sidecar: bool


class _Waiting(NamedTuple):
    locked: Locked
    held: bool


def by_lock(
    locked: Iterable[Locked], stored: Stored, list_objects: ListObjects, *, ask_all: bool = False
) -> Generator[Candidate, None, None]:
    """Yield every locked object, in the order of the lock, with what the archive has in its place.

    The archive is asked by a prefix a series, as narrow as the keys allow; of a series that is all there, nothing is
    asked.

    Args:
        locked: The objects, sorted by key.
        stored: Looks up what is on disk.
        list_objects: Lists the objects under prefixes.
        ask_all: Ask for those on disk, too.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    waiting: list[_Waiting] = []
    prefixes: list[str] = []
    for series in _by_folder(locked):
        found = [_Waiting(one, not ask_all and is_held(stored(one.object.key), one.pin)) for one in series]
        if missing := [one.locked.object.key for one in found if not one.held]:
            prefixes.append(_common_start(missing[0], missing[-1]))
        waiting += found
        if len(prefixes) >= PREFIXES_AT_ONCE or len(waiting) >= OBJECTS_AT_ONCE:
            yield from _answered(waiting, prefixes, list_objects)
            waiting, prefixes = [], []
    yield from _answered(waiting, prefixes, list_objects)


def as_locked(locked: Iterable[Locked]) -> Generator[Candidate, None, None]:
    """Yield every locked object as if the archive still had it; nobody is asked."""
    for item, pin, has_sidecar in locked:
        yield Candidate(item, RemoteStat(pin.size, pin.etag, pin.last_modified, has_sidecar), pin=pin)


def _by_folder(locked: Iterable[Locked]) -> Iterator[list[Locked]]:
    """Yield the objects of one folder together, so many at a time as may wait."""
    for _, series in groupby(locked, key=lambda one: one.object.key.rpartition("/")[0]):
        some: list[Locked] = []
        for one in series:
            some.append(one)
            if len(some) >= OBJECTS_AT_ONCE:
                yield some
                some = []
        if some:
            yield some


def _common_start(first: str, last: str) -> str:
    """Return what two keys, and so all keys that sort between them, begin with."""
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def _answered(waiting: list[_Waiting], prefixes: list[str], list_objects: ListObjects) -> Iterator[Candidate]:
    """Yield candidates, once the archive has said what it has in their places."""
    wanted = {one.locked.object.key for one in waiting if not one.held}
    listed: dict[str, Listed] = {}
    sidecars: set[str] = set()
    for entry in list_objects(prefixes) if prefixes else ():
        key = entry.key.removesuffix(SIDECAR_SUFFIX)
        if entry.key in wanted:
            listed.setdefault(entry.key, entry)
        elif key in wanted:
            sidecars.add(key)
    for (item, pin, has_sidecar), held in waiting:
        if held:
            remote = RemoteStat(pin.size, pin.etag, pin.last_modified, has_sidecar)
            yield Candidate(item, remote, pin=pin)
        elif (there := listed.get(item.key)) is None:
            yield Candidate(item, pin=pin, action=Action.REFUSE, why=GONE)
        else:
            remote = RemoteStat(there.size, there.etag, there.last_modified, item.key in sidecars)
            why = _replaced(pin, remote)
            yield Candidate(item, remote, pin=pin, action=Action.REFUSE if why else None, why=why)


def _replaced(pin: Pin, remote: RemoteStat) -> str:
    """Say what the archive has instead of the locked bytes; empty where it may have them still.

    An upload in parts gives the same bytes another ETag, so that only a digest can tell; a new time alone changes none.
    """
    if remote.size == pin.size:
        same = remote.etag == pin.etag
        both_md5 = all(is_md5(etag) for etag in (remote.etag, pin.etag))
        if same or (pin.sha256 and not both_md5):
            return ""
    now, then = (f"{one.size:,} bytes of {one.last_modified:%Y-%m-%d}" for one in (remote, pin))
    if now != then:
        return f"{REPLACED}: {now}, locked were {then}"
    return f"{REPLACED}: ETag {remote.etag}, locked was {pin.etag}"
