"""The matrix: what the archive can hold, row by row, as frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.keys import period_of
from crypto_archive.model import ArchiveObject, Market, Partition, Period, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from crypto_archive.catalog.keys import KeyPattern


class Status(StrEnum):
    """Whether the archive publishes a row."""

    ACTIVE = "active"
    DISCONTINUED = "discontinued"
    REMOVED = "removed"  # was published, and has since been removed from the bucket
    NEVER_PUBLISHED = "never-published"


class Header(StrEnum):
    """Whether the CSV files of a row start with a line of column names."""

    NEVER = "never"
    SINCE_2022 = "since-2022"  # changed during 2022, type by type: look at the first byte
    ALWAYS = "always"
    UNKNOWN = "unknown"


class TimeUnit(StrEnum):
    """How the CSV files of a row write a time, always UTC."""

    MILLISECONDS = "ms"
    MICROSECONDS_SINCE_2025 = "us-since-2025"  # milliseconds up to the files of 2024-12-31
    TEXT = "text"  # YYYY-MM-DD hh:mm:ss, or a day with the hour in a column of its own
    UNKNOWN = "unknown"


class SymbolRule(NamedTuple):
    """How a symbol as people write it becomes the one in a row's keys.

    Attributes:
        match: Regular expression that the whole symbol must match.
        becomes: What it becomes; may use the groups of ``match``.
    """

    match: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Row:
    """What the archive has of one data type in one market.

    Attributes:
        market: The market.
        data_type: The archive's own name of the data type.
        status: Whether it is published.
        key_pattern: How its keys are built.
        partitions: The partitions that it is published in, each with its intervals; those are empty where the
            keys have no interval. No partitions where it was never published.
        first_date: The first UTC day that it covers, for the oldest symbol.
        last_date: The last UTC day that it covers; None while it is published.
        aliases: Other names for the data type.
        symbol_rules: How symbols become those of the keys; the first match wins.
        columns: The CSV columns in their order.
        header: Whether the CSV files name their columns.
        time_unit: How the CSV files write a time.
        doubtful: What of this sources disagree on, or only one says; the listing decides. Empty where nothing is.
        note: What else a person should know.
        source: Where these facts come from.
    """

    market: Market
    data_type: str
    status: Status
    key_pattern: KeyPattern
    partitions: Mapping[Partition, tuple[str, ...]] = field(hash=False)
    first_date: date | None = None
    last_date: date | None = None
    aliases: tuple[str, ...] = ()
    symbol_rules: tuple[SymbolRule, ...] = ()
    columns: tuple[str, ...] = ()
    header: Header = Header.UNKNOWN
    time_unit: TimeUnit = TimeUnit.UNKNOWN
    doubtful: str = ""
    note: str = ""
    source: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The data type's own name, then its aliases."""
        return (self.data_type, *self.aliases)

    @property
    def has_intervals(self) -> bool:
        """Whether keys name an interval."""
        return self.key_pattern.has_interval

    @property
    def all_intervals(self) -> tuple[str, ...]:
        """The intervals of all partitions, without duplicates, in the matrix's order."""
        return _each_once(interval for intervals in self.partitions.values() for interval in intervals)

    def intervals(self, partition: Partition) -> tuple[str, ...]:
        """Return the intervals of one partition; none where it is not published or has no interval layer."""
        return self.partitions.get(partition, ())

    def symbol(self, name: str) -> str:
        """Return the symbol in the keys of this row for the symbol that people call ``name``."""
        for rule in self.symbol_rules:
            if match := re.fullmatch(rule.match, name):
                return match.expand(rule.becomes)
        return name

    def object(self, symbol: str, interval: str | None, period: Period) -> ArchiveObject:
        """Return the object of one series and period; raises ``ValueError`` like ``KeyPattern.key``."""
        key = self.key_pattern.key(symbol, interval, period)
        return ArchiveObject(key, _series(self.market.value, self.data_type, symbol, interval), period)

    def objects(
        self, partition: Partition, symbol: str, interval: str | None, dated: Mapping[str, Period]
    ) -> Iterator[ArchiveObject]:
        """Yield the objects of one series; ``dated`` has its periods by their texts, which many series share."""
        head, tail = self.key_pattern.ends(partition, symbol, interval)
        series = _series(self.market.value, self.data_type, symbol, interval)
        return (ArchiveObject(head + text + tail, series, period) for text, period in dated.items())

    def parse(self, key: str) -> ArchiveObject | None:
        """Return the object of a key, None where it is not a key of this row."""
        parsed = self.key_pattern.parse(key)
        if parsed is None:
            return None
        series = _series(self.market.value, self.data_type, parsed.symbol, parsed.interval)
        return ArchiveObject(key, series, parsed.period)

    def object_named(self, name: str) -> ArchiveObject | None:
        """Return the object of this row whose file has a name; None where names do not identify objects."""
        key = self.key_pattern.key_named(name)
        return None if key is None else self.parse(key)


@dataclass(frozen=True, slots=True)
class Matrix:
    """What the archive can hold.

    Attributes:
        name: What the matrix is called.
        version: Its edition, usually the day of its last change.
        rows: One row per market and data type.
        symbols: The default symbols per market, for a request that names none.
        interval_aliases: Other words for intervals, each with the archive's own.
        notes: What is said of the archive that belongs to no row.
    """

    name: str
    version: str
    rows: tuple[Row, ...] = field(repr=False)
    symbols: Mapping[Market, tuple[str, ...]] = field(default_factory=dict, hash=False, repr=False)
    interval_aliases: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    _by_name: dict[tuple[Market, str], Row] = field(init=False, repr=False, compare=False)
    _by_folder: dict[str, tuple[Row, ...]] = field(init=False, repr=False, compare=False)
    _depths: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_folder = _by_folder(self.rows)
        depths = tuple(sorted({folder.count("/") for folder in by_folder}))
        object.__setattr__(self, "_by_name", {(row.market, name): row for row in self.rows for name in row.names})
        object.__setattr__(self, "_by_folder", by_folder)
        object.__setattr__(self, "_depths", depths)

    @property
    def data_types(self) -> tuple[str, ...]:
        """The archive's own names of all data types."""
        return _each_once(row.data_type for row in self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """All names of data types: the archive's own, then the aliases."""
        return _each_once((*self.data_types, *(alias for row in self.rows for alias in row.aliases)))

    @property
    def intervals(self) -> tuple[str, ...]:
        """All intervals of the archive, without their aliases."""
        return _each_once(interval for row in self.rows for interval in row.all_intervals)

    def row(self, market: Market, name: str) -> Row | None:
        """Return the row of a data type, by its own name or an alias; None where the market has none."""
        return self._by_name.get((market, name))

    def rows_of(self, market: Market) -> tuple[Row, ...]:
        """Return the rows of one market."""
        return tuple(row for row in self.rows if row.market is market)

    def interval(self, word: str) -> str:
        """Return the archive's own word for an interval; a word that is not an alias stays as it is."""
        return self.interval_aliases.get(word, word)

    def object_of(self, key: str) -> ArchiveObject | None:
        """Return the object of a key, None where it is not a key of the matrix.

        The row need not list the key's partition or interval: what exists can be read.
        """
        parts = key.split("/")
        for depth in self._depths:
            for row in self._by_folder.get("/".join(parts[:depth]) + "/", ()):
                if found := row.parse(key):
                    return found
        return None

    def objects_of(self, keys: Iterable[str]) -> Iterator[ArchiveObject | None]:
        """Yield what ``object_of`` returns of each key; faster where the keys of a series come together."""
        head, tail, partition = "/", "", ""
        series: Series | None = None
        for key in keys:
            if series is not None and key.startswith(head) and key.endswith(tail):
                period = period_of(key[len(head) : len(key) - len(tail)], partition)
                if period is not None:
                    yield ArchiveObject(key, series, period)
                    continue
            item = self.object_of(key)
            if item is not None and (row := self.row(item.series.market, item.series.data_type)) is not None:
                series, partition = item.series, item.period.partition.value
                head, tail = row.key_pattern.ends(item.period.partition, series.symbol, series.interval)
            yield item


def _by_folder(rows: Iterable[Row]) -> dict[str, tuple[Row, ...]]:
    """Index rows by the folder of their symbols, so that a key is compared with one pattern and not with all."""
    index: dict[str, tuple[Row, ...]] = {}
    for row in rows:
        for folder in {row.key_pattern.symbols_prefix(partition) for partition in Partition}:
            index[folder] = (*index.get(folder, ()), row)
    return index


def _each_once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


@lru_cache(maxsize=4096)
def _series(market: str, data_type: str, symbol: str, interval: str | None) -> Series:
    """Return a series, the same for all its objects; the market is plain text because hashing enums is slow."""
    return Series(Market(market), data_type, symbol, interval)
