from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from crypto_archive.errors import ExitCode
from crypto_archive.events import Checked
from crypto_archive.jobs.verify import BAD_KEPT, VerifyReport
from crypto_archive.model import Market, Verdict

BAD = {verdict for verdict in Verdict if verdict.is_bad}
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "verify.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())

DOCUMENT_KEYS = [
    "schema_version",
    "status",
    "exit_code",
    "started_at",
    "seconds",
    "interrupted_by",
    "error",
    "output_directory",
    "objects",
    "bytes",
    "total_size_formatted",
    "verdicts",
    "by_market_and_type",
    "bad",
    "bad_omitted",
    "never_collected",
    "unknown_symbols",
    "repair",
    "versions",
]


def new_report() -> VerifyReport:
    return VerifyReport("output", started_at=datetime(2025, 7, 16, tzinfo=UTC), version="0.1.0")


def report_of(*verdicts: Verdict) -> VerifyReport:
    report = new_report()
    for verdict in verdicts:
        report.add(Checked("data/x.zip", Market.SPOT, "klines", verdict, 10, "because"))
    report.finish(2.0)
    return report


CHECKS = st.builds(
    Checked,
    st.text(),
    st.sampled_from(Market),
    st.sampled_from(["klines", "trades"]),
    st.sampled_from(Verdict),
    st.integers(0, 10**12),
    st.text(),
)


@given(st.lists(CHECKS))
def test_verdicts_add_up_to_the_objects(checks: list[Checked]) -> None:
    report = new_report()
    for checked in checks:
        report.add(checked)
    document = report.document()
    VALIDATOR.validate(document)
    assert sum(document["verdicts"].values()) == document["objects"] == len(checks)
    assert sum(group["objects"] for group in document["by_market_and_type"]) == len(checks)
    assert sum(group["bytes"] for group in document["by_market_and_type"]) == document["bytes"]
    bad = sum(document["verdicts"][verdict] for verdict in BAD)
    assert len(document["bad"]) + document["bad_omitted"] == bad
    assert (report.exit_code() is ExitCode.VERIFICATION) == (bad > 0)


def test_the_document_has_exactly_these_keys() -> None:
    document = report_of(Verdict.OK, Verdict.CORRUPT).document()
    assert list(document) == SCHEMA["required"] == DOCUMENT_KEYS
    assert list(document["by_market_and_type"][0]) == ["market", "data_type", "objects", "bytes", "verdicts"]
    assert document["bad"] == [
        {
            "key": "data/x.zip",
            "market": "spot",
            "data_type": "klines",
            "verdict": "corrupt",
            "at_fault": "local",
            "reason": "because",
            "size": 10,
        }
    ]
    assert document["started_at"] == "2025-07-16T00:00:00+00:00"


def test_the_schema_knows_the_same_words_as_the_model() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["market"]["enum"] == list(Market)
    assert SCHEMA["$defs"]["verdicts"]["required"] == list(Verdict)
    assert set(SCHEMA["properties"]["bad"]["items"]["properties"]["verdict"]["enum"]) == BAD


@pytest.mark.parametrize(
    ("verdicts", "status", "code"),
    [
        ([Verdict.OK], "success", ExitCode.OK),
        ([Verdict.OK, Verdict.SIDECAR_MISSING, Verdict.SIDECAR_STALE, Verdict.UNPROVEN], "success", ExitCode.OK),
        ([Verdict.SIDECAR_MALFORMED, Verdict.GAPS], "success", ExitCode.OK),
        ([Verdict.OK, Verdict.BAD_ZIP], "bad", ExitCode.VERIFICATION),
        ([Verdict.OK, Verdict.MISSING], "bad", ExitCode.VERIFICATION),
        ([Verdict.CORRUPT], "bad", ExitCode.VERIFICATION),
        ([], "empty", ExitCode.PARTIAL),
    ],
)
def test_status_and_exit_code(verdicts: list[Verdict], status: str, code: ExitCode) -> None:
    report = report_of(*verdicts)
    assert (report.status, report.exit_code()) == (status, code)


def test_the_archive_is_at_fault_for_a_broken_zip() -> None:
    (bad,) = report_of(Verdict.BAD_ZIP).document()["bad"]
    assert (bad["verdict"], bad["at_fault"]) == ("bad-zip", "archive")


def test_an_early_end_is_reported() -> None:
    report = report_of(Verdict.OK)
    report.finish(1.0, interrupted_by=2)
    assert (report.status, report.exit_code()) == ("interrupted", ExitCode.INTERRUPTED)
    assert report.document()["interrupted_by"] == "SIGINT"
    report.finish(1.0, error="the disk is gone")
    assert (report.status, report.exit_code()) == ("failed", ExitCode.ENVIRONMENT)
    VALIDATOR.validate(report.document())


def test_only_the_first_bad_objects_are_kept() -> None:
    document = report_of(*[Verdict.MISSING] * (BAD_KEPT + 3)).document()
    assert (len(document["bad"]), document["bad_omitted"]) == (BAD_KEPT, 3)
    VALIDATOR.validate(document)
