"""Pin a plan by a lock file, hold a plan against one, collect what one pins: joins lock files, plans and the root."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.errors import EnvironmentFailure, UsageError
from crypto_archive.jobs.placing import root_of
from crypto_archive.jobs.sources import Source
from crypto_archive.lockfile.form import LockedObject, line_of
from crypto_archive.lockfile.reading import fault, open_lock
from crypto_archive.lockfile.writing import write_lock
from crypto_archive.model import Action, Pin
from crypto_archive.planning.locked import Locked, as_locked, by_lock
from crypto_archive.request import Discovery
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import list_objects
from crypto_archive.s5cmd.runfile import list_line

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from crypto_archive.config import Configured
    from crypto_archive.lockfile.reading import Lock
    from crypto_archive.lockfile.sorting import LineSorter
    from crypto_archive.model import Candidate, PlannedObject
    from crypto_archive.request import Request
    from crypto_archive.trust.presence import StoredFiles


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


def locked_request(configured: Configured, path: Path) -> tuple[Configured, Source]:
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

    def asked(stored: StoredFiles, _say: object, cancelled: threading.Event) -> Generator[Candidate, None, None]:
        binary = find_binary(request.access.s5cmd)
        # Not from what is remembered: what the archive has now is the question.
        list_now = partial(list_objects, binary, request.access, cancelled=cancelled)
        return by_lock(_objects(lock, configured), stored.find, list_now, ask_all=not request.fetching.skips_present)

    def unasked(*_: object) -> Generator[Candidate, None, None]:
        return as_locked(_objects(lock, configured))

    candidates = unasked if request.discovery is Discovery.CALENDAR else asked
    return configured, Source(configured.notices, candidates)


def _objects(lock: Lock, configured: Configured) -> Iterator[Locked]:
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
