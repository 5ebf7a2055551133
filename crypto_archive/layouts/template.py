"""Layouts that are written as a template: ``{market}/{data_type}/{symbol}/{interval}/{name}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import nearest_told
from crypto_archive.keys import LONGEST_SYMBOL
from crypto_archive.layouts.paths import LONGEST_NAME, is_name
from crypto_archive.model import Partition, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crypto_archive.matrix import Matrix, Row
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
        raise ValueError(f"unknown field {{{name}}}{nearest_told(name, FIELDS)}; the fields are {fields} and {NAME}")
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
