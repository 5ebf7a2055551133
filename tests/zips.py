"""Zips of rows for tests that look into files."""

from __future__ import annotations

import io
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


def zip_of(name: str, text: str | bytes = "1,2\n", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of a zip of that name with its one CSV; the same text gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name.removesuffix(".zip") + ".csv", (2025, 7, 16, 0, 0, 0))
        archive.writestr(member, text, method)
    return buffer.getvalue()


def spoilt(content: bytes) -> bytes:
    """Spoil what is packed in a zip, and leave its directory as it is: it opens, and cannot be read to its end."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (member,) = archive.infolist()
    at = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def break_off(path: Path) -> None:
    """Spoil what is packed in a zip file."""
    path.write_bytes(spoilt(path.read_bytes()))
