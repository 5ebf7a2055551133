"""Sorting on disk is sorting, whatever comes and however little memory there is."""

from __future__ import annotations

import tempfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import FileUnusable
from crypto_archive.files import LineSorter

if TYPE_CHECKING:
    from pathlib import Path

lines = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=10)


@given(st.lists(lines, max_size=60), st.integers(1, 20), st.integers(2, 5))
def test_what_is_sorted_on_disk_is_sorted(found: list[str], run_lines: int, runs_at_once: int) -> None:
    with LineSorter(run_lines, runs_at_once) as sorter:
        for line in found:
            sorter.add(line)
        assert list(sorter.sorted()) == sorted(set(found)) == sorted(set(found), key=str.encode)
        assert sorter.count == len(found)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_few_files_are_kept_and_none_is_left(temporary: Path) -> None:
    with LineSorter(2, 4) as sorter:
        for number in range(100):
            sorter.add(str(number))
            assert sum(path.is_file() for path in temporary.rglob("*")) <= 5
        assert sum(1 for _ in sorter.sorted()) == 100
    assert list(temporary.iterdir()) == []


def test_what_fits_into_memory_needs_no_file(temporary: Path) -> None:
    with LineSorter(3) as sorter:
        sorter.add("b")
        sorter.add("a")
        assert list(sorter.sorted()) == ["a", "b"]
        assert list(temporary.iterdir()) == []


def test_memory_does_not_grow_with_the_lines() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        with LineSorter(1_000, 8) as sorter:
            for number in range(count):
                sorter.add(f"{number * 7919 % count:09d}" + "x" * 100)
            assert sum(1 for _ in sorter.sorted()) == count
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(30_000) < 2 * peak(10_000)  # both have as many files open as there may be, each with its buffer


def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with LineSorter(1) as sorter, pytest.raises(FileUnusable, match="Cannot sort the plan in") as raised:
        sorter.add("a")
    assert "TMPDIR" in raised.value.hint
