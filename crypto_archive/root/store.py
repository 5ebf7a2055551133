"""The archive root on disk: where files are, and the only ways in which bytes move there.

s5cmd writes into staging. Verified files are renamed from there to their final paths, which the root's layout gives;
the others go to quarantine. Nothing else writes to a final path, so a file there is whole at any moment, even when
the process is killed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.catalog.layouts import MIRROR, PRIVATE_FOLDER, Placement, plain_parts, require_plain
from crypto_archive.errors import CryptoArchiveError, ExitCode, RootUnusable
from crypto_archive.files import free_names, is_draft, is_link
from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.root.proof import digest_file, read_sidecar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from crypto_archive.model import ShardName

Folders = dict[str, "Collection[str]"]
"""Folders that were found to be inside the root, or made there, each with the names that were in it then."""
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP}
# Whether the root as a whole is writable is checked when it is opened; a denied folder concerns its objects only.
_IN_THE_WAY |= {errno.EACCES, errno.EPERM}


class Refused(CryptoArchiveError):
    """Something at the final path of one object prevents storing it; other objects are not affected."""

    exit_code = ExitCode.ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Root:
    """An archive root, or a shard's share of one; the folder need not exist, and making the value touches nothing.

    A shard that runs next to others has its own lock, staging and manifest, and shares everything else.

    Attributes:
        path: The output directory.
        shard: The shard whose share this is; None for the whole root.
        layout: Where the objects are in it.
    """

    path: Path
    shard: ShardName | None = None
    layout: Placement = field(default=MIRROR, compare=False)

    @property
    def data(self) -> Path:
        """Where the objects are, in every layout; the keys of the archive begin with ``data/``, too."""
        return self.path / "data"

    @property
    def whole(self) -> Root:
        """The whole root."""
        return replace(self, shard=None)

    @property
    def shared(self) -> Path:
        """Our folder inside the root, shared by all shards."""
        return self.path / PRIVATE_FOLDER

    @property
    def shards(self) -> Path:
        """The folders of the shards that run, or have left something to merge."""
        return self.shared / "parts"

    @property
    def flow_shards(self) -> Path:
        """The lock files of the shards of flow runs, one folder per run."""
        return self.shared / "shards"

    @property
    def private(self) -> Path:
        """Our folder inside the root; for a shard, its own."""
        if self.shard is None:
            return self.shared
        return self.shards / f"{self.shard.plan}-{self.shard.number}-of-{self.shard.count}"

    @property
    def staging(self) -> Path:
        """Downloads in progress; swept at the next start."""
        return self.private / "staging"

    @property
    def quarantine(self) -> Path:
        """Bytes that failed a check, with the reason."""
        return self.shared / "quarantine"

    @property
    def covered(self) -> Path:
        """Daily objects whose rows a monthly one holds, by their keys; nothing reads them."""
        return self.shared / "covered"

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self.shared / "runs"

    @property
    def manifest_path(self) -> Path:
        """The manifest's database."""
        return self.private / "manifest.sqlite"

    @property
    def listings_path(self) -> Path:
        """Cached listings of the last day."""
        return self.shared / "listings.sqlite"

    @property
    def lock_path(self) -> Path:
        """The file whose lock makes a process the only writer."""
        return self.private / "lock"

    @property
    def schedule_lock_path(self) -> Path:
        """The file whose lock makes a process the only one that repeats collect in this root."""
        return self.shards / "rounds" / "lock"

    @property
    def layout_path(self) -> Path:
        """The note of the root's layout."""
        return self.shared / "layout.json"

    def file(self, key: str) -> Path:
        """Return the final path of an object or its sidecar.

        Raises ``ValueError`` if the path would leave the root or enter our folder, is not a valid file name, or the
        layout has no place for the object.
        """
        return self.path.joinpath(*plain_parts(self.layout.path(key)))

    def path_of(self, key: str) -> str:
        """Return what ``file`` does as text, which takes a fraction of the time."""
        path = self.layout.path(key)
        require_plain(path)
        return f"{self.path}/{path}"


def open_root(path: Path, layout: Placement = MIRROR) -> Root:
    """Make the root's folders where they are missing, and check that they are writable."""
    root = Root(path.absolute(), layout=layout)
    refuse_links(root)
    with explain_root_errors(root):
        try:
            for folder in (root.path, root.private, root.staging, root.quarantine, root.runs):
                folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # although parents are made: it is a place such as /proc
            raise RootUnusable(
                f"Cannot make the output directory: {root.path}",
                hint="Folders cannot be made there. Choose another place with --output.",
            ) from error
        for folder in (root.path, root.private):
            with tempfile.TemporaryFile(dir=folder):
                pass
    return root


def refuse_links(root: Root) -> None:
    """Raise ``RootUnusable`` if one of our own folders is a link, or a shard's.

    What is swept and deleted there has to be ours, and publishing is a rename, which works within one disk only.
    """
    for folder in (
        root.shared, root.whole.staging, root.quarantine, root.covered, root.runs, root.shards, root.flow_shards,
        root.private, root.staging, root.schedule_lock_path.parent,
    ):  # fmt: skip
        if is_link(folder):
            raise RootUnusable(
                f"Refused to use {folder}: it is a symbolic link",
                hint="Remove the link; what it leads to stays as it is. Files are moved from there by renaming, which "
                "only works on one disk: to use another one, put the whole output directory there with --output.",
            )


def leads_outside(root: Root, path: Path | str) -> bool:
    """Whether a link leads from a path below the root out of it."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root.path))


def scan_folder(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder of the root, none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise unreadable_folder(folder, error) from error


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a regular file, or a link to one; a link in a circle is an error of its own for Python."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def unreadable_folder(folder: Path | str, error: OSError) -> RootUnusable:
    """Return the error for a folder of the root that cannot be read."""
    return RootUnusable(
        f"Cannot read the folder {folder}: {error.strerror or error}",
        hint="Make the output directory readable for you.",
    )


def publish(
    root: Root,
    staged: Path | str,
    key: str,
    sidecar: Path | str | None = None,
    folders: Folders | None = None,
) -> None:
    """Rename a verified file from staging to its final path.

    The sidecar goes first: a process that is killed in between leaves the old zip with a sidecar that contradicts it,
    which the next run notices, and never a new zip without its proof. Without a new sidecar, an existing one stays
    only if it matches the new bytes. Raises ``Refused`` if something else is at the final path, or a link leads out
    of the root.

    Args:
        root: The archive root.
        staged: The file.
        key: The object's key.
        sidecar: Its sidecar in staging, if there is one.
        folders: What is known of folders, for objects that are published together.
    """
    final, known = root.path_of(key), {} if folders is None else folders
    folder = final.rpartition("/")[0]
    was_known = folder in known
    try:
        try:
            _move(root, staged, final, sidecar, known)
        except FileNotFoundError:
            if not was_known:
                raise
            known.pop(folder, None)  # deleted since it was looked at
            _move(root, staged, final, sidecar, known)
    except OSError as error:
        raise _cannot_store(root, final, error) from error


def _move(root: Root, staged: Path | str, final: str, sidecar: Path | str | None, folders: Folders) -> None:
    """Rename a file and its sidecar to their final paths; may raise ``OSError``."""
    folder, _, name = final.rpartition("/")
    final_sidecar, there = final + SIDECAR_SUFFIX, _names_in(root, folder, folders)
    if name in there:
        _refuse_odd(root, final)
    if name + SIDECAR_SUFFIX in there:
        _refuse_odd(root, final_sidecar)
        if sidecar is None:
            _drop_outdated_sidecar(Path(final_sidecar), Path(staged))
    if sidecar is not None:
        os.replace(sidecar, final_sidecar)
    os.replace(staged, final)


def publish_sidecar(root: Root, staged: Path | str, key: str) -> None:
    """Rename a sidecar from staging to its final path, next to the zip that it was compared with; raise ``Refused``."""
    final = root.path_of(key) + SIDECAR_SUFFIX
    try:
        folder, _, name = final.rpartition("/")
        if name in _names_in(root, folder, {}):
            _refuse_odd(root, final)
        os.replace(staged, final)
    except OSError as error:
        raise _cannot_store(root, final, error) from error


def quarantine(root: Root, staged: Path | str, key: str, reason: str, run_id: str) -> Path:
    """Move bytes that failed a check aside, with the reason in ``<name>.reason.json``; return where they are now.

    That is their key below ``quarantine/`` followed by the run and, if taken, a number; nothing is ever overwritten.
    Raises ``RootUnusable`` if the move fails, or a link would make it one from or to a folder outside of the root.
    """
    staged = Path(staged)
    wanted = root.quarantine.joinpath(*plain_parts(f"{key}.{run_id}"))
    for folder in (staged.parent, wanted.parent):
        if leads_outside(root, folder):
            raise RootUnusable(
                f"Refused to move {staged} to quarantine: {folder} leads to {os.path.realpath(folder)}",
                hint="Remove the symbolic link, or use its target as the root with --output.",
            )
    note = json.dumps({"key": key, "reason": reason, "run_id": run_id, "size": staged.stat().st_size}, indent=2)
    with explain_root_errors(root):
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for kept in free_names(wanted):
            reason_path = kept.with_name(f"{kept.name}.reason.json")
            # Making the note reserves the name: of two threads that find it free, only one can.
            with suppress(FileExistsError), reason_path.open("x", encoding="utf-8") as file:
                file.write(note + "\n")
                break
        staged.replace(kept)
    return kept


def sweep_staging(root: Root) -> int:
    """Delete what earlier runs left in staging, and return how many files that were; requires the lock.

    Only folders that a run has made are ours, and drafts next to the lock's note. Links are never followed.
    """
    with explain_root_errors(root):
        for entry in scan_folder(root.private):
            if is_draft(entry.name) and entry.is_file(follow_symlinks=False):
                Path(entry).unlink()
        return sum(_delete_folder(Path(entry)) for entry in scan_folder(root.staging) if _is_of_run(entry))


def _delete_folder(folder: Path) -> int:
    """Delete a folder, and return how many files there were in it."""
    removed = 0
    for inside, folders, files in os.walk(folder, topdown=False):
        for name in files:
            Path(inside, name).unlink()
        for name in folders:
            inner = Path(inside, name)
            inner.unlink() if inner.is_symlink() else inner.rmdir()
        removed += len(files)
    folder.rmdir()
    return removed


def free_bytes(root: Root) -> int:
    """Return how many bytes the user may still write to the disk that holds, or would hold, the root."""
    here = root.path.absolute()
    return shutil.disk_usage(next(path for path in (here, *here.parents) if path.is_dir())).free


@contextmanager
def explain_root_errors(root: Root) -> Iterator[None]:
    """Turn an error of the operating system in the root into ``RootUnusable``."""
    try:
        yield
    except OSError as error:
        raise root_unusable(root, error) from error


def root_unusable(root: Root, error: OSError) -> RootUnusable:
    """Return the message for an error of the operating system in the root."""
    place = f"{error.filename2 or error.filename or root.path}: {error.strerror or error}"
    if error.errno in DISK_FULL:
        return RootUnusable(
            f"The disk of the output directory is full: {root.path}",
            hint=f"{place}. Free some space or choose another disk with --output, then run again: finished files stay.",
        )
    if error.errno in _DENIED:
        return RootUnusable(
            f"Permission denied writing to output directory: {root.path}",
            hint=f"{place}. Make it writable for you, or choose another folder with --output.",
        )
    if error.errno == errno.ENOENT and not root.shared.is_dir():
        return RootUnusable(
            f"The output directory is gone: {root.path}",
            hint="It was deleted, moved or unmounted during the run. Bring it back, then run again: files stay.",
        )
    return RootUnusable(
        f"Cannot write to output directory: {root.path}", hint=f"{place}. Choose another folder with --output."
    )


def _names_in(root: Root, folder: str, folders: Folders) -> Collection[str]:
    """Return what is in the folder of a final path, which is made if missing; raise ``Refused`` if it is outside."""
    names = folders.get(folder)
    if names is None:
        _refuse_outside(root, folder)
        try:
            names = frozenset(os.listdir(folder))
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            names = frozenset()
        folders[folder] = names
    return names


def _refuse_odd(root: Root, path: str) -> None:
    """Raise ``Refused`` if something other than a file of ours is at a final path, whose folder is inside the root."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        _refuse_outside(root, path)
    elif not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a special file"
        raise Refused(
            f"Refused to replace {path}: it is {kind}, where a file of the archive belongs",
            hint="Move it away, then run again.",
        )
    elif not os.access(path, os.W_OK):
        raise Refused(
            f"Refused to replace {path}: you may not write to it",
            hint="Another user owns it, or it is protected. Make it writable for you, or move it away.",
        )


def _refuse_outside(root: Root, path: str) -> None:
    if leads_outside(root, path):
        raise Refused(
            f"Refused to write outside of the archive root: {path} leads to {os.path.realpath(path)}",
            hint="Remove the symbolic link, or use its target as the root with --output.",
        )


def _cannot_store(root: Root, path: str, error: OSError) -> CryptoArchiveError:
    """Return what it means that a file cannot be put at its final path: for this object alone, or for the root."""
    if error.errno not in _IN_THE_WAY:
        return root_unusable(root, error)
    return Refused(
        f"Refused to store {path}: {error.strerror}",
        hint="Move away what is in place of a folder, make the folder writable for you, or choose another one with "
        "--output, with a shorter path if the path is too long.",
    )


def _drop_outdated_sidecar(sidecar: Path, staged: Path) -> None:
    if not sidecar.exists():
        return
    with suppress(ValueError):
        sha256 = digest_file(staged).sha256
        if any(line.digest == sha256 for line in read_sidecar(sidecar)):
            return
    sidecar.unlink()


_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_run_id(now: datetime) -> str:
    """Return a name for a run; names sort by the time (UTC) at which the runs began, to a quarter of a millisecond."""
    fraction = now.microsecond * 4096 // 1_000_000
    return f"{now:%Y%m%dT%H%M%SZ}-{fraction:03x}{os.urandom(2).hex()[:3]}"


def prune_runs(root: Root, keep: int) -> int:
    """Delete the folders of the oldest runs but ``keep``, and return how many; requires the lock.

    Folders with other names are the user's own and stay, as do links. A folder that cannot be deleted stays, too: that
    must not prevent a collect.
    """
    oldest = run_folders(root)[keep:]
    for path in oldest:
        shutil.rmtree(path, ignore_errors=True)
    return len(oldest)


def run_folders(root: Root) -> list[Path]:
    """Return the folders of all runs that are kept, the newest first."""
    return sorted((Path(entry) for entry in scan_folder(root.runs) if _is_of_run(entry)), reverse=True)


def _is_of_run(entry: os.DirEntry[str]) -> bool:
    return _RUN_ID.fullmatch(entry.name) is not None and is_folder(entry) and not is_link(entry)
