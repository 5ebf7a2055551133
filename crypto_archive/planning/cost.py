"""What fetching one planned object costs in bytes: those that are transferred, and those that the disk needs more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_archive.model import PlannedObject

SIDECAR_BYTES = 100
"""About what a sidecar has; the listing's plan does not carry its size."""


def known_size(item: PlannedObject) -> int | None:
    """Return the length of an object in bytes as the listing gives it, or the lock; None where nobody knows it."""
    if item.remote is not None:
        return item.remote.size
    return None if item.pin is None else item.pin.size


def added_bytes(item: PlannedObject) -> int:
    """Return how many bytes more there are once an object is fetched; less than 0 if it shrinks, 0 if nobody knows."""
    size = known_size(item)
    if not item.action.transfers or size is None:
        return 0
    sidecar = SIDECAR_BYTES if item.with_sidecar and not item.stored_size else 0
    return size - item.stored_size + sidecar
