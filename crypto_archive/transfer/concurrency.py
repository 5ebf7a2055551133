"""How many s5cmd processes and copies can run at the same time within the limit of open files."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from math import ceil

from crypto_archive.errors import EnvironmentFailure
from crypto_archive.model import Notice

LANES = 32
"""s5cmd processes, where nothing else was asked for."""
COPIES = 160
"""Objects that all of them copy at the same time, which keeps a long line busy."""
FEWEST_WORKERS, MOST_WORKERS = 5, 16
"""Objects that one of them copies. It keeps only two idle connections per host, so that more workers would mostly open
new ones; with fewer, more processes are needed, which cost more (measured with v2.3.0)."""
FEWEST_LANES_PER_PROCESSOR = 4
LANES_PER_PROCESSOR_AND_SECOND = 64
"""Lanes that keep a processor busy, for each second that passes until a LIST is answered: more take more of its time
for each object (measured with v2.3.0)."""
NEAR_SECONDS = 0.08
"""A server that answers an s5cmd so soon, the start of that included, is less than about 10 ms away."""
NEAR_WORKERS = 2
"""Objects that one process copies from such a server: two never open a new connection."""
OWN = 32
"""Descriptors of this process apart from its lanes: streams, lock, manifest, journal, queue, listing, proofs (23 were
seen, some lanes included)."""
PER_LANE = 6
"""Descriptors of this process for a lane, while it starts s5cmd."""
S5CMD_OWN = 16
PER_WORKER = 6
"""Descriptors of s5cmd for an object under way: its file, and a connection for each of five parts."""
FEWEST = OWN + PER_LANE


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many s5cmd processes run at the same time, and how many objects each of them copies.

    Attributes:
        lanes: s5cmd processes.
        workers: Objects under way in each of them.
        notice: Why they are fewer than requested; None when they are not.
    """

    lanes: int
    workers: int
    notice: Notice | None = None

    def for_server(self, seconds: float) -> Concurrency:
        """Return what keeps this machine busy with a server that answers an s5cmd within so many seconds."""
        processors = os.cpu_count() or 1
        busy = processors * max(FEWEST_LANES_PER_PROCESSOR, ceil(LANES_PER_PROCESSOR_AND_SECOND * seconds))
        workers = min(self.workers, NEAR_WORKERS) if seconds < NEAR_SECONDS else self.workers
        return replace(self, lanes=min(self.lanes, busy), workers=workers)


def concurrency_for(jobs: int | None, *, raise_limit: bool = True) -> Concurrency:
    """Return what can run, after raising this process's limit of open files as far as necessary and allowed.

    With ``raise_limit=False`` the limit stays as it is, and the answer is what raising it would allow. Raises
    EnvironmentFailure where the limit is too low for a single lane.
    """
    lanes = LANES if jobs is None else jobs
    wanted = max(FEWEST_WORKERS, min(MOST_WORKERS, COPIES // lanes))
    limit = _open_files(max(OWN + PER_LANE * lanes, S5CMD_OWN + PER_WORKER * wanted), raise_limit=raise_limit)
    if limit < FEWEST:
        raise EnvironmentFailure(
            f"This process may have only {limit} open files, but it needs at least {FEWEST}",
            hint="Raise the limit: `ulimit -n 1024` in the shell that starts it, LimitNOFILE= in a systemd unit.",
        )
    fitting = min(lanes, (limit - OWN) // PER_LANE)
    workers = min(wanted, (limit - S5CMD_OWN) // PER_WORKER)
    if (fitting, workers) == (lanes, wanted):
        return Concurrency(lanes, workers)
    text = (
        f"The limit of {limit} open files allows {fitting} of {lanes} s5cmd processes with {workers} objects each; "
        "run `ulimit -n 1024` first to lift that limit."
    )
    return Concurrency(fitting, workers, Notice(text))


def _open_files(wanted: int, *, raise_limit: bool) -> int:
    """Return how many of the wanted files this process may have open, its soft limit raised where that is allowed."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if raise_limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        except (OSError, ValueError):  # a system may have yet another limit
            return soft
    return reachable
