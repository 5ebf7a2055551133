"""What the evidence says of a file: its bytes against sidecar, listing and manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.keys import sidecar_key
from crypto_archive.layouts import NoPlace
from crypto_archive.model import Verdict, is_md5
from crypto_archive.trust.checksum import Digest, digest_file, read_sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.trust.store import Root

_UNREAD = Digest(sha256="", md5="", size=0)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check found.

    Attributes:
        verdict: The finding.
        digest: What the bytes come to; the digests are empty where the bytes were not read.
        reason: What the verdict rests on, for people.
    """

    verdict: Verdict
    digest: Digest
    reason: str


def prove(
    zip_path: Path, sidecar_path: Path | None, name: str, remote: RemoteStat | None, *, wanted: bool = True
) -> Proof:
    """Prove a file that has just been fetched.

    Args:
        zip_path: The file.
        sidecar_path: Its sidecar, None when there is none.
        name: The name under which the archive has it, which the sidecar must give too.
        remote: What the listing says of the object, None without a listing.
        wanted: Whether a sidecar was asked for; decides what the lack of one means.

    Returns:
        ``OK`` when the sidecar, or without a wanted one the MD5 in the ETag, vouches for the bytes; ``CORRUPT`` when
        size, sidecar or ETag contradict them; else ``SIDECAR_MISSING`` or, when none was wanted, ``UNPROVEN``.

    Raises:
        OSError: A file cannot be read.
    """
    digest = digest_file(zip_path)
    if remote is not None and digest.size != remote.size:
        return Proof(Verdict.CORRUPT, digest, f"has {digest.size} bytes, the listing says {remote.size}")
    if sidecar_path is not None:
        fault = _sidecar_fault(sidecar_path, name, digest)
        return Proof(Verdict.CORRUPT if fault else Verdict.OK, digest, fault or "SHA-256 as in the sidecar")
    return _prove_by_listing(digest, remote, wanted=wanted)


def check_stored(root: Root, key: str, entry: ManifestEntry | None) -> Proof:
    """Check a file at its final path against its sidecar and the manifest.

    A sidecar that agrees outweighs the manifest: a run that was killed between publication and record leaves a newer
    file than the manifest knows. A sidecar that does not agree outweighs it too, unless the manifest marks the
    object's sidecar as stale and still knows the same bytes. Bytes that the manifest knows to lack rows stay ``GAPS``,
    whoever vouches for them.

    Args:
        root: The archive root.
        key: The object's key.
        entry: What the manifest says of it.

    Raises:
        ValueError: The key is none that a file may have.
    """
    try:
        path, sidecar = root.file(key), root.file(sidecar_key(key))
    except NoPlace as error:
        return Proof(Verdict.MISSING, _UNREAD, str(error))
    if not path.is_file():
        reason = "something that is no file stands in its place" if path.exists() else "there is no such file"
        return Proof(Verdict.MISSING, _UNREAD, reason)
    try:
        has_sidecar = sidecar.is_file()
        if entry is not None and not has_sidecar and (size := path.stat().st_size) != entry.size:
            return Proof(Verdict.CORRUPT, _UNREAD, f"has {size} bytes, the manifest says {entry.size}")
        digest = digest_file(path)
        fault = _sidecar_fault(sidecar, path.name, digest) if has_sidecar else None
    except OSError as error:
        return Proof(Verdict.CORRUPT, _UNREAD, f"cannot be read: {error.strerror or error}")
    return _judge_stored(digest, entry, has_sidecar=has_sidecar, fault=fault)


def _judge_stored(digest: Digest, entry: ManifestEntry | None, *, has_sidecar: bool, fault: str | None) -> Proof:
    recorded = entry is not None and entry.sha256 == digest.sha256
    if has_sidecar and fault is None:
        lacks_rows = entry is not None and recorded and entry.verdict is Verdict.GAPS
        return Proof(Verdict.GAPS if lacks_rows else Verdict.OK, digest, "SHA-256 as in the sidecar")
    if entry is None:
        if fault:
            return Proof(Verdict.CORRUPT, digest, fault)
        return Proof(Verdict.UNPROVEN, digest, "neither a sidecar nor the manifest knows its SHA-256")
    if not recorded:
        reason = fault or f"SHA-256 is {_short(digest.sha256)}, the manifest says {_short(entry.sha256)}"
        return Proof(Verdict.CORRUPT, digest, reason)
    if fault and entry.verdict is not Verdict.SIDECAR_STALE:
        return Proof(Verdict.CORRUPT, digest, f"{fault}; the manifest says the same as the file")
    return Proof(entry.verdict, digest, fault or "SHA-256 as in the manifest")


def _sidecar_fault(sidecar: Path, name: str, digest: Digest) -> str | None:
    """Return what a sidecar has against a file, None when it vouches for it."""
    try:
        said = read_sidecar(sidecar)
    except ValueError as error:
        return f"malformed sidecar: {error}"
    if said.digest != digest.sha256:
        return f"SHA-256 is {_short(digest.sha256)}, the sidecar says {_short(said.digest)}"
    if said.name.replace("\\", "/").rpartition("/")[2] != name:
        return f"the sidecar speaks of another file: {said.name}"
    return None


def _prove_by_listing(digest: Digest, remote: RemoteStat | None, *, wanted: bool) -> Proof:
    if remote is None:
        return Proof(_without_sidecar(wanted), digest, "no sidecar and no listing to prove it by")
    if not is_md5(remote.etag):
        return Proof(_without_sidecar(wanted), digest, "no sidecar; the size is that of the listing")
    if remote.etag.lower() != digest.md5:
        reason = f"MD5 is {_short(digest.md5)}, the listing says {_short(remote.etag.lower())}"
        return Proof(Verdict.CORRUPT, digest, reason)
    verdict = Verdict.SIDECAR_MISSING if wanted else Verdict.OK
    return Proof(verdict, digest, "no sidecar; size and MD5 as in the listing")


def _without_sidecar(wanted: bool) -> Verdict:
    return Verdict.SIDECAR_MISSING if wanted else Verdict.UNPROVEN


def _short(digest: str) -> str:
    return digest[:12] + "…"
