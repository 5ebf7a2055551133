"""What to do about each object, and why; and the batches of what is to be fetched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.model import Action, Batch, ManifestEntry, PlannedObject, RemoteStat, StoredStat, Verdict
from crypto_archive.root.proof import prove

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.model import Candidate
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context

Decision = tuple[Action, str, ManifestEntry | None]
"""What to do, why, and the new manifest entry of a file that has just been proven."""


def decide(
    context: Context, candidates: Iterable[Candidate], stored: StoredFiles, *, run_id: str | None = None
) -> Iterator[PlannedObject]:
    """Decide on each candidate as it comes.

    Args:
        context: The context of the job.
        candidates: The objects, with what is known of them in the archive.
        stored: Looks up what is on disk.
        run_id: The run that adopts sound files which the manifest does not know, such as those of a run that was killed
            before it could record them, or of another tool; None to believe their size.
    """
    fetching = context.request.fetching
    for candidate in candidates:
        item, remote, pin = candidate.object, candidate.remote, candidate.pin
        with_sidecar = fetching.download_checksum and (remote is None or remote.has_sidecar)
        try:
            file = stored.stat(item.key)
        except ValueError as error:  # no file can have this key, so that it need not be fetched
            yield PlannedObject(item, Action.REFUSE, str(error), with_sidecar, remote, pin=pin)
            continue
        if pin is None:
            action, why, adopted = _decide(context, candidate, file, run_id)
        else:
            action, why, adopted = _decide_pinned(context, candidate, pin, file, run_id)
        size = file.size if file else 0
        remote = _with_digest(remote, file)
        since = candidate.awaited_since
        yield PlannedObject(item, action, why, with_sidecar, remote, size, adopted, candidate.covers, pin, since)


def _decide(context: Context, candidate: Candidate, file: StoredStat | None, run_id: str | None) -> Decision:
    """Decide on an object of which any proven bytes will do."""
    remote, fetching = candidate.remote, context.request.fetching
    if candidate.action is not None and (file is None or candidate.action.transfers):
        return candidate.action, candidate.why, None
    if file is None:
        return Action.FETCH, candidate.why or "not there", None
    recorded = file.recorded
    if remote is not None and (change := _change(remote, file)):
        return Action.UPDATE, change, None
    if recorded is not None and recorded.size != file.size:
        return Action.FETCH, f"{file.size} bytes on disk, {recorded.size} in the manifest", None
    lacks_sidecar = recorded is not None and recorded.verdict is Verdict.SIDECAR_MISSING
    if remote is not None and remote.has_sidecar and fetching.download_checksum and lacks_sidecar:
        return Action.FETCH, "its sidecar is available now", None
    if not fetching.skips_present:
        return Action.FETCH, "forced" if fetching.force else "resume is off", None
    if recorded is not None or run_id is None:
        return Action.KEEP, "there", None
    adopted = adopt(context, candidate.object.key, remote, run_id)
    if adopted is None:
        return Action.FETCH, "on disk, but its bytes do not match sidecar or listing", None
    return Action.KEEP, "there", adopted


def _decide_pinned(
    context: Context, candidate: Candidate, pin: RemoteStat, file: StoredStat | None, run_id: str | None
) -> Decision:
    """Decide on an object of which only certain bytes will do; a file that has them stays, whatever the archive has."""
    fetching, adopted = context.request.fetching, None
    is_pinned = has_pinned_bytes(file, pin)
    if file is not None and file.recorded is None and file.size == pin.size:
        is_pinned = run_id is None
        # Proven without the listing, which may know other bytes by now: by the digest, or by the MD5 in the ETag.
        entry = adopt(context, candidate.object.key, None, run_id) if run_id is not None else None
        if entry is not None and has_pinned_bytes(StoredStat(file.size, entry), pin):
            is_pinned, adopted = True, replace(entry, etag=pin.etag, last_modified=pin.last_modified)
    if is_pinned and (candidate.action is not None or fetching.skips_present):
        return Action.KEEP, "there, as locked", adopted
    if candidate.action is not None:
        return candidate.action, candidate.why, None
    if is_pinned:
        return Action.FETCH, "forced" if fetching.force else "resume is off", None
    if file is not None:
        return Action.UPDATE, "not known to be the locked bytes", None
    return Action.FETCH, "not there", None


def has_pinned_bytes(file: StoredStat | None, pin: RemoteStat) -> bool:
    """Whether a file is known to be the pinned bytes: by its digest, where the lock has one; else by size and ETag.

    The manifest has to know the file.
    """
    known = file.recorded if file is not None else None
    if file is None or known is None or not file.size == known.size == pin.size:
        return False
    return known.sha256 == pin.sha256 if pin.sha256 else known.etag == pin.etag


def _with_digest(remote: RemoteStat | None, file: StoredStat | None) -> RemoteStat | None:
    """Return what the listing says with the digest, where these very bytes are on disk and in the manifest."""
    known = file.recorded if file is not None else None
    if remote is None or file is None or known is None:
        return remote
    if (known.size, known.etag) != (remote.size, remote.etag) or file.size != known.size:
        return remote
    return RemoteStat(remote.size, remote.etag, remote.last_modified, remote.has_sidecar, known.sha256)


def _change(remote: RemoteStat, file: StoredStat) -> str | None:
    """Return how the archive's object differs from the stored one; None where nothing tells them apart."""
    known = file.recorded
    if known is None:
        return None if remote.size == file.size else f"{file.size} bytes on disk, {remote.size} in the archive"
    if remote.size != known.size:
        return f"{known.size} bytes so far, {remote.size} in the archive"
    # The MD5 in place of an unknown ETag says nothing about a multi-part upload.
    comparable = known.last_modified is not None or "-" not in remote.etag
    if known.etag and comparable and known.etag != remote.etag:
        return "another ETag in the archive"
    if known.last_modified is not None and known.last_modified != remote.last_modified:
        return "another LastModified in the archive"
    return None


def adopt(context: Context, key: str, remote: RemoteStat | None, run_id: str) -> ManifestEntry | None:
    """Prove a file that the manifest does not know; return its new entry, None if sidecar or listing contradict it."""
    path, sidecar = context.root.file(key), context.root.file(sidecar_key(key))
    wanted = context.request.fetching.download_checksum
    try:
        proof = prove(path, sidecar if sidecar.is_file() else None, path.name, remote, wanted=wanted)
    except OSError:  # gone, or unreadable: a new download is the cure
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
        run_id=run_id,
    )


def batches(planned: Iterable[PlannedObject], batch_size: int) -> Iterator[Batch]:
    """Yield batches of at most ``batch_size`` copy commands, zip and sidecar each counted.

    A batch never mixes market and data type. An object is never split: where ``batch_size`` is 1, a batch is one
    object, and its commands go to run-files of one command each.
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
