"""Settle an arrival: prove its bytes, then publish them, ask for another download, or put them in quarantine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crypto_archive.events import ObjectFinished
from crypto_archive.model import REPLACED, Action, Outcome, Verdict, is_md5
from crypto_archive.root.proof import Proof, prove
from crypto_archive.root.store import Refused, Root, publish, quarantine
from crypto_archive.transfer.lane import Arrival, RetryDownload

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_archive.model import PlannedObject, RemoteStat


@dataclass(frozen=True, slots=True)
class Finisher:
    """Settles the arrivals of one run; may be called from several threads.

    Attributes:
        root: The archive root.
        run_id: The run, for the notes in quarantine.
        wants_sidecars: Whether objects are to be proven by their sidecars.
        look_up: Asks the listing for one object: the witness where a plan from the calendar has none and the
            sidecar is missing or doubtful.
    """

    root: Root
    run_id: str
    wants_sidecars: bool
    look_up: Callable[[str], RemoteStat | None]

    def __call__(self, arrival: Arrival) -> ObjectFinished | RetryDownload:
        """Prove an arrival and say how the object ended, or that it is in doubt.

        Raises:
            RootUnusable: The disk is full, or the root cannot be written to.
        """
        remote = arrival.planned.remote
        if remote is None and arrival.sidecar is None and self.wants_sidecars:
            remote = self.look_up(arrival.planned.object.key)  # or nothing would vouch for the bytes
        proof = self._prove(arrival, remote)
        agreed = proof.digest.sha256 in arrival.doubts
        if proof.verdict is Verdict.CORRUPT and agreed:
            proof, remote = self._second_opinion(arrival, proof)
        sound = proof.verdict is not Verdict.CORRUPT
        if (sound or agreed) and (other := self._not_as_locked(arrival.planned, proof)):
            return self._refuse(arrival, other)
        if sound:
            return self._publish(arrival, proof, remote)
        if not arrival.last_chance:
            return RetryDownload(proof.digest.sha256, proof.reason)
        return self._quarantine(arrival, proof)

    def _prove(self, arrival: Arrival, remote: RemoteStat | None) -> Proof:
        name = arrival.planned.object.key.rpartition("/")[2]
        return prove(arrival.file, arrival.sidecar, name, remote, wanted=self.wants_sidecars)

    def _second_opinion(self, arrival: Arrival, proof: Proof) -> tuple[Proof, RemoteStat | None]:
        """Judge bytes that two downloads agree on, so that the fault is not on the way but upstream.

        Either the archive replaced the object after it was listed (then the sidecar vouches for it), or the sidecar
        is stale (then the listing does). Without either witness the bytes stay corrupt.
        """
        if arrival.sidecar is not None and self._prove(arrival, None).verdict is Verdict.OK:
            return replace(proof, verdict=Verdict.OK, reason="replaced by the archive after it was listed"), None
        key = arrival.planned.object.key
        remote = arrival.planned.remote or self.look_up(key)
        witnessed = remote is not None and prove(arrival.file, None, key, remote).verdict is not Verdict.CORRUPT
        if witnessed:
            return replace(proof, verdict=Verdict.SIDECAR_STALE), remote
        return proof, remote

    def _not_as_locked(self, planned: PlannedObject, proof: Proof) -> str:
        """Say why the archive's bytes are not those that a lock file wants; empty where they are, or where any will do.

        The archive may have replaced them between listing and download. Without a digest an ETag that is no MD5 says
        nothing of the bytes; there the listing is asked whether it still has it.
        """
        pin, digest = planned.pin, proof.digest
        if pin is None:
            return ""
        if digest.size != pin.size:
            return f"{REPLACED}: {digest.size:,} bytes, locked were {pin.size:,}"
        if pin.sha256:
            now, then, name = digest.sha256, pin.sha256, "SHA-256"
        elif is_md5(pin.etag):
            now, then, name = digest.md5, pin.etag.lower(), "MD5"
        else:
            there = self.look_up(planned.object.key)
            if there is None:
                return "not known to be the locked bytes: the listing, asked once more, did not say"
            now, then, name = there.etag, pin.etag, "ETag"
        return "" if now == then else f"{REPLACED}: {name} {now}, locked was {then}"

    def _refuse(self, arrival: Arrival, reason: str) -> ObjectFinished:
        return ObjectFinished(
            arrival.planned.object,
            Outcome.FAILED,
            reason,
            bytes_fetched=_bytes_of(arrival),
            remote=arrival.planned.remote,
            attempts=arrival.attempts,
            refused=True,
        )

    def _publish(self, arrival: Arrival, proof: Proof, remote: RemoteStat | None) -> ObjectFinished:
        planned = arrival.planned
        fetched = _bytes_of(arrival)
        try:
            publish(self.root, arrival.file, planned.object.key, arrival.sidecar)
        except (Refused, ValueError) as error:
            reason = f"{error}; {error.hint}" if isinstance(error, Refused) else str(error)
            return ObjectFinished(
                planned.object,
                Outcome.FAILED,
                reason,
                bytes_fetched=fetched,
                remote=remote,
                attempts=arrival.attempts,
            )
        return ObjectFinished(
            planned.object,
            Outcome.UPDATED if planned.action is Action.UPDATE else Outcome.FETCHED,
            proof.reason if arrival.doubts or proof.verdict is not Verdict.OK else "",
            size=proof.digest.size,
            bytes_fetched=fetched,
            sha256=proof.digest.sha256,
            etag=remote.etag if remote else proof.digest.md5,
            verdict=proof.verdict,
            remote=remote,
            attempts=arrival.attempts,
        )

    def _quarantine(self, arrival: Arrival, proof: Proof) -> ObjectFinished:
        planned = arrival.planned
        fetched = _bytes_of(arrival)
        kept = quarantine(self.root, arrival.file, planned.object.key, proof.reason, self.run_id)
        return ObjectFinished(
            planned.object,
            Outcome.QUARANTINED,
            f"{proof.reason}; kept as {kept.relative_to(self.root.path).as_posix()}",
            bytes_fetched=fetched,
            sha256=proof.digest.sha256,
            verdict=proof.verdict,
            remote=planned.remote,
            attempts=arrival.attempts,
        )


def _bytes_of(arrival: Arrival) -> int:
    files = [arrival.file] if arrival.sidecar is None else [arrival.file, arrival.sidecar]
    return sum(file.stat().st_size for file in files)
