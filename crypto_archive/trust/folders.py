"""What lies on disk below the archive root, a folder of keys at a time: names alone, without a look at each file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.trust.presence import StoredFiles

if TYPE_CHECKING:
    from crypto_archive.trust.manifest import Manifest
    from crypto_archive.trust.store import Root


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
