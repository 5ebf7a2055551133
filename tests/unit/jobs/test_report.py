from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import ExitCode
from crypto_archive.events import (
    Comparing,
    DaysCovered,
    DaysKept,
    Event,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    PlanFinished,
    RunFinished,
    RunStarted,
    SeriesAnswered,
)
from crypto_archive.jobs.report import FAILURES_KEPT, UNPRUNED_KEPT, Report
from crypto_archive.model import (
    Absence,
    AbsentDays,
    Action,
    ArchiveObject,
    DateRange,
    Market,
    Notice,
    Outcome,
    Partition,
    Period,
    PlannedObject,
    Series,
    SeriesDays,
    Verdict,
)

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
STARTED = RunStarted("run-1", datetime(2025, 7, 16, 12, tzinfo=UTC), (Notice("spot bookDepth: never"),), "v2.3.0")

DOCUMENT_KEYS = [
    "schema_version",
    "run_id",
    "status",
    "exit_code",
    "success_rate",
    "started_at",
    "finished_at",
    "interrupted_by",
    "error",
    "output_directory",
    "total_size_formatted",
    "bytes_fetched",
    "collection_stats",
    "outcomes",
    "absences",
    "days",
    "verdicts",
    "stored_verdicts",
    "by_market_and_type",
    "pruned",
    "failures",
    "failures_omitted",
    "unknown_symbols",
    "notices",
    "presets",
    "selection",
    "source",
    "versions",
]


def archive_object(number: int = 0, market: Market = Market.SPOT, data_type: str = "klines") -> ArchiveObject:
    series = Series(market, data_type, "BTCUSDT", "1h")
    period = Period(Partition.DAILY, date.fromordinal(date(2020, 1, 1).toordinal() + number))
    return ArchiveObject(f"data/{market}/daily/{data_type}/BTCUSDT/1h/BTCUSDT-1h-{period}.zip", series, period)


def new_report(**options: str) -> Report:
    selection = Selection(
        (Market.SPOT,), ("klines",), {Market.SPOT: ("BTCUSDT",)}, {"*": ("1h",)}, DateRange(date(2025, 7, 1))
    )
    return Report(Request(selection, Path("output")), version="0.1.0", matrix_version="2025-11", presets=("research",))


def settled(outcome: Outcome, number: int = 0, **fields: object) -> ObjectFinished:
    return ObjectFinished(archive_object(number), outcome, **fields)  # type: ignore[arg-type]


def report_of(*outcomes: Outcome, finish: RunFinished | None = RunFinished(2.0)) -> Report:  # noqa: B008
    report = new_report()
    report.add(STARTED)
    for number, outcome in enumerate(outcomes):
        report.add(ObjectPlanned(PlannedObject(archive_object(number), Action.FETCH, "not there")))
        report.add(settled(outcome, number, size=10, bytes_fetched=10))
    report.add(PlanFinished())
    if finish is not None:
        report.add(finish)
    return report


OBJECTS = st.builds(
    archive_object, st.integers(0, 50), st.sampled_from(Market), st.sampled_from(["klines", "trades", "metrics"])
)
SETTLED = st.builds(
    ObjectFinished,
    OBJECTS,
    st.sampled_from(Outcome),
    reason=st.sampled_from([*Absence, "", "SlowDown\n\x1b[31m"]),
    size=st.integers(0, 10**12),
    bytes_fetched=st.integers(0, 10**12),
    verdict=st.none() | st.sampled_from(Verdict),
    attempts=st.integers(0, 4),
)
PLANNED = st.tuples(OBJECTS, st.sampled_from(Action), st.just("not there"), st.booleans()).map(
    lambda fields: ObjectPlanned(PlannedObject(*fields))
)
FINISHED = st.builds(
    RunFinished,
    st.floats(0, 1e6),
    interrupted_by=st.none() | st.sampled_from([1, 2, 15]),
    error=st.sampled_from(["", "disk full"]),
)
STREAMS: st.SearchStrategy[list[Event]] = st.lists(
    SETTLED | PLANNED | FINISHED | st.just(STARTED) | st.just(Noticed(Notice("globs"))) | st.just(PlanFinished())
)


KEPT = st.lists(
    st.builds(
        PlannedObject,
        st.builds(archive_object, st.integers(0, 50)),
        st.just(Action.KEEP),
        st.just("there"),
        stored_size=st.integers(0, 10**12),
        verdict=st.none() | st.sampled_from(sorted({*Verdict} - {Verdict.BAD_ZIP})),
    ),
    min_size=1,
)


@given(STREAMS, KEPT)
def test_what_stays_counts_as_each_of_its_objects_would(stream: list[Event], kept: list[PlannedObject]) -> None:
    together, apart = new_report(), new_report()
    for event in (*stream, ObjectsKept(tuple(kept))):
        together.add(event)
        for one in event.each() if isinstance(event, ObjectsKept) else (event,):
            apart.add(one)
    assert together.document() == apart.document()
    assert repr(together) == repr(apart)


@given(STREAMS)
def test_whatever_happens_the_outcomes_add_up_to_the_plan(stream: list[Event]) -> None:
    report = new_report()
    for event in stream:
        report.add(event)
    document = report.document()
    VALIDATOR.validate(document)

    stats = document["collection_stats"]
    total = stats["total_tasks"]
    assert total >= sum(isinstance(event, ObjectPlanned) for event in stream)
    assert stats["successful_tasks"] + stats["failed_tasks"] + stats["skipped_tasks"] == total
    assert sum(document["outcomes"].values()) == total
    assert sum(group["objects"] for group in document["by_market_and_type"]) == total
    assert all(sum(group["outcomes"].values()) == group["objects"] for group in document["by_market_and_type"])
    assert sum(document["absences"].values()) == document["outcomes"]["absent"]
    bad = document["outcomes"]["failed"] + document["outcomes"]["quarantined"] + document["stored_verdicts"]["bad-zip"]
    assert len(document["failures"]) + document["failures_omitted"] == bad
    assert json.loads(json.dumps(document)) == document


def test_the_document_has_exactly_these_keys() -> None:
    document = report_of(Outcome.FETCHED, Outcome.FAILED).document()
    assert list(document) == DOCUMENT_KEYS
    assert list(document["collection_stats"]) == [
        "total_tasks",
        "successful_tasks",
        "failed_tasks",
        "skipped_tasks",
        "total_size_bytes",
        "processing_time_seconds",
    ]
    assert list(document["by_market_and_type"][0]) == [
        "market",
        "data_type",
        "objects",
        "bytes",
        "bytes_fetched",
        "outcomes",
    ]
    assert list(document["failures"][0]) == ["key", "market", "data_type", "outcome", "reason", "attempts"]
    assert list(document["selection"]) == [
        "markets",
        "data_types",
        "symbols",
        "quote_assets",
        "contract",
        "settled",
        "intervals",
        "start",
        "end",
        "partition",
        "discovery",
        "locked",
    ]
    assert list(document["source"]) == ["endpoint_url", "bucket"]
    assert list(document["versions"]) == ["crypto_archive", "s5cmd", "matrix"]


def test_the_schema_knows_the_same_words_as_the_model() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["required"] == DOCUMENT_KEYS
    assert SCHEMA["$defs"]["market"]["enum"] == list(Market)
    assert SCHEMA["$defs"]["outcomes"]["required"] == list(Outcome)
    assert SCHEMA["properties"]["verdicts"]["required"] == list(Verdict)
    assert SCHEMA["properties"]["stored_verdicts"]["required"] == list(Verdict)
    assert SCHEMA["properties"]["absences"]["required"] == [*Absence, "unexplained"]


def test_a_document_in_full() -> None:
    report = new_report()
    for number in range(4):
        report.add(ObjectPlanned(PlannedObject(archive_object(number), Action.FETCH, "not there")))
    report.add(STARTED)
    report.add(settled(Outcome.FETCHED, 0, size=1024, bytes_fetched=1100, verdict=Verdict.OK))
    report.add(settled(Outcome.PRESENT, 1, size=512, verdict=Verdict.SIDECAR_STALE))
    report.add(settled(Outcome.ABSENT, 2, reason=Absence.HOLE))
    report.add(settled(Outcome.QUARANTINED, 3, reason="wrong digest", bytes_fetched=99, attempts=4))
    report.add(RunFinished(1.5))
    document = report.document()
    assert document["status"] == "partial"
    assert document["exit_code"] == 3
    assert document["success_rate"] == 75.0
    assert document["started_at"] == "2025-07-16T12:00:00+00:00"
    assert document["finished_at"] == "2025-07-16T12:00:01.500000+00:00"
    assert document["total_size_formatted"] == "1.5 KiB"
    assert document["bytes_fetched"] == 1199
    assert document["collection_stats"] == {
        "total_tasks": 4,
        "successful_tasks": 1,
        "failed_tasks": 1,
        "skipped_tasks": 2,
        "total_size_bytes": 1536,
        "processing_time_seconds": 1.5,
    }
    assert document["absences"]["hole"] == 1
    assert {name: count for name, count in document["verdicts"].items() if count} == {"ok": 1}
    assert {name: count for name, count in document["stored_verdicts"].items() if count} == {
        "ok": 1, "sidecar-stale": 1
    }  # fmt: skip
    assert document["failures"] == [
        {
            "key": archive_object(3).key,
            "market": "spot",
            "data_type": "klines",
            "outcome": "quarantined",
            "reason": "wrong digest",
            "attempts": 4,
        }
    ]
    assert document["notices"] == ["spot bookDepth: never"]
    assert document["versions"] == {"crypto_archive": "0.1.0", "s5cmd": "v2.3.0", "matrix": "2025-11"}


@pytest.mark.parametrize(
    ("outcomes", "finish", "status", "code"),
    [
        ([Outcome.FETCHED, Outcome.PRESENT, Outcome.ABSENT], RunFinished(1.0), "success", ExitCode.OK),
        ([Outcome.FETCHED, Outcome.FAILED], RunFinished(1.0), "partial", ExitCode.PARTIAL),
        ([Outcome.FETCHED, Outcome.QUARANTINED], RunFinished(1.0), "partial", ExitCode.PARTIAL),
        ([Outcome.PRESENT, Outcome.CANCELLED], RunFinished(1.0), "partial", ExitCode.PARTIAL),
        ([Outcome.FAILED, Outcome.FAILED], RunFinished(1.0), "failed", ExitCode.PARTIAL),
        ([], RunFinished(1.0), "empty", ExitCode.PARTIAL),
        ([Outcome.ABSENT], RunFinished(1.0), "empty", ExitCode.PARTIAL),
        ([Outcome.CANCELLED], RunFinished(1.0, interrupted_by=2), "interrupted", ExitCode.INTERRUPTED),
        ([Outcome.FETCHED], RunFinished(1.0, interrupted_by=15), "interrupted", ExitCode.TERMINATED),
        ([Outcome.FETCHED], RunFinished(1.0, interrupted_by=1), "interrupted", ExitCode.TERMINATED),
        ([Outcome.FETCHED], RunFinished(1.0, interrupted_by=2, error="disk full"), "failed", ExitCode.ENVIRONMENT),
        ([], RunFinished(1.0, error="over its limit", error_exit_code=ExitCode.USAGE), "failed", ExitCode.USAGE),
    ],
)
def test_status_and_exit_code(outcomes: list[Outcome], finish: RunFinished, status: str, code: ExitCode) -> None:
    report = report_of(*outcomes, finish=finish)
    assert (report.status, report.exit_code()) == (status, code)


@pytest.mark.parametrize(
    ("absences", "others", "status", "code"),
    [
        ([Absence.NOT_YET], [], "success", ExitCode.OK),
        ([Absence.NOT_YET] * 3, [], "success", ExitCode.OK),
        ([Absence.NOT_YET, Absence.HOLE], [], "empty", ExitCode.PARTIAL),
        ([Absence.HOLE], [], "empty", ExitCode.PARTIAL),
        ([Absence.NOT_YET, ""], [], "empty", ExitCode.PARTIAL),
        ([Absence.NOT_YET, Absence.HOLE], [Outcome.PRESENT], "success", ExitCode.OK),
        ([Absence.NOT_YET], [Outcome.FAILED], "partial", ExitCode.PARTIAL),
    ],
)
def test_an_unpublished_object_is_not_a_failure(
    absences: list[str], others: list[Outcome], status: str, code: ExitCode
) -> None:
    report = report_of(*others, finish=None)
    for number, reason in enumerate(absences, len(others)):
        report.add(ObjectPlanned(PlannedObject(archive_object(number), Action.WAIT, reason)))
        report.add(settled(Outcome.ABSENT, number, reason=reason))
    report.add(RunFinished(1.0))
    assert (report.status, report.exit_code()) == (status, code)
    assert report.document()["absences"]["not-yet"] == absences.count(Absence.NOT_YET)


def test_signals_go_by_their_names() -> None:
    assert report_of(finish=RunFinished(1.0, interrupted_by=2)).document()["interrupted_by"] == "SIGINT"
    assert report_of(finish=RunFinished(1.0, interrupted_by=250)).document()["interrupted_by"] == "signal 250"


def test_what_no_event_accounts_for_is_cancelled_and_never_a_success() -> None:
    report = new_report()
    report.add(ObjectPlanned(PlannedObject(archive_object(), Action.FETCH, "not there")))
    report.add(RunFinished(1.0))
    assert report.outcomes[Outcome.CANCELLED] == 1
    assert report.exit_code() is ExitCode.PARTIAL


def test_success_rate_is_never_rounded_up_to_all() -> None:
    report = report_of(*[Outcome.PRESENT] * 100_000, Outcome.FAILED)
    assert report.document()["success_rate"] == 99.99
    assert report_of().document()["success_rate"] == 0.0


def test_only_the_first_failures_are_kept() -> None:
    document = report_of(*[Outcome.FAILED] * (FAILURES_KEPT + 5)).document()
    assert len(document["failures"]) == FAILURES_KEPT
    assert document["failures_omitted"] == 5


def test_a_report_before_the_run_has_started_is_valid() -> None:
    document = new_report().document()
    VALIDATOR.validate(document)
    assert document["started_at"] is None


def test_what_was_moved_aside_adds_up_and_what_stays_is_named() -> None:
    report = report_of(Outcome.PRESENT, finish=None)
    report.add(Comparing(archive_object(), 31, 7))
    report.add(DaysCovered(archive_object(), ("a", "b"), 100))
    report.add(DaysCovered(archive_object(), ("c",), 11))
    report.add(DaysKept(archive_object(), 30, "its rows are not those of x.zip"))
    report.add(RunFinished(2.0))
    document = report.document()
    VALIDATOR.validate(document)
    assert document["pruned"] == {"months": 2, "objects": 3, "bytes": 111, "kept_months": 1}
    assert document["notices"] == [
        "spot bookDepth: never",
        f"{archive_object().key} does not stand for 30 daily objects, which stay: its rows are not those of x.zip",
    ]
    assert report.exit_code() is ExitCode.OK


def test_notices_of_months_that_stay_are_limited() -> None:
    report = new_report()
    for number in range(UNPRUNED_KEPT + 5):
        report.add(DaysKept(archive_object(number), 1, "its rows are not those"))
    assert len(report.notices) == UNPRUNED_KEPT
    assert report.pruned.kept_months == UNPRUNED_KEPT + 5
    assert "does not stand for a daily object, which stays: it" in report.notices[0].text


@pytest.mark.parametrize("outcome", [Outcome.FETCHED, Outcome.UPDATED, Outcome.PRESENT])
def test_a_broken_zip_of_the_archive_is_in_place_but_no_success(outcome: Outcome) -> None:
    report = new_report()
    report.add(settled(outcome, 0, size=10, sha256="ff", verdict=Verdict.BAD_ZIP, reason="not a zip"))
    report.add(settled(Outcome.PRESENT, 1, size=10, verdict=Verdict.OK))
    report.add(RunFinished(1.0))
    document = report.document()
    VALIDATOR.validate(document)
    assert (document["status"], document["exit_code"], document["success_rate"]) == ("partial", 3, 100.0)
    assert [(one["outcome"], one["reason"]) for one in document["failures"]] == [(outcome, "not a zip")]
    assert (document["verdicts"]["bad-zip"], document["verdicts"]["ok"]) == (1, 0)


def test_wanted_days_are_available_or_absent_and_a_later_answer_replaces_an_earlier_one() -> None:
    series = Series(Market.SPOT, "klines", "BTCUSDT", "1d")
    hole = AbsentDays(Absence.HOLE, date(2025, 7, 3), date(2025, 7, 4))
    late = AbsentDays(Absence.LATE, date(2025, 7, 9), date(2025, 7, 10))
    begin, end = date(2025, 7, 1), date(2025, 7, 10)
    report = Report(Request(selection=Selection((Market.SPOT,))))
    report.add(SeriesAnswered(SeriesDays(series, begin, end, 10, end)))
    report.add(SeriesAnswered(SeriesDays(series, begin, end, 6, date(2025, 7, 8), (hole, late))))
    report.add(SeriesAnswered(SeriesDays(series._replace(interval="1h"), begin, end, 10, end)))
    days = report["days"]
    assert (days["wanted"], days["available"]) == (20, 16)
    assert {reason: count for reason, count in days["absent"].items() if count} == {"late": 2, "hole": 2}
    [one] = days["series"]
    assert (one["symbol"], one["interval"], one["wanted"], one["available"]) == ("BTCUSDT", "1d", 10, 6)
    assert one["absent"][0] == {"reason": "hole", "first": "2025-07-03", "last": "2025-07-04", "days": 2}
    assert report.days.newest() == {(Market.SPOT, "klines"): end}
    assert report.days.lacking[0].summary == (
        "spot klines BTCUSDT 1d: 4 of 10 days not available: "
        "2025-07-03 to 2025-07-04 hole, 2025-07-09 to 2025-07-10 late"
    )
