"""Markdown: the matrix for the documentation, and a run's report for Prefect."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.matrix import Status
from crypto_archive.text import format_bytes, format_duration, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_archive.catalog.matrix import Row


def matrix_markdown(rows: Iterable[Row]) -> str:
    """Return rows of the matrix as Markdown, narrow enough for a phone: a table per market, and notes below it."""
    lines: list[str] = []
    for market, group in groupby(rows, key=lambda row: row.market):
        listed = list(group)
        cells = ([f"`{row.data_type}`", _files(row), _days(row)] for row in listed)
        lines += [f"### {market}", "", *_table(("data type", "files", "days"), cells), ""]
        lines += [*(f"- `{row.data_type}`: {_details(row)}" for row in listed), ""]
    return "\n".join(lines)


def _files(row: Row) -> str:
    """Return the partitions of a row with their intervals, abbreviated to the shortest and the longest."""
    parts = []
    for partition, intervals in row.partitions.items():
        shown = " … ".join((intervals[0], intervals[-1])) if len(intervals) > 2 else " ".join(intervals)
        parts.append(f"{partition} {shown}".strip())
    return ", ".join(parts) or "none"


def _days(row: Row) -> str:
    ended = f"to {row.last_date}" if row.last_date else ""
    status = "" if row.status is Status.ACTIVE else str(row.status)
    return " ".join(filter(None, (str(row.first_date or ""), ended, status)))


def _details(row: Row) -> str:
    parts: tuple[str | None, ...] = (
        f"Also called {', '.join(f'`{alias}`' for alias in row.aliases)}." if row.aliases else None,
        row.note,
        f"Doubtful: {row.doubtful}" if row.doubtful else None,
        f"`{row.key_pattern.template}`",
    )
    return " ".join(" ".join(filter(None, parts)).split())


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
