"""The layouts other than the mirror: templates such as ``{market}/{symbol}``, and classes of the user's own."""

from __future__ import annotations

import importlib
import re
from datetime import date
from functools import lru_cache
from pathlib import PurePath
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.catalog.keys import LONGEST_SYMBOL
from crypto_archive.catalog.layouts import (
    DATA_FOLDER,
    LONGEST_NAME,
    MIRROR,
    ByFolder,
    NoPlace,
    Placement,
    is_name,
    plain_parts,
)
from crypto_archive.errors import nearest, nearest_phrase
from crypto_archive.model import Partition, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject, Series

HIVE = "hive"
HIVE_TEMPLATE = "market={market}/data_type={data_type}/symbol={symbol}/interval={interval}/partition={partition}"
"""Without years and months: a folder holds the files of a series, whose names have their dates."""

GROUP = "crypto_archive.layouts"
"""The group of entry points in which installed packages offer layouts."""

_REMEMBERED = 1024


class LayoutError(ValueError):
    """A name does not mean a layout, or means one that cannot work.

    Attributes:
        allowed: The names allowed; empty where the name is not at fault.
        nearest: The one of them that is closest to the given one.
    """

    def __init__(self, message: str, allowed: tuple[str, ...] = (), nearest: str | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.nearest = nearest


def placement_of(name: str, matrix: Matrix) -> Placement:
    """Return the layout of a name: ``mirror``, ``hive``, a template, ``module:attribute``, or an entry point.

    Raises:
        LayoutError: The layout does not exist, or it could put two objects at the same path or outside of the root.
    """
    if name == MIRROR.name:
        return MIRROR
    is_template = "{" in name or "}" in name
    try:
        if name == HIVE or is_template:
            return TemplateLayout(HIVE_TEMPLATE if name == HIVE else name, matrix)
        if ":" in name:
            return OwnLayout(name, _imported(name), matrix)
        from importlib.metadata import entry_points

        installed = entry_points(group=GROUP)
        if name in installed.names:
            (entry, *_) = entry_points(group=GROUP, name=name)
            return OwnLayout(name, _imported(entry.value), matrix)
    except ValueError as error:
        raise LayoutError(f"the template {name!r}: {error}" if is_template else str(error)) from error
    known = (MIRROR.name, HIVE, *sorted(installed.names))
    others = f"a template such as '{{market}}/{{data_type}}/{{symbol}}', module:attribute, or an entry point of {GROUP}"
    raise LayoutError(f"unknown layout {name!r}; it may also be {others}", known, nearest(name, known))


def _imported(name: str) -> object:
    """Return the object of ``module:attribute``; raises ``ValueError`` where it cannot be imported."""
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # a user's module may fail in any way
        raise ValueError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from error
    return found


def _require_telling_names(matrix: Matrix) -> None:
    for row in matrix.rows:
        if not row.key_pattern.names_tell:
            odd = f"{row.market} {row.data_type}"
            raise ValueError(f"the file names of {odd} do not identify its objects, so that only 'mirror' works")


# Templates

NAME = "{name}"
FIELDS = ("market", "data_type", "partition", "symbol", "interval", "year", "month", "date")
ALONE = {"market": "markets", "data_type": "data types"}
"""The fields that a template must have, each as the only one of its folder, since file names do not have them; and what
differs between two objects with one file name."""

_DATES = frozenset({"year", "month", "date"})
_ANY = {partition: Period(partition, date.min) for partition in Partition}
_LONGEST = {"symbol": LONGEST_SYMBOL}
_LONG = 24
"""How long the values of fields may be, in bytes; escaping may make them longer, which the disk would report."""
_ESCAPED = re.compile(r"""["#%'*/:=?\\{}\[\]^]""")
"""What Hive escapes in the value of ``field=value``, and its readers undo."""


class _Folder(NamedTuple):
    """A folder of a template: its text as a %-format, its fields, and whether their values are escaped."""

    text: str
    fields: tuple[str, ...]
    escapes: bool

    def filled(self, values: Mapping[str, str]) -> str:
        if self.escapes:
            values = {name: _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", values[name]) for name in self.fields}
        return self.text % values


class TemplateLayout(ByFolder):
    """The folders of a template, made ready for a matrix.

    Two objects never share a path. If they did, their folders would be equal, and as many: so both would have an
    interval, or neither, and each folder would come from the same part of the template. Market and data type are
    alone in folders of their own, so they would be equal, and with them the row. The names would be equal, too, and of
    one row a name has symbol, interval and date, hence the object.
    """

    def __init__(self, text: str, matrix: Matrix) -> None:
        """Check a template; ``{name}``, the file's own name, may be its last part or be left out.

        Raises:
            ValueError: Two objects could share a path, or a path would lead out of the root; the text says what to do.
        """
        text = text.removesuffix(NAME).rstrip("/") if text.endswith(f"/{NAME}") else text.removesuffix("/")
        super().__init__(HIVE if text == HIVE_TEMPLATE else text, matrix)
        self._folders = tuple(_folder(part) for part in text.split("/"))
        self._check()
        self._dated = any(field in _DATES for one in self._folders for field in one.fields)
        # Remembered, since a plan walks a series date by date.
        self._filled = lru_cache(maxsize=_REMEMBERED)(self._fill)
        # For each number of folders, the places of market and data type, and the rows by what is there.
        self._rows: dict[int, tuple[int, int, dict[tuple[str, str], Row]]] = {}
        for row in matrix.rows:
            kept = [one for one in self._folders if row.has_intervals or "interval" not in one.fields]
            values = {"market": row.market.value, "data_type": row.data_type}
            at_market, at_type = (next(n for n, one in enumerate(kept) if one.fields == (field,)) for field in ALONE)
            place = (kept[at_market].filled(values), kept[at_type].filled(values))
            self._rows.setdefault(len(kept), (at_market, at_type, {}))[2][place] = row

    def folder(self, item: ArchiveObject) -> str:
        """Return the folder of an object; one that names the interval is left out where there is none."""
        return self._filled(item.series, item.period if self._dated else _ANY[item.period.partition])

    def rows(self, folders: Sequence[str]) -> Iterable[Row]:
        """Return the row that market and data type among these folders mean, if any."""
        if len(folders) not in self._rows:
            return ()
        at_market, at_type, rows = self._rows[len(folders)]
        row = rows.get((folders[at_market], folders[at_type]))
        return () if row is None else (row,)

    def _fill(self, series: Series, period: Period) -> str:
        values = {
            "market": series.market.value,
            "data_type": series.data_type,
            "partition": period.partition.value,
            "symbol": series.symbol,
            "interval": series.interval or "",
            "year": f"{period.first_day.year:04d}",
            "month": f"{period.first_day.month:02d}",
            "date": str(period),
        }
        has_interval = series.interval is not None
        return "/".join(one.filled(values) for one in self._folders if has_interval or "interval" not in one.fields)

    def _check(self) -> None:
        for field, kinds in ALONE.items():
            if not any(one.fields == (field,) for one in self._folders):
                why = f"or objects of different {kinds} with the same file name would share a path"
                if any(field in one.fields for one in self._folders):
                    raise ValueError(f"{{{field}}} must not share its folder with another field, {why}")
                raise ValueError(f"{{{field}}} must be a folder of its own, {why}")
        _require_telling_names(self.matrix)
        words = [(row.market, row.data_type.casefold()) for row in self.matrix.rows]
        if len(set(words)) < len(words):
            raise ValueError("the matrix has data types that differ only in case, so that only 'mirror' works")


def _folder(part: str) -> _Folder:
    try:
        parsed = list(Formatter().parse(part))
    except ValueError:
        raise ValueError("a brace is unbalanced") from None
    text, literals, fields = "", "", []
    for literal, name, spec, conversion in parsed:
        text += literal.replace("%", "%%")
        literals += literal
        if name is None:
            continue
        if name == "name":
            raise ValueError("{name}, the file's own name, can only be the last part")
        if name not in FIELDS:
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            near = nearest_phrase(name, FIELDS)
            raise ValueError(f"unknown field {{{name}}}{near}; the fields are {known} and {NAME}")
        if spec or conversion:
            raise ValueError(f"{{{name}}} cannot be formatted; write {{{name}}} alone")
        text += f"%({name})s"
        fields.append(name)
    if not is_name(literals + "x" * len(fields)):
        raise ValueError(
            f"{part!r} is not a valid folder name" if part else "it must be relative, without empty folder names"
        )
    if len(literals.encode()) + sum(_LONGEST.get(field, _LONG) for field in fields) > LONGEST_NAME:
        raise ValueError(f"the folder {part!r} could get longer than {LONGEST_NAME} bytes")
    return _Folder(text, tuple(fields), escapes=parsed[0][0].endswith("="))


# Layouts of the user's own

METHODS = ("folder", "get_partition_path")
"""The method of a layout: ours, or that of the older workflow's storage."""

_SAMPLE_DAY = date(2025, 7, 15)


class OwnLayout(ByFolder):
    """A layout of the user's own, whose every answer is checked against the rules."""

    def __init__(self, name: str, found: object, matrix: Matrix) -> None:
        """Try a layout with an object of every row and partition; a class is created without arguments.

        Raises:
            ValueError: It is not a layout, or gives two of the objects that it was tried with the same path.
        """
        super().__init__(name, matrix)
        _require_telling_names(matrix)
        method = next((method for method in METHODS if callable(getattr(found, method, None))), None)
        if method is None:
            raise ValueError(f"{name!r} is not a layout: it has no method folder(item)")
        if isinstance(found, type):
            try:
                found = found()
            except Exception as error:
                raise ValueError(f"{name!r} cannot be created: {type(error).__name__}: {error}") from error
        theirs: Callable[..., object] = getattr(found, method)
        self._theirs, self._takes_keywords = theirs, method != METHODS[0]
        # Remembered for the sake of files with the same name, which come together when folders are read.
        self._chosen = lru_cache(maxsize=_REMEMBERED)(self._choose)
        self._named = lru_cache(maxsize=_REMEMBERED)(self._objects_named)
        for item in _samples(matrix):
            self.folder(item)

    def folder(self, item: ArchiveObject) -> str:
        """Return the folder of an object.

        Raises:
            NoPlace: The layout fails, its answer is not a folder below ``data/``, or another object whose file has the
                same name belongs there, too. Only objects of the matrix's rows can have it, so this is certain.
        """
        folder = self._chosen(item)
        try:
            parts = plain_parts(f"{DATA_FOLDER}/{folder}")
        except ValueError as error:
            raise NoPlace(
                f"the layout {self.name} returned {folder!r} for {item.key}, which is not a plain relative path"
            ) from error
        if any(len(part.encode()) > LONGEST_NAME for part in parts):
            raise NoPlace(f"the layout {self.name} returned a folder of more than {LONGEST_NAME} bytes for {item.key}")
        name = item.key.rpartition("/")[2]
        for other in self._named(name):
            if other.key != item.key and self._is_in(folder, other):
                path = f"{DATA_FOLDER}/{folder}/{name}"
                raise NoPlace(f"the layout {self.name} puts {item.key} and {other.key} at the same path: {path}")
        return folder

    def rows(self, folders: Sequence[str]) -> Iterable[Row]:
        """Return all rows: only the layout itself knows what the folders mean."""
        return self.matrix.rows

    def _is_in(self, folder: str, item: ArchiveObject) -> bool:
        try:
            return self._chosen(item).casefold() == folder.casefold()
        except NoPlace:
            return False

    def _choose(self, item: ArchiveObject) -> str:
        try:
            answer = self._theirs(**_keywords(item)) if self._takes_keywords else self._theirs(item)
        except Exception as error:
            raise NoPlace(f"the layout {self.name} failed for {item.key}: {type(error).__name__}: {error}") from error
        if isinstance(answer, str):
            return answer
        if isinstance(answer, PurePath):
            return answer.as_posix()
        raise NoPlace(f"the layout {self.name} returned {answer!r} for {item.key}, which is not a path")

    def _objects_named(self, name: str) -> tuple[ArchiveObject, ...]:
        return tuple(found for row in self.matrix.rows if (found := row.object_named(name)) is not None)


def _keywords(item: ArchiveObject) -> dict[str, Any]:
    """Return an object as the keyword arguments of an older storage."""
    day, series = item.period.first_day, item.series
    return {
        "market": series.market.value,
        "data_type": series.data_type,
        "symbol": series.symbol,
        "interval": series.interval,
        "partition": item.period.partition.value,
        "date": day,
        "year": day.year,
        "month": day.month,
        "name": item.key.rpartition("/")[2],
    }


def _samples(matrix: Matrix) -> Iterator[ArchiveObject]:
    for row in matrix.rows:
        symbol = next(iter(matrix.symbols.get(row.market, ())), "BTCUSDT")
        for partition in row.partitions:
            interval = next(iter(row.intervals(partition)), None)
            if row.has_intervals == (interval is not None):
                yield row.object(row.symbol(symbol), interval, Period.containing(_SAMPLE_DAY, partition))
