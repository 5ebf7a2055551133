"""Buckets of very many objects, made within seconds: the files are names (hard links) of a few that were written."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.sample import BUCKET, SIDECAR, days, of_days, sidecar_bytes
from tests.archive.sample.writing import zip_bytes

if TYPE_CHECKING:
    from tests.archive.sample import SampleObject

FIRST_DAY, LAST_DAY = date(2018, 8, 1), date(2025, 6, 4)
"""2,500 days, so that a symbol with two intervals has 5,000 objects."""
INTERVALS = ("1h", "1d")
OBJECTS_A_SYMBOL = 5_000
_WRITTEN_AT = datetime(2025, 7, 1, tzinfo=UTC)
_NAMES_A_FILE = 30_000  # ext4 gives a file 65,000 names at most; the benchmark needs two for each key


def symbols_of(objects: int) -> list[str]:
    """Return as many symbols as make about so many objects."""
    return [f"S{number:03}USDT" for number in range(max(1, objects // OBJECTS_A_SYMBOL))]


def write_bucket(root: Path, objects: int, *, one_sidecar_in: int = 1) -> int:
    """Write a bucket of daily spot klines below ``root`` and return how many objects it has.

    All zips have the same bytes, and are the same few files. A sidecar names its zip, so each is a file of its own.

    Args:
        root: The folder to serve; its parent takes the files that the zips are names of.
        objects: How many objects, rounded down to whole symbols.
        one_sidecar_in: How many zips there are to a sidecar; each has its own with 1.
    """
    items = of_days(Market.SPOT, "klines", symbols_of(objects), days(FIRST_DAY, LAST_DAY), INTERVALS)
    content, source, folder = b"", root, ""
    count = 0
    for count, item in enumerate(items, 1):
        if count % _NAMES_A_FILE == 1:
            content, source = _another_source(root.parent, count, content or zip_bytes(item))
        key = f"{root}/{BUCKET}/{item.key}"
        if folder != (folder := key.rpartition("/")[0]):
            Path(folder).mkdir(parents=True)
        os.link(source, key)
        if count % one_sidecar_in == 0:
            _write_sidecar(key + SIDECAR, item, content)
    return count


def clone_into_root(bucket: Path, root: Path) -> None:
    """Put the whole bucket at its final paths in an archive root: zips as further names, sidecars as copies."""
    shutil.copytree(bucket / "data", root / "data", copy_function=os.link)


def _another_source(folder: Path, number: int, content: bytes) -> tuple[bytes, Path]:
    source = folder / f"zip-{number}"
    source.write_bytes(content)
    os.utime(source, (_WRITTEN_AT.timestamp(),) * 2)
    return content, source


def _write_sidecar(path: str, item: SampleObject, content: bytes) -> None:
    # Neither Path nor utime: they would take longer than the rest.
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(sidecar_bytes(item, content))
