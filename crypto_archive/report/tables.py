"""What a command shows when it is done, as Rich renderables: a plan, the matrix, the summaries of the long jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from crypto_archive.model import Partition
from crypto_archive.report.progress import is_terminal
from crypto_archive.report.sizes import format_bytes, one_line
from crypto_archive.report.styles import ROW_STYLES
from crypto_archive.report.summary import report_summary, verify_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from crypto_archive.matrix import Row
    from crypto_archive.model import Notice
    from crypto_archive.totals import GroupTotals

__all__ = [
    "folders_table",
    "matrix_table",
    "plan_table",
    "presets_table",
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
    Console(file=stream, width=PIPE_WIDTH if wide else None).print(renderable)


def plan_table(groups: Sequence[GroupTotals], notices: Iterable[Notice] = ()) -> RenderableType:
    """Return what a plan adds up to, per market and data type, and what it has to say.

    Args:
        groups: The totals, in the order of the plan.
        notices: What the plan has to say.
    """
    if not groups:
        return Group(Text("The plan has no objects.", style="yellow"), *_notice_lines(notices))
    columns: list[tuple[str, Callable[[GroupTotals], int]]] = [
        ("objects", lambda group: group.objects),
        ("present", lambda group: group.present),
        ("updates", lambda group: group.updates),
        ("sidecars", lambda group: group.sidecars),
        ("commands", lambda group: group.commands),
        ("batches", lambda group: group.batches),
    ]
    kept = [(name, count) for name, count in columns if name == "objects" or any(map(count, groups))]
    table = _table(show_footer=len(groups) > 1)
    table.add_column("market", "total", no_wrap=True)
    table.add_column("data type", no_wrap=True)
    for name, count in kept:
        table.add_column(name, f"{sum(map(count, groups)):,}", justify="right", no_wrap=True)
    table.add_column("size", _size(groups), justify="right", no_wrap=True)
    for group in groups:
        counts = (_dim_zero(count(group)) for _, count in kept)
        table.add_row(str(group.market), group.data_type, *counts, _size([group]))
    return Group(table, *_notice_lines(notices))


def matrix_table(rows: Iterable[Row], *, notes: bool = False) -> Table:
    """Return what the archive can hold, a line a market and data type.

    Args:
        rows: Rows of the matrix.
        notes: Whether a column of notes is wanted; it needs a wide terminal.
    """
    table = _table()
    for name in ("market", "data type", "daily", "monthly", "from", "to", "status"):
        table.add_column(name, no_wrap=True)
    if notes:
        table.add_column("note", ratio=1)
    market = None
    for row in rows:
        table.add_row(
            "" if row.market == market else str(row.market),
            Text.assemble(row.data_type, *((f" {alias}", "dim") for alias in row.aliases)),
            *(_intervals(row, partition) for partition in Partition),
            str(row.first_date or ""),
            str(row.last_date or ""),
            Text(str(row.status), style=ROW_STYLES.get(str(row.status), "default")),
            *([row.note] if notes else []),
        )
        market = row.market
    return table


def presets_table(presets: Iterable[tuple[str, str, str]]) -> Table:
    """Return which presets there are.

    Args:
        presets: Name, description and path of each.
    """
    table = _table()
    for name in ("preset", "what for", "file"):
        table.add_column(name, no_wrap=name == "preset", overflow="fold")
    for name, description, path in presets:
        table.add_row(name, description, Text(path, style="dim"))
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


def _table(*, show_footer: bool = False) -> Table:
    return Table(box=box.SIMPLE_HEAD, header_style="bold", footer_style="bold", show_footer=show_footer, pad_edge=False)


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
    return Text(("" if sized == objects else "at least ") + format_bytes(sum(group.bytes for group in groups)))


def _intervals(row: Row, partition: Partition) -> Text:
    """Which intervals a partition has: the shortest and the longest stand for all of them."""
    if partition not in row.partitions:
        return Text("–", style="dim")
    intervals = row.intervals(partition)
    if len(intervals) > 2:
        return Text(f"{intervals[0]} … {intervals[-1]} ({len(intervals)})")
    return Text(" ".join(intervals) or "yes")
