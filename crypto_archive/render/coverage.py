"""Coverage as a heat map on the terminal and as a page for the browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from crypto_archive import __version__
from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.model import Absence
from crypto_archive.plan.availability import total
from crypto_archive.render.tables import notice_lines
from crypto_archive.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from crypto_archive.jobs.coverage import CoverageReport
    from crypto_archive.plan.availability import DayCounts, SeriesCoverage

SERIES_SHOWN = 30
"""How many series of a market and data type are shown by default."""
MOST_DAYS = 62
"""The longest span that is shown day by day."""
MOST_NAMED_MONTHS = 12
"""The longest span whose months are named."""
MOST_WIDE_MONTHS = 40
"""The longest span whose months are two characters wide."""

WHOLE, MOST, SOME, NOTHING, HOLED, UNOPENED = "█", "▓", "▒", "░", "×", "?"
_ON_DISK, _PARTLY, _TO_FETCH, _LACKING, _FAINT = "#4f9fdf", "#8fb5cf", "#cca300", "bold #d96f86", "bright_black"
_ABSENCE_SIGNS = {
    Absence.NOT_YET: "~",
    Absence.BEFORE_FIRST: "·",
    Absence.LATE: "!",
    Absence.MONTHLY_ONLY: "m",
    Absence.DELISTED: "-",
    Absence.DISCONTINUED: "=",
    Absence.NEVER_PUBLISHED: "/",
    Absence.HOLE: HOLED,
}
_FIGURES = ("on disk", "to fetch", "holes")
_MEANINGS = {
    Absence.HOLE: "the archive has a hole",
    Absence.NOT_YET: "not published yet",
    Absence.BEFORE_FIRST: "before the first day",
    Absence.LATE: "late",
    Absence.MONTHLY_ONLY: "only in a monthly object",
    Absence.DELISTED: "delisted",
    Absence.DISCONTINUED: "discontinued",
    Absence.NEVER_PUBLISHED: "never published",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How time is divided into cells.

    Attributes:
        cells: The days of each cell, oldest first.
        heading: The text above the cells.
        width: How many characters a cell takes.
        gap: The text between two cells.
    """

    cells: tuple[Days, ...]
    heading: str
    width: int = 1
    gap: str = ""

    @property
    def columns(self) -> int:
        """The width of a line of cells."""
        return len(self.cells) * (self.width + len(self.gap)) - len(self.gap)


def coverage_view(report: CoverageReport, *, every_series: bool = False) -> RenderableType:
    """Return the heat map of a coverage, with a total per market and data type, a legend and the notices."""
    notices = notice_lines(report.notices)
    if not report.series:
        return Group(Text("No series matches.", style="yellow"), notices)
    counts = report.counts()
    shown = _Maps(report, None if every_series else SERIES_SHOWN)
    return Group(shown, _legend(counts), _totals(len(report.series), counts), notices)


class _Maps:
    """The heat maps of all markets and data types, at the finest scale that fits the available width."""

    def __init__(self, report: CoverageReport, limit: int | None) -> None:
        self._report = report
        self._limit = limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the scale and draw the maps."""
        labels = (f"{len(self._report.series):,} series", *map(_label, self._report.series))
        figures = zip(_FIGURES, _figures(self._report.counts()), strict=True)
        widths = (max(map(cell_len, labels)), *(max(map(len, pair)) for pair in figures))
        margin = sum(widths) + 2 * len(widths)
        choices = list(scales(interesting_days(self._report.series)))
        fitting = (scale for scale in choices if margin + scale.columns <= options.max_width)
        yield from _sections(self._report, next(fitting, choices[-1]), self._limit, widths)


def interesting_days(series: Sequence[SeriesCoverage]) -> Days:
    """Return the wanted days from the first day of any series on."""
    wanted = 0
    for one in series:
        wanted |= one.wanted
    early = wanted
    for one in series:
        early &= one.missing.get(Absence.BEFORE_FIRST, dayset.NONE) | ~one.wanted
    first = dayset.first(Days(wanted & ~early))
    return Days(wanted) if first is None else Days(wanted & ~dayset.before(first))


def scales(shown: Days) -> Iterator[Scale]:
    """Yield the ways to divide days into cells, the finest first."""
    if dayset.count(dayset.enclosed(shown)) <= MOST_DAYS:
        yield _scale([(f"{day:%Y-%m}", dayset.span(day, day)) for day in _days_of(dayset.enclosed(shown))])
    cells = [(month.first_day, days) for month, days in dayset.months(shown)]
    if len(cells) <= MOST_NAMED_MONTHS:
        names = " ".join(f"{day:%b}" for day, _ in cells)
        years = _scale([(f"{day.year}", days) for day, days in cells], width=4)
        yield Scale(years.cells, f"{years.heading}\n{names}", width=3, gap=" ")
    if len(cells) <= MOST_WIDE_MONTHS:
        yield _scale([(f"{day.year}", days) for day, days in cells], width=2)
    yield _scale([(f"{day.year}", days) for day, days in cells])
    yield _scale([(f"{day.year}", days) for day, days in _merged(cells, lambda day: (day.year, (day.month - 1) // 3))])
    yield _scale([(f"{day:%y}", days) for day, days in _merged(cells, lambda day: day.year)])


def sign_of(counts: DayCounts, *, shows_holes: bool = True) -> tuple[str, str]:
    """Return the sign of a cell and its style; in a total of many series, some hole is everywhere and not shown."""
    share = counts.share
    if share is None:
        reason = max(counts.missing, key=lambda one: counts.missing[one], default=None)
        if reason is None:
            return " ", ""
        return _ABSENCE_SIGNS[reason], _LACKING if reason is Absence.HOLE else _FAINT
    style = _ON_DISK if share == 1 else _PARTLY if share > 0 else _TO_FETCH
    if counts.unopened and counts.unopened + counts.stored == counts.available:
        return UNOPENED, _PARTLY
    if counts.holes and shows_holes:
        return HOLED, f"bold {style}"
    return (WHOLE if share == 1 else MOST if share >= 0.5 else SOME if share > 0 else NOTHING), style


def format_share(counts: DayCounts) -> str:
    """Return the share of the available days that is on disk, never rounded up to all or down to nothing."""
    share = counts.share
    if share is None:
        return "–"
    percent = 100 * share
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def _days_of(days: Days) -> Iterator[date]:
    for run in dayset.runs(days):
        if run.start is not None and run.end is not None:
            yield from map(date.fromordinal, range(run.start.toordinal(), run.end.toordinal() + 1))


def _merged(cells: list[tuple[date, Days]], key: Callable[[date], object]) -> Iterator[tuple[date, Days]]:
    """Yield one cell per run of cells with the same key, by its first day."""
    for _, same in groupby(cells, key=lambda cell: key(cell[0])):
        (first, days), *others = same
        for _, more in others:
            days = Days(days | more)
        yield first, days


def _scale(cells: list[tuple[str, Days]], width: int = 1) -> Scale:
    """Return a scale whose heading has each label where it starts, as far as there is room."""
    heading, last = "", ""
    for place, (label, _) in enumerate(cells):
        if label != last and place * width >= len(heading) + bool(heading):
            heading = heading.ljust(place * width) + label
        last = label
    return Scale(tuple(days for _, days in cells), heading, width)


def _sections(
    report: CoverageReport, scale: Scale, limit: int | None, widths: tuple[int, ...]
) -> Iterator[RenderableType]:
    for market, data_type, series in report.groups:
        yield Text(f"{market} {data_type}", style="bold")
        yield _table(series, scale, limit, widths)
        if limit is not None and len(series) > limit:
            yield Text(f"  … and {len(series) - limit:,} more series; --all shows them, "
                       "--to coverage.html draws them all", style="dim")  # fmt: skip
        yield Text()


def _table(series: list[SeriesCoverage], scale: Scale, limit: int | None, widths: tuple[int, ...]) -> Table:
    """Return the map of one market and data type; all of them have the same width."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, min_width=widths[0])
    table.add_column(scale.heading, no_wrap=True)
    for name, width in zip(_FIGURES, widths[1:], strict=True):
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom", min_width=width)
    if len(series) > 1:
        _add_row(table, Text(f"{len(series):,} series", style="bold"), series, scale)
    for one in series[:limit]:
        _add_row(table, Text(_label(one)), [one], scale)
    return table


def _label(one: SeriesCoverage) -> str:
    return one_line(" ".join(filter(None, (one.series.symbol, one.series.interval))))


def _add_row(table: Table, label: Text, series: list[SeriesCoverage], scale: Scale) -> None:
    counts = total(one.counts() for one in series)
    sums = (total(one.within(cell) for one in series) for cell in scale.cells)
    cells = (sign_of(cell, shows_holes=len(series) == 1) for cell in sums)
    strip = Text(scale.gap).join(Text(sign * scale.width, style) for sign, style in cells)
    table.add_row(label, strip, *_figures(counts))


def _figures(counts: DayCounts) -> tuple[str, str, str]:
    to_fetch, holes = (f"{days:,} d" if days else "" for days in (counts.to_fetch, counts.holes))
    return format_share(counts), to_fetch, holes


def _legend(counts: DayCounts) -> Text:
    """Return the meanings of the signs that occur."""
    entries = [(WHOLE, _ON_DISK, "on disk")] if counts.stored else []
    if counts.stored and counts.to_fetch:
        entries += [(MOST, _PARTLY, "most of it"), (SOME, _PARTLY, "some of it")]
    if counts.unopened:
        entries.append((UNOPENED, _PARTLY, "in a month, not looked into"))
    if counts.to_fetch:
        entries.append((NOTHING, _TO_FETCH, "to fetch"))
    for reason, meaning in _MEANINGS.items():
        if reason in counts.missing:
            entries.append((_ABSENCE_SIGNS[reason], _LACKING if reason is Absence.HOLE else _FAINT, meaning))
    return Text("   ").join(Text.assemble((sign, style), f" {meaning}") for sign, style, meaning in entries)


def _totals(series: int, counts: DayCounts) -> Text:
    stored = f"{series:,} series: {counts.available:,} days available, {format_share(counts)} of them on disk"
    unopened = f", {counts.unopened:,} in months that were not looked into" if counts.unopened else ""
    return Text(f"{stored}{unopened}, {counts.to_fetch:,} to fetch; {counts.holes:,} in holes", style="bold")


DATA = "/*DATA*/"
"""The placeholder for the data in the template."""

STORED, ONLY_STORED, TO_FETCH, UNWANTED, NOT_LOOKED_INTO = "s", "o", "f", "u", "q"
ABSENCE_LETTERS = {
    Absence.NOT_YET: "n",
    Absence.BEFORE_FIRST: "b",
    Absence.LATE: "l",
    Absence.MONTHLY_ONLY: "m",
    Absence.DELISTED: "e",
    Absence.DISCONTINUED: "d",
    Absence.NEVER_PUBLISHED: "v",
    Absence.HOLE: "h",
}


def coverage_page(report: CoverageReport) -> Iterator[str]:
    """Yield the page of a coverage piece by piece."""
    head, foot = _template().split(DATA)
    yield head
    yield embedded(_document(report))
    yield foot


def embedded(document: object) -> str:
    """Return a document as JSON that is safe in a script element, whatever text it contains."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def stretches(one: SeriesCoverage, shown: Days) -> str:
    """Return the states of the shown days of a series in order, as lengths and letters: ``120b31s2f``."""
    known = Days(one.wanted & shown)
    states = [
        (STORED, Days(one.stored & one.listed)),
        (ONLY_STORED, one.only_stored),
        (TO_FETCH, one.to_fetch),
        (NOT_LOOKED_INTO, one.unopened),
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
