"""What must hold after every round, and what after a clean run. Each broken promise is a line of text."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jsonschema

from tests.archive.results import assert_whole, files_below, stored
from tests.archive.sample import SIDECAR
from tests.soak.bucket import digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.soak.bucket import Bucket
    from tests.soak.processes import Running
    from tests.soak.trouble import Damage

_UNSUCCESSFUL = ("failed", "quarantined", "cancelled")


def final_paths(root: Path, bucket: Bucket, damage: Damage) -> Iterator[str]:
    """See that every file at a final path has bytes that the bucket once had there, or that were spoilt here."""
    damage.forget_what_is_gone()
    for name in files_below(root / "data") if (root / "data").exists() else ():
        key = f"data/{name}"
        sha256 = digest(root / key)
        if not bucket.had(key, sha256) and damage.spoilt.get(key) != sha256:
            yield f"{key} holds bytes that the bucket never had there"


def ended_in_order(running: Running, root: Path) -> Iterator[str]:
    """See that a run that was not killed says how it ended, truly, and that its exit code and its folder fit."""
    if running.code in {0, 3, 5, 130, 143} and "Traceback" not in running.errors:
        report = running.document
    else:
        yield f"exit code {running.code}: {running.errors[-2000:]}"
        return
    if report is None:
        yield f"exit code {running.code} and no report: {running.errors[-500:]}"
        return
    yield from _report_is_whole(report)
    if (expected := _exit_code(report)) != running.code:
        yield f"exit code {running.code}, but the report says {expected}"
    yield from _folder_is_complete(root, report)


def _report_is_whole(report: dict[str, Any]) -> Iterator[str]:
    try:
        assert_whole(report)
    except (AssertionError, jsonschema.ValidationError) as error:
        yield f"the report does not add up: {error}"


def _exit_code(report: dict[str, Any]) -> int:
    outcomes, total = report["outcomes"], report["collection_stats"]["total_tasks"]
    if report["error"]:
        return 5
    if report["interrupted_by"]:
        return 130 if report["interrupted_by"] == "SIGINT" else 143
    return 3 if outcomes["failed"] or outcomes["quarantined"] or outcomes["absent"] == total else 0


def _folder_is_complete(root: Path, report: dict[str, Any]) -> Iterator[str]:
    """See that run-files, journal, report and failed.s5cmd are there, and that they tell the same story."""
    folder = root / ".crypto-archive" / "runs" / report["run_id"]
    kept = json.loads((folder / "report.json").read_text("utf-8"))
    if kept != report:
        yield "report.json differs from the report on standard output"
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    if events[0]["event"] != "run-started" or events[-1]["event"] != "run-finished":
        yield f"the journal goes from {events[0]['event']} to {events[-1]['event']}"
    settled = Counter(event["key"] for event in events if event["event"] == "object-finished")
    settled.update(key for event in events if event["event"] == "objects-kept" for key in event["keys"])
    planned = {event["key"] for event in events if event["event"] == "object-planned"} | set(settled)  # or it stays
    if len(planned) != report["collection_stats"]["total_tasks"]:
        yield f"{len(planned)} objects in the journal, {report['collection_stats']['total_tasks']} planned"
    if double := [key for key, count in settled.items() if count > 1]:
        yield f"settled more than once: {double}"
    for event in events:
        if event["event"] == "batch-started" and not list(folder.glob(f"batch-{event['batch']:05d}*.s5cmd")):
            yield f"no run-file of batch {event['batch']}"
    yield from _failed_file_fits(folder, events)


def _failed_file_fits(folder: Path, events: list[dict[str, Any]]) -> Iterator[str]:
    expected = {
        event["key"] for event in events if event["event"] == "object-finished" and event["outcome"] in _UNSUCCESSFUL
    }
    file = folder / "failed.s5cmd"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    found = {line.rpartition(" ")[2].strip("'").removesuffix(SIDECAR) for line in lines if line.startswith("cp ")}
    if found != expected:
        yield f"failed.s5cmd has {len(found)} objects, {len(expected)} have failed"


def told_the_truth(running: Running, root: Path) -> Iterator[str]:
    """See that what a run says it stored stands at its final path with the digest that it says."""
    report = running.document
    journal = root / ".crypto-archive" / "runs" / (report or {}).get("run_id", "-") / "events.jsonl"
    for event in map(json.loads, journal.read_text("utf-8").splitlines() if journal.exists() else ()):
        for key in event.get("keys", ()) if event["event"] == "objects-kept" else ():
            if not (root / key).is_file():
                yield f"{key} is said to be present and is not there"
        if event["event"] == "object-finished" and event["outcome"] in {"fetched", "updated", "present"}:
            path = root / event["key"]
            if not path.is_file():
                yield f"{event['key']} is said to be {event['outcome']} and is not there"
            elif event.get("sha256") and event["sha256"] != digest(path):
                yield f"{event['key']} has another digest than the run says"


def nothing_left(root: Path) -> Iterator[str]:
    """See that staging is empty."""
    left = files_below(root / ".crypto-archive" / "staging")
    if left:
        yield f"left in staging: {left[:3]}"


def nothing_lost(root: Path, quarantined: dict[str, str]) -> Iterator[str]:
    """See that quarantine still has what it had, and take in what is new."""
    folder = root / ".crypto-archive" / "quarantine"
    now = {name: digest(folder / name) for name in files_below(folder)} if folder.exists() else {}
    for name, sha256 in quarantined.items():
        if now.get(name) != sha256:
            yield f"gone from quarantine, or changed: {name}"
    for name in now:
        if not name.endswith(".reason.json") and f"{name}.reason.json" not in now:
            yield f"in quarantine without a reason: {name}"
    quarantined |= now


def equal_to_the_bucket(root: Path, bucket: Bucket, excused: set[str]) -> Iterator[str]:
    """See that root and bucket hold the same, with equal bytes.

    Args:
        root: The archive root.
        bucket: The bucket.
        excused: Zips whose sidecar need not be the bucket's: it came, went or changed without its zip.
    """
    if odd := stored(root) ^ set(bucket.keys):
        yield f"on one side only: {sorted(odd)}"
    for key in stored(root) & set(bucket.keys):
        if digest(root / key) != digest(bucket.folder / key):
            yield f"{key} is not what the bucket has"
        there, wanted = root / (key + SIDECAR), bucket.folder / (key + SIDECAR)
        if key in excused:
            continue
        if there.is_file() != wanted.is_file() or (there.is_file() and digest(there) != digest(wanted)):
            yield f"the sidecar of {key} is not what the bucket has"


def manifest_agrees(root: Path) -> Iterator[str]:
    """See that the manifest knows every file, with its size and digest, and nothing more."""
    path = root / ".crypto-archive" / "manifest.sqlite"
    with closing(sqlite3.connect(path)) as database:
        rows = {key: (size, sha256) for key, size, sha256 in database.execute("SELECT key, size, sha256 FROM object")}
    there = stored(root)
    if unknown := there - rows.keys():
        yield f"{len(unknown)} files that the manifest does not know, among them {min(unknown)}"
    if gone := rows.keys() - there:
        yield f"{len(gone)} rows of the manifest without a file, among them {min(gone)}"
    for key in there & rows.keys():
        if rows[key] != ((root / key).stat().st_size, digest(root / key)):
            yield f"the manifest knows other bytes of {key}"
