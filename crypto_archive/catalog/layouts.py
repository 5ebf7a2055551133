"""Layouts: where the objects of the archive are stored below a root, as key to path and path to key."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from crypto_archive.model import SIDECAR_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject

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


class NoPlace(ValueError):
    """A layout has no place for an object, or none that is its own; the text says why."""


class Layout(Protocol):
    """A layout of somebody's own: any object with this method.

    It must always give the same folder for the same object, and different ones for two objects whose files have the
    same name, such as ``BTCUSDT-1h-2025-07-15.zip`` of two markets. A preset names it by module and attribute, such as
    ``layout: my_layouts:ByMarket``, since the archive root remembers that name.

    Example:
        >>> from crypto_archive import Layout, load_preset, plan
        >>> class ByMarket:
        ...     def folder(self, item):
        ...         return f"{item.series.market}/{item.series.data_type}/{item.series.symbol}"
        >>> layout: Layout = ByMarket()
        >>> with plan(load_preset("backtest", start="2025-07-15", end="2025-07-15")) as planned:
        ...     print(layout.folder(next(iter(planned)).object))
        spot/klines/BTCUSDT
    """

    def folder(self, item: ArchiveObject) -> str | PurePath:
        """Return the folder of an object, relative to ``data/`` of the archive root, with ``/`` between its parts."""


class Placement(Protocol):
    """Where everything stands below an archive root. Paths are relative to the root, with ``/`` between their parts."""

    @property
    def name(self) -> str:
        """What the layout is called in presets, options and the root's own note."""

    @property
    def by_key(self) -> bool:
        """Whether paths are the keys."""

    def path(self, key: str) -> str:
        """Return the path of an object or of its sidecar.

        Raises:
            NoPlace: There is none for it.
        """

    def key(self, path: str) -> str | None:
        """Return the key of the object whose path this is; None where the layout puts no object there."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """The layout whose paths are the keys."""

    name: str = "mirror"
    by_key: bool = True

    def path(self, key: str) -> str:
        """Return the key."""
        return key

    def key(self, path: str) -> str | None:
        """Return the path; whether it is a key is for the matrix to say."""
        return path


MIRROR = Mirror()


@dataclass(frozen=True, slots=True)
class ByFolder:
    """A layout that chooses the folder of each object.

    Attributes:
        name: What it is called.
        matrix: What knows the keys.
        folder: Returns the folder of an object below ``data/``; raises ``NoPlace``.
        rows: Returns the rows that an object may be of whose folder has these parts; the more, the slower.
        by_key: Never.
    """

    name: str
    matrix: Matrix
    folder: Callable[[ArchiveObject], str]
    rows: Callable[[Sequence[str]], Iterable[Row]]
    by_key: bool = False

    def path(self, key: str) -> str:
        """Return the path of an object or of its sidecar.

        Raises:
            NoPlace: The matrix does not know the key, or the layout has no place for it.
        """
        item = self.matrix.object_of(key.removesuffix(SIDECAR_SUFFIX))
        if item is None:
            raise NoPlace(f"the matrix has no place for the key {key!r}, so that the layout {self.name} has none")
        return f"{DATA_FOLDER}/{self.folder(item)}/{key.rpartition('/')[2]}"

    def key(self, path: str) -> str | None:
        """Return the key of the object whose path this is.

        The file's name tells which object it could be of each row; the one that is put here is it.
        """
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
