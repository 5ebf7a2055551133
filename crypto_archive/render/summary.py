"""What a command ends with: a headline in one line, or a summary with advice on what to do next."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from rich.console import Group
from rich.text import Text

from crypto_archive.errors import ExitCode, cause_and_hint
from crypto_archive.model import STORED, Absence, Outcome, UnknownSymbols, Verdict
from crypto_archive.plan.selection import UNKNOWN_SHOWN
from crypto_archive.render.console import RESULT_STYLES, STATUS_STYLES
from crypto_archive.render.tables import Facts, absent_lines, whole_line
from crypto_archive.text import format_bytes, format_count, format_duration, format_rate, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from crypto_archive.jobs.relayout import RelayoutReport
    from crypto_archive.jobs.report import Report
    from crypto_archive.jobs.verify import VerifyReport
    from crypto_archive.model import Notice, UnknownSymbol

Name = TypeVar("Name", Outcome, Verdict)

FAILURES_SHOWN = 10
REASONS_SHOWN = 5
LEFT_SHOWN = 10
_INCOMPLETE = (Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED)
_BROKEN = (
    "The archive itself has a broken zip there; `crypto-archive collect` downloads it again once Binance replaces it."
)
_CONTINUE = "Run the same command again: it continues where it stopped."

MEANINGS: Mapping[Outcome | Verdict, str] = {
    Outcome.FETCHED: "downloaded",
    Outcome.UPDATED: "replaced by the archive, downloaded again",
    Outcome.PRESENT: "already in place",
    Outcome.ABSENT: "not in the archive",
    Outcome.FAILED: "could not be downloaded",
    Outcome.QUARANTINED: "failed verification, kept in quarantine",
    Outcome.CANCELLED: "not downloaded",
    Verdict.OK: "verified",
    Verdict.MISSING: "not on disk",
    Verdict.CORRUPT: "the bytes on disk are wrong",
    Verdict.BAD_ZIP: "the archive's own zip is broken, or is not of this one CSV",
    Verdict.SIDECAR_MISSING: "no checksum; the MD5 is as the archive lists it",
    Verdict.SIDECAR_STALE: "as the archive lists it; its checksum is of other bytes",
    Verdict.SIDECAR_MALFORMED: "as the archive lists it; its checksum cannot be read",
    Verdict.UNPROVEN: "nothing to verify them against",
    Verdict.GAPS: "the archive's monthly file does not have exactly the rows of its daily ones",
    Verdict.REPLACED: "as downloaded; the archive has replaced them since",
}
DOUBTS: Mapping[Verdict, str] = {
    Verdict.MISSING: "missing",
    Verdict.CORRUPT: "corrupt",
    Verdict.BAD_ZIP: "not a sound zip",
    Verdict.SIDECAR_MISSING: "without a checksum",
    Verdict.SIDECAR_STALE: "with a stale checksum",
    Verdict.SIDECAR_MALFORMED: "with a malformed checksum",
    Verdict.UNPROVEN: "unproven",
    Verdict.GAPS: "with other rows than their days",
    Verdict.REPLACED: "replaced in the archive",
}
"""What follows the number of files that have not simply been verified."""
HEADLINES = {
    "partial": "Some files are not in place",
    "failed": "The run failed",
    "empty": "Nothing was found",
    "interrupted": "The run was interrupted",
}
_EXPECTED = frozenset(
    {Absence.NOT_YET, Absence.BEFORE_FIRST, Absence.DELISTED, Absence.DISCONTINUED, Absence.NEVER_PUBLISHED}
)
"""Reasons for absent days that are not worth a headline: the days cannot be had, or not yet."""
CHECK_HEADLINES = {
    "bad": "Some files are bad or missing",
    "incomplete": "Part of the selection was never collected",
    "partial": "Some symbols do not exist",
    "empty": "There was nothing to verify",
    "interrupted": "The verification was interrupted",
    "failed": "The verification failed",
}


def doubts(verdicts: Mapping[Verdict, int]) -> str:
    """Return how many files have not simply been verified, and why: ``2 with a stale checksum, 1 not a sound zip``."""
    return ", ".join(f"{verdicts[verdict]:,} {words}" for verdict, words in DOUBTS.items() if verdicts.get(verdict))


def headline(report: Report) -> str:
    """Return how a run went: ``partial: 12 objects, 1 failed; first: KEY: REASON``."""
    if report.error:
        return one_line(f"{report.status}: {report.error}")
    if report.status == "empty":
        return one_line("; ".join(("empty: the archive has none of the selected data", *_unknown(report.notices))))
    counts = report.outcomes
    parts = [format_count(sum(counts.values()), "object"), format_bytes(report.bytes)]
    parts += [f"{counts[outcome]:,} {outcome}" for outcome in _INCOMPLETE if counts[outcome]]
    parts += [f"{days:,} days {reason}" for reason, days in report.days.absent.items() if reason not in _EXPECTED]
    parts += filter(None, [doubts(report.stored_verdicts)])
    first = next((f"; first: {one.object.key}: {one.reason}" for one in report.failures), "")
    return one_line("; ".join((f"{report.status}: {', '.join(parts)}", *_unknown(report.notices))) + first)


def _unknown(notices: Iterable[Notice]) -> Iterator[str]:
    """Yield the texts of notices that name unknown symbols."""
    return (notice.text for notice in notices if isinstance(notice, UnknownSymbols))


def check_headline(report: VerifyReport) -> str:
    """Return how a verification went: ``verification bad: 12 objects, 1 corrupt; first: KEY: corrupt, REASON``."""
    if report.error:
        return one_line(f"verification {report.status}: {report.error}")
    found = ", ".join(filter(None, (format_count(report.objects, "object"), doubts(report.verdicts))))
    if not report.bad:
        never = f"; {_never_collected(report)} never collected" if report.never_collected else ""
        unknown = f"; unknown symbols: {_names(report.unknown_symbols)}" if report.unknown_symbols else ""
        return f"verification {report.status}: {found}{never}{unknown}"
    first = report.bad[0]
    why = ", ".join(filter(None, (first.verdict, first.reason)))
    return one_line(f"verification {report.status}: {found}; first: {first.object_key}: {why}")


def report_summary(report: Report, report_file: Path | None = None, failed_file: Path | None = None) -> RenderableType:
    """Return how a collect went, what failed and why, and what to do next.

    Args:
        report: The report of the run.
        report_file: Where the whole report was written.
        failed_file: Where the copy commands of what failed were written.
    """
    facts = Facts()
    for text in _unknown(report.notices):
        facts.add(Text("unknown", style="bold red"), text)
    _add_counts(facts, report.outcomes)
    doubtful = doubts(report.stored_verdicts)
    if doubtful:
        _add_counts(facts, report.stored_verdicts)
    facts.add("stored", Text(format_bytes(report.bytes)))
    received = f"{format_bytes(report.bytes_fetched)}, {format_rate(report.rate)}"
    facts.add("received", received if report.bytes_fetched else "nothing")
    facts.add("took", format_duration(report.seconds))
    facts.add_path("saved to", report.request.root)
    if report.request.locked is not None:
        facts.add_path("lock file", report.request.locked)
    if report.pruned.objects:
        moved = f"{format_count(report.pruned.objects, 'daily object')}, {format_bytes(report.pruned.bytes)}"
        facts.add("moved", f"{moved}, to .crypto-archive/covered; monthly objects hold their rows")
    if report_file is not None:
        facts.add_path("report", report_file)
    for number, line in enumerate(absent_lines(report.days)):
        facts.add("" if number else "absent", Text(line))
    _add_notices(facts, report)
    there = sum(report.outcomes[outcome] for outcome in STORED)
    planned = sum(report.outcomes.values())
    title = _title_of_unknown(report) or ("" if _only_bad_zips(report) else HEADLINES.get(report.status, ""))
    if report.status == "interrupted" and planned:
        title = (
            f"{title}: {there:,} of {format_count(planned, 'planned file')} {'is' if planned == 1 else 'are'} in place"
        )
    if title and doubtful:
        title = f"{title}; {doubtful}"
    elif doubtful:
        title = f"{report.stored_verdicts[Verdict.OK]:,} of {format_count(there, 'file')} verified; {doubtful}"
    title = title or (
        f"All {format_count(there, 'file')} are in place" if there > 1
        else "The file is in place" if there else "There is nothing to download"
    ) + _lacking(report)  # fmt: skip
    parts: list[RenderableType] = [_heading(title, report.status), facts]
    if report.failures:
        rows = ((str(event.outcome), event.object.key, event.reason) for event in report.failures)
        parts += _failures(rows, len(report.failures) + report.failures_omitted)
    return Group(*parts, *_advice(_next_steps(report, failed_file), report.error))


def _title_of_unknown(report: Report) -> str | None:
    """Return the title of a run in which all that can be had is in place, but names of symbols are unknown."""
    names = [one.name for one in report.unknown_symbols]
    if report.status != "partial" or not names or any(report.outcomes[outcome] for outcome in _INCOMPLETE):
        return None
    if len(names) == 1:
        return one_line(f"The archive has nothing of the symbol {names[0]!r}")
    return f"The archive has nothing of {len(names):,} named symbols"


def _only_bad_zips(report: Report) -> bool:
    """Whether a run is partial only since some zips are broken in the archive: all files are in place."""
    complete = not any(report.outcomes[outcome] for outcome in _INCOMPLETE)
    return report.status == "partial" and complete and report.stored_verdicts[Verdict.BAD_ZIP] > 0


def _lacking(report: Report) -> str:
    """Return how many wanted days the archive lacks, and why, for a headline; empty where it has all."""
    absent = {reason: days for reason, days in report.days.absent.items() if reason not in _EXPECTED}
    if not absent:
        return ""
    counts = ", ".join(f"{days:,} {reason}" for reason, days in absent.items())
    return f"; days that the archive lacks: {counts}"


def verify_summary(report: VerifyReport) -> RenderableType:
    """Return how a verification went, what is bad and why, and what to do next."""
    facts = Facts()
    if report.unknown_symbols:
        facts.add(Text("unknown", style="bold red"), _names(report.unknown_symbols))
    _add_counts(facts, report.verdicts)
    if report.never_collected:
        facts.add(Text("not there", style="yellow"), f"{_never_collected(report)} never collected")
    facts.add("checked", f"{format_count(report.objects, 'object')}, {format_bytes(report.bytes)}")
    if report.seconds:
        facts.add("took", f"{format_duration(report.seconds)}, {format_rate(report.bytes / report.seconds)}")
    facts.add_path("archive root", report.output_directory)
    title = CHECK_HEADLINES.get(report.status, "")
    if doubtful := doubts(report.verdicts):
        verified = f"{report.verdicts[Verdict.OK]:,} of {format_count(report.objects, 'file')} verified; {doubtful}"
        title = f"{title}: {verified}" if title else verified
    title = title or (
        f"All {format_count(report.objects, 'file')} are good" if report.objects > 1 else "The file is good"
    )
    parts: list[RenderableType] = [_heading(title, report.status), facts]
    if report.bad:
        rows = ((str(checked.verdict), checked.object_key, checked.reason) for checked in report.bad)
        parts += _failures(rows, len(report.bad))
    return Group(*parts, *_advice(_next_steps_after_check(report), report.error))


def _never_collected(report: VerifyReport) -> str:
    """Return how many selected days were never collected, and of which series."""
    (series, found), *_ = report.never_collected.items()
    days = str(found.first) if found.first == found.last else f"{found.first} to {found.last}"
    count = len(report.never_collected)
    of = str(series) if count == 1 else f"{count:,} series, such as {series}"
    return one_line(f"{format_count(report.days_never_collected, 'day')} of {of} ({days})")


def _names(symbols: Sequence[UnknownSymbol]) -> str:
    """Return unknown symbols with the nearest known ones, the first few of them."""
    shown = (repr(one.name) + (f" (nearest: {', '.join(one.nearest)})" if one.nearest else "") for one in symbols)
    more = len(symbols) - UNKNOWN_SHOWN
    return one_line(", ".join(islice(shown, UNKNOWN_SHOWN)) + (f" and {more:,} more" if more > 0 else ""))


def relayout_summary(report: RelayoutReport) -> RenderableType:
    """Return what a relayout moved, what it left alone, and what to do next."""
    facts = Facts()
    facts.add("layout", f"{report.source} → {report.target}")
    facts.add("would move" if report.dry_run else "moved", format_count(report.moved, "object"))
    if report.in_place:
        facts.add("in place", f"{format_count(report.in_place, 'object')} already")
    facts.add("took", format_duration(report.seconds))
    facts.add_path("archive root", report.output_directory)
    for number, one in enumerate(report.left[:LEFT_SHOWN]):
        facts.add("" if number else "left alone", whole_line(f"{one_line(one.path)}: {one_line(one.reason)}"))
    more = len(report.left) + report.left_omitted - LEFT_SHOWN
    if more > 0:
        facts.add("", f"and {more:,} more; --json lists them")
    advice = {
        "blocked": "Nothing was moved. Move away what is in the way, then run the same command again.",
        "interrupted": _CONTINUE,
    }.get(report.status)
    return Group(facts, *_advice(filter(None, [advice]), None))


def _add_notices(facts: Facts, report: Report) -> None:
    """Add the notices of an empty run, since they are the reason; of any other, how many there are."""
    if report.status != "empty":
        if report.notices:
            facts.add("notes", f"{len(report.notices):,}, listed in the report")
        return
    for number, notice in enumerate(report.notices[:REASONS_SHOWN]):
        facts.add("" if number else "why", one_line(notice.text))
    more = len(report.notices) - REASONS_SHOWN
    if more > 0:
        facts.add("", f"and {more:,} more, listed in the report")


def _add_counts(facts: Facts, counts: Mapping[Name, int]) -> None:
    width = max(len(f"{count:,}") for count in counts.values())
    for name, count in counts.items():
        if count:
            style = RESULT_STYLES[name]
            number = Text(f"{count:>{width},}  ", style=style)
            facts.add(Text(name, style=style), number + Text(MEANINGS[name], style="dim"))


def _heading(title: str, status: str) -> Text:
    return Text(title, style=f"bold {STATUS_STYLES[status]}")


def _failures(rows: Iterable[tuple[str, str, str]], total: int) -> Iterator[RenderableType]:
    """Yield the first objects that failed, and how many more there are."""
    facts = Facts()
    for _, (name, key, reason) in zip(range(FAILURES_SHOWN), rows, strict=False):
        facts.add_path(Text(name, style="red"), key)
        if reason:
            facts.add("", Text(one_line(reason), style="dim"))
    yield ""
    yield facts
    if total > FAILURES_SHOWN:
        yield Text(f"  and {total - FAILURES_SHOWN:,} more, listed in the report", style="dim")


def _advice(lines: Iterable[str], error: str | None) -> Iterator[Text]:
    """Yield the error, with its hint, and what to do next; a path is on a line of its own, to be copied."""
    if error:
        cause, hint = cause_and_hint(error)
        yield whole_line(f"Error: {cause}", "red")
        if hint:
            yield whole_line(f"Hint: {hint}")
    for line in lines:
        text, colon, path = line.partition(":\n")
        yield Text.assemble(("→ ", "cyan"), text, colon.strip())
        if path:
            yield whole_line(f"  {path}")


def _next_steps(report: Report, failed_file: Path | None) -> Iterator[str]:
    refused = sum(failure.refused for failure in report.failures)
    broken = report.stored_verdicts[Verdict.BAD_ZIP]
    incomplete = report.failures_omitted + len(report.failures) + report.outcomes[Outcome.CANCELLED]
    # What would end in the same way again.
    lasting = bool(refused or broken or report.unknown_symbols) and refused + broken == incomplete
    hopeless = lasting or report.exit_code() is ExitCode.USAGE
    repeats = "un the same command again" in (report.error or "")  # the hint of the error says so
    if not (hopeless or repeats) and report.status in {"partial", "failed", "interrupted"}:
        yield _CONTINUE
    if report.unknown_symbols:
        yield "Correct or remove the unknown symbols; `crypto-archive symbols` lists those that the archive has."
    if refused:
        yield "The archive no longer has some of the locked bytes: copy them from a root that has them, or lock again."
    if broken:
        yield _BROKEN
    if report.status == "empty":
        yield "Check the selection with `crypto-archive plan`, and what Binance publishes with `crypto-archive matrix`."
    if failed_file is not None and (report.failures or report.outcomes[Outcome.CANCELLED]):
        yield f"The copy commands for what is not in place, ready for s5cmd, are in:\n{one_line(str(failed_file))}"


def _next_steps_after_check(report: VerifyReport) -> Iterator[str]:
    if report.repair is not None:
        return
    broken = report.verdicts[Verdict.BAD_ZIP]
    if len(report.bad) > broken:
        yield "Download bad and missing files again: run the same command with --repair."
    if broken:
        yield _BROKEN
    if report.bad:
        return
    if report.never_collected and report.status != "interrupted":
        yield (
            "Run `crypto-archive collect` with the same selection: it downloads what the archive has of the days that "
            "were never collected, and remembers what it lacks."
        )
    elif report.status == "interrupted":
        yield "Nothing was changed; run the same command again."
    elif report.status == "empty":
        yield "Check the folder and the selection; `crypto-archive collect` fills the folder."
