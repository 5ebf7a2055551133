"""What is there already: the question that a plan asks of every object, answered a folder at a time."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import RootUnusable
from crypto_archive.model import ManifestEntry, StoredStat, Verdict, is_md5

if TYPE_CHECKING:
    from crypto_archive.model import RemoteStat
    from crypto_archive.trust.manifest import Manifest
    from crypto_archive.trust.store import Root

_FOLDERS_KEPT = 16


class _Folder(NamedTuple):
    files: dict[str, os.DirEntry[str]]
    recorded: dict[str, ManifestEntry]


class StoredFiles:
    """The files at their final paths, with what the manifest knows of them.

    Each folder is read once, by one look at the disk and one query, and a few folders are kept; ask for objects
    series by series. What changes in a folder after it was read is not seen. Nothing is written, and a root that
    does not exist has no files. To be used from the manifest's own thread.

    Args:
        root: The archive root.
        manifest: The manifest, None to go by the disk alone.
    """

    def __init__(self, root: Root, manifest: Manifest | None = None) -> None:
        self._root = root
        self._manifest = manifest
        self._folder = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_folder)

    def stat(self, key: str) -> StoredStat | None:
        """Return what is known of the file of an object, None when there is none.

        Raises:
            RootUnusable: Its folder cannot be read.
            ValueError: The key leads out of the root, or no file can be named so.
        """
        prefix, slash, name = key.rpartition("/")
        files, recorded = self._folder(prefix + slash)
        file = files.get(name)
        size = _size(file) if file is not None else None
        return None if size is None else StoredStat(size, recorded.get(key))

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
                files = {file.name: file for file in found}
        except (FileNotFoundError, NotADirectoryError):
            files = {}
        except OSError as error:
            raise RootUnusable(
                f"Cannot read the folder {folder}: {error.strerror}", hint="See that you may read the output directory."
            ) from error
        recorded = self._manifest.entries_in(prefix) if files and self._manifest is not None else {}
        return _Folder(files, recorded)


def _size(file: os.DirEntry[str]) -> int | None:
    try:
        found = file.stat()
    except OSError:  # a link to nowhere, or gone since
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
