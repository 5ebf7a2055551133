"""What ``matrix coverage`` found: a fold of the coverage of series into sums, a document and an exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from crypto_archive import dayset
from crypto_archive.errors import ExitCode
from crypto_archive.holdings import total
from crypto_archive.model import Absence
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from crypto_archive.dayset import Days
    from crypto_archive.holdings import DayCounts, SeriesCoverage
    from crypto_archive.model import Market, Notice
    from crypto_archive.request import Request

SCHEMA_VERSION = 1


class CoverageReport:
    """The coverage of a selection so far.

    A series takes a few hundred bytes for each set of days, however many objects it has.

    Attributes:
        request: What was asked about.
        matrix_version: The edition of the matrix that explained it.
        today: The UTC day on which it was asked.
        series: The coverage of every series, in the order of the selection.
        notices: What there was to say.
    """

    def __init__(
        self, request: Request, matrix_version: str, today: date, *, generated_at: datetime | None = None
    ) -> None:
        """Begin an empty report.

        Args:
            request: What is asked about.
            matrix_version: The edition of the matrix.
            today: The current UTC day.
            generated_at: Wall clock, UTC; now, when not given.
        """
        self.request = request
        self.matrix_version = matrix_version
        self.today = today
        self.series: list[SeriesCoverage] = []
        self.notices: list[Notice] = []
        self.generated_at = generated_at or datetime.now(UTC).replace(microsecond=0)

    def add(self, series: SeriesCoverage) -> None:
        """Take in the coverage of one more series; those of one market and data type come one after the other."""
        self.series.append(series)

    @property
    def root(self) -> str:
        """The archive root that was looked at, as an absolute path."""
        return str(self.request.root.absolute())

    @property
    def groups(self) -> list[tuple[Market, str, list[SeriesCoverage]]]:
        """The series by market and data type, in their order."""
        by_row = groupby(self.series, key=lambda one: (one.series.market, one.series.data_type))
        return [(market, data_type, list(series)) for (market, data_type), series in by_row]

    def counts(self) -> DayCounts:
        """Count the days of all series; a day counts once for each series."""
        return total(one.counts() for one in self.series)

    def exit_code(self) -> ExitCode:
        """Return how the command ends: partial when nothing of the selection is in the archive or on disk."""
        return ExitCode.OK if any(one.stored or one.listed for one in self.series) else ExitCode.PARTIAL

    def document(self) -> Iterator[str]:
        """Yield the report as JSON text, a line a series, as ``docs/coverage.schema.json`` describes it."""
        head = json.dumps(self._head(), indent=2, ensure_ascii=False)
        yield head.removesuffix("\n}") + ',\n  "series": ['
        separator = "\n    "
        for one in self.series:
            yield separator + json.dumps(_series_document(one), ensure_ascii=False)
            separator = ",\n    "
        yield "\n  ]\n}\n" if self.series else "]\n}\n"

    def _head(self) -> dict[str, object]:
        access = self.request.access
        return {
            "schema_version": SCHEMA_VERSION,
            "generated_at": self.generated_at.isoformat(),
            "output_directory": self.root,
            "source": {"endpoint_url": access.endpoint_url, "bucket": access.bucket},
            "selection": self._selection(),
            "totals": {"series": len(self.series), **counts_document(self.counts())},
            "by_market_and_type": [
                {
                    "market": str(market),
                    "data_type": data_type,
                    "series": len(series),
                    **counts_document(total(one.counts() for one in series)),
                }
                for market, data_type, series in self.groups
            ],
            "notices": [notice.text for notice in self.notices],
            "versions": {"crypto_archive": __version__, "matrix": self.matrix_version},
        }

    def _selection(self) -> dict[str, object]:
        wish = self.request.wish
        return {
            "markets": [str(market) for market in wish.markets],
            "data_types": list(wish.data_types),
            "symbols": {str(market): list(symbols) for market, symbols in wish.symbols.items()},
            "intervals": {data_type: list(intervals) for data_type, intervals in wish.intervals.items()},
            "start": _text(wish.dates.start),
            "end": _text(wish.dates.end),
            "discovery": str(self.request.discovery),
        }


def counts_document(counts: DayCounts) -> dict[str, object]:
    """Return counts of days as a document."""
    return {
        "days": counts.days,
        "stored": counts.stored,
        "listed": counts.listed,
        "to_fetch": counts.to_fetch,
        "missing": {str(reason): days for reason, days in counts.missing.items()},
    }


def _series_document(one: SeriesCoverage) -> dict[str, object]:
    return {
        "market": str(one.series.market),
        "data_type": one.series.data_type,
        "symbol": one.series.symbol,
        "interval": one.series.interval,
        "first_day": _text(one.first_day),
        "last_day": _text(one.last_day),
        **counts_document(one.counts()),
        "holes": _stretches(one.missing.get(Absence.HOLE, dayset.NONE)),
        "months": [{"month": str(month), **counts_document(counts)} for month, counts in one.months()],
    }


def _stretches(days: Days) -> list[list[str | None]]:
    return [[_text(run.start), _text(run.end)] for run in dayset.runs(days)]


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
