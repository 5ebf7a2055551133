"""Sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.values import UNITS, byte_count, seconds_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5000000", 5_000_000),
        ("50GB", 50_000_000_000),
        ("50GiB", 53_687_091_200),
        ("1.5TiB", 1_649_267_441_664),
        (" 1.5 tib ", 1_649_267_441_664),
        ("1kB", 1000),
        ("1KB", 1000),
        ("0.1 kB", 100),
        ("12 b", 12),
        ("1.9", 1),
        ("999999999999999999PB", 999_999_999_999_999_999 * 10**15),
    ],
)
def test_sizes_are_exact(text: str, size: int) -> None:
    assert byte_count(text) == size


def test_numbers_are_bytes() -> None:
    assert byte_count(7) == 7


@pytest.mark.parametrize(
    "value",
    ["", " ", "50G", "50 apples", "GB", "-1GB", "1,000", "1e9", "1..5GB", ".5GB", "5 G B", "٣GB", True, 1.5, ["1GB"],
     None, "1" * 19, "1GB\n2GB"],
)  # fmt: skip
def test_nonsense_gets_one_clear_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size; write it like 50GB, 1\.5TiB or 5000000"):
        byte_count(value)


@given(st.integers(0, 10**18 - 1), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_every_whole_number_of_every_unit_is_taken(number: int, unit: str, space: str) -> None:
    assert byte_count(f"{number}{space}{unit}") == number * UNITS[unit]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30min", 1800), ("30m", 1800), ("1h", 3600), ("1.5 h", 5400), ("1d", 86_400), ("0.5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "0s", "-1h", "1w", "367d", "1h30m", "every hour"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like 90s, 30min, 1h or 1d, up to 366d"):
        seconds_of(text)
