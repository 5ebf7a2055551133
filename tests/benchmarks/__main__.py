"""``make bench``: ours against its peers, in turn, as a table, and in ``.bench/`` as JSON and as a plot.

make bench                                             # all but the long ones, about ten minutes on two cores
make bench BENCH="small local"                         # two scenarios
make bench BENCH="small --objects 2700 --pairs 3"
make bench BENCH="small local --no-peers"              # only ours and s5cmd run
make bench BENCH="wire loopback --large 20 --megabytes 100"
make bench BENCH="again --present 100000"
make bench BENCH=scale                                 # millions of objects, many minutes
make bench BENCH=--list                                # what there is, and what this machine lacks
"""

from __future__ import annotations

import argparse
import compileall
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import crypto_archive
from tests.benchmarks.peers import missing_peers
from tests.benchmarks.plot import plot
from tests.benchmarks.report import document, table
from tests.benchmarks.scenarios import LONG, SCENARIOS, Stage, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.report import Comparison


MEMORY, ROOM = "/dev/shm", 8 << 30


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure scenarios, print their tables, and write JSON and plot after each."""
    asked = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is stopped
    if asked.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<10}{scenario.about}", *(f"({missing})" for missing in scenario.missing()))
        return
    if asked.peers:
        print(*(f"{missing}; it is left out" for missing in missing_peers()), sep="\n")
    compileall.compile_dir(Path(crypto_archive.__file__).parent, quiet=1)  # as an installation does
    asked.to.mkdir(parents=True, exist_ok=True)
    measured: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="crypto-archive-bench-", dir=_workplace()) as folder:
        for name in asked.scenarios or [name for name in SCENARIOS if name not in LONG]:
            if missing := SCENARIOS[name].missing():
                print(f"\n{name} is skipped: {'; '.join(missing)}")
                continue
            stage = Stage(
                folder=Path(folder, name),
                objects=asked.objects,
                large=asked.large,
                megabytes=asked.megabytes,
                present=asked.present,
                pairs=asked.pairs,
                peers=asked.peers,
            )
            for comparison in run(SCENARIOS[name], stage):
                print("", *table(comparison), sep="\n", flush=True)
                measured.append(comparison)
                (asked.to / "results.json").write_text(json.dumps(document(measured), indent=1) + "\n")
                (asked.to / "results.svg").write_text(plot(measured))
    print(f"\nSee {asked.to / 'results.svg'} and {asked.to / 'results.json'}")


def _workplace() -> str | None:
    """Return a folder in memory, where there is room: ext4 takes long to make files where many were just deleted."""
    has_room = Path(MEMORY).is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    return MEMORY if has_room else None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = Stage(Path())
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"any of {', '.join(SCENARIOS)}")
    parser.add_argument("--objects", type=int, metavar="N", help="small objects to download")
    parser.add_argument("--large", type=int, metavar="N", default=defaults.large, help="large objects to download")
    parser.add_argument("--megabytes", type=int, metavar="MB", default=defaults.megabytes, help="the size of each")
    parser.add_argument("--present", type=int, metavar="N", default=defaults.present, help="objects that are there")
    parser.add_argument("--pairs", type=int, metavar="N", default=defaults.pairs, help="how often each command runs")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="only ours and plain s5cmd")
    parser.add_argument("--to", type=Path, metavar="DIR", default=Path(".bench"), help="takes JSON and plot")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.scenarios) - set(SCENARIOS):
        parser.error(f"not a scenario: {', '.join(sorted(unknown))}; they are {', '.join(SCENARIOS)}")
    return asked


if __name__ == "__main__":
    main()
