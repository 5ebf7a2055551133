"""Reads the objects of a group out of a listing, series by series, and chooses those that have the wanted days."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.symbols import in_capitals, is_glob
from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import (
    Absence,
    Action,
    ArchiveObject,
    Candidate,
    Covered,
    Notice,
    Partition,
    Period,
    Series,
    Topic,
)
from crypto_archive.plan.availability import (
    LARGEST_LOOKED_INTO,
    ZIP_OVERHEAD_BYTES,
    Answers,
    MonthAnswer,
    MonthEvidence,
    ObjectDays,
    answers,
    due_before,
    month_answer,
    newest_partition,
    stop_of,
    wanted_days,
    whole_months,
)
from crypto_archive.plan.endings import Endings, Stop
from crypto_archive.plan.prefixes import Scope, chunked, scopes, span_of
from crypto_archive.plan.selection import resolve, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.plan.prefixes import Member, Span
    from crypto_archive.plan.selection import NamedSymbols, SeriesGroup
    from crypto_archive.root.listing import BucketListing
    from crypto_archive.root.listing_cache import Entry
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context

MONTHS_NAMED = 20
"""How many months, of those that a notice is about, are named one by one."""
SERIES_A_FOLDER = 4
"""So many series of a symbol cost as many requests as its whole folder of months: 16 intervals of ten years."""
AWAITED = {Partition.DAILY: timedelta(days=31), Partition.MONTHLY: timedelta(days=92)}
"""How long ago the period of an object that is waited for may be."""
SERIES_AT_ONCE = 50
"""How many series wait for a second look, and are then listed together."""


@dataclass(slots=True)
class ListedSeries:
    """The objects of a series that the archive lists.

    Attributes:
        series: The series.
        days: Its daily objects in the wanted span, by date.
        months: Its monthly objects, wanted or not, by their first day.
        seen: The days of all daily objects that were listed, wanted or not.
        knows_months: Whether all its months were listed.
    """

    series: Series
    days: list[Candidate] = field(default_factory=list)
    months: dict[date, Candidate] = field(default_factory=dict)
    seen: Days = dayset.NONE
    knows_months: bool = False
    _listed: list[Candidate] = field(default_factory=list)

    def take_days(self, listed: Iterable[Candidate], span: Span) -> None:
        """Take in all its daily objects; those outside of the wanted span are evidence only."""
        days = [*listed]
        dates = [one.object.period.first_day for one in days]
        if dates != sorted(dates):  # a day without its zero is listed elsewhere
            days.sort(key=_day_of)
            dates.sort()
        self._listed = days
        self.seen = dayset.of_days(dates)
        begin, end = bisect_left(dates, span.first.first_day), bisect_right(dates, span.last.first_day)
        self.days = days[begin:end]

    def there(self, group: SeriesGroup, stored: StoredFiles | None) -> tuple[ObjectDays, dict[date, MonthAnswer]]:
        """Return the days of its objects, and what is known of each of its months."""
        is_sole = newest_partition(group.row, self.series.interval) is Partition.MONTHLY
        found, answers_of = ObjectDays(daily=self.seen), dict[date, MonthAnswer]()
        contents = self._contents() if self.months else {}
        for first, month in self.months.items():
            days = dayset.of_period(month.object.period)
            remote, (payload, least) = month.remote, contents.get(first, (0, 0))
            known = MonthEvidence(
                size=remote.size if remote else None,
                days=Days(self.seen & days),
                payload=payload,
                least=least,
                rows=stored.month_days(month.object, remote) if stored else None,
                is_sole=is_sole,
                lacks_rows=stored is not None and remote is not None and stored.is_short(month.object.key, remote),
            )
            answer = answers_of[first] = month_answer(days, known)
            found |= ObjectDays(
                monthly=Days(
                    answer.holds | (answer.may_hold if answer.doubt is None else answer.may_hold & ~self.seen)
                ),
                unopened=answer.may_hold,
            )
        return found, answers_of

    def _contents(self) -> dict[date, tuple[int, int]]:
        """Return the content of the daily objects of each month, in bytes: of all, and of the smallest."""
        contents = {}
        for first, of_month in groupby(self._listed, key=_month_of):
            sizes = [max(0, day.remote.size - ZIP_OVERHEAD_BYTES) for day in of_month if day.remote]
            contents[first] = sum(sizes), min(sizes, default=0)
        return contents


@dataclass(slots=True)
class _Ended:
    """A series that stops; what its later days are is decided once all series of the group are known."""

    series: Series
    wanted: Days
    there: ObjectDays
    last: date


class ListedGroup:
    """Reads the objects of a group out of a listing, and remembers what is odd about them.

    Args:
        context: The context of the job.
        group: The series.
        listing: Lists the bucket.
        stored: Knows of which days stored monthly objects have rows; None to know nothing of that.
        names: Takes in which of the named symbols there are.
        endings: Knows the last days of other series; None for those of this group alone.
    """

    def __init__(
        self,
        context: Context,
        group: SeriesGroup,
        listing: BucketListing,
        stored: StoredFiles | None = None,
        names: NamedSymbols | None = None,
        endings: Endings | None = None,
    ) -> None:
        self._context = context
        self._group = group
        self._listing = listing
        listing.on_keys = context.planning.listed
        self._stored = stored
        self._names = names
        self._endings = endings or Endings(context, listing)
        self._spans = _spans(context, group)
        self._keys = {partition: KeyReader(group.row, partition) for partition in Partition}
        self._named: frozenset[str] = frozenset()
        self._found: set[str] = set()
        self._ended: list[_Ended] = []
        self._repeated = 0
        self._distrusted = 0
        self._brought: list[tuple[Candidate, int]] = []
        self._all_days = dayset.NONE

    def objects(self) -> Iterator[Candidate]:
        """Yield the objects that have the wanted days, with sizes, ETags and times, each once, series by series.

        The answer for every wanted day of each series goes to ``context.on_days``. Days that may still come are yielded
        too, as objects to wait for. A series that lacks days which are due is looked at once more: its months may have
        them, and show when the symbol came and went.

        Raises:
            EndpointUnreachable: The listing failed.
        """
        waiting: list[ListedSeries] = []
        for series in self.series():
            if self._needs_a_second_look(series):
                waiting.append(series)
            else:
                yield from self._planned(series)
            if len(waiting) >= SERIES_AT_ONCE:
                yield from self._second_look(waiting)
                waiting = []
        yield from self._second_look(waiting)
        if self._listing.is_cut_short:
            return  # what was listed so far proves nothing about the rest
        yield from self._of_the_ended()
        self._report_oddities()

    def days(self) -> Iterator[tuple[Series, ObjectDays]]:
        """Yield the days of all objects of each series that the bucket lists.

        Raises:
            EndpointUnreachable: The listing failed.
        """
        for found in self.series():
            there, _ = found.there(self._group, self._stored)
            if there.known:
                self._found.add(found.series.symbol)
                yield found.series, there
        if not self._listing.is_cut_short:
            self._report_oddities()

    def series(self) -> Iterator[ListedSeries]:
        """Yield what the bucket lists of each wanted series, also of those of which it lists nothing.

        A server may answer with more than was asked: objects of other series are left out.

        Raises:
            EndpointUnreachable: The listing failed.
        """
        row = self._group.row
        needs_folders = any(is_glob(symbol) or symbol != in_capitals(symbol) for symbol in self._group.symbols)
        is_removed = row.status in {Status.REMOVED, Status.NEVER_PUBLISHED}
        asks = self._type_is_there() if is_removed else needs_folders
        folders = self._folders if asks else ()
        if self._listing.is_cut_short:
            return
        self._group = spelled(self._group, folders)
        symbols = resolve(self._context, self._group, folders)
        self._named = frozenset(symbols).intersection(self._group.symbols)
        planning = self._context.planning
        planning.expect(len(symbols) * len(self._group.intervals))
        if is_removed:  # most of it is not worth a request
            absent = [symbol for symbol in symbols if symbol not in folders]
            members = ((symbol, interval) for symbol in absent for interval in self._group.intervals)
            yield from (ListedSeries(self._series(member)) for member in members)
            planning.read(len(absent) * len(self._group.intervals))
            symbols = tuple(symbol for symbol in symbols if symbol in folders)
        for chunk in chunked(scopes(self._group, self._spans, symbols, len(folders) if needs_folders else None)):
            prefixes = [prefix for scope in chunk for some in scope.prefixes.values() for prefix in some]
            if len(prefixes) > 1:
                self._listing.prepare(prefixes)
            for scope in chunk:
                yield from self._of_scope(scope)
                planning.read(len(dict.fromkeys(scope.members)))
                if self._listing.is_cut_short:
                    return

    def _type_is_there(self) -> bool:
        """Whether a type that should be gone has a folder; asked by its neighbours' folder, which every run knows."""
        row = self._group.row
        if not row.partitions:
            return False
        above, _, name = row.key_pattern.symbols_prefix(self._group.partition).removesuffix("/").rpartition("/")
        return name in self._listing.folders(f"{above}/")

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        """The folders of symbols in all wanted partitions; a symbol may be published in one partition only."""
        prefixes = map(self._group.row.key_pattern.symbols_prefix, self._spans or (self._group.partition,))
        return tuple(dict.fromkeys(name for prefix in prefixes for name in self._listing.folders(prefix)))

    def _of_scope(self, scope: Scope) -> Iterator[ListedSeries]:
        members = dict.fromkeys(scope.members)
        months: dict[Member, dict[date, Candidate]] = {}
        if Partition.MONTHLY in scope.prefixes:
            for series, some in self._wanted(scope, Partition.MONTHLY, members):
                of_member = months.setdefault((series.symbol, series.interval), {})
                of_member.update((_day_of(month), month) for month in some)
        knows_months = Partition.MONTHLY in scope.prefixes
        if Partition.DAILY in scope.prefixes:
            span = self._spans[Partition.DAILY]
            for series, parts in groupby(self._wanted(scope, Partition.DAILY, members), key=itemgetter(0)):
                member = series.symbol, series.interval
                found = ListedSeries(series, months=months.pop(member, {}), knows_months=knows_months)
                found.take_days([day for _, some in parts for day in some], span)
                members.pop(member, None)
                yield found
        for member in members:
            yield ListedSeries(self._series(member), months=months.get(member, {}), knows_months=knows_months)

    def _series(self, member: Member) -> Series:
        return Series(self._group.row.market, self._group.row.data_type, *member)

    def _wanted(
        self, scope: Scope, partition: Partition, members: Iterable[Member]
    ) -> Iterator[tuple[Series, list[Candidate]]]:
        """Yield the listed objects of the wanted series, each once, whatever their dates; those that come together."""
        wanted, keys = frozenset(members), self._keys[partition]
        entries = (entry for prefix in scope.prefixes[partition] for entry in self._listing.objects(prefix))
        # A bit per key, but for odd ones: so the objects of a long listing cost next to no memory.
        before: dict[Series, Days] = {}
        odd: set[str] = set()
        for series, listed in groupby(keys.read(entries), key=_series_of):
            if (series.symbol, series.interval) not in wanted:
                continue
            some, earlier = [*listed], before.get(series, dayset.NONE)
            names, days = {one.object.key for one in some}, _days_listed(some)
            if len(names) < len(some) or not odd.isdisjoint(names) or earlier & days:
                new: dict[str, Candidate] = {}
                for one in some:
                    key = one.object.key
                    if key not in odd and (key in keys.odd or not dayset.has(earlier, _day_of(one))):
                        new.setdefault(key, one)
                self._repeated += len(some) - len(new)
                some = [*new.values()]
            if keys.odd:
                odd |= keys.odd & names
                days = _days_listed(one for one in some if one.object.key not in odd)
            before[series] = Days(earlier | days)
            yield series, some

    # Second looks

    def _needs_a_second_look(self, found: ListedSeries) -> bool:
        """Whether days that are due are lacking, and more of the listing may have them or say why."""
        group, today = self._group, self._context.today
        row = group.row
        if self._listing.is_cut_short or row.status in {Status.REMOVED, Status.NEVER_PUBLISHED}:
            return False
        there, _ = found.there(group, self._stored)
        wanted = wanted_days(group.row, group.dates, today, there.known)
        due = due_before(newest_partition(group.row, found.series.interval, group.partitions), today)
        if row.last_date is not None and not found.seen:
            due = Days(due & dayset.before(row.last_date + timedelta(days=1)))
        return bool(wanted & due & ~there.known) and bool(self._prefixes_to_look_at(found, Days(wanted & due)))

    def _prefixes_to_look_at(self, found: ListedSeries, wanted: Days) -> dict[Partition, tuple[str, ...]]:
        """Return what to list of a series that lacks days.

        That is all its months, if those may have the days or show when it came and went. Of a type without months it is
        all its days, if days at an end of the wanted ones are lacking. Of a hole it is also the whole year, of which
        daily keys without a leading zero are at another place.
        """
        group, series = self._group, found.series
        pattern, lacking = group.row.key_pattern, Days(wanted & ~found.seen)
        prefixes: dict[Partition, tuple[str, ...]] = {}
        days = pattern.series_prefix(Partition.DAILY, series.symbol, series.interval)
        has_months = Partition.MONTHLY in group.row.partitions and (
            series.interval is None or series.interval in group.row.intervals(Partition.MONTHLY)
        )
        holes = Days(lacking & dayset.enclosed(found.seen))
        if has_months and not found.knows_months:
            prefixes[Partition.MONTHLY] = (pattern.series_prefix(Partition.MONTHLY, series.symbol, series.interval),)
        elif not has_months and Partition.DAILY in self._spans and lacking & ~dayset.enclosed(found.seen):
            prefixes[Partition.DAILY] = (days,)
        first, last = dayset.first(holes), dayset.last(holes)
        if holes and Partition.DAILY not in prefixes and Partition.DAILY in self._spans and first and last:
            listed = self._spans[Partition.DAILY].dates
            if any(len(beginning) > len("2025-") for beginning in listed):
                prefixes[Partition.DAILY] = tuple(f"{days}{year}-" for year in range(first.year, last.year + 1))
        return prefixes

    def _second_look(self, waiting: Sequence[ListedSeries]) -> Iterator[Candidate]:
        """List more of some series, and plan them."""
        group, today = self._group, self._context.today
        wanted = wanted_days(group.row, group.dates, today)
        due = due_before(newest_partition(group.row, None, group.partitions), today)
        looks = [(found, self._prefixes_to_look_at(found, Days(wanted & due))) for found in waiting]
        of_symbol = Counter(found.series.symbol for found, by_part in looks if Partition.MONTHLY in by_part)
        for found, by_part in looks:
            if of_symbol[found.series.symbol] >= SERIES_A_FOLDER:
                folder = f"{group.row.key_pattern.symbols_prefix(Partition.MONTHLY)}{found.series.symbol}/"
                by_part[Partition.MONTHLY] = (folder,)
        prefixes = [prefix for _, by_part in looks for some in by_part.values() for prefix in some]
        if len(prefixes) > 1:
            self._listing.prepare(prefixes)
        for found, by_part in looks:
            if self._listing.is_cut_short:
                return
            self._look_at(found, by_part)
        # A symbol too young for months, or one of other days.
        unknown_yet = [found for found, by_part in looks if not found.seen and not found.months and by_part]
        if Partition.DAILY in self._spans and unknown_yet:
            folders: tuple[str, ...] = ()
            with suppress(EndpointUnreachable):
                folders = self._folders
            pattern = group.row.key_pattern
            for found in unknown_yet:
                if found.series.symbol in folders:
                    symbol, interval = found.series.symbol, found.series.interval
                    prefix = pattern.series_prefix(Partition.DAILY, symbol, interval)
                    self._look_at(found, {Partition.DAILY: (prefix,)})
        for found, _ in looks:
            if self._listing.is_cut_short:
                return
            yield from self._planned(found)

    def _look_at(self, found: ListedSeries, prefixes: dict[Partition, tuple[str, ...]]) -> None:
        scope = Scope(((found.series.symbol, found.series.interval),), prefixes, 0)
        repeated = self._repeated
        for partition in prefixes:
            parts = self._wanted(scope, partition, scope.members)
            self._take_in(found, [one for _, some in parts for one in some], partition)
        self._repeated = repeated  # what is listed twice was counted before

    def _take_in(self, found: ListedSeries, listed: Iterable[Candidate], partition: Partition) -> None:
        """Add what a second look lists to a series."""
        if partition is Partition.MONTHLY:
            found.months = {month.object.period.first_day: month for month in listed}
            found.knows_months = True
            return
        found.take_days(listed, self._spans[Partition.DAILY])  # all that was listed before, and more

    # The plan of a series

    def _planned(self, found: ListedSeries) -> Iterator[Candidate]:
        """Yield the objects that have the wanted days of a series; account for the others, or keep them for the end."""
        group, today, series = self._group, self._context.today, found.series
        there, months = found.there(group, self._stored)
        wanted = wanted_days(group.row, group.dates, today, there.known)
        if found.days or found.months:
            self._found.add(series.symbol)
            self._all_days = Days(self._all_days | there.known)
        yield from self._chosen(found, months, wanted, there)
        if not there.known and series.symbol not in self._named:
            return  # it has other intervals, or its folder is that of another partition
        partitions = group.partitions
        known = there.known if Partition.DAILY in partitions else there.monthly
        stop = stop_of(known, group.row, series.interval, today, partitions)
        goes_on = stop is None or not wanted & ~dayset.before(stop) & ~there.known
        if known:  # what goes on to the end of the wanted days is not known to stop
            self._endings.note(series, today - timedelta(days=1) if stop is None or goes_on else stop)
        if stop is None or goes_on:
            answer = answers(series, group.row, wanted, there, today, partitions=partitions)
            yield from self._accounted(self._awaiting(answer, there))
        else:
            self._ended.append(_Ended(series, wanted, there, stop))

    def _chosen(
        self, found: ListedSeries, months: dict[date, MonthAnswer], wanted: Days, there: ObjectDays
    ) -> Iterator[Candidate]:
        """Yield the objects of a series that have wanted days: for each month the monthly, the daily, or both."""
        group = self._group
        if group.partition is Partition.MONTHLY:
            for first, one in found.months.items():
                if in_month := Days(dayset.of_period(one.object.period) & wanted):
                    yield one._replace(look=_look(one, months[first], in_month))
            return
        chosen = found.days
        if there.daily & ~wanted:
            chosen = [day for day in chosen if dayset.has(wanted, _day_of(day))]
        if not (group.consolidates and found.months):
            yield from chosen
            return
        days = {first: list(some) for first, some in groupby(chosen, key=_month_of)}
        for first in sorted({*days, *found.months}):
            of_month, month = days.get(first, []), found.months.get(first)
            if month is None:
                yield from of_month
            else:
                yield from self._month_or_days(month, of_month, months[first], wanted, there)

    def _month_or_days(
        self, month: Candidate, days: list[Candidate], answer: MonthAnswer, wanted: Days, there: ObjectDays
    ) -> Iterator[Candidate]:
        """Yield the monthly object if it is wanted as a whole, or has days that no daily one has; else the daily ones.

        Of a month that was looked into, the daily objects of the days that it lacks are yielded too.
        """
        of_month = dayset.of_period(month.object.period)
        daily = Days(there.daily & of_month)
        only_here = Days((answer.holds | answer.may_hold) & wanted & ~daily)
        row, today = self._group.row, self._context.today
        whole = whole_months(row, self._group.dates, today)
        is_whole = whole is not None and whole[0] <= month.object.period <= whole[1]
        if answer.doubt is not None and is_whole and days:
            self._report_distrust(
                Notice(
                    f"{month.object.series} {month.object.period}: {answer.doubt}; planning its daily objects",
                    Topic.PLANNING,
                )
            )
        if not only_here and (answer.doubt is not None or not is_whole):
            yield from days
            return
        replaced: list[Candidate] = []
        for day in days:
            of_day = dayset.of_period(day.object.period)
            if answer.doubt is None and of_day & (answer.holds | answer.may_hold):
                replaced.append(day)
            else:
                yield day
        covers = None
        instead = Days(only_here | _days_of(replaced))
        if replaced:
            size = sum(day.remote.size for day in replaced if day.remote)
            covers = Covered(len(replaced), size, _bits(instead, month) if answer.by_size else 0)
        further = dayset.count(Days((answer.holds | answer.may_hold) & ~wanted))
        if further and not is_whole:
            self._brought.append((month, further))
        yield month._replace(covers=covers, look=_look(month, answer, instead))

    def _awaiting(self, answer: Answers, there: ObjectDays) -> Answers:
        """Return the answer of a series of which nothing is known, where its symbol is: it may begin just now."""
        due = due_before(newest_partition(self._group.row, answer.series.interval), self._context.today)
        if there.known or answer.wanted & due or Absence.NEVER_PUBLISHED not in answer.absent:
            return answer
        folders: tuple[str, ...] = ()
        if not self._is_seen_elsewhere(answer.series.symbol):
            with suppress(EndpointUnreachable):
                folders = self._folders
            if answer.series.symbol not in folders:
                return answer
        absent = dict(answer.absent)
        absent[Absence.NOT_YET] = absent.pop(Absence.NEVER_PUBLISHED)
        return replace(answer, absent=absent)

    def _is_seen_elsewhere(self, symbol: str) -> bool:
        """Whether a symbol need not be asked for where no period is over: the archive has it in another type."""
        return not self._spans and self._endings.knows(self._group.row.market, symbol)

    def _of_the_ended(self) -> Iterator[Candidate]:
        """Account for the series that stop, now that all are known."""
        group = self._group
        partition = group.partition
        endings = self._endings.of(group.row, partition, [Stop(one.series, one.last) for one in self._ended])
        for one in self._ended:
            yield from self._accounted(
                answers(
                    one.series, group.row, one.wanted, one.there, self._context.today,
                    ending=endings[one.series], partitions=group.partitions,
                )
            )  # fmt: skip

    def _accounted(self, answer: Answers) -> Iterator[Candidate]:
        """Report the answer of a series, and yield the recent objects to wait for.

        Older ones are not forgotten: whoever wants their days still lists them.
        """
        if (summed := answer.summed()) is not None:
            self._context.on_days(summed)
        group, span = self._group, self._spans.get(self._group.partition)
        if span is None:
            return
        recent = Days(~dayset.before(self._context.today - AWAITED[group.partition]))
        for reason, days in answer.absent.items():
            if reason.may_end:
                for period in _periods(Days(days & recent), group.partition):
                    if period <= span.last:
                        item = group.row.object(answer.series.symbol, answer.series.interval, period)
                        yield Candidate(item, action=Action.WAIT, why=reason)

    # Oddities

    def _report_distrust(self, notice: Notice) -> None:
        """Report a month that is not trusted, up to a number that people read."""
        self._distrusted += 1
        if self._distrusted <= MONTHS_NAMED:
            self._context.on_notice(notice)

    def _report_oddities(self) -> None:
        """Report what was odd, such as unknown symbols: by name, if they are few."""
        label, on_notice = self._group.label, self._context.note
        if self._repeated:
            what = f"the archive lists {self._repeated} objects more than once; the first entry counts"
            on_notice(Notice(f"{label}: {what}"))
        if (more := self._distrusted - MONTHS_NAMED) > 0:
            on_notice(Notice(f"{label}: planning daily objects for {more} more months", Topic.PLANNING))
        if self._brought:
            months = ", ".join(f"{month.object.series.symbol} {month.object.period}" for month, _ in self._brought[:3])
            more_months = f" and {len(self._brought) - 3:,} more" if len(self._brought) > 3 else ""
            further = sum(days for _, days in self._brought)
            what = f"some days are only in monthly objects, which bring {further:,} further days"
            on_notice(Notice(f"{label}: {what}: {months}{more_months}", Topic.PLANNING))
        self._compare_with_matrix()
        self._found |= set(filter(self._is_seen_elsewhere, self._named))
        published = self._group.row.status in {Status.ACTIVE, Status.DISCONTINUED}
        if published and (quiet := self._named - self._found):
            folders: tuple[str, ...] = ()
            with suppress(EndpointUnreachable):  # the plan is complete without the answer
                folders = self._folders
            if self._listing.is_cut_short:
                return
            if self._names is not None:
                strange = quiet.difference(folders) if folders else frozenset()
                self._names.note(self._group.row, self._found | quiet.intersection(folders), strange, folders)
        elif published and self._names is not None:
            self._names.note(self._group.row, self._found)

    def _compare_with_matrix(self) -> None:
        """Report where the archive and the dates of the matrix differ, and what of a type is over."""
        row, label, dates = self._group.row, self._group.label, self._group.dates
        first, last = dayset.first(self._all_days), dayset.last(self._all_days)
        if first is not None and row.first_date is not None and first < row.first_date:
            what = f"the archive has data of {first}; the matrix says that it starts {row.first_date}"
            self._context.on_notice(Notice(f"{label}: {what}"))
        if row.last_date is None:
            return
        if last is not None and last > row.last_date:
            what = f"the archive has data of {last}; the matrix says that it ends {row.last_date}"
        elif row.status is Status.REMOVED:
            what = f"removed from the archive, last day {row.last_date}; nothing to plan"
        elif dates.start is not None and dates.start > row.last_date:
            what = f"discontinued, last day {row.last_date}; nothing to plan"
        elif dates.end is None or dates.end > row.last_date:
            self._context.note(
                Notice(
                    f"{label}: discontinued; planning up to its last day {row.last_date}",
                    Topic.PLANNING,
                    about=("data_types", "date_range"),
                )
            )
            return
        else:
            return
        self._context.note(Notice(f"{label}: {what}", about=("data_types",)))


def _periods(days: Days, partition: Partition) -> Iterator[Period]:
    """Yield the days, or the months that have any of them."""
    for month, of_month in dayset.months(days):
        if not days & of_month:
            continue
        if partition is Partition.MONTHLY:
            yield month
            continue
        for run in dayset.runs(Days(days & of_month)):
            day = Period(Partition.DAILY, run.start) if run.start else None
            while day is not None and run.end is not None and day.first_day <= run.end:
                yield day
                day = day.next()


def _days_of(candidates: Iterable[Candidate]) -> Days:
    days = 0
    for one in candidates:
        days |= dayset.of_period(one.object.period)
    return Days(days)


def _look(month: Candidate, answer: MonthAnswer, instead: Days) -> int:
    """Return the days that a month is to have, as bits, if its rows are to be looked into for them; else 0."""
    is_small = month.remote is not None and month.remote.size <= LARGEST_LOOKED_INTO
    return _bits(instead, month) if answer.may_hold & instead and is_small else 0


def _bits(days: Days, month: Candidate) -> int:
    """Return days of a month as one bit per day of the month."""
    return days >> (month.object.period.first_day - dayset.FIRST_DAY).days


def _day_of(one: Candidate) -> date:
    return one.object.period.first_day


def _days_listed(some: Iterable[Candidate]) -> Days:
    """Return the first days of the periods of objects."""
    return dayset.of_days([one.object.period.first_day for one in some])


def _month_of(one: Candidate) -> date:
    return one.object.period.first_day.replace(day=1)


def _series_of(one: Candidate) -> Series:
    return one.object.series


def _spans(context: Context, group: SeriesGroup) -> dict[Partition, Span]:
    """Return the wanted periods by partition; months first, where their objects may replace daily ones."""
    today = context.today
    days = span_of(group, group.partition, today)
    if days is None:
        return {}
    # Months of which only a part is wanted are listed later, for the series that lack days.
    if group.consolidates and whole_months(group.row, group.dates, today) is not None:
        months = span_of(group, Partition.MONTHLY, today)
        if months is not None:
            return {Partition.MONTHLY: months, group.partition: days}
    return {group.partition: days}


def _member(item: ArchiveObject) -> Member:
    return item.series.symbol, item.series.interval


class KeyReader:
    """Reads the keys of a row in one partition.

    Those of a series differ in their dates alone, and most series have the same dates: so few have to be parsed.

    Attributes:
        odd: The keys so far that are not alone in having their series and date, such as one whose month lacks its
            leading zero (``2020-8``).
    """

    def __init__(self, row: Row, partition: Partition) -> None:
        self._row = row
        self._partition = partition
        self._periods: dict[str, Period] = {}
        self.odd: set[str] = set()

    def read(self, entries: Iterable[Entry]) -> Iterator[Candidate]:
        """Yield the objects of the partition; other keys are left out."""
        periods, series = self._periods, None
        head, tail, begin, end = "", "", 0, 0
        new = tuple.__new__  # in half the time of a named tuple's own, which is a Python function
        for key, stat in entries:
            if series is not None and key.startswith(head) and key.endswith(tail):
                period = periods.get(key[begin : len(key) - end])
                if period is not None:
                    item = new(ArchiveObject, (key, series, period))
                    yield new(Candidate, (item, stat, None, None, None, "", None, 0))
                    continue
            parsed = self._row.parse(key)
            if parsed is None or parsed.period.partition is not self._partition:
                continue
            text = str(parsed.period)
            prefix = self._row.key_pattern.series_prefix(self._partition, parsed.series.symbol, parsed.series.interval)
            if key.startswith(prefix + text) and parsed.period.first_day >= dayset.FIRST_DAY:
                series, head, tail = parsed.series, prefix, key[len(prefix + text) :]
                begin, end = len(head), len(tail)
                periods[text] = parsed.period
            else:
                self.odd.add(key)
            yield Candidate(parsed, stat)
