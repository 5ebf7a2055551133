"""The most that may be fetched, and whether it fits on the disk."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import RootUnusable, UsageError
from crypto_archive.files import DiskQueue
from crypto_archive.model import Notice, PlannedObject
from crypto_archive.plan.totals import added_bytes, known_size
from crypto_archive.root.store import free_bytes
from crypto_archive.text import format_bytes, format_count

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator

    from crypto_archive.config.run_config import Budget, Request, RunConfig
    from crypto_archive.root.store import Root

ITEMS_PER_CHUNK = 1000
"""How many planned objects are pickled together; what they share is written once."""


class OverBudget(UsageError):
    """A plan needs more than it may, or nobody can say whether it does."""


def within_budget(
    planned: Iterable[PlannedObject],
    budget: Budget,
    folder: Path | None = None,
    cancelled: threading.Event | None = None,
) -> Generator[PlannedObject, None, None]:
    """Pass a plan on once all of it is known to keep within the budget; at once where there is no limit.

    Meanwhile the plan lies in a file without a name, so that memory stays small.

    Args:
        planned: The plan.
        budget: The limits.
        folder: Where that file lies; None for the folder that the system has for such files.
        cancelled: Ends the counting early, once it is set; what was counted is passed on.

    Raises:
        OverBudget: The plan needs more, as soon as that is known; or a size is unknown that would have to be counted.
        RootUnusable: The file cannot be written.
    """
    if not budget.limits:
        yield from planned
        return
    with DiskQueue[list[PlannedObject]](folder or Path(tempfile.gettempdir())) as queue:
        counted = _counted(planned, budget, cancelled)
        while chunk := list(islice(counted, ITEMS_PER_CHUNK)):
            queue.put(chunk)
        queue.end()
        for chunk in queue:
            yield from chunk


def check_budget(budget: Budget, objects: int, size: int | None, *, so_far: bool = False) -> None:
    """See that what is to be fetched keeps within the budget.

    Args:
        budget: The limits.
        objects: Objects to fetch.
        size: Their bytes, without sidecars; None where not all of them are known.
        so_far: Whether there may be more to come.

    Raises:
        OverBudget: It is too much, or nobody can say.
    """
    if budget.max_objects is not None and objects > budget.max_objects:
        raise _over("objects", format_count(objects, "object"), f"{budget.max_objects:,}", so_far)
    if budget.max_bytes is None or not objects:
        return
    if size is None:
        raise _sizes_unknown()
    if size > budget.max_bytes:
        raise _over("bytes", _exact(size), _exact(budget.max_bytes), so_far)


def require_sizes(request: Request) -> None:
    """See that what is limited can be known, before a plan is made.

    Raises:
        OverBudget: Bytes are limited, and the plan is to come from the calendar.
    """
    if request.budget.max_bytes is not None and request.discovery is Discovery.CALENDAR:
        raise _sizes_unknown()


def without_max_bytes(configured: RunConfig) -> RunConfig:
    """Return a configuration that does not limit bytes, for a plan that knows no sizes; a notice says so."""
    request = configured.request
    if request.budget.max_bytes is None:
        return configured
    notice = Notice("max_bytes is not looked at: a plan from the calendar knows no sizes")
    return replace(
        configured,
        request=replace(request, budget=replace(request.budget, max_bytes=None)),
        notices=(*configured.notices, notice),
    )


def _sizes_unknown() -> OverBudget:
    return OverBudget(
        "max_bytes cannot be kept to: the plan does not know the sizes of the objects",
        hint="Plan with --discover listing, which knows them, or limit the number of objects with --max-objects.",
    )


def _over(what: str, needed: str, allowed: str, so_far: bool) -> OverBudget:
    least = "at least " if so_far else ""
    look = " `crypto-archive plan` with the same selection says how much it is." if so_far else ""
    return OverBudget(
        f"The plan is over its limit: {least}{needed} would be fetched, max_{what} allows {allowed}",
        hint=f"Nothing was fetched. Ask for less, by fewer days for example, or raise --max-{what}.{look}",
    )


def _exact(size: int) -> str:
    """Return a size for people, and in bytes, since two that differ may look alike."""
    return format_bytes(size) if size < 1024 else f"{format_bytes(size)} ({size:,} bytes)"


def _counted(
    planned: Iterable[PlannedObject], budget: Budget, cancelled: threading.Event | None
) -> Iterator[PlannedObject]:
    objects, size = 0, 0
    for item in planned:
        if cancelled is not None and cancelled.is_set():
            return
        if item.action.transfers:
            known = known_size(item)
            objects += 1
            size += known or 0
            check_budget(budget, objects, None if known is None else size, so_far=True)
        yield item


def check_disk_space(planned: Iterable[PlannedObject], root: Root) -> Generator[PlannedObject, None, None]:
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
