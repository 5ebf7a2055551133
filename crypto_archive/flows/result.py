"""The document of a flow run: what its shards came to together, and what the verification found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crypto_archive.render.headline import check_headline, headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crypto_archive import Report, VerifyReport

SCHEMA_VERSION = 1


def result_document(report: Report, checks: VerifyReport | None, shards: Mapping[str, Report]) -> dict[str, Any]:
    """Return the document of a flow run.

    Args:
        report: What all shards came to together.
        checks: What the verification found; None without one.
        shards: What each shard came to, by its name.
    """
    collected = report.status == "success"
    decides = report if collected is False or checks is None else checks
    reason = headline(report)
    if collected and checks is not None:
        reason += f"; {check_headline(checks)}"
    return {
        "schema_version": SCHEMA_VERSION,
        "status": decides.status,
        "exit_code": int(decides.exit_code()),
        "reason": reason,
        "collection": report.document(),
        "verification": None if checks is None else checks.document(),
        "shards": list(_shards(shards)),
    }


def _shards(shards: Mapping[str, Report]) -> Iterator[dict[str, object]]:
    for name, report in shards.items():
        document = report.document()
        stats = report["collection_stats"]
        yield {
            "name": name,
            "run_id": report.run_id,
            "status": report.status,
            "objects": stats["total_tasks"],
            "failed": stats["failed_tasks"],
            "bytes": stats["total_size_bytes"],
            "error": document["error"],
        }
