"""Layouts: where an archive root stores objects, as key to path and path to key. The mirror, and the rules for others.

``layout_kinds`` has the others: templates, and classes of the user's own.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from crypto_archive.model import SIDECAR_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject

PRIVATE_FOLDER = ".crypto-archive"
DATA_FOLDER = "data"
"""The folder of a root that holds the objects, in every layout; the keys of the archive start with it, too."""
LONGEST_NAME = 255
"""The longest name of a file or folder that file systems accept, in bytes."""

_PLAIN = re.compile(r"(?:[\w%+=-][\w%+=.-]*/)*[\w%+=-][\w%+=.-]*")
"""Nearly every path; of the others, ``plain_parts`` finds out."""
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def plain_parts(path: str) -> tuple[str, ...]:
    """Split a path or a key into folder and file names, none of which may lead anywhere else.

    Raises:
        ValueError: It leads out of the root or into our own folder, or no file can have such a name.
    """
    parts = tuple(path.split("/"))
    if _CONTROL_CHARACTER.search(path):
        raise ValueError(f"The key {path!r} contains a control character, which file names cannot have.")
    if parts[0].casefold() == PRIVATE_FOLDER:
        raise ValueError(f"The key {path!r} leads into the folder {PRIVATE_FOLDER}, which is reserved.")
    # On Windows paths are also split at backslashes and drive letters: what differs then, leads away.
    odd = not {"", ".", ".."}.isdisjoint(parts) or (sys.platform == "win32" and PurePath(*parts).parts != parts)
    if odd:
        raise ValueError(f"The key {path!r} is not a plain path below the archive root.")
    path.encode()  # a lone surrogate has no bytes, so no file name: UnicodeEncodeError is a ValueError
    return parts


def require_plain(path: str) -> None:
    """Raise ``ValueError`` where ``plain_parts`` does, in a fraction of the time."""
    if _PLAIN.fullmatch(path) is None:
        plain_parts(path)


def is_name(text: str) -> bool:
    """Whether a folder can have this name on any system that keeps an archive."""
    plain = text not in {"", ".", ".."} and not re.search(r'[/\\<>:"|?*]', text) and not _CONTROL_CHARACTER.search(text)
    return plain and not text.endswith((".", " "))


class NoPlace(ValueError):
    """A layout has no place for an object, or none of its own; the text says why."""


class Layout(Protocol):
    """A layout of your own: any object with this method.

    It must always return the same folder for the same object, and different ones for two objects whose files have the
    same name, such as ``BTCUSDT-1h-2025-07-15.zip`` of two markets. A preset names it by module and attribute, such as
    ``layout: my_layouts:ByMarket``, since the archive root remembers that name.
    """

    def folder(self, item: ArchiveObject) -> str | PurePath:
        """Return the folder of an object, relative to ``data/`` of the archive root, with ``/`` between its parts."""


class Placement(Protocol):
    """Where everything is below an archive root. Paths are relative to the root, with ``/`` between their parts."""

    @property
    def name(self) -> str:
        """The layout's name in presets, options and the root's own note."""

    @property
    def by_key(self) -> bool:
        """Whether paths are the keys."""

    def path(self, key: str) -> str:
        """Return the path of an object or of its sidecar; raises ``NoPlace`` where there is none."""

    def key(self, path: str) -> str | None:
        """Return the key of the object at a path; None where the layout puts no object there."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """The layout whose paths are the keys."""

    name: str = "mirror"
    by_key: bool = True

    def path(self, key: str) -> str:
        """Return the key."""
        return key

    def key(self, path: str) -> str | None:
        """Return the path; the matrix knows whether it is a key."""
        return path


MIRROR = Mirror()


class ByFolder(ABC):
    """A layout that chooses the folder of each object and keeps its file name."""

    by_key = False

    def __init__(self, name: str, matrix: Matrix) -> None:
        self.name = name
        self.matrix = matrix

    @abstractmethod
    def folder(self, item: ArchiveObject) -> str:
        """Return the folder of an object below ``data/``; raises ``NoPlace`` where there is none."""

    @abstractmethod
    def rows(self, folders: Sequence[str]) -> Iterable[Row]:
        """Return the rows that an object in these folders may be of; the fewer, the faster."""

    def path(self, key: str) -> str:
        """Return the path of an object or of its sidecar.

        Raises:
            NoPlace: The matrix does not have the key, or the layout has no place for it.
        """
        item = self.matrix.object_of(key.removesuffix(SIDECAR_SUFFIX))
        if item is None:
            raise NoPlace(f"the layout {self.name} has no place for the key {key!r}, which is not in the matrix")
        return f"{DATA_FOLDER}/{self.folder(item)}/{key.rpartition('/')[2]}"

    def key(self, path: str) -> str | None:
        """Return the key of the object at a path: of the objects whose file has that name, the one placed there."""
        inside = path.removeprefix(f"{DATA_FOLDER}/")
        *folders, name = inside.split("/")
        if inside == path:
            return None
        for row in self.rows(folders):
            item = row.object_named(name)
            with suppress(NoPlace):
                if item is not None and self.folder(item) == "/".join(folders):
                    return item.key
        return None
