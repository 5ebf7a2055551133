"""What is measured: each scenario sets a stage, runs ours and its peers on it in turn, and yields what it saw."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.text import format_bytes
from tests.archive.sample import BUCKET
from tests.benchmarks.buckets import Bucket, few_large, link_into_root, many_small, very_many
from tests.benchmarks.measuring import Command, alternate, measure
from tests.benchmarks.peers import COLLECT, OURS, REFERENCE, downloads, environment_for, s5cmd_at
from tests.benchmarks.report import Comparison
from tests.benchmarks.scale import MARKETS, calendar, listing
from tests.benchmarks.server import Front, missing_for_server, serve
from tests.benchmarks.wire import missing_for_wire, wire_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GIGABIT = 1_000_000_000
WARM = {"PYTHONDONTWRITEBYTECODE": ""}
"""Python keeps what it compiles, as an installed package has it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a scenario runs, and how much it does.

    Attributes:
        folder: An empty folder, removed afterwards.
        objects: Small objects to download; None for the scenario's own number.
        large: Large objects to download.
        megabytes: The size of each.
        present: Objects that are there already.
        pairs: How often each command runs.
        peers: Whether to run more than ours and the reference.
    """

    folder: Path
    objects: int | None = None
    large: int = 8
    megabytes: int = 100
    present: int = 10_000
    pairs: int = 2
    peers: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the bench.

    Attributes:
        run: Measures, and yields comparisons.
        needs: Each says what is missing on this machine, None if nothing is.
    """

    run: Callable[[Stage], Iterator[Comparison]]
    needs: tuple[Callable[[], str | None], ...] = ()

    @property
    def about(self) -> str:
        """What it measures, in a line."""
        return (self.run.__doc__ or "").splitlines()[0]

    def missing(self) -> list[str]:
        """Return what this machine lacks, in words."""
        return [missing for need in self.needs if (missing := need())]


def small(stage: Stage) -> Iterator[Comparison]:
    """Many small objects with their sidecars, TLS, a round trip of 100 ms."""
    bucket = many_small(stage.folder / "bucket", stage.objects or 1_000)
    title = f"Many small: {_amount(bucket)}, TLS, 100 ms"
    yield _downloaded(stage, bucket, "small", title, Front.TLS, round_trip_ms=100)


def local(stage: Stage) -> Iterator[Comparison]:
    """The same over loopback: plain HTTP, no latency."""
    bucket = many_small(stage.folder / "bucket", stage.objects or 2_500)
    yield _downloaded(stage, bucket, "local", f"Many small: {_amount(bucket)}, HTTP, 0 ms", Front.PLAIN)


def wire(stage: Stage) -> Iterator[Comparison]:
    """Few large objects over a wire of 1 Gbit/s, a round trip of 10 ms."""
    bucket = few_large(stage.folder / "bucket", stage.large, stage.megabytes)
    title = f"Few large: {_amount(bucket)}, HTTP, 1 Gbit/s, 10 ms"
    yield _downloaded(stage, bucket, "wire", title, Front.PLAIN, round_trip_ms=10, bits_per_second=GIGABIT)


def loopback(stage: Stage) -> Iterator[Comparison]:
    """Few large objects as fast as they go."""
    bucket = few_large(stage.folder / "bucket", stage.large, stage.megabytes)
    yield _downloaded(stage, bucket, "loopback", f"Few large: {_amount(bucket)}, HTTP, no limit", Front.PLAIN)


def again(stage: Stage) -> Iterator[Comparison]:
    """A second collect of what is there already, against s5cmd's own comparison of bucket and folder."""
    bucket = very_many(stage.folder / "bucket", stage.present)
    root = stage.folder / "root"
    link_into_root(bucket, root)
    with serve(bucket.folder, stage.folder / "server") as server:
        url = server.url(Front.PLAIN)
        collect = (*OURS, "collect", *bucket.selection, "--output", str(root), "--quiet")
        ways = {
            "collect --refresh": ("--refresh",),
            "collect": (),
            "collect --discover calendar": ("--discover", "calendar"),
        }
        tree = "data/spot/daily/klines/"
        sync = [*s5cmd_at(url), "--dry-run", "sync", "--size-only", f"s3://{BUCKET}/{tree}*", f"{root / tree}/"]
        commands = [Command(name, (*collect, *way), environment_for(url), ours=True) for name, way in ways.items()]
        commands.append(Command("s5cmd sync --dry-run", sync, environment_for(url)))
        measure(commands[0])  # proves the files and takes them into the manifest
        results = alternate(commands, stage.pairs, reference=commands[-1].name, traffic=server.traffic)
    title = f"Second run: {bucket.objects:,} objects present"
    yield Comparison("again", title, results, commands[-1].name, files=bucket.files)


def verify(stage: Stage) -> Iterator[Comparison]:
    """Verify small objects, against sha256sum on two cores."""
    bucket = many_small(stage.folder / "bucket", stage.present)
    root = stage.folder / "root"
    link_into_root(bucket, root)
    measure(Command("verify --rebuild-manifest", (*OURS, "verify", "--rebuild-manifest", "--output", root)))
    ours = Command("crypto-archive verify", (*OURS, "verify", "--all", "--output", str(root), "--quiet"), ours=True)
    hashing = f"find {root}/data -name '*.zip' -print0 | xargs -0 -P2 sha256sum"
    peer = Command("xargs -P2 sha256sum", ("sh", "-c", hashing))
    results = alternate([ours, peer], max(3, stage.pairs), reference=peer.name)
    yield Comparison("verify", f"Verify: {bucket.objects:,} small objects", results, peer.name)


def plan(stage: Stage) -> Iterator[Comparison]:
    """A plan from the calendar: its totals, and a JSON line for each object."""
    selection = (*MARKETS, "-s", "BTCUSDT,ETHUSDT", "--start", "2018-01-01", "--end", "2025-06-30")
    asked = (*OURS, "plan", *selection, "--discover", "calendar", "--output", stage.folder / "nowhere")
    totals = Command("plan --json", (*asked, "--json"), output=stage.folder / "totals.json", ours=True)
    lines = Command(
        "plan --format jsonl", (*asked, "--format", "jsonl"), output=stage.folder / "lines.jsonl", ours=True
    )
    results = alternate([totals, lines], stage.pairs, reference=totals.name)
    objects = json.loads((stage.folder / "totals.json").read_bytes())["totals"]["objects"]
    title = f"Plan from the calendar: {objects:,} objects"
    yield Comparison("plan", title, results, figure="cpu_seconds", objects=objects)


def start(stage: Stage) -> Iterator[Comparison]:
    """The CPU of starting, against the import of the library that draws the help."""
    one = ("-m", "spot", "-t", "klines", "-i", "1h", "-s", "BTCUSDT", "--start", "2025-06-01", "--end", "2025-06-01")
    asked = ("plan", *one, "--discover", "calendar", "--output", stage.folder / "nowhere")
    ways = {"--version": ("--version",), "collect --help": ("collect", "--help"), "plan of one object": asked}
    commands = [Command(name, (*OURS, *way), WARM, ours=True) for name, way in ways.items()]
    commands.append(Command("import typer", (sys.executable, "-c", "import typer"), WARM))
    for command in commands:
        measure(command)  # compiles what it imports
    results = alternate(commands, max(7, stage.pairs), reference=commands[-1].name)
    yield Comparison("start", "Start-up", results, commands[-1].name, "cpu_seconds")


def run(scenario: Scenario, stage: Stage) -> Iterator[Comparison]:
    """Run a scenario in its folder, and remove that."""
    stage.folder.mkdir()
    try:
        yield from scenario.run(stage)
    finally:
        shutil.rmtree(stage.folder)


SERVED = (missing_for_server,)
OVER_A_WIRE = (missing_for_server, missing_for_wire)
SCENARIOS = {
    "small": Scenario(small, OVER_A_WIRE),
    "local": Scenario(local, SERVED),
    "wire": Scenario(wire, OVER_A_WIRE),
    "loopback": Scenario(loopback, SERVED),
    "again": Scenario(again, SERVED),
    "verify": Scenario(verify),
    "plan": Scenario(plan),
    "start": Scenario(start),
    "calendar": Scenario(calendar),
    "listing": Scenario(listing, SERVED),
}
LONG = {"calendar", "listing"}
"""Scenarios that run only when they are asked for."""


def _downloaded(
    stage: Stage,
    bucket: Bucket,
    name: str,
    title: str,
    front: Front,
    *,
    round_trip_ms: float = 0,
    bits_per_second: int = 0,
) -> Comparison:
    """Let ours and all peers bring a bucket, each to an empty folder."""
    with (
        serve(bucket.folder, stage.folder / "server") as server,
        wire_to(
            server.ports[front], stage.folder, round_trip_ms=round_trip_ms, bits_per_second=bits_per_second
        ) as port,
    ):
        commands = downloads(bucket, server.url(front, port), stage.folder / "ways")
        if not stage.peers:
            commands = [command for command in commands if command.name in (COLLECT, REFERENCE)]
        results = alternate(commands, stage.pairs, reference=REFERENCE, traffic=server.traffic)
    return Comparison(name, title, results, REFERENCE, files=bucket.files)


def _amount(bucket: Bucket) -> str:
    return f"{bucket.objects:,} zips of {format_bytes(bucket.bytes // bucket.objects)} with sidecars"
