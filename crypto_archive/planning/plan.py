"""What is to be done to each object, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from crypto_archive.model import Action, ManifestEntry, PlannedObject, RemoteStat, StoredStat, Verdict

if TYPE_CHECKING:
    from crypto_archive.model import Candidate
    from crypto_archive.request import Fetching

Adopt = Callable[[str, RemoteStat | None], ManifestEntry | None]
"""Proves a file that the manifest does not know; None where sidecar or listing contradict its bytes."""
Stored = Callable[[str], StoredStat | None]
"""Says what is at the final path of a key, None where there is nothing."""


def plan(
    candidates: Iterable[Candidate], stored: Stored, fetching: Fetching, adopt: Adopt | None = None
) -> Iterator[PlannedObject]:
    """Decide on each candidate as it comes.

    Args:
        candidates: The objects, with what the listing says of them.
        stored: Looks up what is on disk.
        fetching: Whether present objects are skipped, and whether sidecars are wanted.
        adopt: Looks at files that the manifest does not know, such as those of a run that was killed before it could
            record them, or of another tool; without it their size is believed.
    """
    for candidate in candidates:
        item, remote = candidate.object, candidate.remote
        with_sidecar = fetching.download_checksum and (remote is None or remote.has_sidecar)
        there = stored(item.key)
        action, why = _decide(candidate, there, fetching)
        adopted = None
        if action is Action.KEEP and adopt is not None and there is not None and there.recorded is None:
            adopted = adopt(item.key, remote)
            if adopted is None:
                action, why = Action.FETCH, "on disk, but not the bytes that sidecar or listing vouch for"
        size = there.size if there else 0
        yield PlannedObject(item, action, why, with_sidecar, remote, size, adopted, candidate.covers, candidate.pin)


def _decide(candidate: Candidate, stored: StoredStat | None, fetching: Fetching) -> tuple[Action, str]:
    remote = candidate.remote
    if stored is None and candidate.action is not None:
        return candidate.action, candidate.why
    if stored is None:
        return Action.FETCH, "not there"
    if remote is not None:
        changed = _changed(remote, stored)
        if changed:
            return Action.UPDATE, changed
    if stored.recorded is not None and stored.recorded.size != stored.size:
        return Action.FETCH, f"{stored.size} bytes on disk, {stored.recorded.size} in the manifest"
    if remote is not None and remote.has_sidecar and fetching.download_checksum and _lacks_sidecar(stored):
        return Action.FETCH, "its sidecar is there now"
    if not fetching.skips_present:
        return Action.FETCH, "forced" if fetching.force else "resume is off"
    return Action.KEEP, "there"


def _changed(remote: RemoteStat, stored: StoredStat) -> str:
    """Say in what the archive's object differs from the stored one; empty where nothing tells them apart."""
    known = stored.recorded
    if known is None:
        return "" if remote.size == stored.size else f"{stored.size} bytes on disk, {remote.size} in the archive"
    if remote.size != known.size:
        return f"{known.size} bytes so far, {remote.size} in the archive"
    # The MD5 that stands for an unknown ETag says nothing of an object that was uploaded in parts.
    comparable = known.last_modified is not None or "-" not in remote.etag
    if known.etag and comparable and known.etag != remote.etag:
        return "another ETag in the archive"
    if known.last_modified is not None and known.last_modified != remote.last_modified:
        return "another LastModified in the archive"
    return ""


def _lacks_sidecar(stored: StoredStat) -> bool:
    return stored.recorded is not None and stored.recorded.verdict is Verdict.SIDECAR_MISSING
