"""The symbols of a universe as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from crypto_archive import dayset
from crypto_archive.report.sizes import format_count, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from crypto_archive.holdings import SymbolHistory
    from crypto_archive.model import DateRange


def symbols_table(histories: Sequence[SymbolHistory]) -> RenderableType:
    """Return the symbols with their first and last day; a long gap is flagged, since the name may have been reused.

    Args:
        histories: The symbols, in the order to show.
    """
    if not histories:
        return Text("No symbol matches.", style="yellow")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("market", no_wrap=True)
    table.add_column("symbol", no_wrap=True)
    table.add_column("first day", no_wrap=True)
    table.add_column("last day", no_wrap=True)
    table.add_column("days", justify="right", no_wrap=True)
    table.add_column("without data", style="yellow")
    for one in histories:
        table.add_row(
            one.series.market, Text(one_line(one.series.symbol)), str(one.first_day), str(one.last_day),
            f"{dayset.count(one.days):,}", "; ".join(map(_gap, one.gaps)),
        )  # fmt: skip
    reused = sum(1 for one in histories if one.gaps)
    tail = f", {reused:,} with a long gap: their names may have been reused" if reused else ""
    return Group(table, Text(f"{format_count(len(histories), 'symbol')}{tail}"))


def _gap(gap: DateRange) -> str:
    return f"reused? {gap.start} to {gap.end}"
