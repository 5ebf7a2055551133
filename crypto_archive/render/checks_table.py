"""The checks of a doctor as a Rich renderable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from crypto_archive.render.styles import CHECK_STYLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_archive.health.check import Check


def checks_table(checks: Iterable[Check]) -> Table:
    """Return checks, a line each, and below what is not in order a line on what to do."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("check", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("found", overflow="fold")
    for check in checks:
        table.add_row(check.name, Text(check.status, style=CHECK_STYLES[check.status]), Text(check.found))
        if check.advice:
            table.add_row("", "", Text(f"→ {check.advice}", style="cyan"))
    return table
