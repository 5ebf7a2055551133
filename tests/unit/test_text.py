from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.text import (
    compact_json,
    document_of,
    format_about,
    format_bytes,
    format_clock,
    format_count,
    format_duration,
    format_rate,
    json_pieces,
    json_text,
    one_line,
    safe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**2, "1.0 MiB"),
        (1024**4 * 3, "3.0 TiB"),
        (1024**7, "1024.0 EiB"),
    ],
)
def test_bytes(size: int, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(0, 2**60))
def test_bytes_stay_short(size: int) -> None:
    assert len(format_bytes(size)) <= 10


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (83, "1 min 23 s"),
        (3600, "1 h"),
        (3659, "1 h"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (3.4, "3 s"), (59.4, "59 s"), (59.5, "1 min"), (263, "4 min"), (3599, "1 h"), (7900, "2 h 10 min"),
     (86_399, "1 d"), (200_000, "2 d 8 h")],
)  # fmt: skip
def test_estimates_are_no_finer_than_they_are_worth(seconds: float, text: str) -> None:
    assert format_about(seconds) == text


@given(st.floats(0, 10**8))
def test_every_estimate_is_near_its_duration(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
    words = format_about(seconds).split()
    said = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(said - seconds) <= max(1, 0.5 * seconds)


def test_clock_rate_and_counts() -> None:
    assert format_clock(83.9) == "0:01:23"
    assert format_clock(360000) == "100:00:00"
    assert format_rate(1536) == "1.5 KiB/s"
    assert [format_count(n, "object") for n in (0, 1, 1234)] == ["0 objects", "1 object", "1,234 objects"]
    assert format_count(2, "batch") == "2 batches"


@given(st.text())
def test_foreign_text_becomes_one_harmless_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()


def test_one_line_keeps_the_words() -> None:
    assert one_line("SlowDown:\n\x1b[31m status code: 503 \x07") == r"SlowDown: \x1b[31m status code: 503 \x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("币安人生USDT [/b] é", "币安人生USDT [/b] é"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eTDSU\u2066", r"\u202eTDSU\u2066"),
        ("BTC\u200bUSDT\ufeff", r"BTC\u200bUSDT\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        (b"r\xff\x80".decode("utf-8", "surrogateescape"), r"r\xff\x80"),
        ("\ud800", r"\ud800"),
        ("a\tb\nc\u2028d", "a b c d"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_holds_any_text_and_nothing_raw_that_is_hidden(document: object) -> None:
    for text in (json_text(document), json_text(document, indent=2), compact_json(document)):
        assert json.loads(text) == document
        text.encode()
        assert not re.search(
            "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]", text
        )
    assert json_text(document, ascii_only=True).isascii()


@given(st.dictionaries(st.text(), st.lists(st.integers() | st.text()) | st.text() | st.none()), st.booleans())
def test_a_document_in_pieces_is_the_same_document(document: dict[str, object], lazy: bool) -> None:
    def fields() -> Iterator[tuple[str, object]]:
        for name, value in document.items():
            yield name, iter(value) if lazy and isinstance(value, list) else value

    assert document_of(fields()) == document
    assert json.loads("".join(json_pieces(fields()))) == document


def test_a_document_in_pieces_takes_one_item_at_a_time() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 3:
            taken += 1
            yield taken

    def fields() -> Iterator[tuple[str, object]]:
        yield "items", items()
        yield "count", taken

    seen = [taken for piece in json_pieces(fields()) if piece.strip()[-1:].isdigit()]
    assert seen == [1, 2, 3, 3]
    taken = 0
    assert document_of(fields()) == {"items": [1, 2, 3], "count": 3}
