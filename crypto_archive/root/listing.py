"""The bucket's listing as plans read it: from the cache, or from s5cmd, each prefix listed once."""

from __future__ import annotations

import sqlite3
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Self

from crypto_archive.catalog.keys import KEYS_A_REQUEST
from crypto_archive.errors import EnvironmentFailure
from crypto_archive.model import Notice
from crypto_archive.root.listing_cache import FOLDERS, ListingStore, is_damaged, joined, remove
from crypto_archive.s5cmd import listing
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.output import Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from crypto_archive.config.run_config import Access, Request
    from crypto_archive.root.listing_cache import CachedListing, Entry, Page, Recording
    from crypto_archive.root.store import Root
    from crypto_archive.s5cmd.binary import Binary

KEYS_A_REPORT = 500
"""After how many keys of a listing it is reported how many there are: half a request."""
_NO_STAT = (0, "", datetime.fromtimestamp(0, UTC))


class BucketListing:
    """Lists a bucket, and caches the listings for runs that need them within the hour.

    The cache is a file in the archive root. If that cannot be written, a temporary file replaces it, so that the same
    run still lists nothing twice. To be entered and used in one thread.

    Args:
        binary: The s5cmd to use.
        access: How to reach the bucket.
        path: The cache; None to cache nothing beyond this run.
        max_age_seconds: How old a cached listing may be.

    Attributes:
        requests: How many LIST requests were made, estimated from the number of keys.
        reused: How many prefixes were answered from the cache.
        cancelled: Ends the listing early, once it is set.
        on_keys: Takes how many more keys the server has listed.
        on_answer: Takes after how many seconds it has begun to answer, the start of s5cmd included.
    """

    def __init__(self, binary: Binary, access: Access, path: Path | None, max_age_seconds: float) -> None:
        self._binary = binary
        self._access = access
        self._path = path
        self._max_age = max_age_seconds
        self.cancelled = threading.Event()
        self.on_keys: Callable[[int], object] = lambda _: None
        self.on_answer: Callable[[float], object] = lambda _: None
        self._ready: dict[str, CachedListing] = {}
        self._oldest = float("inf")
        self._began = self._started = 0.0
        self._heard = False
        self.requests = 0
        self.reused = 0

    def __enter__(self) -> Self:
        self._began, self._started = datetime.now(UTC).timestamp(), time.monotonic()
        self._store = self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_mute:
            self.invalidate()
        self._store.close()

    @property
    def is_cut_short(self) -> bool:
        """Whether the listing was cancelled, so that what is missing from it may exist."""
        return self.cancelled.is_set()

    @property
    def _is_mute(self) -> bool:
        """Whether the server has only given empty answers so far; the archive is not empty."""
        return bool(self.requests) and not self._heard

    def prepare(self, prefixes: Sequence[str]) -> None:
        """List all these prefixes side by side, so that they can be read immediately; replaces those prepared before.

        Raises ``EndpointUnreachable`` if the listing fails, ``EnvironmentFailure`` if there is no room to store it.
        """
        self._ready = {}
        try:
            self._prepare(prefixes)
        except sqlite3.Error as unusable:
            self._do_without(unusable)
            try:
                self._prepare(prefixes)
            except sqlite3.Error as error:
                raise EnvironmentFailure(
                    f"Cannot store the archive's listing in a temporary file: {error}",
                    hint="Free some space in the folder for temporary files, or set TMPDIR to another folder.",
                ) from error

    def objects(self, prefix: str) -> Iterator[Entry]:
        """Yield every object whose key starts with a prefix, sorted by key; if it was not prepared, as it is listed.

        Sidecars are not objects of their own: each object comes with what is listed of its sidecar.
        """
        found = self._ready.get(prefix) or self._find(prefix)
        last = ""
        if found is not None:
            try:
                for entries in self._store.pages(found, prefix):
                    yield from entries
                    last = entries[-1].key if entries else last
            except sqlite3.Error:
                self._evict(found)
            else:
                return
        for page in self._streamed(prefix):
            yield from (entry for entry in page.entries() if entry.key > last)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly under a prefix that ends in ``/``."""
        # While the server has given only empty answers, a cached one does not prove that it still is the archive.
        found = None if self._is_mute else self._find(FOLDERS + prefix, exact=True)
        if found is not None:
            try:
                pages = self._store.pages(found, found.prefix)
                return tuple(entry.key.removeprefix(found.prefix) for page in pages for entry in page)
            except sqlite3.Error:
                self._evict(found)
        names = listing.list_folders(self._binary, self._access, prefix, cancelled=self.cancelled)
        self._count(len(names))
        self._heard = self._heard or bool(names)
        if names and not self.is_cut_short:  # the archive never answers with nothing
            with suppress(sqlite3.Error):
                recording = self._store.begin(FOLDERS + prefix, self._now())
                for name in names:
                    recording.add(Listed(FOLDERS + prefix + name, *_NO_STAT))
                self._store.finish([recording])
        return names

    def invalidate(self) -> None:
        """Evict all that this run has listed, since it was not the archive that answered."""
        with suppress(sqlite3.Error):
            self._store.evict_since(self._began)

    def remark(self) -> Notice | None:
        """Return a notice of how much of the listing came from the cache; None if nothing did."""
        if not self.reused:
            return None
        what = f"{self.reused:,} listings are cached, the oldest" if self.reused > 1 else "a listing is cached,"
        requests = "1 LIST request was" if self.requests == 1 else f"{self.requests:,} LIST requests were"
        made = f", {requests} made" if self.requests else ""
        return Notice(f"{what} from {_ago(self._began - self._oldest)}{made}; --refresh lists again")

    def _prepare(self, prefixes: Sequence[str]) -> None:
        missing = [prefix for prefix in dict.fromkeys(prefixes) if not self._is_cached(prefix)]
        wanted = _without_covered(missing)
        if wanted:
            self._list(wanted)
            if not self.is_cut_short:
                self._ready |= {
                    prefix: found for prefix in missing if (found := self._store.find(prefix, self._began, self._now()))
                }

    def _is_cached(self, prefix: str) -> bool:
        found = self._find(prefix)
        if found is not None:
            self._ready[prefix] = found
        return found is not None

    def _find(self, prefix: str, *, exact: bool = False) -> CachedListing | None:
        try:
            found = self._store.find(prefix, self._began - self._max_age, self._now(), exact=exact)
        except sqlite3.Error:
            return None
        if found is not None and found.asked_at < self._began:
            self.reused += 1
            self._oldest = min(self._oldest, found.asked_at)
        return found

    def _list(self, prefixes: Sequence[str]) -> None:
        """List several prefixes side by side; ``prefixes`` is sorted, and none of them begins with another."""
        recordings = [self._store.begin(prefix, self._now()) for prefix in prefixes]
        whole = False
        try:
            at = 0
            for one in self._listed(prefixes):
                if not one.key.startswith(prefixes[at]):
                    at = max(0, bisect_right(prefixes, one.key) - 1)
                    if not one.key.startswith(prefixes[at]):  # it was not asked for
                        continue
                recordings[at].add(one)
            whole = not self.is_cut_short
        finally:
            for recording in recordings:
                if whole or recording.count:
                    self._count(recording.count)
            self._close(recordings, whole=whole)

    def _streamed(self, prefix: str) -> Iterator[Page]:
        """List one prefix and yield its objects as they come; it is cached if the listing completes."""
        recording: Recording | None = None
        with suppress(sqlite3.Error):
            recording = self._store.begin(prefix, self._now())
        count, whole = 0, False
        try:
            for page in joined(self._listed([prefix])):
                count += page.listed
                if recording is not None:
                    try:
                        self._store.add_page(recording.listing, page)
                    except sqlite3.Error:
                        recording = None
                yield page
            whole = not self.is_cut_short
        finally:
            self._count(count)
            if recording is not None:
                with suppress(sqlite3.Error):
                    self._close([recording], whole=whole)

    def _listed(self, prefixes: Sequence[str]) -> Iterator[Listed]:
        """List prefixes, and report how much has been listed."""
        began = time.monotonic()
        found = listing.list_objects(self._binary, self._access, prefixes, cancelled=self.cancelled)
        for number, one in enumerate(found, 1):
            if number == 1:
                self.on_answer(time.monotonic() - began)
            if number % KEYS_A_REPORT == 0:
                self.on_keys(KEYS_A_REPORT)
            self._heard = True
            yield one

    def _close(self, recordings: Sequence[Recording], *, whole: bool) -> None:
        if whole:
            self._store.finish(recordings)
        else:
            with suppress(sqlite3.Error):
                self._store.evict([recording.listing for recording in recordings])

    def _evict(self, found: CachedListing) -> None:
        """Evict a listing that cannot be read to its end: it is damaged, or another process evicted it meanwhile."""
        self._ready = {prefix: one for prefix, one in self._ready.items() if one != found}
        try:
            self._store.evict([found])
        except sqlite3.Error as unusable:
            self._do_without(unusable)

    def _count(self, keys: int) -> None:
        self.requests += max(1, ceil(keys / KEYS_A_REQUEST))

    def _opened(self) -> ListingStore:
        place = f"{self._access.endpoint_url}/{self._access.bucket}"
        if self._path is not None:
            with suppress(sqlite3.Error, OSError):
                return ListingStore(self._path, place)
        return ListingStore(None, place)

    def _do_without(self, unusable: sqlite3.Error) -> None:
        """Continue with a temporary file, if the one in the root cannot be used: its disk is full, or it stays locked.

        A damaged one is removed, so that the next run starts a new one.
        """
        self._store.close()
        if self._path is not None and is_damaged(unusable):
            with suppress(OSError):
                remove(self._path)
        self._ready = {}
        self._path = None
        self._store = self._opened()

    def _now(self) -> float:
        """Return the time in seconds since 1970, by a clock that is not set while the listing is open."""
        return self._began + time.monotonic() - self._started


def open_listing(request: Request, root: Root) -> BucketListing:
    """Return the listing that a request reads, to be entered.

    It is cached in the archive root. Where there is none, as before the first collect, nothing is cached beyond this
    run: a command that only reads creates no folder.
    """
    path = root.listings_path if root.path.is_dir() else None
    return BucketListing(find_binary(request.access.s5cmd), request.access, path, request.listing_age_seconds)


def _without_covered(prefixes: Sequence[str]) -> list[str]:
    """Return prefixes sorted, without those that another one covers."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


def _ago(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a moment ago"
    return f"{minutes} min ago" if minutes < 120 else f"{round(minutes / 60)} h ago"
