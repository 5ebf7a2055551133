"""The kinds of layout besides the mirror: templates such as ``{market}/{symbol}``, and classes of a user's own."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from importlib.metadata import entry_points
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

NAME = "{name}"
FIELDS = ("market", "data_type", "partition", "symbol", "interval", "year", "month", "date")
ALONE = {"market": "markets", "data_type": "data types"}
"""The fields that a template must have, each as the only one of its folder, since file names do not tell them; and what
differs between two objects with one file name."""

_DATES = frozenset({"year", "month", "date"})
_ANY = {partition: Period(partition, date.min) for partition in Partition}
_LONGEST = {"symbol": LONGEST_SYMBOL}
_LONG = 24
"""How long the values of fields may be, in bytes; those that are escaped may get longer, which the disk would tell."""
_ESCAPED = re.compile(r"""["#%'*/:=?\\{}\[\]^]""")
"""What Hive escapes in the value of ``field=value``, and its readers undo."""


class _Folder(NamedTuple):
    """A folder of a template: its text as a %-format, and the fields that stand in it."""

    text: str
    fields: tuple[str, ...]
    escapes: bool

    def filled(self, values: Mapping[str, str]) -> str:
        if self.escapes:
            values = {name: _ESCAPED.sub(_escape, values[name]) for name in self.fields}
        return self.text % values


@dataclass(frozen=True, slots=True)
class Template:
    """The folders of a template, and the rows of a matrix by what stands in them.

    Two objects never share a path. If they did, their folders would be equal, and as many: so both would have an
    interval, or neither, and each folder would come from the same part of the template. Market and data type stand
    alone in folders of their own, so they would be equal, and with them the row. The names would be equal, too, and of
    one row a name tells symbol, interval and date, hence the object.

    Attributes:
        text: The template as it is remembered, without the file name.
        dated: Whether its folders tell objects of a series apart by their dates.
        filled: Returns the folders of a series and a period; those of a day of its partition, where they are not dated.
        rows_by_folders: For each number of folders, the places of market and data type, and the rows by what stands
            there.
    """

    text: str
    dated: bool
    filled: Callable[[Series, Period], str]
    rows_by_folders: Mapping[int, tuple[int, int, Mapping[tuple[str, str], Row]]]

    def folder(self, item: ArchiveObject) -> str:
        """Return the folder of an object; one that names the interval is left out where there is none."""
        return self.filled(item.series, item.period if self.dated else _ANY[item.period.partition])

    def rows(self, folders: Sequence[str]) -> Iterable[Row]:
        """Return the row that market and data type among these folders mean, if any."""
        found = self.rows_by_folders.get(len(folders))
        if found is None:
            return ()
        at_market, at_type, rows = found
        row = rows.get((folders[at_market], folders[at_type]))
        return () if row is None else (row,)


def template_of(text: str, matrix: Matrix) -> Template:
    """Return a template, made ready for a matrix.

    Args:
        text: The template; ``{name}``, the file's own name, may be its last part or be left out.
        matrix: The rows that it has to tell apart.

    Raises:
        ValueError: Two objects could share a path, or a path would lead out of the root; the text says what to write.
    """
    canonical = text.removesuffix(NAME).rstrip("/") if text.endswith(f"/{NAME}") else text.removesuffix("/")
    folders = tuple(_folder(part) for part in canonical.split("/"))
    _check(folders)
    _check_matrix(matrix)
    dated = any(field in _DATES for one in folders for field in one.fields)
    # Remembered, since a plan walks a series date by date.
    filled = lru_cache(maxsize=1024)(partial(_filled, folders))
    return Template(canonical, dated, filled, _rows_by_folders(folders, matrix))


def names_tell_all(matrix: Matrix) -> str:
    """Return a row of a matrix whose file names do not tell its objects apart; empty where there is none."""
    return next((f"{row.market} {row.data_type}" for row in matrix.rows if not row.key_pattern.names_tell), "")


def _folder(part: str) -> _Folder:
    try:
        parsed = list(Formatter().parse(part))
    except ValueError:
        raise ValueError("a brace is not closed, or stands alone") from None
    text, literals, fields = "", "", []
    for literal, name, spec, conversion in parsed:
        text += literal.replace("%", "%%")
        literals += literal
        if name is None:
            continue
        _check_field(name, spec, conversion)
        text += f"%({name})s"
        fields.append(name)
    if not is_name(literals + "x" * len(fields)):
        raise ValueError(
            f"{part!r} cannot be a folder" if part else "it must be relative, and no folder in it may be empty"
        )
    if len(literals.encode()) + sum(_LONGEST.get(field, _LONG) for field in fields) > LONGEST_NAME:
        raise ValueError(f"the folder {part!r} could get longer than {LONGEST_NAME} bytes")
    return _Folder(text, tuple(fields), escapes=parsed[0][0].endswith("="))


def _check_field(name: str, spec: str | None, conversion: str | None) -> None:
    if name == "name":
        raise ValueError("{name}, the file's own name, may only be its last part")
    if name not in FIELDS:
        fields = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise ValueError(f"unknown field {{{name}}}{nearest_phrase(name, FIELDS)}; the fields are {fields} and {NAME}")
    if spec or conversion:
        raise ValueError(f"{{{name}}} cannot be formatted; write it alone")


def _check(folders: tuple[_Folder, ...]) -> None:
    for field, kinds in ALONE.items():
        if not any(one.fields == (field,) for one in folders):
            held = any(field in one.fields for one in folders)
            why = f"or objects of different {kinds} with the same file name would share a path"
            if held:
                raise ValueError(f"{{{field}}} must stand in a folder without another field, {why}")
            raise ValueError(f"{{{field}}} must stand in a folder of its own, {why}")


def _check_matrix(matrix: Matrix) -> None:
    if odd := names_tell_all(matrix):
        raise ValueError(f"the file names of {odd} do not tell its objects apart, so that only 'mirror' will do")
    words = [(row.market, row.data_type.casefold()) for row in matrix.rows]
    if len(set(words)) < len(words):
        raise ValueError("the matrix has data types that differ by capital letters only, so that only 'mirror' will do")


def _rows_by_folders(
    folders: tuple[_Folder, ...], matrix: Matrix
) -> dict[int, tuple[int, int, dict[tuple[str, str], Row]]]:
    found: dict[int, tuple[int, int, dict[tuple[str, str], Row]]] = {}
    for row in matrix.rows:
        kept = [one for one in folders if row.has_intervals or "interval" not in one.fields]
        values = {"market": row.market.value, "data_type": row.data_type}
        at_market, at_type = (next(n for n, one in enumerate(kept) if one.fields == (field,)) for field in ALONE)
        place = (kept[at_market].filled(values), kept[at_type].filled(values))
        found.setdefault(len(kept), (at_market, at_type, {}))[2][place] = row
    return found


def _filled(folders: tuple[_Folder, ...], series: Series, period: Period) -> str:
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
    return "/".join(one.filled(values) for one in folders if has_interval or "interval" not in one.fields)


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


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


HIVE = "hive"


HIVE_TEMPLATE = "market={market}/data_type={data_type}/symbol={symbol}/interval={interval}/partition={partition}"
"""Without years and months: a folder holds the files of a series, whose names tell their dates."""


class LayoutError(ValueError):
    """A name means no layout, or one that cannot work.

    Attributes:
        allowed: The names that would do; empty where the name is not to blame.
        nearest: The one of them that looks most like the given one.
    """

    def __init__(self, message: str, allowed: tuple[str, ...] = (), nearest: str | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.nearest = nearest


def placement_of(name: str, matrix: Matrix) -> Placement:
    """Return the layout that a name means, made ready for a matrix.

    Args:
        name: ``mirror``, ``hive``, a template with fields, ``module:attribute``, or what an installed package offers.
        matrix: What knows the keys.

    Raises:
        LayoutError: There is no such layout, or it could put two objects at the same path or outside of the root.
    """
    if name == MIRROR.name:
        return MIRROR
    try:
        if name == HIVE or "{" in name or "}" in name:
            template = template_of(HIVE_TEMPLATE if name == HIVE else name, matrix)
            known_as = HIVE if template.text == HIVE_TEMPLATE else template.text
            return ByFolder(known_as, matrix, template.folder, template.rows)
        if ":" in name:
            own = own_layout(name, imported(name), matrix)
        elif name in installed_names():
            own = own_layout(name, installed(name), matrix)
        else:
            raise _unknown(name)
    except LayoutError:
        raise
    except ValueError as error:
        raise LayoutError(_about(name, str(error))) from error
    return ByFolder(name, matrix, own.folder, own.rows)


def _unknown(name: str) -> LayoutError:
    known = (MIRROR.name, HIVE, *installed_names())
    others = f"a template such as '{{market}}/{{data_type}}/{{symbol}}', module:attribute, or an entry point of {GROUP}"
    return LayoutError(f"unknown layout {name!r}; it may also be {others}", known, nearest(name, known))


def _about(name: str, fault: str) -> str:
    return f"the template {name!r}: {fault}" if "{" in name or "}" in name else fault
