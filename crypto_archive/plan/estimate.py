"""What collecting a plan would take: requests, disk space, and time, estimated from earlier runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from crypto_archive.config.run_config import Budget

_SAME_SHAPE = 1e-9
"""Below this (the maximum is 1) runs differ too little in bytes per object to tell the two rates apart."""


class PastRun(NamedTuple):
    """What a run fetched, and how long it took.

    Attributes:
        objects: Objects that it fetched, at least one.
        bytes: Bytes that it fetched.
        seconds: How long it took.
    """

    objects: int
    bytes: int
    seconds: float


class Estimate(NamedTuple):
    """How long a run may take.

    Attributes:
        seconds: The estimate.
        runs: How many runs it is based on.
        by_bytes: Whether bytes count in it; where sizes are unknown, only objects do.
    """

    seconds: float
    runs: int
    by_bytes: bool = True


def estimate(past: Sequence[PastRun], objects: int, size: int | None) -> Estimate | None:
    """Return how long fetching may take; None without past runs. ``size`` is in bytes, None where it is unknown.

    Large runs weigh more than small ones, since the squares of the errors in seconds are minimised.
    """
    if not past:
        return None
    if size is None:
        return Estimate(_slope([(run.objects, run.seconds) for run in past]) * objects, len(past), by_bytes=False)
    per_object, per_byte = rates(past)
    return Estimate(per_object * objects + per_byte * size, len(past))


def rates(past: Sequence[PastRun]) -> tuple[float, float]:
    """Return seconds per object and seconds per byte, neither below 0, that fit past runs best (least squares).

    Where all runs have the same bytes per object, as one run alone has, half of the time is attributed to either.
    """
    most_objects = max(run.objects for run in past)
    most_bytes = max(run.bytes for run in past) or 1
    points = [(run.objects / most_objects, run.bytes / most_bytes, run.seconds) for run in past]
    per_object, per_byte = _non_negative_fit(points)
    return per_object / most_objects, per_byte / most_bytes


def _non_negative_fit(points: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the a, b >= 0 for which a * x + b * y is closest to z; x and y are from 0 to 1, one of the x is 1."""
    xx = sum(x * x for x, _, _ in points)
    xy = sum(x * y for x, y, _ in points)
    yy = sum(y * y for _, y, _ in points)
    xz = sum(x * z for x, _, z in points)
    yz = sum(y * z for _, y, z in points)
    if not yy:
        return xz / xx, 0.0
    determinant = xx * yy - xy * xy
    if determinant <= _SAME_SHAPE * xx * yy:
        return xz / xx / 2, yz / yy / 2
    a, b = (xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant
    if a >= 0 and b >= 0:
        return a, b
    # The optimum lies on the edge, where one of the two is 0.
    return (xz / xx, 0.0) if xz * xz / xx >= yz * yz / yy else (0.0, yz / yy)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the a for which a * x is closest to y."""
    return sum(x * y for x, y in points) / sum(x * x for x, _ in points)


RUNS_JUDGED_BY = 10
RUNS_LOOKED_AT = 100
"""At most so many of the newest folders are read, however many are kept."""
LARGEST_REPORT = 1 << 21
"""In bytes; a report has a few thousand as a rule, and a larger one is left out."""
_HUGE = 1 << 60
"""More than any run has: objects, bytes or seconds."""


def past_runs(runs: Path) -> tuple[PastRun, ...]:
    """Return the last ten runs that fetched something, newest first; ``runs`` is the folder of runs, if any.

    Runs that ended with an error are left out, since they may have waited for a server that did not answer. So is a
    report that is missing or damaged: nothing depends on it.
    """
    try:
        folders = sorted(runs.iterdir(), reverse=True)[:RUNS_LOOKED_AT]
    except OSError:
        return ()
    return tuple(islice(_readable(folders), RUNS_JUDGED_BY))


def _readable(folders: list[Path]) -> Iterator[PastRun]:
    for folder in folders:
        with suppress(OSError, ValueError):
            run = _past_run(read_json(folder / "report.json", _Report, LARGEST_REPORT))
            if run is not None:
                yield run


@dataclass(frozen=True, slots=True)
class _Outcomes:
    fetched: int
    updated: int


@dataclass(frozen=True, slots=True)
class _Stats:
    processing_time_seconds: float


@dataclass(frozen=True, slots=True)
class _Report:
    """What is read of a report."""

    status: str
    outcomes: _Outcomes
    bytes_fetched: int
    collection_stats: _Stats


def _past_run(report: _Report) -> PastRun | None:
    """Return the run of a report, None where it tells nothing about how long fetching takes."""
    objects, size = report.outcomes.fetched + report.outcomes.updated, report.bytes_fetched
    seconds = report.collection_stats.processing_time_seconds
    possible = 0 < objects < _HUGE and 0 <= size < _HUGE and 0 < seconds < _HUGE
    return PastRun(objects, size, seconds) if possible and report.status != "failed" else None


@dataclass(frozen=True, slots=True)
class Needs:
    """What collecting a plan would take, and what is available.

    Attributes:
        totals: The sums over the plan, by the field names of GroupTotals.
        requests_listed: LIST requests that the plan has made; collecting makes them again, or finds them cached.
        disk_free: Bytes that may still be written to the root's disk.
        estimate: How long it may take; None without earlier runs.
        budget: The limits that were set.
    """

    totals: Mapping[str, int]
    requests_listed: int
    disk_free: int
    estimate: Estimate | None
    budget: Budget

    @property
    def requests(self) -> int:
        """Requests for fetching: one for each zip and sidecar, and one of each command, which looks what there is.

        A file larger than one part takes one request per part.
        """
        return self.totals["to_fetch"] + self.totals["sidecars"] + self.totals["commands"]

    @property
    def requests_per_object(self) -> float | None:
        """All requests, with listing, per planned object; None where there are none."""
        planned = self.totals["objects"]
        return (self.requests + self.requests_listed) / planned if planned else None

    @property
    def unsized(self) -> int:
        """How many objects to fetch have an unknown size."""
        return self.totals["to_fetch"] - self.totals["sized_to_fetch"]

    @property
    def fits(self) -> bool:
        """Whether the objects of known size fit on the disk."""
        return self.totals["added_bytes"] <= self.disk_free

    def document(self) -> dict[str, object]:
        """Return the figures as ``docs/report.md`` describes them: bytes, seconds, null where unknown."""
        totals, per_object = self.totals, self.requests_per_object
        return {
            "objects_to_fetch": totals["to_fetch"],
            "bytes_to_fetch": None if self.unsized else totals["bytes_to_fetch"],
            "requests": self.requests,
            "requests_listed": self.requests_listed,
            "requests_per_object": None if per_object is None else round(per_object, 3),
            "disk_needed": None if self.unsized else totals["added_bytes"],
            "disk_free": self.disk_free,
            "seconds": None if self.estimate is None else round(self.estimate.seconds, 1),
            "judged_by_runs": 0 if self.estimate is None else self.estimate.runs,
            "monthly_objects": totals["consolidated"],
            "daily_objects": totals["consolidated"] + totals["saved_objects"],
            "saved_objects": totals["saved_objects"],
            "saved_bytes": totals["saved_bytes"],
            "max_objects": self.budget.max_objects,
            "max_bytes": self.budget.max_bytes,
        }
