"""What the evidence says of a file: digests, sidecars, and verdicts against sidecar, listing and manifest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.model import Verdict, is_md5

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.root.store import Root

_SIDECAR = re.compile(r"(?P<digest>[0-9a-fA-F]{64})[ \t]+\*?(?P<name>[^\r\n]*[^\s])")
# A real sidecar has about 100 bytes; a longer file is something else, such as an error page.
_SIDECAR_LIMIT = 4096
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The content of a sidecar.

    Attributes:
        digest: The SHA-256 in lowercase hexadecimal.
        name: The file that it names, verbatim.
    """

    digest: str
    name: str


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


def parse_sidecar(text: str) -> Sidecar:
    """Parse a sidecar, tolerating a missing newline, uppercase digits and ``*name``; else raise ``ValueError``."""
    found = _SIDECAR.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected 64 hexadecimal digits and a file name, found {_excerpt(text)}")
    return Sidecar(found["digest"].lower(), found["name"])


def read_sidecar(path: Path) -> Sidecar:
    """Read and parse a sidecar file; raise ``ValueError`` or ``OSError``."""
    with path.open("rb") as file:
        content = file.read(_SIDECAR_LIMIT + 1)
    if len(content) > _SIDECAR_LIMIT:
        raise ValueError(f"expected about 100 bytes, found more than {_SIDECAR_LIMIT}")
    return parse_sidecar(content.decode("utf-8", errors="backslashreplace"))


def digest_file(path: Path) -> Digest:
    """Read a file once, with 1 MiB of memory, and return its digests; raise ``OSError`` if it cannot be read."""
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    chunk = memoryview(bytearray(_CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
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
    """

    verdict: Verdict
    digest: Digest
    reason: str


def prove(
    zip_path: Path, sidecar_path: Path | None, name: str, remote: RemoteStat | None, *, wanted: bool = True
) -> Proof:
    """Verify a file that has just been fetched.

    Args:
        zip_path: The file.
        sidecar_path: Its sidecar, None when there is none.
        name: The name of the file in the archive, which the sidecar must contain.
        remote: What the listing says of the object, None without a listing.
        wanted: Whether a sidecar was requested; decides what its absence means.

    Returns:
        ``OK`` if the sidecar matches the bytes or, where none was wanted, the MD5 in the ETag does; ``CORRUPT`` if
        size, sidecar or ETag contradict them; else ``SIDECAR_MISSING`` or, where none was wanted, ``UNPROVEN``.

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

    A sidecar that matches outweighs the manifest: a run that was killed between publication and record leaves a newer
    file than the manifest knows. A sidecar that does not match outweighs it too, unless the manifest marks the object's
    sidecar as stale and has the digest of the file. Bytes that the manifest knows to lack rows stay ``GAPS``, even with
    a sidecar that matches.
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
        fault = _sidecar_fault(sidecar, path.name, digest) if has_sidecar else None
    except OSError as error:
        return Proof(Verdict.CORRUPT, NOT_READ, f"cannot be read: {error.strerror or error}")
    return _judge_stored(digest, entry, has_sidecar=has_sidecar, fault=fault)


def _judge_stored(digest: Digest, entry: ManifestEntry | None, *, has_sidecar: bool, fault: str | None) -> Proof:
    recorded = entry is not None and entry.sha256 == digest.sha256
    if has_sidecar and fault is None:
        lacks_rows = entry is not None and recorded and entry.verdict is Verdict.GAPS
        return Proof(Verdict.GAPS if lacks_rows else Verdict.OK, digest, "SHA-256 as in the sidecar")
    if entry is None:
        if fault:
            return Proof(Verdict.CORRUPT, digest, fault)
        return Proof(Verdict.UNPROVEN, digest, "neither a sidecar nor the manifest has its SHA-256")
    if not recorded:
        reason = fault or f"SHA-256 is {_short(digest.sha256)}, the manifest says {_short(entry.sha256)}"
        return Proof(Verdict.CORRUPT, digest, reason)
    if fault and entry.verdict is not Verdict.SIDECAR_STALE:
        return Proof(Verdict.CORRUPT, digest, f"{fault}; the manifest says the same as the file")
    return Proof(entry.verdict, digest, fault or "SHA-256 as in the manifest")


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


def _sidecar_fault(sidecar: Path, name: str, digest: Digest) -> str | None:
    """Return how a sidecar contradicts a file, None if it matches."""
    try:
        expected = read_sidecar(sidecar)
    except ValueError as error:
        return f"malformed sidecar: {error}"
    if expected.digest != digest.sha256:
        return f"SHA-256 is {_short(digest.sha256)}, the sidecar says {_short(expected.digest)}"
    if expected.name.replace("\\", "/").rpartition("/")[2] != name:
        return f"the sidecar names another file: {expected.name}"
    return None


def _prove_by_listing(digest: Digest, remote: RemoteStat | None, *, wanted: bool) -> Proof:
    if remote is None:
        return Proof(_without_sidecar(wanted), digest, "no sidecar and no listing to verify it")
    if not is_md5(remote.etag):
        return Proof(_without_sidecar(wanted), digest, "no sidecar; size as in the listing")
    if remote.etag.lower() != digest.md5:
        reason = f"MD5 is {_short(digest.md5)}, the listing says {_short(remote.etag.lower())}"
        return Proof(Verdict.CORRUPT, digest, reason)
    verdict = Verdict.SIDECAR_MISSING if wanted else Verdict.OK
    return Proof(verdict, digest, "no sidecar; size and MD5 as in the listing")


def _without_sidecar(wanted: bool) -> Verdict:
    return Verdict.SIDECAR_MISSING if wanted else Verdict.UNPROVEN


def _short(digest: str) -> str:
    return digest[:12] + "…"
