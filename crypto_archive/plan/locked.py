"""Plans pinned by a lock file: written, compared, and collected again."""

from __future__ import annotations

from itertools import chain, groupby, takewhile
from typing import TYPE_CHECKING, Any, Self

from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import EnvironmentFailure, UsageError
from crypto_archive.files import LineSorter
from crypto_archive.model import GONE, REPLACED, SIDECAR_SUFFIX, Absence, Action, Candidate, RemoteStat, is_md5
from crypto_archive.plan.awaited import moves_on, wanted_by
from crypto_archive.plan.decide import has_pinned_bytes
from crypto_archive.plan.lockfile import LockedObject, Wait, corrupt, line_of, open_lock, write_lock
from crypto_archive.root.layout import root_of
from crypto_archive.s5cmd.runfile import list_line

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.model import PlannedObject
    from crypto_archive.plan.lockfile import LockFile
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context
    from crypto_archive.root.store import Root

PREFIXES_AT_ONCE = 100
"""How many prefixes are listed together, by one s5cmd process."""
OBJECTS_AT_ONCE = 10_000
"""How many objects wait for the answer of a listing, about 10 MB of them."""


def locked_config(config: RunConfig, path: Path) -> tuple[RunConfig, LockFile]:
    """Return the configuration to collect exactly what a lock file pins, and the file, which is read through once.

    Raises:
        UsageError: The file is not a sound lock file, or has a key that the matrix or the root has no place for.
        ConfigError: Another bucket was asked for.
    """
    lock_file = open_lock(path)
    config = config.locked_by(path, lock_file.bucket, lock_file.shard)
    for _ in chain(lock_file.waits(), _pinned(lock_file, config.matrix, root_of(config))):
        pass
    return config, lock_file


def locked_objects(context: Context, lock_file: LockFile, stored: StoredFiles) -> Generator[Candidate, None, None]:
    """Yield every object of a lock file, in its order, with what the archive now has in its place.

    The archive is asked with one prefix per series, as narrow as the keys allow, and only for objects that are not on
    disk or are to be fetched again. With discovery by the calendar it is not asked at all: the objects come as if the
    archive still had them, so that their bytes are judged when they arrive.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    pinned = _pinned(lock_file, context.matrix, context.root)
    if context.request.discovery is Discovery.CALENDAR:
        yield from (one._replace(remote=one.pin) for one in pinned)
        return
    keeps = context.request.fetching.skips_present
    waiting: list[Candidate] = []
    prefixes: list[str] = []
    for series in _by_folder(pinned):
        for one in series:
            kept = keeps and one.pin is not None and has_pinned_bytes(stored.find(one.object.key), one.pin)
            waiting.append(one._replace(remote=one.pin) if kept else one)
        if missing := [one.object.key for one in waiting[-len(series) :] if one.remote is None]:
            prefixes.append(_common_start(missing[0], missing[-1]))
        if len(prefixes) >= PREFIXES_AT_ONCE or len(waiting) >= OBJECTS_AT_ONCE:
            yield from _answered(context, waiting, prefixes)
            waiting, prefixes = [], []
    yield from _answered(context, waiting, prefixes)


def _pinned(lock_file: LockFile, matrix: Matrix, root: Root) -> Iterator[Candidate]:
    """Yield the objects of a lock file, each checked for a place in the matrix, in the root, and in s5cmd's commands.

    The keys of a series differ only in their dates, so one of them tells whether all will do.
    """
    fit = None
    for number, locked in lock_file.numbered():
        item = matrix.object_of(locked.key)
        if item is None:
            raise corrupt(lock_file.path, number, f"the matrix has no place for the key {locked.key!r}")
        if item.series is not fit:
            try:
                root.file(locked.key)
                list_line(lock_file.bucket, locked.key)
            except ValueError as error:
                raise corrupt(lock_file.path, number, str(error)) from None
            fit = item.series
        yield Candidate(item, pin=locked.stat)


def _by_folder(pinned: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Yield the objects of one folder together, up to ``OBJECTS_AT_ONCE`` of them."""
    for _, series in groupby(pinned, key=lambda one: one.object.key.rpartition("/")[0]):
        some: list[Candidate] = []
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


def _answered(context: Context, waiting: list[Candidate], prefixes: list[str]) -> Iterator[Candidate]:
    """Yield candidates once the archive has answered about those that have no ``remote`` yet."""
    wanted = {one.object.key for one in waiting if one.remote is None}
    listed: dict[str, RemoteStat] = {}
    sidecars: dict[str, str | None] = {}
    if prefixes:
        from crypto_archive.s5cmd.binary import find_binary
        from crypto_archive.s5cmd.listing import list_objects

        access = context.request.access
        # Never from remembered listings: what matters is what the archive has now.
        for entry in list_objects(find_binary(access.s5cmd), access, prefixes, cancelled=context.cancelled):
            if entry.key in wanted:
                listed.setdefault(entry.key, entry.stat)
            elif (key := entry.key.removesuffix(SIDECAR_SUFFIX)) in wanted:
                sidecars[key] = entry.stat.etag or None
    for one in waiting:
        key, pin = one.object.key, one.pin
        if one.remote is not None or pin is None:
            yield one
        elif (now := listed.get(key)) is None:
            yield one._replace(action=Action.REFUSE, why=GONE)
        else:
            has_sidecar, etag = key in sidecars, sidecars.get(key)
            remote = RemoteStat(now.size, now.etag, now.last_modified, has_sidecar, sidecar_etag=etag)
            why = _replaced(pin, remote)
            yield one._replace(remote=remote, action=Action.REFUSE if why else None, why=why or "")


def _replaced(pin: RemoteStat, remote: RemoteStat) -> str | None:
    """Return what the archive has instead of the locked bytes; None where it may still have them.

    A multi-part upload gives the same bytes another ETag, so that only a digest can tell; a new time alone proves
    nothing.
    """
    if remote.size == pin.size:
        both_md5 = is_md5(remote.etag) and is_md5(pin.etag)
        if remote.etag == pin.etag or (pin.sha256 and not both_md5):
            return None
    now, then = (f"{one.size:,} bytes of {one.last_modified:%Y-%m-%d}" for one in (remote, pin))
    if now == then:
        now, then = f"ETag {remote.etag}", pin.etag
    return f"{REPLACED}: {now}, was {then}"


def require_listing(request: Request) -> None:
    """Refuse to lock or compare a plan that knows neither sizes nor ETags.

    Raises:
        UsageError: The plan would come from the calendar.
    """
    if request.discovery is Discovery.CALENDAR:
        raise UsageError(
            "A plan from the calendar cannot be locked or compared: it does not know sizes and ETags",
            hint="Plan from the listing: with --discover listing, or without `discover: calendar` in preset and "
            "environment.",
        )


class LockLines:
    """Takes a plan, and has the lines of its lock file: of every object that the archive has, and of what is awaited.

    To be used as a context manager.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.objects, self.waits = LineSorter(), LineSorter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.objects.__exit__(*exception)
        self.waits.__exit__(*exception)

    def noting(self, planned: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
        """Pass a plan on, and take its lines.

        Raises:
            EnvironmentFailure: An object of the listing does not fit into a line, or the disk is full.
        """
        for item in planned:
            try:
                # What is not published yet, or cannot be had, is not locked.
                if item.remote is not None and item.action not in {Action.WAIT, Action.REFUSE}:
                    self.objects.add(line_of(LockedObject(item.object.key, item.remote)))
                if (wait := self._wait(item)) is not None:
                    self.waits.add(wait.line)
            except ValueError as error:
                raise EnvironmentFailure(
                    f"The archive lists an object that cannot be locked: {error}",
                    hint="Check --endpoint-url: Binance's archive has no such objects.",
                ) from error
            yield item

    def _wait(self, item: PlannedObject) -> Wait | None:
        """Return what later runs of the selection should know of an object that this one or earlier ones wait for."""
        selection, today = self._context.request.selection, self._context.today
        waits = item.action is Action.WAIT
        if not (waits or item.awaited_since) or not moves_on(selection.dates, today):
            return None
        series = item.object.series
        who = wanted_by(selection, series.market, series.data_type)
        return Wait(item.object.key, who, Absence(item.why) if waits else None, today)

    def write(self, path: Path) -> int:
        """Write the lock file; return how many objects it has.

        A plan without objects leaves an existing file alone: it is more likely a mistake than intended.

        Raises:
            FileUnusable: The file cannot be written.
        """
        if not self.objects.count:
            return 0
        return write_lock(path, self._context.request.access.bucket, self.objects.sorted(), self.waits.sorted())


def lock_to_compare(path: Path, request: Request) -> LockFile:
    """Return a lock file to compare a plan with; it is read through once, so that an error comes early.

    Raises:
        UsageError: The file is not a sound lock file, or belongs to another bucket.
    """
    lock_file = open_lock(path)
    if lock_file.bucket != request.access.bucket:
        raise UsageError(
            f"{path} locks objects of the bucket {lock_file.bucket!r}, but this plan is for {request.access.bucket!r}",
            hint="Set the bucket with CRYPTO_ARCHIVE_BUCKET, or choose another lock file.",
        )
    for _ in lock_file:
        pass
    return lock_file
