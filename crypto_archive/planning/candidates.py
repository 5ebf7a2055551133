"""The objects that a group of series may consist of: by the calendar, or as the bucket lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING

from crypto_archive.model import SIDECAR_SUFFIX, ArchiveObject, Candidate, Notice, Partition, RemoteStat
from crypto_archive.planning.calendar import periods
from crypto_archive.planning.symbols import ListFolders, Say, folders_beside, resolve, resolve_offline, unknown

if TYPE_CHECKING:
    from datetime import date

    from crypto_archive.matrix import Matrix
    from crypto_archive.model import Period
    from crypto_archive.planning.selection import SeriesGroup
    from crypto_archive.s5cmd.protocol import Listed

ListObjects = Callable[[Iterable[str]], Iterator["Listed"]]

SERIES_NAMED = 20
"""How many series without any object are named one by one."""


def by_calendar(group: SeriesGroup, matrix: Matrix, today: date, say: Say) -> Iterator[Candidate]:
    """Yield every object that the calendar allows, without asking anybody.

    Globs are matched against the matrix's default symbols, since nothing else is known without a listing.

    Args:
        group: The series.
        matrix: Gives the default symbols.
        today: The current UTC day.
        say: Takes a notice when globs had to be resolved that way, and when filters leave no symbol.
    """
    known = (group.row.symbol(name) for name in matrix.symbols.get(group.row.market, ()))
    for symbol in resolve_offline(group, dict.fromkeys(known), say):
        for interval in group.intervals:
            for period in periods(group.partition, group.dates, today):
                yield Candidate(group.row.object(symbol, interval, period))


def by_listing(
    group: SeriesGroup, today: date, list_objects: ListObjects, list_folders: ListFolders, say: Say
) -> Iterator[Candidate]:
    """Yield the objects that the bucket lists, with their sizes, ETags and times, each once.

    What the listing says is not believed to be an answer to what was asked: objects of other series are left out.

    Args:
        group: The series.
        today: The current UTC day.
        list_objects: Lists the objects under prefixes, in any interleaving but sorted by key within a prefix.
        list_folders: Lists the folders directly under a prefix; asked only when there are globs, or a named symbol has
            no object.
        say: Takes a notice for each series without any object, and for each symbol that the archive does not have.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    list_folders = cache(list_folders)
    symbols = resolve(group, list_folders, say)
    wanted = list(periods(group.partition, group.dates, today))
    if not wanted:
        return
    first, last = wanted[0], wanted[-1]
    dates = _common_start(first, last)
    seen = {(symbol, interval): 0 for symbol in symbols for interval in group.intervals}
    odd: Counter[str] = Counter()
    prefixes = (
        group.row.key_pattern.series_prefix(group.partition, symbol, interval) + dates
        for symbol in symbols
        for interval in group.intervals
    )

    def is_wanted(item: ArchiveObject) -> bool:
        period = item.period
        return _series(item) in seen and period.partition is group.partition and first <= period <= last

    for candidate in _with_sidecars(list_objects(prefixes), group, is_wanted, odd):
        series, bit = _series(candidate.object), _bit(candidate.object, first)
        odd["again"] += bool(seen[series] & bit)
        if not seen[series] & bit:
            seen[series] |= bit
            yield candidate
    if odd["again"]:
        say(Notice(f"{group.label}: the archive lists {odd['again']} objects more than once; the first entry counts"))
    silent = {series for series, days in seen.items() if not days}
    quiet = {symbol for symbol, _ in silent} - {symbol for (symbol, _), days in seen.items() if days}
    if folders := folders_beside(group, quiet, list_folders):
        for notice in unknown(quiet, folders, f"{group.label}, {group.partition}"):
            say(notice)
        silent = {series for series in silent if series[0] not in quiet.difference(folders)}
    for notice in _silence(group, silent, f"no {group.partition} objects in {first} to {last}"):
        say(notice)


def _series(item: ArchiveObject) -> tuple[str, str | None]:
    return item.series.symbol, item.series.interval


def _bit(item: ArchiveObject, first: Period) -> int:
    """Return a number with one bit, which stands for this key among those of its series.

    A series needs as many bits as it has days, so that the objects of a long listing cost next to no memory. A month
    of one digit is another key than the same month with its zero.
    """
    odd_date = str(item.period) not in item.key
    return 1 << (2 * (item.period.first_day - first.first_day).days + odd_date)


def _silence(group: SeriesGroup, silent: set[tuple[str, str | None]], what: str) -> Iterator[Notice]:
    """Say which series have nothing: each by its name, or how many, where they are too many to read."""
    label = f"{group.row.market} {group.row.data_type}"
    if len(silent) > SERIES_NAMED:
        yield Notice(f"{label}: the archive lists {what} for {len(silent)} of the series")
        return
    for symbol, interval in sorted(silent, key=str):
        yield Notice(f"{' '.join(filter(None, (label, symbol, interval)))}: the archive lists {what}")


def _common_start(first: Period, last: Period) -> str:
    """Return what the dates of all objects between two periods begin with: ``2025-07-`` for days of one month.

    Of months only the year counts: one known key has a month of one digit (``ADABKRW-1h-2020-8.zip``).
    """
    length = len("2025-") if first.partition is Partition.MONTHLY else None
    same = takewhile(lambda pair: pair[0] == pair[1], zip(str(first)[:length], str(last), strict=False))
    return "".join(character for character, _ in same)


def _with_sidecars(
    listed: Iterable[Listed], group: SeriesGroup, is_wanted: Callable[[ArchiveObject], bool], odd: Counter[str]
) -> Iterator[Candidate]:
    """Join each wanted zip with the sidecar that follows it; at most one zip a series waits for its own.

    An entry that comes again at once is left out and counted in ``odd["again"]``.
    """
    waiting: dict[str, tuple[ArchiveObject, Listed]] = {}
    for entry in listed:
        if entry.key.endswith(SIDECAR_SUFFIX):
            key = entry.key.removesuffix(SIDECAR_SUFFIX)
            folder = key.rpartition("/")[0]
            if folder in waiting and waiting[folder][1].key == key:
                yield _candidate(*waiting.pop(folder), has_sidecar=True)
            continue
        item = group.row.parse(entry.key)
        if item is None or not is_wanted(item):
            continue
        folder = entry.key.rpartition("/")[0]
        if folder in waiting and waiting[folder][1].key == entry.key:
            odd["again"] += 1
            continue
        if folder in waiting:
            yield _candidate(*waiting.pop(folder), has_sidecar=False)
        waiting[folder] = (item, entry)
    for item, entry in waiting.values():
        yield _candidate(item, entry, has_sidecar=False)


def _candidate(item: ArchiveObject, entry: Listed, *, has_sidecar: bool) -> Candidate:
    return Candidate(item, RemoteStat(entry.size, entry.etag, entry.last_modified, has_sidecar))
