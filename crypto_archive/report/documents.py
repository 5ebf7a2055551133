"""Parts of a run's document that say again what others know: what was asked for, which objects failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_archive.events import ObjectSettled
    from crypto_archive.request import Request


def failure_document(event: ObjectSettled) -> dict[str, object]:
    """Return an object that failed or was quarantined as an entry of ``failures``."""
    return {
        "key": event.object.key,
        "market": str(event.object.series.market),
        "data_type": event.object.series.data_type,
        "outcome": str(event.outcome),
        "reason": event.reason,
        "attempts": event.attempts,
    }


def selection_document(request: Request) -> dict[str, object]:
    """Return what was asked for as the field ``selection``."""
    wish = request.wish
    return {
        "markets": [str(market) for market in wish.markets],
        "data_types": list(wish.data_types),
        "symbols": {str(market): list(symbols) for market, symbols in wish.symbols.items()},
        "quote_assets": list(wish.filters.quotes),
        "contract": wish.filters.contract and str(wish.filters.contract),
        "settled": wish.filters.settled,
        "intervals": {data_type: list(intervals) for data_type, intervals in wish.intervals.items()},
        "start": wish.dates.start.isoformat() if wish.dates.start else None,
        "end": wish.dates.end.isoformat() if wish.dates.end else None,
        "partition": str(wish.partition),
        "discovery": str(request.discovery),
        "locked": str(request.locked) if request.locked else None,
    }
