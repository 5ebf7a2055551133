"""What the evidence says of a file: digests, sidecars, and verdicts against sidecar, listing and manifest."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.model import Verdict, is_md5
from crypto_archive.root.zips import zip_fault

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.root.store import Root

_SIDECAR = re.compile(r"(?P<digest>[0-9a-fA-F]{64})(?:[ \t]+\*?(?P<name>[^\r\n]*[^\s]))?")
# A real sidecar has about 100 bytes; a longer file is something else, such as an error page.
_SIDECAR_LIMIT = 4096
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A line of a sidecar.

    Attributes:
        digest: The SHA-256 in lowercase hexadecimal.
        name: The file that it names, verbatim; None where there is only the digest.
    """

    digest: str
    name: str | None

    def is_of(self, name: str) -> bool:
        """Whether it may be of a file of that name; paths do not count."""
        return self.name is None or self.name.replace("\\", "/").rpartition("/")[2] == name


@dataclass(frozen=True, slots=True)
class Digest:
    """The digests of a file.

    Attributes:
        sha256: Lowercase hexadecimal.
        md5: Lowercase hexadecimal; equals the ETag of an object that was uploaded in one piece.
        size: Length in bytes.
    """

    sha256: str
    md5: str
    size: int


def parse_sidecar(text: str) -> tuple[Sidecar, ...]:
    """Parse a sidecar; raise ``ValueError`` unless every line is a digest and, as a rule, a name.

    As archive and ``sha256sum`` write them, also without a newline, in uppercase, with ``*name``, or of several files.
    """
    lines = tuple(_SIDECAR.fullmatch(line.strip()) for line in text.strip().splitlines())
    if not lines or None in lines:
        raise ValueError(f"expected 64 hexadecimal digits and a file name, found {_excerpt(text)}")
    return tuple(Sidecar(line["digest"].lower(), line["name"]) for line in lines if line is not None)


def read_sidecar(path: Path) -> tuple[Sidecar, ...]:
    """Read and parse a sidecar file; raise ``ValueError`` or ``OSError``."""
    return parse_sidecar(_text_of(_head_of(path)))


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SIDECAR_LIMIT + 1)


def _text_of(content: bytes) -> str:
    if len(content) > _SIDECAR_LIMIT:
        raise ValueError(f"expected about 100 bytes, found more than {_SIDECAR_LIMIT}")
    return content.decode("utf-8", errors="backslashreplace")


def sidecar_etag(path: Path) -> str:
    """Return the ETag that the archive has for a sidecar of these bytes, which is their MD5; may raise ``OSError``."""
    return _md5_of_sidecar(path, _head_of(path))


def _md5_of_sidecar(path: Path, head: bytes) -> str:
    if len(head) > _SIDECAR_LIMIT:
        return digest_file(path).md5
    return hashlib.md5(head, usedforsecurity=False).hexdigest()


def digest_file(path: Path) -> Digest:
    """Read a file once, with 1 MiB of memory, and return its digests; raise ``OSError`` if it cannot be read."""
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    with path.open("rb", buffering=0) as file:
        # Most files are small, and clearing 1 MiB takes longer than hashing them.
        chunk = memoryview(bytearray(min(_CHUNK_BYTES, os.fstat(file.fileno()).st_size + 1)))
        while count := file.readinto(chunk):
            sha256.update(chunk[:count])
            md5.update(chunk[:count])
            size += count
    return Digest(sha256.hexdigest(), md5.hexdigest(), size)


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")


NOT_READ = Digest(sha256="", md5="", size=0)
"""Stands for the digests of a file that is missing, unreadable or of the wrong size."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a check.

    Attributes:
        verdict: The result.
        digest: The digests of the bytes; ``NOT_READ`` where they were not read.
        reason: The evidence for the verdict, for people.
        as_listed: Whether size and MD5 are those in the listing; None where that cannot be compared.
        sidecar: What the sidecar alone says: ``OK``, ``SIDECAR_STALE`` or ``SIDECAR_MALFORMED``; None without one.
        sidecar_etag: The MD5 of that sidecar, which its ETag is; None without one.
    """

    verdict: Verdict
    digest: Digest
    reason: str
    as_listed: bool | None = None
    sidecar: Verdict | None = None
    sidecar_etag: str | None = None

    def provenance(self, remote: RemoteStat | None) -> RemoteStat | None:
        """Return what may be recorded of the listing next to these bytes: nothing where it is of other bytes."""
        return None if self.as_listed is False else remote


def prove(zip_path: Path, sidecar_path: Path | None, name: str, remote: RemoteStat | None) -> Proof:
    """Verify a file that has just been fetched, or that the manifest does not know.

    Args:
        zip_path: The file.
        sidecar_path: Its sidecar, None when there is none.
        name: The name of the file in the archive, which the sidecar must contain.
        remote: What the listing says of the object, None without a listing.

    Returns:
        ``OK`` if the sidecar matches the bytes and the zip opens, ``BAD_ZIP`` if it does not; ``CORRUPT`` if size or
        sidecar contradict the bytes or, without a sidecar, the MD5 in the ETag does. Without a sidecar
        ``SIDECAR_MISSING`` if that MD5 confirms them, else ``UNPROVEN``.

    Raises:
        OSError: A file cannot be read.
    """
    digest = digest_file(zip_path)
    said = _sidecar_says(sidecar_path, name, digest) if sidecar_path is not None else _NO_SIDECAR
    found = Proof(Verdict.CORRUPT, digest, said.reason, as_listed(digest, remote), said.verdict, said.etag)
    if remote is not None and digest.size != remote.size:
        return replace(found, reason=f"has {digest.size} bytes, the listing says {remote.size}")
    if found.sidecar is not None:
        return settled(found, zip_path, name) if found.sidecar is Verdict.OK else found
    if remote is not None and found.as_listed is False:
        return replace(found, reason=f"MD5 is {_short(digest.md5)}, the listing says {_short(remote.etag.lower())}")
    if found.as_listed:
        reason = "no sidecar; size and MD5 as in the listing"
    else:
        reason = "no sidecar and no listing to verify it" if remote is None else "no sidecar; size as in the listing"
    judged = settled(replace(found, reason=reason), zip_path, name)
    # What is not known to be the archive's own bytes may have been spoilt on its way.
    spoilt = judged.verdict is Verdict.BAD_ZIP and not found.as_listed
    return replace(judged, verdict=Verdict.CORRUPT) if spoilt else judged


def settled(proof: Proof, zip_path: Path, name: str) -> Proof:
    """Judge bytes that are known to be the archive's own: what is wrong with them, or with their sidecar, is its fault.

    A matching sidecar makes it certain enough that the zip is sound to look at its directory alone.
    """
    fault = zip_fault(zip_path, name, read=proof.sidecar is not Verdict.OK)
    if fault is not None:
        return replace(proof, verdict=Verdict.BAD_ZIP, reason=f"{fault}; {proof.reason}")
    if proof.sidecar is not None:
        return replace(proof, verdict=proof.sidecar)
    return replace(proof, verdict=Verdict.SIDECAR_MISSING if proof.as_listed else Verdict.UNPROVEN)


def check_stored(root: Root, key: str, entry: ManifestEntry | None) -> Proof:
    """Check a file at its final path against its sidecar and the manifest, and open it.

    A sidecar that matches outweighs the manifest: a run that was killed between publication and record leaves a newer
    file than the manifest knows. A sidecar that does not match outweighs it too, unless the manifest marks the object's
    sidecar as wrong and has the digest of the file. Bytes that the manifest knows to have other rows than their days,
    or to be a broken zip, stay so, even with a sidecar that matches.
    """
    try:
        path, sidecar = root.file(key), root.file(sidecar_key(key))
    except NoPlace as error:
        return Proof(Verdict.MISSING, NOT_READ, str(error))
    if not path.is_file():
        reason = "it is not a regular file" if path.exists() else "the file does not exist"
        return Proof(Verdict.MISSING, NOT_READ, reason)
    try:
        has_sidecar = sidecar.is_file()
        if entry is not None and not has_sidecar and (size := path.stat().st_size) != entry.size:
            return Proof(Verdict.CORRUPT, NOT_READ, f"has {size} bytes, the manifest says {entry.size}")
        digest = digest_file(path)
        said = _sidecar_says(sidecar, path.name, digest) if has_sidecar else _NO_SIDECAR
        fault = zip_fault(path, path.name, read=said.verdict is not Verdict.OK)
    except OSError as error:
        return Proof(Verdict.CORRUPT, NOT_READ, f"cannot be read: {error.strerror or error}")
    found = Proof(Verdict.CORRUPT, digest, said.reason, sidecar=said.verdict, sidecar_etag=said.etag)
    proof = _judge_stored(found, entry)
    if fault is None or proof.verdict is Verdict.CORRUPT:
        return proof
    # Without any evidence that these are the archive's bytes, a new download may be the cure.
    verdict = Verdict.CORRUPT if proof.verdict is Verdict.UNPROVEN and entry is None else Verdict.BAD_ZIP
    return replace(proof, verdict=verdict, reason=f"{fault}; {proof.reason}")


def _judge_stored(proof: Proof, entry: ManifestEntry | None) -> Proof:
    """Judge a file by sidecar and manifest alone; ``proof`` has what the sidecar says, and stands if nothing helps."""
    digest, said = proof.digest, proof.sidecar
    recorded = entry is not None and entry.sha256 == digest.sha256
    if entry is not None and recorded and _is_of_other_bytes(entry, digest):
        reason = f"MD5 is {_short(digest.md5)}, that of the archive's object was {_short(entry.etag)}"
        return replace(proof, verdict=Verdict.CORRUPT, reason=reason)
    if said is Verdict.OK:
        keeps = entry is not None and recorded and entry.verdict in {Verdict.GAPS, Verdict.BAD_ZIP}
        return replace(proof, verdict=entry.verdict if entry is not None and keeps else Verdict.OK)
    if entry is None:
        if said is not None:
            return proof
        return replace(proof, verdict=Verdict.UNPROVEN, reason="neither a sidecar nor the manifest has its SHA-256")
    if not recorded:
        differs = f"SHA-256 is {_short(digest.sha256)}, the manifest says {_short(entry.sha256)}"
        return replace(proof, reason=proof.reason or differs)
    if said is not None and entry.verdict not in _KNOWN_FAULTS:
        return replace(proof, reason=f"{proof.reason}; the manifest says the same as the file")
    return replace(proof, verdict=entry.verdict, reason=proof.reason or "SHA-256 as in the manifest")


def replaced_since(digest: Digest, entry: ManifestEntry | None, remote: RemoteStat) -> str | None:
    """Return how the archive's object differs from a sound file; None where nothing tells them apart.

    The time alone does not: files are uploaded again with the same bytes.
    """
    if digest.size != remote.size:
        return f"{digest.size} bytes on disk, {remote.size} in the archive"
    if is_md5(remote.etag) and digest.md5:
        same = remote.etag.lower() == digest.md5
        return None if same else f"MD5 is {_short(digest.md5)}, the archive has {_short(remote.etag.lower())}"
    known = _etag_of(digest, entry)
    return "another ETag in the archive" if known is not None and known != remote.etag else None


def is_comparable(digest: Digest, entry: ManifestEntry | None, remote: RemoteStat) -> bool:
    """Whether more than their sizes tells a file from the archive's object."""
    return (is_md5(remote.etag) and bool(digest.md5)) or _etag_of(digest, entry) is not None


def _etag_of(digest: Digest, entry: ManifestEntry | None) -> str | None:
    """Return the ETag that the listing gave for a file; the MD5 in its place says nothing of an upload in parts."""
    if entry is None or entry.last_modified is None or entry.sha256 != digest.sha256:
        return None
    return entry.etag


def _is_of_other_bytes(entry: ManifestEntry, digest: Digest) -> bool:
    """Whether the ETag is not that of these bytes: earlier versions recorded it without looking at them."""
    return entry.last_modified is not None and is_md5(entry.etag) and entry.etag.lower() != digest.md5


_KNOWN_FAULTS = frozenset({Verdict.SIDECAR_STALE, Verdict.SIDECAR_MALFORMED, Verdict.BAD_ZIP})
"""Verdicts of a file that its sidecar does not match."""


class _Said(NamedTuple):
    """What a sidecar says of a file, the same in words, and the sidecar's own ETag."""

    verdict: Verdict | None
    reason: str
    etag: str | None


_NO_SIDECAR = _Said(None, "", None)


def _sidecar_says(sidecar: Path, name: str, digest: Digest) -> _Said:
    head = _head_of(sidecar)
    etag = _md5_of_sidecar(sidecar, head)
    try:
        lines = parse_sidecar(_text_of(head))
    except ValueError as error:
        return _Said(Verdict.SIDECAR_MALFORMED, f"malformed sidecar: {error}", etag)
    ours = [line for line in lines if line.is_of(name)]
    if not ours:
        return _Said(Verdict.SIDECAR_MALFORMED, f"the sidecar names another file: {lines[0].name}", etag)
    if any(line.digest == digest.sha256 for line in ours):
        return _Said(Verdict.OK, "SHA-256 as in the sidecar", etag)
    reason = f"SHA-256 is {_short(digest.sha256)}, the sidecar says {_short(ours[0].digest)}"
    return _Said(Verdict.SIDECAR_STALE, reason, etag)


def as_listed(digest: Digest, remote: RemoteStat | None) -> bool | None:
    """Whether bytes are those that were listed; None without a listing, or with an ETag that says nothing of them."""
    if remote is None:
        return None
    if digest.size != remote.size:
        return False
    return remote.etag.lower() == digest.md5 if is_md5(remote.etag) else None


def _short(digest: str) -> str:
    return digest[:12] + "…"
