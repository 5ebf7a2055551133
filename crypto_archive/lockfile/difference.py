"""What sets a plan apart from a lock: two sorted streams, merged in one pass."""

from __future__ import annotations

import heapq
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.lockfile.form import LockedObject
    from crypto_archive.model import Pin


class Kind(StrEnum):
    """How an object differs."""

    NEW = "new"
    GONE = "gone"
    REPLACED = "replaced"


class Difference(NamedTuple):
    """An object that a lock and a plan do not agree on.

    Attributes:
        kind: How it differs.
        key: Its key.
        locked: What the lock says of it, None where it is new.
        planned: What the plan says of it, None where it is gone.
    """

    kind: Kind
    key: str
    locked: Pin | None
    planned: Pin | None

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """Name, former and present value of what was replaced; empty for what is new or gone."""
        if self.locked is None or self.planned is None:
            return ()
        return tuple(_changes(self.locked, self.planned))


def differences(locked: Iterable[LockedObject], planned: Iterable[LockedObject]) -> Iterator[Difference]:
    """Yield what is new, gone or replaced, in the order of the keys.

    A digest counts only where both know it, and a sidecar that came or went replaces nothing.

    Args:
        locked: The objects of the lock, sorted by key, each once.
        planned: Those of the plan, likewise.
    """
    sides = heapq.merge(
        ((one.key, False, one.pin) for one in locked), ((one.key, True, one.pin) for one in planned),
        key=lambda side: side[:2],
    )  # fmt: skip
    for key, found in groupby(sides, key=lambda side: side[0]):
        pins = {is_planned: pin for _, is_planned, pin in found}
        before, after = pins.get(False), pins.get(True)
        if before is None or after is None:
            yield Difference(Kind.NEW if before is None else Kind.GONE, key, before, after)
        elif any(_changes(before, after)):
            yield Difference(Kind.REPLACED, key, before, after)


def _changes(before: Pin, after: Pin) -> Iterator[tuple[str, str, str]]:
    if before.size != after.size:
        yield "size", str(before.size), str(after.size)
    if before.etag != after.etag:
        yield "etag", before.etag, after.etag
    if before.last_modified != after.last_modified:
        yield "last_modified", before.last_modified.isoformat(), after.last_modified.isoformat()
    if before.sha256 and after.sha256 and before.sha256 != after.sha256:
        yield "sha256", before.sha256, after.sha256
