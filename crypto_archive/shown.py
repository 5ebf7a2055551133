"""How results show themselves: in one line anywhere, and as a table in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.text import one_line, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

ENDS_SHOWN = 20
"""How many of the first and of the last rows a table in a notebook has."""
NAMES_SHOWN = 4
"""How many names of a list a line has."""


class Table(NamedTuple):
    """A table in a notebook.

    Attributes:
        headings: The names of the columns.
        items: What has a row each; only those that are shown are turned into cells.
        cells: Returns the cells of an item; None is an empty one.
    """

    headings: Sequence[str]
    items: Sequence[Any]
    cells: Callable[[Any], Iterable[object]]


class Shown:
    """A result that says the essential in its ``repr``, and shows a bounded table in a notebook.

    Foreign text in it is neither markup nor a control character. The table has no colours of its own, so that it is
    readable on light and dark pages.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {one_line(self._summary())}>"

    def _repr_html_(self) -> str | None:
        table = self._table()
        return None if table is None else "".join(_html(one_line(self._summary()), table))

    def _summary(self) -> str:
        """Return the essential in a line."""
        raise NotImplementedError

    def _table(self) -> Table | None:
        """Return what a notebook shows; None for the line alone."""
        return None


def _html(caption: str, table: Table) -> Iterator[str]:
    from html import escape

    yield f'<table><caption style="text-align: left">{escape(caption)}</caption><thead><tr>'
    first = table.cells(table.items[0]) if table.items else table.headings
    for name, value in zip(table.headings, first, strict=True):  # each above its column
        yield f'<th style="text-align: {_side(value)}">{escape(name)}</th>'
    yield "</tr></thead><tbody>"
    left_out = max(0, len(table.items) - 2 * ENDS_SHOWN)
    if left_out:
        yield from _rows(table, table.items[:ENDS_SHOWN])
        yield f'<tr><td colspan="{len(table.headings)}" style="text-align: left">… {left_out:,} more …</td></tr>'
    yield from _rows(table, table.items[-ENDS_SHOWN:] if left_out else table.items)
    yield "</tbody></table>"


def _rows(table: Table, items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        yield f"<tr>{''.join(map(_cell, table.cells(item)))}</tr>"


def _cell(value: object) -> str:
    from html import escape

    text = f"{value:,}" if isinstance(value, int) else "" if value is None else escape(safe(str(value)))
    return f'<td style="text-align: {_side(value)}">{text}</td>'


def _side(value: object) -> str:
    return "right" if isinstance(value, int) else "left"


def some(names: Sequence[object]) -> str:
    """Return the first names of a list, and how many more there are: ``BTCUSDT, ETHUSDT and 12 more``."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(map(str, names[:NAMES_SHOWN])) + (f" and {more:,} more" if more > 0 else "")


def span(first: date | None, last: date | None) -> str:
    """Return from when to when: ``2025-07-13 to 2025-07-15``, ``since 2025-07-13``; empty where neither is known."""
    if first is None:
        return "" if last is None else f"until {last}"
    return f"since {first}" if last is None else str(first) if first == last else f"{first} to {last}"


def joined(*parts: str | None) -> str:
    """Return the parts that are not empty, with commas between them."""
    return ", ".join(filter(None, parts))
