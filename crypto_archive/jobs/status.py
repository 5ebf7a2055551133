"""Status: what is in an archive root, what runs there now, and how its last runs ended. Only looks, in any state."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive import __version__
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.errors import RootUnusable
from crypto_archive.files import read_json
from crypto_archive.jobs.progress import PROGRESS_FILE, RunProgress
from crypto_archive.jobs.report import by_name
from crypto_archive.model import Verdict
from crypto_archive.root.inventory import Inventory, count_records, take_inventory
from crypto_archive.root.layout import LayoutNote, read_note, require_there
from crypto_archive.root.lock import Holder, RootLock, shards_of
from crypto_archive.root.store import Root, refuse_links, run_folders
from crypto_archive.text import format_bytes

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig

REPORT_FILE = "report.json"
LARGEST_REPORT = 1 << 28
"""In bytes; a report names every series that lacks days."""
LOOK_SECONDS = 1.0
"""How often ``watch`` looks what runs."""
SHARE = 20
"""``watch`` reads the manifest again after so many times the seconds that it took the last time."""
LEAST_SECONDS = 5.0
"""How long it waits for that at least."""

RUNNING, WAITING, DIED, IDLE, EMPTY = "running", "waiting", "died", "idle", "empty"


@dataclass(frozen=True, slots=True)
class Job:
    """What holds the lock of a root or of a shard.

    Attributes:
        holder: Who it is; None where the lock's note cannot be read.
        shard: The name of the shard's folder; None for a job in the whole root.
        progress: How far it is; None for a job that is not a collect, or has only just begun.
    """

    holder: Holder | None
    shard: str | None = None
    progress: RunProgress | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A collect that is over.

    Attributes:
        run_id: The name of its folder.
        status: That of its report; ``died`` where it left none.
        exit_code: How the command ended; None where it left no report.
        started_at: When it started: ISO 8601, UTC.
        finished_at: When it ended, or of one that died, when it last said how far it was.
        bytes_fetched: Bytes of its downloads.
        outcomes: How many objects ended how.
        error: What stopped it early.
        percent: How far one that died was; None if that is not known.
    """

    run_id: str
    status: str
    exit_code: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    bytes_fetched: int = 0
    outcomes: dict[str, int] | None = None
    error: str | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What is in an archive root, and what runs there.

    Attributes:
        root: The archive root.
        checked_at: When it was looked at, UTC.
        note: What the root records about its layout; None where it has none.
        inventory: What is stored, according to the manifest.
        quarantined: How many files are in quarantine.
        unmerged: How many objects shards have recorded that are not in the manifest yet, and so not in the inventory.
        jobs: What runs there.
        schedule: The process that repeats collect there; None without one.
        last_run: The newest run that is over; None without one.
        last_complete_run: The newest one that ended as a success; None if no run that is kept did.
    """

    root: Root
    checked_at: datetime
    note: LayoutNote | None
    inventory: Inventory
    quarantined: int
    unmerged: int
    jobs: tuple[Job, ...]
    schedule: Holder | None
    last_run: PastRun | None
    last_complete_run: PastRun | None

    @property
    def state(self) -> str:
        """All of it in a word: ``running``, ``waiting`` for the next round, ``died``, ``idle`` or ``empty``."""
        if self.jobs:
            return RUNNING
        if self.schedule is not None:
            return WAITING
        if self.last_run is not None:
            return DIED if self.last_run.status == DIED else IDLE
        return IDLE if self.inventory.objects else EMPTY

    def document(self) -> dict[str, object]:
        """Return it as ``docs/status.schema.json`` describes it."""
        inventory = self.inventory
        groups = inventory.groups.values()
        size = sum(group.bytes for group in groups)
        return {
            "schema_version": 1,
            "output_directory": str(self.root.path),
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "state": self.state,
            "layout": self.note.layout if self.note else MIRROR.name,
            "moving_to": self.note.moving_to if self.note else None,
            "series": sum(len(group.series) for group in groups),
            "objects": inventory.objects,
            "bytes": size,
            "total_size_formatted": format_bytes(size),
            "by_market_and_type": [
                {
                    "market": str(market),
                    "data_type": data_type,
                    "series": len(group.series),
                    "objects": group.objects,
                    "bytes": group.bytes,
                    "newest": str(group.newest) if group.newest else None,
                }
                for (market, data_type), group in inventory.groups.items()
            ],
            "unrecognized": inventory.unrecognized,
            "unmerged": self.unmerged,
            "faults": {name: count for name, count in by_name(inventory.faults, Verdict).items() if name != Verdict.OK},
            "quarantined": self.quarantined,
            "running": [_job_document(job) for job in self.jobs],
            "schedule": _holder_document(self.schedule) if self.schedule else None,
            "last_run": asdict(self.last_run) if self.last_run else None,
            "last_complete_run": asdict(self.last_complete_run) if self.last_complete_run else None,
            "versions": {"crypto_archive": __version__},
        }


def status(config: RunConfig) -> Status:
    """Look at an archive root, whatever state it is in; nothing is changed, and no run is held up.

    Args:
        config: The archive root and the matrix; nothing else of it matters.

    Raises:
        RootUnusable: The folder does not exist or cannot be read.
        ManifestUnreadable: The manifest is damaged, or a newer version wrote it.
    """
    root = Root(config.request.root.absolute())
    require_there(root)
    refuse_links(root)
    jobs = tuple(_jobs(root))
    over = _runs_that_are_over(root, jobs)
    return Status(
        root,
        checked_at=datetime.now(UTC),
        note=read_note(root),
        inventory=take_inventory(root.manifest_path, config.matrix),
        quarantined=sum(name.endswith(".reason.json") for _, _, names in os.walk(root.quarantine) for name in names),
        unmerged=sum(count_records(shard.manifest_path) for shard in shards_of(root)),
        jobs=jobs,
        schedule=_holder(RootLock(root, root.schedule_lock_path), root.schedule_lock_path),
        last_run=_past_run(over[0]) if over else None,
        last_complete_run=next((run for run in map(_past_run, over) if run.status == "success"), None),
    )


def watch(config: RunConfig, stop: threading.Event) -> Iterator[Status]:
    """Look once per second until that is stopped; what takes long is looked at again when it may have changed."""
    shown, due = None, 0.0
    while not stop.is_set():
        began = time.monotonic()
        if shown is not None and began < due:
            jobs = tuple(_jobs(shown.root))
            if {_run_of(job) for job in jobs} == {_run_of(job) for job in shown.jobs}:
                yield (shown := replace(shown, jobs=jobs, checked_at=datetime.now(UTC)))
                stop.wait(LOOK_SECONDS)
                continue
        shown = status(config)
        now = time.monotonic()
        due = now + max(LEAST_SECONDS, SHARE * (now - began))
        yield shown
        stop.wait(LOOK_SECONDS)


def _run_of(job: Job) -> tuple[Holder | None, str | None]:
    return job.holder, job.progress.run_id if job.progress else None


def _jobs(root: Root) -> Iterator[Job]:
    """Yield what holds the lock of the root, or those of its shards; not what holds one only for a moment."""
    for part in (root, *shards_of(root)):
        if not part.lock_path.exists():  # trying the lock would make its file
            continue
        lock = RootLock(part)
        try:
            held = lock.is_held()
        except RootUnusable:  # it may not be opened, as on a disk that is read-only for this user
            held = lock.holder() is not None
        if held:
            holder, shard = lock.holder(), part.private.name if part.shard else None
            if holder is None or not holder.brief:
                yield Job(holder, shard, _progress_of(root, holder, shard))


def _holder(lock: RootLock, path: Path) -> Holder | None:
    """Return who holds a lock that may not exist."""
    holder = lock.holder() if path.exists() else None
    try:
        return holder if holder is not None and lock.is_held() else None
    except RootUnusable:
        return holder


def _progress_of(root: Root, holder: Holder | None, shard: str | None) -> RunProgress | None:
    """Return how far the run of a lock's holder is: the newest that has its process, and began after it held it."""
    if holder is None:
        return None
    for folder in run_folders(root):
        found = _noted(folder)
        if found is not None and (found.pid, found.host, found.shard) == (holder.pid, holder.host, shard):
            return found if _moment(found.started_at) >= _moment(holder.started) else None
    return None


def _noted(folder: Path) -> RunProgress | None:
    try:
        return read_json(folder / PROGRESS_FILE, RunProgress)
    except (OSError, ValueError):
        return None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _runs_that_are_over(root: Root, jobs: Sequence[Job]) -> list[Path]:
    """Return the folders of the runs that are over, the newest first."""
    going_on = {job.progress.run_id for job in jobs if job.progress}
    folders = [folder for folder in run_folders(root) if folder.name not in going_on]
    if jobs and folders and not any((folders[0] / name).exists() for name in (REPORT_FILE, PROGRESS_FILE)):
        del folders[0]  # it has only just begun
    return folders


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is read of a report."""

    status: str
    exit_code: int
    started_at: str | None
    finished_at: str | None
    error: str | None
    bytes_fetched: int
    outcomes: dict[str, int]


def _past_run(folder: Path) -> PastRun:
    try:
        ended = read_json(folder / REPORT_FILE, _Ended, LARGEST_REPORT)
    except (OSError, ValueError):
        return _died(folder)
    return PastRun(
        folder.name,
        ended.status,
        ended.exit_code,
        ended.started_at,
        ended.finished_at,
        ended.bytes_fetched,
        ended.outcomes,
        ended.error,
    )


def _died(folder: Path) -> PastRun:
    """Return what is known of a run without a report: it was killed, or the disk had no room for one."""
    last = _noted(folder)
    if last is None:
        return PastRun(folder.name, DIED)
    return PastRun(
        folder.name,
        DIED,
        started_at=last.started_at,
        finished_at=last.updated_at,
        bytes_fetched=last.bytes_done,
        outcomes=last.outcomes,
        percent=last.percent,
    )


def _holder_document(holder: Holder) -> dict[str, object]:
    return {"purpose": holder.purpose, "pid": holder.pid, "host": holder.host, "since": holder.started}


def _job_document(job: Job) -> dict[str, object]:
    known = {"purpose": None, "pid": None, "host": None, "since": None}
    return {
        **(_holder_document(job.holder) if job.holder else known),
        "shard": job.shard,
        "progress": asdict(job.progress) if job.progress else None,
    }
