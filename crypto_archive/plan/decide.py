"""What to do about each object, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.model import (
    Action,
    Candidate,
    ManifestEntry,
    PlannedObject,
    RemoteStat,
    StoredStat,
    Verdict,
    is_md5,
)
from crypto_archive.root.proof import prove, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.model import Period
    from crypto_archive.plan.candidates import CalendarSeries
    from crypto_archive.root.presence import StoredFiles
    from crypto_archive.root.session import Context


class Decision(NamedTuple):
    """What to do, why, and what is to be recorded of a file that stays: as ``PlannedObject`` has them."""

    action: Action
    why: str
    adopted: ManifestEntry | None = None
    noted: ManifestEntry | None = None


@dataclass(frozen=True, slots=True)
class AlikeObjects:
    """The objects of a series that the calendar allows, none of which is on disk: all are to be fetched.

    Attributes:
        first: The first of them.
        series: All of them.
    """

    first: PlannedObject
    series: CalendarSeries

    def __iter__(self) -> Iterator[PlannedObject]:
        _, action, why, with_sidecar, *_ = self.first
        return (PlannedObject(item, action, why, with_sidecar) for item in self.series)

    def __len__(self) -> int:
        return len(self.series.dated)

    @property
    def last(self) -> Period:
        """The last period."""
        return next(reversed(self.series.dated.values()))


def decide_series(context: Context, series: CalendarSeries, stored: StoredFiles) -> Iterable[PlannedObject]:
    """Decide on the objects of a series that the calendar allows: together, if none of them can be on disk."""
    decided = decide(context, map(Candidate, series), stored)
    head, tail = series.row.key_pattern.ends(series.partition, series.symbol, series.interval)
    if series.dated and "/" not in tail and stored.has_none(head):
        return AlikeObjects(next(decided), series)
    return decided


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
    wants_sidecars, skips_present = fetching.download_checksum, fetching.skips_present
    fetch, keep, proven = Action.FETCH, Action.KEEP, Verdict.OK
    new = tuple.__new__  # in half the time of a named tuple's own, which is a Python function
    for candidate in candidates:
        item, remote, covers, pin, certain, reason, awaited_since, look = candidate
        with_sidecar = wants_sidecars and (remote is None or remote.has_sidecar)
        try:
            size = stored.size(item.key)
        except ValueError as error:  # no file can have this key, so that it need not be fetched
            yield PlannedObject(item, Action.REFUSE, str(error), with_sidecar, remote, pin=pin)
            continue
        if size is None:  # of most objects nothing more is to be known
            action, why = (fetch, reason or "not there") if certain is None else (certain, reason)
            yield PlannedObject(
                item, action, why, with_sidecar, remote, 0, None, covers, pin, awaited_since, None, None, look
            )
            continue
        if pin is None and certain is None and skips_present:  # so does what is as it was, and that is all but a few
            digest = stored.digest(item.key, size, remote)
            if digest is not None:
                if remote is not None:
                    known_size, etag, modified, has_sidecar, _, sidecar_etag = remote
                    remote = new(RemoteStat, (known_size, etag, modified, has_sidecar, digest, sidecar_etag))
                kept = item, keep, "there", with_sidecar, remote, size, None, covers, None
                yield new(PlannedObject, (*kept, awaited_since, proven, None, look))
                continue
        file = StoredStat(size, stored.recorded(item.key))
        if pin is None:
            action, why, adopted, noted = _decide(context, candidate, file, stored, run_id, with_sidecar=with_sidecar)
        else:
            action, why, adopted, noted = _decide_pinned(context, candidate, pin, file, run_id)
        known = adopted or file.recorded
        verdict = known.verdict if known is not None and not action.downloads else None
        yield PlannedObject(
            item, action, why, with_sidecar, _with_digest(remote, file), file.size, adopted, covers, pin,
            awaited_since, verdict, noted, look,
        )  # fmt: skip


def _decide(
    context: Context,
    candidate: Candidate,
    file: StoredStat,
    stored: StoredFiles,
    run_id: str | None,
    *,
    with_sidecar: bool,
) -> Decision:
    """Decide on a file of which any proven bytes will do."""
    remote, fetching = candidate.remote, context.request.fetching
    if candidate.action is not None and candidate.action.transfers:
        return Decision(candidate.action, candidate.why)
    recorded = file.recorded
    if remote is not None and (change := _change(remote, file)):
        return Decision(Action.UPDATE, change)
    if recorded is not None and recorded.size != file.size:
        return Decision(Action.FETCH, f"{file.size} bytes on disk, {recorded.size} in the manifest")
    if not fetching.skips_present:
        return Decision(Action.FETCH, "forced" if fetching.force else "resume is off")
    if recorded is not None:
        return _decide_recorded(recorded, remote, candidate.object.key, stored, with_sidecar=with_sidecar)
    if run_id is None:
        return Decision(Action.KEEP, "there, not verified yet")
    return _adopt(context, candidate.object.key, remote, run_id, with_sidecar=with_sidecar)


def _decide_recorded(
    known: ManifestEntry, remote: RemoteStat | None, key: str, stored: StoredFiles, *, with_sidecar: bool
) -> Decision:
    """Decide on a file of the archive's bytes: its sidecar may be new, and the listing may say more of them."""
    if remote is None:
        return _THERE
    noted = known
    if known.last_modified != remote.last_modified and is_md5(remote.etag) and known.etag == remote.etag:
        noted = noted._replace(last_modified=remote.last_modified)
    if with_sidecar and known.sidecar_etag is None and known.verdict in _WITHOUT_SIDECAR:
        return Decision(Action.CHECK, "its sidecar is available now")
    if with_sidecar and remote.sidecar_etag is not None and known.sidecar_etag != remote.sidecar_etag:
        # What earlier versions recorded lacks the ETag, but the sidecar on disk has it as its MD5: nothing is fetched.
        etag = known.sidecar_etag or stored.sidecar_etag(key)
        if etag is not None and etag != remote.sidecar_etag and (known.sidecar_etag or is_md5(remote.sidecar_etag)):
            return Decision(Action.CHECK, "another sidecar in the archive")
        if etag is not None:
            noted = noted._replace(sidecar_etag=remote.sidecar_etag)
    return _THERE if noted is known else Decision(Action.KEEP, "there", noted=noted)


_THERE = Decision(Action.KEEP, "there")
_WITHOUT_SIDECAR = frozenset({Verdict.SIDECAR_MISSING, Verdict.UNPROVEN})


def _decide_pinned(
    context: Context, candidate: Candidate, pin: RemoteStat, file: StoredStat, run_id: str | None
) -> Decision:
    """Decide on a file of which only certain bytes will do; one that has them stays, whatever the archive has."""
    fetching, adopted = context.request.fetching, None
    is_pinned = has_pinned_bytes(file, pin)
    if file.recorded is None and file.size == pin.size:
        is_pinned = run_id is None
        # Proven without the listing, which may know other bytes by now: by the digest, or by the MD5 in the ETag.
        found = _adopt(context, candidate.object.key, None, run_id, with_sidecar=False) if run_id is not None else None
        if found and found.adopted and has_pinned_bytes(StoredStat(file.size, found.adopted), pin):
            is_pinned, adopted = True, found.adopted
            if not is_md5(pin.etag) or pin.etag == adopted.etag:
                adopted = adopted._replace(etag=pin.etag, last_modified=pin.last_modified)
    if is_pinned and (candidate.action is not None or fetching.skips_present):
        return Decision(Action.KEEP, "there, as locked", adopted)
    if candidate.action is not None:
        return Decision(candidate.action, candidate.why)
    if is_pinned:
        return Decision(Action.FETCH, "forced" if fetching.force else "resume is off")
    return Decision(Action.UPDATE, "not known to be the locked bytes")


def has_pinned_bytes(file: StoredStat | None, pin: RemoteStat) -> bool:
    """Whether a file is known to be the pinned bytes: by its digest, where the lock has one; else by size and ETag.

    The manifest has to know the file.
    """
    known = file.recorded if file is not None else None
    if file is None or known is None or not file.size == known.size == pin.size:
        return False
    return known.sha256 == pin.sha256 if pin.sha256 else known.etag == pin.etag


def _with_digest(remote: RemoteStat | None, file: StoredStat) -> RemoteStat | None:
    """Return what the listing says with the digest, where these very bytes are on disk and in the manifest."""
    known = file.recorded
    if remote is None or known is None:
        return remote
    if (known.size, known.etag) != (remote.size, remote.etag) or file.size != known.size:
        return remote
    return RemoteStat(
        remote.size, remote.etag, remote.last_modified, remote.has_sidecar, known.sha256, remote.sidecar_etag
    )


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
    if known.last_modified is not None and known.last_modified != remote.last_modified and not is_md5(remote.etag):
        return "another LastModified in the archive"
    return None


def _adopt(context: Context, key: str, remote: RemoteStat | None, run_id: str, *, with_sidecar: bool) -> Decision:
    """Decide on a file that the manifest does not know, of a run that was killed or of another tool.

    It stays if its own sidecar and the listing confirm it. Without a sidecar, or with another than the archive has,
    that is fetched first, and the file is hashed when it has arrived.
    """
    path, sidecar = context.root.file(key), context.root.file(sidecar_key(key))
    has_sidecar = sidecar.is_file()
    if with_sidecar and not has_sidecar:
        return Decision(Action.CHECK, "on disk without its sidecar")
    try:
        proof = prove(path, sidecar if has_sidecar else None, path.name, remote)
    except OSError:  # gone, or unreadable: a new download is the cure
        return Decision(Action.FETCH, "on disk, but it cannot be read")
    if proof.as_listed is False and proof.sidecar is Verdict.OK:
        return Decision(Action.UPDATE, "on disk with other bytes than the archive has now")
    listed = remote.sidecar_etag if remote is not None and with_sidecar else None
    if proof.as_listed is not False and listed and is_md5(listed) and proof.sidecar_etag != listed:
        return Decision(Action.CHECK, "another sidecar in the archive")
    if proof.verdict is Verdict.CORRUPT and proof.as_listed and listed:
        proof = settled(proof, path, path.name)  # zip and sidecar are both what the archive has
    if proof.verdict is Verdict.CORRUPT:
        return Decision(Action.FETCH, "on disk, but its bytes do not match sidecar or listing")
    known = proof.provenance(remote)
    adopted = ManifestEntry(
        key=key,
        size=proof.digest.size,
        sha256=proof.digest.sha256,
        verdict=proof.verdict,
        etag=known.etag if known else proof.digest.md5,
        last_modified=known.last_modified if known else None,
        fetched_at=datetime.now(UTC),
        run_id=run_id,
        sidecar_etag=proof.sidecar_etag,
    )
    return Decision(Action.KEEP, "there", adopted)
