"""What a collect of a plan would take: objects, bytes, requests, room on the disk, time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from crypto_archive.report.sizes import format_about, format_bytes, format_count

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


def needs_table(needs: Needs) -> Table:
    """Return the figures for a person, a line each."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("to fetch", _to_fetch(needs))
    facts.add_row("requests", _requests(needs))
    if needs.totals["to_fetch"]:
        facts.add_row("disk", _disk(needs))
        facts.add_row("duration", _duration(needs.estimate))
    if needs.totals["consolidated"]:
        facts.add_row("saved", _saved(needs.totals))
    return facts


def _to_fetch(needs: Needs) -> str:
    objects = needs.totals["to_fetch"]
    return (
        f"{format_count(objects, 'object')}, {_known(needs, needs.totals['bytes_to_fetch'])}" if objects else "nothing"
    )


def _known(needs: Needs, size: int) -> str:
    """Return a number of bytes, and whether it is all."""
    if not needs.unsized:
        return format_bytes(size)
    if not needs.totals["sized_to_fetch"]:
        return "size unknown"
    return f"at least {format_bytes(size)}, {format_count(needs.unsized, 'size')} unknown"


def _requests(needs: Needs) -> str:
    per_object = needs.requests_per_object
    share = "" if per_object is None else f": {per_object:.2f} a planned object"
    return f"{needs.requests:,} to fetch, {needs.requests_listed:,} to list{share}"


def _disk(needs: Needs) -> Text:
    added = needs.totals["added_bytes"]
    needed = f"{format_bytes(-added)} less needed" if added < 0 else f"{_known(needs, added)} needed"
    free = f"{format_bytes(needs.disk_free)} free"
    if not needs.totals["sized_to_fetch"]:
        return Text(f"need unknown, {free}")
    return Text(f"{needed}, {free}") if needs.fits else Text(f"{needed}, {free}: it does not fit", style="red")


def _duration(estimate: Estimate | None) -> str:
    if estimate is None:
        return "unknown: nothing has been fetched into this root yet"
    runs = "the last run" if estimate.runs == 1 else f"the last {estimate.runs} runs"
    alone = "" if estimate.by_bytes else " and the number of objects alone"
    return f"about {format_about(estimate.seconds)}, judged by {runs}{alone}"


def _saved(totals: Mapping[str, int]) -> str:
    """Say what monthly objects save; they may be larger than their days together, and that is told, too."""
    monthly, objects, size = totals["consolidated"], totals["saved_objects"], totals["saved_bytes"]
    stand = f"{format_count(monthly, 'monthly object')} {'stands' if monthly == 1 else 'stand'} for"
    bytes_less = f" and {format_bytes(size)} less" if size >= 0 else f" less, {format_bytes(-size)} more"
    return f"{stand} {monthly + objects:,} daily ones: {format_count(objects, 'object')}{bytes_less}"
