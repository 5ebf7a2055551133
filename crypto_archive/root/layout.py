"""Which layout an archive root has: its note in ``layout.json``, and the checks that a run respects it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crypto_archive.catalog.layout_kinds import LayoutError, placement_of
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.errors import RootUnusable, UsageError
from crypto_archive.files import atomic_write, read_json
from crypto_archive.root.store import Root, explain_root_errors, refuse_links, scan_folder

if TYPE_CHECKING:
    from crypto_archive.catalog.layouts import Placement
    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import RunConfig


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """What a root records about its layout.

    Attributes:
        layout: The name of the layout.
        moving_to: The name of the layout that its files are being moved to; None when no relayout is in progress.
    """

    layout: str
    moving_to: str | None = None


def read_note(root: Root) -> LayoutNote | None:
    """Return what a root records about its layout, None where it has no note."""
    try:
        note = read_json(root.layout_path, LayoutNote)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(root, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unreadable(root, "crypto-archive did not write it") from error
    if not note.layout:
        raise _unreadable(root, "crypto-archive did not write it")
    return note


def write_note(root: Root, note: LayoutNote) -> None:
    """Replace the note of a root; requires its lock."""
    fields = {"layout": note.layout} | ({"moving_to": note.moving_to} if note.moving_to else {})
    with explain_root_errors(root), atomic_write(root.layout_path) as file:
        file.write(json.dumps(fields, ensure_ascii=False) + "\n")


def _unreadable(root: Root, why: str) -> RootUnusable:
    return RootUnusable(
        f"Cannot read the layout of the archive root from {root.layout_path}: {why}",
        hint='If the paths of its files are their keys, write {"layout": "mirror"} into that file, else the name of '
        "the layout.",
    )


def root_of(config: RunConfig) -> Root:
    """Return the archive root of a configuration with its layout; it need not exist, and nothing is written.

    A root that holds objects keeps its layout. An empty one gets the requested layout, by default that of the keys.
    """
    wanted = config.request.layout
    root = Root(config.request.root.absolute())
    refuse_links(root)
    own = _current_name(root)
    if wanted is None:
        return replace(root, layout=own_placement(root, own, config.matrix))
    root = replace(root, layout=placement_of(wanted, config.matrix))
    if _holds_objects(root):
        _require_same(root, own)
    return root


def require_there(root: Root) -> None:
    """Raise ``RootUnusable`` unless the root exists."""
    if not root.path.is_dir():
        raise RootUnusable(
            f"There is no archive root at {root.path}",
            hint="Name the folder that a collect has filled with --output, or collect first.",
        )


def take_layout(root: Root) -> None:
    """Record the layout of a root, unless another run gave it a different one meanwhile; requires its lock."""
    own = _current_name(root)
    if _holds_objects(root):
        _require_same(root, own)
    if own != root.layout.name:
        write_note(root, LayoutNote(root.layout.name))


def confirm_layout(root: Root) -> None:
    """Check under the lock that a root still has the layout that was read before the lock was taken."""
    _require_same(root, _current_name(root))


def own_placement(root: Root, name: str, matrix: Matrix) -> Placement:
    """Return the layout that a root records by name, ready for use with a matrix."""
    try:
        return placement_of(name, matrix)
    except LayoutError as error:
        raise RootUnusable(
            f"The archive root {root.path} has the layout {name!r}, which cannot be used: {error}",
            hint="Make the module or package that defines it importable again (PYTHONPATH, or install it), and use the "
            "matrix file that the root was collected with.",
        ) from error


def under_way(root: Root, note: LayoutNote) -> RootUnusable:
    """Return the error for a root whose relayout has not finished."""
    return RootUnusable(
        f"The files of {root.path} are being moved from the layout {note.layout!r} to {note.moving_to!r}",
        hint=f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output to finish, or use "
        f"--to {note.layout!r} to go back.",
    )


def _current_name(root: Root) -> str:
    """Return the name of the layout that a root has, or gets unless another one is requested."""
    note = read_note(root)
    if note is None:
        return MIRROR.name
    if note.moving_to:
        raise under_way(root, note)
    return note.layout


def _holds_objects(root: Root) -> bool:
    """Whether there is anything in ``data/``, so that the layout matters."""
    return any(True for _ in scan_folder(root.data))


def _require_same(root: Root, own: str) -> None:
    if own != root.layout.name:
        raise UsageError(
            f"The archive root {root.path} has the layout {own!r}, but {root.layout.name!r} was requested",
            hint="Leave the layout out to keep the root's own; or move its files, without a download, with "
            f"`crypto-archive relayout --to {root.layout.name!r}` and the same --output; or choose another folder.",
        )
