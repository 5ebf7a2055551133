"""The rounds of a soak: trouble is drawn, a collect runs through it and comes to some end, promises are checked."""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from tests.archive.proxy import FaultProxy, Stall
from tests.archive.sample import SIDECAR
from tests.archive.server import S3Server
from tests.soak import checks
from tests.soak.bucket import SELECTION, Bucket
from tests.soak.processes import END_WEIGHTS, ENDS, Hangs, Programs, Running
from tests.soak.trouble import CHANGE_WEIGHTS, CHANGES, Damage, put_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.soak.trouble import Drawn

CLEAN_RUN_EVERY = 25
"""Rounds after which a clean run proves that nothing was lost so far."""
MANY = 4
_SIDECAR_TROUBLE = ("sidecar stale", "sidecar removed", "sidecar mended", "sidecar deleted", "sidecar spoilt")


@dataclass(slots=True)
class Counts:
    """What a soak has met so far.

    Attributes:
        rounds: Rounds that are over.
        clean_runs: Clean runs among them.
        troubles: How often each fault, change and damage was drawn.
        ends: How often a run came to each end.
        codes: How often a run ended with each exit code.
        outcomes: How many objects ended how, in all reports.
        orphans: s5cmd processes that outlived a kill -9 of their parent.
        findings: Broken promises, each with its round.
    """

    rounds: int = 0
    clean_runs: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    findings: list[str] = field(default_factory=list)


class Soak:
    """A bucket, a server, a fault proxy and an archive root, for as long as the context lasts.

    Attributes:
        counts: What it has met so far.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.counts = Counts()
        self._folder = folder
        self._seed = seed
        self._root = folder / "root"
        self._begin_anew()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._bucket = Bucket(self._folder / "served", random.Random(f"{self._seed}"))
        server = self._stack.enter_context(S3Server(self._folder / "served"))
        self._proxy = self._stack.enter_context(FaultProxy(server.endpoint_url))
        self._programs = Programs(self._folder, self._proxy.endpoint_url, self._root)
        preset = self._folder / "hasty.yaml"
        preset.write_text("s5cmd_extra_args: [--retry-count=0]\n", encoding="utf-8")
        self._hasty = ("-p", str(preset))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._programs.of_s5cmd():
            process.kill()
        self._stack.close()

    def round(self) -> list[str]:
        """Run one more round; return what was found to be broken."""
        self.counts.rounds += 1
        number = self.counts.rounds
        rng = random.Random(f"{self._seed}:{number}")
        try:
            if number % CLEAN_RUN_EVERY == 0:
                return self._noted(number, "clean run", self._clean_run(number))
            story, broken = self._rough_run(number, rng)
        except Hangs as hang:
            return self._noted(number, "", [str(hang)])
        return self._noted(number, story, broken)

    def last_round(self) -> list[str]:
        """End with a clean run."""
        self.counts.rounds += 1
        try:
            return self._noted(self.counts.rounds, "clean run", self._clean_run(self.counts.rounds))
        except Hangs as hang:
            return self._noted(self.counts.rounds, "clean run", [str(hang)])

    def _noted(self, number: int, story: str, broken: Iterable[str]) -> list[str]:
        """Remember findings; the root that they are about is kept aside, and the next round starts an empty one."""
        found = [f"round {number} (seed {self._seed}; {story}): {line}" for line in broken]
        if found:
            self.counts.findings += found
            for process in self._programs.of_s5cmd():
                process.kill()
            if self._root.exists():
                self._root.rename(self._folder / f"finding-{number:04d}")
            self._begin_anew()
        return found

    def _begin_anew(self) -> None:
        self._damage = Damage(self._root)
        self._quarantined: dict[str, str] = {}
        self._excused: set[str] = set()
        self._listing_orphans: set[int] = set()

    # A rough run

    def _rough_run(self, number: int, rng: random.Random) -> tuple[str, list[str]]:
        story = self._disturb(rng)
        drawn = put_in_force(self._proxy, rng, self._bucket.keys)
        self._excuse(story + [(name, pattern) for name, (_, pattern, _) in drawn])
        end = rng.choices(list(ENDS), END_WEIGHTS)[0]
        if end == "kill -9" and rng.random() < 0.3:  # else orphans end at their next word, which nobody reads
            drawn.append(("stalled", ("GET", "*", Stall(0.5))))
            self._proxy.fault(*drawn[-1][1])
        told = "; ".join([*_told(story), *map(_words, drawn), end])
        running, second = self._through(number, rng, end)
        self._count([name for name, _ in story] + [name for name, _ in drawn], running)
        broken = list(self._broken(running, second))  # before what stands still goes on, orphans among it
        self._proxy.clear(release=not running.killed or rng.random() < 0.3)
        return told, broken

    def _disturb(self, rng: random.Random) -> list[tuple[str, str]]:
        """Change the bucket, and damage files of the root."""
        names = rng.choices(list(CHANGES), CHANGE_WEIGHTS, k=rng.choice((0, 0, 1, 2, 4)))
        changed = [(name, key) for name in names if (key := CHANGES[name](self._bucket, rng))]
        return changed + (self._damage.draw(rng) if rng.random() < 0.8 else [])

    def _excuse(self, story: Iterable[tuple[str, str]]) -> None:
        """Remember whose sidecar may differ from the bucket's without being at fault."""
        for name, key in story:
            if name in _SIDECAR_TROUBLE:
                self._excused.add(key)
            elif name in {"absent", "bad HEAD"}:
                owner = key.removesuffix("*").removesuffix(SIDECAR)
                self._excused |= {owner} if owner.endswith(".zip") else set(self._bucket.keys)

    def _through(self, number: int, rng: random.Random, end: str) -> tuple[Running, Running | None]:
        """Run a collect to the end that was drawn, now and then with company."""
        before, runs = len(self._proxy.requests), self._runs()
        due = before + rng.choice((1, rng.randint(1, 20), rng.randint(1, 150)))
        running = self._programs.start(f"{number:04d}", *self._arguments(rng))
        second = replacing = None
        if rng.random() < 0.1:
            running.signal_when(lambda: len(self._proxy.requests) > before, (), rng)
            second = self._programs.start(f"{number:04d}-second", *self._arguments(rng))
            self.counts.troubles["second run"] += 1
        if rng.random() < 0.15:
            replacing = threading.Thread(target=self._replace_meanwhile, args=(running, before, rng.random()))
            replacing.start()
        if ENDS[end]:
            # Not before it has begun: what an earlier one has left running asks for objects, too.
            running.signal_when(lambda: bool(self._runs() - runs) and len(self._proxy.requests) >= due, ENDS[end], rng)
        for waiting in filter(None, (running, second)):
            waiting.wait()
        if replacing is not None:
            replacing.join()
        return running, second

    def _runs(self) -> set[str]:
        return {path.name for path in (self._root / ".crypto-archive" / "runs").glob("*")}

    def _replace_meanwhile(self, running: Running, before: int, draw: float) -> None:
        """Replace an object while it is listed or fetched."""
        rng = random.Random(draw)
        due = before + rng.randint(2, 60)
        running.signal_when(lambda: len(self._proxy.requests) >= due, (), rng)
        self._bucket.replace(rng)
        self.counts.troubles["object replaced meanwhile"] += 1

    def _arguments(self, rng: random.Random) -> tuple[str, ...]:
        hasty = self._hasty if rng.random() < 0.85 else ()
        discover = ("--discover", "calendar") if rng.random() < 0.15 else ()
        force = ("--force",) if rng.random() < 0.1 else ()
        refresh = ("--refresh",) if rng.random() < 0.7 else ()
        jobs = str(rng.randint(1, 4))
        if self._damage.bad_keys and rng.random() < 0.4:
            return ("verify", "--all", "--repair", "--json", *hasty)
        return ("collect", "--json", *refresh, *SELECTION, *hasty, *discover, *force, "--jobs", jobs)

    def _count(self, names: Iterable[str], running: Running) -> None:
        self.counts.troubles.update(names)
        sent = {numbers: name for name, numbers in ENDS.items()}
        self.counts.ends[sent.get(tuple(running.sent), "^C")] += 1
        self.counts.codes[running.code] += 1
        if not running.killed and running.document:
            self.counts.outcomes.update(running.document.get("outcomes", {}))

    def _broken(self, running: Running, second: Running | None) -> Iterable[str]:
        root = self._root
        alone = second is None or _was_refused(second)
        findings = [checks.final_paths(root, self._bucket, self._damage), checks.nothing_lost(root, self._quarantined)]
        if running.killed:
            orphans = self._programs.of_s5cmd()
            self.counts.orphans += len(orphans)
            self._listing_orphans |= {process.pid for process in orphans if _lists(process)}
        else:
            if second is None or not _was_refused(running):
                findings.append(self._ended_in_order(running))
            if not _was_refused(running):
                findings += [checks.nothing_left(root), self._no_process_left()]
            if alone:
                findings.append(checks.told_the_truth(running, root))
        if second is not None and not _was_refused(second):
            findings.append(self._ended_in_order(second))
        return chain.from_iterable(findings)

    def _ended_in_order(self, running: Running) -> Iterable[str]:
        if running.code == 4 or (running.document and "verdicts" in running.document and "bad" in running.document):
            return ()  # a verification; what it left is checked
        return checks.ended_in_order(running, self._root)

    def _no_process_left(self) -> Iterable[str]:
        """What a killed run had listing writes nothing and may end by itself; what it had fetching is ended by now."""
        for process in self._programs.of_s5cmd():
            if process.pid not in self._listing_orphans:
                yield f"an s5cmd process is left, number {process.pid}"

    # A clean run

    def _clean_run(self, number: int) -> list[str]:
        """Collect without any trouble; then root and bucket must be equal, and a verification find nothing else."""
        self.counts.clean_runs += 1
        self._proxy.clear()
        run, root = self._programs.run, self._root
        collected = run(f"{number:04d}-clean", "collect", "--json", "--refresh", *SELECTION)
        broken = list(self._broken(collected, None))
        if collected.code != 0:
            broken.append(f"a clean run ended with exit code {collected.code}: {collected.errors[-500:]}")
        self._damage.forget_what_is_gone()
        broken += self._verified(number, self._damage.bad_keys)
        if self._damage.bad_keys:
            run(f"{number:04d}-repair", "verify", "--all", "--repair", "--json")
            broken += self._verified(number, set())
        broken += checks.nothing_lost(root, self._quarantined)
        broken += checks.equal_to_the_bucket(root, self._bucket, self._excused)
        broken += checks.manifest_agrees(root)
        return broken

    def _verified(self, number: int, bad: set[str]) -> Iterable[str]:
        """See that a verification finds exactly what was spoilt here."""
        verified = self._programs.run(f"{number:04d}-verify", "verify", "--all", "--json")
        found = {entry["key"]: entry for entry in (verified.document or {"bad": ()})["bad"]}
        if set(found) != bad or verified.code != (4 if bad else 0):
            odd = [found.get(key, f"{key} is not found bad") for key in sorted(set(found) ^ bad)]
            yield f"verify ended with exit code {verified.code}, {len(bad)} files are spoilt, odd: {odd[:3]}"


def _told(story: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Name what was done to which file; what was done to many, by its number."""
    by_name: dict[str, list[str]] = {}
    for name, key in story:
        by_name.setdefault(name, []).append(key)
    for name, keys in by_name.items():
        yield f"{name} {' '.join(keys)}".strip() if len(keys) < MANY else f"{len(keys)} times {name}"


def _words(drawn: tuple[str, Drawn]) -> str:
    name, (kind, pattern, fault) = drawn
    return f"{name} ({kind} {pattern} {fault})"


def _lists(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-1:] != [] and Path(process.cmdline()[-1]).name == "list.s5cmd"
    except psutil.Error:
        return True  # it has ended


def _was_refused(running: Running) -> bool:
    return running.code == 5 and "Another run holds the lock" in running.errors


def thrown_away(folder: Path) -> None:
    """Delete the folder of a soak that has found nothing."""
    shutil.rmtree(folder, ignore_errors=True)
