"""Time as a supervisor sees it: hours in which the machine was suspended do not count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS_COUNTED = 3


class AwakeClock:
    """Counts the seconds between looks, of a gap between two looks at most a few ticks.

    Nobody could have looked while the machine, or this process alone, was suspended, and nothing could have arrived. On
    some systems the monotonic clock goes on meanwhile; what hangs on it would take the pause for a stall.
    """

    def __init__(self, tick_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start at 0.

        Args:
            tick_seconds: How far looks are apart as a rule.
            clock: Monotonic seconds.
        """
        self._longest_gap = TICKS_COUNTED * tick_seconds
        self._clock = clock
        self._looked_at = clock()
        self._seconds = 0.0

    def look(self) -> float:
        """Return the seconds counted so far, this gap included."""
        now = self._clock()
        self._seconds += min(max(now - self._looked_at, 0.0), self._longest_gap)
        self._looked_at = now
        return self._seconds
