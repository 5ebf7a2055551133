"""Metrics: read back with the parsers of Prometheus, of OpenMetrics and of the form that textfile collectors take."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_of
from prometheus_client.parser import text_string_to_metric_families as text_of

from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import ExitCode, FileUnusable
from crypto_archive.events import ObjectFinished, ObjectPlanned, RunFinished, RunStarted, SeriesAnswered
from crypto_archive.jobs.metrics import LAST_SUCCESS, former_successes, metrics_text, write_metrics
from crypto_archive.jobs.report import Report
from crypto_archive.model import Absence, AbsentDays, Action, Market, Outcome, PlannedObject, Series, SeriesDays
from tests.unit.jobs.test_report import archive_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BEGIN = datetime(2025, 7, 16, 12, tzinfo=UTC)
LABELS = ("preset", "market", "data_type", "outcome")
SPOT = ("research", "spot", "klines")


def report_of(*outcomes: Outcome, presets: tuple[str, ...] = ("research",), hours: int = 0, **finish: object) -> Report:
    """A run of ninety seconds whose objects, of spot klines all, ended so."""
    report = Report(Request(Selection((Market.SPOT,)), Path("output")), version="1", presets=presets)
    report.add(RunStarted("run", BEGIN + timedelta(hours=hours), (), "2.3.0"))
    for number, outcome in enumerate(outcomes):
        item = archive_object(number)
        report.add(ObjectPlanned(PlannedObject(item, Action.FETCH, "new")))
        report.add(ObjectFinished(item, outcome, size=100, bytes_fetched=164))
    report.add(RunFinished(90.0, **finish))  # type: ignore[arg-type]
    return report


def samples(text: str, parse: Callable[[str], Iterable[object]] = openmetrics_of) -> dict[tuple[str, ...], float]:
    """All samples, by name and values of labels."""
    return {
        (sample.name, *(sample.labels[name] for name in LABELS if name in sample.labels)): sample.value
        for family in parse(text)
        for sample in family.samples  # type: ignore[attr-defined]
    }


def test_what_a_run_came_to() -> None:
    report = report_of(Outcome.FETCHED, Outcome.PRESENT, Outcome.FAILED)
    said = samples(metrics_text(report))
    ended = (BEGIN + timedelta(seconds=90)).timestamp()
    assert said[("crypto_archive_objects", *SPOT, "fetched")] == 1
    assert said[("crypto_archive_objects", *SPOT, "failed")] == 1
    assert sum(value for (name, *_), value in said.items() if name == "crypto_archive_objects") == 3
    assert len([name for name, *_ in said if name == "crypto_archive_objects"]) == len(Outcome)
    assert said[("crypto_archive_stored_bytes", *SPOT)] == 200
    assert said[("crypto_archive_fetched_bytes", *SPOT)] == 3 * 164
    assert said[("crypto_archive_last_run_duration_seconds", "research")] == 90
    assert said[("crypto_archive_last_run_exit_code", "research")] == ExitCode.PARTIAL
    assert said[("crypto_archive_last_run_timestamp_seconds", "research")] == ended
    assert said[("crypto_archive_last_run_success_ratio", "research")] == pytest.approx(0.6666)
    assert (LAST_SUCCESS, *SPOT) not in said


def test_the_textfile_collector_reads_the_same() -> None:
    """It knows the older form only, in which the last line of OpenMetrics is a comment."""
    text = metrics_text(report_of(Outcome.FETCHED))
    assert text.endswith("# EOF\n")
    assert samples(text, text_of) == samples(text)
    assert all(line.split()[-1] == "gauge" for line in text.splitlines() if line.startswith("# TYPE"))


def test_objects_that_no_event_accounts_for_are_cancelled() -> None:
    report = report_of(Outcome.FETCHED)
    report.add(ObjectPlanned(PlannedObject(archive_object(9), Action.FETCH, "new")))
    assert samples(metrics_text(report))[("crypto_archive_objects", *SPOT, "cancelled")] == 1


@pytest.mark.parametrize(
    "later",
    [
        report_of(Outcome.FAILED, hours=1),
        report_of(Outcome.FETCHED, hours=1, error="disk full"),
        report_of(Outcome.FETCHED, hours=1, interrupted_by=15),
        report_of(hours=1),
    ],
    ids=["failed", "error", "interrupted", "nothing planned"],
)
def test_the_last_success_outlives_runs_that_are_none(tmp_path: Path, later: Report) -> None:
    path = tmp_path / "textfile" / "crypto_archive.prom"
    write_metrics(report_of(Outcome.FETCHED), path)
    success = (BEGIN + timedelta(seconds=90)).timestamp()
    assert former_successes(path) == {SPOT: success}
    write_metrics(later, path)
    assert samples(path.read_text("utf-8"))[(LAST_SUCCESS, *SPOT)] == success
    write_metrics(report_of(Outcome.PRESENT, hours=2), path)
    assert former_successes(path) == {SPOT: success + 7200}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_successes_of_another_preset_are_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    write_metrics(report_of(Outcome.FETCHED, presets=("backtest", "resilient")), path)
    assert list(former_successes(path)) == [("backtest+resilient", "spot", "klines")]
    write_metrics(report_of(Outcome.FAILED), path)
    assert former_successes(path) == {}


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "two\nlines", "币安"])
def test_names_of_presets_may_be_anything(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.prom"
    write_metrics(report_of(Outcome.FETCHED, presets=(name,)), path)
    write_metrics(report_of(Outcome.FAILED, presets=(name,)), path)
    assert list(former_successes(path)) == [(name, "spot", "klines")]


@pytest.mark.parametrize("content", ["", "no metrics at all", "# EOF", 'crypto_archive{"', "a 1\n# EOF\n", "\0\0"])
def test_a_file_of_another_kind_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.prom"
    path.write_text(content, "utf-8")
    write_metrics(report_of(Outcome.FETCHED), path)
    assert list(former_successes(path)) == [SPOT]


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.prom").mkdir()
    with pytest.raises(FileUnusable, match="Cannot write") as raised:
        write_metrics(report_of(Outcome.FETCHED), tmp_path / "a.prom")
    assert "--metrics-file" in raised.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["a.prom"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.prom")
    assert former_successes(tmp_path / "m.prom") == {}
    with pytest.raises(FileUnusable, match="it is not a regular file"):
        write_metrics(report_of(Outcome.FETCHED), tmp_path / "m.prom")


def test_the_newest_data_tell_of_an_archive_that_is_late() -> None:
    """A run that finds nothing new succeeds, or is empty; the age of the data grows all the same."""
    series = Series(Market.SPOT, "klines", "BTCUSDT", "1h")
    late = AbsentDays(Absence.LATE, date(2026, 11, 25), date(2026, 11, 27))
    report = Report(Request(Selection((Market.SPOT,))), presets=("research",))
    report.add(SeriesAnswered(SeriesDays(series, late.first, late.last, 0, date(2026, 11, 16), (late,))))
    samples = {one.name: one for family in openmetrics_of(metrics_text(report)) for one in family.samples}
    newest = samples["crypto_archive_newest_data_timestamp_seconds"]
    assert newest.labels == {"preset": "research", "market": "spot", "data_type": "klines"}
    assert newest.value == datetime(2026, 11, 17, tzinfo=UTC).timestamp()
    assert samples["crypto_archive_absent_days"].labels == {"preset": "research", "reason": "late"}
    assert samples["crypto_archive_absent_days"].value == 3
