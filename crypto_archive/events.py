"""What happens in a run, as values; and the token that asks a run to stop.

Events are named tuples: runs make very many of some, and a dataclass takes five times as long to define, at each start.
One without fields would be false, so it is a dataclass.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from crypto_archive.errors import ExitCode
    from crypto_archive.model import (
        ArchiveObject,
        Market,
        Notice,
        PlannedObject,
        RemoteStat,
        Series,
        SeriesDays,
        Verdict,
    )

NO_SIGNAL = 0
"""Instead of a signal's number where a program asked a run to end."""


class RunStarted(NamedTuple):
    """A run begins.

    Attributes:
        run_id: Name of its folder below ``runs/``.
        started_at: Wall clock, UTC.
        notices: What a person should know about the selection.
        s5cmd_version: The version of the binary that fetches.
    """

    run_id: str
    started_at: datetime
    notices: tuple[Notice, ...]
    s5cmd_version: str


class Noticed(NamedTuple):
    """A person should know something that came up while the plan was made."""

    notice: Notice


class Planning(NamedTuple):
    """How far planning is; it comes a few times a second at most.

    Attributes:
        series: How many series have been read.
        expected: How many there are, as far as their symbols are known.
        keys: How many keys the server has listed.
        growing: Whether globs may add more series.
    """

    series: int = 0
    expected: int = 0
    keys: int = 0
    growing: bool = True


class SeriesAnswered(NamedTuple):
    """It is known which of the wanted days of a series can be had; a later answer of the same series replaces it."""

    days: SeriesDays


class ObjectPlanned(NamedTuple):
    """An object is planned."""

    planned: PlannedObject


@dataclass(frozen=True, slots=True)
class PlanFinished:
    """All objects are planned; the totals of the progress are final now."""


class DoorChosen(NamedTuple):
    """Where the objects of a run come from was decided by asking for one of them.

    Attributes:
        via: ``s3`` or ``cdn``.
        url: The server.
        reason: What was seen.
    """

    via: str
    url: str
    reason: str


class BatchStarted(NamedTuple):
    """A lane starts an attempt at a batch.

    Attributes:
        lane: The lane's number, from 0.
        batch: The batch's number, from 1.
        label: Its market and data type, for people.
        attempt: 1 for the first try.
        objects: How many objects are still to be fetched.
    """

    lane: int
    batch: int
    label: str
    attempt: int
    objects: int


class BytesArrived(NamedTuple):
    """How many bytes of its current batch a lane has in staging, partial files included."""

    lane: int
    bytes: int


class BatchRetried(NamedTuple):
    """A lane waits before it tries the remainder of a batch again."""

    lane: int
    batch: int
    attempt: int
    wait_seconds: float
    objects: int
    reason: str


class BatchFinished(NamedTuple):
    """A lane is done with a batch."""

    lane: int
    batch: int


class ObjectFinished(NamedTuple):
    """A planned object has its outcome.

    It is a named tuple, since runs make very many: ``event._replace(lane=1)`` returns another one.

    Attributes:
        object: The object.
        outcome: How it ended.
        reason: Why, for people; empty where the outcome says it all.
        size: Length of the stored file in bytes, 0 where there is none.
        bytes_fetched: Bytes of its last download, sidecar included; 0 when nothing was fetched.
        sha256: Hexadecimal digest of the stored bytes, empty where it was not computed in this run.
        verdict: The result of the proof, of an earlier one where the file was left alone; None where there was none.
        remote: What the listing has of it; None without a listing, or if it lists other bytes than those that arrived.
        attempts: How many attempts it took.
        lane: The lane that fetched it, None where none had to.
        etag: The ETag of the listing if it does not contradict the bytes; otherwise, or without a listing, their MD5.
            Empty without bytes.
        sidecar_etag: The ETag of the sidecar that the bytes were compared with, None without one.
        refused: Whether it failed because the archive lacks the locked bytes, so that no other attempt can help.
        month_days: The days of which a monthly object has rows, one bit per day of the month; None where that is not
            known, or of no interest.
        lacks: The days that it should have had and lacks, likewise.

    Example:
        >>> from crypto_archive import ObjectFinished, collect, load_preset
        >>> sizes = {}
        >>> def keep(event):
        ...     if isinstance(event, ObjectFinished):
        ...         sizes[event.object.key] = event.size
        >>> report = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"), on_event=keep)
        >>> sum(sizes.values()) == report.bytes
        True
    """

    object: ArchiveObject
    outcome: Outcome
    reason: str = ""
    size: int = 0
    bytes_fetched: int = 0
    sha256: str = ""
    verdict: Verdict | None = None
    remote: RemoteStat | None = None
    attempts: int = 0
    lane: int | None = None
    etag: str = ""
    sidecar_etag: str | None = None
    refused: bool = False
    month_days: int | None = None
    lacks: int = 0


class ObjectsKept(NamedTuple):
    """Objects of a series are planned and have their outcome, since nothing is to be done: they are in place.

    A root that is up to date has very many of them. Programs get the events of each instead.

    Attributes:
        planned: The objects, each of which ``is_left_alone``.
    """

    planned: tuple[PlannedObject, ...]

    @property
    def series(self) -> Series:
        """The series that all of them belong to."""
        return self.planned[0].object.series

    def each(self) -> Iterator[Event]:
        """Yield the events of each object."""
        for item in self.planned:
            yield ObjectPlanned(item)
            yield ObjectFinished(
                item.object, Outcome.PRESENT, size=item.stored_size, verdict=item.verdict, remote=item.remote
            )


class Comparing(NamedTuple):
    """A stored monthly object is being proven and compared with the stored daily ones of its month.

    Attributes:
        object: The monthly object.
        days: How many daily objects there are.
        held: How many of them it was found to hold the rows of.
    """

    object: ArchiveObject
    days: int
    held: int = 0


class DaysCovered(NamedTuple):
    """Daily objects were moved aside, since a proven monthly object holds their rows.

    Attributes:
        object: The monthly object.
        moved: The keys of the daily ones.
        bytes: Bytes of what was moved, sidecars included.
    """

    object: ArchiveObject
    moved: tuple[str, ...]
    bytes: int


class DaysKept(NamedTuple):
    """A monthly object does not replace the daily ones of its month, which stay.

    Attributes:
        object: The monthly object.
        days: How many daily objects stay.
        reason: Why, for people.
    """

    object: ArchiveObject
    days: int
    reason: str

    @property
    def summary(self) -> str:
        """All of it in one line."""
        days = "a daily object, which stays" if self.days == 1 else f"{self.days} daily objects, which stay"
        return f"{self.object.key} does not stand for {days}: {self.reason}"


class RunFinished(NamedTuple):
    """A run has ended.

    Attributes:
        seconds: How long it took, by the monotonic clock.
        interrupted_by: The number of the signal that ended it, ``NO_SIGNAL`` where a program did, None when it
            ran to its end.
        error: What stopped it early, empty when nothing did.
        error_exit_code: How the command ends for that error; None without one.
    """

    seconds: float
    interrupted_by: int | None = None
    error: str = ""
    error_exit_code: ExitCode | None = None


Event = (
    RunStarted
    | Noticed
    | Planning
    | SeriesAnswered
    | ObjectPlanned
    | PlanFinished
    | DoorChosen
    | BatchStarted
    | BytesArrived
    | BatchRetried
    | BatchFinished
    | ObjectFinished
    | ObjectsKept
    | Comparing
    | DaysCovered
    | DaysKept
    | RunFinished
)


class Checked(NamedTuple):
    """A stored object was checked by ``verify``; not part of a run, and so not an ``Event``.

    Attributes:
        object_key: The object's key.
        market: Its market.
        data_type: Its data type.
        verdict: The result of the check.
        size: Length of the file on disk in bytes, 0 where there is none.
        reason: Why, for people; empty where the verdict says it all.
        remote: Its entry in the listing; None if that was not asked or does not have it.
    """

    object_key: str
    market: Market
    data_type: str
    verdict: Verdict
    size: int = 0
    reason: str = ""
    remote: RemoteStat | None = None


class MovesCounted(NamedTuple):
    """A relayout has found which files it will move; like the next two, not an ``Event`` of a run.

    Attributes:
        objects: How many objects are to be moved.
    """

    objects: int


class Moved(NamedTuple):
    """An object has another path now, together with its sidecar; or would have, in a dry run.

    Attributes:
        object_key: The object's key.
        source: Its former path, relative to the archive root.
        target: Its path now, likewise.
    """

    object_key: str
    source: str
    target: str


class LeftAlone(NamedTuple):
    """A file below ``data/`` is not moved.

    Attributes:
        path: Its path, relative to the archive root.
        reason: Why not.
        in_the_way: Whether it blocks the whole relayout.
    """

    path: str
    reason: str
    in_the_way: bool = False


PLANNING_SECONDS = 0.25


class PlanningMeter:
    """Counts how far planning is, and reports it now and then.

    Args:
        on_planning: Takes each report.
        clock: Monotonic seconds.
    """

    def __init__(
        self, on_planning: Callable[[Planning], object] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_planning = on_planning
        self._clock = clock
        self._reported_at = float("-inf")
        self._series = self._expected = self._announced = self._keys = 0
        self._growing = True

    def announce(self, series: int, *, growing: bool) -> None:
        """There are so many series in all, or if ``growing`` at least so many."""
        self._announced, self._growing = series, growing
        self._report()

    def expect(self, series: int) -> None:
        """So many more series are to be read."""
        self._expected += series
        self._report()

    def read(self, series: int = 1) -> None:
        """So many series have been read."""
        self._series += series
        self._report()

    def listed(self, keys: int) -> None:
        """The server has listed so many more keys."""
        self._keys += keys
        self._report()

    def _report(self) -> None:
        now = self._clock()
        if now - self._reported_at >= PLANNING_SECONDS:
            self._reported_at = now
            expected = max(self._expected, self._announced)
            self._on_planning(Planning(self._series, expected, self._keys, self._growing))


class Cancellation:
    """Asks a run to stop; safe to use from any thread and from a signal handler.

    The first request ends the run gracefully: no new batches, children are asked to stop, what is proven is published,
    the report is written. A second request kills the children immediately. A token is for one run.

    Attributes:
        requested: Set by the first request.
        urgent: Set by the second one.
        signal_number: The signal behind the first request, ``NO_SIGNAL`` for none; None before it.

    Example:
        >>> from crypto_archive import Cancellation, collect, load_preset
        >>> token = Cancellation()
        >>> token.request()
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> collect(config, cancellation=token).status, collect(config).status
        ('interrupted', 'success')
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.urgent = threading.Event()
        self.signal_number: int | None = None
        self._part: Cancellation | None = None

    def request(self, signal_number: int = NO_SIGNAL) -> None:
        """Ask the run to stop; asking twice means immediately.

        Args:
            signal_number: The signal behind the request, for the report and the exit code.
        """
        if self.requested.is_set():
            self.urgent.set()
        else:
            self.signal_number = signal_number
            self.requested.set()
        if self._part is not None:
            self._part.request(signal_number)

    @contextmanager
    def for_a_part(self) -> Iterator[Cancellation]:
        """Yield a token for one run of several, which is asked to stop whenever this one is."""
        part = self._part = Cancellation()
        if self.requested.is_set():
            part.request(NO_SIGNAL if self.signal_number is None else self.signal_number)
        try:
            yield part
        finally:
            self._part = None
