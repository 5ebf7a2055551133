"""What a command shows when it is done, as Rich renderables: a plan, the matrix, the summaries of the long jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from crypto_archive.model import Partition
from crypto_archive.render.console import SteadyConsole
from crypto_archive.render.needs_table import needs_table
from crypto_archive.render.streams import is_terminal
from crypto_archive.render.styles import ROW_STYLES
from crypto_archive.render.summary import report_summary, verify_summary
from crypto_archive.report.sizes import format_bytes, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from crypto_archive.matrix import Row
    from crypto_archive.model import Notice
    from crypto_archive.report.needs import Needs
    from crypto_archive.totals import GroupTotals

__all__ = [
    "folders_table",
    "matrix_table",
    "plan_table",
    "report_summary",
    "show",
    "verify_summary",
]

PIPE_WIDTH = 1000
"""Columns that a table may take where nobody set a width: in a pipe nothing is wrapped or cut."""


def show(renderable: RenderableType, stream: TextIO) -> None:
    """Print a renderable; in colour on a terminal, and neither wrapped nor cut in a pipe.

    Args:
        renderable: What to print.
        stream: Where to.
    """
    wide = not is_terminal(stream) and "COLUMNS" not in os.environ
    SteadyConsole(file=stream, width=PIPE_WIDTH if wide else None).print(renderable)


class Fitting:
    """The first of several renderables, widest first, that fits the width there is; the last one if none does."""

    def __init__(self, *choices: RenderableType) -> None:
        self._choices = choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose."""
        boundless = options.update(max_width=PIPE_WIDTH)
        fitting = (
            choice
            for choice in self._choices
            if Measurement.get(console, boundless, choice).maximum <= options.max_width
        )
        yield next(fitting, self._choices[-1])


def plan_table(
    groups: Sequence[GroupTotals], notices: Iterable[Notice] = (), needs: Needs | None = None
) -> RenderableType:
    """Return what a plan adds up to, per market and data type, what it would take, and what it has to say.

    Columns without a figure are left out, and on a narrow terminal those that matter least.

    Args:
        groups: The totals, in the order of the plan.
        notices: What the plan has to say.
        needs: What a collect of it would take.
    """
    if not groups:
        return Group(Text("The plan has no objects.", style="yellow"), *_notice_lines(notices))
    names = [name for name, count in _PLAN_COLUMNS.items() if name == "objects" or any(map(count, groups))]
    less = [name for name in names if name != "sidecars"]
    fewer = [name for name in less if name != "commands"]
    least = [name for name in fewer if name != "batches"]
    table = Fitting(*(_plan_table(groups, columns) for columns in (names, less, fewer, least)))
    facts = () if needs is None else (Text(), needs_table(needs))
    lines = [*_notice_lines(notices)]
    return Group(table, *facts, *([Text()] if facts and lines else []), *lines)


_PLAN_COLUMNS: Mapping[str, Callable[[GroupTotals], int]] = {
    "objects": lambda group: group.objects,
    "present": lambda group: group.present,
    "updates": lambda group: group.updates,
    "waiting": lambda group: group.waiting,
    "refused": lambda group: group.refused,
    "sidecars": lambda group: group.sidecars,
    "commands": lambda group: group.commands,
    "batches": lambda group: group.batches,
}


def _plan_table(groups: Sequence[GroupTotals], columns: Sequence[str]) -> Table:
    counts = [_PLAN_COLUMNS[name] for name in columns]
    table = _table(show_footer=len(groups) > 1)
    table.add_column("market", "total", no_wrap=True)
    table.add_column("data type", no_wrap=True)
    for name, count in zip(columns, counts, strict=True):
        table.add_column(name, f"{sum(map(count, groups)):,}", justify="right", no_wrap=True)
    table.add_column("size", _size(groups), justify="right", no_wrap=True)
    for group in groups:
        table.add_row(
            str(group.market), group.data_type, *(_dim_zero(count(group)) for count in counts), _size([group])
        )
    return table


def matrix_table(rows: Iterable[Row], *, notes: bool = False) -> RenderableType:
    """Return what the archive can hold, a line a market and data type; shorter words on a narrow terminal.

    Args:
        rows: Rows of the matrix.
        notes: Whether a column of notes is wanted; it needs a wide terminal.
    """
    rows = tuple(rows)
    if notes:
        return _matrix_table(rows, notes=True)
    return Fitting(_matrix_table(rows), _narrow_matrix_table(rows))


def _matrix_table(rows: Iterable[Row], *, notes: bool = False) -> Table:
    table = _table("market", "data type", "daily", "monthly", "from", "to", "status")
    if notes:
        table.add_column("note", min_width=20)
    for row in rows:
        table.add_row(
            str(row.market),
            Text.assemble(row.data_type, *((f" {alias}", "dim") for alias in row.aliases)),
            *(_intervals(row, partition, count=True) for partition in Partition),
            str(row.first_date or ""),
            str(row.last_date or ""),
            Text(row.status, style=ROW_STYLES.get(row.status, "dim")),
            *([row.note] if notes else []),
        )
    return table


def _narrow_matrix_table(rows: Iterable[Row]) -> Table:
    table = _table("market", "data type", "daily", "monthly", "from", "status")
    for row in rows:
        ended = row.last_date is not None and row.status == "discontinued"
        table.add_row(
            str(row.market),
            row.data_type,
            *(_intervals(row, partition) for partition in Partition),
            str(row.first_date or ""),
            Text(f"until {row.last_date}" if ended else row.status, style=ROW_STYLES.get(row.status, "dim")),
        )
    return table


def folders_table(folders: Iterable[tuple[str, bool, bool]]) -> Table:
    """Return how the matrix and the archive compare, a line a type folder.

    Args:
        folders: The prefix of each, whether it is in the matrix, and whether it is in the archive.
    """
    table = _table()
    for name in ("folder", "matrix", "archive"):
        table.add_column(name, no_wrap=True)
    for folder, in_matrix, in_archive in folders:
        style = "" if in_matrix == in_archive else "bold red"
        table.add_row(folder, "yes" if in_matrix else "–", "yes" if in_archive else "–", style=style)
    return table


def _table(*columns: str, show_footer: bool = False) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        header_style="bold",
        footer_style="bold",
        show_footer=show_footer,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _notice_lines(notices: Iterable[Notice]) -> Iterator[Text]:
    for notice in notices:
        yield Text.assemble(("note  ", "cyan"), one_line(notice.text))


def _dim_zero(count: int) -> Text:
    return Text(f"{count:,}", style="" if count else "dim")


def _size(groups: Sequence[GroupTotals]) -> Text:
    """The known size of groups, and whether it is only part of it."""
    objects, sized = sum(group.objects for group in groups), sum(group.sized for group in groups)
    if not sized and objects:
        return Text("unknown", style="dim")
    return Text(("" if sized == objects else "≥ ") + format_bytes(sum(group.bytes for group in groups)))


def _intervals(row: Row, partition: Partition, *, count: bool = False) -> Text:
    """Which intervals a partition has: the shortest and the longest stand for all of them."""
    if partition not in row.partitions:
        return Text("–", style="dim")
    intervals = row.intervals(partition)
    if len(intervals) > 2:
        return Text(f"{intervals[0]} … {intervals[-1]}" + (f" ({len(intervals)})" if count else ""))
    return Text(" ".join(intervals) or "yes")
