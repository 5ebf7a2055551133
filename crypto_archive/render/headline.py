"""How a run or a verification went, in a line; no Rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.model import Outcome
from crypto_archive.report.sizes import format_bytes, format_count, one_line

if TYPE_CHECKING:
    from crypto_archive.report.checks import VerifyReport
    from crypto_archive.report.fold import Report

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
    parts.append(f"{len(report.bad) + report.bad_omitted:,} bad")
    first = report.bad[0]
    why = ", ".join(filter(None, (first.verdict, first.reason)))
    return one_line(f"verification {report.status}: {', '.join(parts)}; first: {first.object_key}: {why}")
