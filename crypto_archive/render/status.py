"""The status of an archive root, as a page of a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from crypto_archive.jobs.status import DIED, EMPTY, WAITING
from crypto_archive.render.console import STATUS_STYLES, SteadyConsole
from crypto_archive.render.plain import is_terminal
from crypto_archive.render.summary import doubts
from crypto_archive.render.tables import PIPE_WIDTH, Facts, plain_table
from crypto_archive.text import format_about, format_bytes, format_count, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from rich.console import RenderableType
    from rich.table import Table

    from crypto_archive.jobs.progress import RunProgress
    from crypto_archive.jobs.status import Job, PastRun, Status

QUIET_SECONDS = 15
"""How long a run may say nothing of its progress before that is worth a word."""


def status_page(status: Status) -> RenderableType:
    """Return what is in the root, what is wrong with it, what runs there, and how the last runs ended."""
    parts: list[RenderableType] = [Text(one_line(str(status.root.path)), style="bold", no_wrap=True)]
    if status.inventory.groups:
        parts += ["", _stored(status)]
    facts = Facts(indent=0)
    for name, value in _facts(status):
        facts.add(name, value)
    return Group(*parts, "", facts)


def show_statuses(statuses: Iterable[Status], stream: TextIO) -> None:
    """Show one status after the other in the same place of a terminal, or below each other elsewhere."""
    if is_terminal(stream):
        with Live(console=SteadyConsole(stream), auto_refresh=False, vertical_overflow="crop") as live:
            for status in statuses:
                live.update(status_page(status), refresh=True)
        return
    console = SteadyConsole(stream, width=PIPE_WIDTH)
    for status in statuses:
        console.print(Text(f"{status.checked_at:%Y-%m-%dT%H:%M:%SZ}"), status_page(status), "", sep="\n")
        if console.quiet:  # the reader is gone
            return


def _stored(status: Status) -> Table:
    groups = status.inventory.groups
    totals = {
        "market": "total",
        "data type": "",
        "series": f"{sum(len(group.series) for group in groups.values()):,}",
        "objects": f"{sum(group.objects for group in groups.values()):,}",
        "size": format_bytes(sum(group.bytes for group in groups.values())),
        "newest": "",
    }
    table = plain_table(*totals, right=("series", "objects", "size"), show_footer=len(groups) > 1)
    for column, total in zip(table.columns, totals.values(), strict=True):
        column.footer = total
    for (market, data_type), group in groups.items():
        newest = str(group.newest) if group.newest else ""
        table.add_row(
            str(market), data_type, f"{len(group.series):,}", f"{group.objects:,}", format_bytes(group.bytes), newest
        )
    return table


def _facts(status: Status) -> Iterator[tuple[str, Text]]:
    inventory = status.inventory
    if status.state == EMPTY:
        yield "stored", Text("nothing yet; `crypto-archive collect` with the same --output begins")
    if inventory.unrecognized:
        yield "unrecognized", Text(f"{format_count(inventory.unrecognized, 'object')} that the matrix does not know")
    if status.unmerged:
        yield "shards", Text(f"{format_count(status.unmerged, 'object')} more, not yet in the manifest of the root")
    if status.note is not None and status.note.moving_to:
        moving = f"being moved from {status.note.layout!r} to {status.note.moving_to!r}; run relayout to finish"
        yield "layout", Text(one_line(moving), style="yellow")
    faults = [doubts(inventory.faults)] if inventory.faults else []
    if status.quarantined:
        faults.append(f"{status.quarantined:,} in quarantine")
    yield "faults", Text(", ".join(faults) or "none", style="yellow" if faults else "")
    for job in status.jobs:
        yield "running", _job(job, status.checked_at)
    if status.schedule is not None:
        waits = "; the next round is to come" if status.state == WAITING else ""
        yield "repeats", Text(one_line(f"{status.schedule}{waits}"))
    if not status.jobs and status.schedule is None:
        yield "running", Text("nothing")
    if status.last_run is not None:
        yield "last run", _past(status.last_run, status.checked_at)
        complete = status.last_complete_run
        if complete is None:
            yield "last complete", Text("none of the runs that are kept", style="yellow")
        elif complete != status.last_run:
            yield "last complete", _past(complete, status.checked_at)


def _job(job: Job, now: datetime) -> Text:
    who = "a run that has not said which" if job.holder is None else str(job.holder)
    if job.progress is None:
        return Text(one_line(who))
    return Text(f"{one_line(who)}\n").append(_progress(job.progress), "green").append(_silence(job.progress, now))


def _progress(run: RunProgress) -> str:
    objects = f"{run.done:,} of {format_count(run.objects, 'object')}"
    size = format_bytes(run.bytes_done) + (f" of {format_bytes(run.bytes)}" if run.bytes else "")
    parts = [
        f"{objects} so far, still planning" if run.planning else objects,
        size,
        format_rate(run.bytes_per_second),
        "" if run.seconds_left is None else f"about {format_about(run.seconds_left)} left",
    ]
    percent = "" if run.percent is None else f"{run.percent:.1f} %  "
    return percent + ", ".join(filter(None, parts))


def _silence(run: RunProgress, now: datetime) -> str:
    seconds = (now - _moment(run.updated_at, now)).total_seconds()
    return (
        f"\nno news for {format_about(seconds)}: suspended, or waiting for the disk" if seconds > QUIET_SECONDS else ""
    )


def _past(run: PastRun, now: datetime) -> Text:
    ended = _moment(run.finished_at, now) if run.finished_at else None
    when = "" if ended is None else f"{ended:%Y-%m-%d %H:%M} UTC, {format_about((now - ended).total_seconds())} ago"
    counts = ", ".join(f"{count:,} {name}" for name, count in (run.outcomes or {}).items() if count)
    if run.status == DIED:
        far = "" if run.percent is None else f" at {run.percent:.1f} %"
        text = Text.assemble((f"died{far}", "bold red"), f", without a report (run {run.run_id})")
        text.append("\n" + "; ".join(filter(None, (f"last seen {when}" if when else "", counts))) if when else "")
        return text.append("\nThe same command continues where it stopped.", "dim")
    text = Text.assemble((run.status, STATUS_STYLES.get(run.status, "")), f", exit code {run.exit_code}, ", when)
    text.append(f" (run {run.run_id})")
    if run.error:
        return text.append(f"\n{one_line(run.error)}", "red")
    return text.append(f"\n{counts}; {format_bytes(run.bytes_fetched)} downloaded" if counts else "")


def _moment(text: str, otherwise: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return otherwise
