"""``make bench BENCH=--scale``: what becomes of time and memory when there is ten times as much; takes many minutes."""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import date
from typing import TYPE_CHECKING, Any

from crypto_archive import collect_events, load_preset
from crypto_archive.events import BatchStarted, ObjectPlanned, PlanFinished
from crypto_archive.s5cmd.binary import find_binary
from tests.archive.sample import BUCKET
from tests.archive.server import ENDPOINT_VARIABLE, S3Server
from tests.benchmarks.buckets import FIRST_DAY, INTERVALS, LAST_DAY, clone_into_root, symbols_of, write_bucket
from tests.benchmarks.measuring import Command, compare, measure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OURS = (sys.executable, "-m", "crypto_archive")
MARKETS = ("-m", "spot", "-m", "futures_um", "-m", "futures_cm", "-m", "options")
NO_MD5 = ("--etag-hash", "")
"""Makes rclone list without reading every file for its MD5, again for every page: that is no work of ours."""
KLINES = ("-m", "spot", "-t", "klines", *(word for name in INTERVALS for word in ("-i", name)))


def scale(folder: Path, *, largest: int = 1_000_000, present: int = 100_000) -> None:
    """Run all measurements of scale.

    Args:
        folder: Takes buckets and archive roots.
        largest: Objects of the largest listing.
        present: Objects that a second run finds present.
    """
    calendar_plan(folder)
    present_objects(folder / "present", present)
    listing_plan(folder / "listing", largest)


def calendar_plan(folder: Path) -> None:
    """A plan of ten million objects and more against one of a tenth: all rows, named symbols, over years."""

    def plan(symbols: int) -> Command:
        names = (word for number in range(symbols) for word in ("-s", f"S{number:03}USDT"))
        dates = ("--start", "2018-01-01", "--end", "2025-06-30")
        arguments = (*OURS, "plan", *MARKETS, *names, *dates, "--discover", "calendar", "--json")
        arguments = (*arguments, "--output", folder / "nowhere")
        return Command(f"{symbols} symbols", arguments, output=folder / f"plan-{symbols}.json")

    commands = plan(50), plan(5)
    (runs,) = compare("Plan from the calendar: all rows over seven years", *commands, pairs=1)
    for command, measured in zip(commands, runs, strict=True):
        assert command.output is not None
        objects = json.loads(command.output.read_bytes())["totals"]["objects"]
        print(f"  {command.name}: {objects:,} objects, {objects / measured.cpu_seconds:,.0f} in a second of CPU")


def listing_plan(folder: Path, largest: int) -> None:
    """A plan from the listing of a real server against the same of a tenth of its symbols, and when work begins."""
    folder.mkdir()
    objects = write_bucket(folder / "served", largest, one_sidecar_in=10)  # files are what takes time to make
    try:
        with S3Server(folder / "served", options=NO_MD5) as server:

            def plan(wanted: int) -> Command:
                arguments = (*OURS, "plan", *_selection(wanted), "--refresh", "--json")
                arguments = (*arguments, "--output", folder / "nowhere")
                return Command(f"{wanted:,} objects", arguments, _environment(server))

            compare("Plan from the listing", plan(objects), plan(objects // 10), pairs=1)
            _first_batch(folder / "root", server, objects // 10)
    finally:
        shutil.rmtree(folder)


def present_objects(folder: Path, objects: int) -> None:
    """A second collect of what is there already, against s5cmd's own comparison of bucket and folder.

    With a listing, with the one that is remembered from the collect before, and from the calendar.
    """
    folder.mkdir()
    objects = write_bucket(folder / "served", objects)
    root = folder / "root"
    clone_into_root(folder / "served" / BUCKET, root)
    try:
        with S3Server(folder / "served") as server:
            collecting = (*OURS, "collect", *_selection(objects), "--output", root, "--quiet")
            environment = _environment(server)
            # The first collect proves the files and takes them into the manifest.
            measure(Command("the first collect", collecting, environment))
            tree = "data/spot/daily/klines/"
            sync = (str(find_binary().path), "--no-sign-request", "--endpoint-url", server.endpoint_url, "--dry-run",
                    "sync", "--size-only", f"s3://{BUCKET}/{tree}*", f"{root / tree}/")  # fmt: skip
            peer = Command("s5cmd --dry-run sync --size-only", sync, environment)
            for how in (("--refresh",), (), ("--discover", "calendar")):
                again = Command(" ".join(("crypto-archive collect", *how)), (*collecting, *how), environment)
                compare(f"A second collect of {objects:,} present objects", again, peer, pairs=3)
    finally:
        shutil.rmtree(folder)


def _first_batch(root: Path, server: S3Server, objects: int) -> None:
    """Collect until the plan is complete, and print how much of it there was when the first batch was started."""
    options: dict[str, Any] = {
        "markets": ["spot"], "data_types": ["klines"], "symbols": symbols_of(objects), "intervals": list(INTERVALS),
        "start": FIRST_DAY.isoformat(), "end": LAST_DAY.isoformat(), "partition": "daily",
        "endpoint_url": server.endpoint_url, "output_directory": str(root),
    }  # fmt: skip
    began = time.monotonic()
    planned, first = 0, ""
    with collect_events(load_preset(**options, today=date(2025, 8, 1))) as events:
        for event in events:
            planned += isinstance(event, ObjectPlanned)
            if isinstance(event, BatchStarted) and not first:
                first = f"after {time.monotonic() - began:.2f} s, with {planned:,} objects planned"
            if isinstance(event, PlanFinished):
                break
    print(f"\nFirst batch of a collect from the listing\n  started {first}")
    print(f"  the plan was complete after {time.monotonic() - began:.2f} s, with {planned:,} objects")


def _selection(objects: int) -> Iterable[str]:
    symbols = (word for name in symbols_of(objects) for word in ("-s", name))
    dates = ("--start", FIRST_DAY.isoformat(), "--end", LAST_DAY.isoformat())
    return (*KLINES, *symbols, *dates, "--partition", "daily")


def _environment(server: S3Server) -> dict[str, str]:
    return {ENDPOINT_VARIABLE: server.endpoint_url, "AWS_REGION": "ap-northeast-1"}
