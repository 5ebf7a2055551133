"""What a plan would take, as figures and for people."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from crypto_archive.config.run_config import Budget
from crypto_archive.model import Market
from crypto_archive.plan.estimate import Estimate, Needs
from crypto_archive.plan.totals import GroupTotals, PlanTotals
from crypto_archive.render.tables import needs_table, plan_table
from tests.docs.generated import DOCS

from .test_render_tables import text_of

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
        line.split(maxsplit=1) for line in text_of(needs_table(found), 110).replace("to fetch ", "fetch ").splitlines()
    )


def test_all_that_is_known_stands_in_a_line_each() -> None:
    assert lines(needs()) == {
        "fetch": "1,206 objects, 38.0 GiB",
        "requests": "4,824 to fetch, 41 to list: 3.74 per planned object",
        "disk": "38.0 GiB needed, 120.0 GiB free",
        "duration": "about 4 min, based on the last 6 runs",
        "saved": "41 monthly objects replace 1,247 daily ones: 1,206 objects and 38.1 KiB less",
    }


def test_the_documents_show_what_is_printed() -> None:
    shown = "\n".join(line.rstrip() for line in text_of(needs_table(needs()), 110).splitlines())
    assert f"```text\n{shown.strip()}\n```" in (DOCS / "commands.md").read_text(encoding="utf-8")


def test_the_document_has_the_same_in_bytes_and_seconds() -> None:
    assert needs().document() == {
        "objects_to_fetch": 1206, "bytes_to_fetch": 38 * GIB, "requests": 4824, "requests_listed": 41,
        "requests_per_object": 3.742, "disk_needed": 38 * GIB + 120_600, "disk_free": 120 * GIB, "seconds": 263.0,
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


def test_monthly_objects_that_are_larger_are_told_truthfully() -> None:
    told = lines(needs(consolidated=1, saved_objects=30, saved_bytes=-2048))["saved"]
    assert told == "1 monthly object replaces 31 daily ones: 30 objects less, 2.0 KiB more"


def test_updates_that_are_smaller_free_room() -> None:
    assert lines(needs(added_bytes=-2048))["disk"] == "2.0 KiB less needed, 120.0 GiB free"


def test_the_figures_stand_between_the_table_and_the_notes() -> None:
    text = text_of(plan_table([GroupTotals(Market.SPOT, "klines", 2)], [], needs()))
    assert text.index("spot") < text.index("to fetch") < text.index("saved")
    assert "to fetch" not in text_of(plan_table([], [], needs()))
    json.dumps(needs().document())
