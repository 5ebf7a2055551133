"""The coverage as one HTML page that needs nothing else: no server, no network, no second file."""

from __future__ import annotations

import json
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive import dayset
from crypto_archive.dayset import Days
from crypto_archive.model import Absence
from crypto_archive.render.heatmap import interesting_days
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.holdings import SeriesCoverage
    from crypto_archive.report.coverage_report import CoverageReport

DATA = "/*DATA*/"
"""What stands in the template for the data."""

STORED, ONLY_STORED, TO_FETCH, UNWANTED = "s", "o", "f", "u"
ABSENCE_LETTERS = {
    Absence.NOT_YET: "n",
    Absence.BEFORE_FIRST: "b",
    Absence.AFTER_LAST: "a",
    Absence.DELISTED: "e",
    Absence.DISCONTINUED: "d",
    Absence.NEVER_PUBLISHED: "v",
    Absence.HOLE: "h",
}


def coverage_page(report: CoverageReport) -> Iterator[str]:
    """Yield the page of a coverage piece by piece.

    Args:
        report: The coverage.
    """
    head, foot = _template().split(DATA)
    yield head
    yield embedded(_document(report))
    yield foot


def embedded(document: object) -> str:
    """Return a document as JSON that can stand in a script element, whatever texts it holds."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def stretches(one: SeriesCoverage, shown: Days) -> str:
    """Return the states of the shown days from the first to the last one, as lengths and letters: ``120b31s2f``.

    Args:
        one: The coverage of a series.
        shown: The days to tell of.
    """
    known = Days(one.wanted & shown)
    states = [
        (STORED, Days(one.stored & one.listed)),
        (ONLY_STORED, one.only_stored),
        (TO_FETCH, one.to_fetch),
        *((ABSENCE_LETTERS[reason], days) for reason, days in one.missing.items()),
        (UNWANTED, Days(dayset.enclosed(shown) & ~known)),
    ]
    runs = chain.from_iterable(
        ((run, letter) for run in dayset.runs(Days(days & dayset.enclosed(shown)))) for letter, days in states
    )
    ordered = sorted((run.start, run.end, letter) for run, letter in runs if run.start and run.end)
    return "".join(f"{(end - start).days + 1}{letter}" for start, end, letter in ordered)


def _document(report: CoverageReport) -> dict[str, object]:
    shown = interesting_days(report.series)
    first, last = dayset.first(shown), dayset.last(shown)
    return {
        "generated": report.generated_at.isoformat(),
        "version": __version__,
        "root": report.root,
        "endpoint": report.request.access.endpoint_url,
        "discovery": str(report.request.discovery),
        "first": None if first is None else first.isoformat(),
        "last": None if last is None else last.isoformat(),
        "notices": [notice.text for notice in report.notices],
        "groups": [
            {
                "market": str(market),
                "type": data_type,
                "series": [[one.series.symbol, one.series.interval or "", stretches(one, shown)] for one in series],
            }
            for market, data_type, series in report.groups
        ],
    }


@cache
def _template() -> str:
    return Path(__file__).with_name("coverage.html").read_text(encoding="utf-8")
