"""The page of a coverage: its data is what the report says, and it needs nothing else. No browser is asked."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, strategies as st
from rich.text import Text

from crypto_archive.catalog import days as dayset
from crypto_archive.model import Absence, DateRange
from crypto_archive.plan.availability import DayCounts
from crypto_archive.render.coverage import (
    ABSENCE_LETTERS,
    SERIES_SHOWN,
    coverage_page,
    coverage_view,
    embedded,
    format_share,
    interesting_days,
    sign_of,
)
from tests.unit.jobs.test_coverage import HOSTILE, NON_ASCII, a_report
from tests.unit.render.test_tables import text_of


def lines(width: int, **options: bool) -> list[str]:
    return text_of(coverage_view(a_report(), **options), width).splitlines()


def test_months_have_their_names_where_there_is_room() -> None:
    assert lines(100)[:8] == [
        "spot klines",
        "                      2025",
        "                      Jan Feb Mar Apr May Jun Jul  on disk  to fetch  holes",
        "4 series              ▓▓▓ ▒▒▒ ▒▒▒ ▓▓▓ ▓▓▓ ▒▒▒ ▒▒▒     46 %     256 d    2 d",
        "BTCUSDT 1d            ███ ███ ××× ███ ███ ███ ███    100 %              2 d",
        "ETHUSDT 1d            ███ ░░░ ░░░ ░░░ ░░░ ░░░ ░░░     16 %     168 d",
        f"{NON_ASCII} 1d       ··· ··· ··· ··· ··· ░░░ ░░░      0 %      29 d",
        "</script><b>&USDT 1d  ░░░ ░░░ --- --- --- --- ---      0 %      59 d",
    ]


@pytest.mark.parametrize(
    ("width", "strip"),
    [(76, "███ ███ ××× ███ ███ ███ ███"), (62, "████××████████"), (58, "██×████"), (54, "×██"), (50, "×")],
)
def test_it_gets_coarser_on_a_narrow_terminal(width: int, strip: str) -> None:
    (found,) = [line for line in lines(width) if line.startswith("BTC")]
    assert " ".join(found.split()) == f"BTCUSDT 1d {strip} 100 % 2 d"
    assert len(found) <= width


def test_the_rest_is_explained() -> None:
    text = "\n".join(lines(200))
    assert "XUSDT                 /// /// /// /// /// /// ///        –" in text  # under the months of the others
    assert (
        "█ on disk   ▓ most of it   ▒ some of it   ░ to fetch   × the archive has a hole   ~ not published yet"
        "   · before the first day   - delisted   / never published" in text
    )
    assert "5 series: 475 days available, 46 % of them on disk, 256 to fetch; 2 in holes" in text
    assert lines(120)[-1] == "note  spot bookDepth: never published by the archive; nothing to plan"


def test_a_short_span_is_shown_day_by_day() -> None:
    report = a_report(DateRange(date(2025, 2, 26), date(2025, 3, 8)))
    shown = text_of(coverage_view(report), 100).splitlines()
    assert shown[1].split()[0] == "2025-02"
    assert shown[3].startswith("BTCUSDT 1d            █████××████ ")


def test_months_before_all_series_are_left_out() -> None:
    report = a_report(DateRange(date(2023, 1, 1), date(2025, 7, 19)))
    first = dayset.first(interesting_days(report.series))
    assert first == date(2023, 1, 1)  # one of them has no first day
    report.series.pop()
    assert dayset.first(interesting_days(report.series)) == date(2024, 1, 1)


def test_many_series_are_cut_unless_all_are_asked_for() -> None:
    report = a_report()
    report.series = [report.series[0]] * (SERIES_SHOWN + 1000)
    cut = text_of(coverage_view(report), 120)
    assert cut.count("BTCUSDT 1d") == SERIES_SHOWN
    assert "… and 1,000 more series; --all shows them, --to coverage.html draws them all" in cut
    del report.series[SERIES_SHOWN + 10 :]
    assert text_of(coverage_view(report, every_series=True), 120).count("BTCUSDT 1d") == SERIES_SHOWN + 10


def test_nothing_is_said_in_words() -> None:
    report = a_report()
    report.series.clear()
    assert text_of(coverage_view(report)).startswith("No series matches.")


@pytest.mark.parametrize(
    ("counts", "sign"),
    [
        (DayCounts(31, 31, 31, 0), "█"),
        (DayCounts(31, 30, 31, 1), "▓"),
        (DayCounts(31, 1, 31, 30), "▒"),
        (DayCounts(31, 0, 31, 31), "░"),
        (DayCounts(31, 30, 30, 0, {Absence.HOLE: 1}), "×"),
        (DayCounts(31, 0, 0, 0, {Absence.HOLE: 31}), "×"),
        (DayCounts(31, 0, 0, 0, {Absence.DELISTED: 30, Absence.NOT_YET: 1}), "-"),
        (DayCounts(31, 0, 31, 0, {}, 31), "?"),
        (DayCounts(31, 20, 31, 0, {}, 11), "?"),
        (DayCounts(0), " "),
    ],
)
def test_each_state_has_a_sign(counts: DayCounts, sign: str) -> None:
    assert sign_of(counts)[0] == sign


def test_every_sign_stands_for_one_thing() -> None:
    signs = [sign_of(DayCounts(1, missing={reason: 1}))[0] for reason in Absence]
    assert len({*signs, "█", "▓", "▒", "░"}) == len(Absence) + 4
    assert all(Text(sign).cell_len == 1 for sign in signs)


@pytest.mark.parametrize(
    ("stored", "to_fetch", "text"),
    [(0, 0, "–"), (0, 9, "0 %"), (1, 999, "<1 %"), (1, 1, "50 %"), (999, 1, ">99 %"), (9, 0, "100 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(stored: int, to_fetch: int, text: str) -> None:
    assert format_share(DayCounts(stored + to_fetch, stored, stored, to_fetch)) == text


class _Page(HTMLParser):
    """Takes a page apart as a browser would: what is loaded, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.policy = ""
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [str(values[name]) for name in ("src", "href", "action", "srcset") if name in values]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values.get("content") or ""
        if tag == "script":
            self._script = values.get("id") or "code"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] += data


def a_page() -> str:
    return "".join(coverage_page(a_report()))


def data_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_Page(text).scripts["data"])
    return found


def states(runs: str, first: date) -> dict[date, str]:
    """The letter of each day."""
    found, day = {}, first
    for length, letter in re.findall(r"(\d+)([a-z])", runs):
        for _ in range(int(length)):
            found[day] = letter
            day += timedelta(days=1)
    return found


def test_the_data_is_what_the_report_says() -> None:
    report, data = a_report(), data_of(a_page())
    assert [(group["market"], group["type"]) for group in data["groups"]] == [
        ("spot", "klines"),
        ("futures_um", "fundingRate"),
    ]
    assert (data["first"], data["last"]) == ("2025-01-01", "2025-07-19")
    assert data["notices"] == [notice.text for notice in report.notices]
    shown = [one for group in data["groups"] for one in group["series"]]
    assert [(symbol, interval or None) for symbol, interval, _ in shown] == [
        (one.series.symbol, one.series.interval) for one in report.series
    ]
    for one, (_, _, runs) in zip(report.series, shown, strict=True):
        by_day = states(runs, date(2025, 1, 1))
        assert len(by_day) == dayset.count(one.wanted)
        letters = {ABSENCE_LETTERS[reason]: lacking for reason, lacking in one.missing.items()}
        letters |= {"s": dayset.Days(one.stored & one.listed), "f": one.to_fetch}
        for day, letter in by_day.items():
            assert letters[letter] & dayset.span(day, day), (one.series, day)


def test_the_page_loads_nothing() -> None:
    page = _Page(a_page())
    assert page.addresses == []
    assert page.policy.startswith("default-src 'none'")
    assert not re.search(
        r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", a_page().replace(page.scripts["data"], "")
    )


def test_odd_names_cannot_end_the_script() -> None:
    text = a_page()
    assert text.count("</script>") == text.count("<script") == 2
    symbols = [one[0] for one in data_of(text)["groups"][0]["series"]]
    assert symbols[2:] == [NON_ASCII, HOSTILE]


def test_a_page_of_nothing_is_a_page_too() -> None:
    report = a_report()
    report.series.clear()
    data = data_of("".join(coverage_page(report)))
    assert (data["groups"], data["first"], data["last"]) == ([], None, None)


def test_the_page_knows_every_state() -> None:
    (known,) = re.findall(r"const STATES = \{(.*?)\n  \};", a_page(), re.DOTALL)
    letters = re.findall(r"^\s+(\w): ", known, re.MULTILINE)
    assert set(letters) == {"s", "o", "q", "f", "u", *ABSENCE_LETTERS.values()}
    assert set(ABSENCE_LETTERS) == set(Absence)
    assert len(set(ABSENCE_LETTERS.values())) == len(Absence)


@given(st.text())
def test_any_text_can_be_embedded(text: str) -> None:
    written = embedded({"text": text})
    assert not set("<>&") & set(written)
    assert written.isascii()
    assert json.loads(written) == {"text": text}
