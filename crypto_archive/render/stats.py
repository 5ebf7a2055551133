"""What progress reports, however it is shown: the figures of the work under way, and the events worth a line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from crypto_archive.events import (
    BatchFinished,
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Checked,
    DaysCovered,
    DaysKept,
    DoorChosen,
    LeftAlone,
    Moved,
    MovesCounted,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    PlanFinished,
    Planning,
    RunStarted,
    SeriesAnswered,
)
from crypto_archive.jobs.progress import RateEstimator
from crypto_archive.jobs.report import is_failure
from crypto_archive.model import Action, Outcome, UnknownSymbols, Verdict
from crypto_archive.text import format_bytes, format_count, format_duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from crypto_archive.events import Cancellation, Event
    from crypto_archive.model import PlannedObject

    ProgressEvent = Event | Checked | MovesCounted | Moved | LeftAlone


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work and how its progress is worded.

    Attributes:
        title: What is going on, for the terminal.
        name: What it is called in plain lines; None where events of its own mark the start and the end.
        counting: What happens until the total is final; None where no total is ever known.
        has_bytes: Whether the work handles bytes.
        done: What has been done to the objects that are counted.
    """

    title: str
    name: str | None = None
    counting: str | None = None
    has_bytes: bool = True
    done: str = ""


COLLECT = Work("Collecting", counting="planning…")
PLAN = Work("Planning", has_bytes=False)
"""Reading the listing, or the calendar, for a plan, a coverage or symbols."""
VERIFY = Work("Verifying", name="verification")
RELAYOUT = Work("Moving", name="relayout", counting="checking…", has_bytes=False, done=" moved")
RELAYOUT_PREVIEW = Work("Checking", name="relayout dry run", has_bytes=False, done=" would be moved")


@dataclass(slots=True)
class LaneState:
    """What a lane is doing.

    Attributes:
        batch: The batch's number.
        label: What the batch holds.
        attempt: The current attempt, from 1.
        objects: How many objects the attempt has to fetch.
        finished: How many of them are finished.
        published: Bytes of the batch's finished objects.
        staged: Bytes of the batch in staging, as last seen.
        arrived: The most that both together ever were.
        busy: Whether the lane is still working on the batch.
        retry_at: When the next attempt starts, by the clock; None during an attempt.
        reason: Why there is a next attempt.
    """

    batch: int = 0
    label: str = ""
    attempt: int = 1
    objects: int = 0
    finished: int = 0
    published: int = 0
    staged: int = 0
    arrived: int = 0
    busy: bool = False
    retry_at: float | None = None
    reason: str = ""

    def advance(self) -> None:
        """Update ``arrived``."""
        self.arrived = max(self.arrived, self.published + self.staged)


class ProgressStats:
    """The figures of a collect, a verification or a relayout under way.

    Attributes:
        total: How many objects there are, as far as they are counted; None where it is never known.
        counting: Whether the total may still grow.
        counts: How many objects ended how.
        done: How many objects are done.
        lanes: What each lane is doing, by its number.
        planning: How far planning is; None where that is not known, or once it is done.
        bytes_finished: Bytes of the objects that are done: fetched, or checked.
    """

    def __init__(
        self, clock: Callable[[], float], work: Work = COLLECT, cancellation: Cancellation | None = None
    ) -> None:
        self.work = work
        self._cancellation = cancellation
        self.total: int | None = None if work.counting is None else 0
        self.counting = work.counting is not None
        self.counts: Counter[Outcome | Verdict] = Counter()
        self.done = 0
        self.lanes: dict[int, LaneState] = {}
        self.planning: Planning | None = None
        self.bytes_finished = 0
        self._clock = clock
        self._began = clock()
        self._to_fetch = 0
        self._sizes_unknown = False
        self._expected = 0  # bytes of the objects that are not finished, according to the listing
        self._staged = 0  # bytes, of all lanes
        self._shown_bytes = 0
        self._recount: set[int] = set()  # lanes whose next measurement may lower the figure
        self._byte_rate, self._object_rate, self._series_rate = RateEstimator(), RateEstimator(), RateEstimator()

    def add(self, event: ProgressEvent) -> None:
        """Count one event."""
        # The first three are most events by far, and the objects of a root that is up to date change no rate.
        if isinstance(event, ObjectsKept):
            count = len(event.planned)
            self.total = (self.total or 0) + count
            self.done += count
            self.counts[Outcome.PRESENT] += count
        elif isinstance(event, ObjectFinished):
            self._finish(event)
        elif isinstance(event, ObjectPlanned):
            self._plan(event.planned)
        else:
            self._add_other(event)
            self._advance()

    def _add_other(self, event: ProgressEvent) -> None:
        if isinstance(event, BytesArrived):
            self._measure(event)
        elif isinstance(event, Checked):
            self.done += 1
            self.counts[event.verdict] += 1
            self.bytes_finished += event.size
        elif isinstance(event, Moved):
            self.done += 1
        elif isinstance(event, MovesCounted) and self.total is not None:
            self.total, self.counting = event.objects, False
        elif isinstance(event, Planning):
            self.planning = event
            self._series_rate.note(self._clock(), event.series)
        elif isinstance(event, PlanFinished):
            self.counting, self.planning = False, None
        elif isinstance(event, BatchStarted):
            self._start(event)
        elif isinstance(event, BatchRetried):
            lane = self._lane(event.lane)
            lane.retry_at, lane.reason = self._clock() + event.wait_seconds, event.reason
            self._recount.add(event.lane)
        elif isinstance(event, BatchFinished):
            lane = self._lane(event.lane)
            lane.busy = False
            self._stage(lane, 0)

    @property
    def stopping(self) -> bool:
        """Whether the work was asked to stop: what is left is not done any more, and no share of it means anything."""
        return self._cancellation is not None and self._cancellation.requested.is_set()

    @property
    def complete(self) -> bool:
        """Whether every object is done."""
        return self.total is not None and not self.counting and self.done >= self.total

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    @property
    def bytes_done(self) -> int:
        """Bytes that have arrived, partial files included."""
        if self.complete:
            return self.bytes_finished
        total = self.bytes_total
        return self._shown_bytes if total is None else min(self._shown_bytes, total)

    @property
    def bytes_total(self) -> int | None:
        """Bytes of everything planned so far; None where a size is unknown."""
        if self._sizes_unknown or not self._to_fetch:
            return None
        return self.bytes_finished if self.complete else self.bytes_finished + self._expected

    @property
    def fraction(self) -> float | None:
        """How much is done, by bytes where all sizes are known, else by objects; None without a final total."""
        if self.total is None or self.counting or self.stopping:
            return None
        if self.complete:
            return 1.0
        total = self.bytes_total
        return min(self.bytes_done / total if total else self.done / self.total, 0.999)

    @property
    def bytes_per_second(self) -> float:
        """The recent rate."""
        return self._byte_rate.per_second(self._clock(), self.bytes_done)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the recent rate; None while that is unknown."""
        if self.total is None or self.counting or self.complete or self.stopping:
            return None
        bytes_total = self.bytes_total
        if bytes_total:
            rate, rest = self.bytes_per_second, bytes_total - self.bytes_done
        else:
            rate, rest = self._object_rate.per_second(self._clock(), self._handled), self.total - self.done
        return rest / rate if rate > 0 else None

    def named_counts(self) -> list[tuple[Outcome | Verdict, int]]:
        """Return how many objects ended how, in the order in which outcomes and verdicts are declared."""
        return [(name, self.counts[name]) for name in (*Outcome, *Verdict) if self.counts[name]]

    def objects_text(self) -> str:
        """Return how many objects are done: ``12 objects``, ``12 of 364 objects``, ``12 of 20 objects so far``."""
        if self.total is None:
            return format_count(self.done, "object") + self.work.done
        of = f"{self.done:,} of {format_count(self.total, 'object')}{self.work.done}"
        return of + (" so far" if self.counting else "")

    def planning_text(self) -> str:
        """Return how far planning is: ``120 of 3,000 series, 40 series/s, 18,000 keys listed``."""
        if self.planning is None:
            return ""
        series, expected, keys = self.planning.series, self.planning.expected, self.planning.keys
        rate = self._series_rate.per_second(self._clock(), series)
        so_far = " so far" if self.planning.growing else ""
        parts = [f"{series:,} of {expected:,} series{so_far}"] if expected else []
        parts += [f"{rate:,.0f} series/s" if rate >= 10 else f"{rate:.1f} series/s"] if rate else []
        parts += [f"{format_count(keys, 'key')} listed"] if keys else []
        return ", ".join(parts) or "reading the listing"

    def bytes_text(self) -> str:
        """Return how many bytes are done: ``12 MiB``, ``12 MiB of 3 GiB``."""
        total = self.bytes_total
        return format_bytes(self.bytes_done) + (f" of {format_bytes(total)}" if total else "")

    @property
    def _handled(self) -> int:
        """Objects that took time: one that is present already says nothing about the rate."""
        return self.done - self.counts[Outcome.PRESENT]

    def _lane(self, number: int) -> LaneState:
        found = self.lanes.get(number)
        if found is None:  # not setdefault, which makes a state for every event
            found = self.lanes[number] = LaneState()
        return found

    def _plan(self, planned: PlannedObject) -> None:
        self.total = (self.total or 0) + 1
        if not planned.action.downloads:
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
            lane.published, lane.staged, lane.arrived = before.published, before.staged, before.arrived
        else:
            self._stage(before, 0)
        self.lanes[event.lane] = lane

    def _measure(self, event: BytesArrived) -> None:
        lane = self.lanes.get(event.lane)
        if lane is None or not lane.busy:
            return
        self._stage(lane, event.bytes)
        if event.lane in self._recount:
            self._recount.discard(event.lane)
            self._shown_bytes, lane.arrived = self._bytes_now, 0
        lane.advance()

    def _finish(self, event: ObjectFinished) -> None:
        self.done += 1
        self.counts[event.outcome] += 1
        is_present = event.outcome is Outcome.PRESENT
        if is_present and event.lane is None:
            return
        self.bytes_finished += event.bytes_fetched
        if not is_present and event.remote is not None:
            self._expected = max(0, self._expected - event.remote.size)
        if event.lane is not None:
            lane = self._lane(event.lane)
            lane.finished += 1
            lane.published += event.bytes_fetched
            self._take_from_staging(event.bytes_fetched, [lane])
        else:
            self._take_from_staging(event.bytes_fetched, sorted(self.lanes.values(), key=lambda one: -one.staged))
        self._advance()

    def _take_from_staging(self, size: int, lanes: Iterable[LaneState]) -> None:
        """Take finished bytes out of staging: from the lane that fetched them, or else from the fullest lanes."""
        for lane in lanes:
            taken = min(size, lane.staged)
            self._stage(lane, lane.staged - taken)
            size -= taken
            lane.advance()

    def _stage(self, lane: LaneState, size: int) -> None:
        """Note how many bytes a lane has in staging."""
        self._staged += size - lane.staged
        lane.staged = size

    @property
    def _bytes_now(self) -> int:
        return self.bytes_finished + self._staged

    def _advance(self) -> None:
        self._shown_bytes = max(self._shown_bytes, self._bytes_now)
        now = self._clock()
        if self._byte_rate.is_due(now):
            self._byte_rate.note(now, self.bytes_done)
            self._object_rate.note(now, self._handled)


class RemarkKind(StrEnum):
    """Kinds of remarks, each with a limit of its own."""

    NOTE = "note"
    FAILURE = "failure"
    RETRY = "retry"
    COVERED = "covered"
    DETAIL = "detail"
    """A decision, or an object that is done; only with ``-v``."""


_FURTHER: Mapping[RemarkKind, str] = {
    RemarkKind.NOTE: "further notes are in the report",
    RemarkKind.FAILURE: "further failures are in the report",
    RemarkKind.RETRY: "further retries are in the journal",
    RemarkKind.COVERED: "further objects moved aside are in the journal",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What an event adds to the figures: a label such as ``note`` or ``failed``, a text, and a reason."""

    kind: RemarkKind
    text: str
    label: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return one_line(": ".join(filter(None, (self.label, self.text, self.reason))))


class Remarks:
    """The remarks of events: at most so many of each kind, for the report or the journal has all; or all, in detail."""

    def __init__(self, most: float, *, verbose: bool = False) -> None:
        self._most = most
        self._verbose = verbose
        self._counts: Counter[RemarkKind] = Counter()
        self._labels: dict[int, str] = {}

    def of(self, event: ProgressEvent) -> Iterable[Remark]:
        """Return what is to be shown of an event; the first remark too many only says where the others are."""
        if self._verbose:
            return chain(self._made(event), _details(event))
        if isinstance(event, ObjectPlanned | ObjectsKept) or (
            isinstance(event, ObjectFinished) and not is_failure(event)
        ):
            return ()  # as of most events by far
        return self._limited(event)

    def _limited(self, event: ProgressEvent) -> Iterator[Remark]:
        for remark in self._made(event):
            self._counts[remark.kind] += 1
            if self._counts[remark.kind] <= self._most:
                yield remark
            elif self._counts[remark.kind] == self._most + 1:
                yield Remark(remark.kind, _FURTHER[remark.kind])

    def _made(self, event: ProgressEvent) -> Iterator[Remark]:
        if isinstance(event, RunStarted):
            for notice in event.notices:
                yield Remark(RemarkKind.NOTE, notice.text, "note")
        elif isinstance(event, Noticed) and isinstance(event.notice, UnknownSymbols):
            yield Remark(RemarkKind.FAILURE, event.notice.text, "unknown")
        elif isinstance(event, Noticed):
            yield Remark(RemarkKind.NOTE, event.notice.text, "note")
        elif isinstance(event, DaysKept):
            yield Remark(RemarkKind.NOTE, event.summary, "note")
        elif isinstance(event, DaysCovered):
            text = f"{format_count(len(event.moved), 'daily object')}, held by {event.object.key}"
            yield Remark(RemarkKind.COVERED, text, "moved aside")
        elif isinstance(event, BatchStarted):
            self._labels[event.lane] = event.label
        elif isinstance(event, BatchRetried):
            label = f"batch {event.batch} ({self._labels.get(event.lane, '')})"
            text = f"attempt {event.attempt} left {format_count(event.objects, 'object')}"
            wait = f"next attempt in {format_duration(event.wait_seconds)}"
            yield Remark(RemarkKind.RETRY, text, label, "; ".join(filter(None, (event.reason, wait))))
        elif isinstance(event, ObjectFinished) and is_failure(event):
            bad = event.verdict if event.verdict is Verdict.BAD_ZIP else event.outcome
            yield Remark(RemarkKind.FAILURE, event.object.key, bad, event.reason)
        elif isinstance(event, Checked) and event.verdict.is_bad:
            yield Remark(RemarkKind.FAILURE, event.object_key, event.verdict, event.reason)
        elif isinstance(event, LeftAlone) and event.in_the_way:
            yield Remark(RemarkKind.FAILURE, event.path, "in the way", event.reason)


def _details(event: ProgressEvent) -> Iterator[Remark]:
    """Yield what only a person who asks for it wants to read; one line per object for each thing that happens to it."""
    if isinstance(event, ObjectPlanned):
        planned = event.planned
        if planned.action is not Action.REFUSE:  # which is a failure
            yield Remark(RemarkKind.DETAIL, planned.object.key, planned.action, planned.why)
    elif isinstance(event, ObjectsKept):
        for planned in event.planned:
            yield Remark(RemarkKind.DETAIL, planned.object.key, planned.action, planned.why)
    elif isinstance(event, ObjectFinished):
        if event.lane is not None and not is_failure(event):  # the plan has said of the others why they are left alone
            size = f" ({format_bytes(event.bytes_fetched)})" if event.bytes_fetched else ""
            yield Remark(RemarkKind.DETAIL, f"{event.object.key}{size}", event.outcome, event.reason)
    elif isinstance(event, SeriesAnswered):
        days = event.days
        all_there = f"{days.series}: {format_count(days.wanted, 'day')}, all available"
        yield Remark(RemarkKind.DETAIL, days.summary if days.absent else all_there, "series")
    elif isinstance(event, BatchStarted):
        attempt = "" if event.attempt == 1 else f", attempt {event.attempt}"
        text = f"{event.label}, {format_count(event.objects, 'object')}, lane {event.lane + 1}{attempt}"
        yield Remark(RemarkKind.DETAIL, text, f"batch {event.batch}")
    elif isinstance(event, DoorChosen):
        yield Remark(RemarkKind.DETAIL, event.url, f"via {event.via}", event.reason)
    elif isinstance(event, Checked) and not event.verdict.is_bad:
        yield Remark(RemarkKind.DETAIL, event.object_key, event.verdict, event.reason)
    elif isinstance(event, Moved):
        yield Remark(RemarkKind.DETAIL, f"{event.source} -> {event.target}", "moved")
    elif isinstance(event, LeftAlone) and not event.in_the_way:
        yield Remark(RemarkKind.DETAIL, event.path, "left alone", event.reason)
