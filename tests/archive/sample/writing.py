"""Samples on disk: zips, sidecars, the known defects, and how the archive replaces a file."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.sample.objects import BUCKET, SampleObject
from tests.archive.sample.rows import csv_text, is_made_of_days

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SIDECAR = ".CHECKSUM"
SHORT_DAYS = 8
"""How many days a short month holds; those that the archive is known to have had held 7 to 10."""
COMPRESSION = 1
"""The quickest; a sample is compressed much more often than it is read."""


class Defect(StrEnum):
    """What is wrong with some objects of the archive for good."""

    MISSING_SIDECAR = "missing-sidecar"
    STALE_SIDECAR = "stale-sidecar"
    BROKEN_ZIP = "broken-zip"
    SHORT_MONTH = "short-month"


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What a sample consists of.

    Attributes:
        objects: Its objects, each key once.
        defects: What is wrong with which keys.
    """

    objects: tuple[SampleObject, ...]
    defects: Mapping[str, Defect] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, objects: Iterable[SampleObject], defects: Mapping[str, Defect] | None = None) -> SampleSpec:
        """Return a specification of the objects, each once, in the order of their keys."""
        by_key = {item.key: item for item in objects}
        return cls(tuple(by_key[key] for key in sorted(by_key)), MappingProxyType(dict(defects or {})))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the zips, ascending."""
        return tuple(item.key for item in self.objects)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample on disk.

    Attributes:
        root: The folder that a server serves; the bucket is a folder in it.
        spec: What was written.
    """

    root: Path
    spec: SampleSpec

    @property
    def bucket(self) -> Path:
        """The folder that is the bucket: a file's path below it is its key."""
        return self.root / BUCKET


def write_sample(directory: Path, spec: SampleSpec | Iterable[SampleObject], *, full_rows: bool = False) -> Sample:
    """Write a sample of the archive below ``directory/data.binance.vision``; the same arguments give the same bytes.

    Args:
        directory: The folder to serve; made where it does not exist.
        spec: What to write: a specification, or objects without defects.
        full_rows: Write as many rows as the archive's files have also where that is slow; see ``rows``.

    Raises:
        ValueError: An object is to be a short month and is none that is made of days.
    """
    sample = Sample(directory, spec if isinstance(spec, SampleSpec) else SampleSpec.of(spec))
    made: set[Path] = set()
    for item in sample.spec.objects:
        path = sample.bucket / item.key
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        for name, content in _files(item, sample.spec.defects.get(item.key), full_rows=full_rows):
            _write(path.with_name(name), content, item.written_at)
    return sample


def zip_bytes(
    item: SampleObject,
    *,
    revision: int = 0,
    full_rows: bool = False,
    of_days: int | None = None,
    packed_at: datetime | None = None,
) -> bytes:
    """Return the zip of an object: one CSV of the same name, deflated, the same bytes every time."""
    packed = packed_at or item.written_at
    info = zipfile.ZipInfo(f"{item.stem}.csv", packed.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3
    text = csv_text(item, revision=revision, full_rows=full_rows, of_days=of_days)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(info, text, compresslevel=COMPRESSION)
    return held.getvalue()


def sidecar_bytes(item: SampleObject, content: bytes) -> bytes:
    """Return the sidecar that the archive puts beside a zip; spot ends it without a newline, the others with one."""
    line = f"{hashlib.sha256(content).hexdigest()}  {item.name}"
    return (line if item.market is Market.SPOT else f"{line}\n").encode()


def replace(bucket: Path, key: str, *, revision: int = 1, same_size: bool = False, sidecar: bool = True) -> bytes:
    """Replace a file as the archive does, silently and later: new bytes, a new time stamp, a new sidecar.

    Args:
        bucket: The folder that is the bucket.
        key: The key of a zip of the sample.
        revision: Which replacement it is; another number gives other bytes and a later time stamp.
        same_size: Keep the length and the CSV: only the time within the zip changes, and with it digest and ETag. A
            short month becomes a whole one, whose rows are those of its days as they were first published.
        sidecar: Whether the sidecar is replaced too; without, it is stale from then on.

    Returns:
        The zip's new bytes.
    """
    item = SampleObject.of_key(key)
    when = item.written_at + timedelta(days=30 * revision)
    content = zip_bytes(item, packed_at=when) if same_size else zip_bytes(item, revision=revision)
    put(bucket, key, content, when)
    if sidecar:
        put(bucket, key + SIDECAR, sidecar_bytes(item, content), when)
    return content


def put(bucket: Path, key: str, content: bytes, written_at: datetime) -> None:
    """Put any bytes at a key in one step: a request sees the old file or the new one."""
    path = bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = bucket.parent / f".incoming-{os.getpid()}"  # beside the bucket, where no listing comes across it
    _write(incoming, content, written_at)
    incoming.replace(path)


def _files(item: SampleObject, defect: Defect | None, *, full_rows: bool) -> Iterator[tuple[str, bytes]]:
    if defect is Defect.SHORT_MONTH and not is_made_of_days(item):
        raise ValueError(f"{item.key} cannot be a short month: the archive has no days of it")
    of_days = SHORT_DAYS if defect is Defect.SHORT_MONTH else None
    content = zip_bytes(item, full_rows=full_rows, of_days=of_days)
    if defect is Defect.BROKEN_ZIP:
        content = content[: len(content) * 2 // 3]
    yield item.name, content
    if defect is not Defect.MISSING_SIDECAR:
        described = zip_bytes(item, revision=-1) if defect is Defect.STALE_SIDECAR else content
        yield item.name + SIDECAR, sidecar_bytes(item, described)


def _write(path: Path, content: bytes, written_at: datetime) -> None:
    path.write_bytes(content)
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))
