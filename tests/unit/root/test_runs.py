"""Old runs are deleted, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crypto_archive.root.store import Root, new_run_id, open_root, prune_runs

if TYPE_CHECKING:
    from pathlib import Path

FIRST = datetime(2025, 7, 15, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def add_runs(root: Root, number: int) -> list[str]:
    """Make the folders of runs, a minute apart, and return their names, oldest first."""
    names = [new_run_id(FIRST + timedelta(minutes=minute)) for minute in range(number)]
    for name in names:
        (root.runs / name).mkdir()
        (root.runs / name / "report.json").write_text("{}", encoding="utf-8")
    return names


def left(root: Root) -> list[str]:
    return sorted(path.name for path in root.runs.iterdir())


def test_names_sort_by_time_and_differ() -> None:
    names = [new_run_id(FIRST + timedelta(seconds=second)) for second in (0, 0.001, 0.5, 0.501, 1, 61, 3601)]
    assert names == sorted(names)
    assert len({new_run_id(FIRST) for _ in range(20)}) > 1
    assert names[0].startswith("20250715T120000Z-")


@pytest.mark.parametrize(("keep", "stay"), [(0, 0), (1, 1), (4, 4), (5, 5), (30, 5)])
def test_the_newest_stay(root: Root, keep: int, stay: int) -> None:
    names = add_runs(root, 5)
    assert prune_runs(root, keep) == 5 - stay
    assert left(root) == names[5 - stay :]


def test_what_is_not_a_run_stays(root: Root, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine", encoding="utf-8")
    (root.runs / "notes").mkdir()
    (root.runs / "20250101T000000Z-zzzzzz").mkdir()
    (root.runs / "20250101T000000Z-abcdef.bak").mkdir()
    (root.runs / "20250102T000000Z-abcdef").write_text("a file", encoding="utf-8")
    (root.runs / "20250103T000000Z-abcdef").symlink_to(elsewhere, target_is_directory=True)
    (root.quarantine / "20250101T000000Z-abcdef").mkdir()
    before = left(root)
    assert prune_runs(root, 0) == 0
    assert left(root) == before
    assert (elsewhere / "mine.txt").exists()
    assert (root.quarantine / "20250101T000000Z-abcdef").is_dir()


def test_a_root_without_runs(tmp_path: Path) -> None:
    assert prune_runs(Root(tmp_path), 0) == 0
