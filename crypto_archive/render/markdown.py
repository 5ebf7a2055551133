"""Markdown: the matrix for the documentation, and a run's report for Prefect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from crypto_archive.model import Partition
from crypto_archive.text import format_bytes, format_duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crypto_archive.catalog.matrix import Row

_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("market", lambda row: str(row.market)),
    ("data type", lambda row: f"`{row.data_type}`"),
    ("aliases", lambda row: ", ".join(f"`{alias}`" for alias in row.aliases)),
    ("status", lambda row: f"{row.status}, doubtful" if row.doubtful else str(row.status)),
    ("daily", lambda row: _intervals(row, Partition.DAILY)),
    ("monthly", lambda row: _intervals(row, Partition.MONTHLY)),
    ("from", lambda row: str(row.first_date or "")),
    ("to", lambda row: str(row.last_date or "")),
    ("key", lambda row: f"`{row.key_pattern.template}`"),
    ("note", lambda row: " ".join(filter(None, (row.note, row.doubtful and f"Doubtful: {row.doubtful}")))),
)


def matrix_markdown(rows: Iterable[Row]) -> str:
    """Return rows of the matrix as a Markdown table with a line end."""
    cells = ([" ".join(cell(row).split()).replace("|", "\\|") for _, cell in _COLUMNS] for row in rows)
    return "\n".join(_table([name for name, _ in _COLUMNS], cells)) + "\n"


def _intervals(row: Row, partition: Partition) -> str:
    if partition not in row.partitions:
        return "–"
    return " ".join(row.intervals(partition)) or "yes"


ROWS_SHOWN = 100
"""How many rows each table of the artifact has; the report in the archive root has more."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&!$])")


def collection_markdown(result: dict[str, Any]) -> str:
    """Return the document of a flow run as Markdown with a line end."""
    collection = result["collection"]
    stats = collection["collection_stats"]
    lines = [
        f"# Archive collection: {result['status']}",
        "",
        escaped(result["reason"]),
        "",
        *_table(
            ("presets", "archive root", "objects", "stored", "fetched", "took"),
            [[escaped(cell) for cell in (
                ", ".join(collection["presets"]) or "none", collection["output_directory"],
                f"{stats['total_tasks']:,}", format_bytes(stats["total_size_bytes"]),
                format_bytes(collection["bytes_fetched"]), format_duration(stats["processing_time_seconds"]),
            )]],
        ),
    ]  # fmt: skip
    lines += _section("By market and data type", _group_header(collection), _group_rows(collection))
    lines += _section("Shards", ("shard", "status", "objects", "not in place", "run"), _shard_rows(result))
    lines += _section("Failures", ("key", "outcome", "reason", "attempts"), _failure_rows(collection))
    if result["verification"] is not None:
        verification = result["verification"]
        ended = f"{verification['status']}: {verification['objects']:,} objects"
        counts = ((name, f"{count:,}") for name, count in verification["verdicts"].items() if count)
        lines += _section(f"Verification, {ended}", ("verdict", "objects"), counts)
        bad = ((one["key"], one["verdict"], one["reason"]) for one in verification["bad"])
        lines += _section("Bad objects", ("key", "verdict", "reason"), bad)
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line and in a cell of a table."""
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _section(heading: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Return a heading and a table, or nothing without rows."""
    shown = [[escaped(str(cell)) for cell in row] for row in rows]
    if not shown:
        return []
    more = len(shown) - ROWS_SHOWN
    lines = ["", f"## {heading}", "", *_table(header, shown[:ROWS_SHOWN])]
    return [*lines, "", f"and {more:,} more in the report"] if more > 0 else lines


def _table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    for cells in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(cells)} |"


def _outcomes(collection: dict[str, Any]) -> list[str]:
    return [name for name, count in collection["outcomes"].items() if count]


def _group_header(collection: dict[str, Any]) -> tuple[str, ...]:
    return ("market", "data type", "objects", *_outcomes(collection), "stored")


def _group_rows(collection: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for group in collection["by_market_and_type"]:
        counts = (f"{group['outcomes'][name]:,}" for name in _outcomes(collection))
        yield group["market"], group["data_type"], f"{group['objects']:,}", *counts, format_bytes(group["bytes"])


def _shard_rows(result: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for shard in result["shards"]:
        yield shard["name"], shard["status"], f"{shard['objects']:,}", f"{shard['failed']:,}", shard["run_id"]


def _failure_rows(collection: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for failure in collection["failures"]:
        yield failure["key"], failure["outcome"], failure["reason"], failure["attempts"]
