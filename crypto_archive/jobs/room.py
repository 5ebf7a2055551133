"""Whether what is planned fits on the disk: told as soon as it is known, not when the disk is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.planning.cost import added_bytes
from crypto_archive.report.sizes import format_bytes
from crypto_archive.trust.store import free_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from crypto_archive.model import PlannedObject
    from crypto_archive.trust.store import Root


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
