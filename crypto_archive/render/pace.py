"""How fast something goes, over a sliding window, and the figures of a verification under way. No clock of its own."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_archive.events import Checked
    from crypto_archive.model import Verdict


class Pace:
    """The recent speed of a counter, over a sliding window."""

    def __init__(self, window_seconds: float = 15.0) -> None:
        self._window = window_seconds
        self._step = window_seconds / 30
        self._samples: deque[tuple[float, float]] = deque()

    def note(self, now: float, value: float) -> None:
        """Remember the counter's value at a moment."""
        if not self._samples or now - self._samples[-1][0] >= self._step:
            self._samples.append((now, value))
        while len(self._samples) > 2 and now - self._samples[1][0] >= self._window:
            self._samples.popleft()

    def per_second(self, now: float, value: float) -> float:
        """Return the speed, 0 when nothing can be said yet; never negative."""
        if not self._samples:
            return 0.0
        then, before = self._samples[0]
        return max(0.0, (value - before) / (now - then)) if now > then else 0.0


class CheckTally:
    """The figures of a verification under way.

    Attributes:
        objects: How many objects there are to check, None where nobody knows.
        size: Their bytes, None likewise.
        bytes_done: Bytes that are checked.
        verdicts: How many objects got which verdict.
    """

    def __init__(self, clock: Callable[[], float], *, objects: int | None = None, size: int | None = None) -> None:
        """Begin at nothing.

        Args:
            clock: Monotonic seconds.
            objects: How many objects there are to check, None where nobody knows.
            size: Their bytes, None likewise.
        """
        self.objects = objects
        self.size = size
        self.bytes_done = 0
        self.verdicts: Counter[Verdict] = Counter()
        self._clock = clock
        self._began = clock()
        self._byte_pace, self._object_pace = Pace(), Pace()

    def add(self, checked: Checked) -> None:
        """Take in one check."""
        self.verdicts[checked.verdict] += 1
        self.bytes_done += checked.size
        now = self._clock()
        self._byte_pace.note(now, self.bytes_done)
        self._object_pace.note(now, self.checked)

    @property
    def checked(self) -> int:
        """How many objects are checked."""
        return self.verdicts.total()

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @property
    def fraction(self) -> float | None:
        """How much is checked, by bytes where their total is known, else by objects; None where nobody knows."""
        if self.objects is not None and self.checked >= self.objects:
            return 1.0
        if self.size:
            return min(self.bytes_done / self.size, 0.999)
        return None if self.objects is None else self.checked / self.objects

    @property
    def bytes_per_second(self) -> float:
        """The recent rate."""
        return self._byte_pace.per_second(self._clock(), self.bytes_done)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at the recent rate; None while nobody can say."""
        if self.size:
            rate, rest = self.bytes_per_second, max(0, self.size - self.bytes_done)
        elif self.objects is not None:
            rate = self._object_pace.per_second(self._clock(), self.checked)
            rest = max(0, self.objects - self.checked)
        else:
            return None
        return rest / rate if rate > 0 else None
