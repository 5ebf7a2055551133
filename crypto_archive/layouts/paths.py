"""Relative paths that stay where they belong: below an archive root, and out of our own folder."""

from __future__ import annotations

import re
from pathlib import PurePath

PRIVATE_FOLDER = ".crypto-archive"
DATA_FOLDER = "data"
"""The folder of a root that holds the objects, in every layout; the keys of the archive begin with it, too."""
LONGEST_NAME = 255
"""What file systems take as the name of a file or folder, in bytes."""

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def plain_parts(path: str) -> tuple[str, ...]:
    """Cut a path or a key into folder and file names, none of which may lead anywhere else.

    Raises:
        ValueError: It would lead out of the root or into our own folder, or no file can be named so.
    """
    parts = tuple(path.split("/"))
    if _CONTROL_CHARACTER.search(path):
        raise ValueError(f"The key {path!r} has a control character in it, so no file can be named so.")
    if parts[0].casefold() == PRIVATE_FOLDER:
        raise ValueError(f"The key {path!r} leads into the folder {PRIVATE_FOLDER}, which is our own.")
    # PurePath drops "" and ".", and on Windows it splits at backslashes and drive letters: what differs, leads away.
    if ".." in parts or PurePath(*parts).parts != parts:
        raise ValueError(f"The key {path!r} is no plain path below the archive root.")
    path.encode()  # a lone surrogate has no bytes, so no file name: UnicodeEncodeError is a ValueError
    return parts


def is_name(text: str) -> bool:
    """Whether a folder may be called so on any system that keeps an archive."""
    plain = text not in {"", ".", ".."} and not re.search(r'[/\\<>:"|?*]', text) and not _CONTROL_CHARACTER.search(text)
    return plain and not text.endswith((".", " "))
