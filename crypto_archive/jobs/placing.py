"""Which layout the archive root of a request has, and that two layouts never mix in one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable, UsageError
from crypto_archive.layouts import MIRROR, LayoutError, placement_of
from crypto_archive.trust.layout_note import LayoutNote, holds_objects, read_note, write_note
from crypto_archive.trust.store import Root

if TYPE_CHECKING:
    from crypto_archive.config import Configured
    from crypto_archive.layouts import Placement
    from crypto_archive.matrix import Matrix


def root_of(configured: Configured) -> Root:
    """Return the archive root of a request with its layout; it need not exist, and nothing is written.

    The layout is the root's own. A root that holds nothing yet gets the one that is asked for, by default that of the
    keys.

    Raises:
        UsageError: The root has another layout than the one that is asked for.
        RootUnusable: Its files are being moved to another layout, or its own cannot be used or read.
    """
    wanted = configured.request.layout
    root = Root(configured.request.root.absolute())
    own = _own_name(root)
    if wanted is None:
        return replace(root, layout=own_placement(root, own, configured.matrix))
    root = replace(root, layout=placement_of(wanted, configured.matrix))
    if holds_objects(root):
        _agree(root, own)
    return root


def require_there(root: Root) -> None:
    """See that there is such a root.

    Raises:
        RootUnusable: There is none.
    """
    if not root.path.is_dir():
        raise RootUnusable(
            f"There is no archive root at {root.path}",
            hint="Name the folder that a collect has filled with --output, or collect first.",
        )


def take_layout(root: Root) -> None:
    """Let a root remember its layout; only who holds the whole root may.

    Raises:
        UsageError: It has got another one in the meantime.
        RootUnusable: Its files are being moved to another, or it cannot be written to.
    """
    own = _own_name(root)
    if holds_objects(root):
        _agree(root, own)
    note = LayoutNote(root.layout.name)
    if read_note(root) != note:
        write_note(root, note)


def confirm_layout(root: Root) -> None:
    """See that a root still has the layout that is meant, now that it, or a part of it, is held.

    Raises:
        UsageError: It has another one.
        RootUnusable: Its files are being moved to another.
    """
    _agree(root, _own_name(root))


def own_placement(root: Root, name: str, matrix: Matrix) -> Placement:
    """Return the layout that a root remembers by name, made ready for a matrix.

    Raises:
        RootUnusable: There is no such layout any more, or it cannot work with this matrix.
    """
    try:
        return placement_of(name, matrix)
    except LayoutError as error:
        raise RootUnusable(
            f"The archive root {root.path} has the layout {name!r}, which cannot be used: {error}",
            hint="Make the module or package that has it importable again (PYTHONPATH, or install it), and use the "
            "matrix file that the root was collected with.",
        ) from error


def under_way(root: Root, note: LayoutNote) -> RootUnusable:
    """Return the error that says how files that are being moved to another layout get there."""
    return RootUnusable(
        f"The files of {root.path} are on their way from the layout {note.layout!r} to {note.moving_to!r}",
        hint=f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output until it has ended, or "
        f"with --to {note.layout!r} to go back.",
    )


def _own_name(root: Root) -> str:
    """Return the name of the layout that a root has, or will have if nothing else is asked for."""
    note = read_note(root)
    if note is None:
        return MIRROR.name
    if note.moving_to:
        raise under_way(root, note)
    return note.layout


def _agree(root: Root, own: str) -> None:
    if own != root.layout.name:
        raise UsageError(
            f"The archive root {root.path} has the layout {own!r}, and {root.layout.name!r} is asked for",
            hint="Leave the layout out to go on with the root's own; or move its files, without a download, with "
            f"`crypto-archive relayout --to {root.layout.name!r}` and the same --output; or choose another folder.",
        )
