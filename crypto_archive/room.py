"""Whether what is planned fits on the disk: told as soon as it is known, not when the disk is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.report.sizes import format_bytes
from crypto_archive.trust.store import free_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from crypto_archive.model import PlannedObject
    from crypto_archive.trust.store import Root

SIDECAR_BYTES = 100
"""About what a sidecar has; the listing's plan does not carry its size."""


def while_it_fits(planned: Iterable[PlannedObject], root: Root) -> Generator[PlannedObject, None, None]:
    """Pass a plan on as long as what is to be fetched fits on the root's disk.

    The disk is looked at once, when the first object is asked for, so that what the run itself writes does not count
    twice. Objects of unknown size, as a plan from the calendar has them, count as nothing.

    Args:
        planned: The plan.
        root: The archive root.

    Raises:
        RootUnusable: What is planned so far needs more than is free.
    """
    free = free_bytes(root)
    needed = 0
    for item in planned:
        needed += added_bytes(item)
        if needed > free:
            raise RootUnusable(
                f"There is not enough room on the disk of the output directory {root.path}: "
                f"at least {format_bytes(needed)} are needed, {format_bytes(free)} are free",
                hint="Free some space, choose another disk with --output, or ask for less, by fewer days for example. "
                "What is there already stays.",
            )
        yield item


def added_bytes(item: PlannedObject) -> int:
    """Return how many bytes more there are once an object is fetched; less than 0 if it shrinks, 0 if nobody knows."""
    if not item.action.transfers or item.remote is None:
        return 0
    sidecar = SIDECAR_BYTES if item.with_sidecar and not item.stored_size else 0
    return item.remote.size - item.stored_size + sidecar
