"""Finish an object whose bytes are in staging: prove them, then publish, download again, or quarantine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.config.run_config import Via
from crypto_archive.errors import EndpointUnreachable
from crypto_archive.events import ObjectFinished
from crypto_archive.model import REPLACED, Action, Outcome, Verdict, is_md5
from crypto_archive.root.covered import month_days
from crypto_archive.root.proof import as_listed, prove, settled, with_md5
from crypto_archive.root.store import Refused, publish, publish_sidecar, quarantine
from crypto_archive.s5cmd.listing import list_objects

if TYPE_CHECKING:
    from crypto_archive.model import PlannedObject, RemoteStat
    from crypto_archive.root.proof import Digest, Proof
    from crypto_archive.root.session import Context
    from crypto_archive.root.store import Folders, Root
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.transfer.batch import ObjectState
    from crypto_archive.transfer.door import Door


@dataclass(frozen=True, slots=True)
class RetryDownload:
    """The bytes failed the proof, and another download may cure it.

    Attributes:
        sha256: Digest of the doubtful bytes.
        reason: Why they failed.
        unlike_listing: Whether a CDN brought something else than what is listed.
    """

    sha256: str
    reason: str
    unlike_listing: bool = False


def finish_object(
    context: Context, binary: Binary, run_id: str, state: ObjectState, folders: Folders | None = None
) -> ObjectFinished | RetryDownload:
    """Prove the bytes of an object, then publish them, ask for another download, or quarantine them.

    May be called from several threads. Raises FileNotFoundError when the bytes are not there, and RootUnusable when the
    disk is full or the root cannot be written to. ``folders`` are those of ``publish``, for objects that are finished
    together.
    """
    if state.in_place:
        return _finish_stored(context, binary, state)
    planned, sidecar = state.planned, state.arrived_sidecar
    remote = _listed(context, binary, state)
    proof = prove(state.file, sidecar, _name(planned), remote)
    agreed = proof.digest.sha256 in state.rejected  # with an earlier download: the fault is upstream, not on the way
    cdn = state.door if state.door is not None and state.door.via is Via.CDN else None
    if cdn is not None and not (agreed and remote is None):
        unlike = _unlike_listing(proof, remote) or _not_as_locked(context, binary, state, proof.digest)
        if unlike:
            return _doubt(context, state, cdn, proof, unlike)
    if proof.verdict is Verdict.CORRUPT and agreed:
        proof, remote = _second_opinion(context, binary, state, proof)
    sound = proof.verdict is not Verdict.CORRUPT
    if (sound or agreed) and (reason := _not_as_locked(context, binary, state, proof.digest)):
        return state.ended(Outcome.FAILED, reason, refused=True)._replace(bytes_fetched=state.arrived_bytes)
    if sound:
        finished = _publish(context.root, state, proof, remote, folders)
        return finished if finished.outcome is Outcome.FAILED else with_month_days(context, planned, finished)
    if state.attempts < context.request.fetching.attempts:
        return RetryDownload(proof.digest.sha256, proof.reason)
    if cdn is not None:
        return _doubt(context, state, cdn, proof, proof.reason)
    return _quarantine(context.root, run_id, state, proof)


def _finish_stored(context: Context, binary: Binary, state: ObjectState) -> ObjectFinished | RetryDownload:
    """Judge a stored file by the sidecar that has arrived; what is not certainly the archive's is downloaded."""
    root, planned, sidecar = context.root, state.planned, state.arrived_sidecar
    path = root.file(planned.object.key)
    remote = _listed(context, binary, state)
    try:
        proof = prove(path, sidecar, path.name, remote)
    except OSError as error:  # gone or unreadable, and it was not downloaded: a new download is the cure
        return RetryDownload("", f"the stored file cannot be read: {error.strerror or error}")
    if state.door is not None and state.door.via is Via.CDN and (unlike := _unlike_listed_sidecar(proof, remote)):
        return _doubt(context, state, state.door, proof, unlike)
    if proof.as_listed is False:
        return RetryDownload(proof.digest.sha256, f"the stored file is not that of the listing: {proof.reason}")
    if proof.verdict is Verdict.CORRUPT and proof.as_listed and remote and proof.sidecar_etag == remote.sidecar_etag:
        proof = settled(proof, path, path.name)  # zip and sidecar are both what the archive has
    if proof.verdict is Verdict.CORRUPT:
        return RetryDownload(proof.digest.sha256, f"the stored file is not proven: {proof.reason}")
    if proof.verdict is Verdict.OK and planned.verdict in {Verdict.GAPS, Verdict.BAD_ZIP}:
        proof = proof._replace(verdict=planned.verdict)  # its rows were read before, which a sidecar does not change
    fetched = state.arrived_bytes
    if sidecar is not None:
        try:
            publish_sidecar(root, sidecar, planned.object.key)
        except Refused as error:
            return state.ended(Outcome.FAILED, f"{error}; {error.hint}")._replace(bytes_fetched=fetched)
    reason = f"only its sidecar was downloaded; {proof.reason}" if sidecar is not None else proof.reason
    return _stored(state, Outcome.PRESENT, reason, proof, remote, fetched)


def _unlike_listing(proof: Proof, remote: RemoteStat | None) -> str:
    """Return how an object that a CDN brought differs from what the archive has, as far as that is known; empty if not.

    The CDN may have kept an older object, with a sidecar that matches. What is wrong with zip and sidecar as they are
    listed is the archive's own fault, and judged as ever.
    """
    if proof.as_listed is False:
        sound = proof.verdict is not Verdict.CORRUPT
        return "its MD5 is not that in the listing" if sound else proof.reason
    if unlike := _unlike_listed_sidecar(proof, remote):
        return unlike
    known = remote is not None and proof.as_listed and proof.sidecar_etag == remote.sidecar_etag
    return proof.reason if proof.verdict is Verdict.CORRUPT and not known else ""


def _unlike_listed_sidecar(proof: Proof, remote: RemoteStat | None) -> str:
    listed = remote.sidecar_etag if remote is not None else None
    comparable = proof.sidecar_etag is not None and listed is not None and is_md5(listed)
    return "its sidecar is not that in the listing" if comparable and proof.sidecar_etag != listed else ""


def _doubt(
    context: Context, state: ObjectState, door: Door, proof: Proof, unlike: str
) -> ObjectFinished | RetryDownload:
    """Ask again for what a CDN does not have as listed; it says nothing of the archive, so nothing is quarantined."""
    if door.is_optional or state.attempts < context.request.fetching.attempts:
        return RetryDownload(proof.digest.sha256, unlike, unlike_listing=True)
    reason = f"{door} does not have it as the archive has: {unlike}; use --via s3"
    return state.ended(Outcome.FAILED, reason)._replace(bytes_fetched=state.arrived_bytes)


def _listed(context: Context, binary: Binary, state: ObjectState) -> RemoteStat | None:
    """Return what is listed of an object; without a sidecar it is listed now where the plan had no listing."""
    remote, wanted = state.planned.remote, context.request.fetching.download_checksum
    if remote is None and state.arrived_sidecar is None and wanted:
        # Nothing else would speak against damaged bytes.
        return listed_now(context, binary, state.planned.object.key)
    return remote


def with_month_days(context: Context, planned: PlannedObject, finished: ObjectFinished) -> ObjectFinished:
    """Add of which days a stored monthly object has rows, where its size tells or its rows have to."""
    if not planned.look:
        return finished._replace(month_days=planned.covers.days) if planned.covers and planned.covers.days else finished
    item = planned.object
    row = context.matrix.row(item.series.market, item.series.data_type)
    found = None if row is None else month_days(context.root.file(item.key), row, item.period)
    return finished if found is None else finished._replace(month_days=found, lacks=planned.look & ~found)


def listed_now(context: Context, binary: Binary, key: str) -> RemoteStat | None:
    """List one object; None when the bucket does not list it, or the server cannot be asked."""
    stats: dict[str, RemoteStat] = {}
    with suppress(EndpointUnreachable, ValueError):
        for listed in list_objects(binary, context.request.access, [key], cancelled=context.cancelled):
            stats[listed.key] = listed.stat
    found, sidecar = stats.get(key), stats.get(sidecar_key(key))
    if found is None:
        return None
    return found._replace(has_sidecar=sidecar is not None, sidecar_etag=sidecar.etag if sidecar is not None else None)


def _second_opinion(
    context: Context, binary: Binary, state: ObjectState, proof: Proof
) -> tuple[Proof, RemoteStat | None]:
    """Judge bytes that two downloads agree on; without a witness they stay corrupt.

    Either the archive replaced the object after it was listed (then the sidecar confirms the bytes), or the sidecar is
    stale (then the listing does).
    """
    planned = state.planned
    name = _name(planned)
    if proof.sidecar is Verdict.OK:
        return settled(proof._replace(reason="replaced by the archive after it was listed"), state.file, name), None
    remote = planned.remote or listed_now(context, binary, planned.object.key)
    digest = with_md5(proof.digest, state.file)
    proof = proof._replace(digest=digest, as_listed=as_listed(digest, remote))
    if remote is not None and proof.as_listed is not False:
        return settled(proof, state.file, name), remote
    return proof, remote


def _not_as_locked(context: Context, binary: Binary, state: ObjectState, digest: Digest) -> str:
    """Return how the bytes differ from those in the lock file; empty where they do not, or where any will do.

    The archive may have replaced them between listing and download.
    """
    planned, pin = state.planned, state.planned.pin
    if pin is None:
        return ""
    if digest.size != pin.size:
        return f"{REPLACED}: {digest.size:,} bytes, locked were {pin.size:,}"
    if pin.sha256:
        now, then, name = digest.sha256, pin.sha256, "SHA-256"
    elif is_md5(pin.etag):
        now, then, name = with_md5(digest, state.file).md5, pin.etag.lower(), "MD5"
    else:  # an ETag of an upload in parts says nothing of the bytes; does the listing still have it?
        there = listed_now(context, binary, planned.object.key)
        if there is None:
            return "cannot be compared with the locked bytes: the listing, asked once more, did not answer"
        now, then, name = there.etag, pin.etag, "ETag"
    return "" if now == then else f"{REPLACED}: {name} {now}, locked was {then}"


def _publish(
    root: Root, state: ObjectState, proof: Proof, remote: RemoteStat | None, folders: Folders | None
) -> ObjectFinished:
    planned, fetched = state.planned, proof.digest.size + proof.sidecar_size
    try:
        publish(root, state.file, planned.object.key, state.arrived_sidecar, folders)
    except (Refused, ValueError) as error:
        reason = f"{error}; {error.hint}" if isinstance(error, Refused) else str(error)
        return state.ended(Outcome.FAILED, reason)._replace(bytes_fetched=fetched, remote=remote)
    outcome = Outcome.UPDATED if planned.action is Action.UPDATE else Outcome.FETCHED
    reason = proof.reason if state.rejected or proof.verdict is not Verdict.OK else ""
    return _stored(state, outcome, reason, proof, remote, fetched)


def _stored(
    state: ObjectState, outcome: Outcome, reason: str, proof: Proof, remote: RemoteStat | None, fetched: int
) -> ObjectFinished:
    """Return the event of an object that is at its final path, with what was seen to agree with its bytes."""
    remote = proof.provenance(remote)
    listed = remote.sidecar_etag if remote is not None else None
    unlike_md5 = proof.sidecar is not None and listed is not None and not is_md5(listed)
    return ObjectFinished(
        state.planned.object,
        outcome,
        reason,
        size=proof.digest.size,
        bytes_fetched=fetched,
        sha256=proof.digest.sha256,
        verdict=proof.verdict,
        remote=remote,
        attempts=state.attempts,
        lane=state.lane,
        etag=remote.etag if remote else proof.digest.md5,
        sidecar_etag=listed if unlike_md5 else proof.sidecar_etag,
    )


def _quarantine(root: Root, run_id: str, state: ObjectState, proof: Proof) -> ObjectFinished:
    fetched = state.arrived_bytes
    kept = quarantine(root, state.file, state.planned.object.key, proof.reason, run_id)
    reason = f"{proof.reason}; kept as {kept.relative_to(root.path).as_posix()}"
    return state.ended(Outcome.QUARANTINED, reason)._replace(
        bytes_fetched=fetched,
        sha256=proof.digest.sha256,
        verdict=proof.verdict,
    )


def _name(planned: PlannedObject) -> str:
    return planned.object.key.rpartition("/")[2]
