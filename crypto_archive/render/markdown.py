"""The matrix as a Markdown table, for documents; no Rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.model import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crypto_archive.matrix import Row

_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("market", lambda row: str(row.market)),
    ("data type", lambda row: f"`{row.data_type}`"),
    ("aliases", lambda row: ", ".join(f"`{alias}`" for alias in row.aliases)),
    ("status", lambda row: str(row.status)),
    ("daily", lambda row: _intervals(row, Partition.DAILY)),
    ("monthly", lambda row: _intervals(row, Partition.MONTHLY)),
    ("from", lambda row: str(row.first_date or "")),
    ("to", lambda row: str(row.last_date or "")),
    ("key", lambda row: f"`{row.key_pattern.template}`"),
    ("note", lambda row: row.note),
)


def matrix_markdown(rows: Iterable[Row]) -> str:
    """Return rows of the matrix as a Markdown table with a line end."""
    lines = [_line(name for name, _ in _COLUMNS), _line("---" for _ in _COLUMNS)]
    lines.extend(_line(cell(row) for _, cell in _COLUMNS) for row in rows)
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _intervals(row: Row, partition: Partition) -> str:
    if partition not in row.partitions:
        return "–"
    return " ".join(row.intervals(partition)) or "yes"
