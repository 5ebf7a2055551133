"""How long a run may take, judged by those before it."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, strategies as st
from rich.console import Console

from crypto_archive.config.run_config import Budget
from crypto_archive.model import Market
from crypto_archive.plan.estimate import RUNS_JUDGED_BY, Estimate, Needs, PastRun, estimate, past_runs, rates
from crypto_archive.plan.totals import GroupTotals, PlanTotals
from crypto_archive.render.tables import needs_table, plan_table
from tests.docs.generated import DOCS
from tests.unit.render.test_tables import text_of

if TYPE_CHECKING:
    from pathlib import Path

RUNS = st.lists(
    st.builds(PastRun, st.integers(1, 10**7), st.integers(0, 10**14), st.floats(0.001, 10**6)), min_size=1, max_size=10
)
OBJECTS, SIZES = st.integers(0, 10**7), st.integers(0, 10**14)


def test_without_a_run_it_is_unknown() -> None:
    assert estimate((), 10, 1000) is None


def test_one_run_gives_half_of_its_time_to_objects_and_half_to_bytes() -> None:
    past = [PastRun(100, 4000, 20.0)]
    assert estimate(past, 100, 4000) == Estimate(20.0, 1)
    assert estimate(past, 200, 8000) == Estimate(40.0, 1)
    assert estimate(past, 100, 0) == Estimate(10.0, 1)


def test_two_runs_of_different_shape_tell_the_rates_apart() -> None:
    past = [PastRun(1000, 10_000, 11.0), PastRun(10, 1_000_000, 100.1)]
    assert rates(past) == pytest.approx((0.01, 0.0001))


def test_what_made_no_difference_counts_for_nothing() -> None:
    slower_with_fewer_bytes = [PastRun(10, 1000, 10.0), PastRun(20, 100, 20.0), PastRun(30, 10, 31.0)]
    per_object, per_byte = rates(slower_with_fewer_bytes)
    assert per_byte == 0
    assert per_object == pytest.approx(1430 / 1400)


def test_unknown_sizes_leave_the_objects_alone() -> None:
    past = [PastRun(10, 7, 1.0), PastRun(20, 70_000, 2.0)]
    assert estimate(past, 100, None) == Estimate(pytest.approx(10.0), 2, by_bytes=False)


def test_empty_objects_take_time_too() -> None:
    assert rates([PastRun(10, 0, 5.0)]) == (0.5, 0.0)


@given(RUNS, OBJECTS, SIZES | st.none(), st.integers(0, 10**6), st.integers(0, 10**12))
def test_it_is_never_negative_and_never_less_for_more(
    past: list[PastRun], objects: int, size: int | None, more_objects: int, more_bytes: int
) -> None:
    found = estimate(past, objects, size)
    more = estimate(past, objects + more_objects, None if size is None else size + more_bytes)
    assert found is not None
    assert more is not None
    assert 0 <= found.seconds <= more.seconds


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**12)), min_size=1, max_size=10),
    st.floats(0, 10),
    st.floats(0, 10**-5),
)
def test_it_is_exact_on_runs_that_follow_it(shapes: list[tuple[int, int]], per_object: float, per_byte: float) -> None:
    past = [PastRun(objects, size, per_object * objects + per_byte * size) for objects, size in shapes]
    assume(all(run.seconds > 0.001 for run in past))
    longest = max(past, key=lambda run: run.seconds)
    found = estimate(past, longest.objects, longest.bytes)
    assert found is not None
    assert found.seconds == pytest.approx(longest.seconds, rel=1e-3)


@given(RUNS, st.floats(0, 100), st.floats(0, 10**-6))
def test_no_other_rates_explain_the_runs_better(past: list[PastRun], per_object: float, per_byte: float) -> None:
    def error(a: float, b: float) -> float:
        return sum((a * run.objects + b * run.bytes - run.seconds) ** 2 for run in past)

    assert error(*rates(past)) <= error(per_object, per_byte) * (1 + 1e-6) + 1e-6 * sum(run.seconds**2 for run in past)


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
     json.dumps(report(status="failed")), json.dumps(report() | {"bytes_fetched": None}),
     json.dumps(report()).replace("2.5", "1e999"), json.dumps(report(seconds=10**400)),
     json.dumps(report(size=10**400)), json.dumps(report(fetched=10**30)),
     json.dumps(report() | {"outcomes": {"fetched": "3", "updated": True}}),
     json.dumps(report(seconds=1e300)), " " * 10**7, json.dumps(report() | {"status": {}})],
)  # fmt: skip
def test_what_is_broken_or_says_nothing_is_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path, "20250802T000000Z-abcdef", text)
    write(tmp_path, "20250801T000000Z-abcdef", json.dumps(report()))
    assert past_runs(tmp_path) == (PastRun(4, 1000, 2.5),)


def test_invalid_text_and_foreign_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "20250802T000000Z-abcdef" / "report.json").mkdir(parents=True)
    (tmp_path / "20250803T000000Z-abcdef").mkdir()
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write(tmp_path, "20250801T000000Z-abcdef", "x")
    (tmp_path / "20250801T000000Z-abcdef" / "report.json").write_bytes(b"\xff\xfe{}")
    assert past_runs(tmp_path) == ()


GIB = 1 << 30
KNOWN = {
    "objects": 1300, "present": 94, "to_fetch": 1206, "sized_to_fetch": 1206, "bytes_to_fetch": 38 * GIB,
    "added_bytes": 38 * GIB + 120_600, "commands": 2412, "consolidated": 41, "saved_objects": 1206,
    "saved_bytes": 39_014,
}  # fmt: skip


def needs(estimate: Estimate | None = Estimate(263.0, 6), free: int = 120 * GIB, **totals: int) -> Needs:  # noqa: B008
    return Needs(PlanTotals().overall | KNOWN | totals, 41, free, estimate, Budget(max_objects=2000))


def lines(found: Needs) -> dict[str, str]:
    return dict(
        line.split(maxsplit=1)
        for line in text_of(needs_table(found, verbose=True), 110).replace("to fetch ", "fetch ").splitlines()
    )


def test_each_known_value_has_a_line() -> None:
    assert lines(needs()) == {
        "fetch": "1,206 objects, 38.0 GiB",
        "requests": "3,618 to fetch, 41 to list: 2.81 per planned object",
        "disk": "38.0 GiB needed, 120.0 GiB free",
        "duration": "about 4 min, based on the last 6 runs",
        "saved": "41 monthly objects replace 1,247 daily ones: 1,206 objects and 38.1 KiB less",
    }


def test_the_documents_show_what_is_printed() -> None:
    shown = "\n".join(line.rstrip() for line in text_of(needs_table(needs()), 110).splitlines())
    assert f"```text\n{shown.strip()}\n```" in (DOCS / "commands.md").read_text(encoding="utf-8")


def test_the_document_has_the_same_in_bytes_and_seconds() -> None:
    assert needs().document() == {
        "objects_to_fetch": 1206, "bytes_to_fetch": 38 * GIB, "requests": 3618, "requests_listed": 41,
        "requests_per_object": 2.815, "disk_needed": 38 * GIB + 120_600, "disk_free": 120 * GIB, "seconds": 263.0,
        "judged_by_runs": 6, "monthly_objects": 41, "daily_objects": 1247, "saved_objects": 1206,
        "saved_bytes": 39_014, "max_objects": 2000, "max_bytes": None,
    }  # fmt: skip


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    found = needs(Estimate(3.0, 1, by_bytes=False), sized_to_fetch=0, bytes_to_fetch=0, added_bytes=0, consolidated=0)
    told, document = lines(found), found.document()
    assert told["fetch"] == "1,206 objects, size unknown"
    assert told["disk"] == "need unknown, 120.0 GiB free"
    assert told["duration"] == "about 3 s, based on the last run and the number of objects alone"
    assert "saved" not in told
    assert (document["bytes_to_fetch"], document["disk_needed"]) == (None, None)
    first = needs(None)
    assert lines(first)["duration"] == "unknown: nothing has been downloaded into this root yet"
    assert (first.document()["seconds"], first.document()["judged_by_runs"]) == (None, 0)


def test_what_is_known_in_part_is_the_least() -> None:
    told = lines(needs(sized_to_fetch=1200))
    assert told["fetch"] == "1,206 objects, at least 38.0 GiB, 6 sizes unknown"
    assert told["disk"] == "at least 38.0 GiB, 6 sizes unknown needed, 120.0 GiB free"


@pytest.mark.parametrize(("free", "red"), [(38 * GIB + 120_600, False), (38 * GIB + 120_599, True)])
def test_it_is_red_where_the_disk_has_no_room(free: int, red: bool) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(needs_table(needs(free=free)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert (", only " in text) is red
    assert ("\x1b[31m" in text) is red


def test_nothing_to_fetch_needs_nothing() -> None:
    found = needs(to_fetch=0, sized_to_fetch=0, bytes_to_fetch=0, added_bytes=0, commands=0, consolidated=0)
    assert lines(found) == {"fetch": "nothing", "requests": "0 to fetch, 41 to list: 0.03 per planned object"}


def test_a_plan_without_objects_has_no_share() -> None:
    assert needs(objects=0).requests_per_object is None


def test_larger_monthly_objects_are_reported_truthfully() -> None:
    told = lines(needs(consolidated=1, saved_objects=30, saved_bytes=-2048))["saved"]
    assert told == "1 monthly object replaces 31 daily ones: 30 objects less, 2.0 KiB more"


def test_updates_that_are_smaller_free_room() -> None:
    assert lines(needs(added_bytes=-2048))["disk"] == "2.0 KiB less needed, 120.0 GiB free"


def test_the_figures_stand_between_the_table_and_the_notes() -> None:
    text = text_of(plan_table([GroupTotals(Market.SPOT, "klines", 2)], [], needs()))
    assert text.index("spot") < text.index("to fetch") < text.index("saved")
    assert "to fetch" not in text_of(plan_table([], [], needs()))
    json.dumps(needs().document())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_report_that_never_answers_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "20250802T000000Z-abcdef").mkdir()
    os.mkfifo(tmp_path / "20250802T000000Z-abcdef" / "report.json")
    assert past_runs(tmp_path) == ()
