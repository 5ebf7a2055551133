"""Repair what a check found bad, and rebuild a lost manifest from the files."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.config.run_config import Budget
from crypto_archive.errors import ManifestUnreadable
from crypto_archive.events import Noticed
from crypto_archive.files import free_name
from crypto_archive.jobs.collect import collecting
from crypto_archive.jobs.run import Run
from crypto_archive.jobs.verify import VerifyReport, check_files, finding_of, stored_objects
from crypto_archive.model import Action, Candidate, ManifestEntry, Notice, Verdict
from crypto_archive.root.layout import require_there
from crypto_archive.root.manifest import Awaited, Manifest
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import explain_root_errors, quarantine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from datetime import date
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Cancellation, Checked, Event
    from crypto_archive.jobs.report import Report
    from crypto_archive.model import ArchiveObject
    from crypto_archive.root.proof import Proof
    from crypto_archive.root.store import Root

REPAIR_PURPOSE = "verify --repair"
REBUILD_PURPOSE = "verify --rebuild-manifest"
REBUILT_RUN_ID = "rebuilt"
"""The run id of entries that no run has written."""
_KEPT_IN_PLACE = {Verdict.REPLACED: Action.UPDATE, Verdict.BAD_ZIP: Action.FETCH}
"""What is done about files of the archive's own bytes, which stay until there is something better."""
_SUFFIXES = ("", "-wal", "-shm")


def repair(
    config: RunConfig,
    bad: Iterable[Checked],
    *,
    on_event: Callable[[Event], object] | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    today: date | None = None,
) -> Report:
    """Move bad files into quarantine, download them and what is missing or replaced, and return that run's report.

    Nothing is deleted: bad files stay below ``.crypto-archive/quarantine``, each with the reason. A sound file that the
    archive has replaced stays in place until its successor is verified.

    Args:
        config: Where the archive root is, and how objects are fetched.
        bad: What a verification found bad, such as ``verify(config).bad``.
        on_event: Called in this thread with each event of the run.
        cancellation: A token that stops the run, from another thread or from ``on_event``.
        wait: Wait while another run holds the archive root.
        today: The current UTC day; read from the clock by default.

    Raises:
        RootLocked: Another run holds the archive root, and ``wait`` is False.
        EnvironmentFailure: There is no usable s5cmd, or the archive root cannot be written to.

    Example:
        >>> from crypto_archive import collect, load_preset, repair, verify
        >>> config = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-15", end="2025-07-15")
        >>> collect(config).status
        'success'
        >>> file, = config.request.root.rglob("*.zip")
        >>> _ = file.write_bytes(b"damaged")
        >>> found = verify(config)
        >>> found.status, repair(config, found.bad).status, verify(config).status
        ('bad', 'success', 'success')
    """
    return Run(repairing(config, [*bad], cancellation=cancellation, wait=wait, today=today)).finish(on_event)


def rebuild_manifest(
    config: RunConfig,
    *,
    on_event: Callable[[Checked | Noticed], object] | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
) -> VerifyReport:
    """Check every file on disk, make a new manifest from those that are sound, and return the report.

    Interrupted, it changes nothing. The old manifest is kept under another name.
    """
    return Run(rebuilding(config, cancellation=cancellation, wait=wait)).finish(on_event)


def repairing(
    config: RunConfig,
    bad: Sequence[Checked],
    *,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    today: date | None = None,
) -> Generator[Event, None, Report]:
    """Move bad files into quarantine, then collect exactly the objects that are bad or missing, without a limit."""
    context = Context.of(config, today=today, cancellation=cancellation)
    with lock_root(context, REPAIR_PURPOSE, wait=wait, tidy=False) as session:
        if not (yield from session.acquire()):
            bad = ()
        for finding in bad:
            try:
                file = session.root.file(finding.object_key)
            except NoPlace:  # the layout has no path for it, so there is no file either
                continue
            if file.is_file() and finding.verdict not in _KEPT_IN_PLACE:
                quarantine(session.root, file, finding.object_key, finding.reason, "verify")
    found = ((config.matrix.object_of(finding.object_key), finding) for finding in bad)
    source = tuple(_to_repair(item, finding) for item, finding in found if item is not None)
    unlimited = replace(config, request=replace(config.request, budget=Budget()))
    return (
        yield from collecting(
            unlimited, source=source, cancellation=context.cancellation, today=context.today, wait=wait
        )
    )


def _to_repair(item: ArchiveObject, finding: Checked) -> Candidate:
    """Return a bad object as what to fetch; a sound file may look to the plan as if it were the archive's own."""
    return Candidate(item, finding.remote, action=_KEPT_IN_PLACE.get(finding.verdict), why=finding.reason)


def rebuilding(
    config: RunConfig, *, cancellation: Cancellation | None = None, wait: bool = False
) -> Generator[Checked | Noticed, None, VerifyReport]:
    """Check every file below ``data/`` and write those that are sound into a new manifest; yield each finding.

    What only the old manifest knew is lost: LastModified, the ETags of multipart uploads, former digests, and what the
    archive was seen not to have. What runs wait for is kept if the old manifest can be read. A file that its sidecar
    contradicts is not recorded, since without the old manifest it is unknown which of the two is wrong.
    """
    started = time.monotonic()
    context = Context.of(config, cancellation=cancellation)
    require_there(context.root)
    root = context.root
    report = VerifyReport(str(root.path))
    with lock_root(context, REBUILD_PURPOSE, wait=wait, tidy=False) as session, ExitStack() as held:
        if (yield from session.acquire()):
            draft = root.private / "manifest.rebuilt"
            held.callback(_discard, draft)
            _discard(draft)
            with explain_root_errors(root), Manifest(draft) as manifest:
                for one in _awaited_so_far(root):
                    manifest.record_awaited(one)
                for expected, proof in check_files(context, stored_objects(context)):
                    if not proof.verdict.is_bad or proof.verdict.is_upstream:
                        manifest.record(_entry(root, expected.object, proof))
                    finding = finding_of(expected, proof)
                    report.add(finding)
                    yield finding
            if not context.cancelled.is_set():  # only now, so that an interrupted rebuild changes nothing
                kept = _replace_manifest(root, draft)
                if kept is not None:
                    yield Noticed(Notice(f"the former manifest is kept as {kept}"))
                yield Noticed(Notice(f"the manifest was rebuilt from the files: {root.manifest_path}"))
    report.finish(time.monotonic() - started, interrupted_by=context.cancellation.signal_number)
    return report


def _awaited_so_far(root: Root) -> list[Awaited]:
    try:
        with Manifest(root.manifest_path, read_only=True) as former:
            return former.awaited()
    except ManifestUnreadable:
        return []


def _entry(root: Root, item: ArchiveObject, proof: Proof) -> ManifestEntry:
    written = datetime.fromtimestamp(root.file(item.key).stat().st_mtime, UTC)
    digest = proof.digest
    return ManifestEntry(
        item.key, digest.size, digest.sha256, proof.verdict, digest.md5, None, written, REBUILT_RUN_ID,
        proof.sidecar_etag,
    )  # fmt: skip


def _replace_manifest(root: Root, draft: Path) -> Path | None:
    """Put the new manifest in the place of the old one; return where that is kept, None if there was none."""
    old, kept = root.manifest_path, None
    if os.path.lexists(old):
        kept = free_name(old.with_name(f"{old.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
    with explain_root_errors(root):
        for suffix in _SUFFIXES:
            if kept is not None and os.path.lexists(f"{old}{suffix}"):
                old.with_name(old.name + suffix).replace(kept.with_name(kept.name + suffix))
        draft.replace(old)
    return kept


def _discard(draft: Path) -> None:
    for suffix in _SUFFIXES:
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
