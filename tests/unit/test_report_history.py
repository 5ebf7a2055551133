"""What earlier runs say of themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.plan.estimate import RUNS_JUDGED_BY, PastRun, past_runs

if TYPE_CHECKING:
    from pathlib import Path


def report(fetched: int = 3, updated: int = 1, size: int = 1000, seconds: float = 2.5, status: str = "success") -> Any:
    return {
        "status": status,
        "outcomes": {"fetched": fetched, "updated": updated, "present": 70},
        "bytes_fetched": size,
        "collection_stats": {"processing_time_seconds": seconds},
    }


def write(runs: Path, name: str, text: str) -> None:
    (runs / name).mkdir(parents=True)
    (runs / name / "report.json").write_text(text, encoding="utf-8")


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert past_runs(tmp_path / "runs") == ()


def test_the_last_ten_that_fetched_something_newest_first(tmp_path: Path) -> None:
    for number in range(RUNS_JUDGED_BY + 5):
        write(tmp_path, f"2025071{number // 10}T00000{number % 10}Z-abcdef", json.dumps(report(size=number)))
    write(tmp_path, "20250801T000000Z-abcdef", json.dumps(report(fetched=0, updated=0)))
    assert [run.bytes for run in past_runs(tmp_path)] == list(range(14, 4, -1))
    assert past_runs(tmp_path)[0] == PastRun(4, 14, 2.5)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, "{}", json.dumps(report() | {"outcomes": {}}), json.dumps(report(seconds=0)),
     json.dumps(report(seconds=float("nan"))), json.dumps(report(seconds=float("inf"))), json.dumps(report(size=-1)),
     json.dumps(report(status="failed")), json.dumps(report() | {"bytes_fetched": None})],
)  # fmt: skip
def test_what_is_broken_or_says_nothing_is_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, "20250802T000000Z-abcdef", text)
    write(tmp_path, "20250801T000000Z-abcdef", json.dumps(report()))
    assert past_runs(tmp_path) == (PastRun(4, 1000, 2.5),)


def test_what_is_no_text_and_what_is_no_run_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "20250802T000000Z-abcdef" / "report.json").mkdir(parents=True)
    (tmp_path / "20250803T000000Z-abcdef").mkdir()
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write(tmp_path, "20250801T000000Z-abcdef", "x")
    (tmp_path / "20250801T000000Z-abcdef" / "report.json").write_bytes(b"\xff\xfe{}")
    assert past_runs(tmp_path) == ()
