"""``make soak``: hundreds of rounds of faults, signals and kills, then of spoilt files, and what they found."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.fuzz import Fuzz, FuzzCounts
from tests.soak.rounds import Counts, Soak, thrown_away

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

ROUNDS = 300
FUZZ_ROUNDS = 300
REPORT_EVERY = 10
FINDINGS_AT_MOST = 20


def soak(folder: Path, seed: int, rounds: int, seconds: float) -> Counts:
    """Run so many rounds, or for so long, whichever is over first, and a clean run at the end."""
    began = time.monotonic()
    with Soak(folder, seed) as running:
        counts = running.counts
        while counts.rounds < rounds - 1 and time.monotonic() - began < seconds:
            for finding in running.round():
                print(f"FOUND {finding}", flush=True)
            if counts.rounds % REPORT_EVERY == 0:
                _progress(counts, rounds, time.monotonic() - began)
            if len(counts.findings) >= FINDINGS_AT_MOST:
                break
        for finding in running.last_round():
            print(f"FOUND {finding}", flush=True)
    return counts


def fuzz(folder: Path, seed: int, rounds: int, seconds: float) -> FuzzCounts:
    """Spoil so many files, one a round, or for so long, whichever is over first."""
    began = time.monotonic()
    with Fuzz(folder, seed) as running:
        counts = running.counts
        while counts.rounds < rounds and time.monotonic() - began < seconds:
            for finding in running.round():
                print(f"FOUND {finding}", flush=True)
            if counts.rounds % REPORT_EVERY == 0:
                print(f"fuzz round {counts.rounds}/{rounds}  {len(counts.findings)} findings", flush=True)
            if len(counts.findings) >= FINDINGS_AT_MOST:
                break
    return counts


def _progress(counts: Counts, rounds: int, seconds: float) -> None:
    kills = counts.ends["kill -9"]
    print(
        f"{seconds:5.0f} s  round {counts.rounds}/{rounds}  {kills} kills  {counts.outcomes.total():,} settled  "
        f"{len(counts.findings)} findings",
        flush=True,
    )


def _summary(counts: Counts, seconds: float) -> None:
    print(f"\n{counts.rounds} rounds in {seconds:.0f} s, {counts.clean_runs} of them clean runs")
    _line("troubles", counts.troubles)
    _line("ends", counts.ends)
    _line("exit codes", counts.codes)
    _line("outcomes", counts.outcomes)
    print(f"orphans of kill -9 seen: {counts.orphans}")
    print(f"findings: {len(counts.findings)}")
    for finding in counts.findings:
        print(f"  {finding}")


def _fuzz_summary(counts: FuzzCounts) -> None:
    print(f"\n{counts.rounds} files spoilt; at most {counts.longest:.1f} s of CPU, {counts.largest / 1e6:.0f} MB")
    _line("exit codes", counts.codes)
    _line("files", counts.targets)
    print(f"findings: {len(counts.findings)}")
    for finding in counts.findings:
        print(f"  {finding}")


def _line(title: str, counted: Counter[str] | Counter[int]) -> None:
    print(f"{title}: {', '.join(f'{name} {count}' for name, count in counted.most_common() if count)}")


def _heed_signals_in_children() -> None:
    """See that children do not inherit that a signal is ignored, as it is below ``nohup`` or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, soak, and return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how many (default {ROUNDS})")
    parser.add_argument(
        "--fuzz", type=int, default=FUZZ_ROUNDS, metavar="N", help=f"how many files to spoil (default {FUZZ_ROUNDS})"
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), metavar="S", help="no more rounds of either after S seconds"
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="draw the same troubles again")
    parsed = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if parsed.seed is None else parsed.seed
    _heed_signals_in_children()
    folder = Path(tempfile.mkdtemp(prefix="crypto-archive-soak-"))
    print(f"seed {seed}, in {folder}", flush=True)
    findings: list[str] = []
    if parsed.rounds:
        began = time.monotonic()
        counts = soak(folder, seed, parsed.rounds, parsed.seconds)
        _summary(counts, time.monotonic() - began)
        findings += counts.findings
    if parsed.fuzz:
        fuzzed = fuzz(folder / "fuzz", seed, parsed.fuzz, parsed.seconds)
        _fuzz_summary(fuzzed)
        findings += fuzzed.findings
    if findings:
        print(f"\nKept for a look: {folder}; again with --seed {seed}")
        return 1
    thrown_away(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
