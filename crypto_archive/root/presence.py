"""What is on disk: files at their final paths with their records in the manifest, a folder at a time."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog import days as dayset
from crypto_archive.catalog.layouts import plain_parts
from crypto_archive.model import SIDECAR_SUFFIX, StoredStat, Verdict, is_md5
from crypto_archive.root.manifest import NO_RECORDS
from crypto_archive.root.proof import sidecar_etag
from crypto_archive.root.store import is_file, is_folder, scan_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crypto_archive.catalog.days import Days
    from crypto_archive.model import ArchiveObject, ManifestEntry, RemoteStat
    from crypto_archive.root.manifest import Manifest, Records
    from crypto_archive.root.store import Root

_FOLDERS_KEPT = 16


class _Folder(NamedTuple):
    """Names of files alone, not the entries of ``os.scandir``: a folder has thousands, and several folders are kept."""

    path: str
    names: frozenset[str]


class _Rows(NamedTuple):
    """The records of a folder of keys."""

    recorded: Records
    beneath: Records
    months: Mapping[str, int]


class StoredFiles:
    """The files at their final paths, with their records in the manifest.

    Each folder is read once from disk and, for the keys of a series, once from the manifest, and the last few are kept:
    ask for objects series by series. A file that is missing costs nothing more. One that exists is asked for its size,
    since a power cut may have truncated it, which its folder does not show. Later changes of a folder are not seen.
    Nothing is written, and a root that does not exist has no files. To be used in the manifest's own thread.

    Args:
        root: The archive root.
        manifest: The manifest; None to use the disk alone.
        beneath: The manifest to consult for files that the first one does not know.
    """

    def __init__(self, root: Root, manifest: Manifest | None = None, beneath: Manifest | None = None) -> None:
        self._root = root
        self._manifest = manifest
        self._beneath = beneath
        self._path = root.layout.path
        self._folder = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_folder)
        self._rows = lru_cache(maxsize=_FOLDERS_KEPT)(self._read_rows)

    def stat(self, key: str) -> StoredStat | None:
        """Return size and record of an object's file, None if it does not exist; raises ``ValueError`` as ``size``."""
        size = self.size(key)
        return None if size is None else StoredStat(size, self.recorded(key))

    def size(self, key: str) -> int | None:
        """Return the size of an object's file, None if it does not exist.

        Raises ``ValueError`` if the key is not valid as a path, or the layout has no place for it.
        """
        folder, _, name = self._path(key).rpartition("/")
        place = self._folder(folder)
        if name not in place.names:
            return None
        try:
            found = os.stat(f"{place.path}/{name}")  # noqa: PTH116, making a Path takes longer than the call
        except OSError:  # a link to nowhere, or gone since
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def has_none(self, head: str) -> bool:
        """Whether it is certain that no file is there whose key is ``head`` and more, without another folder."""
        if not self._root.layout.by_key:
            return False
        try:
            return not self._folder(head.rpartition("/")[0]).names
        except ValueError:
            return False

    def find(self, key: str) -> StoredStat | None:
        """Return what ``stat`` returns, and None also where the layout has no place for the object."""
        try:
            return self.stat(key)
        except ValueError:
            return None

    def has(self, key: str) -> bool:
        """Whether an object's file exists, as its folder shows; False also where the layout has no place for it."""
        try:
            folder, _, name = self._path(key).rpartition("/")
            return name in self._folder(folder).names
        except ValueError:
            return False

    def recorded(self, key: str) -> ManifestEntry | None:
        """Return the record of an object, whether its file exists or not."""
        rows = self._rows(key.rpartition("/")[0])
        found: ManifestEntry | None = rows.recorded.get(key) or rows.beneath.get(key)
        return found

    def digest(self, key: str, size: int, remote: RemoteStat | None) -> str | None:
        """Return the recorded digest of a file of this size that is ``ok`` and, where there is a listing, as listed.

        None says nothing of a file: its whole record does.
        """
        rows = self._rows(key.rpartition("/")[0])
        found = rows.recorded.digest(key, size, remote)
        return rows.beneath.digest(key, size, remote) if found is None and key not in rows.recorded else found

    def sidecar_etag(self, key: str) -> str | None:
        """Return the ETag that the sidecar on disk would have in the archive, None if there is none.

        Raises ``ValueError`` as ``stat`` does.
        """
        folder, _, name = self._path(key).rpartition("/")
        place, name = self._folder(folder), name + SIDECAR_SUFFIX
        if name not in place.names:
            return None
        try:
            return sidecar_etag(Path(place.path, name))
        except OSError:  # gone since, or not readable
            return None

    def is_short(self, key: str, remote: RemoteStat) -> bool:
        """Whether exactly the listed bytes are stored, and known not to hold the rows of their days."""
        known = self._recorded(key, remote)
        return known is not None and known.verdict in {Verdict.GAPS, Verdict.BAD_ZIP}

    def month_days(self, item: ArchiveObject, remote: RemoteStat | None) -> Days | None:
        """Return the days of which a stored monthly object has rows; None if they are unknown, or of other bytes."""
        if self._recorded(item.key, remote) is None:
            return None
        days = self._rows(item.key.rpartition("/")[0]).months.get(item.key)
        return None if days is None else dayset.of_month(item.period, days)

    def _recorded(self, key: str, remote: RemoteStat | None) -> ManifestEntry | None:
        """Return the record of a stored file; None if there is none, or if the archive now lists other bytes."""
        there = self.find(key)
        known = there.recorded if there is not None else None
        if known is None or remote is None:
            return known
        # Without a listing the ETag of a record is the MD5; an object that was uploaded in parts has a different ETag.
        same = known.etag == remote.etag or (known.last_modified is None and not is_md5(remote.etag))
        return known if same and known.size == remote.size else None

    def _read_folder(self, path: str) -> _Folder:
        folder = self._root.path.joinpath(*plain_parts(path)) if path else self._root.path
        # Most are files and no links, which ``is_file`` is not needed to know.
        names = [one.name for one in scan_folder(folder) if one.is_file(follow_symlinks=False) or is_file(one)]
        return _Folder(str(folder), frozenset(names))

    def _read_rows(self, folder: str) -> _Rows:
        prefix = folder and f"{folder}/"
        manifests = [manifest for manifest in (self._beneath, self._manifest) if manifest is not None]
        months = {key: days for manifest in manifests for key, days in manifest.month_days(prefix).items()}
        recorded = NO_RECORDS if self._manifest is None else self._manifest.entries_in(prefix)
        return _Rows(recorded, NO_RECORDS if self._beneath is None else self._beneath.entries_in(prefix), months)


class KeysOnDisk:
    """The objects on disk by their keys.

    Where paths are keys, a folder of keys is a folder on disk, and is read there. In other layouts its objects may be
    anywhere, so those count that the manifest knows and that are on disk.
    """

    def __init__(self, root: Root, manifest: Manifest) -> None:
        self._root = root
        self._manifest = manifest
        self._stored = StoredFiles(root)

    def files(self, prefix: str) -> list[str]:
        """Return the names of the files in a folder of keys, given with its slash, in no particular order."""
        if self._root.layout.by_key:
            return [entry.name for entry in self._scan(prefix) if is_file(entry)]
        keys = (entry.key for entry in self._manifest.iterate(prefix))
        return [key.removeprefix(prefix) for key in keys if self._stored.find(key) is not None]

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders in a folder of keys, given with its slash, sorted."""
        if self._root.layout.by_key:
            return sorted(entry.name for entry in self._scan(prefix) if is_folder(entry))
        return list(self._manifest.folders(prefix))

    def _scan(self, prefix: str) -> Iterator[os.DirEntry[str]]:
        return scan_folder(self._root.file(prefix.removesuffix("/")))
