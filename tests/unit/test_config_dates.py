"""Which days a ``date_range`` means."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.values import day_of, day_text, overlay, resolve, span_text
from crypto_archive.model import DateRange

TODAY = date(2025, 7, 16)


@pytest.mark.parametrize(
    ("parts", "start", "end"),
    [
        ({}, None, None),
        ({"start": "2025-06-01"}, date(2025, 6, 1), None),
        ({"end": "2025-06-01"}, None, date(2025, 6, 1)),
        ({"start": "yesterday", "end": "yesterday"}, date(2025, 7, 15), date(2025, 7, 15)),
        ({"last": "7d"}, date(2025, 7, 9), date(2025, 7, 15)),
        ({"last": "1d"}, date(2025, 7, 15), date(2025, 7, 15)),
        ({"last": "2w"}, date(2025, 7, 2), date(2025, 7, 15)),
        ({"last": "3d", "end": "2024-03-01"}, date(2024, 2, 28), date(2024, 3, 1)),
        ({"last": "36500d", "end": "0001-01-02"}, date(1, 1, 1), date(1, 1, 2)),
    ],
)
def test_resolve(parts: dict[str, str], start: date | None, end: date | None) -> None:
    assert resolve(parts, TODAY) == DateRange(start, end)


def test_a_single_day() -> None:
    assert day_of("2021-06-30", TODAY) == date(2021, 6, 30)
    assert day_of("yesterday", TODAY) == date(2025, 7, 15)
    with pytest.raises(ValueError, match="'soon' is not a day"):
        day_of("soon", TODAY)


def test_a_start_after_the_end_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^the start 2025-07-15 is after the end 2025-07-01$"):
        resolve({"start": "yesterday", "end": "2025-07-01"}, TODAY)


@pytest.mark.parametrize(
    ("below", "above", "result"),
    [
        ({"start": "a", "end": "b"}, {"end": "c"}, {"start": "a", "end": "c"}),
        ({"start": "a", "end": "b"}, {"start": "c"}, {"start": "c", "end": "b"}),
        ({"start": "a", "end": "b"}, {"last": "7d"}, {"last": "7d"}),
        ({"last": "7d"}, {"start": "c"}, {"start": "c"}),
        ({"last": "7d"}, {"end": "c"}, {"last": "7d", "end": "c"}),
        ({"last": "7d", "end": "b"}, {"start": "a"}, {"start": "a", "end": "b"}),
        ({}, {"last": "7d", "end": "c"}, {"last": "7d", "end": "c"}),
    ],
)
def test_overlay(below: dict[str, str], above: dict[str, str], result: dict[str, str]) -> None:
    assert overlay(below, above) == result


@given(st.integers(1, 5200), st.sampled_from("dw"), st.dates(date(2017, 1, 1), date(2100, 1, 1)))
def test_a_span_has_as_many_days_as_it_says_and_ends_yesterday(count: int, unit: str, today: date) -> None:
    found = resolve({"last": f"{count}{unit}"}, today)
    assert found.start is not None
    assert found.end is not None
    assert (today - found.end).days == 1
    assert (found.end - found.start).days + 1 == count * (7 if unit == "w" else 1)


@given(st.dates())
def test_days_are_taken_as_text_and_as_dates(day: date) -> None:
    assert day_text(day) == day_text(day.isoformat()) == day_text(datetime(day.year, day.month, day.day)) == str(day)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["2025-7-5", "2025-02-30", "20250715", "2025-W01-1", "tomorrow", "", "２０２５-07-15"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a day; write YYYY-MM-DD, such as 2025-07-15, or 'yesterday'$"):
        day_text(text)


def test_a_moment_is_no_day() -> None:
    with pytest.raises(ValueError, match=r"'2025-07-15 12:00:00' is not a day"):
        day_text(datetime(2025, 7, 15, 12))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["7", "0d", "d", "7 days", "-7d", "7m", "99999d", "5215w", "٣d"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number of days or weeks; write it like 7d or 2w$"):
        span_text(text)
