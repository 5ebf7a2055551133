"""How many files a run may have open: raises the limit where it may, and does with less where it may not."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

from crypto_archive.errors import EnvironmentFailure
from crypto_archive.model import Notice
from crypto_archive.transfer.lane import WORKERS

OWN = 32
"""Descriptors of this process beside its lanes: streams, lock, manifest, journal, spool, listing, proofs (23 were seen,
some lanes included)."""
PER_LANE = 6
"""Descriptors of this process for a lane, while it starts s5cmd."""
S5CMD_OWN = 16
PER_WORKER = 6
"""Descriptors of s5cmd for an object under way: its file, and a connection for each of five parts."""
FEWEST = OWN + PER_LANE


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many work at the same time.

    Attributes:
        lanes: s5cmd processes.
        workers: Objects under way in each of them.
        notice: Says that they are fewer than was wanted; None when they are not.
    """

    lanes: int
    workers: int
    notice: Notice | None = None


def concurrency_for(lanes: int) -> Concurrency:
    """Return how many can work, after raising this process's limit of open files as far as need be and may be.

    Args:
        lanes: How many lanes are wanted.

    Raises:
        EnvironmentFailure: The limit is too low for a single lane.
    """
    limit = _raised_to(_wanted(lanes))
    return Concurrency(lanes, WORKERS) if limit is None else _concurrency_within(limit, lanes)


def concurrency_possible(lanes: int) -> Concurrency:
    """Return what ``concurrency_for`` would return, without raising the limit.

    Args:
        lanes: How many lanes are wanted.

    Raises:
        EnvironmentFailure: The limit is too low for a single lane.
    """
    limit = _reachable(_wanted(lanes))
    return Concurrency(lanes, WORKERS) if limit is None else _concurrency_within(limit, lanes)


def _wanted(lanes: int) -> int:
    return max(OWN + PER_LANE * lanes, S5CMD_OWN + PER_WORKER * WORKERS)


def _concurrency_within(limit: int, lanes: int) -> Concurrency:
    if limit < FEWEST:
        raise EnvironmentFailure(
            f"This process may have only {limit} files open at once; {FEWEST} are the fewest to work with",
            hint="Raise the limit: `ulimit -n 1024` in the shell that starts it, LimitNOFILE= in a unit of systemd.",
        )
    fitting = min(lanes, (limit - OWN) // PER_LANE)
    workers = min(WORKERS, (limit - S5CMD_OWN) // PER_WORKER)
    if (fitting, workers) == (lanes, WORKERS):
        return Concurrency(lanes, WORKERS)
    text = (
        f"Only {limit} files may be open at once, so {fitting} of {lanes} s5cmd processes work side by side, each on "
        f"{workers} objects at most; `ulimit -n 1024` before the start lifts that."
    )
    return Concurrency(fitting, workers, Notice(text))


def _raised_to(wanted: int) -> int | None:
    """Raise the soft limit of open files to what is wanted or may be had; return what it is, None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _reaches(soft, wanted):
        return None
    best = wanted if _reaches(hard, wanted) else hard
    with contextlib.suppress(OSError, ValueError):  # a system may have yet another limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
        soft = best
    return soft


def _reachable(wanted: int) -> int | None:
    """Return what the soft limit of open files could be raised to; None where that is as much as is wanted."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if _reaches(soft, wanted) or _reaches(hard, wanted) else hard


def _reaches(limit: int, wanted: int) -> bool:
    if sys.platform == "win32":
        return True
    import resource

    return limit == resource.RLIM_INFINITY or limit >= wanted
