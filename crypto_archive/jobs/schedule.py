"""Schedule: when to collect again, for a root that one process keeps current."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.events import Cancellation
from crypto_archive.root.lock import hold_schedule
from crypto_archive.root.store import open_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TURN_SECONDS = 0.2
"""How often a wait for the next round checks the clock and the cancellation."""


def schedule(
    root: Path,
    every: float,
    *,
    cancellation: Cancellation | None = None,
    on_wait: Callable[[datetime], object] = lambda _: None,
) -> Iterator[int]:
    """Yield the number of a round immediately, and of each further one when it is due, until that is cancelled.

    Rounds are due at fixed intervals from the first one, however long each takes; those that are missed, because one
    took long or the machine slept, are skipped. Meanwhile no other process makes rounds of the same root; its lock is
    free between two rounds, so that other runs may take their turn.

    Args:
        root: The archive root; it is created if necessary.
        every: Seconds from one round to the next.
        cancellation: Ends the rounds, and the wait for one.
        on_wait: Takes the time of the next round, UTC, before the wait for it.

    Raises:
        RootLocked: Another process makes rounds of this root.
        RootUnusable: The root cannot be written to.

    Example:
        >>> from pathlib import Path
        >>> from crypto_archive import Cancellation, collect, load_preset, schedule
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15", output_directory="archive")
        >>> token = Cancellation()
        >>> for number in schedule(Path("archive"), 3600.0, cancellation=token):
        ...     report = collect(config, wait=True)
        ...     token.request()  # one round is enough here
        >>> number, report.status
        (1, 'success')
    """
    cancellation = cancellation or Cancellation()
    with hold_schedule(open_root(root), f"collect every {every:g} seconds"):
        first, number = time.time(), 1
        while not cancellation.requested.is_set():
            yield number
            number += 1
            due = next_due(first, every, time.time())
            if not cancellation.requested.is_set():
                on_wait(datetime.fromtimestamp(due, UTC))
            _wait_until(due, cancellation)


def next_due(first: float, every: float, now: float) -> float:
    """Return when the next round is due, a whole number of intervals after the first; all in seconds since 1970.

    The clock may have been set back.
    """
    return first + every * ((now - first) // every + 1)


def _wait_until(due: float, cancellation: Cancellation) -> None:
    # By the wall clock: a machine that slept has to be on time when it wakes.
    while not cancellation.requested.is_set() and (left := due - time.time()) > 0:
        time.sleep(min(left, TURN_SECONDS))
