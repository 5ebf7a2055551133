"""Zips of rows for tests that look into files."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_zip(path: Path, rows: Iterable[str], *, header: str = "") -> Path:
    """Write a zip of one CSV, as the archive has them, and return its path."""
    lines = [header, *rows] if header else list(rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}.csv", "".join(f"{line}\n" for line in lines))
    return path


def break_off(path: Path) -> None:
    """Spoil what is packed in a zip, and leave its directory as it is: it opens, and cannot be read to its end."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
    at = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
    content[at] ^= 0xFF
    path.write_bytes(content)
