"""The summary that a run ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from crypto_archive.errors import ExitCode
from crypto_archive.model import Outcome, Verdict
from crypto_archive.render.console import OUTCOME_STYLES, STATUS_STYLES, VERDICT_STYLES
from crypto_archive.text import format_bytes, format_count, format_duration, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from rich.console import RenderableType

    from crypto_archive.jobs.report import Report
    from crypto_archive.jobs.verify import VerifyReport

_NOT_THERE = (Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED)


def headline(report: Report) -> str:
    """Return how a run went: ``partial: 12 objects, 1 failed; first: KEY: REASON``."""
    if report.error:
        return one_line(f"{report.status}: {report.error}")
    if report.status == "empty":
        return "empty: the archive has nothing of what is selected"
    counts = report.outcomes
    parts = [format_count(sum(counts.values()), "object"), format_bytes(report.bytes)]
    parts += [f"{counts[outcome]:,} {outcome}" for outcome in _NOT_THERE if counts[outcome]]
    first = next((f"; first: {one.object.key}: {one.reason}" for one in report.failures), "")
    return one_line(f"{report.status}: {', '.join(parts)}{first}")


def check_headline(report: VerifyReport) -> str:
    """Return how a verification went: ``verification bad: 12 objects, 1 bad; first: KEY: corrupt, REASON``."""
    if report.error:
        return one_line(f"verification {report.status}: {report.error}")
    parts = [format_count(report.objects, "object")]
    if not report.bad:
        return f"verification {report.status}: {parts[0]}"
    parts.append(f"{len(report.bad):,} bad")
    first = report.bad[0]
    why = ", ".join(filter(None, (first.verdict, first.reason)))
    return one_line(f"verification {report.status}: {', '.join(parts)}; first: {first.object_key}: {why}")


FAILURES_SHOWN = 10
REASONS_SHOWN = 5

OUTCOME_MEANINGS = {
    Outcome.FETCHED: "new, proven and in place",
    Outcome.UPDATED: "replaced by the archive, fetched again",
    Outcome.PRESENT: "there already, left alone",
    Outcome.ABSENT: "the archive does not have them",
    Outcome.FAILED: "could not be fetched",
    Outcome.QUARANTINED: "failed the proof, kept in quarantine",
    Outcome.CANCELLED: "not fetched any more",
}
VERDICT_MEANINGS = {
    Verdict.OK: "proven",
    Verdict.MISSING: "not on disk",
    Verdict.CORRUPT: "the bytes on disk are wrong",
    Verdict.SIDECAR_MISSING: "as they were fetched; the archive has no checksum",
    Verdict.SIDECAR_STALE: "as they were fetched; the archive's checksum is stale",
    Verdict.UNPROVEN: "there is nothing to prove them by",
    Verdict.GAPS: "as they were fetched; the archive's monthly file lacks rows of its daily ones",
}
HEADLINES = {
    "success": "Everything planned is there",
    "partial": "Some objects are not there",
    "failed": "The run failed",
    "empty": "Nothing was found",
    "interrupted": "The run was interrupted",
}
CHECK_HEADLINES = {
    "success": "Everything checked is good",
    "bad": "Some objects are bad or missing",
    "empty": "There was nothing to check",
    "interrupted": "The verification was interrupted",
    "failed": "The verification failed",
}

Name = TypeVar("Name", Outcome, Verdict)


def report_summary(report: Report, report_file: Path | None = None, failed_file: Path | None = None) -> RenderableType:
    """Return what a person wants to know after a collect: how it went, what failed and why, and what to do next.

    Args:
        report: The report of the run.
        report_file: Where the whole report was written.
        failed_file: Where the copy commands of what failed were written.
    """
    facts = _facts()
    _add_counts(facts, report.outcomes, OUTCOME_MEANINGS, OUTCOME_STYLES)
    facts.add_row("", "")
    facts.add_row("stored", Text(format_bytes(report.bytes)))
    facts.add_row("received", _speed(report.bytes_fetched, report.rate))
    facts.add_row("took", format_duration(report.seconds))
    facts.add_row("kept in", str(report.request.root))
    if report.request.locked is not None:
        facts.add_row("locked by", str(report.request.locked))
    if report.pruned.objects:
        moved = f"{format_count(report.pruned.objects, 'daily object')}, {format_bytes(report.pruned.bytes)}"
        facts.add_row("moved", f"{moved}, to .crypto-archive/covered; monthly ones hold their rows")
    if report_file is not None:
        facts.add_row("report", str(report_file))
    _add_notices(facts, report)
    parts: list[RenderableType] = [_panel(HEADLINES[report.status], report.status, facts, report.run_id)]
    if report.failures:
        rows = ((str(event.outcome), event.object.key, event.reason) for event in report.failures)
        parts.append(_troubles(rows, len(report.failures) + report.failures_omitted, "outcome"))
    return Group(*parts, *_advice(_what_next(report, failed_file), report.error))


def _add_notices(facts: Table, report: Report) -> None:
    """Say what the notices are where there is nothing else, since they are the reason; elsewhere, how many."""
    if report.status != "empty":
        if report.notices:
            facts.add_row("notes", f"{len(report.notices):,}, listed in the report")
        return
    for number, notice in enumerate(report.notices[:REASONS_SHOWN]):
        facts.add_row("" if number else "why", one_line(notice.text))
    more = len(report.notices) - REASONS_SHOWN
    if more > 0:
        facts.add_row("", f"and {more:,} more, listed in the report")


def verify_summary(report: VerifyReport) -> RenderableType:
    """Return what a person wants to know after a verification."""
    facts = _facts()
    _add_counts(facts, report.verdicts, VERDICT_MEANINGS, VERDICT_STYLES)
    facts.add_row("", "")
    facts.add_row("checked", f"{format_count(report.objects, 'object')}, {format_bytes(report.bytes)}")
    if report.seconds:
        facts.add_row("took", f"{format_duration(report.seconds)}, {format_rate(report.bytes / report.seconds)}")
    facts.add_row("kept in", report.output_directory)
    parts: list[RenderableType] = [_panel(CHECK_HEADLINES[report.status], report.status, facts, "")]
    if report.bad:
        rows = ((str(checked.verdict), checked.object_key, checked.reason) for checked in report.bad)
        parts.append(_troubles(rows, len(report.bad), "verdict"))
    return Group(*parts, *_advice(_what_next_after_check(report), report.error))


def _facts() -> Table:
    """A grid of names and facts."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def _add_counts(
    facts: Table, counts: Mapping[Name, int], meanings: Mapping[Name, str], styles: Mapping[Name, str]
) -> None:
    width = max(len(f"{count:,}") for count in counts.values())
    for name, count in counts.items():
        if count:
            number = Text(f"{count:>{width},}  ", style=styles[name])
            facts.add_row(Text(name, style=styles[name]), number + Text(meanings[name], style="dim"))


def _panel(headline: str, status: str, facts: Table, subtitle: str) -> Panel:
    style = STATUS_STYLES[status]
    return Panel(
        facts,
        title=Text(headline, style=f"bold {style}"),
        subtitle=Text(subtitle, style="dim") if subtitle else None,
        title_align="left",
        subtitle_align="right",
        border_style=style,
        box=box.ROUNDED,
        padding=(1, 2),
        expand=False,
    )


def _troubles(rows: Iterable[tuple[str, str, str]], total: int, word: str) -> RenderableType:
    """The first objects that went wrong, and how many more there are."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column(word, style="red", no_wrap=True)
    table.add_column("object and reason", overflow="fold")
    for shown, (name, key, reason) in enumerate(rows):
        if shown == FAILURES_SHOWN:
            break
        table.add_row(name, Text.assemble(one_line(key), (f"\n{one_line(reason)}" if reason else "", "dim")))
    if total <= FAILURES_SHOWN:
        return table
    return Group(table, Text(f"and {total - FAILURES_SHOWN:,} more, listed in the report", style="dim"))


def _speed(size: int, rate: float) -> str:
    return f"{format_bytes(size)}, {format_rate(rate)}" if size else "nothing"


def _advice(lines: Iterable[str], error: str | None) -> Iterator[Text]:
    if error:
        yield Text(error, style="red")
    for line in lines:
        yield Text.assemble(("→ ", "cyan"), line)


def _what_next(report: Report, failed_file: Path | None) -> Iterator[str]:
    refused = sum(failure.refused for failure in report.failures)
    unsuccessful = report.failures_omitted + len(report.failures) + report.outcomes[Outcome.CANCELLED]
    hopeless = 0 < refused == unsuccessful or report.exit_code() is ExitCode.USAGE  # it would end in the same way
    if not hopeless and report.status in {"partial", "failed", "interrupted"}:
        yield "Run the same command again: it continues where it stopped."
    if refused:
        yield "The archive no longer has some of the locked bytes: copy them from a root that has them, or lock anew."
    if report.status == "empty":
        yield "See what was asked for with `crypto-archive plan`, and what there can be with `crypto-archive matrix`."
    if failed_file is not None and (report.failures or report.outcomes[Outcome.CANCELLED]):
        yield f"The copy commands of what is not there, ready for s5cmd: {failed_file}"


def _what_next_after_check(report: VerifyReport) -> Iterator[str]:
    if report.repair is not None:
        return
    if report.bad:
        yield "Fetch what is bad or missing again: the same command with --repair."
    elif report.status == "interrupted":
        yield "Nothing was changed; run the same command again."
    elif report.status == "empty":
        yield "Check the folder and the selection; `crypto-archive collect` fills the folder."
