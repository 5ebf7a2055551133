"""The names below the archive root, a folder at a time: what lies there, without a look at each file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable

if TYPE_CHECKING:
    from crypto_archive.trust.store import Root


def file_names(root: Root, prefix: str) -> list[str]:
    """Return the names of the files in a folder, in no order.

    Args:
        root: The archive root; one that does not exist has no files.
        prefix: The folder as the beginning of keys, with its slash.

    Raises:
        RootUnusable: The folder cannot be read.
        ValueError: The prefix leads out of the root.
    """
    return [entry.name for entry in _entries(root, prefix) if not entry.is_dir()]


def folder_names(root: Root, prefix: str) -> list[str]:
    """Return the names of the folders in a folder, sorted; otherwise as ``file_names``."""
    return sorted(entry.name for entry in _entries(root, prefix) if entry.is_dir())


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
