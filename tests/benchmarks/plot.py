"""What was measured, as a picture: a panel for each comparison, a bar for each command, and its figures beside it."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.measuring import Result
    from tests.benchmarks.report import Comparison

WIDTH, MARGIN = 1180, 36
BARS_FROM, BARS_TO = 284, 684
COLUMNS = (750, 822, 894, 970, 1064, 1144)
"""Where the figures end: ratio, wall, CPU, memory, requests, connections."""
ROW, BAR, THIN = 26, 11, 3
HEAD, PANEL_HEAD, PANEL_GAP = 92, 46, 30
MOST_TIMES = 3.0
"""The longest bar, times the reference; what is longer is cut off."""
_LEGEND = (
    "Shorter is better. Thick bars: wall time; thin bars: CPU of all processes; whiskers: from the best to the worst "
    "round; dotted line: the reference."
)
_STYLE = """
svg { --paper: #fff; --ink: #1b2430; --soft: #6b7686; --line: #d9dee5; --peer: #aeb9c7; --ours: #0e9384; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #10151c; --ink: #e6ebf1; --soft: #8e9aab; --line: #2b3442; --peer: #4d5a6b; --ours: #2dc7b4; }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.title { font-size: 21px; font-weight: 650; } .panel { font-size: 15px; font-weight: 600; }
.soft { fill: var(--soft); font-size: 11.5px; } .figure { font-variant-numeric: tabular-nums; }
.us { fill: var(--ours); font-weight: 650; } .end { text-anchor: end; } .middle { text-anchor: middle; }
.peer { fill: var(--peer); } .ours { fill: var(--ours); } .thin { opacity: .55; } .paper { fill: var(--paper); }
.spread { stroke: var(--ink); stroke-width: 1.2; opacity: .75; fill: none; }
.cut { stroke: var(--paper); stroke-width: 4; }
.rule { stroke: var(--line); } .one { stroke: var(--ink); stroke-dasharray: 2 3; opacity: .55; }
"""


def plot(comparisons: Sequence[Comparison]) -> str:
    """Return the picture of all comparisons as SVG; it follows the light or dark of the page."""
    tops = [HEAD]
    for comparison in comparisons:
        tops.append(tops[-1] + PANEL_HEAD + ROW * len(comparison.results) + PANEL_GAP)
    body = [
        line
        for comparison, (top, _) in zip(comparisons, pairwise(tops), strict=True)
        for line in _panel(comparison, top)
    ]
    height = tops[-1]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>crypto-archive and its peers</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="14"/>',
        _text(MARGIN, 44, "crypto-archive and its peers", "title"),
        _text(MARGIN, 66, _LEGEND, "soft"),
        *body,
        "</svg>\n",
    ])  # fmt: skip


def _panel(comparison: Comparison, top: int) -> Iterator[str]:
    scale = _Scale(comparison)
    first = top + PANEL_HEAD
    bottom = first + ROW * len(comparison.results)
    yield f'<line class="rule" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{top}" y2="{top}"/>'
    yield _text(MARGIN, top + 26, comparison.title, "panel")
    headings = ("times", "wall", "CPU", "memory", *_last_headings(comparison))
    for at, heading in zip(COLUMNS, headings, strict=True):
        yield _text(at, first - 2, heading, "soft end")
    for number, result in enumerate(comparison.results):
        yield from _row(comparison, result, scale, first + ROW * number)
    if comparison.reference:
        one = scale.at(1)
        yield f'<line class="one" x1="{one:.1f}" x2="{one:.1f}" y1="{first}" y2="{bottom}"/>'


def _row(comparison: Comparison, result: Result, scale: _Scale, top: int) -> Iterator[str]:
    kind = "ours" if result.ours else "peer"
    middle = top + ROW / 2
    yield f"<g><title>{escape(_in_words(comparison, result))}</title>"
    yield _text(BARS_FROM - 12, middle + 4.5, result.name, f"end{' us' if result.ours else ''}")
    main = scale.values(result, comparison.figure)
    other = scale.values(result, "seconds" if comparison.figure == "cpu_seconds" else "cpu_seconds")
    yield _bar(middle - BAR + 2, BAR, scale.at(statistics.median(main)), kind)
    yield _bar(middle + 4, THIN, scale.at(statistics.median(other)), f"{kind} thin")
    if scale.is_beyond(statistics.median(main)):
        yield f'<path class="cut" d="M{BARS_TO - 26} {middle + 5}l5 -{BAR + 7}"/>'
    elif len(main) > 1 and main[0] < main[-1]:
        left, right, y = scale.at(main[0]), scale.at(main[-1]), middle - BAR / 2 + 2
        yield f'<path class="spread" d="M{left:.1f} {y - 3}v6M{left:.1f} {y}H{right:.1f}M{right:.1f} {y - 3}v6"/>'
    figures = _figures(comparison, result)
    styles = ("us" if result.ours else "", "", "", "", "soft", "soft")
    for at, figure, style in zip(COLUMNS, figures, styles, strict=True):
        yield _text(at, middle + 4.5, figure, f"figure end {style}")
    yield "</g>"


class _Scale:
    """Where on the picture a figure of one comparison ends: as a ratio if there is a reference, else as it is."""

    def __init__(self, comparison: Comparison) -> None:
        self._reference = comparison.compared_with
        longest = max(max(self.values(result, comparison.figure)) for result in comparison.results)
        self._most = min(max(longest, 1.0), MOST_TIMES) if self._reference else longest

    def values(self, result: Result, figure: str) -> list[float]:
        """Return what is drawn of a figure, round by round, ascending."""
        if self._reference is not None:
            return result.ratios(self._reference, figure)
        return sorted(getattr(run, figure) for run in result.runs)

    def at(self, value: float) -> float:
        """Return the place of a value, at the end where it is beyond it."""
        return BARS_FROM + (BARS_TO - BARS_FROM) * min(value / self._most, 1.0)

    def is_beyond(self, value: float) -> bool:
        """Whether a value has no place."""
        return value > self._most * 1.001


def _last_headings(comparison: Comparison) -> tuple[str, str]:
    if comparison.objects:
        return "", "objects per CPU s"
    return ("requests / file", "conn. / 100") if comparison.files else ("", "")


def _figures(comparison: Comparison, result: Result) -> tuple[str, ...]:
    ratios = comparison.ratios(result, comparison.figure)
    requests = connections = ""
    if comparison.files and (traffic := result.runs[-1].traffic):
        requests = f"{traffic.total / comparison.files:.2f}"
        connections = f"{100 * traffic.connections / comparison.files:.1f}"
    return (
        f"{statistics.median(ratios):.2f} ×" if ratios else "",
        f"{result.median('seconds'):.2f} s",
        f"{result.median('cpu_seconds'):.2f} s",
        f"{result.median('peak_mib'):.0f} MiB",
        requests,
        f"{comparison.rate(result):,.0f}" if comparison.objects else connections,
    )


def _in_words(comparison: Comparison, result: Result) -> str:
    words = [f"{result.name}: {result.median('seconds'):.2f} s", f"{result.median('cpu_seconds'):.2f} s of CPU"]
    if ratios := comparison.ratios(result, comparison.figure):
        words.append(f"{ratios[0]:.2f} to {ratios[-1]:.2f} times {comparison.reference}")
    return ", ".join(words)


def _bar(top: float, height: int, to: float, kind: str) -> str:
    width = max(to - BARS_FROM, 1)
    return f'<rect class="{kind}" x="{BARS_FROM}" y="{top}" width="{width:.1f}" height="{height}" rx="{height / 4}"/>'


def _text(x: float, y: float, content: str, style: str) -> str:
    return f'<text class="{style}" x="{x}" y="{y}">{escape(content)}</text>' if content else ""
