"""What a layout comes to once the matrix is known: from key to path, and from path to key."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crypto_archive.layouts.paths import DATA_FOLDER
from crypto_archive.model import SIDECAR_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import PurePath

    from crypto_archive.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject


class NoPlace(ValueError):
    """A layout has no place for an object, or none that is its own; the text says why."""


class Layout(Protocol):
    """A layout of somebody's own: any object with this method.

    It must always give the same folder for the same object, and different ones for two objects whose files have the
    same name, such as ``BTCUSDT-1h-2025-07-15.zip`` of two markets.
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
