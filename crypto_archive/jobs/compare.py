"""Compare: hold a plan against a lock file of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.jobs.pinning import lock_to_compare, noting, require_listing, write_plan
from crypto_archive.lockfile.difference import differences
from crypto_archive.lockfile.form import parse_line
from crypto_archive.lockfile.sorting import LineSorter
from crypto_archive.lockfile.writing import prepare_lock
from crypto_archive.report.differences import Differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.jobs.plan import Plan
    from crypto_archive.lockfile.difference import Difference
    from crypto_archive.lockfile.reading import Lock


def compare(plan: Plan, against: Path, *, lock: Path | None = None) -> Differences:
    """Return what sets a plan apart from a lock file; the plan is gone through when the differences are asked for.

    Args:
        plan: The plan, from the listing.
        against: The lock file.
        lock: Lock the plan to this file in the end; it may be the same.

    Raises:
        UsageError: The plan is one from the calendar, or the lock file cannot be used.
        RootUnusable: The other one cannot be written.
        EndpointUnreachable: While it is consumed: the listing failed.
    """
    require_listing(plan.request)
    locked = lock_to_compare(against, plan.request)
    if lock is not None:
        prepare_lock(lock)
    return Differences(_differences(plan, locked, lock), against)


def _differences(plan: Plan, locked: Lock, lock: Path | None) -> Iterator[Difference]:
    with LineSorter() as sorter:
        for _ in noting(plan.objects, sorter):
            pass
        yield from differences(locked, map(parse_line, sorter.sorted()))
        if lock is not None:
            plan.locked = write_plan(sorter, lock, plan.request)
