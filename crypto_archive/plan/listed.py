"""Reads the objects of a group out of a listing; chooses months in place of days."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive.catalog.symbols import in_capitals, is_glob, is_settled
from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Absence,
    Action,
    Candidate,
    Covered,
    DateRange,
    Notice,
    Partition,
    Period,
    RemoteStat,
    Topic,
)
from crypto_archive.plan.availability import PUBLICATION_DELAY, whole_months
from crypto_archive.plan.prefixes import chunked, scopes, span_of
from crypto_archive.plan.selection import resolve, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.model import ArchiveObject, OnNotice, Series
    from crypto_archive.plan.prefixes import Member, Scope, Span
    from crypto_archive.plan.selection import NamedSymbols, SeriesGroup
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context
    from crypto_archive.s5cmd.output import Listed

SHORT_SHARE = 0.6
"""A monthly object with less than this share of its days' bytes does not hold all of them."""
ZIP_OVERHEAD_BYTES = 150
"""What a zip of one CSV takes besides its content, with names of the archive's length."""
LEAST_PAYLOAD_BYTES = 1000
"""With less content per day, as in 1d klines, sizes prove nothing: joined, days pack better than one zip each."""
SERIES_NAMED = 20
"""How many series without any object, or months that are not trusted, are named one by one."""
_ASKED = ("symbols", "data_types", "intervals", "date_range")
"""The fields that a notice about a series without objects comments on."""
_LIVING = {Partition.DAILY: timedelta(days=7), Partition.MONTHLY: timedelta(days=62)}
"""How much longer ago than the archive's usual delay the newest object of a series may be, for more to be expected."""


class ListedGroup:
    """Reads the objects of a group out of a listing, scope by scope, and remembers what is odd about them.

    Args:
        context: The context of the job.
        group: The series.
        listing: Lists the bucket.
        stored: Knows monthly objects that were found to lack rows; None to trust all of them.
        names: Takes in which of the named symbols there are.
    """

    def __init__(
        self,
        context: Context,
        group: SeriesGroup,
        listing: BucketListing,
        stored: StoredFiles | None = None,
        names: NamedSymbols | None = None,
    ) -> None:
        self._context = context
        self._group = group
        self._listing = listing
        self._stored = stored
        self._names = names
        self._spans = _spans(context, group)
        self._named: frozenset[str] = frozenset()
        self._found: set[str] = set()
        self._silent: list[Member] = []
        self._before: dict[Member, date] = {}
        self._repeated = 0
        self._distrusted = 0

    def objects(self) -> Iterator[Candidate]:
        """Yield the objects that the bucket lists, with sizes, ETags and times, each once, series by series.

        A server may answer with more than was asked: objects of other series are left out. Recent days that a living
        series lacks are yielded too, as objects to wait for.

        Raises:
            EndpointUnreachable: The listing failed.
        """
        if not self._spans:
            return
        needs_folders = any(is_glob(symbol) or symbol != in_capitals(symbol) for symbol in self._group.symbols)
        folders = self._folders if needs_folders else ()
        if self._listing.is_cut_short:
            return
        self._group = spelled(self._group, folders)
        symbols = resolve(self._context, self._group, folders)
        self._named = frozenset(symbols).intersection(self._group.symbols)
        for chunk in chunked(scopes(self._group, self._spans, symbols, len(folders) if needs_folders else None)):
            prefixes = [prefix for scope in chunk for some in scope.prefixes.values() for prefix in some]
            if len(prefixes) > 1:
                self._listing.prepare(prefixes)
            for scope in chunk:
                yield from self._of_scope(scope)
                if self._listing.is_cut_short:
                    return  # what was listed so far proves nothing about the rest
        self._report_oddities()

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        """The folders of symbols in all wanted partitions; a symbol may be published in one partition only."""
        prefixes = map(self._group.row.key_pattern.symbols_prefix, self._spans)
        return tuple(dict.fromkeys(name for prefix in prefixes for name in self._listing.folders(prefix)))

    def _of_scope(self, scope: Scope) -> Iterator[Candidate]:
        """Yield the wanted objects of a scope, then those to wait for."""
        members = frozenset(scope.members)
        streams = {partition: self._wanted(scope, partition, members) for partition in scope.prefixes}
        chosen = streams[self._group.partition]
        if len(streams) > 1:
            chosen = consolidated(streams[Partition.MONTHLY], chosen, self._stored, self._report_distrust)
        newest: dict[Member, date] = {}
        for candidate in chosen:
            member, day = _member(candidate.object), candidate.object.period.last_day
            newest[member] = max(day, newest.get(member, day))
            yield candidate
        if self._listing.is_cut_short:
            return
        self._found |= self._named.intersection(symbol for symbol, _ in newest)
        self._silent += [member for member in scope.members if member not in newest]
        for member in scope.members:
            yield from self._awaited(member, newest.get(member))

    def _wanted(self, scope: Scope, partition: Partition, members: frozenset[Member]) -> Iterator[Candidate]:
        """Yield the listed objects that are wanted, each once."""
        span, row = self._spans[partition], self._group.row
        seen: dict[Member, int] = {}
        for prefix in scope.prefixes[partition]:
            for key, stat in self._with_sidecars(self._listing.objects(prefix)):
                item = row.parse(key)
                if item is None or (member := _member(item)) not in members:
                    continue
                if item.period.partition is not partition or not span.first <= item.period <= span.last:
                    self._before[member] = max(item.period.last_day, self._before.get(member, item.period.last_day))
                    continue
                bit, before = _bit(item, span.first), seen.get(member, 0)
                if before & bit:
                    self._repeated += 1
                    continue
                seen[member] = before | bit
                yield Candidate(item, stat)

    def _with_sidecars(self, listed: Iterable[Listed]) -> Iterator[tuple[str, RemoteStat]]:
        """Join each zip with the sidecar that follows it in the order of the keys."""
        last: Listed | None = None
        for entry in listed:
            if entry.key.endswith(SIDECAR_SUFFIX):
                if last is not None and entry.key == last.key + SIDECAR_SUFFIX:
                    yield last.key, replace(last.stat, sidecar_etag=entry.stat.etag or None)
                    last = None
            elif last is not None and entry.key == last.key:
                self._repeated += 1
            else:
                if last is not None:
                    yield last.key, replace(last.stat, has_sidecar=False)
                last = entry
        if last is not None:
            yield last.key, replace(last.stat, has_sidecar=False)

    def _awaited(self, member: Member, newest: date | None) -> Iterator[Candidate]:
        """Yield the periods after the newest one of a series that may still be published.

        A series without any listed object is only waited for if all wanted periods are that recent, and its symbol was
        named and has a folder, or a glob matches it and the series has an object shortly before them.
        """
        partition = self._group.partition
        span = self._spans[partition]
        earliest = self._context.today - PUBLICATION_DELAY[partition]
        if newest is not None and newest < earliest - _LIVING[partition]:
            return
        if newest is None and span.first.last_day < earliest:
            return
        if newest is None and not (
            member[0] in self._folders
            if member[0] in self._named
            else self._lived_until(member) >= earliest - _LIVING[partition]
        ):
            return
        period = span.first if newest is None else Period.containing(newest + timedelta(days=1), partition)
        while period <= span.last:
            if period.last_day >= earliest:
                item = self._group.row.object(*member, period)
                yield Candidate(item, action=Action.WAIT, why=Absence.NOT_YET)
            period = period.next()

    def _lived_until(self, member: Member) -> date:
        """Return the last day before the wanted ones of which the listing shows an object of a series."""
        partition, first = self._group.partition, self._spans[self._group.partition].first
        begins_year = first.first_day.month <= 2  # so that the year which was listed does not show it
        if begins_year and partition is Partition.MONTHLY and member not in self._before and not is_settled(member[0]):
            year = first.first_day.year - 1
            prefix = f"{self._group.row.key_pattern.series_prefix(partition, *member)}{year}-"
            months = (self._group.row.parse(entry.key) for entry in self._listing.objects(prefix))
            self._before[member] = max((item.period.last_day for item in months if item), default=date.min)
        return self._before.get(member, date.min)

    def _report_distrust(self, notice: Notice) -> None:
        """Report a month that is not trusted, up to a number that people read."""
        self._distrusted += 1
        if self._distrusted <= SERIES_NAMED:
            self._context.on_notice(notice)

    def _report_oddities(self) -> None:
        """Report what was odd, such as unknown symbols and series without any object: by name, if they are few."""
        label, on_notice, span = self._group.label, self._context.note, self._spans[self._group.partition]
        if self._repeated:
            what = f"the archive lists {self._repeated} objects more than once; the first entry counts"
            on_notice(Notice(f"{label}: {what}"))
        if (more := self._distrusted - SERIES_NAMED) > 0:
            on_notice(Notice(f"{label}: planning daily objects for {more} more months", Topic.PLANNING))
        folders: tuple[str, ...] = ()
        if quiet := self._named - self._found:
            with suppress(EndpointUnreachable):  # the plan is complete without the answer
                folders = self._folders
            if self._listing.is_cut_short:
                return
        strange = quiet.difference(folders) if folders else frozenset()
        if self._names is not None:
            self._names.note(self._group.row, self._found | quiet.intersection(folders), strange, folders)
        silent = sorted((member for member in self._silent if member[0] not in strange), key=str)
        what = f"no {self._group.partition} objects in the archive from {span.first} to {span.last}"
        if len(silent) > SERIES_NAMED:
            on_notice(Notice(f"{label}: {what} for {len(silent)} series", Topic.PLANNING, about=_ASKED))
        else:
            for symbol, interval in silent:
                series = " ".join(filter(None, (label, symbol, interval)))
                on_notice(Notice(f"{series}: {what}", Topic.PLANNING, about=_ASKED))


def consolidated(
    months: Iterable[Candidate], days: Iterable[Candidate], stored: StoredFiles | None, on_notice: OnNotice
) -> Iterator[Candidate]:
    """Yield each month as its monthly object, where that is listed and holds its days, else as its daily objects.

    Args:
        months: The listed monthly objects of whole months.
        days: The listed daily objects, those of one series and month following one another.
        stored: Knows monthly objects that were found to lack rows; None to trust all of them.
        on_notice: Takes a notice for each month that is listed but not trusted.
    """
    listed = {(month.object.series, month.object.period.first_day): month for month in months}
    for (series, first_day), group in groupby(days, key=_month_of):
        of_month = tuple(group)
        month = listed.pop((series, first_day), None)
        if month is None:
            yield from of_month
        elif doubt := _doubt(month, of_month, stored):
            yield from of_month
            what = f"{series} {month.object.period}: {doubt}; planning its daily objects"
            on_notice(Notice(what, Topic.PLANNING))
        else:
            size = sum(day.remote.size for day in of_month if day.remote)
            yield month._replace(covers=Covered(len(of_month), size))
    yield from listed.values()


def _month_of(day: Candidate) -> tuple[Series, date]:
    return day.object.series, day.object.period.first_day.replace(day=1)


def _doubt(month: Candidate, days: tuple[Candidate, ...], stored: StoredFiles | None) -> str | None:
    """Return why a monthly object is not trusted, None if it is."""
    if month.remote is None:
        return None
    if stored is not None and stored.is_short(month.object.key, month.remote):
        return "the monthly object is known to lack rows"
    payload = sum(max(0, day.remote.size - ZIP_OVERHEAD_BYTES) for day in days if day.remote)
    content = month.remote.size - ZIP_OVERHEAD_BYTES
    if payload >= LEAST_PAYLOAD_BYTES * len(days) and content < SHORT_SHARE * payload:
        return f"the monthly object is too small, {month.remote.size:,} bytes where its days have {payload:,}"
    return None


def _spans(context: Context, group: SeriesGroup) -> dict[Partition, Span]:
    """Return the wanted periods by partition; whole months first, where their objects may replace daily ones."""
    today = context.today
    days = span_of(group, group.partition, today)
    if days is None:
        return {}
    months = whole_months(group.row, group.dates, today) if group.consolidates else None
    if months is None:
        return {group.partition: days}
    of_months = replace(group, dates=DateRange(months[0].first_day, months[1].last_day))
    span = span_of(of_months, Partition.MONTHLY, today)
    return {Partition.MONTHLY: span, group.partition: days} if span else {group.partition: days}


def _member(item: ArchiveObject) -> Member:
    return item.series.symbol, item.series.interval


def _bit(item: ArchiveObject, first: Period) -> int:
    """Return a number with one bit, which marks this key among those of its series.

    A series needs as many bits as it has days, so that the objects of a long listing cost next to no memory. One known
    key has a month without its leading zero (``2020-8``); it differs from the key with the zero.
    """
    odd_date = str(item.period) not in item.key
    return 1 << (2 * (item.period.first_day - first.first_day).days + odd_date)
