"""How much may be fetched, and whether it fits on the disk."""

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
    """A plan exceeds its limits, or cannot be checked against them."""


def within_budget(
    planned: Iterable[PlannedObject],
    budget: Budget,
    folder: Path | None = None,
    cancelled: threading.Event | None = None,
) -> Generator[PlannedObject, None, None]:
    """Pass a plan on once all of it is known to keep within the budget; immediately where there is no limit.

    Meanwhile the plan is kept in an unnamed file in ``folder``, by default the system's folder for temporary files, so
    that memory stays small. Once ``cancelled`` is set, counting ends early and what was counted is passed on.

    Raises:
        OverBudget: The plan exceeds the budget, as soon as that is known; or a size that has to be counted is unknown.
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
    """Check that what is to be fetched keeps within the budget.

    Args:
        budget: The limits.
        objects: Objects to fetch.
        size: Their bytes, without sidecars; None where not all of them are known.
        so_far: Whether there may be more to come.

    Raises:
        OverBudget: It is too much, or a size is unknown.
    """
    if budget.max_objects is not None and objects > budget.max_objects:
        raise _over("objects", format_count(objects, "object"), f"{budget.max_objects:,}", so_far)
    if budget.max_bytes is None or not objects:
        return
    if size is None:
        raise _sizes_unknown()
    if size > budget.max_bytes:
        raise _over("bytes", _size(size), _size(budget.max_bytes), so_far)


def _over(what: str, needed: str, allowed: str, so_far: bool) -> OverBudget:
    least = "at least " if so_far else ""
    more = " `crypto-archive plan` with the same selection shows how much it is in all." if so_far else ""
    return OverBudget(
        f"The plan exceeds max_{what}: {least}{needed} to download, {allowed} allowed",
        hint=f"Nothing was downloaded. Select less, for example fewer days, or raise --max-{what}.{more}",
    )


def require_sizes(request: Request) -> None:
    """Check that the sizes that a limit needs will be known, before a plan is made.

    Raises:
        OverBudget: Bytes are limited, and the plan is to come from the calendar.
    """
    if request.budget.max_bytes is not None and request.discovery is Discovery.CALENDAR:
        raise _sizes_unknown()


def without_max_bytes(config: RunConfig) -> RunConfig:
    """Return a configuration that does not limit bytes, for a plan that knows no sizes; a notice says so."""
    request = config.request
    if request.budget.max_bytes is None:
        return config
    notice = Notice("max_bytes is ignored: a plan from the calendar does not know sizes")
    request = replace(request, budget=replace(request.budget, max_bytes=None))
    return replace(config, request=request, notices=(*config.notices, notice))


def _sizes_unknown() -> OverBudget:
    return OverBudget(
        "max_bytes cannot be enforced: the plan does not know the sizes of the objects",
        hint="Plan with --discover listing, which knows them, or limit the number of objects with --max-objects.",
    )


def _size(size: int) -> str:
    """Return a size for people, and in bytes, since two different ones may look alike."""
    return format_bytes(size) if size < 1024 else f"{format_bytes(size)} ({size:,} bytes)"


def _counted(
    planned: Iterable[PlannedObject], budget: Budget, cancelled: threading.Event | None
) -> Iterator[PlannedObject]:
    objects, size = 0, 0
    for item in planned:
        if cancelled is not None and cancelled.is_set():
            return
        if item.action.downloads:
            known = known_size(item)
            objects += 1
            size += known or 0
            check_budget(budget, objects, None if known is None else size, so_far=True)
        yield item


def check_disk_space(planned: Iterable[PlannedObject], root: Root) -> Generator[PlannedObject, None, None]:
    """Pass a plan on as long as what is to be fetched fits on the root's disk.

    Free space is read once, when the first object is asked for, so that what the run itself writes does not count
    twice. Objects of unknown size, as in a plan from the calendar, count as nothing.

    Raises:
        RootUnusable: What is planned so far needs more space than is free.
    """
    free = free_bytes(root)
    needed = 0
    for item in planned:
        if item.action.transfers:
            needed += added_bytes(item)
        if needed > free:
            raise RootUnusable(
                f"Not enough space on the disk of the output directory {root.path}: "
                f"at least {format_bytes(needed)} needed, {format_bytes(free)} free",
                hint="Free some space, choose another disk with --output, or select less, for example fewer days. "
                "What has been downloaded stays.",
            )
        yield item
