"""Reads the objects of a group out of a listing; chooses months in place of days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from crypto_archive.catalog.symbols import is_glob
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Absence,
    Action,
    Candidate,
    Covered,
    Notice,
    Partition,
    Period,
    RemoteStat,
    Topic,
)
from crypto_archive.plan.availability import PUBLICATION_DELAY
from crypto_archive.plan.selection import folders_beside, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from crypto_archive.model import ArchiveObject, OnNotice, Series
    from crypto_archive.plan.prefixes import Member, Scope, Span
    from crypto_archive.plan.selection import Folders, SeriesGroup
    from crypto_archive.s5cmd.output import Listed

KnownShort = Callable[[str, RemoteStat], bool]
"""Whether the very bytes that the listing gives of a monthly object were found to lack rows of its days."""

SHORT_SHARE = 0.6
"""A monthly object with less than this share of its days' bytes does not hold all of them."""
ZIP_OVERHEAD_BYTES = 150
"""What a zip of one CSV takes beside its content, with names of the archive's length."""
LEAST_PAYLOAD_BYTES = 1000
"""Of days with less content a zip each, such as those of 1d klines, sizes prove nothing: joined they pack better."""


def consolidated(
    months: Iterable[Candidate], days: Iterable[Candidate], known_short: KnownShort, on_notice: OnNotice
) -> Iterator[Candidate]:
    """Yield each month as its monthly object, where that is listed and holds its days, else as its daily objects.

    Args:
        months: The listed monthly objects of whole months.
        days: The listed daily objects, those of one series and month following one another.
        known_short: Knows monthly objects that were found to lack rows.
        on_notice: Takes a notice of each month that is listed but not trusted.
    """
    listed = {(month.object.series, month.object.period.first_day): month for month in months}
    for (series, first_day), group in groupby(days, key=_month_of):
        of_month = tuple(group)
        month = listed.pop((series, first_day), None)
        reason = _doubt(month, of_month, known_short) if month is not None else ""
        if month is None or reason:
            yield from of_month
        else:
            yield month._replace(covers=_covered(of_month))
        if month is not None and reason:
            on_notice(
                Notice(f"{series} {month.object.period}: {reason}, its daily objects are planned", Topic.PLANNING)
            )
    yield from listed.values()


def _month_of(day: Candidate) -> tuple[Series, date]:
    return day.object.series, day.object.period.first_day.replace(day=1)


def _covered(days: tuple[Candidate, ...]) -> Covered:
    return Covered(len(days), sum(day.remote.size for day in days if day.remote))


def _doubt(month: Candidate, days: tuple[Candidate, ...], known_short: KnownShort) -> str:
    """Say what speaks against a monthly object; empty where nothing does."""
    if month.remote is None:
        return ""
    if known_short(month.object.key, month.remote):
        return "the monthly object is known to lack rows of its days"
    payload = sum(max(0, day.remote.size - ZIP_OVERHEAD_BYTES) for day in days if day.remote)
    held = month.remote.size - ZIP_OVERHEAD_BYTES
    if payload >= LEAST_PAYLOAD_BYTES * len(days) and held < SHORT_SHARE * payload:
        return f"the monthly object is short, {month.remote.size:,} bytes where its days have {payload:,}"
    return ""


SERIES_NAMED = 20
"""How many series without any object, or months that are not trusted, are named one by one."""
_LIVING = {Partition.DAILY: timedelta(days=7), Partition.MONTHLY: timedelta(days=62)}
"""How much longer than the archive's usual delay the newest object of a series may be ago, for more to be expected."""


class Listing(Protocol):
    """What the bucket holds, as somebody else lists it or remembers it."""

    def prepare(self, prefixes: Sequence[str]) -> None:
        """See to it that all these prefixes can be read at once; many are listed side by side.

        Raises:
            EndpointUnreachable: The listing failed.
        """

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Yield every object whose key starts with a prefix, sorted by key; what was not prepared as it is listed.

        Raises:
            EndpointUnreachable: The listing failed.
        """

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly under a prefix that ends in ``/``.

        Raises:
            EndpointUnreachable: The listing failed.
        """

    def invalidate(self) -> None:
        """Forget what was listed so far: whoever answered was not the archive."""

    def remark(self) -> Notice | None:
        """Return what a person should know of where the listing came from; None where there is nothing to say."""

    @property
    def is_cut_short(self) -> bool:
        """Whether the listing was cancelled, so that what it gave proves nothing about what it did not give."""


class Reading:
    """Reads the objects of a group out of a listing, scope by scope, and remembers what is odd about them."""

    def __init__(
        self,
        group: SeriesGroup,
        spans: Mapping[Partition, Span],
        known_short: KnownShort,
        on_notice: OnNotice,
        today: date,
        list_folders: Folders,
    ) -> None:
        self._group = group
        self._spans = spans
        self._known_short = known_short
        self._on_notice = on_notice
        self._today = today
        self._list_folders = list_folders
        self._named = frozenset(symbol for symbol in group.symbols if not is_glob(symbol))
        self._heard: set[str] = set()
        self._silent: list[Member] = []
        self._again = 0
        self._doubted = 0

    def of(self, scope: Scope, listing: Listing) -> Iterator[Candidate]:
        """Yield the wanted objects of a scope, then those to wait for."""
        newest: dict[Member, date] = {}
        members = frozenset(scope.members)
        for candidate in self._chosen(scope, members, listing):
            member, day = _member(candidate.object), candidate.object.period.last_day
            newest[member] = max(day, newest.get(member, day))
            yield candidate
        if listing.is_cut_short:
            return
        self._heard |= self._named.intersection(symbol for symbol, _ in newest)
        self._silent += [member for member in scope.members if member not in newest]
        for member in scope.members:
            yield from self._awaited(member, newest.get(member))

    def remarks(self) -> Iterator[Notice]:
        """Say what was odd, such as symbols that there are none of, and series without any object: by name, if few."""
        group, span = self._group, self._spans[self._group.partition]
        if self._again:
            twice = f"the archive lists {self._again} objects more than once; the first entry counts"
            yield Notice(f"{group.label}: {twice}")
        if (more := self._doubted - SERIES_NAMED) > 0:
            yield Notice(f"{group.label}: the same of {more} more monthly objects", Topic.PLANNING)
        quiet = self._named - self._heard
        folders = folders_beside(group, quiet, self._list_folders)
        strange = quiet.difference(folders) if folders else frozenset()
        yield from unknown(strange, folders, f"{group.label}, {group.partition}")
        silent = sorted((member for member in self._silent if member[0] not in strange), key=str)
        what = f"the archive lists no {group.partition} objects in {span.first} to {span.last}"
        if len(silent) > SERIES_NAMED:
            yield Notice(f"{group.label}: {what} for {len(silent)} of the series", Topic.PLANNING)
            return
        for symbol, interval in silent:
            yield Notice(f"{' '.join(filter(None, (group.label, symbol, interval)))}: {what}", Topic.PLANNING)

    def _chosen(self, scope: Scope, members: frozenset[Member], listing: Listing) -> Iterator[Candidate]:
        streams = {partition: self._wanted(scope, partition, members, listing) for partition in scope.prefixes}
        days = streams[self._group.partition]
        if len(streams) == 1:
            return days
        return consolidated(streams[Partition.MONTHLY], days, self._known_short, self._say_at_first)

    def _wanted(
        self, scope: Scope, partition: Partition, members: frozenset[Member], listing: Listing
    ) -> Iterator[Candidate]:
        """Yield the listed objects that are wanted, each once."""
        span, row = self._spans[partition], self._group.row
        seen: dict[Member, int] = {}
        for prefix in scope.prefixes[partition]:
            for entry, has_sidecar in self._with_sidecars(listing.objects(prefix)):
                item = row.parse(entry.key)
                if item is None or (member := _member(item)) not in members:
                    continue
                if item.period.partition is not partition or not span.first <= item.period <= span.last:
                    continue
                bit, before = _bit(item, span.first), seen.get(member, 0)
                if before & bit:
                    self._again += 1
                    continue
                seen[member] = before | bit
                yield Candidate(item, RemoteStat(entry.size, entry.etag, entry.last_modified, has_sidecar))

    def _with_sidecars(self, listed: Iterable[Listed]) -> Iterator[tuple[Listed, bool]]:
        """Join each zip with the sidecar that follows it in the order of the keys."""
        waiting: Listed | None = None
        for entry in listed:
            if entry.key.endswith(SIDECAR_SUFFIX):
                if waiting is not None and entry.key == waiting.key + SIDECAR_SUFFIX:
                    yield waiting, True
                    waiting = None
            elif waiting is not None and entry.key == waiting.key:
                self._again += 1
            else:
                if waiting is not None:
                    yield waiting, False
                waiting = entry
        if waiting is not None:
            yield waiting, False

    def _awaited(self, member: Member, newest: date | None) -> Iterator[Candidate]:
        """Yield the periods behind the newest one of a series that may still be on their way.

        A series of which nothing is listed is only waited for if its symbol was named and is a real one, and all that
        is wanted of it is so recent.
        """
        partition = self._group.partition
        span = self._spans[partition]
        earliest = self._today - PUBLICATION_DELAY[partition]
        if newest is None and not (span.first.last_day >= earliest and self._is_real(member[0])):
            return
        if newest is not None and newest < earliest - _LIVING[partition]:
            return
        period = span.first if newest is None else Period.containing(newest + timedelta(days=1), partition)
        while period <= span.last:
            if period.last_day >= earliest:
                item = self._group.row.object(*member, period)
                yield Candidate(item, action=Action.WAIT, why=Absence.NOT_YET)
            period = period.next()

    def _say_at_first(self, notice: Notice) -> None:
        """Say that a month is not trusted, but only so often: nobody reads on for ever."""
        self._doubted += 1
        if self._doubted <= SERIES_NAMED:
            self._on_notice(notice)

    def _is_real(self, symbol: str) -> bool:
        """Whether a symbol was named, and the archive has a folder of it."""
        return symbol in self._named and symbol in self._list_folders()


def _member(item: ArchiveObject) -> Member:
    return item.series.symbol, item.series.interval


def _bit(item: ArchiveObject, first: Period) -> int:
    """Return a number with one bit, which stands for this key among those of its series.

    A series needs as many bits as it has days, so that the objects of a long listing cost next to no memory. A month
    of one digit is another key than the same month with its zero.
    """
    odd_date = str(item.period) not in item.key
    return 1 << (2 * (item.period.first_day - first.first_day).days + odd_date)
