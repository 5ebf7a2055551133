"""How long a run may take, judged by those before it: so many seconds an object, and so many a byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAME_SHAPE = 1e-9
"""Below this (1 is the most there can be) runs differ too little in bytes an object to tell the two rates apart."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a run fetched, and how long it took.

    Attributes:
        objects: Objects that it fetched, at least one.
        bytes: Bytes that it fetched.
        seconds: How long it took.
    """

    objects: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a run may take.

    Attributes:
        seconds: The estimate.
        runs: How many runs it is judged by.
        by_bytes: Whether bytes count in it; without them, as where sizes are unknown, it is the objects alone.
    """

    seconds: float
    runs: int
    by_bytes: bool = True


def estimate(past: Sequence[PastRun], objects: int, size: int | None) -> Estimate | None:
    """Return how long fetching may take; None where no run tells.

    Large runs weigh more than small ones, since the squares of the errors in seconds are what is kept small.

    Args:
        past: Runs that fetched something.
        objects: How many objects are to be fetched.
        size: Their bytes; None where they are unknown.
    """
    if not past:
        return None
    if size is None:
        return Estimate(_slope([(run.objects, run.seconds) for run in past]) * objects, len(past), by_bytes=False)
    per_object, per_byte = rates(past)
    return Estimate(per_object * objects + per_byte * size, len(past))


def rates(past: Sequence[PastRun]) -> tuple[float, float]:
    """Return seconds an object and seconds a byte, neither below 0, that explain past runs best (least squares).

    Where all runs have the same bytes an object, as one run alone has, half of the time is laid to either.
    """
    most_objects = max(run.objects for run in past)
    most_bytes = max(run.bytes for run in past) or 1
    points = [(run.objects / most_objects, run.bytes / most_bytes, run.seconds) for run in past]
    an_object, a_byte = _non_negative_fit(points)
    return an_object / most_objects, a_byte / most_bytes


def _non_negative_fit(points: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the a, b >= 0 for which a * x + b * y comes closest to z; x and y are from 0 to 1, one of the x is 1."""
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
    # The optimum lies on the edge: one of the two is 0, the one that costs less.
    return (xz / xx, 0.0) if xz * xz / xx >= yz * yz / yy else (0.0, yz / yy)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the a for which a * x comes closest to y."""
    return sum(x * y for x, y in points) / sum(x * x for x, _ in points)
