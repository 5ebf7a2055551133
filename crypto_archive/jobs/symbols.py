"""Universe: which symbols the archive had data of, and when, so that a backtest avoids survivorship bias."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.matrix import Status
from crypto_archive.errors import UsageError
from crypto_archive.model import DateRange, Notice, Notices
from crypto_archive.plan.availability import SymbolHistory
from crypto_archive.plan.candidates import listed_days, whole
from crypto_archive.plan.selection import NamedSymbols, select
from crypto_archive.root.listing import open_listing
from crypto_archive.root.session import Context
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.config.run_config import RunConfig, Selection
    from crypto_archive.model import OnNotice

SCHEMA_VERSION = 1
EVERY_SYMBOL = ("*",)
DATA_TYPE = "klines"
"""The data type that is listed where none is selected."""
INTERVAL = "1d"
"""The interval that is listed where none is named: the smallest objects."""


def symbols(
    config: RunConfig, *, as_of: date | None = None, on_notice: OnNotice = lambda _: None, today: date | None = None
) -> Iterator[SymbolHistory]:
    """Yield the symbols that the archive has data of, market by market and sorted by name, with first and last day.

    Of each market one data type is listed, the first one selected or else klines, and one interval; markets without
    that type are left out. Without selected symbols, all of the archive's are meant.

    Args:
        config: What is asked about.
        as_of: Only symbols that had data on this UTC day; None for all that ever had.
        on_notice: Takes what a person should know, as it comes up.
        today: The current UTC day; read from the clock when not given.

    Raises:
        UsageError: The day is not over, or none of the markets has the data type.
        S5cmdUnusable: No usable s5cmd was found for the listing.
        EndpointUnreachable: The listing failed.

    Example:
        >>> from datetime import date
        >>> from crypto_archive import load_preset, symbols
        >>> config = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]})
        >>> "BTCUSDT" in [history.series.symbol for history in symbols(config, as_of=date(2025, 7, 14))]
        True
    """
    notices = Notices(on_notice)
    root = Root(config.request.root.absolute())  # its layout does not matter, since nothing but listings is read
    context = Context(config, root, today or datetime.now(UTC).date(), on_notice=notices)
    request, matrix, selection = context.request, context.matrix, context.request.selection
    if as_of is not None and as_of >= context.today:
        raise UsageError(
            f"--as-of: {as_of} is not over yet, so there is no data of it",
            hint="Choose an earlier day, such as --as-of yesterday. Days are UTC.",
        )
    data_type = next(iter(selection.data_types), DATA_TYPE)
    found = (matrix.row(market, data_type) for market in selection.markets)
    rows = [row for row in found if row is not None and row.status in {Status.ACTIVE, Status.DISCONTINUED}]
    if not rows:
        raise UsageError(
            f"The archive has no {data_type} in {', '.join(selection.markets)}",
            hint="`crypto-archive matrix` shows which market has which data types.",
        )
    for notice in config.notices:
        notices(notice)
    with open_listing(request, root.listings_path if root.path.is_dir() else None) as bucket:
        names = NamedSymbols(config)
        for row in rows:
            interval = _interval(row, selection)
            if interval is not None and interval not in row.all_intervals:
                notices(Notice(f"{row.market} {row.data_type}: no interval {interval}"))
                continue
            of_row = replace(
                selection, markets=(row.market,), data_types=(row.data_type,), dates=DateRange(),
                intervals={"*": (interval,)} if interval else {},
                symbols={row.market: selection.symbols.get(row.market) or EVERY_SYMBOL},
            )  # fmt: skip
            for group in select(context, of_row).groups[:1]:
                days = listed_days(context, whole(group, (interval,), DateRange()), bucket, names)
                for series in sorted(days):
                    history = SymbolHistory(series, days[series].covered())
                    if as_of is None or history.days & dayset.span(as_of, as_of):
                        yield history
        names.look_elsewhere(bucket)
        for notice in names.notices():
            notices(notice)
        if remark := bucket.remark():
            notices(remark)


def _interval(row: Row, selection: Selection) -> str | None:
    """Return the interval to list: the named one, else the usual one, else the longest of the row."""
    if not row.has_intervals:
        return None
    named = selection.intervals.get(row.data_type, selection.intervals.get("*", ()))
    return named[0] if named else INTERVAL if INTERVAL in row.all_intervals else row.all_intervals[-1]


def symbols_document(histories: Iterable[SymbolHistory], as_of: date | None) -> dict[str, object]:
    """Return symbols as a document."""
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
