"""Repair what verification found bad, and rebuild a lost manifest from the files."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.config.run_config import Budget
from crypto_archive.events import Cancellation, Noticed
from crypto_archive.files import free_name
from crypto_archive.jobs.collect import collecting
from crypto_archive.jobs.run import Run
from crypto_archive.jobs.verify import VerifyReport, existing_root, finding_of, proven, stored_objects
from crypto_archive.model import ManifestEntry, Notice
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import StoredFiles
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import explain_root_errors, quarantine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Checked, Event
    from crypto_archive.jobs.report import Report
    from crypto_archive.model import ArchiveObject
    from crypto_archive.root.proof import Proof
    from crypto_archive.root.store import Root


def repair_events(
    configured: RunConfig,
    bad: Iterable[Checked],
    *,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    today: date | None = None,
) -> Run[Event, Report]:
    """Put aside what a verification found bad, and fetch it and what is missing again; iterate the run.

    Args:
        configured: Where the archive root is, and how objects are fetched.
        bad: The findings whose verdict is bad.
        cancellation: A token to stop the run from another thread.
        wait: Wait while another run holds the archive root.
        today: The current UTC day; read from the clock when not given.

    Raises:
        EnvironmentFailure: With the first event: there is no s5cmd, the root cannot be written to, or is held.
    """
    return Run(repairing(configured, [*bad], cancellation=cancellation, wait=wait, today=today))


def rebuild_manifest_events(
    configured: RunConfig, *, cancellation: Cancellation | None = None, wait: bool = False
) -> Run[Checked | Noticed, VerifyReport]:
    """Check every file on disk, and make the manifest anew from those that are sound; iterate the run.

    Args:
        configured: Where the archive root is.
        cancellation: A token to stop from another thread; nothing is changed then.
        wait: Wait while another run holds the archive root.

    Raises:
        EnvironmentFailure: With the first event: there is no such root, it cannot be written to, or is held.
    """
    existing_root(configured)
    return Run(rebuilding(configured, cancellation=cancellation, wait=wait))


PURPOSE = "verify --repair"


def repairing(
    configured: RunConfig,
    bad: Sequence[Checked],
    *,
    cancellation: Cancellation | None = None,
    today: date | None = None,
    wait: bool = False,
) -> Generator[Event, None, Report]:
    """Move bad files into quarantine, then collect exactly the objects that are bad or missing, without a limit.

    Args:
        configured: Where the archive root is, and how objects are fetched.
        bad: What verification found.
        cancellation: A token to stop the run from outside.
        today: The current UTC day; read from the clock when not given.
        wait: Wait while another run holds the archive root.

    Raises:
        S5cmdUnusable: There is no s5cmd that can be used.
        RootUnusable: The archive root cannot be written to.
        RootLocked: Another run holds the archive root, and it is not to be waited for.
        EnvironmentFailure: An s5cmd of an earlier run cannot be ended, or too few files may be open at once.
    """
    context = Context.of(configured, today=today, cancellation=cancellation)
    cancellation = context.cancellation
    with lock_root(context, PURPOSE, wait=wait, tidy=False) as session:
        if not (yield from session.acquire()):
            bad = ()
        for finding in bad:
            file = _stored(session.root, finding.object_key)
            if file is not None:
                quarantine(session.root, file, finding.object_key, finding.reason, "verify")
    found = (configured.matrix.object_of(finding.object_key) for finding in bad)
    objects = tuple(item for item in found if item is not None)
    configured = replace(configured, request=replace(configured.request, budget=Budget()))
    return (yield from collecting(configured, source=objects, cancellation=cancellation, today=today, wait=wait))


def _stored(root: Root, key: str) -> Path | None:
    try:
        file = root.file(key)
    except NoPlace:
        return None
    return file if file.is_file() else None


REBUILD_PURPOSE = "verify --rebuild-manifest"
RUN_ID = "rebuilt"
"""Stands in place of a run's name in rows that no run has written."""

_SUFFIXES = ("", "-wal", "-shm")


def rebuilding(
    configured: RunConfig,
    *,
    cancellation: Cancellation | None = None,
    wait: bool = False,
) -> Generator[Checked | Noticed, None, VerifyReport]:
    """Check every file below ``data/`` and write those that are sound into a new manifest; yield each finding.

    The old manifest, damaged or not, stays beside the new one under another name, and takes its place only once all
    files are checked: a rebuild that is interrupted changes nothing. Files are read, never written. What only the old
    manifest knew is not in the new one: LastModified, the ETags of uploads in parts, former digests, and what the
    archive was seen not to have. A file whose sidecar does not vouch for it is not
    recorded, since nobody knows any more whether the sidecar or the file is to blame.

    Args:
        configured: Where the archive root is, and the matrix that knows its keys.
        cancellation: A token to stop from outside.
        wait: Wait while another run holds the archive root.

    Raises:
        RootUnusable: There is no such root, it cannot be written to, or its disk is full.
        RootLocked: Another run holds the archive root, and it is not to be waited for.
    """
    context = Context.of(configured, root=existing_root(configured), cancellation=cancellation)
    root, cancellation = context.root, context.cancellation
    report = VerifyReport(str(root.path))
    started = time.monotonic()
    with lock_root(context, REBUILD_PURPOSE, wait=wait, tidy=False) as session, ExitStack() as held:
        if not (yield from session.acquire()):
            report.finish(time.monotonic() - started, interrupted_by=cancellation.signal_number)
            return report
        draft = root.private / "manifest.rebuilt"
        held.callback(_discard, draft)
        _discard(draft)
        subjects = stored_objects(root, StoredFiles(root), configured.matrix)
        with explain_root_errors(root), Manifest(draft) as manifest:
            for item, proof in proven(root, takewhile(lambda _: not cancellation.requested.is_set(), subjects)):
                if not proof.verdict.is_bad:
                    manifest.record(_entry(root, item, proof))
                finding = finding_of(item, proof)
                report.add(finding)
                yield finding
        if not cancellation.requested.is_set():
            yield from _taken_place(root, draft)
    report.finish(time.monotonic() - started, interrupted_by=cancellation.signal_number)
    return report


def _entry(root: Root, item: ArchiveObject, proof: Proof) -> ManifestEntry:
    written = datetime.fromtimestamp(root.file(item.key).stat().st_mtime, UTC)
    digest = proof.digest
    return ManifestEntry(item.key, digest.size, digest.sha256, proof.verdict, digest.md5, None, written, RUN_ID)


def _taken_place(root: Root, draft: Path) -> Iterator[Noticed]:
    """Put the new manifest in place of the old one, which is kept under the first free name."""
    old = root.manifest_path
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    kept = free_name(old.with_name(f"{old.name}.{stamp}")) if os.path.lexists(old) else None
    with explain_root_errors(root):
        for suffix in _SUFFIXES:
            if kept is not None and os.path.lexists(f"{old}{suffix}"):
                old.with_name(old.name + suffix).replace(kept.with_name(kept.name + suffix))
        draft.replace(old)
    if kept is not None:
        yield Noticed(Notice(f"the former manifest is kept as {kept}"))
    yield Noticed(Notice(f"the manifest was made anew from the files: {old}"))


def _discard(draft: Path) -> None:
    for suffix in _SUFFIXES:
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
