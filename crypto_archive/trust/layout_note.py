"""The note in which an archive root remembers its layout, and whether it is on the way to another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable
from crypto_archive.trust.store import explained

if TYPE_CHECKING:
    from crypto_archive.trust.store import Root


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """What a root says of its layout.

    Attributes:
        layout: The name of the layout.
        moving_to: The name of the layout that its files are being moved to; empty while nobody moves them.
    """

    layout: str
    moving_to: str = ""


def read_note(root: Root) -> LayoutNote | None:
    """Return what a root says of its layout, None where it says nothing.

    Raises:
        RootUnusable: The note cannot be read, or nobody of ours has written it.
    """
    try:
        text = root.layout_path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(root, getattr(error, "strerror", None) or str(error)) from error
    try:
        said = json.loads(text)
        note = LayoutNote(said["layout"], said.get("moving_to", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(root, "it is no note of crypto-archive") from error
    if not (isinstance(note.layout, str) and isinstance(note.moving_to, str) and note.layout):
        raise _unreadable(root, "it is no note of crypto-archive")
    return note


def write_note(root: Root, note: LayoutNote) -> None:
    """Replace the note in one step, so that it is never read half; only the holder of the lock may do so.

    Raises:
        RootUnusable: It cannot be written, or the disk is full.
    """
    said = {"layout": note.layout} | ({"moving_to": note.moving_to} if note.moving_to else {})
    draft = root.layout_path.with_suffix(".json.new")
    with explained(root):
        draft.write_text(json.dumps(said, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(root.layout_path)


def holds_objects(root: Root) -> bool:
    """Whether anything stands below ``data/``, so that the layout matters.

    Raises:
        RootUnusable: The folder cannot be read.
    """
    with explained(root):
        try:
            return any(True for _ in root.data.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False


def _unreadable(root: Root, why: str) -> RootUnusable:
    return RootUnusable(
        f"Cannot read what layout the archive root has: {root.layout_path}: {why}",
        hint='Write {"layout": "mirror"} into it if the files stand at their keys, else the name of the layout.',
    )
