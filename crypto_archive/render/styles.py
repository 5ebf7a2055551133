"""The colours that words have wherever they are shown on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.health.check import CheckStatus
from crypto_archive.model import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOME_STYLES: Mapping[Outcome, str] = {
    Outcome.FETCHED: "green",
    Outcome.UPDATED: "green",
    Outcome.PRESENT: "default",
    Outcome.ABSENT: "default",
    Outcome.FAILED: "bold red",
    Outcome.QUARANTINED: "bold red",
    Outcome.CANCELLED: "yellow",
}
VERDICT_STYLES: Mapping[Verdict, str] = {
    Verdict.OK: "green",
    Verdict.MISSING: "bold red",
    Verdict.CORRUPT: "bold red",
    Verdict.SIDECAR_MISSING: "yellow",
    Verdict.SIDECAR_STALE: "yellow",
    Verdict.UNPROVEN: "yellow",
    Verdict.GAPS: "yellow",
}
STATUS_STYLES: Mapping[str, str] = {
    "success": "green",
    "partial": "yellow",
    "empty": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "bad": "red",
}
CHECK_STYLES: Mapping[CheckStatus, str] = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILED: "bold red",
}
ROW_STYLES: Mapping[str, str] = {"active": "green", "discontinued": "yellow", "removed": "yellow"}
