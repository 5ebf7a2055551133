"""What is there already: the question that a plan asks of every object, answered a folder at a time."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import RootUnusable
from crypto_archive.model import StoredStat, Verdict, is_md5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.trust.manifest import Manifest
    from crypto_archive.trust.store import Root

_FOLDERS_KEPT = 16


class _Folder(NamedTuple):
    """Names alone, and not what ``os.scandir`` keeps of each: a folder has thousands, and several are remembered."""

    path: str
    names: frozenset[str]
    recorded: Mapping[str, ManifestEntry]
    beneath: Mapping[str, ManifestEntry]


class StoredFiles:
    """The files at their final paths, with what the manifest knows of them.

    Each folder is read once, by one look at the disk and one query, and a few folders are kept; ask for objects
    series by series. What is not in its folder costs nothing more. What is there is asked for its size, since a power
    cut may have left a file shorter than it was, and the look at the folder does not tell. What changes in a folder
    after it was read is not seen. Nothing is written, and a root that does not exist has no files. To be used from the
    manifest's own thread.

    Args:
        root: The archive root.
        manifest: The manifest, None to go by the disk alone.
        beneath: The manifest that is asked about what the first one does not know.
    """

    def __init__(self, root: Root, manifest: Manifest | None = None, beneath: Manifest | None = None) -> None:
        self._root = root
        self._manifest = manifest
        self._beneath = beneath
        self._folder = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_folder)

    def stat(self, key: str) -> StoredStat | None:
        """Return what is known of the file of an object, None when there is none.

        Raises:
            RootUnusable: Its folder cannot be read.
            ValueError: The key leads out of the root, or no file can be named so.
        """
        prefix, slash, name = key.rpartition("/")
        folder = self._folder(prefix + slash)
        size = _size(f"{folder.path}/{name}") if name in folder.names else None
        if size is None:
            return None
        return StoredStat(size, folder.recorded.get(key) or folder.beneath.get(key))

    def is_short(self, key: str, remote: RemoteStat) -> bool:
        """Whether the very bytes that the listing speaks of are stored, and known to lack rows of their days."""
        there = self.stat(key)
        known = there.recorded if there is not None else None
        if known is None or known.verdict is not Verdict.GAPS or known.size != remote.size:
            return False
        # Where no listing was asked, the MD5 stands for the ETag; an object that was uploaded in parts has another one.
        return known.etag == remote.etag or (known.last_modified is None and not is_md5(remote.etag))

    def _read_folder(self, prefix: str) -> _Folder:
        folder = self._root.file(prefix.removesuffix("/")) if prefix else self._root.path
        try:
            with os.scandir(folder) as found:
                names = frozenset(file.name for file in found)
        except (FileNotFoundError, NotADirectoryError):
            names = frozenset()
        except OSError as error:
            raise RootUnusable(
                f"Cannot read the folder {folder}: {error.strerror}", hint="See that you may read the output directory."
            ) from error
        known = (
            manifest.entries_in(prefix) if names and manifest is not None else {}
            for manifest in (self._manifest, self._beneath)
        )
        return _Folder(str(folder), names, *known)


def _size(path: str) -> int | None:
    try:
        found = os.stat(path)  # noqa: PTH116, a Path for each object takes longer than the question
    except OSError:  # a link to nowhere, or gone since
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
