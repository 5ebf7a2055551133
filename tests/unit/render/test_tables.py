"""None"""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from rich.console import Console, RenderableType

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.keys import KeyPattern
from crypto_archive.catalog.matrix import Row, Status
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.errors import ExitCode
from crypto_archive.events import Checked, DaysCovered, Noticed, ObjectFinished, RunFinished
from crypto_archive.jobs.report import DaysReport
from crypto_archive.jobs.verify import VerifyReport
from crypto_archive.model import Absence, AbsentDays, Market, Notice, Outcome, Partition, Series, SeriesDays, Verdict
from crypto_archive.plan.availability import SymbolHistory
from crypto_archive.plan.totals import GroupTotals
from crypto_archive.render.console import RESULT_STYLES, waiting
from crypto_archive.render.markdown import matrix_markdown
from crypto_archive.render.summary import MEANINGS, report_summary, verify_summary
from crypto_archive.render.tables import absent_lines, matrix_table, plan_table, show, symbols_table
from tests.unit.jobs.test_report import archive_object, new_report, report_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_archive.jobs.report import Report

ROWS = (
    Row(
        Market.SPOT,
        "klines",
        Status.ACTIVE,
        KeyPattern("data/spot/{partition}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip"),
        {Partition.DAILY: ("1s", "1m", "1d"), Partition.MONTHLY: ("1d", "1mo")},
        first_date=date(2017, 8, 17),
        note="One | two\nthree",
    ),
    Row(
        Market.SPOT,
        "bookDepth",
        Status.NEVER_PUBLISHED,
        KeyPattern("data/spot/{partition}/bookDepth/{symbol}/{symbol}-bookDepth-{date}.zip"),
        {},
    ),
    Row(
        Market.FUTURES_UM,
        "bookTicker",
        Status.DISCONTINUED,
        KeyPattern("data/futures/um/{partition}/bookTicker/{symbol}/{symbol}-bookTicker-{date}.zip"),
        {Partition.DAILY: ()},
        first_date=date(2023, 5, 16),
        last_date=date(2024, 3, 30),
        aliases=("ticker",),
    ),
)


def text_of(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, record=True, color_system=None)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def filled(text: str) -> list[str]:
    """The lines that hold more than a rule, with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


def test_a_plan_with_all_columns() -> None:
    groups = [
        GroupTotals(Market.SPOT, "klines", 1234, 1200, 2400, 24, 3 * 1024**3, 1234, present=34, updates=5,
                    first_day=date(2020, 1, 1), last_day=date(2025, 7, 15)),
        GroupTotals(Market.FUTURES_UM, "liquidationSnapshot", 10, 10, 20, 1, 1024, 4,
                    first_day=date(2019, 12, 31), last_day=date(2024, 3, 31)),
        GroupTotals(Market.FUTURES_CM, "trades", 1, waiting=1),
    ]  # fmt: skip
    note = Notice("spot bookDepth: never published by the archive; nothing to plan")
    assert filled(text_of(plan_table(groups, [note]), 110))[:2] == [
        "market data type first day last day objects present updates waiting size",
        "spot klines 2020-01-01 2025-07-15 1,234 34 5 0 3.0 GiB",
    ]
    lines = text_of(plan_table(groups, [note], verbose=True), 140)
    head, first, second, third, total = filled(lines)[:5]
    assert head == "market data type first day last day objects present updates waiting sidecars commands batches size"
    assert first == "spot klines 2020-01-01 2025-07-15 1,234 34 5 0 1,200 2,400 24 3.0 GiB"
    assert second == "futures_um liquidationSnapshot 2019-12-31 2024-03-31 10 0 0 0 10 20 1 ≥ 1.0 KiB"
    assert third == "futures_cm trades – – 1 0 0 1 0 0 0 unknown"
    assert total == "total 2019-12-31 2025-07-15 1,245 34 5 1 1,210 2,420 25 ≥ 3.0 GiB"
    assert lines.splitlines()[-1] == "note  spot bookDepth: never published by the archive; nothing to plan"


def test_a_plan_from_the_calendar_leaves_out_what_it_does_not_know() -> None:
    lines = text_of(plan_table([GroupTotals(Market.SPOT, "klines", 2, 2, 4, 1)]))
    assert "present" not in lines
    assert "updates" not in lines
    assert "total" not in lines
    assert "unknown" in lines


@pytest.mark.parametrize("present", [0, 12345])
def test_every_plan_fits_eighty_columns(present: int) -> None:
    group = GroupTotals(
        Market.FUTURES_UM, "liquidationSnapshot", 123456, 123456, 246912, 2470, 10**12, 999, present, updates=present,
        first_day=date(2020, 1, 1), last_day=date(2025, 7, 15),
    )  # fmt: skip
    lines = text_of(plan_table([group, group]))
    assert "…" not in lines
    assert "≥ 931.3 GiB" in lines
    assert lines.count("2020-01-01") in {2, 3}  # in the table with its total, or below it
    assert max(map(len, lines.splitlines())) <= 80


def test_the_matrix_fits_eighty_columns() -> None:
    lines = text_of(matrix_table(load_matrix().rows))
    assert max(map(len, lines.splitlines())) <= 80
    assert "until 2024-03-30" in lines
    assert "never-published" in lines
    assert lines.count("…") == lines.count(" … ")


@pytest.mark.parametrize("terminal", [False, True])
def test_no_line_ends_in_spaces(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    """Neither of a table with cells that are empty, nor of its total, nor of a text that is wrapped."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    shown = _Terminal() if terminal else io.StringIO()
    group = GroupTotals(Market.SPOT, "klines", 12, 12, 24, 1, 1024, 12)
    show(plan_table([group, group], [Notice("as many words as do not fit in one line " * 3)]), shown)
    days = dayset.span(date(2025, 7, 1), date(2025, 7, 2))
    show(symbols_table([SymbolHistory(Series(Market.SPOT, "", "BTCUSDT"), days)]), shown)
    show(report_summary(report_of(Outcome.FETCHED)), shown)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert len(lines) > 15


def absent(symbols: Iterable[str], *days: AbsentDays, data_type: str = "fundingRate", wanted: int = 7) -> DaysReport:
    found = DaysReport()
    for symbol in symbols:
        series = Series(Market.FUTURES_UM, data_type, symbol)
        lacking = sum(one.count for one in days)
        found.add(SeriesDays(series, date(2025, 7, 1), date(2025, 7, wanted), wanted - lacking, absent=days))
    return found


NOT_YET = AbsentDays(Absence.NOT_YET, date(2025, 7, 1), date(2025, 7, 7))


def test_what_is_absent_or_noted_hangs_below_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    holes = (AbsentDays(Absence.HOLE, date(2025, 7, day), date(2025, 7, day)) for day in (2, 4))
    path, shown = f"data/{'x' * 70}/a.zip", io.StringIO()
    notices = [Notice(f"there is a file that is strange: {path} and some more words")]
    show(plan_table([], notices, days=absent(["1000000MOGUSDT"], *holes)), shown)
    assert shown.getvalue().splitlines()[1:] == [
        "absent  futures_um fundingRate 1000000MOGUSDT: 2 of 7 days",
        "        not available: 2025-07-02 hole, 2025-07-04 hole",
        "note  there is a file that is strange:",
        f"      {path}",
        "      and some more words",
    ]


def test_series_that_lack_the_same_days_share_a_line() -> None:
    days = absent(["BTCUSDT", "ETHUSDT", "ADAUSDT"], NOT_YET)
    assert absent_lines(days) == [
        (
            "futures_um fundingRate, 3 series (BTCUSDT, ETHUSDT, ADAUSDT): "
            "7 of 7 days not available for each: 2025-07-01 to 2025-07-07 not-yet"
        )
    ]
    days.add(SeriesDays(Series(Market.FUTURES_UM, "klines", "BTCUSDT", "1h"), NOT_YET.first, NOT_YET.last, 0,
                        absent=(NOT_YET,)))  # fmt: skip
    assert absent_lines(days)[1:] == [
        "futures_um klines BTCUSDT 1h: 7 of 7 days not available: 2025-07-01 to 2025-07-07 not-yet"
    ]
    many = absent_lines(absent([f"A{number}USDT" for number in range(1000)], NOT_YET))
    assert [line.partition(":")[0] for line in many] == [
        "futures_um fundingRate, 1,000 series (A0USDT, A1USDT, A2USDT, A3USDT and 996 more)"
    ]


def test_series_that_lack_other_days_have_their_own_lines() -> None:
    """Also where it is only of other days that they were wanted, or the lines would differ after the ranges shown."""
    holes = [AbsentDays(Absence.HOLE, date(2025, 7, day), date(2025, 7, day)) for day in range(1, 12, 2)]
    days = absent(["BTCUSDT"], NOT_YET)
    days.include(absent(["ETHUSDT"], NOT_YET, wanted=8))
    days.include(absent(["ADAUSDT"], replace(NOT_YET, reason=Absence.LATE)))
    days.include(absent(["BNBUSDT"], *holes, wanted=20))
    days.include(absent(["XRPUSDT"], *holes[:-1], replace(holes[-1], reason=Absence.LATE), wanted=20))
    assert [line.partition(":")[0].split()[-1] for line in absent_lines(days)] == [
        "BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "XRPUSDT"
    ]  # fmt: skip


def test_series_beyond_the_lines_shown_are_counted() -> None:
    days = DaysReport()
    for month in range(1, 13):
        for half in (1, 16):
            first = date(2025, month, half)
            names = [f"A{month}B{half}X{number}" for number in range(3)]
            for name in names:
                series = Series(Market.SPOT, "trades", name)
                days.add(SeriesDays(series, first, first, 0, absent=(AbsentDays(Absence.HOLE, first, first),)))
    lines = absent_lines(days)
    assert len(lines) == 21
    assert lines[-1] == "and 12 more series that lack days; --json lists them"


def test_an_empty_plan() -> None:
    lines = text_of(plan_table([], [Notice("spot bookDepth: never")]))
    assert lines == "The plan has no objects.\nnote  spot bookDepth: never"


def test_the_matrix() -> None:
    lines = filled(text_of(matrix_table(ROWS), 100))
    assert lines[0] == "market data type daily monthly from to status"
    assert lines[1] == "spot klines 1s … 1d (3) 1d 1mo 2017-08-17 active"
    assert lines[2] == "spot bookDepth – – never-published"
    assert lines[3] == "futures_um bookTicker ticker yes – 2023-05-16 2024-03-30 discontinued"


def test_the_matrix_as_markdown() -> None:
    assert matrix_markdown(ROWS).splitlines() == [
        "### spot",
        "",
        "| data type | files | days |",
        "| --- | --- | --- |",
        "| `klines` | daily 1s … 1d, monthly 1d 1mo | 2017-08-17 |",
        "| `bookDepth` | none | never-published |",
        "",
        "- `klines`: One | two three `data/spot/{partition}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip`",
        "- `bookDepth`: `data/spot/{partition}/bookDepth/{symbol}/{symbol}-bookDepth-{date}.zip`",
        "",
        "### futures_um",
        "",
        "| data type | files | days |",
        "| --- | --- | --- |",
        "| `bookTicker` | daily | 2023-05-16 to 2024-03-30 discontinued |",
        "",
        (
            "- `bookTicker`: Also called `ticker`. "
            "`data/futures/um/{partition}/bookTicker/{symbol}/{symbol}-bookTicker-{date}.zip`"
        ),
    ]


def test_paths_and_keys_in_a_summary_can_be_copied(tmp_path: Path) -> None:
    report = report_of(Outcome.FETCHED, Outcome.FAILED)
    file, failed = (tmp_path / ("x" * 90) / name for name in ("report.json", "failed.s5cmd"))
    shown = io.StringIO()
    with mock.patch.dict(os.environ, COLUMNS="80"):
        show(report_summary(report, file, failed), shown)
    lines = [line.strip() for line in shown.getvalue().splitlines()]
    assert f"report    {file}" in lines
    assert str(failed) in lines
    assert f"failed  {report.failures[0].object.key}" in lines
    assert not {"", "│"}.intersection(lines[:4])


def test_the_summary_of_a_good_run() -> None:
    lines = text_of(report_summary(report_of(Outcome.FETCHED, Outcome.PRESENT), Path("output/report.json")))
    assert "All 2 files are in place" in lines
    assert "fetched  1  downloaded" in lines.replace("   ", "  ")
    assert "20 B" in lines
    assert "20 B, 10 B/s" in lines
    assert "output/report.json" in lines
    assert "→" not in lines


def test_the_summary_names_the_first_failures_and_what_to_do() -> None:
    report = report_of(*[Outcome.PRESENT] * 3)
    for number in range(14):
        report.add(ObjectFinished(archive_object(number), Outcome.FAILED, "SlowDown:\n503"))
    lines = text_of(report_summary(report, Path("report.json"), Path("runs/failed.s5cmd")))
    assert "Some files are not in place" in lines
    assert lines.count("SlowDown: 503") == 10
    assert "and 4 more, listed in the report" in lines
    assert "→ Run the same command again: it continues where it stopped." in lines
    assert "failed.s5cmd" in lines


@pytest.mark.parametrize("others", [0, 1])
def test_the_summary_of_what_the_archive_has_replaced_since(others: int) -> None:
    report = report_of(Outcome.FETCHED, *[Outcome.FAILED] * others)
    report.request = replace(report.request, locked=Path("inputs.lock"))
    report.add(ObjectFinished(archive_object(7), Outcome.FAILED, "gone", refused=True))
    lines = filled(text_of(report_summary(report), 120))
    assert "lock file inputs.lock" in lines
    assert (
        "→ The archive no longer has some of the locked bytes: copy them from a root that has them, or lock again."
        in lines
    )
    again = "→ Run the same command again: it continues where it stopped."
    assert (again in lines) is bool(others)


def test_the_summary_of_a_run_that_an_error_stopped() -> None:
    lines = text_of(report_summary(report_of(Outcome.CANCELLED, finish=RunFinished(1.0, error="The disk is full"))))
    assert "The run failed" in lines
    assert "The disk is full" in lines
    assert "→ Run the same command again" in lines


def test_the_same_command_is_not_advised_where_it_would_fail_again() -> None:
    over = RunFinished(1.0, error="The plan is over its limit", error_exit_code=ExitCode.USAGE)
    lines = text_of(report_summary(report_of(finish=over)))
    assert "The plan is over its limit" in lines
    assert "→" not in lines


def test_the_summary_of_an_interrupted_run() -> None:
    done = report_of(Outcome.CANCELLED, Outcome.FETCHED, finish=RunFinished(1.0, interrupted_by=2))
    lines = text_of(report_summary(done))
    assert "The run was interrupted: 1 of 2 planned files are in place" in lines
    assert "not downloaded" in lines


def empty_reports() -> list[Report]:
    absent = new_report()
    absent.add(ObjectFinished(archive_object(), Outcome.ABSENT, Absence.HOLE))
    return [new_report(), absent]


@pytest.mark.parametrize("report", empty_reports())
def test_the_summary_of_nothing(report: Report) -> None:
    lines = text_of(report_summary(report))
    assert "Nothing was found" in lines
    assert "`crypto-archive plan`" in lines


def test_the_summary_of_nothing_says_why() -> None:
    report = new_report()
    for number in range(8):
        report.add(Noticed(Notice(f"the archive has no symbol 'BTCUSD{number}'")))
    lines = text_of(report_summary(report))
    assert "why       the archive has no symbol 'BTCUSD0'" in lines
    assert "BTCUSD4" in lines
    assert "BTCUSD5" not in lines
    assert "and 3 more, listed in the report" in lines


def verified(*verdicts: Verdict) -> VerifyReport:
    report = VerifyReport("output", started_at=datetime(2025, 7, 16, tzinfo=UTC), version="0.1.0")
    for verdict in verdicts:
        report.add(Checked("data/a.zip", Market.SPOT, "klines", verdict, 1024, "wrong digest"))
    report.finish(2.0)
    return report


def test_the_summary_of_a_verification() -> None:
    lines = text_of(verify_summary(verified(Verdict.OK, Verdict.OK, Verdict.SIDECAR_STALE)))
    assert "2 of 3 files verified; 1 with a stale checksum" in lines
    assert "good" not in lines
    assert "3 objects, 3.0 KiB" in lines
    assert "2.0 s, 1.5 KiB/s" in lines
    assert "as the archive lists it; its checksum is of other bytes" in lines
    assert "→" not in lines
    assert "All 2 files are good" in text_of(verify_summary(verified(Verdict.OK, Verdict.OK)))


def test_the_summary_of_a_verification_with_a_broken_zip_of_the_archive() -> None:
    lines = text_of(verify_summary(verified(Verdict.OK, Verdict.BAD_ZIP)))
    assert "Some files are bad or missing: 1 of 2 files verified; 1 not a sound zip" in lines
    assert "→ The archive itself has a broken zip there" in lines
    assert "--repair" not in lines


@pytest.mark.parametrize("outcome", [Outcome.FETCHED, Outcome.PRESENT])
@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.OK, "All 2 files are in place"),
        (Verdict.SIDECAR_STALE, "1 of 2 files verified; 1 with a stale checksum"),
        (Verdict.SIDECAR_MALFORMED, "1 of 2 files verified; 1 with a malformed checksum"),
        (Verdict.SIDECAR_MISSING, "1 of 2 files verified; 1 without a checksum"),
        (Verdict.UNPROVEN, "1 of 2 files verified; 1 unproven"),
        (Verdict.BAD_ZIP, "1 of 2 files verified; 1 not a sound zip"),
    ],
)
def test_the_summary_of_a_run_says_what_was_not_simply_verified(outcome: Outcome, verdict: Verdict, said: str) -> None:
    report = report_of()
    for number, one in enumerate((Verdict.OK, verdict)):
        report.add(ObjectFinished(archive_object(number), outcome, "why", size=10, verdict=one))
    lines = text_of(report_summary(report))
    assert said in lines
    assert ("All" in lines) == (verdict is Verdict.OK)
    assert "Run the same command again" not in lines
    assert ("The archive itself has a broken zip" in lines) == (verdict is Verdict.BAD_ZIP)


def test_the_summary_of_a_bad_verification() -> None:
    lines = text_of(verify_summary(verified(*[Verdict.CORRUPT] * 12)))
    assert "Some files are bad or missing" in lines
    assert lines.count("wrong digest") == 10
    assert "and 2 more, listed in the report" in lines
    assert "→ Download bad and missing files again: run the same command with --repair." in lines


def test_the_summary_of_a_verification_of_nothing() -> None:
    assert "There was nothing to verify" in text_of(verify_summary(verified()))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_whole_lines_without_colour() -> None:
    stream = io.StringIO()
    show(matrix_table(ROWS), stream)
    assert "\x1b" not in stream.getvalue()
    assert "2017-08-17" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) < 200


def test_a_set_width_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = io.StringIO()
    show(matrix_table(ROWS), stream)
    assert max(map(len, stream.getvalue().splitlines())) <= 60


def test_a_reader_that_leaves_early_is_not_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        show(matrix_table(ROWS), stream)


def test_the_summary_says_what_was_moved_aside() -> None:
    report = report_of(Outcome.PRESENT)
    assert "moved" not in text_of(report_summary(report))
    report.add(DaysCovered(archive_object(), ("a", "b"), 2048))
    assert "2 daily objects, 2.0 KiB, to .crypto-archive/covered" in text_of(report_summary(report))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_wait_is_shown_on_a_terminal_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    with waiting(stream, "Reading …"):
        pass
    assert "Reading …" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")  # the line is cleared


def test_a_wait_is_not_shown_in_a_pipe() -> None:
    stream = io.StringIO()
    with waiting(stream, "Reading …"):
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize("result", [*Outcome, *Verdict])
def test_every_outcome_and_verdict_has_words_and_a_style(result: Outcome | Verdict) -> None:
    assert MEANINGS[result]
    assert RESULT_STYLES[result]
