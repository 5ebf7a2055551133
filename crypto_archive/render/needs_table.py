"""What a collect of a plan would take, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from crypto_archive.report.sizes import format_about, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.report.estimate import Estimate
    from crypto_archive.report.needs import Needs


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
