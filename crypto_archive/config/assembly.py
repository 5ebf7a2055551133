"""Puts the request together from the values that count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_archive.config.preset import ALL, EVERY
from crypto_archive.config.s5cmd_options import read_arguments
from crypto_archive.config.vocabulary import rows_named
from crypto_archive.model import DateRange, Market
from crypto_archive.preset_files import expanded
from crypto_archive.request import (
    DEFAULT_KEEP_RUNS,
    DEFAULT_LISTING_AGE_SECONDS,
    Access,
    Budget,
    Discovery,
    Fetching,
    Partitioning,
    Request,
    SymbolFilter,
    Wish,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.matrix import Matrix

DEFAULT_ROOT = Path("output")


def assemble(values: Mapping[str, Any], matrix: Matrix, dates: DateRange) -> Request:
    """Return the request that checked values mean; a value that is not there takes its default."""
    return Request(
        wish=_wish(values, matrix, dates),
        root=expanded(values.get("output_directory", DEFAULT_ROOT)),
        discovery=values.get("discover", Discovery.LISTING),
        access=_access(values),
        fetching=_fetching(values),
        budget=Budget(values.get("max_objects"), values.get("max_bytes")),
        keep_runs=values.get("keep_runs", DEFAULT_KEEP_RUNS),
        listing_age_seconds=values.get("listing_age_seconds", DEFAULT_LISTING_AGE_SECONDS),
        layout=values.get("layout"),
    )


def _wish(values: Mapping[str, Any], matrix: Matrix, dates: DateRange) -> Wish:
    markets = _markets(values, matrix)
    return Wish(
        markets=markets,
        data_types=tuple(dict.fromkeys(_canonical(name, matrix) for name in values.get("data_types", ()))),
        symbols=_symbols(values.get("symbols", {}), markets),
        intervals=_intervals(values.get("intervals", {}), matrix),
        dates=dates,
        partition=values.get("partition", Partitioning.AUTO),
        filters=_filters(values),
    )


def _markets(values: Mapping[str, Any], matrix: Matrix) -> tuple[Market, ...]:
    """Return the wanted markets, all that the matrix has where none is named."""
    if "markets" in values:
        return tuple(dict.fromkeys(Market(word) for word in values["markets"]))
    return tuple(market for market in Market if any(row.market is market for row in matrix.rows))


def _symbols(groups: Mapping[str, list[str]], markets: tuple[Market, ...]) -> dict[Market, tuple[str, ...]]:
    own = {market: groups.get(market, groups.get(EVERY)) for market in markets}
    return {
        market: tuple(dict.fromkeys("*" if word == ALL else word for word in words))
        for market, words in own.items()
        if words
    }


def _filters(values: Mapping[str, Any]) -> SymbolFilter:
    quotes = tuple(dict.fromkeys(values.get("quote_assets", ())))
    return SymbolFilter(quotes, values.get("contract"), values.get("settled"))


def _intervals(groups: Mapping[str, list[str]], matrix: Matrix) -> dict[str, tuple[str, ...]]:
    """Return the intervals by the matrix's own names; entries of a type and of its alias are joined."""
    joined: dict[str, list[str]] = {}
    for name, words in groups.items():
        data_type = name if name == EVERY else _canonical(name, matrix)
        joined.setdefault(data_type, []).extend(matrix.interval(word) for word in words)
    return {data_type: tuple(dict.fromkeys(words)) for data_type, words in joined.items()}


def _canonical(name: str, matrix: Matrix) -> str:
    """Return the data type's own name; the name as given where it means different types in different markets."""
    meant = {row.data_type for row in rows_named(matrix, name)}
    return meant.pop() if len(meant) == 1 else name


def _access(values: Mapping[str, Any]) -> Access:
    given = {field: values[field] for field in ("endpoint_url", "region", "bucket") if field in values}
    s5cmd = expanded(values["s5cmd"]) if "s5cmd" in values else None
    return Access(**given, s5cmd=s5cmd, extra_args=read_arguments(values.get("s5cmd_extra_args", ()))[0])


def _fetching(values: Mapping[str, Any]) -> Fetching:
    names = {
        "max_parallel_downloads": "jobs",
        "batch_size": "batch_size",
        "download_checksum": "download_checksum",
        "enable_resume": "resume",
        "force_redownload": "force",
        "timeout_seconds": "timeout_seconds",
        "stall_seconds": "stall_seconds",
        "part_size_mb": "part_size_mb",
    }
    given = {ours: values[field] for field, ours in names.items() if field in values}
    if values.get("enable_batch_mode") is False:
        given["batch_size"] = 1
    return Fetching(**given)
