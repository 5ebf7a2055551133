"""How the archive root is: writable, with room, free, with a sound manifest. It is neither changed nor made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crypto_archive.health.check import Check, failed, ok, warning
from crypto_archive.layouts import MIRROR
from crypto_archive.report.sizes import format_bytes
from crypto_archive.trust.examination import examine
from crypto_archive.trust.layout_note import read_note
from crypto_archive.trust.lock import is_held, locked_by_another, read_holder
from crypto_archive.trust.parts import parts_of
from crypto_archive.trust.store import free_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.trust.store import Root

LOW_BYTES = 1 << 30
FULL_BYTES = 1 << 24
LOW_FILES = 10_000
"""How many files a disk should have room for: an object is two of them."""

_ELSEWHERE = "Choose another folder with --output, or make this one writable for you."
_ROOM = "Free some space, or choose another disk with --output."


def check_writable(root: Root) -> Check:
    """Say whether runs can write to the root, or could make it."""
    there = _nearest(root.path)
    if not there.is_dir():
        return failed("archive root", f"{there} is no folder", "Move it away, or choose another folder with --output.")
    for folder in (there, root.data, root.shared, root.staging):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            return failed("archive root", f"{folder} cannot be written to", _ELSEWHERE)
    if there != root.path:
        return ok("archive root", f"{root.path} does not exist yet; {there} can be written to")
    return ok("archive root", f"{root.path} can be written to")


def check_space(root: Root) -> Check:
    """Say how much may still be written to the root's disk: bytes, and files where the disk counts them."""
    free, files = free_bytes(root), _free_files(_nearest(root.path))
    told = f"{format_bytes(free)} free" + ("" if files is None else f", room for {files:,} files")
    if free < FULL_BYTES or files == 0:
        return failed("space", told, _ROOM)
    if free < LOW_BYTES or (files is not None and files < LOW_FILES):
        return warning("space", told, f"{_ROOM} `crypto-archive plan` says what a collect would need.")
    return ok("space", told)


def check_lock(root: Root) -> Check:
    """Say who holds the lock of the root, if anybody does.

    Raises:
        RootUnusable: The lock's file cannot be opened.
    """
    if not _is_held(root):
        left = read_holder(root) is None and root.lock_path.with_name("lock.json").exists()
        return ok("lock", "free; its last holder was killed" if left else "free")
    locked = locked_by_another(root)
    return warning("lock", locked.message, locked.hint)


def check_layout(root: Root) -> Check:
    """Say which layout the root has, and whether its files are on their way to another.

    Raises:
        RootUnusable: The root's note of it cannot be read.
    """
    note = read_note(root)
    if note is not None and note.moving_to:
        advice = f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output until it has ended."
        return failed("layout", f"files are on their way from {note.layout!r} to {note.moving_to!r}", advice)
    return ok("layout", MIRROR.name if note is None else note.layout)


def check_shards(root: Root) -> Check:
    """Say which shards run in the root, and which have left what they know to be joined.

    Raises:
        RootUnusable: Their folder cannot be read.
    """
    held = {part.part: _is_held(part) for part in parts_of(root)}
    running, left = ([name for name, runs in held.items() if runs is wanted] for wanted in (True, False))
    told = "; ".join(
        f"{len(names)} {what}: {', '.join(names)}" for names, what in ((running, "running"), (left, "left")) if names
    )
    if left and not running:
        advice = "The next run in this root joins what they know to its manifest; nothing else is to be done."
        return warning("shards", told, advice)
    return ok("shards", told or "none")


def check_manifest(root: Root, seconds: float) -> Check:
    """Say whether the manifest is sound.

    Args:
        root: The archive root.
        seconds: How long that may take.

    Raises:
        EnvironmentFailure: It is damaged, or cannot be used.
    """
    if not root.manifest_path.exists():
        return ok("manifest", "none yet")
    seen = examine(root.manifest_path, seconds)
    told = f"version {seen.version}" + ("" if seen.objects is None else f", {seen.objects:,} objects")
    if not seen.complete:
        advice = "`crypto-archive verify --all` looks at all that it says."
        return warning("manifest", f"{told}; not looked through within {seconds:g} seconds", advice)
    return ok("manifest", f"sound, {told}")


def _is_held(root: Root) -> bool:
    """Whether somebody holds a lock; where its file is missing, nobody does, and it is not to be made."""
    return root.lock_path.exists() and is_held(root)


def _nearest(path: Path) -> Path:
    """Return what there is of a path: itself, or the nearest above it that exists."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))


def _free_files(folder: Path) -> int | None:
    """Return how many files the disk has room for; None where it does not count them."""
    if not hasattr(os, "statvfs"):
        return None
    disk = os.statvfs(folder)
    return disk.f_favail if disk.f_files else None
