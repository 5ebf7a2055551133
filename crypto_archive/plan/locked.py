"""Plans pinned by a lock file: written, compared, and collected again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import EnvironmentFailure, UsageError
from crypto_archive.model import GONE, REPLACED, SIDECAR_SUFFIX, Action, Candidate, Pin, RemoteStat, is_md5
from crypto_archive.plan.candidates import Source
from crypto_archive.plan.decide import is_held
from crypto_archive.plan.lockfile import LockedObject, fault, line_of, open_lock, write_lock
from crypto_archive.root.layout import root_of
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import list_objects
from crypto_archive.s5cmd.runfile import list_line

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.files import LineSorter
    from crypto_archive.model import ArchiveObject, PlannedObject
    from crypto_archive.plan.decide import Stored
    from crypto_archive.plan.lockfile import Lock
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.s5cmd.output import Listed

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


def require_listing(request: Request) -> None:
    """Refuse to lock, or to compare, a plan that knows neither sizes nor ETags.

    Raises:
        UsageError: The plan would come from the calendar.
    """
    if request.discovery is Discovery.CALENDAR:
        raise UsageError(
            "A plan from the calendar cannot be locked or compared: it knows no sizes and no ETags",
            hint="Plan from the listing: with --discover listing, or without `discover: calendar` in preset and "
            "environment.",
        )


def noting(planned: Iterable[PlannedObject], sorter: LineSorter) -> Iterator[PlannedObject]:
    """Pass a plan on, and hand the line of every object that the archive has to a sorter.

    Raises:
        EnvironmentFailure: What the listing says of an object cannot stand in a line, or the sorter has no room.
    """
    for item in planned:
        locked = _locked(item)
        if locked is not None:
            try:
                sorter.add(line_of(locked))
            except ValueError as error:
                raise EnvironmentFailure(
                    f"The archive lists an object that cannot be locked: {error}",
                    hint="Check --endpoint-url: no archive of Binance's has such objects.",
                ) from error
        yield item


def _locked(item: PlannedObject) -> LockedObject | None:
    """Return the line of a planned object; None for what is not published yet, or cannot be had."""
    remote = item.remote
    if remote is None or item.action in {Action.WAIT, Action.REFUSE}:
        return None
    pin = Pin(remote.size, remote.etag, remote.last_modified, item.sha256)
    return LockedObject(item.object.key, pin, remote.has_sidecar)


def write_plan(sorter: LineSorter, path: Path, request: Request) -> int:
    """Write what a plan came to as a lock file; return how many objects it has.

    A plan without any leaves what is there alone: it is a mistake more often than a wish.

    Raises:
        RootUnusable: It cannot be written.
    """
    if not sorter.count:
        return 0
    return write_lock(path, request.access.bucket, sorter.sorted())


def lock_to_compare(path: Path, request: Request) -> Lock:
    """Return a lock file that a plan is to be held against; all of it is read once, so that an error comes early.

    Raises:
        UsageError: It is no sound lock file, or one of another bucket.
    """
    lock = open_lock(path)
    if lock.bucket != request.access.bucket:
        raise UsageError(
            f"{path} locks objects of the bucket {lock.bucket!r}, and this plan is of {request.access.bucket!r}",
            hint="Name the bucket with CRYPTO_ARCHIVE_BUCKET, or another lock file.",
        )
    for _ in lock:
        pass
    return lock


def locked_request(configured: RunConfig, path: Path) -> tuple[RunConfig, Source]:
    """Return the request to collect exactly what a lock file pins, and its objects.

    Each object comes with what the archive has of it now; where no listing is wanted, as if the archive still had all
    of them, so that their bytes are judged when they arrive. The file is read through once beforehand.

    Args:
        configured: Where to collect to, and how.
        path: The lock file.

    Raises:
        UsageError: It is no sound lock file, or has a key that is none of the matrix or that no file can have.
        ConfigError: Another bucket was asked for.
    """
    lock = open_lock(path)
    configured = configured.locked_by(path, lock.bucket, lock.shard)
    for _ in _objects(lock, configured):
        pass
    request = configured.request

    def asked(stored: StoredFiles, _on_notice: object, cancelled: threading.Event) -> Generator[Candidate, None, None]:
        binary = find_binary(request.access.s5cmd)
        # Not from what is remembered: what the archive has now is the question.
        list_now = partial(list_objects, binary, request.access, cancelled=cancelled)
        return by_lock(_objects(lock, configured), stored.find, list_now, ask_all=not request.fetching.skips_present)

    def unasked(*_: object) -> Generator[Candidate, None, None]:
        return as_locked(_objects(lock, configured))

    candidates = unasked if request.discovery is Discovery.CALENDAR else asked
    return configured, Source(configured.notices, candidates)


def _objects(lock: Lock, configured: RunConfig) -> Iterator[Locked]:
    """Yield what a lock pins. The keys of a series differ in their dates only, so one tells whether all will do."""
    root = root_of(configured)
    fit = None
    for number, locked in lock.numbered():
        item = configured.matrix.object_of(locked.key)
        if item is None:
            fault(lock.path, number, f"the matrix has no place for the key {locked.key!r}")
        if item.series is not fit:
            try:
                root.file(locked.key)
                list_line(lock.bucket, locked.key)
            except ValueError as error:
                fault(lock.path, number, str(error))
            fit = item.series
        yield Locked(item, locked.pin, locked.has_sidecar)
