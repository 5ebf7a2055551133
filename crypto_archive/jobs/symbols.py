"""Universe: which symbols the archive had data of, and when, so that a backtest is not built on the survivors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.matrix import Status
from crypto_archive.errors import UsageError
from crypto_archive.model import DateRange, Notice
from crypto_archive.plan.availability import SymbolHistory
from crypto_archive.plan.candidates import listed_days, whole
from crypto_archive.plan.selection import select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.run_config import RunConfig, Selection
    from crypto_archive.model import OnNotice
    from crypto_archive.plan.selection import SeriesGroup

SCHEMA_VERSION = 1
EVERY_SYMBOL = ("*",)
INTERVAL = "1d"
"""The interval that is looked at where none is named: the smallest objects."""


def symbols(
    configured: RunConfig, *, as_of: date | None = None, on_notice: OnNotice = lambda _: None, today: date | None = None
) -> Iterator[SymbolHistory]:
    """Yield the symbols that the archive has data of, market by market and sorted by name, with first and last day.

    Of each market one data type is looked at, the first that is asked for, and one interval, likewise; markets that do
    not have the type are left out. Without symbols in the request, all of the archive are meant.

    Args:
        configured: What is asked about.
        as_of: Only symbols that had data on this UTC day; None for all that ever had.
        on_notice: Takes what there is to say.
        today: The current UTC day; read from the clock when not given.

    Raises:
        UsageError: The day has not passed, or none of the markets has the data type.
        S5cmdUnusable: There is no s5cmd that can be used for the listing.
        EndpointUnreachable: The listing failed.

    Example:
        >>> from datetime import date
        >>> from crypto_archive import load_preset, symbols
        >>> config = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]})
        >>> "BTCUSDT" in [history.series.symbol for history in symbols(config, as_of=date(2025, 7, 14))]
        True
    """
    request, matrix = configured.request, configured.matrix
    today = today or datetime.now(UTC).date()
    if as_of is not None and as_of >= today:
        raise UsageError(
            f"--as-of: {as_of} has not passed, so that no data is of it",
            hint="Name an earlier day, such as --as-of yesterday. Days are UTC.",
        )
    selection, data_type = request.selection, request.selection.data_types[0]
    rows = [
        row for market in selection.markets if (row := matrix.row(market, data_type)) is not None and _is_there(row)
    ]
    if not rows:
        raise UsageError(
            f"The archive has no {data_type} in {', '.join(selection.markets)}",
            hint="`crypto-archive matrix` shows what it has in which market.",
        )
    heard: set[str] = set()

    def say_once(notice: Notice) -> None:
        if notice.text not in heard:
            heard.add(notice.text)
            on_notice(notice)

    for notice in configured.notices:
        say_once(notice)
    root = Root(request.root.absolute())  # where there is none, nothing is remembered
    with open_listing(request, root.listings_path if root.path.is_dir() else None) as bucket:
        for row in rows:
            group, interval = _group(row, selection, matrix, today, say_once)
            if group is not None:
                found = listed_days(whole(group, (interval,), DateRange()), request.access, bucket, today, say_once)
                histories = (SymbolHistory(series, found[series].covered()) for series in sorted(found))
                yield from _on_day(histories, as_of)
        if remark := bucket.remark():
            say_once(remark)


def _group(
    row: Row, selection: Selection, matrix: Matrix, today: date, on_notice: OnNotice
) -> tuple[SeriesGroup | None, str | None]:
    """Return what to look at of a row, and the interval; no group where the row does not have the named one."""
    interval = _interval(row, selection.intervals.get(row.data_type, selection.intervals.get("*", ())))
    if interval is not None and interval not in row.all_intervals:
        on_notice(Notice(f"{row.market} {row.data_type}: no interval {interval} there"))
        return None, interval
    of_row = replace(
        selection, markets=(row.market,), data_types=(row.data_type,), intervals={"*": (interval,)} if interval else {},
        symbols={row.market: selection.symbols.get(row.market) or EVERY_SYMBOL}, dates=DateRange(),
    )  # fmt: skip
    return next(iter(select(of_row, matrix, today).groups), None), interval


def symbols_document(histories: Iterable[SymbolHistory], as_of: date | None) -> dict[str, object]:
    """Return a universe as a document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": None if as_of is None else as_of.isoformat(),
        "symbols": [_symbol_document(history) for history in histories],
    }


def _symbol_document(history: SymbolHistory) -> dict[str, object]:
    return {
        "market": str(history.series.market),
        "data_type": history.series.data_type,
        "symbol": history.series.symbol,
        "interval": history.series.interval,
        "first_day": str(history.first_day),
        "last_day": str(history.last_day),
        "days": dayset.count(history.days),
        "reused": bool(history.gaps),
        "gaps": [[str(gap.start), str(gap.end)] for gap in history.gaps],
    }


def _is_there(row: Row) -> bool:
    return row.status in {Status.ACTIVE, Status.DISCONTINUED}


def _interval(row: Row, named: tuple[str, ...]) -> str | None:
    """Return the interval to look at: the named one, else the usual one, else the longest that the row has."""
    if not row.has_intervals:
        return None
    return named[0] if named else INTERVAL if INTERVAL in row.all_intervals else row.all_intervals[-1]


def _on_day(histories: Iterable[SymbolHistory], day: date | None) -> Iterator[SymbolHistory]:
    wanted = None if day is None else dayset.span(day, day)
    return (history for history in histories if wanted is None or history.days & wanted)
