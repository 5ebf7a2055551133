"""Results in one line, and as a table in a notebook."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive import load_preset
from crypto_archive.catalog import days as dayset
from crypto_archive.config.run_config import Request, Selection
from crypto_archive.events import Checked, LeftAlone, ObjectFinished, ObjectPlanned, RunFinished
from crypto_archive.jobs.coverage import CoverageReport
from crypto_archive.jobs.doctor import Check, CheckStatus, DoctorReport
from crypto_archive.jobs.plan import Differences, plan
from crypto_archive.jobs.relayout import RelayoutReport
from crypto_archive.jobs.report import Report
from crypto_archive.jobs.run import Run
from crypto_archive.jobs.symbols import SymbolsReport
from crypto_archive.jobs.verify import VerifyReport
from crypto_archive.model import Action, Market, Outcome, PlannedObject, Series, Verdict
from crypto_archive.plan.availability import SeriesCoverage, SymbolHistory
from crypto_archive.shown import ENDS_SHOWN, Shown, Table, joined, some, span
from tests.objects import an_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIRST, LAST = date(2025, 7, 13), date(2025, 7, 15)
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


def a_series(symbol: str = "BTCUSDT") -> Series:
    return Series(Market.SPOT, "klines", symbol, "1d")


def covered(symbol: str = "BTCUSDT") -> SeriesCoverage:
    days = dayset.span(FIRST, LAST)
    return SeriesCoverage(a_series(symbol), days, dayset.span(FIRST, FIRST), dayset.NONE, days, {}, FIRST, LAST)


def cells(html: str) -> list[str]:
    return re.findall(r"<t[dh](?: [^>]*)?>(.*?)</t[dh]>", html)


def html_of(shown: Shown) -> str:
    html = shown._repr_html_()
    assert html is not None
    return html


def a_report() -> Report:
    report = Report(Request(Selection((Market.SPOT,))))
    for number, outcome in enumerate((Outcome.FETCHED, Outcome.FETCHED, Outcome.FAILED)):
        report.add(ObjectPlanned(PlannedObject(an_object(number), Action.FETCH, "")))
        report.add(ObjectFinished(an_object(number), outcome, size=1024 * (outcome is Outcome.FETCHED)))
    report.add(RunFinished(3.0))
    return report


def test_a_report() -> None:
    report = a_report()
    said = "partial, 3 objects (2 fetched, 1 failed), 2.0 KiB, 2025-07-01 to 2025-07-02, 3.0 s"
    assert repr(report) == f"<Report: {said}>"
    assert cells(html_of(report)) == [
        "market", "data type", "objects", "fetched", "failed", "size", "first day", "last day",
        "spot", "klines", "3", "2", "1", "2.0 KiB", "2025-07-01", "2025-07-02",
    ]  # fmt: skip
    report.error = "The disk is full"
    assert repr(report).endswith("3.0 s; The disk is full>")


def test_a_verification() -> None:
    report = VerifyReport("archive")
    report.add(Checked("a", Market.SPOT, "klines", Verdict.OK, 1024))
    report.add(Checked("b", Market.SPOT, "klines", Verdict.CORRUPT, 1024))
    assert repr(report) == "<VerifyReport: bad, 2 objects (1 ok, 1 corrupt), 2.0 KiB>"
    assert cells(html_of(report))[6:] == ["spot", "klines", "2", "1", "1", "2.0 KiB"]


def test_a_coverage() -> None:
    report = CoverageReport(Request(Selection((Market.SPOT,))), "1", [covered()])
    assert repr(report) == (
        "<CoverageReport: success, 1 series, 1 of 3 days on disk, 2 to fetch, "
        "the archive has 2025-07-13 to 2025-07-15>"
    )  # fmt: skip
    assert cells(html_of(report))[10:] == [
        "spot", "klines", "BTCUSDT", "1d", "2025-07-13", "2025-07-15", "3", "1", "2", "",
    ]  # fmt: skip
    assert repr(covered()) == (
        "<SeriesCoverage: spot klines BTCUSDT 1d, 2025-07-13 to 2025-07-15, 1 of 3 days on disk>"
    )


def test_symbols() -> None:
    report = SymbolsReport([SymbolHistory(a_series(), dayset.span(FIRST, LAST))])
    assert repr(report) == "<SymbolsReport: success, 1 symbol>"
    assert cells(html_of(report))[9:] == ["spot", "klines", "BTCUSDT", "1d", "2025-07-13", "2025-07-15", "3", "", ""]
    assert repr([*report]) == "[<SymbolHistory: spot klines BTCUSDT 1d, 2025-07-13 to 2025-07-15>]"
    assert (len(report), SymbolsReport([], FIRST).status) == (1, "empty")


def test_a_doctor() -> None:
    report = DoctorReport([Check("matrix", CheckStatus.OK, "1"), Check("s5cmd", CheckStatus.FAILED, "none", "get it")])
    assert repr(report) == "<DoctorReport: failed, 1 ok, 1 failed>"
    assert cells(html_of(report))[4:] == ["matrix", "ok", "1", "", "s5cmd", "failed", "none", "get it"]


def test_a_relayout() -> None:
    report = RelayoutReport("archive", "mirror", "hive", moved=3)
    assert repr(report) == "<RelayoutReport: success, mirror to hive, 3 objects moved, 0 in place>"
    assert report._repr_html_() is None
    report.add(LeftAlone("data/notes.txt", "not an object of the archive"))
    assert cells(html_of(report))[3:] == ["data/notes.txt", "not an object of the archive", "no"]


def test_a_plan_says_how_far_it_is_and_is_not_consumed_by_that(tmp_path: Path) -> None:
    config = load_preset(
        markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]}, symbols=["BTCUSDT"], start=FIRST,
        end=LAST, discover="calendar", output_directory=tmp_path,
    )  # fmt: skip
    with plan(config) as made:
        assert repr(made) == "<Plan: not started; iterate over it, or call consume()>"
        assert next(iter(made)).object.period.first_day == FIRST
        assert repr(made) == "<Plan: 1 object so far, 1 to fetch, 2025-07-13>"
        assert (len(list(made)), made.state) == (2, "complete")
    assert repr(made) == "<Plan: 3 objects, 3 to fetch, 2025-07-13 to 2025-07-15>"
    assert cells(html_of(made))[10:] == [
        "spot", "klines", "3", "0", "0", "0", "3", "unknown", "2025-07-13", "2025-07-15",
    ]  # fmt: skip
    totals: Any = plan(config).document()["totals"]
    assert (totals["objects"], totals["batches"]) == (3, 1)


def test_a_configuration_and_its_selection() -> None:
    config = load_preset(
        markets=["spot"], data_types=["klines"], symbols=["A", "B", "C", "D", "E"], start=FIRST, output_directory="here"
    )
    assert repr(config) == "<RunConfig: spot; klines; A, B, C, D and 1 more; since 2025-07-13; into here>"
    assert repr(config.request.selection).startswith("<Selection: spot; klines; A, B,")
    assert len(repr(config.matrix)) < 100
    assert cells(html_of(config))[2:6] == ["markets", "spot", "data types", "klines"]
    assert repr(load_preset()) == "<RunConfig: nothing selected; into output>"


def test_a_run_and_differences() -> None:
    def events() -> Iterator[str]:
        yield "one"

    run: Run[str, None] = Run(events())
    assert repr(run) == "<Run: not started; iterate over it>"
    next(run)
    assert repr(run) == "<Run: under way>"
    assert (list(run), repr(run)) == ([], "<Run: ended>")
    assert (
        repr(Differences([], Path("some.lock"))) == "<Differences: 0 new, 0 gone, 0 replaced since some.lock, so far>"
    )


def test_foreign_text_is_neither_markup_nor_control() -> None:
    report = CoverageReport(Request(Selection((Market.SPOT,))), "1", [covered(HOSTILE)])
    html = html_of(report)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.isprintable()
    failed = replace_error(a_report(), HOSTILE)
    assert "<script" not in html_of(failed)
    assert repr(failed).isprintable()


def replace_error(report: Report, error: str) -> Report:
    report.error = error
    return report


@pytest.mark.parametrize("count", [0, 1, 2 * ENDS_SHOWN, 2 * ENDS_SHOWN + 1, 2000])
def test_a_table_has_the_first_and_the_last_rows_and_says_how_many_there_are_between(count: int) -> None:
    made: list[int] = []

    class Numbers(Shown):
        def _summary(self) -> str:
            return "numbers"

        def _table(self) -> Table:
            def cells_of(number: int) -> Sequence[object]:
                made.append(number)
                return (str(number),)

            return Table(("number",), range(count), cells_of)

    shown = cells(html_of(Numbers()))[1:]
    if count <= 2 * ENDS_SHOWN:
        assert shown == [str(number) for number in range(count)]
    else:
        assert len(set(made)) == 2 * ENDS_SHOWN
        assert shown[ENDS_SHOWN] == f"… {count - 2 * ENDS_SHOWN:,} more …"
        assert (shown[0], shown[-1]) == ("0", str(count - 1))


def test_a_table_has_no_colours_of_its_own() -> None:
    assert not re.search("color|background", html_of(a_report()))


def test_lists_and_spans() -> None:
    assert (some([]), some(["a", "b"]), some([*"abcdefg"])) == ("", "a, b", "a, b, c, d and 3 more")
    assert joined("a", "", None, "b") == "a, b"
    spans = [span(None, None), span(FIRST, None), span(None, LAST), span(FIRST, FIRST), span(FIRST, LAST)]
    assert spans == ["", "since 2025-07-13", "until 2025-07-15", "2025-07-13", "2025-07-13 to 2025-07-15"]
