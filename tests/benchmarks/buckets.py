"""Buckets to measure with: many small objects, few large ones, or very many of the same rows."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.sample import BUCKET, SIDECAR, SampleObject, days, of_days, sidecar_bytes
from tests.archive.sample.writing import zip_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LAST_DAY = date(2025, 6, 4)
_A_YEAR = 365
_PART_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket on disk.

    Attributes:
        folder: What a server serves; the bucket is a folder in it.
        objects: How many zips it has.
        files: How many files: zips and sidecars.
        bytes: How many bytes they have.
        selection: The options that select all of it.
    """

    folder: Path
    objects: int
    files: int
    bytes: int
    selection: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The folder whose paths are keys."""
        return self.folder / BUCKET

    def all_keys(self) -> Iterator[str]:
        """Yield the keys of all files, in order."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return (path.relative_to(self.path).as_posix() for path in files)


def many_small(folder: Path, objects: int) -> Bucket:
    """Write about so many daily klines of 1h: series of a year at most, zips and sidecars all different."""
    symbols = -(-objects // _A_YEAR)
    chosen = Klines(symbols, objects // symbols, ("1h",))
    for item in chosen.objects():
        content = zip_bytes(item)
        path = _place(folder, item)
        path.write_bytes(content)
        path.with_name(item.name + SIDECAR).write_bytes(sidecar_bytes(item, content))
    return _bucket(folder, chosen.selection)


def few_large(folder: Path, objects: int, megabytes: int) -> Bucket:
    """Write daily trades of a symbol, of so many megabytes each, which nothing can make smaller."""
    window = list(days(LAST_DAY - timedelta(days=objects - 1), LAST_DAY))
    chance = random.Random(objects)
    for item in of_days(Market.SPOT, "trades", ["BIGUSDT"], window):
        path = _place(folder, item)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, archive.open(f"{item.stem}.csv", "w") as member:
            for start in range(0, megabytes * 1_000_000, _PART_BYTES):
                member.write(chance.randbytes(min(_PART_BYTES, megabytes * 1_000_000 - start)))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path.with_name(item.name + SIDECAR).write_text(f"{digest}  {item.name}")
    return _bucket(folder, _selection("trades", ["BIGUSDT"], window))


def very_many(folder: Path, objects: int, *, one_sidecar_in: int = 1) -> Bucket:
    """Write about so many daily klines quickly: series of 2,500 days, whose zips differ in the name of their CSV alone.

    Args:
        folder: The folder to serve.
        objects: How many objects, rounded down to whole symbols.
        one_sidecar_in: How many zips there are to a sidecar; each has its own with 1.
    """
    chosen = klines_of(objects)
    template, stem, last = b"", b"", ""
    for count, item in enumerate(chosen.objects(), 1):
        if len(item.stem) != len(stem):
            template, stem = zip_bytes(item), item.stem.encode()
        # The length of the name stays, and with it all offsets in the zip; its checksum is of the rows.
        content = template.replace(stem, item.stem.encode())
        # Strings, not Path: it would take longer than the rest.
        place = f"{folder}/{BUCKET}/{item.key}"
        if last != (last := place.rpartition("/")[0]):
            os.makedirs(last)  # noqa: PTH103
        with open(place, "wb") as file:  # noqa: PTH123
            file.write(content)
        if count % one_sidecar_in == 0:
            with open(place + SIDECAR, "wb") as file:  # noqa: PTH123
                file.write(sidecar_bytes(item, content))
    return _bucket(folder, chosen.selection)


def link_into_root(bucket: Bucket, root: Path) -> None:
    """Put the whole bucket at its final paths in an archive root, as further names of its files."""
    shutil.copytree(bucket.path / "data", root / "data", copy_function=os.link)


@dataclass(frozen=True, slots=True)
class Klines:
    """Daily spot klines: every symbol has every interval on every day."""

    symbols: int
    days: int
    intervals: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [f"S{number:03}USDT" for number in range(self.symbols)]

    @property
    def window(self) -> list[date]:
        return list(days(LAST_DAY - timedelta(days=self.days - 1), LAST_DAY))

    @property
    def selection(self) -> tuple[str, ...]:
        return _selection("klines", self.names, self.window, self.intervals)

    def objects(self) -> Iterator[SampleObject]:
        return of_days(Market.SPOT, "klines", self.names, self.window, self.intervals)


def klines_of(objects: int) -> Klines:
    """Return klines of about so many objects: symbols with two intervals of 2,500 days, as far as they go."""
    return Klines(max(1, objects // 5_000), min(2_500, objects // 2), ("1h", "1d"))


def _selection(
    data_type: str, symbols: Iterable[str], window: list[date], intervals: Iterable[str] = ()
) -> tuple[str, ...]:
    of_symbols = (word for symbol in symbols for word in ("-s", symbol))
    of_intervals = (word for interval in intervals for word in ("-i", interval))
    dates = ("--start", window[0].isoformat(), "--end", window[-1].isoformat())
    return ("-m", "spot", "-t", data_type, *of_symbols, *of_intervals, *dates, "--partition", "daily")


def _place(folder: Path, item: SampleObject) -> Path:
    path = folder / BUCKET / item.key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _bucket(folder: Path, selection: tuple[str, ...]) -> Bucket:
    zips, files, size = count_files(folder)
    return Bucket(folder, zips, files, size, selection)


def count_files(folder: Path) -> tuple[int, int, int]:
    """Return how many zips and how many files there are below a folder, and how many bytes they have."""
    zips = files = size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            zips += name.endswith(".zip")
            files += 1
            size += os.stat(f"{place}/{name}").st_size  # noqa: PTH116
    return zips, files, size
