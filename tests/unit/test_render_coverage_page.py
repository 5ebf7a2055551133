"""The page of a coverage: its data is what the report says, and it needs nothing else. No browser is asked."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.model import Absence
from crypto_archive.render.coverage import ABSENCE_LETTERS, coverage_page, embedded

from .test_report_coverage import HOSTILE, NON_ASCII, a_report


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
    assert set(letters) == {"s", "o", "f", "u", *ABSENCE_LETTERS.values()}
    assert set(ABSENCE_LETTERS) == set(Absence)
    assert len(set(ABSENCE_LETTERS.values())) == len(Absence)


@given(st.text())
def test_any_text_can_be_embedded(text: str) -> None:
    written = embedded({"text": text})
    assert not set("<>&") & set(written)
    assert written.isascii()
    assert json.loads(written) == {"text": text}
