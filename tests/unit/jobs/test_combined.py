from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from crypto_archive import RunConfig, load_preset
from crypto_archive.errors import ExitCode
from crypto_archive.events import Event, Noticed, ObjectFinished, ObjectPlanned, PlanFinished, RunFinished, RunStarted
from crypto_archive.jobs.report import FAILURES_KEPT, Report, combine_reports
from crypto_archive.model import Absence, Action, Notice, Outcome, PlannedObject, Verdict
from tests.archive.results import assert_whole
from tests.objects import an_object

NOTICE = Notice("spot bookDepth: never published")


@cache
def wanted() -> RunConfig:
    return load_preset("research", output_directory=Path("root"), today=date(2025, 7, 20))


def run_of(*settled: ObjectFinished, began: int = 0, seconds: float = 10.0, name: str = "run", **finish: Any) -> Report:
    """The report of a run that began so many seconds after noon."""
    configured = wanted()
    report = Report(configured.request, version="0.1.0", matrix_version="1", presets=("research",))
    events: list[Event] = [
        RunStarted(name, datetime(2025, 7, 20, 12, 0, began, tzinfo=UTC), (NOTICE,), "v2.3.0"),
        *(ObjectPlanned(PlannedObject(one.object, Action.FETCH, "not there")) for one in settled),
        PlanFinished(),
        *settled,
        RunFinished(seconds, **finish),
    ]
    for event in events:
        report.add(event)
    return report


def ended(number: int, outcome: Outcome = Outcome.FETCHED, **fields: Any) -> ObjectFinished:
    return ObjectFinished(an_object(number), outcome, size=10, bytes_fetched=12, **fields)


def test_the_sum_is_what_one_run_over_all_of_it_would_have_reported() -> None:
    shards = [
        run_of(ended(0, verdict=Verdict.OK), ended(1, Outcome.ABSENT, reason=Absence.NOT_YET), name="a"),
        run_of(ended(2, verdict=Verdict.OK), ended(3, Outcome.FAILED, reason="SlowDown", attempts=4), name="b"),
    ]
    whole = run_of(*(event for number in (0, 2) for event in [ended(number, verdict=Verdict.OK)]),
                   ended(1, Outcome.ABSENT, reason=Absence.NOT_YET),
                   ended(3, Outcome.FAILED, reason="SlowDown", attempts=4), name="")  # fmt: skip
    assert combine_reports(wanted(), shards).document() == whole.document() | {
        "versions": combine_reports(wanted(), shards)["versions"]
    }


OUTCOMES = st.lists(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 4)), max_size=6), max_size=4)


@given(OUTCOMES)
def test_outcomes_failures_and_bytes_add_up_and_the_document_is_that_of_a_run(runs: list[list[Any]]) -> None:
    number, reports = 0, []
    for outcomes in runs:
        settled = []
        for outcome, attempts in outcomes:
            settled.append(ended(number, outcome, attempts=attempts))
            number += 1
        reports.append(run_of(*settled))
    total = combine_reports(wanted(), reports)
    assert_whole(total.document())
    assert sum(total.outcomes.values()) == number
    for outcome in Outcome:
        assert total.outcomes[outcome] == sum(report.outcomes[outcome] for report in reports)
    assert total.bytes == sum(report.bytes for report in reports)
    assert total.bytes_fetched == sum(report.bytes_fetched for report in reports)
    assert [one.object.key for one in total.failures] == [one.object.key for run in reports for one in run.failures]


def test_what_no_event_accounts_for_is_cancelled_in_the_sum_too() -> None:
    cut_short = run_of(ended(0))
    cut_short.add(ObjectPlanned(PlannedObject(an_object(1), Action.FETCH, "not there")))
    total = combine_reports(wanted(), [cut_short, run_of(ended(2))])
    assert (total.outcomes[Outcome.CANCELLED], total.status) == (1, "partial")
    assert_whole(total.document())


@pytest.mark.parametrize(
    ("ends", "status", "code"),
    [
        ([{}, {}], "success", ExitCode.OK),
        ([{}, {"interrupted_by": 0}], "interrupted", ExitCode.INTERRUPTED),
        ([{"interrupted_by": 15}, {"interrupted_by": 2}], "interrupted", ExitCode.TERMINATED),
        ([{}, {"error": "disk full", "error_exit_code": ExitCode.ENVIRONMENT}], "failed", ExitCode.ENVIRONMENT),
        ([{"error": "a", "error_exit_code": ExitCode.USAGE}, {"error": "b"}], "failed", ExitCode.USAGE),
    ],
)
def test_the_sum_ends_as_the_first_that_did_not_end_well(
    ends: list[dict[str, Any]], status: str, code: ExitCode
) -> None:
    total = combine_reports(wanted(), [run_of(ended(number), **end) for number, end in enumerate(ends)])
    assert (total.status, total.exit_code()) == (status, code)


def test_a_sum_of_nothing_is_empty_and_has_not_run() -> None:
    total = combine_reports(wanted(), [])
    assert (total.status, total["started_at"], total["finished_at"]) == ("empty", None, None)
    assert_whole(total.document())


def test_the_sum_takes_from_the_first_beginning_to_the_last_end() -> None:
    total = combine_reports(wanted(), [run_of(began=5, seconds=10.0), run_of(began=2, seconds=4.0)])
    assert total.seconds == 13.0
    assert (total["started_at"], total["finished_at"]) == ("2025-07-20T12:00:02+00:00", "2025-07-20T12:00:15+00:00")


def test_a_notice_that_all_have_is_said_once() -> None:
    second = run_of()
    second.add(Noticed(Notice("another")))
    assert combine_reports(wanted(), [run_of(), second]).notices == [NOTICE, Notice("another")]


def test_failures_beyond_the_limit_are_counted() -> None:
    many = run_of(*(ended(number, Outcome.FAILED) for number in range(FAILURES_KEPT)))
    more = run_of(*(ended(number, Outcome.FAILED) for number in range(FAILURES_KEPT, FAILURES_KEPT + 7)))
    total = combine_reports(wanted(), [many, more])
    assert (len(total.failures), total.failures_omitted) == (FAILURES_KEPT, 7)
    assert_whole(total.document())
