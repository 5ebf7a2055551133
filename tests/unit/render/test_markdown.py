from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from crypto_archive.events import Checked, ObjectFinished, ObjectPlanned, RunFinished
from crypto_archive.jobs.report import combine_reports
from crypto_archive.jobs.verify import VerifyReport
from crypto_archive.model import Action, Market, Outcome, PlannedObject, Verdict
from crypto_archive.render.markdown import ROWS_SHOWN, collection_markdown, escaped
from crypto_archive.render.summary import check_headline, headline
from tests.objects import an_object
from tests.unit.asking import load_run_config

if TYPE_CHECKING:
    from crypto_archive.jobs.report import Report


def report_of(*outcomes: Outcome, reason: str = "", **finish: Any) -> Report:
    report = combine_reports(
        load_run_config(["research"], {"output_directory": "/data/my_root"}, today=date(2025, 7, 20)), ()
    )
    for number, outcome in enumerate(outcomes):
        report.add(ObjectPlanned(PlannedObject(an_object(number), Action.FETCH, "not there")))
        report.add(ObjectFinished(an_object(number), outcome, reason, size=2048, bytes_fetched=2112, attempts=4))
    report.add(RunFinished(90.0, **finish))
    return report


def checked(*verdicts: Verdict) -> VerifyReport:
    report = VerifyReport("/data/my_root")
    for number, verdict in enumerate(verdicts):
        report.add(Checked(an_object(number).key, Market.SPOT, "klines", verdict, 2048, "the sidecar says a|b"))
    return report


def result_of(report: Report, checks: VerifyReport | None = None) -> dict[str, Any]:
    shard = {"name": "1-of-1", "status": report.status, "objects": 3, "failed": 1, "run_id": "20250720T060000Z-0c5108"}
    return {
        "status": report.status,
        "reason": headline(report),
        "collection": report.document(),
        "verification": checks and checks.document(),
        "shards": [shard],
    }


def test_the_artifact_has_totals_failures_and_findings() -> None:
    report = report_of(Outcome.FETCHED, Outcome.FAILED, Outcome.PRESENT, reason="SlowDown | *please*")
    key = an_object(1).key
    lines = collection_markdown(result_of(report, checked(Verdict.OK, Verdict.CORRUPT))).splitlines()
    assert lines[0] == "# Archive collection: partial"
    assert lines[2] == rf"partial: 3 objects, 4.0 KiB, 1 failed; first: {key}: SlowDown \| \*please\*"
    assert r"| research | /data/my\_root | 3 | 4.0 KiB | 6.2 KiB | 1 min 30 s |" in lines
    assert "| market | data type | objects | fetched | present | failed | stored |" in lines
    assert "| spot | klines | 3 | 1 | 1 | 1 | 4.0 KiB |" in lines
    assert rf"| {key} | failed | SlowDown \| \*please\* | 4 |" in lines
    assert "## Verification, bad: 2 objects" in lines
    assert rf"| {key} | corrupt | the sidecar says a\|b |" in lines


def test_what_is_whole_has_no_table_of_failures() -> None:
    text = collection_markdown(result_of(report_of(Outcome.FETCHED)))
    assert "Failures" not in text
    assert "Verification" not in text


def test_many_failures_are_cut_and_counted() -> None:
    text = collection_markdown(result_of(report_of(*[Outcome.FAILED] * (ROWS_SHOWN + 7))))
    assert text.count(" | failed |  | 4 |") == ROWS_SHOWN
    assert "\nand 7 more in the report\n" in text


@given(st.text())
def test_no_text_breaks_out_of_its_cell(text: str) -> None:
    cell = escaped(text)
    assert "\n" not in cell
    assert "|" not in cell.replace(r"\|", "")
    assert "<" not in cell.replace(r"\<", "")


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (report_of(Outcome.FETCHED), "success: 1 object, 2.0 KiB"),
        (report_of(), "empty: the archive has none of the selected data"),
        (report_of(Outcome.CANCELLED, interrupted_by=0), "interrupted: 1 object, 0 B, 1 cancelled"),
        (report_of(error="The disk is full.\nHint"), "failed: The disk is full. Hint"),
    ],
)  # fmt: skip
def test_a_run_in_a_line(report: Report, said: str) -> None:
    assert headline(report) == said


def test_a_run_in_a_line_says_what_was_not_simply_verified() -> None:
    report = report_of(Outcome.FETCHED)
    for number, verdict in enumerate((Verdict.SIDECAR_STALE, Verdict.SIDECAR_STALE, Verdict.BAD_ZIP), 1):
        report.add(ObjectFinished(an_object(number), Outcome.PRESENT, "not a zip", verdict=verdict))
    assert headline(report) == (
        f"partial: 4 objects, 2.0 KiB, 1 not a sound zip, 2 with a stale checksum; first: {an_object(3).key}: not a zip"
    )


def test_a_verification_in_a_line() -> None:
    assert check_headline(checked(Verdict.OK)) == "verification success: 1 object"
    assert check_headline(checked(Verdict.OK, Verdict.SIDECAR_STALE, Verdict.UNPROVEN)) == (
        "verification success: 3 objects, 1 with a stale checksum, 1 unproven"
    )
    key = an_object(1).key
    assert check_headline(checked(Verdict.OK, Verdict.MISSING)) == (
        f"verification bad: 2 objects, 1 missing; first: {key}: missing, the sidecar says a|b"
    )
