"""What runs of the command line leave behind, read back for tests; a report that does not add up fails the test."""

from __future__ import annotations

import fnmatch
import json
import shlex
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import psutil

from crypto_archive.model import Market
from tests.archive.sample import SIDECAR

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable

    from tests.archive.running import Runner
    from tests.archive.sample import SampleObject, SampleSpec

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = "data/spot/daily/klines/BTCUSDT/1h/"
KEYS = tuple(f"{FOLDER}BTCUSDT-1h-2025-07-{day}.zip" for day in (13, 14, 15))
SERIES = ("-m", "spot", "-t", "klines", "-i", "1h", "-s", "BTCUSDT")
THREE = (*SERIES, "--start", "2025-07-13", "--end", "2025-07-15")
"""Options that select the three objects of ``KEYS``."""
RESEARCH = ("-p", "research", "--start", "2025-07-15", "--end", "2025-07-15")
"""The research preset, with one of the days that the small sample has in full: an object of each of its 57 series."""
FUTURES = (*RESEARCH, "-m", "futures_um")
"""One market of it: candles, trades, metrics, depth and funding rates, 24 objects."""
ROOT = "archive"


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collect ended.

    Attributes:
        code: Its exit code.
        report: Its report.
        stderr: What it said beside it.
        root: The archive root.
    """

    code: int
    report: dict[str, Any]
    stderr: str
    root: Path

    @property
    def outcomes(self) -> dict[str, int]:
        """How many objects ended how, without what nothing ended as."""
        return {name: count for name, count in self.report["outcomes"].items() if count}

    @property
    def verdicts(self) -> dict[str, int]:
        """How many objects got which verdict, likewise."""
        return {name: count for name, count in self.report["verdicts"].items() if count}

    @property
    def reasons(self) -> dict[str, str]:
        """Why objects failed, by key."""
        return {failure["key"]: failure["reason"] for failure in self.report["failures"]}

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.root / ".crypto-archive" / "runs" / str(self.report["run_id"])

    @property
    def run_files(self) -> list[list[str]]:
        """The commands of each run-file, failed.s5cmd left out."""
        files = sorted(self.folder.glob("batch-*.s5cmd"))
        return [[line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")] for path in files]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name from the run's journal."""
        lines = (self.folder / "events.jsonl").read_text("utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]


def collect(run: Runner, *arguments: str | Path, to: str | Path = ROOT) -> Collected:
    """Run ``collect --json``; the document on stdout is held against its schema and must add up."""
    code, stdout, stderr = run("collect", "--json", "-o", to, *arguments)
    assert stdout, stderr
    return collected(run, code, stdout, stderr, to)


def collected(run: Runner, code: int, stdout: str, stderr: str, to: str | Path = ROOT) -> Collected:
    """Return how a collect ended that was started by other means."""
    report = json.loads(stdout)
    assert_whole(report)
    assert report["exit_code"] == code
    return Collected(code, report, stderr, run.folder / to)


def ended(run: Runner, process: subprocess.Popen[str], seconds: float = 30.0) -> Collected:
    """Wait for a ``collect --json`` that was started, and return how it ended."""
    stdout, stderr = process.communicate(timeout=seconds)
    return collected(run, process.returncode, stdout, stderr)


def assert_whole(report: dict[str, Any]) -> None:
    """Hold a report against its schema and see that its figures add up to the plan."""
    validate(report, "report.schema.json")
    stats, outcomes = report["collection_stats"], report["outcomes"]
    groups = report["by_market_and_type"]
    assert sum(outcomes.values()) == stats["total_tasks"] == sum(group["objects"] for group in groups)
    assert sum(stats[f"{how}_tasks"] for how in ("successful", "failed", "skipped")) == stats["total_tasks"]
    by_group: Counter[str] = Counter()
    for group in groups:
        assert sum(group["outcomes"].values()) == group["objects"]
        by_group.update(group["outcomes"])
    assert +by_group == +Counter(outcomes)
    assert sum(report["absences"].values()) == outcomes["absent"]
    named = outcomes["failed"] + outcomes["quarantined"] + report["stored_verdicts"]["bad-zip"]
    assert len(report["failures"]) + report["failures_omitted"] == named
    for figure in ("bytes_fetched", "bytes"):
        total = report["bytes_fetched"] if figure == "bytes_fetched" else stats["total_size_bytes"]
        assert sum(group[figure] for group in groups) == total


def validate(document: dict[str, Any], schema: str) -> None:
    """Hold a document against a JSON Schema in ``docs/``."""
    _validator(schema).validate(document)


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((DOCS / schema).read_text("utf-8")))


def copied_by(line: str, bucket: Path | Iterable[str]) -> list[str]:
    """Return which keys of a bucket a copy command copies, as s5cmd reads it, each of them to the path of its name."""
    words = shlex.split(line)
    *options, source, destination = words[1:]
    pattern = source.removeprefix("s3://data.binance.vision/")
    if "--raw" in options:
        assert destination == pattern
        return [pattern]
    folder = pattern.rpartition("/")[0]
    assert destination == f"{folder}/"
    pairs = list(pairwise(options))
    only = [value for name, value in pairs if name == "--include"] or ["*"]
    but = [value for name, value in pairs if name == "--exclude"]
    if isinstance(bucket, Path):
        bucket = [path.relative_to(bucket).as_posix() for path in (bucket / folder).iterdir()]
    return [
        key for key in bucket
        if fnmatch.fnmatchcase(key, pattern)
        and any(fnmatch.fnmatchcase(key, wanted) for wanted in only)
        and not any(fnmatch.fnmatchcase(key, unwanted) for unwanted in but)
    ]  # fmt: skip


def keys_where(spec: SampleSpec, wanted: Callable[[SampleObject], bool]) -> set[str]:
    """Return the keys of a sample's objects that a test is about."""
    return {item.key for item in spec.objects if wanted(item)}


def in_research(item: SampleObject) -> bool:
    """Whether an object belongs to what ``RESEARCH`` selects."""
    types = {"klines", "trades", "metrics", "bookDepth", "fundingRate", "BVOLIndex"}
    symbols = {"BTCUSDT", "ETHUSDT", "ADAUSDT", "BTCUSD_PERP", "ETHUSD_PERP", "BTCBVOLUSDT", "ETHBVOLUSDT"}
    if (
        item.data_type not in types
        or item.symbol not in symbols
        or item.interval not in {None, *["1m", "5m", "1h", "1d"]}
    ):
        return False
    return str(item.period) == ("2025-07" if item.data_type == "fundingRate" else "2025-07-15")


def in_futures(item: SampleObject) -> bool:
    """Whether an object belongs to what ``FUTURES`` selects."""
    return in_research(item) and item.market is Market.FUTURES_UM


def stored(root: Path) -> set[str]:
    """Return the keys of all zips at their final paths."""
    return {path.relative_to(root).as_posix() for path in (root / "data").rglob("*.zip")}


def assert_same_bytes(root: Path, bucket: Path, keys: Iterable[str]) -> None:
    """See that zips stand at their keys with the bucket's bytes, and sidecars beside them where the bucket has them."""
    for key in keys:
        assert (root / key).read_bytes() == (bucket / key).read_bytes(), key
        sidecar = bucket / (key + SIDECAR)
        assert (root / (key + SIDECAR)).is_file() is sidecar.is_file(), key
        if sidecar.is_file():
            assert (root / (key + SIDECAR)).read_bytes() == sidecar.read_bytes(), key


def files_below(folder: Path) -> list[str]:
    """Return the files below a folder, as paths relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the s5cmd processes that fetch into an archive root below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name().startswith("s5cmd") and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended, or is not ours
    return found


def preset(folder: Path, text: str) -> Path:
    """Write a preset for a test and return its path."""
    path = folder / "preset.yaml"
    path.write_text(text, encoding="utf-8")
    return path
