"""Layouts of somebody's own: found by ``module:attribute`` or as an installed entry point, and kept to the rules."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from crypto_archive.layouts.paths import DATA_FOLDER, LONGEST_NAME, plain_parts
from crypto_archive.layouts.placement import NoPlace
from crypto_archive.layouts.template import names_tell_all
from crypto_archive.model import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crypto_archive.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject

GROUP = "crypto_archive.layouts"
"""The group of entry points in which installed packages offer layouts."""
METHODS = ("folder", "get_partition_path")
"""What a layout may have: our method, or that of the older workflow's storage."""

_REMEMBERED = 1024
_SAMPLE_DAY = date(2025, 7, 15)


@dataclass(frozen=True, slots=True)
class Own:
    """A layout of somebody's own, each answer of which is held against the rules.

    Attributes:
        name: What it is called.
        matrix: What knows the objects.
        choose: Their method.
        named: Returns the objects of all rows whose file has a name.
    """

    name: str
    matrix: Matrix
    choose: Callable[[ArchiveObject], object]
    named: Callable[[str], tuple[ArchiveObject, ...]]

    def folder(self, item: ArchiveObject) -> str:
        """Return the folder of an object.

        Raises:
            NoPlace: The layout fails, its answer is no folder below ``data/``, or an object whose file has the same
                name would stand there, too. Only those of the matrix's rows can have it, so it is certain.
        """
        folder = self._chosen(item)
        self._check(folder, item)
        name = item.key.rpartition("/")[2]
        for other in self.named(name):
            if other.key != item.key and self._would_stand_in(folder, other):
                path = f"{DATA_FOLDER}/{folder}/{name}"
                raise NoPlace(f"the layout {self.name} puts {item.key} and {other.key} at the same path: {path}")
        return folder

    def rows(self, _folders: Sequence[str]) -> Iterable[Row]:
        """Return all rows: nobody knows what the folders mean."""
        return self.matrix.rows

    def _would_stand_in(self, folder: str, item: ArchiveObject) -> bool:
        try:
            return self._chosen(item).casefold() == folder.casefold()
        except NoPlace:
            return False

    def _chosen(self, item: ArchiveObject) -> str:
        try:
            answer = self.choose(item)
        except Exception as error:
            raise NoPlace(f"the layout {self.name} failed for {item.key}: {type(error).__name__}: {error}") from error
        if isinstance(answer, str):
            return answer
        if isinstance(answer, PurePath):
            return answer.as_posix()
        raise NoPlace(f"the layout {self.name} gave no path for {item.key} but {answer!r}")

    def _check(self, folder: str, item: ArchiveObject) -> None:
        try:
            parts = plain_parts(f"{DATA_FOLDER}/{folder}")
        except ValueError as error:
            raise NoPlace(f"the layout {self.name} gave {folder!r} for {item.key}, no plain relative path") from error
        if any(len(part.encode()) > LONGEST_NAME for part in parts):
            raise NoPlace(f"the layout {self.name} gave a folder of more than {LONGEST_NAME} bytes for {item.key}")


def own_layout(name: str, found: object, matrix: Matrix) -> Own:
    """Return a layout of somebody's own, once it was tried with an object of every row and partition.

    Args:
        name: What it is called.
        found: The object that a name led to, or its class, which is made without arguments.
        matrix: What knows the objects.

    Raises:
        ValueError: It is no layout, or gives two of the objects that it was tried with the same path.
    """
    if odd := names_tell_all(matrix):
        raise ValueError(f"the file names of {odd} do not tell its objects apart, so that only 'mirror' will do")
    method = next((method for method in METHODS if callable(getattr(found, method, None))), None)
    if method is None:
        raise ValueError(f"{name!r} is no layout: it has no method folder(item)")
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise ValueError(f"{name!r} cannot be made: {type(error).__name__}: {error}") from error
    chosen = getattr(found, method)
    # Remembered for the sake of files with the same name, which come together when folders are read.
    choose = lru_cache(maxsize=_REMEMBERED)(chosen if method == METHODS[0] else _by_keywords(chosen))
    named = lru_cache(maxsize=_REMEMBERED)(lambda name: _objects_named(name, matrix))
    own = Own(name, matrix, choose, named)
    for item in _samples(matrix):
        own.folder(item)
    return own


def imported(name: str) -> object:
    """Return what ``module:attribute`` means.

    Raises:
        ValueError: There is no such thing, or the module cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a module of somebody's own may fail in any way
        raise ValueError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from error
    return found


def installed_names() -> tuple[str, ...]:
    """Return the names of the layouts that installed packages offer."""
    return tuple(sorted(entry_points(group=GROUP).names))


def installed(name: str) -> object:
    """Return the layout that an installed package offers under a name.

    Raises:
        ValueError: It cannot be imported.
    """
    (entry, *_) = entry_points(group=GROUP, name=name)
    return imported(entry.value)


def _by_keywords(method: Callable[..., object]) -> Callable[[ArchiveObject], object]:
    """Return the method of an older storage as one that takes an object."""

    def folder(item: ArchiveObject) -> object:
        day, series = item.period.first_day, item.series
        return method(
            market=series.market.value,
            data_type=series.data_type,
            symbol=series.symbol,
            interval=series.interval,
            partition=item.period.partition.value,
            date=day,
            year=day.year,
            month=day.month,
            name=item.key.rpartition("/")[2],
        )

    return folder


def _objects_named(name: str, matrix: Matrix) -> tuple[ArchiveObject, ...]:
    return tuple(found for row in matrix.rows if (found := row.object_named(name)) is not None)


def _samples(matrix: Matrix) -> Iterator[ArchiveObject]:
    for row in matrix.rows:
        symbol = next(iter(matrix.symbols.get(row.market, ())), "BTCUSDT")
        for partition in row.partitions:
            interval = next(iter(row.intervals(partition)), None)
            if row.has_intervals == (interval is not None):
                yield row.object(row.symbol(symbol), interval, Period.containing(_SAMPLE_DAY, partition))
