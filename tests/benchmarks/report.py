"""What was measured, as a table for the terminal and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from crypto_archive import __version__
from crypto_archive.s5cmd.binary import find_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.benchmarks.measuring import Result

_HEADINGS = ("", "wall", "times (from–to)", "CPU", "times (from–to)", "own", "memory", "conn./100", "requests per file")
_WIDTHS = (35, 9, 20, 10, 20, 6, 10, 11)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Commands that did the same work in the same minutes.

    Attributes:
        name: The scenario.
        title: What it is about, in a line.
        results: What was measured of each command.
        reference: The command that the others are compared with; empty if there is none.
        figure: The figure that counts: ``seconds`` or ``cpu_seconds``.
        files: How many files each transferred or listed: zips and sidecars.
        objects: How many objects each went through, where a rate says more than a ratio.
    """

    name: str
    title: str
    results: tuple[Result, ...]
    reference: str = ""
    figure: str = "seconds"
    files: int = 0
    objects: int = 0

    @property
    def compared_with(self) -> Result | None:
        """The result of the reference."""
        return next((result for result in self.results if result.name == self.reference), None)

    def ratios(self, result: Result, figure: str) -> list[float]:
        """Return how many times the reference's figure a command's is, round by round, ascending."""
        return result.ratios(self.compared_with, figure) if self.compared_with else []

    def rate(self, result: Result) -> float:
        """Return how many objects a command went through in a second of CPU."""
        return self.objects / result.median("cpu_seconds")


def table(comparison: Comparison) -> Iterator[str]:
    """Yield the lines of a comparison."""
    runs = max(len(result.runs) for result in comparison.results)
    yield f"{comparison.title} ({runs} run{'s' if runs > 1 else ''} each, in turn)"
    yield _line(_HEADINGS)
    for result in comparison.results:
        yield _line(_cells(comparison, result))


def document(comparisons: Iterable[Comparison]) -> dict[str, Any]:
    """Return all that was measured as a document for JSON."""
    machine = {
        "crypto_archive": __version__,
        "s5cmd": str(find_binary().version),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }
    return {"machine": machine, "comparisons": [_as_document(comparison) for comparison in comparisons]}


def _as_document(comparison: Comparison) -> dict[str, Any]:
    results = []
    for result in comparison.results:
        ratios = {
            figure: {"median": statistics.median(found), "from": found[0], "to": found[-1]}
            for figure in ("seconds", "cpu_seconds", "own_peak_mib")
            if (found := comparison.ratios(result, figure))
        }
        results.append({"name": result.name, "ratios": ratios, "runs": [asdict(run) for run in result.runs]})
    known = {
        field: getattr(comparison, field) for field in ("name", "title", "reference", "figure", "files", "objects")
    }
    return known | {"results": results}


def _line(cells: Sequence[str]) -> str:
    name, *figures = zip(cells[:-1], _WIDTHS, strict=True)
    return f"  {name[0]:<{name[1]}}{''.join(figure.rjust(width) for figure, width in figures)}  {cells[-1]}".rstrip()


def _cells(comparison: Comparison, result: Result) -> tuple[str, ...]:
    cpu = result.median("cpu_seconds")
    share = result.median("own_cpu_seconds") / cpu if cpu else 0
    requests = connections = ""
    if comparison.objects:
        requests = f"{comparison.rate(result):,.0f} objects per CPU s"
    elif comparison.files and (traffic := result.runs[-1].traffic):
        each = (f"{method} {_share(count / comparison.files)}" for method, count in traffic.requests.items())
        requests = f"{_share(traffic.total / comparison.files)} = {' + '.join(each)}" if traffic.total else "none"
        connections = f"{100 * traffic.connections / comparison.files:.1f}"
    return (
        result.name,
        f"{result.median('seconds'):.2f} s",
        _times(comparison.ratios(result, "seconds")),
        f"{cpu:.2f} s",
        _times(comparison.ratios(result, "cpu_seconds")),
        f"{share:.0%}",
        f"{result.median('peak_mib'):.0f} MiB",
        connections,
        requests,
    )


def _share(count: float) -> str:
    """Return a number of requests per file; a few among thousands are not none."""
    return f"{count:.2f}" if count >= 0.005 or not count else f"{count:.4f}"


def _times(ratios: list[float]) -> str:
    """Return the median of ratios and their spread in words."""
    if len(ratios) > 1 and ratios[0] < ratios[-1]:
        return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"
    return f"{statistics.median(ratios):.2f}" if ratios else ""
