"""Compare two checkouts: run the same commands in both against one sample archive, and compare all that they produce.

    python -m tests.archive.compare --before DIR --after DIR

DIR is a checkout with ``.venv/bin/crypto-archive``. Exit codes, documents on stdout, lock files, run-files, reports,
journals, manifests and directory trees are compared field by field. Changed wording is listed but is not a failure; any
other difference makes the exit code 1. The flow needs the extra ``prefect`` here and in both checkouts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.archive.sample import small, write_sample
from tests.archive.server import ENDPOINT_VARIABLE, S3Server
from tests.flows.server import prefect_settings, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Step = str | Callable[[Path], dict[str, Any]]
"""A command line, or a function that reads or changes what the commands left and returns documents by name."""

RENAMED_FIELDS: dict[str, str] = {"object-settled": "object-finished"}
"""Names of fields and events that changed on purpose: before → after."""
MOVED_COMMANDS = {"matrix coverage": "coverage", "matrix symbols": "symbols", "--format json": "--json"}
"""Words of command lines that changed on purpose: before → after."""

MASKED = {
    "run_id", "started_at", "finished_at", "generated_at", "fetched_at", "seen_at", "seconds", "wait_seconds",
    "processing_time_seconds", "disk_free", "pid", "port", "lane", "number", "version", "crypto_archive",
}  # fmt: skip
"""Fields that differ from run to run; only their presence is compared."""
WORDING = {
    "message", "notices", "reason", "description", "hint", "why", "meaning", "error", "found", "advice", "text",
    "stderr", "title", "notice", "note",
}  # fmt: skip
"""Fields that hold text for people."""
IDENTITY = ("key", "name", "market", "data_type", "symbol", "interval", "partition", "month", "kind", "batch")
"""Fields that tell the items of a list apart, so that one missing item is one difference."""
VARYING = re.compile(
    r"\d{8}T\d{6}Z(-[0-9a-f]{6})?|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # run ids and backups, flow runs
    r"|[\d.,]+ [KMGT]iB free|room for [\d,]+ files|\([\d.]+ s\)|of (a|\d+) \w+ ago"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(?= )"
)
"""What differs from run to run inside of text and paths."""
ABSENT = "(absent)"
FieldPath = tuple[str | int, ...]

PRESETS = {
    "three": "{markets: [spot], symbols: [BTCUSDT], data_types: [klines], intervals: {klines: [1h]}, "
    "date_range: {start: 2025-07-13, end: 2025-07-15}}",
    "days": "{date_range: {start: 2025-07-12, end: 2025-07-16}}",
    "defects": "{markets: [spot], symbols: [BTCUSDT, ETHUSDT, BNBUSDT], data_types: [klines], "
    "intervals: {klines: [12h, 1d, 1h]}, partition: daily, date_range: {start: 2022-09-20, end: 2023-02-24}}",
    "months": "{markets: [spot, futures_um], symbols: [BTCUSDT, NOSUCHUSDT], data_types: [klines, trades], "
    "intervals: {klines: [1h]}, date_range: {start: 2024-12-01, end: 2025-01-31}}",
    "wrong": "{markets: [spot, moon], data_typs: [klines], batch_size: 101, symbols: [BTC/USDT]}",
}
RESEARCH = "-p research -p days.yaml"


def snapshot(folder: Path) -> dict[str, Any]:
    """Read all that the commands wrote: which paths there are, the digests of the data, the content of the rest."""
    runs: dict[str, str] = {}
    for history in folder.glob("*/.crypto-archive/runs"):
        ordered = sorted(history.iterdir(), key=lambda run: run.stat().st_mtime_ns)
        runs |= {run.name: f"run {number}" for number, run in enumerate(ordered, 1)}
    found: dict[str, Any] = {"tree": {}}
    for path in sorted(folder.rglob("*")):
        name = "/".join(runs.get(part, part) for part in path.relative_to(folder).parts)
        found["tree"][name] = "folder" if path.is_dir() else "file"
        if path.suffix in (".zip", ".CHECKSUM"):
            found["tree"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "manifest.sqlite":
            found[name] = manifest(path)
        elif path.suffix in READERS:
            found[name] = READERS[path.suffix](path.read_text("utf-8"))
    return found


def parsed(text: str) -> Any:
    """Return a JSON document, JSON lines and their order, or s5cmd commands apart from text."""
    lines = text.splitlines()
    if text[:1] == "{":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            objects = [json.loads(line) for line in lines]
            return {"lines": objects, "order": digest([item.get("key") for item in objects])}
    return {"commands": [one for one in lines if one[:3] == "cp "], "text": [one for one in lines if one[:3] != "cp "]}


def journal(text: str) -> dict[str, list[Any]]:
    """Return the events of a run by name, sorted, because s5cmd processes finish in any order."""
    found: dict[str, list[Any]] = {}
    for event in map(json.loads, text.splitlines()):
        masked = {name: "…" if name in MASKED else value for name, value in sorted(event.items())}
        found.setdefault(event["event"], []).append(masked)
    return {name: sorted(events, key=json.dumps) for name, events in found.items()}


def lock(text: str) -> dict[str, Any]:
    """Return a lock file: its head and end as they are, its rows by key, and their order."""
    lines = text.splitlines()
    rows = {key: rest for key, *rest in (line.split("\t") for line in lines if line[:1] != "#")}
    return {"head": [line for line in lines if line[:1] == "#"], "rows": rows, "order": digest(list(rows))}


def manifest(path: Path) -> dict[str, Any]:
    """Return a manifest: its format's number, its schema, and the rows of its tables."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        schema = {row["name"]: row["sql"] for row in database.execute("SELECT name, sql FROM sqlite_schema")}
        tables = [name for name, sql in schema.items() if sql and sql.startswith("CREATE TABLE")]
        rows = {name: [dict(row) for row in database.execute(f"SELECT * FROM {name}")] for name in tables}
        return {"format": database.execute("PRAGMA user_version").fetchone()[0], "schema": schema, **rows}


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def edit_lock(folder: Path) -> dict[str, Any]:
    """Write ``edited.lock``: one object replaced, one gone, two that the lock does not have."""
    lines = (folder / "inputs.lock").read_text("utf-8").splitlines(keepends=True)
    first, second, third = (line for line in lines if line.startswith("data/"))
    replaced = re.sub(r"\t\d+\t[0-9a-f]{32}\t", f"\t999\t{'0' * 32}\t", third)
    edits = {first: first.replace("2025-07-13", "2025-07-12"), second: "", third: replaced}
    (folder / "edited.lock").write_text("".join(edits.get(line, line) for line in lines), encoding="utf-8")
    return {}


def damage(folder: Path) -> dict[str, Any]:
    """Change a byte of one stored zip, delete another one, and delete the checksum file of a third."""
    corrupt, deleted, bare = sorted((folder / "archive" / "data/spot").rglob("BTCUSDT-1h-2025-07-1[345].zip"))
    content = bytearray(corrupt.read_bytes())
    content[len(content) // 2] ^= 0xFF
    corrupt.write_bytes(content)
    deleted.unlink()
    bare.with_name(f"{bare.name}.CHECKSUM").unlink()
    return {}


READERS: dict[str, Callable[[str], Any]] = {".json": parsed, ".jsonl": journal, ".s5cmd": parsed, ".lock": lock}
STEPS: tuple[Step, ...] = (
    f"plan {RESEARCH} -o archive --format json", f"plan {RESEARCH} -o archive --format jsonl",
    f"plan {RESEARCH} -o archive --format runfiles --to runfiles",
    f"plan {RESEARCH} --discover calendar --format jsonl",
    "plan -m futures_um -t klines -i 1h -s '*USDT*' --last 600d --format json",
    "plan -p three.yaml --lock inputs.lock --format json", edit_lock,
    "plan -p three.yaml --diff inputs.lock --format json", "plan -p three.yaml --diff edited.lock --format json",
    f"plan {RESEARCH} --shards 3 --to shards --format json",
    "collect -p three.yaml -o archive --dry-run", f"collect {RESEARCH} -o archive --dry-run --json",
    f"collect {RESEARCH} -o archive --json", f"collect {RESEARCH} -o archive --json",
    "plan -p three.yaml -o archive --lock collected.lock --format json",
    "collect --locked collected.lock -o locked --json", "collect --locked edited.lock -o locked --json",
    "collect --locked shards/shard-2-of-3.lock -o sharded --json",
    "collect -p defects.yaml -o defects --json", "verify -p defects.yaml -o defects --json",
    "collect -p months.yaml --partition daily -o months --json", "plan -p months.yaml -o months --format jsonl",
    "collect -p months.yaml --prune-covered -o months --json", snapshot, damage,
    "verify -p three.yaml -o archive --json", "verify --all -o archive --json",
    "verify -p three.yaml -o archive --repair --json", "verify --rebuild-manifest -o archive --json",
    f"verify {RESEARCH} --discover listing -o archive --json",
    f"matrix coverage {RESEARCH} -o archive --format json",
    "matrix coverage -p months.yaml -o months --format json",
    "matrix symbols -m futures_um -t klines --format json", "matrix symbols -m spot --as-of 2025-07-14 --format json",
    "matrix show --format json", "matrix check --json", "doctor -o archive --json",
    "relayout --to hive -o archive --dry-run --json", "relayout --to hive -o archive --json",
    f"collect {RESEARCH} -o archive --json", snapshot, "relayout --to mirror -o archive --json", snapshot,
    "preset list --json", "preset show research high-throughput three.yaml --json",
    "preset check research three.yaml", "preset schema",
    "flow run -p three.yaml --shards 2 -o flowed --retries 0 --json", "verify -p three.yaml -o flowed --json",
    # Wrong inputs, for their exit codes and messages.
    "plan", "plan --no-such-option", "plan -p nowhere", "plan -p wrong.yaml", "plan -p three.yaml -m moon",
    "plan -p three.yaml --start 2025-07-15 --end 2025-07-13", "plan -p three.yaml --layout '{market}/{nothing}'",
    "plan -p three.yaml --matrix three.yaml", "plan -p three.yaml --max-objects 2",
    "plan -p three.yaml --diff three.yaml", "plan -p three.yaml --refresh --endpoint-url http://127.0.0.1:1",
    "collect -p three.yaml -o three.yaml", "collect -p three.yaml --every 1h --dry-run",
    "collect -p three.yaml -s NOSUCHUSDT -o unknown --json", "verify -p three.yaml -o nowhere --json",
    "relayout --to hive -o nowhere", "matrix symbols --as-of never", "preset show nowhere", "preset check wrong.yaml",
)  # fmt: skip


def documents(tree: Path, folder: Path, environment: Mapping[str, str], moved: Mapping[str, str]) -> dict[str, Any]:
    """Run all steps with a checkout in a folder; return what they produce, by a name that repeated steps number."""
    for name, text in PRESETS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    found, times = {}, Counter[str]()
    for step in STEPS:
        made = {step: run(step, tree, folder, environment, moved)} if isinstance(step, str) else step(folder)
        text = json.dumps(made).replace(str(folder), "<folder>").replace(str(tree), "<tree>")
        for name, document in json.loads(VARYING.sub("…", text)).items():
            times[name] += 1
            found[f"{name} ({times[name]})" if times[name] > 1 else name] = document
    return found


def run(command: str, tree: Path, folder: Path, environment: Mapping[str, str], moved: Mapping[str, str]) -> Any:
    for before, after in moved.items():
        command = re.sub(rf"(?<!\S){re.escape(before)}(?!\S)", after, command)
    command_line = [str(tree / ".venv" / "bin" / "crypto-archive"), *shlex.split(command)]
    null = subprocess.DEVNULL
    done = subprocess.run(command_line, cwd=folder, env=environment, stdin=null, capture_output=True, encoding="utf-8")
    explained = {} if done.stdout else {"stderr": done.stderr.splitlines()}  # otherwise progress, full of times
    return {"exit code": done.returncode, "stdout": parsed(done.stdout), **explained}


def fields(value: Any, names: Mapping[str, str], path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield each field of a document with its path; dictionaries and lists also yield themselves, as their kind."""
    if isinstance(value, dict):
        yield path, "{…}"
        for name, item in value.items():
            yield from fields("…" if name in MASKED else item, names, (*path, names.get(name, name)))
    elif isinstance(value, list):
        yield path, "[…]"
        marks = [" ".join(str(one[name]) for name in IDENTITY if name in one) for one in value if isinstance(one, dict)]
        unique = len(value) == len({*marks} - {""})
        for number, item in enumerate(value):
            yield from fields(item, names, (*path, marks[number] if unique else number))
    else:
        yield path, value


def is_wording(path: FieldPath, before: Any, after: Any) -> bool:
    """Whether a difference is one of text: text that changed, or a line of a text that came or went."""
    # "value" is skipped because `preset show` writes a field as an object with its value below the name.
    name = next((part for part in reversed(path) if isinstance(part, str) and part != "value"), "")
    is_text = all(isinstance(value, str) and value != ABSENT for value in (before, after))
    return name in WORDING and (is_text or isinstance(path[-1], int))


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Print all differences, wording last, and the counts; return how many there are without wording."""
    compared, real, wording = 0, list[str](), list[str]()
    names = list(dict.fromkeys([*before, *after]))
    for name in names:
        if name not in before or name not in after:
            real.append(f"{name}: only {'before' if name in before else 'after'}")
            continue
        left, right = dict(fields(before[name], RENAMED_FIELDS)), dict(fields(after[name], {}))
        for path in dict.fromkeys([*left, *right]):
            compared += 1
            old, new = left.get(path, ABSENT), right.get(path, ABSENT)
            if path[-1:] == ("event",) and isinstance(old, str):
                old = RENAMED_FIELDS.get(old, old)
            if (type(old), old) != (type(new), new):
                is_code = name.endswith(".sqlite")  # a reason in a manifest is a code, not text
                group = wording if is_wording(path, old, new) and not is_code else real
                group.append(f"{name}: {'.'.join(map(str, path))}: {old!r} -> {new!r}")
    for line in [*real, *(f"wording: {line}" for line in wording)]:
        print(line)
    print(f"{len(names)} documents, {compared:,} fields: {len(real)} differences, {len(wording)} in wording only")
    return len(real)


def main() -> int:
    """Parse the command line, run both checkouts at the same time, and compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.archive.compare", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, metavar="DIR")
    parser.add_argument("--after", type=Path, required=True, metavar="DIR")
    trees = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        top = Path(name).resolve()
        sample = write_sample(top / "sample", small())
        with S3Server(sample.root) as archive, shared_server(top / "prefect") as prefect:
            running = []
            for side, tree, moved in (("before", trees.before, {}), ("after", trees.after, MOVED_COMMANDS)):
                folder, home = top / side, top / f"{side}-home"
                folder.mkdir()
                home.mkdir()
                environment = prefect_settings(home) | {
                    "PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200", "PYTHONUTF8": "1",
                    ENDPOINT_VARIABLE: archive.endpoint_url, "PREFECT_API_URL": prefect,
                }  # fmt: skip
                running.append(pool.submit(documents, tree.resolve(), folder, environment, moved))
            before, after = (one.result() for one in running)
    return 1 if compare(before, after) else 0


if __name__ == "__main__":
    sys.exit(main())
