"""Statistics of progress: rates, time left, and the tally of a run."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.events import (
    BatchFinished,
    BatchRetried,
    BatchStarted,
    BytesArrived,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
)
from crypto_archive.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_archive.events import Checked, Event
    from crypto_archive.model import PlannedObject, Verdict


class RateEstimator:
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
        self._byte_pace, self._object_pace = RateEstimator(), RateEstimator()

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


@dataclass(slots=True)
class LaneState:
    """What a lane is doing.

    Attributes:
        batch: The batch's number.
        label: What the batch holds.
        attempt: The attempt at it, from 1.
        objects: How many objects the attempt is to fetch.
        settled: How many of them are settled.
        landed: Bytes of the batch's settled objects.
        staged: Bytes of the batch in staging, as last seen.
        arrived: Both together, as far as it was ever seen.
        busy: Whether the lane works on the batch; False once it is done with it.
        retry_at: When the next attempt starts, by the clock; None while one is under way.
        reason: Why there is a next attempt.
    """

    batch: int = 0
    label: str = ""
    attempt: int = 1
    objects: int = 0
    settled: int = 0
    landed: int = 0
    staged: int = 0
    arrived: int = 0
    busy: bool = False
    retry_at: float | None = None
    reason: str = ""

    def advance(self) -> None:
        """Let ``arrived`` catch up with what has landed and what is staged."""
        self.arrived = max(self.arrived, self.landed + self.staged)


class ProgressStats:
    """The figures of a run under way.

    Attributes:
        planned: Objects that the plan has come to.
        settled: Objects that have come to their end.
        outcomes: How many ended how.
        planning: Whether the plan is still being made.
        lanes: What each lane is doing, by its number.
        bytes_settled: Bytes that came over the network for settled objects.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin at nothing.

        Args:
            clock: Monotonic seconds.
        """
        self.planned = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.planning = True
        self.lanes: dict[int, LaneState] = {}
        self._clock = clock
        self._began = clock()
        self._to_fetch = 0
        self._sizes_unknown = False
        self._expected = 0  # bytes of the objects that are still to come, as the listing says
        self.bytes_settled = 0
        self._shown_bytes = 0
        self._recount: set[int] = set()
        self._byte_pace, self._object_pace = RateEstimator(), RateEstimator()

    def add(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, BytesArrived):
            self._measure(event)
        elif isinstance(event, ObjectFinished):
            self._finish(event)
        elif isinstance(event, ObjectPlanned):
            self._plan(event.planned)
        elif isinstance(event, BatchStarted):
            self._start(event)
        elif isinstance(event, BatchRetried):
            self._retry(event)
        elif isinstance(event, BatchFinished):
            self._lane(event.lane).busy, self._lane(event.lane).staged = False, 0
        elif isinstance(event, PlanFinished):
            self.planning = False
        self._advance()

    @property
    def settled(self) -> int:
        """Objects that have come to their end."""
        return self.outcomes.total()

    @property
    def finished(self) -> bool:
        """Whether the whole plan is settled."""
        return not self.planning and self.settled >= self.planned

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @property
    def bytes_done(self) -> int:
        """Bytes that have arrived over the network, half files included."""
        if self.finished:
            return self.bytes_settled
        total = self.bytes_total
        return self._shown_bytes if total is None else min(self._shown_bytes, total)

    @property
    def bytes_total(self) -> int | None:
        """Bytes that will have arrived at the end of the plan so far; None where a size is unknown."""
        if self._sizes_unknown or not self._to_fetch:
            return None
        return self.bytes_settled if self.finished else self.bytes_settled + self._expected

    @property
    def fraction(self) -> float | None:
        """How much of the plan is done, by bytes where all sizes are known, else by objects; None while planning."""
        if self.planning:
            return None
        if self.finished:
            return 1.0
        total = self.bytes_total
        share = self.bytes_done / total if total else self.settled / self.planned
        return min(share, 0.999)

    @property
    def bytes_per_second(self) -> float:
        """The recent rate."""
        return self._byte_pace.per_second(self._clock(), self.bytes_done)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at the recent rate; None while nobody can say."""
        if self.planning or self.finished:
            return None
        total = self.bytes_total
        if total:
            rate, rest = self.bytes_per_second, total - self.bytes_done
        else:
            rate = self._object_pace.per_second(self._clock(), self._objects_fetched)
            rest = self.planned - self.settled
        return rest / rate if rate > 0 else None

    @property
    def _objects_fetched(self) -> int:
        return self.settled - self.outcomes[Outcome.PRESENT]

    def _lane(self, number: int) -> LaneState:
        return self.lanes.setdefault(number, LaneState())

    def _plan(self, planned: PlannedObject) -> None:
        self.planned += 1
        if not planned.action.transfers:
            return
        self._to_fetch += 1
        if planned.remote is None:
            self._sizes_unknown = True
        else:
            self._expected += planned.remote.size

    def _start(self, event: BatchStarted) -> None:
        before = self._lane(event.lane)
        lane = LaneState(event.batch, event.label, event.attempt, event.objects, busy=True)
        if before.busy and before.batch == event.batch:
            lane.landed, lane.staged, lane.arrived = before.landed, before.staged, before.arrived
        self.lanes[event.lane] = lane

    def _retry(self, event: BatchRetried) -> None:
        lane = self._lane(event.lane)
        lane.retry_at, lane.reason = self._clock() + event.wait_seconds, event.reason
        self._recount.add(event.lane)

    def _measure(self, event: BytesArrived) -> None:
        lane = self.lanes.get(event.lane)
        if lane is None or not lane.busy:
            return
        lane.staged = event.bytes
        if event.lane in self._recount:
            self._recount.discard(event.lane)
            self._shown_bytes, lane.arrived = self._bytes_now, 0
        lane.advance()

    def _finish(self, event: ObjectFinished) -> None:
        self.outcomes[event.outcome] += 1
        self.bytes_settled += event.bytes_fetched
        if event.outcome is not Outcome.PRESENT and event.remote is not None:
            self._expected = max(0, self._expected - event.remote.size)
        if event.lane is not None:
            lane = self._lane(event.lane)
            lane.settled += 1
            lane.landed += event.bytes_fetched
        self._take_from_staging(event.bytes_fetched, event.lane)

    def _take_from_staging(self, size: int, number: int | None) -> None:
        """Take settled bytes out of staging: from the lane that fetched them, or else from the fullest lanes."""
        if size == 0:
            return
        lanes = sorted(self.lanes.values(), key=lambda lane: -lane.staged) if number is None else [self._lane(number)]
        for lane in lanes:
            taken = min(size, lane.staged)
            lane.staged -= taken
            size -= taken
            lane.advance()

    @property
    def _bytes_now(self) -> int:
        return self.bytes_settled + sum(lane.staged for lane in self.lanes.values())

    def _advance(self) -> None:
        self._shown_bytes = max(self._shown_bytes, self._bytes_now)
        now = self._clock()
        self._byte_pace.note(now, self.bytes_done)
        self._object_pace.note(now, self._objects_fetched)
