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
# A real sidecar has about 100 bytes; what is longer is another thing, such as an error page.
_SIDECAR_LIMIT = 4096
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says.

    Attributes:
        digest: The SHA-256 in lowercase hexadecimal.
        name: The file that it speaks of, verbatim.
    """

    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file's bytes come to.

    Attributes:
        sha256: Lowercase hexadecimal, empty when there was no file to read.
        md5: The same; equals the ETag of an object that was uploaded in one piece.
        size: Length in bytes.
    """

    sha256: str
    md5: str
    size: int


def parse_sidecar(text: str) -> Sidecar:
    """Read the text of a sidecar; a missing newline, uppercase digits and ``*name`` are fine.

    Raises:
        ValueError: The text is not one line of a digest and a name.
    """
    found = _SIDECAR.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected 64 hexadecimal digits and a file name, found {_excerpt(text)}")
    return Sidecar(found["digest"].lower(), found["name"])


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar file.

    Raises:
        ValueError: It does not hold what a sidecar holds.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(_SIDECAR_LIMIT + 1)
    if len(content) > _SIDECAR_LIMIT:
        raise ValueError(f"expected about 100 bytes, found more than {_SIDECAR_LIMIT}")
    return parse_sidecar(content.decode("utf-8", errors="backslashreplace"))


def digest_file(path: Path) -> Digest:
    """Read a file once and return its digests and its length; memory stays at 1 MiB.

    Raises:
        OSError: The file cannot be read.
    """
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
