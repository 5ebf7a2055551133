from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.days import Days
from crypto_archive.config.run_config import Request, Selection
from crypto_archive.errors import ExitCode
from crypto_archive.jobs.coverage import CoverageReport
from crypto_archive.model import Absence, DateRange, Market, Notice, Series
from crypto_archive.plan.availability import ObjectDays, series_coverage
from crypto_archive.text import json_pieces
from tests.objects import row_of

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "coverage.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
TODAY = date(2025, 7, 20)
NON_ASCII = "币安人生USDT"
HOSTILE = "</script><b>&USDT"


def days(first: str, last: str) -> Days:
    return dayset.span(date.fromisoformat(first), date.fromisoformat(last))


def a_report(dates: DateRange | None = None) -> CoverageReport:
    """Five series: one on disk with a hole, one to fetch, two with odd names, and one that there never was."""
    selection = Selection((Market.SPOT, Market.FUTURES_UM), dates=dates or DateRange(date(2025, 1, 1)))
    report = CoverageReport(
        Request(selection, Path("/data/binance")), "2025-07-01", generated_at=datetime(2025, 7, 20, tzinfo=UTC)
    )
    klines, funding = row_of(Market.SPOT, "klines"), row_of(Market.FUTURES_UM, "fundingRate")
    holed = Days(days("2025-01-10", "2025-07-18") & ~days("2025-03-03", "2025-03-04"))
    for symbol, listed, stored in (
        ("BTCUSDT", holed, holed),
        ("ETHUSDT", days("2024-01-01", "2025-07-18"), days("2025-01-01", "2025-01-31")),
        (NON_ASCII, days("2025-06-20", "2025-07-18"), dayset.NONE),
        (HOSTILE, days("2025-01-01", "2025-02-28"), dayset.NONE),
    ):
        series = Series(Market.SPOT, "klines", symbol, "1d")
        there, on_disk = ObjectDays(listed), ObjectDays(stored)
        report.add(series_coverage(series, klines, there, on_disk, selection.dates, TODAY, ending=Absence.DELISTED))
    series = Series(Market.FUTURES_UM, "fundingRate", "XUSDT")
    report.add(series_coverage(series, funding, ObjectDays(), ObjectDays(), selection.dates, TODAY))
    report.notices.append(Notice("spot bookDepth: never published by the archive; nothing to plan"))
    return report


def document(report: CoverageReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(json_pieces(report.document_fields())))
    assert found == report.document() == json.loads(json.dumps(report.document()))
    VALIDATOR.validate(found)
    return found


def test_the_document_is_as_the_schema_says() -> None:
    found = document(a_report())
    assert list(found) == SCHEMA["required"]
    assert list(found["series"][0]) == SCHEMA["properties"]["series"]["items"]["required"]
    assert found["generated_at"] == "2025-07-20T00:00:00+00:00"
    assert found["selection"]["start"] == "2025-01-01"
    assert found["selection"]["end"] is None
    assert found["notices"] == ["spot bookDepth: never published by the archive; nothing to plan"]


def test_a_series_is_shown_month_by_month() -> None:
    bitcoin = document(a_report())["series"][0]
    assert (bitcoin["symbol"], bitcoin["interval"]) == ("BTCUSDT", "1d")
    assert (bitcoin["first_day"], bitcoin["last_day"]) == ("2025-01-10", "2025-07-18")
    assert bitcoin["holes"] == [["2025-03-03", "2025-03-04"]]
    assert [month["month"] for month in bitcoin["months"]] == [f"2025-0{number}" for number in range(1, 8)]
    assert bitcoin["months"][0] == {
        "month": "2025-01",
        "days": 31,
        "stored": 22,
        "listed": 22,
        "to_fetch": 0,
        "unopened": 0,
        "missing": {"before-first": 9},
    }
    assert bitcoin["months"][2]["missing"] == {"hole": 2}
    assert bitcoin["months"][6]["missing"] == {"not-yet": 1}


def test_sums_are_those_of_the_series() -> None:
    found = document(a_report())
    for group in (*found["by_market_and_type"], found["totals"]):
        chosen = [
            one
            for one in found["series"]
            if "market" not in group or (one["market"], one["data_type"]) == (group["market"], group["data_type"])
        ]
        assert group["series"] == len(chosen)
        for name in ("days", "stored", "listed", "to_fetch", "unopened"):
            assert (
                group[name]
                == sum(one[name] for one in chosen)
                == sum(month[name] for one in chosen for month in one["months"])
            )
        assert sum(group["missing"].values()) == sum(sum(one["missing"].values()) for one in chosen)
        assert group["days"] == group["stored"] + group["unopened"] + group["to_fetch"] + sum(group["missing"].values())


def test_odd_names_survive() -> None:
    symbols = [one["symbol"] for one in document(a_report())["series"]]
    assert NON_ASCII in symbols
    assert HOSTILE in symbols


def test_a_report_of_nothing_is_a_document_too() -> None:
    report = a_report()
    report.series.clear()
    assert document(report)["series"] == []
    assert report.exit_code() is ExitCode.PARTIAL


def test_the_exit_code_says_whether_there_is_anything() -> None:
    report = a_report()
    assert report.exit_code() is ExitCode.OK
    report.series = report.series[-1:]
    assert report.exit_code() is ExitCode.PARTIAL


def test_the_schema_knows_the_same_words_as_the_model() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["market"]["enum"] == list(Market)
    assert list(SCHEMA["$defs"]["missing"]["properties"]) == list(Absence)
