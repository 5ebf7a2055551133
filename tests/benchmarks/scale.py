"""Scenarios of scale: what becomes of time and memory when there is ten times as much. They take many minutes."""

from __future__ import annotations

import json
import time
from datetime import date
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from crypto_archive import collect_events, load_preset
from crypto_archive.events import BatchStarted, ObjectPlanned, PlanFinished
from tests.benchmarks.buckets import klines_of, very_many
from tests.benchmarks.measuring import Command, alternate
from tests.benchmarks.peers import OURS, environment_for
from tests.benchmarks.report import Comparison
from tests.benchmarks.server import Front, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.scenarios import Stage

MARKETS = ("-m", "spot", "-m", "futures_um", "-m", "futures_cm", "-m", "options")
LISTED = 500_000
SYMBOLS = 50


def calendar(stage: Stage) -> Iterator[Comparison]:
    """A plan of ten million objects from the calendar against one of a tenth: all rows, named symbols, over years."""

    def plan(symbols: int) -> Command:
        names = (word for number in range(symbols) for word in ("-s", f"S{number:03}USDT"))
        dates = ("--start", "2018-01-01", "--end", "2025-06-30")
        where = ("--discover", "calendar", "--output", str(stage.folder / "nowhere"))
        arguments = (*OURS, "plan", *MARKETS, *names, *dates, *where, "--json")
        return Command(f"plan of {symbols} symbols", arguments, output=stage.folder / f"{symbols}.json", ours=True)

    counts = SYMBOLS, SYMBOLS // 10
    results = alternate([plan(symbols) for symbols in counts], 1, reference=plan(counts[-1]).name)
    for symbols, result in zip(counts, results, strict=True):
        objects = json.loads((stage.folder / f"{symbols}.json").read_bytes())["totals"]["objects"]
        yield Comparison("calendar", f"Plan of {objects:,} objects from the calendar", (result,), objects=objects)


def listing(stage: Stage) -> Iterator[Comparison]:
    """A plan of half a million objects from the listing against one of a tenth, and when the first batch begins."""
    bucket = very_many(stage.folder / "bucket", LISTED, one_sidecar_in=10)  # files are what takes time to make
    with serve(bucket.folder, stage.folder / "server") as server:
        url = server.url(Front.PLAIN)
        environment = environment_for(url)
        arguments = (*OURS, "plan", "--refresh", "--json", "--output", stage.folder / "nowhere")
        whole = Command("plan of all", (*arguments, *bucket.selection), environment, ours=True)
        tenth = Command("plan of a tenth", (*arguments, *klines_of(LISTED // 10).selection), environment, ours=True)
        results = alternate([whole, tenth], 1, reference=tenth.name, traffic=server.traffic)
        print(f"\n{_first_batch(stage, url)}")
    title = f"Plan of {bucket.objects:,} objects from the listing, and of a tenth"
    yield Comparison("listing", title, results, tenth.name, files=bucket.files)


def _first_batch(stage: Stage, url: str) -> str:
    """Collect until the plan is complete, and say how much of it there was when the first batch was started."""
    klines = klines_of(LISTED)
    options: dict[str, Any] = {
        "markets": ["spot"], "data_types": ["klines"], "symbols": klines.names, "intervals": list(klines.intervals),
        "start": klines.window[0].isoformat(), "end": klines.window[-1].isoformat(), "partition": "daily",
        "endpoint_url": url, "output_directory": str(stage.folder / "root"),
    }  # fmt: skip
    began = time.monotonic()
    planned, first = 0, "never"
    with collect_events(load_preset(**options, today=date(2025, 8, 1))) as events:
        for event in takewhile(lambda event: not isinstance(event, PlanFinished), events):
            planned += isinstance(event, ObjectPlanned)
            if isinstance(event, BatchStarted) and first == "never":
                first = f"after {time.monotonic() - began:.2f} s, with {planned:,} objects planned"
    after = f"after {time.monotonic() - began:.2f} s, with {planned:,} objects"
    return f"The first batch started {first}; the plan was complete {after}"
