"""The archive's vocabulary as frozen value types: markets, series, periods, objects, plans, outcomes, verdicts.

Times are UTC throughout, sizes are bytes.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

SIDECAR_SUFFIX = ".CHECKSUM"

# The ETag of a multi-part upload ends in a dash and the number of parts.
_PLAIN_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def is_md5(etag: str) -> bool:
    """Whether an ETag is the MD5 of the bytes, as it is for every object but multi-part uploads."""
    return _PLAIN_MD5.fullmatch(etag) is not None


class Market(StrEnum):
    """One of the archive's four markets, by the name that presets use."""

    SPOT = "spot"
    FUTURES_UM = "futures_um"
    FUTURES_CM = "futures_cm"
    OPTIONS = "options"

    __hash__ = str.__hash__  # Enum's own is a call into Python, for every look-up


class Partition(StrEnum):
    """How the archive cuts a series into objects: one per day, or one per month.

    Attributes:
        is_daily: Whether it is per day; quicker than looking the member up.
    """

    is_daily: bool

    DAILY = "daily"
    MONTHLY = "monthly"

    def __init__(self, name: str) -> None:
        self.is_daily = name == "daily"

    @property
    def other(self) -> Partition:
        """The other of the two."""
        return Partition.MONTHLY if self is Partition.DAILY else Partition.DAILY


class Contract(StrEnum):
    """The two kinds of futures contracts."""

    PERPETUAL = "perpetual"
    DELIVERY = "delivery"


class Period(NamedTuple):
    """The UTC day or month that one object covers.

    Attributes:
        partition: Whether it is a day or a month.
        first_day: The day, or the first day of the month.
    """

    partition: Partition
    first_day: date

    @classmethod
    def containing(cls, day: date, partition: Partition) -> Period:
        """Return the period of ``partition`` that contains ``day``."""
        return cls(partition, day if partition.is_daily else day.replace(day=1))

    @property
    def last_day(self) -> date:
        """The last day that the period covers."""
        if self.partition.is_daily:
            return self.first_day
        return self.first_day.replace(day=calendar.monthrange(self.first_day.year, self.first_day.month)[1])

    def next(self) -> Period:
        """Return the period that follows."""
        return Period(self.partition, self.last_day + timedelta(days=1))

    def __str__(self) -> str:
        """Return the date as keys spell it: ``2025-07-15`` or ``2025-07``."""
        return self.first_day.isoformat() if self.partition.is_daily else self.first_day.isoformat()[:7]


class DateRange(NamedTuple):
    """A span of UTC days, both ends included; None leaves an end open."""

    start: date | None = None
    end: date | None = None


class Series(NamedTuple):
    """One market, data type, symbol and interval; the interval is None where the archive has no interval folder."""

    market: Market
    data_type: str
    symbol: str
    interval: str | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.market, self.data_type, self.symbol, self.interval)))


class ArchiveObject(NamedTuple):
    """One key of the bucket: the zip of one series and one period.

    Attributes:
        key: The key in the bucket, verbatim.
        series: The series that it belongs to.
        period: When it is from.
    """

    key: str
    series: Series
    period: Period

    @property
    def sidecar_key(self) -> str:
        """The key of its ``.CHECKSUM``."""
        return self.key + SIDECAR_SUFFIX


class RemoteStat(NamedTuple):
    """What is known of the bytes of an object in the archive: from its listing, or from a lock file.

    Attributes:
        size: Length in bytes.
        etag: The ETag without quotes; the MD5 of the content unless the object is a multi-part upload.
        last_modified: When the archive last wrote it, UTC.
        has_sidecar: Whether its ``.CHECKSUM`` is there too.
        sha256: The hexadecimal digest of these very bytes, None where it is unknown; a listing has none.
        sidecar_etag: The ETag of its ``.CHECKSUM``, None where that is unknown or not there.
    """

    size: int
    etag: str
    last_modified: datetime
    has_sidecar: bool = True
    sha256: str | None = None
    sidecar_etag: str | None = None


class StoredStat(NamedTuple):
    """What is known of a file at its final path.

    Attributes:
        size: Length on disk in bytes.
        recorded: Its entry in the manifest, None where it has none.
    """

    size: int
    recorded: ManifestEntry | None = None


class Action(StrEnum):
    """What a plan does with an object.

    Attributes:
        transfers: Whether anything is to be copied; the other actions finish an object immediately.
        downloads: Whether the zip itself is to be copied.
    """

    transfers: bool
    downloads: bool

    FETCH = "fetch"
    UPDATE = "update"
    CHECK = "check"
    """Only its sidecar is fetched, and the stored file is judged by that."""
    KEEP = "keep"
    WAIT = "wait"
    """The archive has not published it yet."""
    REFUSE = "refuse"
    """The archive does not have the exact bytes that are wanted, or no file can have the key."""

    def __init__(self, name: str) -> None:
        # Worked out once: they are asked of each object.
        self.downloads = name in {"fetch", "update"}
        self.transfers = self.downloads or name == "check"


_KEEP = Action.KEEP  # asked of each object: Python 3.11 takes long to look up a member


class Covered(NamedTuple):
    """The daily objects that a monthly one replaces.

    Attributes:
        objects: How many they are.
        bytes: Their bytes, without sidecars.
        days: Their days, one bit for each day of the month, if sizes tell that it holds them all; else 0.
    """

    objects: int
    bytes: int
    days: int = 0


GONE = "gone from the archive since it was locked"
"""The reason of a locked object that the archive no longer has."""
REPLACED = "replaced in the archive since it was locked"
"""The reason of a locked object that the archive now has with other bytes; what differs follows."""


@dataclass(frozen=True, slots=True)
class ShardName:
    """Which shard of which plan.

    Attributes:
        plan: A short digest of the plan's objects, the same for all of its shards.
        number: Its number, from 1.
        count: How many shards the plan was cut into.
    """

    plan: str
    number: int
    count: int

    def __str__(self) -> str:
        """Return it as lock files spell it: ``3/8 of 0a1b2c3d4e5f``."""
        return f"{self.number}/{self.count} of {self.plan}"

    def is_beside(self, other: ShardName) -> bool:
        """Whether the other is a different shard of the same plan, cut the same way, so that they share no object."""
        return (self.plan, self.count) == (other.plan, other.count) and self.number != other.number


class Candidate(NamedTuple):
    """An object that may be wanted, as calendar, listing or a lock file give it.

    Attributes:
        object: The object.
        remote: Its entry in the listing; None without a listing.
        covers: The daily objects that it replaces; None unless it is a monthly object chosen for that.
        look: The days that it should hold, one bit for each day of the month, where only its rows tell; else 0.
        pin: The exact bytes that are wanted, as a lock file has them; None where any proven bytes will do.
        action: What to do where it is not on disk, and for an update even where it is, if that is certain already; None
            leaves it to ``decide``.
        why: The reason for ``action``, or for wanting it.
        awaited_since: Since when runs wait for it, though their dates have moved on; None for most.
    """

    object: ArchiveObject
    remote: RemoteStat | None = None
    covers: Covered | None = None
    pin: RemoteStat | None = None
    action: Action | None = None
    why: str = ""
    awaited_since: date | None = None
    look: int = 0


class PlannedObject(NamedTuple):
    """An object with what to do about it and why.

    Attributes:
        object: The object.
        action: What to do.
        why: The reason in a word or two, for people.
        with_sidecar: Whether its sidecar is to be fetched too.
        remote: Its entry in the listing, with the digest where these bytes are on disk; None in a plan from the
            calendar.
        stored_size: Length in bytes of the file at the final path, 0 where there is none.
        adopted: The new manifest entry of a file that the manifest did not know and that has just been proven.
        covers: The daily objects that it replaces, None for most.
        pin: The exact bytes that are wanted, None where any proven bytes will do.
        awaited_since: Since when runs wait for it, though their dates have moved on; None for most.
        verdict: What is known of the bytes of a file that stays, or is judged by another sidecar; None where the
            manifest does not know it.
        noted: The manifest entry of a file that stays with what the listing newly says of the same bytes, None where
            that is nothing.
        look: The days that a monthly object should hold, one bit for each day of the month, where only its rows tell;
            else 0.
    """

    object: ArchiveObject
    action: Action
    why: str
    with_sidecar: bool = True
    remote: RemoteStat | None = None
    stored_size: int = 0
    adopted: ManifestEntry | None = None
    covers: Covered | None = None
    pin: RemoteStat | None = None
    awaited_since: date | None = None
    verdict: Verdict | None = None
    noted: ManifestEntry | None = None
    look: int = 0

    @property
    def is_left_alone(self) -> bool:
        """Whether it is in place, and there is nothing to do, to find out, to record or to report."""
        _, action, _, _, _, _, adopted, covers, _, _, verdict, noted, look = self
        is_recorded = adopted is None and noted is None
        return action is _KEEP and is_recorded and covers is None and not look and verdict is not _BROKEN

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys to copy: the zip's, unless only its sidecar is needed, and, if wanted, the sidecar's."""
        if self.action is Action.CHECK:
            return (self.object.sidecar_key,)
        return (self.object.key, self.object.sidecar_key) if self.with_sidecar else (self.object.key,)


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that are fetched together.

    Attributes:
        number: From 1, in the order of the plan.
        items: The objects; all of one market and data type.
        commands: How many commands copy them.
    """

    number: int
    items: tuple[PlannedObject, ...]
    commands: int

    @property
    def label(self) -> str:
        """What it contains, for people."""
        series = self.items[0].object.series
        return f"{series.market} {series.data_type}"


class Outcome(StrEnum):
    """How a planned object ended; every planned object has exactly one.

    ``fetched``: downloaded and verified. ``present``: was stored already. ``updated``: replaced by a newer version of
    the archive's. ``absent``: the archive does not have it, for a known reason. ``failed``: could not be downloaded.
    ``quarantined``: downloaded, but its bytes are wrong. ``cancelled``: the run ended before it.

    Example:
        >>> from crypto_archive import Outcome, collect, load_preset
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> first, second = collect(config), collect(config)
        >>> first.outcomes[Outcome.FETCHED] == second.outcomes[Outcome.PRESENT] > 0
        True
    """

    FETCHED = "fetched"
    PRESENT = "present"
    UPDATED = "updated"
    ABSENT = "absent"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


STORED = frozenset({Outcome.FETCHED, Outcome.UPDATED, Outcome.PRESENT})
"""The outcomes of objects that are in place when a run ends."""


class Verdict(StrEnum):
    """The result of a check of an object's bytes: on arrival, or of the stored file.

    ``ok``: SHA-256 as in the sidecar, and the zip opens. ``missing``: the file does not exist. ``corrupt``: its bytes
    are wrong, and a new download cures it. ``bad-zip``: the archive's own bytes, which are not a zip of its one CSV.
    ``sidecar-missing``: there is no sidecar, and the MD5 in the listing confirms the bytes. ``sidecar-stale``: the
    archive's sidecar is of other bytes. ``sidecar-malformed``: it is not a checksum of this file. ``unproven``: nothing
    but the size confirms the bytes. ``gaps``: a monthly file that does not hold exactly the rows of its days.
    ``replaced``: sound, but the archive has other bytes by now.

    Example:
        >>> from crypto_archive import Verdict, collect, load_preset, verify
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> stored = collect(config).bytes
        >>> verify(config).verdicts[Verdict.CORRUPT], Verdict.CORRUPT.is_bad, Verdict.SIDECAR_MISSING.is_bad
        (0, True, False)
    """

    OK = "ok"
    MISSING = "missing"
    CORRUPT = "corrupt"
    BAD_ZIP = "bad-zip"
    SIDECAR_MISSING = "sidecar-missing"
    SIDECAR_STALE = "sidecar-stale"
    SIDECAR_MALFORMED = "sidecar-malformed"
    UNPROVEN = "unproven"
    GAPS = "gaps"
    REPLACED = "replaced"

    __hash__ = str.__hash__

    @property
    def is_bad(self) -> bool:
        """Whether it makes a verification fail.

        What is wrong with the archive's sidecars, and what cannot be proven, is counted and shown, but the bytes may be
        right.
        """
        return self in _BAD

    @property
    def is_upstream(self) -> bool:
        """Whether the archive is at fault, so that no new download cures it until the archive replaces the object."""
        return self in _UPSTREAM


_BROKEN = Verdict.BAD_ZIP
_BAD = frozenset({Verdict.MISSING, Verdict.CORRUPT, Verdict.BAD_ZIP, Verdict.REPLACED})
_UPSTREAM = frozenset(
    {
        Verdict.BAD_ZIP,
        Verdict.SIDECAR_MISSING,
        Verdict.SIDECAR_STALE,
        Verdict.SIDECAR_MALFORMED,
        Verdict.GAPS,
    }
)


class Absence(StrEnum):
    """Why a day, or an object, cannot be had from the archive.

    ``not-yet``: it may still come, within the usual delay of its type. ``late``: later than that, while the symbol
    lives. ``hole``: missing, with data after it. ``monthly-only``: only a monthly object has it, and daily objects are
    wanted. ``before-first``: before the first data of the symbol. ``delisted``: after its last. ``discontinued`` and
    ``never-published``: of the data type as a whole.
    """

    NOT_YET = "not-yet"
    LATE = "late"
    HOLE = "hole"
    MONTHLY_ONLY = "monthly-only"
    BEFORE_FIRST = "before-first"
    DELISTED = "delisted"
    DISCONTINUED = "discontinued"
    NEVER_PUBLISHED = "never-published"

    @property
    def may_end(self) -> bool:
        """Whether the day may still come, so that a run waits for it."""
        return self in {Absence.NOT_YET, Absence.LATE}

    @property
    def is_final(self) -> bool:
        """Whether the object is not worth waiting for; a hole may be filled."""
        return self in _FINAL


_FINAL = frozenset({
    Absence.BEFORE_FIRST, Absence.DELISTED, Absence.DISCONTINUED, Absence.NEVER_PUBLISHED, Absence.MONTHLY_ONLY,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class AbsentDays:
    """Consecutive days that cannot be had, for one reason.

    Attributes:
        reason: Why.
        first: The first of them.
        last: The last one.
    """

    reason: Absence
    first: date
    last: date

    @property
    def count(self) -> int:
        """How many days they are."""
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        days = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{days} {self.reason}"


class SeriesDays(NamedTuple):
    """Which of the wanted days of a series can be had, and why not the others.

    Attributes:
        series: The series.
        first: The first wanted day.
        last: The last one.
        available: How many of the wanted days the archive has.
        newest: The newest day that the archive is known to have of the series, wanted or not; None without any.
        absent: The other days, oldest first.
    """

    series: Series
    first: date
    last: date
    available: int
    newest: date | None = None
    absent: tuple[AbsentDays, ...] = ()

    @property
    def wanted(self) -> int:
        """How many days are wanted."""
        return (self.last - self.first).days + 1

    @property
    def summary(self) -> str:
        """The absent days in one line: how many, which, and why."""
        return f"{self.series}: {self.lacking} not available: {self.reasons}"

    @property
    def lacking(self) -> str:
        """How many of the wanted days are absent: ``4 of 10 days``."""
        return f"{sum(one.count for one in self.absent):,} of {self.wanted:,} days"

    @property
    def reasons(self) -> str:
        """Which days are absent, and why, as far as a line has room."""
        more = f" and {len(self.absent) - RANGES_SHOWN} more ranges" if len(self.absent) > RANGES_SHOWN else ""
        return ", ".join(map(str, self.absent[:RANGES_SHOWN])) + more


RANGES_SHOWN = 4
"""How many ranges of absent days are named in a line."""


class ManifestEntry(NamedTuple):
    """What the manifest records about a stored object.

    Attributes:
        key: The object's key.
        size: Length in bytes.
        sha256: Hexadecimal digest of the stored bytes.
        verdict: What the proof said.
        etag: The ETag from the listing, if it is the MD5 of the bytes or says nothing of them; else the MD5 of the
            bytes, which the ETag usually is.
        last_modified: The archive's time stamp from the listing; None where the ETag is not from the listing.
        fetched_at: When it was published, or judged by another sidecar, UTC.
        run_id: The run that did that.
        sidecar_etag: The ETag of the sidecar that the bytes were compared with; None where it is unknown, as in records
            of earlier versions, or there was none.
    """

    key: str
    size: int
    sha256: str
    verdict: Verdict
    etag: str
    last_modified: datetime | None
    fetched_at: datetime
    run_id: str
    sidecar_etag: str | None = None


class Topic(StrEnum):
    """What a notice is about, for readers who need only some of them."""

    ANY = "any"
    PLANNING = "planning"
    """What a plan does, or why it has nothing to do."""
    NO_MATCH = "no-match"
    """Nothing in the archive, or in one of its partitions, matches the selection."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line that a person should read; it has no effect on the exit code, unless it names unknown symbols.

    Attributes:
        text: The line.
        topic: What it is about.
        about: The configuration fields that it comments on; empty where it comments on none.
    """

    text: str
    topic: Topic = Topic.ANY
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownSymbol:
    """A symbol that was named and that no selected market has.

    Attributes:
        name: The symbol, as it was named.
        nearest: The symbols of these markets that look most like it.
    """

    name: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownSymbols(Notice):
    """The symbols that were named and that no selected market has: without them nothing is complete.

    Attributes:
        symbols: Each of them.
    """

    symbols: tuple[UnknownSymbol, ...] = ()


OnNotice = Callable[[Notice], None]
"""Takes each notice as it comes up."""
OnDays = Callable[[SeriesDays], None]
"""Takes what is known of the wanted days of each series."""


class Notices:
    """Takes notices, keeps each text once, and passes the new ones on.

    Args:
        on_notice: Takes each new notice as it comes up.
        ignored: Topics that are dropped.

    Attributes:
        kept: The notices so far.
    """

    def __init__(self, on_notice: OnNotice = lambda _: None, *, ignored: frozenset[Topic] = frozenset()) -> None:
        self.kept: list[Notice] = []
        self._texts: set[str] = set()
        self._on_notice = on_notice
        self._ignored = ignored

    def __call__(self, notice: Notice) -> None:
        """Take a notice."""
        if notice.topic not in self._ignored and notice.text not in self._texts:
            self._texts.add(notice.text)
            self.kept.append(notice)
            self._on_notice(notice)
