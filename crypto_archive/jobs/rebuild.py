"""Rebuild: make the manifest anew from the files on disk, whatever has become of the old one."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import count, takewhile
from typing import TYPE_CHECKING

from crypto_archive.events import Noticed
from crypto_archive.jobs.placing import confirm_layout
from crypto_archive.jobs.verify import existing_root, finding_of, proven, stored_objects
from crypto_archive.model import ManifestEntry, Notice
from crypto_archive.report.checks import VerifyReport
from crypto_archive.transfer.cancellation import Cancellation
from crypto_archive.trust.lock import wait_for
from crypto_archive.trust.manifest import Manifest
from crypto_archive.trust.parts import hold_whole
from crypto_archive.trust.presence import StoredFiles
from crypto_archive.trust.store import explained, open_root

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from crypto_archive.config import Configured
    from crypto_archive.events import Checked
    from crypto_archive.model import ArchiveObject
    from crypto_archive.trust.proof import Proof
    from crypto_archive.trust.store import Root

PURPOSE = "verify --rebuild-manifest"
RUN_ID = "rebuilt"
"""Stands in place of a run's name in rows that no run has written."""

_SUFFIXES = ("", "-wal", "-shm")


def rebuild(
    configured: Configured,
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
    root = existing_root(configured)
    root = open_root(root.path, root.layout)
    cancellation = cancellation or Cancellation()
    report = VerifyReport(str(root.path))
    started = time.monotonic()
    with ExitStack() as held:
        attempt = partial(hold_whole, root, PURPOSE)
        if (yield from wait_for(held, attempt, cancellation.requested, wait=wait)) is None:
            report.finish(time.monotonic() - started, interrupted_by=cancellation.signal_number)
            return report
        confirm_layout(root)
        draft = root.private / "manifest.rebuilt"
        held.callback(_discard, draft)
        _discard(draft)
        subjects = stored_objects(root, StoredFiles(root), configured.matrix)
        with explained(root), Manifest(draft) as manifest:
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
    kept = _free_name(old) if os.path.lexists(old) else None
    with explained(root):
        for suffix in _SUFFIXES:
            if kept is not None and os.path.lexists(f"{old}{suffix}"):
                old.with_name(old.name + suffix).replace(kept.with_name(kept.name + suffix))
        draft.replace(old)
    if kept is not None:
        yield Noticed(Notice(f"the former manifest is kept as {kept}"))
    yield Noticed(Notice(f"the manifest was made anew from the files: {old}"))


def _free_name(old: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (f"{old.name}.{stamp}" + (f".{number}" if number > 1 else "") for number in count(1))
    return next(path for path in map(old.with_name, names) if not os.path.lexists(path))


def _discard(draft: Path) -> None:
    for suffix in _SUFFIXES:
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
