"""What is on disk: files at their final paths with what the manifest knows, a folder at a time."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.layouts import plain_parts
from crypto_archive.errors import RootUnusable
from crypto_archive.model import StoredStat, Verdict, is_md5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.model import ManifestEntry, RemoteStat
    from crypto_archive.root.manifest import Manifest
    from crypto_archive.root.store import Root

_FOLDERS_KEPT = 16


class _Folder(NamedTuple):
    """Names alone, and not what ``os.scandir`` keeps of each: a folder has thousands, and several are remembered."""

    path: str
    names: frozenset[str]


class _Rows(NamedTuple):
    """What the manifests know of the objects whose keys begin alike."""

    recorded: Mapping[str, ManifestEntry]
    beneath: Mapping[str, ManifestEntry]


class StoredFiles:
    """The files at their final paths, with what the manifest knows of them.

    Each folder is read once, by one look at the disk and, for the keys of a series, one query of the manifest, and a
    few of both are kept; ask for objects series by series. What is not in its folder costs nothing more. What is there
    is asked for its size, since a power cut may have left a file shorter than it was, and the look at the folder does
    not tell. What changes in a folder after it was read is not seen. Nothing is written, and a root that does not exist
    has no files. To be used from the manifest's own thread.

    Args:
        root: The archive root.
        manifest: The manifest, None to go by the disk alone.
        beneath: The manifest that is asked about what the first one does not know.
    """

    def __init__(self, root: Root, manifest: Manifest | None = None, beneath: Manifest | None = None) -> None:
        self._root = root
        self._manifest = manifest
        self._beneath = beneath
        self._path = root.layout.path
        self._folder = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_folder)
        self._rows = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_rows)

    def stat(self, key: str) -> StoredStat | None:
        """Return what is known of the file of an object, None when there is none.

        Raises:
            RootUnusable: Its folder cannot be read.
            ValueError: The key leads out of the root, no file can be named so, or the layout has no place for it.
        """
        folder, _, name = self._path(key).rpartition("/")
        place = self._folder(folder)
        size = _size(f"{place.path}/{name}") if name in place.names else None
        if size is None:
            return None
        rows = self._rows(key.rpartition("/")[0])
        return StoredStat(size, rows.recorded.get(key) or rows.beneath.get(key))

    def find(self, key: str) -> StoredStat | None:
        """Return what is known of the file of an object, None also where it can have no place."""
        try:
            return self.stat(key)
        except ValueError:
            return None

    def is_short(self, key: str, remote: RemoteStat) -> bool:
        """Whether the very bytes that the listing speaks of are stored, and known to lack rows of their days."""
        there = self.find(key)
        known = there.recorded if there is not None else None
        if known is None or known.verdict is not Verdict.GAPS or known.size != remote.size:
            return False
        # Where no listing was asked, the MD5 stands for the ETag; an object that was uploaded in parts has another one.
        return known.etag == remote.etag or (known.last_modified is None and not is_md5(remote.etag))

    def _read_folder(self, path: str) -> _Folder:
        folder = self._root.path.joinpath(*plain_parts(path)) if path else self._root.path
        try:
            with os.scandir(folder) as found:
                return _Folder(str(folder), frozenset(file.name for file in found))
        except (FileNotFoundError, NotADirectoryError):
            return _Folder(str(folder), frozenset())
        except OSError as error:
            raise RootUnusable(
                f"Cannot read the folder {folder}: {error.strerror}", hint="See that you may read the output directory."
            ) from error

    def _read_rows(self, folder: str) -> _Rows:
        prefix = folder and f"{folder}/"
        manifests = (self._manifest, self._beneath)
        return _Rows(*({} if manifest is None else manifest.entries_in(prefix) for manifest in manifests))


def _size(path: str) -> int | None:
    try:
        found = os.stat(path)  # noqa: PTH116, a Path for each object takes longer than the question
    except OSError:  # a link to nowhere, or gone since
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class KeysOnDisk:
    """The objects on disk by their keys.

    Where paths are keys, a folder of keys is one on disk, and what lies there is read. In other layouts its objects may
    lie anywhere, and so those count that the manifest knows and that are on disk.

    Args:
        root: The archive root; one that does not exist has no files.
        manifest: The manifest, open as long as this is used.
    """

    def __init__(self, root: Root, manifest: Manifest) -> None:
        self._root = root
        self._manifest = manifest
        self._stored = StoredFiles(root)

    def files(self, prefix: str) -> list[str]:
        """Return the names of the files in a folder of keys, in no order.

        Args:
            prefix: The folder as the beginning of keys, with its slash.

        Raises:
            RootUnusable: The folder cannot be read.
            ValueError: The prefix leads out of the root.
        """
        if self._root.layout.by_key:
            return [entry.name for entry in _entries(self._root, prefix) if not entry.is_dir()]
        keys = (entry.key for entry in self._manifest.iterate(prefix))
        return [key.removeprefix(prefix) for key in keys if self._stored.find(key) is not None]

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders in a folder of keys, sorted; otherwise as ``files``."""
        if self._root.layout.by_key:
            return sorted(entry.name for entry in _entries(self._root, prefix) if entry.is_dir())
        return list(self._manifest.folders(prefix))


def _entries(root: Root, prefix: str) -> list[os.DirEntry[str]]:
    folder = root.file(prefix.removesuffix("/"))
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RootUnusable(
            f"Cannot read the folder {folder}: {error.strerror}", hint="See that you may read the output directory."
        ) from error
