"""Rows come as they are in the zip, and a month holds its days only if it has each row, in order, as often."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from crypto_archive.root import covered as rows_module
from crypto_archive.root.covered import LONGEST_ROW, BrokenZip, held, rows
from tests.zips import break_off, write_zip

HEADER = "open_time,open,high"
ROW = st.integers(0, 5).map(lambda number: f"{number},1.0,2.0")  # few values, so that rows repeat
DAYS = st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def held_days(month: list[str], days: list[list[str]], *, headers: tuple[bool, bool] = (False, False)) -> int:
    """Write a month and its days, and return how many of them are held."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monthly = write_zip(folder / "month.zip", month, header=HEADER if headers[0] else "")
        files = [
            write_zip(folder / f"{number}.zip", day, header=HEADER if headers[1] else "")
            for number, day in enumerate(days)
        ]
        found = list(held(monthly, files))
        assert found == files[: len(found)]
        return len(found)


def is_subsequence(inner: list[str], outer: list[str]) -> bool:
    rest = iter(outer)
    return all(row in rest for row in inner)


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
    path = write_zip(folder / "a.zip", (f"{number},{random.random()}" for number in range(5_000)))
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


@given(days=DAYS, headers=st.tuples(st.booleans(), st.booleans()))
def test_any_split_of_rows_into_days_is_held(days: list[list[str]], headers: tuple[bool, bool]) -> None:
    month = [row for day in days for row in day]
    assert held_days(month, days, headers=headers) == len(days)


@given(days=DAYS, more=st.lists(ROW, max_size=4), chance=st.randoms(use_true_random=False))
def test_a_month_may_have_more_rows(days: list[list[str]], more: list[str], chance: random.Random) -> None:
    month = [row for day in days for row in day]
    for row in more:
        month.insert(chance.randint(0, len(month)), row)
    assert held_days(month, days) == len(days)


@given(month=st.lists(ROW, max_size=8), days=DAYS)
def test_days_are_held_if_their_rows_are_in_the_month_in_order(month: list[str], days: list[list[str]]) -> None:
    expected = 0
    while expected < len(days) and is_subsequence([row for day in days[: expected + 1] for row in day], month):
        expected += 1
    assert held_days(month, days) == expected


@given(days=st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=4), data=st.data())
def test_a_row_that_is_missing_is_found(days: list[list[str]], data: st.DataObject) -> None:
    month = [row for day in days for row in day]
    del month[data.draw(st.integers(0, len(month) - 1))]
    assert held_days(month, days) < len(days)


def test_the_first_day_that_is_not_held_ends_it(folder: Path) -> None:
    month = write_zip(folder / "m.zip", ["1", "2", "4", "5"])
    days = [write_zip(folder / f"{name}.zip", [name]) for name in ("1", "3", "4")]
    assert list(held(month, days)) == days[:1]


def test_a_row_twice_in_a_day_must_be_there_twice() -> None:
    assert held_days(["1", "2"], [["1", "1"], ["2"]]) == 0
    assert held_days(["1", "1", "2"], [["1", "1"], ["2"]]) == 2


def test_a_month_is_read_to_its_end_though_all_days_are_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_BUFFER_BYTES", 1 << 12)  # or the end would be met before the first row
    lines = [f"{number},{random.random()}" for number in range(5_000)]
    month, day = write_zip(folder / "m.zip", lines), write_zip(folder / "d.zip", lines[:10])
    break_off(month)
    with pytest.raises(BrokenZip) as caught:
        list(held(month, [day]))
    assert caught.value.path == month


def test_a_broken_day_is_named(folder: Path) -> None:
    month, day = write_zip(folder / "m.zip", ["1"]), folder / "d.zip"
    day.write_bytes(b"no zip")
    with pytest.raises(BrokenZip) as caught:
        list(held(month, [day]))
    assert caught.value.path == day


def test_memory_does_not_grow_with_the_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_BUFFER_BYTES", 1 << 14)
    lines = [f"{number},119841.17000000,0.06427000,True,True" for number in range(40_000)]
    month = write_zip(folder / "m.zip", lines)
    days = [write_zip(folder / f"{at}.zip", lines[at : at + 20_000]) for at in (0, 20_000)]
    del lines
    tracemalloc.start()
    try:
        assert len(list(held(month, days))) == 2
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # the CSV has 1.7 MB, the rows as objects three times that
    finally:
        tracemalloc.stop()
