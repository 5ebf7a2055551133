"""What a collect of a plan would take: objects, bytes, requests, room on the disk, time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.report.estimate import Estimate
    from crypto_archive.request import Budget

REQUESTS_A_COPY = 2
"""s5cmd asks for an object's head, then for the object; a file larger than one part takes a request a part."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a collect would take, and what there is.

    Attributes:
        totals: The sums over the plan, by the names of the fields of GroupTotals.
        requests_listed: LIST requests that the plan has made; the collect would make them again, or find them cached.
        disk_free: Bytes that may still be written to the root's disk.
        estimate: How long it may take; None where no earlier run tells.
        budget: The limits that were set.
    """

    totals: Mapping[str, int]
    requests_listed: int
    disk_free: int
    estimate: Estimate | None
    budget: Budget

    @property
    def requests(self) -> int:
        """Requests that fetching would take, listing not included."""
        return REQUESTS_A_COPY * self.totals["commands"]

    @property
    def requests_per_object(self) -> float | None:
        """All requests, listing included, shared out among the planned objects; None where there are none."""
        planned = self.totals["objects"]
        return (self.requests + self.requests_listed) / planned if planned else None

    @property
    def unsized(self) -> int:
        """How many objects to fetch have an unknown size."""
        return self.totals["to_fetch"] - self.totals["sized_to_fetch"]

    @property
    def fits(self) -> bool:
        """Whether the disk has room for what is known of it."""
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
