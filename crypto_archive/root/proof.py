"""What the evidence says of a file: digests, sidecars, and verdicts against sidecar, listing and manifest."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.layouts import NoPlace
from crypto_archive.model import SIDECAR_SUFFIX, Verdict, is_md5
from crypto_archive.root.zips import zip_fault

if TYPE_CHECKING:
    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.root.store import Root

_SIDECAR = re.compile(r"(?P<digest>[0-9a-fA-F]{64})(?:[ \t]+\*?(?P<name>[^\r\n]*[^\s]))?")
# A real sidecar has about 100 bytes; a longer file is something else, such as an error page.
_SIDECAR_LIMIT = 4096
_CHUNK_BYTES = 1 << 18
"""A file that is not longer, as most are, is kept in memory while it is checked."""
# The system takes larger pieces of memory back from a thread each time, and clears them again.
_FEW_BYTES = 1 << 16
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_READ_NOW = _READ | getattr(os, "O_NONBLOCK", 0)
_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""The errors of opening what does not exist, a link in a circle, or a socket."""


class Sidecar(NamedTuple):
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


class Digest(NamedTuple):
    """The digests of a file.

    Attributes:
        sha256: Lowercase hexadecimal.
        md5: Lowercase hexadecimal; equals the ETag of an object that was uploaded in one piece. Empty where nothing
            asked for it: it takes longer than the SHA-256.
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


def _head_of(sidecar: str | Path, size: int | None = None) -> bytes:
    descriptor = os.open(sidecar, _READ)
    try:
        return _read_at_most(descriptor, _SIDECAR_LIMIT + 1, size)
    finally:
        os.close(descriptor)


def _head_if_file(sidecar: str) -> bytes | None:
    descriptor, size = _open_regular(sidecar)
    if descriptor is None:
        return None
    try:
        return _read_at_most(descriptor, _SIDECAR_LIMIT + 1, size)
    finally:
        os.close(descriptor)


def _text_of(content: bytes) -> str:
    if len(content) > _SIDECAR_LIMIT:
        raise ValueError(f"expected about 100 bytes, found more than {_SIDECAR_LIMIT}")
    return content.decode("utf-8", errors="backslashreplace")


def sidecar_etag(path: Path) -> str:
    """Return the ETag that the archive has for a sidecar of these bytes, which is their MD5; may raise ``OSError``."""
    return _md5_of_sidecar(path, _head_of(path))


def _md5_of_sidecar(path: str | Path, head: bytes) -> str:
    if len(head) > _SIDECAR_LIMIT:
        return digest_file(path).md5
    return hashlib.md5(head, usedforsecurity=False).hexdigest()


def digest_file(path: str | Path) -> Digest:
    """Read a file once, with 512 KiB of memory, and return its digests; raise ``OSError`` if it cannot be read."""
    return _digest(path, md5=True)[0]


def with_md5(digest: Digest, path: str | Path) -> Digest:
    """Return the digests of a file with its MD5, for which it is read again if nothing has asked for that before."""
    return digest if digest.md5 else digest._replace(md5=digest_file(path).md5)


def _digest(path: str | Path, *, md5: bool, size: int | None = None) -> tuple[Digest, str | Path | bytes]:
    """Read a file once, and return its digests with its bytes if they are few, else with its path."""
    descriptor = os.open(path, _READ)
    try:
        return _digest_open(descriptor, path, md5=md5, size=size)
    finally:
        os.close(descriptor)


def _digest_open(
    descriptor: int, path: str | Path, *, md5: bool, size: int | None = None
) -> tuple[Digest, str | Path | bytes]:
    content = _read_at_most(descriptor, _CHUNK_BYTES + 1, size)
    if len(content) > _CHUNK_BYTES:
        return _digest_rest(content, descriptor, md5=md5), path
    its_md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 else ""
    return Digest(hashlib.sha256(content).hexdigest(), its_md5, len(content)), content


def _digest_rest(head: bytes, descriptor: int, *, md5: bool) -> Digest:
    """Read a file whose beginning has been read to its end, and return its digests."""
    sha256, its_md5, size = hashlib.sha256(head), hashlib.md5(head if md5 else b"", usedforsecurity=False), len(head)
    chunk = memoryview(bytearray(_CHUNK_BYTES))
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        while count := file.readinto(chunk):
            sha256.update(chunk[:count])
            if md5:
                its_md5.update(chunk[:count])
            size += count
    return Digest(sha256.hexdigest(), its_md5.hexdigest() if md5 else "", size)


def _read_at_most(descriptor: int, limit: int, size: int | None = None) -> bytes:
    """Read an open file to its end, or as many bytes; calls of the system, since file objects take twice as long.

    A file that has the ``size`` that is expected of it, and no byte more, has been read to its end.
    """
    content = os.read(descriptor, min(limit, _FEW_BYTES if size is None else size + 1, _FEW_BYTES))
    if len(content) == size:
        return content
    while more := os.read(descriptor, min(limit - len(content), _FEW_BYTES)):
        content += more
    return content


def _open_regular(path: str) -> tuple[int | None, int]:
    """Open a regular file, or a link to one, and return its size, too; None where there is none.

    Does not wait, as for a pipe.
    """
    try:
        descriptor = os.open(path, _READ_NOW)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None, 0
        raise
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return descriptor, found.st_size
    os.close(descriptor)
    return None, 0


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")


NOT_READ = Digest(sha256="", md5="", size=0)
"""Stands for the digests of a file that is missing, unreadable or of the wrong size."""


class Proof(NamedTuple):
    """The result of a check.

    Attributes:
        verdict: The result.
        digest: The digests of the bytes; ``NOT_READ`` where they were not read.
        reason: The evidence for the verdict, for people.
        as_listed: Whether size and MD5 are those in the listing; None where that cannot be compared.
        sidecar: What the sidecar alone says: ``OK``, ``SIDECAR_STALE`` or ``SIDECAR_MALFORMED``; None without one.
        sidecar_etag: The MD5 of that sidecar, which its ETag is; None without one, or where nothing asked for it.
        sidecar_size: The bytes of that sidecar, where it was read together with a download.
    """

    verdict: Verdict
    digest: Digest
    reason: str
    as_listed: bool | None = None
    sidecar: Verdict | None = None
    sidecar_etag: str | None = None
    sidecar_size: int = 0

    def provenance(self, remote: RemoteStat | None) -> RemoteStat | None:
        """Return what may be recorded of the listing next to these bytes: nothing where it is of other bytes."""
        return None if self.as_listed is False else remote


def prove(zip_path: str | Path, sidecar_path: str | Path | None, name: str, remote: RemoteStat | None) -> Proof:
    """Verify a file that has just been fetched, or that the manifest does not know.

    Args:
        zip_path: The file.
        sidecar_path: Its sidecar, None when there is none.
        name: The name of the file in the archive, which the sidecar must contain.
        remote: What the listing says of the object, None without a listing.

    Returns:
        ``OK`` if the sidecar matches the bytes and the zip opens, ``BAD_ZIP`` if it does not; ``CORRUPT`` if size or
        sidecar contradict the bytes or, without a sidecar, the MD5 in the ETag does. Without a sidecar
        ``SIDECAR_MISSING`` if that MD5 confirms them, else ``UNPROVEN``. The digests have the MD5 unless the ETag is
        that of an upload in parts, of which it says nothing.

    Raises:
        OSError: A file cannot be read.
    """
    size = remote.size if remote is not None else None
    digest, zipped = _digest(zip_path, md5=remote is None or is_md5(remote.etag), size=size)
    said, etag, sidecar_size = _NO_SIDECAR, None, 0
    if sidecar_path is not None:
        head = _head_of(sidecar_path, len(f"{digest.sha256}  {name}\n"))
        said, etag = _said(head, name, digest), _md5_of_sidecar(sidecar_path, head)
        sidecar_size = len(head) if len(head) <= _SIDECAR_LIMIT else Path(sidecar_path).stat().st_size
    if remote is not None and digest.size != remote.size:
        digest = with_md5(digest, zip_path)  # all that may be recorded in place of the ETag
        reason = f"has {digest.size} bytes, the listing says {remote.size}"
        return Proof(Verdict.CORRUPT, digest, reason, False, said.verdict, etag, sidecar_size)
    listed, verdict, reason = as_listed(digest, remote), Verdict.CORRUPT, said.reason
    if said.verdict is Verdict.OK:
        verdict, reason = _settle(said.verdict, listed, reason, zip_fault(zipped, name, read=False))
    elif said.verdict is None and remote is not None and listed is False:
        reason = f"MD5 is {_short(digest.md5)}, the listing says {_short(remote.etag.lower())}"
    elif said.verdict is None:
        fault = zip_fault(zipped, name, read=True)
        verdict, reason = _settle(None, listed, _without_sidecar(remote, listed), fault)
        if verdict is Verdict.BAD_ZIP and not listed:
            verdict = Verdict.CORRUPT  # what is not known to be the archive's own may have been spoilt on its way
    return Proof(verdict, digest, reason, listed, said.verdict, etag, sidecar_size)


def settled(proof: Proof, zip_path: str | Path, name: str) -> Proof:
    """Judge bytes that are known to be the archive's own: what is wrong with them, or with their sidecar, is its fault.

    A matching sidecar makes it certain enough that the zip is sound to look at its directory alone.
    """
    fault = zip_fault(zip_path, name, read=proof.sidecar is not Verdict.OK)
    verdict, reason = _settle(proof.sidecar, proof.as_listed, proof.reason, fault)
    return proof._replace(verdict=verdict, reason=reason)


def _settle(sidecar: Verdict | None, listed: bool | None, reason: str, fault: str | None) -> tuple[Verdict, str]:
    """Return the verdict on the archive's own bytes, of which the zip has that fault, with its reason."""
    if fault is not None:
        return Verdict.BAD_ZIP, f"{fault}; {reason}"
    if sidecar is not None:
        return sidecar, reason
    return (Verdict.SIDECAR_MISSING if listed else Verdict.UNPROVEN), reason


def _without_sidecar(remote: RemoteStat | None, listed: bool | None) -> str:
    if listed:
        return "no sidecar; size and MD5 as in the listing"
    return "no sidecar and no listing to verify it" if remote is None else "no sidecar; size as in the listing"


def check_stored(root: Root, key: str, entry: ManifestEntry | None, remote: RemoteStat | None = None) -> Proof:
    """Check a file at its final path against its sidecar and the manifest, and open it.

    A sidecar that matches outweighs the manifest: a run that was killed between publication and record leaves a newer
    file than the manifest knows. A sidecar that does not match outweighs it too, unless the manifest marks the object's
    sidecar as wrong and has the digest of the file. Bytes that the manifest knows to have other rows than their days,
    or to be a broken zip, stay so, even with a sidecar that matches.

    The digests have the MD5 where the manifest does not know the file, or an ETag, its own or that of ``remote``, can
    be compared with it; the proof has that of the sidecar where the manifest does not know the file.
    """
    try:
        path = root.path_of(key)
    except NoPlace as error:
        return Proof(Verdict.MISSING, NOT_READ, str(error))
    name, sidecar = path.rpartition("/")[2], path + SIDECAR_SUFFIX
    md5 = entry is None or _has_md5(entry) or (remote is not None and is_md5(remote.etag))
    descriptor = None
    try:
        descriptor, size = _open_regular(path)
        if descriptor is None:
            reason = "it is not a regular file" if Path(path).exists() else "the file does not exist"
            return Proof(Verdict.MISSING, NOT_READ, reason)
        head = _head_if_file(sidecar)
        if entry is not None and head is None and size != entry.size:
            return Proof(Verdict.CORRUPT, NOT_READ, f"has {size} bytes, the manifest says {entry.size}")
        digest, zipped = _digest_open(descriptor, path, md5=md5, size=size)
        said = _NO_SIDECAR if head is None else _said(head, name, digest)
        etag = None if head is None or entry is not None else _md5_of_sidecar(sidecar, head)
        fault = zip_fault(zipped, name, read=said.verdict is not Verdict.OK)
    except OSError as error:
        return Proof(Verdict.CORRUPT, NOT_READ, f"cannot be read: {error.strerror or error}")
    finally:
        if descriptor is not None:
            os.close(descriptor)
    verdict, reason = _judge_stored(digest, said, entry)
    if fault is not None and verdict is not Verdict.CORRUPT:
        # Without any evidence that these are the archive's bytes, a new download may be the cure.
        verdict = Verdict.CORRUPT if verdict is Verdict.UNPROVEN and entry is None else Verdict.BAD_ZIP
        reason = f"{fault}; {reason}"
    return Proof(verdict, digest, reason, None, said.verdict, etag)


def _judge_stored(digest: Digest, said: _Said, entry: ManifestEntry | None) -> tuple[Verdict, str]:
    """Judge a file by sidecar and manifest alone, and give the reason."""
    recorded = entry is not None and entry.sha256 == digest.sha256
    if entry is not None and recorded and _has_md5(entry) and entry.etag.lower() != digest.md5:
        # Earlier versions recorded an ETag without looking at the bytes.
        return Verdict.CORRUPT, f"MD5 is {_short(digest.md5)}, that of the archive's object was {_short(entry.etag)}"
    if said.verdict is Verdict.OK:
        keeps = entry is not None and recorded and (entry.verdict is Verdict.GAPS or entry.verdict is Verdict.BAD_ZIP)
        return (entry.verdict if entry is not None and keeps else Verdict.OK), said.reason
    if entry is None:
        if said.verdict is not None:
            return Verdict.CORRUPT, said.reason
        return Verdict.UNPROVEN, "neither a sidecar nor the manifest has its SHA-256"
    if not recorded:
        differs = f"SHA-256 is {_short(digest.sha256)}, the manifest says {_short(entry.sha256)}"
        return Verdict.CORRUPT, said.reason or differs
    if said.verdict is not None and entry.verdict not in _KNOWN_FAULTS:
        return Verdict.CORRUPT, f"{said.reason}; the manifest says the same as the file"
    return entry.verdict, said.reason or "SHA-256 as in the manifest"


def _has_md5(entry: ManifestEntry) -> bool:
    """Whether the manifest has an ETag of the archive that is the MD5 of its object."""
    return entry.last_modified is not None and is_md5(entry.etag)


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


_KNOWN_FAULTS = frozenset({Verdict.SIDECAR_STALE, Verdict.SIDECAR_MALFORMED, Verdict.BAD_ZIP})
"""Verdicts of a file that its sidecar does not match."""


class _Said(NamedTuple):
    """What a sidecar says of a file, and the same in words."""

    verdict: Verdict | None
    reason: str


_NO_SIDECAR = _Said(None, "")
_MATCHES = _Said(Verdict.OK, "SHA-256 as in the sidecar")


def _said(head: bytes, name: str, digest: Digest) -> _Said:
    # As nearly all are; what is not is for the parser to judge.
    if head.strip() == f"{digest.sha256}  {name}".encode():
        return _MATCHES
    try:
        lines = parse_sidecar(_text_of(head))
    except ValueError as error:
        return _Said(Verdict.SIDECAR_MALFORMED, f"malformed sidecar: {error}")
    ours = [line for line in lines if line.is_of(name)]
    if not ours:
        return _Said(Verdict.SIDECAR_MALFORMED, f"the sidecar names another file: {lines[0].name}")
    if any(line.digest == digest.sha256 for line in ours):
        return _MATCHES
    reason = f"SHA-256 is {_short(digest.sha256)}, the sidecar says {_short(ours[0].digest)}"
    return _Said(Verdict.SIDECAR_STALE, reason)


def as_listed(digest: Digest, remote: RemoteStat | None) -> bool | None:
    """Whether bytes are those that were listed; None without a listing, or with an ETag that says nothing of them."""
    if remote is None:
        return None
    if digest.size != remote.size:
        return False
    return remote.etag.lower() == digest.md5 if is_md5(remote.etag) else None


def _short(digest: str) -> str:
    return digest[:12] + "…"
