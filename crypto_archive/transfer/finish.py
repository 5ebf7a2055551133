"""Finish an object whose bytes are in staging: prove them, then publish, download again, or quarantine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.model import REPLACED, Action, Outcome, Verdict, is_md5
from crypto_archive.root.proof import prove
from crypto_archive.root.store import Refused, publish, quarantine
from crypto_archive.s5cmd.listing import list_objects

if TYPE_CHECKING:
    from crypto_archive.events import ObjectFinished
    from crypto_archive.model import PlannedObject, RemoteStat
    from crypto_archive.root.proof import Digest, Proof
    from crypto_archive.root.session import Context
    from crypto_archive.root.store import Root
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.transfer.batch import ObjectState


@dataclass(frozen=True, slots=True)
class RetryDownload:
    """The bytes failed the proof, and another download may cure it.

    Attributes:
        sha256: Digest of the doubtful bytes.
        reason: Why they failed.
    """

    sha256: str
    reason: str


def finish_object(context: Context, binary: Binary, run_id: str, state: ObjectState) -> ObjectFinished | RetryDownload:
    """Prove the bytes of an object, then publish them, ask for another download, or quarantine them.

    May be called from several threads. Raises RootUnusable when the disk is full or the root cannot be written to.
    """
    planned, sidecar, wanted = state.planned, state.arrived_sidecar, context.request.fetching.download_checksum
    remote = planned.remote
    if remote is None and sidecar is None and wanted:
        # A plan from the calendar and no sidecar: without the listing nothing would speak against damaged bytes.
        remote = listed_now(context, binary, planned.object.key)
    proof = prove(state.file, sidecar, _name(planned), remote, wanted=wanted)
    agreed = proof.digest.sha256 in state.rejected  # with an earlier download: the fault is upstream, not on the way
    if proof.verdict is Verdict.CORRUPT and agreed:
        proof, remote = _second_opinion(context, binary, state, proof)
    sound = proof.verdict is not Verdict.CORRUPT
    if (sound or agreed) and (reason := _not_as_locked(context, binary, planned, proof.digest)):
        return replace(state.ended(Outcome.FAILED, reason, refused=True), bytes_fetched=state.arrived_bytes)
    if sound:
        return _publish(context.root, state, proof, remote)
    if state.attempts < context.request.fetching.attempts:
        return RetryDownload(proof.digest.sha256, proof.reason)
    return _quarantine(context.root, run_id, state, proof)


def listed_now(context: Context, binary: Binary, key: str) -> RemoteStat | None:
    """List one object; None when the bucket does not list it, or the server cannot be asked."""
    with suppress(EndpointUnreachable, ValueError):
        for listed in list_objects(binary, context.request.access, [key], cancelled=context.cancelled):
            if listed.key == key:
                return listed.stat
    return None


def _second_opinion(
    context: Context, binary: Binary, state: ObjectState, proof: Proof
) -> tuple[Proof, RemoteStat | None]:
    """Judge bytes that two downloads agree on; without a witness they stay corrupt.

    Either the archive replaced the object after it was listed (then the sidecar confirms the bytes), or the sidecar is
    stale (then the listing does).
    """
    planned, sidecar = state.planned, state.arrived_sidecar
    if sidecar is not None and prove(state.file, sidecar, _name(planned), None).verdict is Verdict.OK:
        return replace(proof, verdict=Verdict.OK, reason="replaced by the archive after it was listed"), None
    remote = planned.remote or listed_now(context, binary, planned.object.key)
    if remote is not None and prove(state.file, None, _name(planned), remote).verdict is not Verdict.CORRUPT:
        return replace(proof, verdict=Verdict.SIDECAR_STALE), remote
    return proof, remote


def _not_as_locked(context: Context, binary: Binary, planned: PlannedObject, digest: Digest) -> str:
    """Return how the bytes differ from those in the lock file; empty where they do not, or where any will do.

    The archive may have replaced them between listing and download.
    """
    pin = planned.pin
    if pin is None:
        return ""
    if digest.size != pin.size:
        return f"{REPLACED}: {digest.size:,} bytes, locked were {pin.size:,}"
    if pin.sha256:
        now, then, name = digest.sha256, pin.sha256, "SHA-256"
    elif is_md5(pin.etag):
        now, then, name = digest.md5, pin.etag.lower(), "MD5"
    else:  # an ETag of an upload in parts says nothing of the bytes; does the listing still have it?
        there = listed_now(context, binary, planned.object.key)
        if there is None:
            return "cannot be compared with the locked bytes: the listing, asked once more, did not answer"
        now, then, name = there.etag, pin.etag, "ETag"
    return "" if now == then else f"{REPLACED}: {name} {now}, locked was {then}"


def _publish(root: Root, state: ObjectState, proof: Proof, remote: RemoteStat | None) -> ObjectFinished:
    planned, fetched = state.planned, state.arrived_bytes
    try:
        publish(root, state.file, planned.object.key, state.arrived_sidecar)
    except (Refused, ValueError) as error:
        reason = f"{error}; {error.hint}" if isinstance(error, Refused) else str(error)
        return replace(state.ended(Outcome.FAILED, reason), bytes_fetched=fetched, remote=remote)
    outcome = Outcome.UPDATED if planned.action is Action.UPDATE else Outcome.FETCHED
    return replace(
        state.ended(outcome, proof.reason if state.rejected or proof.verdict is not Verdict.OK else ""),
        size=proof.digest.size,
        bytes_fetched=fetched,
        sha256=proof.digest.sha256,
        etag=remote.etag if remote else proof.digest.md5,
        verdict=proof.verdict,
        remote=remote,
    )


def _quarantine(root: Root, run_id: str, state: ObjectState, proof: Proof) -> ObjectFinished:
    fetched = state.arrived_bytes
    kept = quarantine(root, state.file, state.planned.object.key, proof.reason, run_id)
    reason = f"{proof.reason}; kept as {kept.relative_to(root.path).as_posix()}"
    return replace(
        state.ended(Outcome.QUARANTINED, reason),
        bytes_fetched=fetched,
        sha256=proof.digest.sha256,
        verdict=proof.verdict,
    )


def _name(planned: PlannedObject) -> str:
    return planned.object.key.rpartition("/")[2]
