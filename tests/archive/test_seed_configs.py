"""The configurations of the workflow that this tool succeeds plan as they are, and say what the archive has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.archive.running import Runner

CONFIGS = Path(__file__).parents[1] / "unit" / "seed_configs"
DAYS = ("--start", "2025-07-14", "--end", "2025-07-15")
"""For configurations without dates, whose plans would have hundreds of thousands of objects."""

NO_BOOK_DEPTH = "spot bookDepth: never published by the archive; nothing to plan"
MONTHLY_FUNDING = "futures_um fundingRate: published monthly only; planning monthly objects"
REMOVED = "futures_um liquidationSnapshot: removed from the archive, last day 2024-03-31; nothing to plan"


class Expected(NamedTuple):
    """What a configuration plans to."""

    objects: int
    notices: tuple[str, ...]
    options: tuple[str, ...] = ()


PLANS = {
    "quick-start.json": Expected(12, ()),
    "backtest.yaml": Expected(
        45 * 2 * 2 * (3 + 1) + 2 * 2,
        ("spot does not have fundingRate, liquidationSnapshot; nothing to plan", MONTHLY_FUNDING, REMOVED),
    ),
    "pipeline.json": Expected(
        2 * 2 * 3 * (3 + 1) + 3,
        (
            "spot bookTicker: never published by the archive; nothing to plan",
            "spot does not have fundingRate; nothing to plan",
            MONTHLY_FUNDING,
            "futures_um bookTicker: discontinued, last day 2024-03-30; nothing to plan",
        ),
    ),
    "multi-market.json": Expected(
        2 * (2 * (13 + 1) + 3) + 2 * (2 * (12 + 1) + 3 + 1) + (2 * (12 + 1) + 3 + 1) + 2,
        (
            MONTHLY_FUNDING,
            "spot does not have fundingRate, BVOLIndex; nothing to plan",
            "options BVOLIndex: using BTCBVOLUSDT for BTC",
        ),
        DAYS,
    ),
    "research.yaml": Expected(
        2 * (3 * 5 + 3 * 7 + 2 * 7 + 2) + 3 + 2,
        (
            NO_BOOK_DEPTH,
            REMOVED,
            MONTHLY_FUNDING,
            "futures_um bookDepth: has no intervals; ignoring 1000ms",
            "options BVOLIndex: has no intervals; ignoring 1h, 1d",
            "options BVOLIndex: using BTCBVOLUSDT for BTC, ETHBVOLUSDT for ETH",
        ),
        DAYS,
    ),
    "benchmark.yaml": Expected(0, (NO_BOOK_DEPTH,), DAYS),
    "high-performance.json": Expected(0, (NO_BOOK_DEPTH,), DAYS),
    "memory-optimized.json": Expected(0, (NO_BOOK_DEPTH,), DAYS),
    "network-resilient.json": Expected(0, (NO_BOOK_DEPTH,), DAYS),
}


def test_there_is_an_expectation_of_every_configuration() -> None:
    assert {path.name for path in CONFIGS.iterdir()} == set(PLANS)


@pytest.mark.parametrize("name", PLANS)
def test_a_configuration_plans_as_it_is(run: Runner, name: str) -> None:
    expected = PLANS[name]
    arguments: tuple[str | Path, ...] = (
        "plan",
        "-p",
        CONFIGS / name,
        "--discover",
        "calendar",
        "--json",
        *expected.options,
    )
    code, stdout, stderr = run.with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent")(*arguments)
    assert (code, stderr) == (0, "")
    document = json.loads(stdout)
    assert set(expected.notices) <= set(document["notices"])
    assert all("\n" not in notice for notice in document["notices"])
    assert document["totals"]["objects"] == expected.objects or expected.objects == 0
    assert document["totals"]["objects"] > 0


def test_a_set_up_of_the_seed_lies_over_a_preset(run: Runner) -> None:
    both = ("-p", "research", "-p", CONFIGS / "memory-optimized.json")
    document = json.loads(run("plan", *both, *DAYS, "--discover", "calendar", "--json").stdout)
    assert document["totals"]["objects"] == PLANS["research.yaml"].objects
    assert document["batch_size"] == 1
