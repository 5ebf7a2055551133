"""Zips are sound or broken, rows come as they are, and a month equals its days row by row."""

from __future__ import annotations

import bz2
import io
import random
import struct
import tempfile
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from crypto_archive.model import Market, Partition, Period
from crypto_archive.root import zips as zips_module
from crypto_archive.root.covered import RowsDiffer, equal_days, month_days, time_column
from crypto_archive.root.zips import LONGEST_ROW, BrokenZip, rows, zip_fault
from tests.objects import row_of
from tests.zips import break_off, write_zip

HEADER = "open_time,open,high"
NAME = "BTCUSDT-1h-2025-07-15.zip"
LINES = [f"{number},{random.Random(number).random()}" for number in range(5_000)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# Whether a zip is sound


def a_zip(*members: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return buffer.getvalue()


GOOD = ("BTCUSDT-1h-2025-07-15.csv", "1,2\n")
SOUND = a_zip(GOOD)
SHORT = SOUND[: len(SOUND) // 2]


def with_size(content: bytes, size: int) -> bytes:
    """Change what the directory of a zip says of the packed size of its member."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 20] + struct.pack("<I", size) + content[at + 24 :]


FAULTS = {
    "empty": (b"", "the zip is broken: File is not a zip file"),
    "an HTML page": (b"<html>" * 30, "the zip is broken: File is not a zip file"),
    "cut": (SHORT, "the zip is broken: File is not a zip file"),
    "no member": (a_zip(), "the zip holds 0 files, not one CSV"),
    "two members": (a_zip(GOOD, ("srv/x.csv", "1")), "the zip holds 2 files, not one CSV"),
    "a folder": (a_zip(GOOD, ("srv/", "")), "the zip holds 2 files, not one CSV"),
    "another name": (a_zip(("x.csv", "1")), "the zip holds 'x.csv', not 'BTCUSDT-1h-2025-07-15.csv'"),
    "in a folder": (
        a_zip((f"srv/{GOOD[0]}", "1")), f"the zip holds 'srv/{GOOD[0]}', not 'BTCUSDT-1h-2025-07-15.csv'",
    ),
    "longer than it is": (
        with_size(SOUND, 1 << 20), "the zip is broken: its directory says that it is longer than it is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_sound_zip_has_no_fault(folder: Path, method: int, read: bool) -> None:
    path = folder / "staged"
    path.write_bytes(a_zip(GOOD, method=method))
    assert zip_fault(path, NAME, read=read) is None


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize(("content", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_broken_zip_is_recognised_by_its_directory(folder: Path, content: bytes, fault: str, read: bool) -> None:
    path = folder / "staged"
    path.write_bytes(content)
    assert zip_fault(path, NAME, read=read) == fault


def test_what_is_spoilt_inside_is_found_by_reading(folder: Path) -> None:
    path = write_zip(folder / NAME, LINES)
    break_off(path)
    assert zip_fault(path, NAME, read=False) is None
    fault = zip_fault(path, NAME, read=True)
    assert fault is not None
    assert fault.startswith("the zip is broken: ")


def test_a_file_that_cannot_be_read_is_not_a_broken_zip(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        zip_fault(folder / "none", NAME, read=True)


def broken_properties() -> bytes:
    """A zip whose LZMA properties are broken: zipfile raises ``struct.error`` or ``LZMAError``."""
    content = bytearray(a_zip((GOOD[0], "1,2\n" * 100), method=zipfile.ZIP_LZMA))
    at = 30 + len(GOOD[0])
    content[at + 2 : at + 4] = b"\xff\xff"
    return bytes(content)


def broken_bzip2() -> bytes:
    """A zip whose packed bytes are no bzip2 stream: the decompressor raises an ``OSError`` without a number."""
    content = a_zip((GOOD[0], "1,2\n" * 100), method=zipfile.ZIP_BZIP2)
    packed = bz2.compress(b"1,2\n" * 100)
    assert packed in content
    return content.replace(packed, b"x" * len(packed))


@pytest.mark.parametrize("content", [broken_properties(), broken_bzip2()], ids=["lzma", "bzip2"])
def test_whatever_a_decompressor_raises_is_a_broken_zip(folder: Path, content: bytes) -> None:
    path = folder / NAME
    path.write_bytes(content)
    assert zip_fault(path, NAME, read=False) is None
    fault = zip_fault(path, NAME, read=True)
    assert fault is not None
    assert fault.startswith("the zip is broken: ")
    with pytest.raises(BrokenZip):
        list(rows(path))


INFO_ZIP = b"UT\x05\x00\x03\xbfU\xf4iux\x0b\x00\x01\x04\xe1\x03\x00\x00\x04\xdd\x03\x00\x00"
"""The times and owner that the program ``zip`` notes, which makes the archive's zips today."""


def by_info_zip(extra: bytes = INFO_ZIP) -> bytes:
    """A zip whose directory has more to say of its member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(GOOD[0])
        member.extra = extra
        archive.writestr(member, GOOD[1])
    return buffer.getvalue()


@pytest.mark.parametrize("content", [SOUND, by_info_zip()], ids=["plain", "as the archive's"])
def test_an_ordinary_zip_in_memory_needs_no_parser(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("zipfile was asked")

    monkeypatch.setattr(zips_module.zipfile, "ZipFile", refuse)
    assert zip_fault(content, NAME, read=False) is None


ORDINARY = [
    *(a_zip((GOOD[0], "1,2\n" * 20), method=method) for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)),
    by_info_zip(),
    by_info_zip(b"\x01\x00\x10\x00" + bytes(16)),
    a_zip(GOOD, ("srv/x.csv", "1")),
]


@given(data=st.data(), content=st.sampled_from(ORDINARY))
@settings(max_examples=200)
def test_no_bytes_make_it_fail_and_in_memory_they_are_judged_as_on_disk(data: st.DataObject, content: bytes) -> None:
    spoilt = bytearray(content)
    # Most of all in the directory, at the end.
    places = st.integers(0, len(content) - 1) | st.integers(len(content) - 100, len(content) - 1)
    for at in data.draw(st.lists(places, max_size=4)):
        spoilt[at] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / NAME
        path.write_bytes(spoilt)
        for read in (False, True):
            fault = zip_fault(path, NAME, read=read)
            assert fault is None or fault.startswith("the zip ")
            in_memory = zip_fault(bytes(spoilt), NAME, read=read)  # a seek to nowhere has other words there
            assert (in_memory is None) == (fault is None)


# Rows


def test_rows_come_without_header_line_ends_and_empty_lines(folder: Path) -> None:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", f"{HEADER}\n1,2\r\n\n3,4\n2025-07-15 00:00:00,x")
    assert list(rows(path)) == [b"1,2", b"3,4", b"2025-07-15 00:00:00,x"]


@pytest.mark.parametrize("first", ["1,2", "-1,2", '"",2', "\ufeff1,2"])
def test_only_letters_make_a_header(folder: Path, first: str) -> None:
    assert list(rows(write_zip(folder / "a.zip", [first, "3,4"]))) == [first.encode(), b"3,4"]


@pytest.mark.parametrize("content", [[], [HEADER]])
def test_a_file_without_rows_has_none(folder: Path, content: list[str]) -> None:
    assert list(rows(write_zip(folder / "a.zip", content))) == []


@pytest.mark.parametrize("names", [[], ["a.csv", "b.csv"]])
def test_a_zip_has_one_csv(folder: Path, names: list[str]) -> None:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "1\n")
    with pytest.raises(BrokenZip, match=f"the zip holds {len(names)} files, not one CSV"):
        list(rows(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"<html></html>"])
def test_what_is_not_a_zip_is_reported(folder: Path, content: bytes) -> None:
    path = folder / "a.zip"
    path.write_bytes(content)
    with pytest.raises(BrokenZip, match="the zip is broken") as caught:
        list(rows(path))
    assert caught.value.path == path


def test_broken_properties_of_lzma_are_reported(folder: Path) -> None:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", "1,2\n" * 1000)
    content = bytearray(path.read_bytes())
    begins = 30 + len("a.csv")  # of the data: version, size of the properties, the properties
    content[begins + 4] = 0xFF
    path.write_bytes(content)
    with pytest.raises(BrokenZip, match="the zip is broken"):
        list(rows(path))


@given(where=st.floats(0, 1), junk=st.binary(min_size=1, max_size=20), method=st.sampled_from([0, 8, 12, 14]))
def test_whatever_has_happened_to_its_bytes_is_a_broken_zip(where: float, junk: bytes, method: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("a.csv", "1,2\n" * 100)
        content = bytearray(path.read_bytes())
        at = int(where * (len(content) - 1))
        content[at : at + len(junk)] = junk
        path.write_bytes(content)
        with suppress(BrokenZip):
            list(rows(path))


def test_a_zip_that_breaks_off_is_reported(folder: Path) -> None:
    path = write_zip(folder / "a.zip", LINES)
    break_off(path)
    with pytest.raises(BrokenZip, match="the zip is broken"):
        list(rows(path))


def test_a_row_without_end_is_not_a_row(folder: Path) -> None:
    path = write_zip(folder / "a.zip", ["1" * (LONGEST_ROW + 1)])
    with pytest.raises(BrokenZip, match=f"a row of {LONGEST_ROW} bytes or more"):
        list(rows(path))


def test_a_file_that_is_gone_is_an_error_of_its_own(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(rows(folder / "none.zip"))


# Whether a month has exactly the rows of its days

FIRST = date(2025, 6, 1)
NUMBERS = st.lists(st.integers(0, 5), max_size=6)  # few values, so that rows repeat
DAYS = st.lists(NUMBERS, min_size=1, max_size=5)


def of_day(day: int, numbers: list[int], unit: int = 1000) -> list[str]:
    moment = datetime(2025, 6, 1, 5, tzinfo=UTC) + timedelta(days=day)
    return [f"{int(moment.timestamp()) * unit},{number}" for number in numbers]


def equal(month: list[str], days: dict[int, list[str]], *, headers: tuple[bool, bool] = (False, False)) -> int | None:
    """Write a month and its days; return the number of the first day that differs, None if all are equal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monthly = write_zip(folder / "month.zip", month, header=HEADER if headers[0] else "")
        files = {
            FIRST + timedelta(days=number): write_zip(
                folder / f"{number}.zip", day, header=HEADER if headers[1] else ""
            )
            for number, day in days.items()
        }
        try:
            assert list(equal_days(monthly, files, 0)) == [files[day] for day in sorted(files)]
        except RowsDiffer as difference:
            return (difference.day - FIRST).days
        return None


@given(days=DAYS, headers=st.tuples(st.booleans(), st.booleans()), unit=st.sampled_from([1, 1000, 1_000_000]))
def test_a_month_that_is_its_days_one_after_the_other_is_equal(
    days: list[list[int]], headers: tuple[bool, bool], unit: int
) -> None:
    of_days = {number: of_day(number, numbers, unit) for number, numbers in enumerate(days)}
    assert equal([row for day in of_days.values() for row in day], of_days, headers=headers) is None


@given(days=DAYS, missing=st.sets(st.integers(0, 4)))
def test_rows_of_days_that_are_not_on_disk_do_not_count(days: list[list[int]], missing: set[int]) -> None:
    of_days = {number: of_day(number, numbers) for number, numbers in enumerate(days)}
    month = [row for day in of_days.values() for row in day]
    assert equal(month, {number: day for number, day in of_days.items() if number not in missing}) is None


@given(days=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=4), data=st.data())
def test_any_other_rows_are_found(days: list[list[int]], data: st.DataObject) -> None:
    of_days = {number: of_day(number, numbers) for number, numbers in enumerate(days)}
    right = [row for day in of_days.values() for row in day]
    month = list(right)
    at = data.draw(st.integers(0, len(month) - 1))
    change = data.draw(st.sampled_from(["lacks", "twice", "another", "moved"]))
    row = month.pop(at)
    if change == "twice":
        month[at:at] = [row, row]
    elif change == "another":
        month[at:at] = [row + "9"]
    elif change == "moved":
        month.insert(data.draw(st.integers(0, len(month))), row)
    assert (equal(month, of_days) is None) == (month == right)


TWO = {0: of_day(0, [1, 2, 3]), 1: of_day(1, [4, 5, 6])}


@pytest.mark.parametrize(
    "month",
    [
        [row for day in TWO.values() for row in day for _ in range(2)],
        [*TWO[0], *TWO[0], *TWO[1]],
        [*TWO[0], *TWO[1], *TWO[0], *TWO[1]],
        [row for pair in zip(TWO[0], TWO[1], strict=True) for row in pair],
        [*TWO[1], *TWO[0]],
        [*TWO[0], *reversed(TWO[1])],
        ["\ufeff" + TWO[0][0], *TWO[0][1:], *TWO[1]],
        [*TWO[0], "no time", *TWO[1]],
        [*TWO[0], *TWO[1], "no time"],
        [],
    ],
    ids=[
        "each row twice", "a day twice", "all twice", "interleaved", "days swapped", "reversed", "a mark", "no time",
        "no time at the end", "nothing",
    ],
)  # fmt: skip
def test_months_that_the_archive_has_had_are_not_equal(month: list[str]) -> None:
    assert equal(month, TWO) is not None


def test_the_day_that_differs_is_named() -> None:
    assert equal([*TWO[0], *TWO[1][1:]], TWO) == 1
    assert equal([*TWO[0][1:], *TWO[1]], TWO) == 0
    assert equal(TWO[0], TWO) == 1


def test_times_may_be_text(folder: Path) -> None:
    lines = ['"2025-06-01 00:05:00",x', "2025-06-02 00:05:00,y"]
    days = {date(2025, 6, at + 1): write_zip(folder / f"{at}.zip", [line]) for at, line in enumerate(lines)}
    assert len(list(equal_days(write_zip(folder / "m.zip", lines), days, 0))) == 2


def test_which_column_has_the_time() -> None:
    assert time_column(["id", "price", "time", "is_buyer_maker"]) == 2
    assert time_column(["open_time", "close_time"]) == 0
    assert time_column(["update_id", "transaction_time", "event_time"]) == 2
    assert time_column(["a", "b"]) is None


def test_a_month_is_read_to_its_end_though_all_days_are_equal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips_module, "_BUFFER_BYTES", 1 << 12)  # or the end would be met before the first row
    month = write_zip(folder / "m.zip", [*TWO[0], *of_day(1, list(range(5_000)))])
    content = bytearray(month.read_bytes())
    content[content.index(b"PK\x01\x02") + 16] ^= 0xFF  # the CRC in its directory
    month.write_bytes(content)
    with pytest.raises(BrokenZip) as caught:
        list(equal_days(month, {FIRST: write_zip(folder / "d.zip", TWO[0])}, 0))
    assert caught.value.path == month


def test_a_broken_day_is_named(folder: Path) -> None:
    month, day = write_zip(folder / "m.zip", TWO[0]), folder / "d.zip"
    day.write_bytes(b"no zip")
    with pytest.raises(BrokenZip) as caught:
        list(equal_days(month, {FIRST: day}, 0))
    assert caught.value.path == day


def test_memory_does_not_grow_with_the_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips_module, "_BUFFER_BYTES", 1 << 14)
    days = [of_day(at, list(range(20_000))) for at in range(2)]
    month = write_zip(folder / "m.zip", [row for day in days for row in day])
    files = {FIRST + timedelta(days=at): write_zip(folder / f"{at}.zip", day) for at, day in enumerate(days)}
    del days
    tracemalloc.start()
    try:
        assert len(list(equal_days(month, files, 0))) == 2
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# Which days a month has

JUNE = Period(Partition.MONTHLY, date(2025, 6, 1))


def on(day: int, ticks_per_second: int = 1_000_000, hour: int = 12) -> int:
    return int(datetime(2025, 6, day, hour, tzinfo=UTC).timestamp()) * ticks_per_second


@pytest.mark.parametrize(
    ("market", "data_type", "lines"),
    [
        (Market.SPOT, "klines", [f"{on(1)},1,2", f"{on(1, hour=23)},1,2", f"{on(3)},1,2"]),
        (Market.FUTURES_UM, "klines", [f"{on(day, 1000)},1,2" for day in (1, 3)]),
        (Market.SPOT, "aggTrades", [f"7,1,2,3,4,{on(day)},True,True" for day in (3, 1)]),
        (Market.SPOT, "trades", [f"7,1,2,3,{on(day)},True,True" for day in (1, 3)]),
    ],
)
def test_rows_tell_which_days_a_month_has(folder: Path, market: Market, data_type: str, lines: list[str]) -> None:
    path = write_zip(folder / "month.zip", lines)
    assert month_days(path, row_of(market, data_type), JUNE) == 0b101


@pytest.mark.parametrize("lines", [["1,8,0.1"], ["x"], ["1751500800000,1,2"]])
def test_rows_that_tell_no_day_of_the_month_tell_nothing(folder: Path, lines: list[str]) -> None:
    assert month_days(write_zip(folder / "month.zip", lines), row_of(Market.SPOT, "klines"), JUNE) is None


def test_a_broken_month_proves_nothing(folder: Path) -> None:
    path = folder / "month.zip"
    path.write_bytes(b"no zip")
    assert month_days(path, row_of(Market.SPOT, "klines"), JUNE) is None
