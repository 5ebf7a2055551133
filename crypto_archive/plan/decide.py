"""What is to be done to each object, and why; and the batches of what is to be fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.model import Action, Batch, ManifestEntry, PlannedObject, RemoteStat, StoredStat, Verdict
from crypto_archive.root.proof import prove

if TYPE_CHECKING:
    from crypto_archive.config.run_config import Fetching
    from crypto_archive.model import Candidate, Pin
    from crypto_archive.root.store import Root

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
        stored: Looks up what is on disk; raises ValueError for what can have no place there.
        fetching: Whether present objects are skipped, and whether sidecars are wanted.
        adopt: Looks at files that the manifest does not know, such as those of a run that was killed before it could
            record them, or of another tool; without it their size is believed.
    """
    for candidate in candidates:
        item, remote = candidate.object, candidate.remote
        with_sidecar = fetching.download_checksum and (remote is None or remote.has_sidecar)
        try:
            there = stored(item.key)
        except ValueError as error:  # it could be stored nowhere, so that it need not be fetched
            yield PlannedObject(item, Action.REFUSE, str(error), with_sidecar, remote, pin=candidate.pin)
            continue
        adopted = None
        if candidate.pin is not None:
            action, why, adopted = _decide_pinned(candidate, candidate.pin, there, fetching, adopt)
        else:
            action, why = _decide(candidate, there, fetching)
            if action is Action.KEEP and adopt is not None and there is not None and there.recorded is None:
                adopted = adopt(item.key, remote)
                if adopted is None:
                    action, why = Action.FETCH, "on disk, but not the bytes that sidecar or listing vouch for"
        size = there.size if there else 0
        yield PlannedObject(
            item, action, why, with_sidecar, remote, size, adopted, candidate.covers, candidate.pin,
            _digest(remote, there),
        )  # fmt: skip


def is_held(stored: StoredStat | None, pin: Pin) -> bool:
    """Whether the file at the final path is known to be the pinned bytes.

    By its digest, where the lock has one; else by size and ETag. The manifest has to know the file.
    """
    known = stored.recorded if stored is not None else None
    if stored is None or known is None or not stored.size == known.size == pin.size:
        return False
    return known.sha256 == pin.sha256 if pin.sha256 else known.etag == pin.etag


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


def _decide_pinned(
    candidate: Candidate, pin: Pin, stored: StoredStat | None, fetching: Fetching, adopt: Adopt | None
) -> tuple[Action, str, ManifestEntry | None]:
    """Decide on an object of which only certain bytes will do; a file that has them stays, whatever the archive has."""
    adopted = None
    held = is_held(stored, pin)
    if stored is not None and stored.recorded is None and stored.size == pin.size:
        adopted = _adopted_as(pin, stored, candidate.object.key, adopt)
        held = adopted is not None or adopt is None
    if held and (candidate.action is not None or fetching.skips_present):
        return Action.KEEP, "there, as locked", adopted
    if candidate.action is not None:
        return candidate.action, candidate.why, None
    if held:
        return Action.FETCH, "forced" if fetching.force else "resume is off", None
    if stored is not None:
        return Action.UPDATE, "not known to be the locked bytes", None
    return Action.FETCH, "not there", None


def _adopted_as(pin: Pin, stored: StoredStat, key: str, adopt: Adopt | None) -> ManifestEntry | None:
    """Prove that a file which the manifest does not know is the pinned bytes: by its digest, or the MD5 in the ETag."""
    entry = adopt(key, None) if adopt is not None else None
    if entry is None or not is_held(StoredStat(stored.size, entry), pin):
        return None
    return replace(entry, etag=pin.etag, last_modified=pin.last_modified)


def _digest(remote: RemoteStat | None, stored: StoredStat | None) -> str:
    """Return the digest of what the listing speaks of, where the manifest knows the very same of a file."""
    known = stored.recorded if stored is not None else None
    if remote is None or stored is None or known is None:
        return ""
    return known.sha256 if (known.size, known.etag) == (remote.size, remote.etag) and stored.size == known.size else ""


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


@dataclass(frozen=True, slots=True)
class Adopter:
    """Proves files of one root on behalf of one run.

    Attributes:
        root: The archive root.
        run_id: The run, for the manifest.
        wants_sidecars: Whether objects are to be proven by their sidecars.
    """

    root: Root
    run_id: str
    wants_sidecars: bool

    def __call__(self, key: str, remote: RemoteStat | None) -> ManifestEntry | None:
        """Return what the manifest is to remember of a file; None where sidecar or listing contradict its bytes."""
        path, sidecar = self.root.file(key), self.root.file(sidecar_key(key))
        try:
            proof = prove(path, sidecar if sidecar.is_file() else None, path.name, remote, wanted=self.wants_sidecars)
        except OSError:  # gone, or not to be read: a new download is the cure
            return None
        if proof.verdict is Verdict.CORRUPT:
            return None
        return ManifestEntry(
            key=key,
            size=proof.digest.size,
            sha256=proof.digest.sha256,
            verdict=proof.verdict,
            etag=remote.etag if remote else proof.digest.md5,
            last_modified=remote.last_modified if remote else None,
            fetched_at=datetime.now(UTC),
            run_id=self.run_id,
        )


def batches(planned: Iterable[PlannedObject], batch_size: int) -> Iterator[Batch]:
    """Yield batches of at most ``batch_size`` copy commands, zip and sidecar each counted.

    A batch never mixes market and data type. An object is never split: where ``batch_size`` is 1, a batch is one
    object, and its commands go to run-files of one command each.

    Args:
        planned: The objects to fetch.
        batch_size: Copy commands a run-file.
    """
    numbers = count(1)
    items: list[PlannedObject] = []
    commands = 0
    for item in planned:
        if items and (commands + len(item.keys) > batch_size or not _alike(items[-1], item)):
            yield Batch(next(numbers), tuple(items))
            items, commands = [], 0
        items.append(item)
        commands += len(item.keys)
    if items:
        yield Batch(next(numbers), tuple(items))


def _alike(one: PlannedObject, other: PlannedObject) -> bool:
    series, another = one.object.series, other.object.series
    return series.market == another.market and series.data_type == another.data_type
