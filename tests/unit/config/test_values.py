"""Sizes as people write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.values import (
    UNITS,
    byte_count,
    day_of,
    day_text,
    nearest_interval,
    overlay,
    read_arguments,
    resolve,
    seconds_of,
    span_text,
)
from crypto_archive.model import DateRange


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("60m", "1h"), ("60min", "1h"), ("1hour", "1h"), ("1H", "1h"), ("24h", "1d"), ("1440m", "1d"), ("1day", "1d"),
        ("7d", "1w"), ("1week", "1w"), ("30d", "1mo"), ("1Month", "1mo"), ("60s", "1m"), ("240m", "4h"), ("72h", "3d"),
        ("10m", "1m"), ("1x", None), ("tick", None),
    ],
)  # fmt: skip
def test_an_interval_is_suggested_by_its_length(word: str, meant: str | None) -> None:
    assert nearest_interval(word, ("1s", "1m", "5m", "1h", "4h", "1d", "3d", "1w", "1mo")) == meant


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
def test_an_invalid_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like 90s, 30min, 1h or 1d, up to 366d"):
        seconds_of(text)


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
        ({"last": "100y", "end": "0099"}, date(1, 1, 1), date(99, 12, 31)),
        ({"start": "2025-02", "end": "2025-02"}, date(2025, 2, 1), date(2025, 2, 28)),
        ({"start": "2024", "end": "2024"}, date(2024, 1, 1), date(2024, 12, 31)),
        ({"start": "2025-07"}, date(2025, 7, 1), None),
        ({"start": "2025-07-01", "end": "2025-07"}, date(2025, 7, 1), date(2025, 7, 31)),
        ({"start": "today", "end": "today"}, date(2025, 7, 16), date(2025, 7, 16)),
        ({"last": "1mo"}, date(2025, 6, 16), date(2025, 7, 15)),
        ({"last": "1mo", "end": "2025-02"}, date(2025, 2, 1), date(2025, 2, 28)),
        ({"last": "3mo", "end": "2025-03-31"}, date(2025, 1, 1), date(2025, 3, 31)),
        ({"last": "1mo", "end": "2025-03-30"}, date(2025, 3, 1), date(2025, 3, 30)),
        ({"last": "1y"}, date(2024, 7, 16), date(2025, 7, 15)),
        ({"last": "1y", "end": "2024-02-29"}, date(2023, 3, 1), date(2024, 2, 29)),
    ],
)
def test_resolve(parts: dict[str, str], start: date | None, end: date | None) -> None:
    assert resolve(parts, TODAY) == DateRange(start, end)


def test_a_single_day() -> None:
    assert day_of("2021-06-30", TODAY) == date(2021, 6, 30)
    assert day_of("yesterday", TODAY) == date(2025, 7, 15)
    assert day_of("today", TODAY) == TODAY
    assert day_of("20210630", TODAY) == date(2021, 6, 30)
    with pytest.raises(ValueError, match="'soon' is not a day"):
        day_of("soon", TODAY)
    with pytest.raises(ValueError, match=r"^'2025-06' has more than one day; write one, such as 2025-06-30$"):
        day_of("2025-06", TODAY)


def test_a_start_after_the_end_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^the start 2025-07-15 is after the end 2025-07-01$"):
        resolve({"start": "yesterday", "end": "2025-07-01"}, TODAY)


@pytest.mark.parametrize(
    ("parts", "start"),
    [
        ({"start": "2025-07-17"}, "2025-07-17"),
        ({"start": "2026"}, "2026-01-01"),
        ({"last": "7d", "end": "2025-08"}, "2025-08-25"),
    ],
)
def test_a_start_in_the_future_is_said_to_be_there(parts: dict[str, str], start: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^the start {start} is in the future \(today is 2025-07-16 in UTC\); write "
    ):
        resolve(parts, TODAY)


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


@given(st.integers(1, 100), st.dates(date(2017, 1, 1), date(2100, 1, 1)))
def test_months_and_years_are_whole(count: int, end: date) -> None:
    def start(span: str, end: date) -> date:
        return resolve({"last": span, "end": str(end)}, date(2100, 1, 2)).start or date.max

    assert start(f"{count}y", end) == start(f"{12 * count}mo", end)
    after = end + timedelta(days=1)
    assert start(f"{count}mo", end) <= start(f"{count}mo", after)
    if after.day == 1:  # whole months of the calendar
        first = start(f"{count}mo", end)
        assert (first.day, 12 * (after.year - first.year) + after.month - first.month) == (1, count)


@given(st.dates(date(1000, 1, 1)))
def test_a_month_and_a_year_are_all_their_days(day: date) -> None:
    for text, of_day in ((f"{day:%Y-%m}", (day.year, day.month)), (f"{day:%Y}", (day.year,))):
        found = resolve({"start": text, "end": text}, date.max)
        assert found.start is not None
        assert found.end is not None
        assert found.start <= day <= found.end
        assert {found.start.timetuple()[: len(of_day)], found.end.timetuple()[: len(of_day)]} == {of_day}
        if found.end < date.max:
            assert (found.end + timedelta(days=1)).timetuple()[: len(of_day)] != of_day
        assert found.start.day == 1


@given(st.dates(date(1000, 1, 1)))
def test_a_day_without_hyphens_is_the_same_day(day: date) -> None:
    assert day_text(f"{day:%Y%m%d}") == day_text(int(f"{day:%Y%m%d}")) == str(day)


@given(st.dates())
def test_days_are_taken_as_text_and_as_dates(day: date) -> None:
    assert day_text(day) == day_text(day.isoformat()) == day_text(datetime(day.year, day.month, day.day)) == str(day)  # noqa: DTZ001


@pytest.mark.parametrize("text",
    [
        "2025-7-5", "2025-02-30", "20250230", "2025-13", "202507", "25", "0000", "20250715T00", "2025-W01-1",
        "tomorrow", "", "２０２５-07-15", 202507, 7,
    ],
)  # fmt: skip
def test_an_invalid_day(text: object) -> None:
    with pytest.raises(
        ValueError, match=r"is not a day; write YYYY-MM-DD, such as 2025-07-15, or 2025-07, 2025, today or yesterday$"
    ):
        day_text(text)


def test_a_moment_is_not_a_day() -> None:
    with pytest.raises(ValueError, match=r"'2025-07-15 12:00:00' is not a day"):
        day_text(datetime(2025, 7, 15, 12))  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["7", "0d", "d", "7 days", "-7d", "7m", "99999d", "5215w", "1201mo", "101y", "1.5y", "٣d"]
)
def test_an_invalid_span(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a span of time; write it like 30d, 2w, 1mo or 1y$"):
        span_text(text)


ALLOWED = (
    "--credentials-file",
    "--no-sign-request",
    "--no-verify-ssl",
    "--numworkers",
    "--profile",
    "--request-payer",
    "--retry-count",
    "--use-list-objects-v1",
)


@pytest.mark.parametrize(
    ("arguments", "handed_on"),
    [
        ([], ()),
        (
            ["--no-sign-request", "--retry-count=3", "--numworkers=8"],
            ("--no-sign-request", "--retry-count=3", "--numworkers=8"),
        ),
        (["--retry-count", "5"], ("--retry-count=5",)),
        (["--retry-count 5"], ("--retry-count=5",)),
        (["-r", "5"], ("--retry-count=5",)),
        (["-r 5"], ("--retry-count=5",)),
        (["-r=5", "--no-verify-ssl"], ("--retry-count=5", "--no-verify-ssl")),
        (["--retry-count=5", "--retry-count=7"], ("--retry-count=7",)),
        (["--credentials-file=/my keys/file"], ("--credentials-file=/my keys/file",)),
        (["--profile", "archive"], ("--profile=archive",)),
    ],
)
def test_forms_that_are_taken(arguments: list[str], handed_on: tuple[str, ...]) -> None:
    assert read_arguments(arguments) == (handed_on, ())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--json", "--json cannot be set here; crypto-archive sets it itself, to follow s5cmd's progress"),
        ("--log=debug", "--log cannot be set here; crypto-archive sets it itself, to follow s5cmd's progress"),
        ("--dry-run", "--dry-run cannot be set here; use 'crypto-archive collect --dry-run' instead"),
        ("-h", "--help cannot be set here; it downloads nothing"),
        (
            "--endpoint-url=http://x",
            (
                "--endpoint-url cannot be set here; "
                "use the option --endpoint-url or the variable CRYPTO_ARCHIVE_ENDPOINT_URL instead"
            ),
        ),
        ("--part-size=5", "--part-size cannot be set here; use the field part_size_mb instead"),
        ("--no-sign-request=yes", "--no-sign-request takes no value"),
        ("--retry-count", "--retry-count needs a value, such as --retry-count=5"),
        ("--profile=", "--profile needs a value, such as --profile=NAME"),
        ("--retry-count=many", "--retry-count needs a whole number of at least 0, not 'many'"),
        ("--numworkers=0", "--numworkers needs a whole number of at least 1, not '0'"),
    ],
)
def test_options_that_are_refused(argument: str, message: str) -> None:
    handed_on, refusals = read_arguments(["--no-verify-ssl", argument])
    assert handed_on == ("--no-verify-ssl",)
    assert [(refusal.index, refusal.message) for refusal in refusals] == [(1, message)]


def test_a_misspelt_option_names_the_nearest() -> None:
    (refusal,) = read_arguments(["--retry-cuont=5"])[1]
    assert refusal.message == "unknown option '--retry-cuont' of s5cmd"
    assert refusal.nearest == "--retry-count"
    assert refusal.allowed == ALLOWED


def test_commands_are_no_options() -> None:
    (refusal,) = read_arguments(["cp"])[1]
    assert refusal.message == "'cp' is not an option of s5cmd"


def test_all_refusals_are_given_together() -> None:
    assert [refusal.index for refusal in read_arguments(["--json", "-r", "x", "--numworkers"])[1]] == [0, 1, 3]


def test_signing_and_not_signing_contradict_each_other() -> None:
    (refusal,) = read_arguments(["--no-sign-request", "--profile=me"])[1]
    assert refusal.message == "--profile and --no-sign-request contradict each other; keep one of them"
    assert refusal.index == 1


@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from([*ALLOWED, "-r", "5", "--json", "x"]))))
def test_what_is_handed_on_is_taken_again_as_it_is(arguments: list[str]) -> None:
    handed_on, refusals = read_arguments(arguments)
    if not refusals:
        assert read_arguments(handed_on) == (handed_on, ())
