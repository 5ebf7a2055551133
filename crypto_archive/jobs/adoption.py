"""Adopt a file that stands at a final path and that the manifest does not know, by proving it first.

Such files are left by a run that was killed between publication and record, by a manifest that was lost, or by another
tool that mirrors the archive by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.keys import sidecar_key
from crypto_archive.model import ManifestEntry, Verdict
from crypto_archive.trust.proof import prove

if TYPE_CHECKING:
    from crypto_archive.model import RemoteStat
    from crypto_archive.trust.store import Root


@dataclass(frozen=True, slots=True)
class Adopter:
    """Proves files of one root on behalf of one run.

    Attributes:
        root: The archive root.
        run_id: The run, for the manifest.
        wants_sidecars: Whether objects are to be proven by their sidecars.
    """

    root: Root
    run_id: str
    wants_sidecars: bool

    def __call__(self, key: str, remote: RemoteStat | None) -> ManifestEntry | None:
        """Return what the manifest is to remember of a file; None where sidecar or listing contradict its bytes."""
        path, sidecar = self.root.file(key), self.root.file(sidecar_key(key))
        try:
            proof = prove(path, sidecar if sidecar.is_file() else None, path.name, remote, wanted=self.wants_sidecars)
        except OSError:  # gone, or not to be read: a new download is the cure
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
            run_id=self.run_id,
        )
