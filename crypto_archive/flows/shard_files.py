"""The folder of a flow run's shards: in the archive root, which all that work for the run share."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUNS_KEPT = 5
"""How many flow runs that did not end whole keep their shards, to be collected by hand."""


def shard_folder(root: Path, run: str) -> Path:
    """Return the folder for the shards of a flow run; it is not made yet."""
    return root / ".crypto-archive" / "shards" / run


def forget_shards(folder: Path) -> None:
    """Delete the shards of a flow run that needs them no more; what cannot be deleted stays."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # those of other flow runs are there
        folder.parent.rmdir()


def forget_old_shards(folder: Path) -> None:
    """Delete the shards of all but the latest flow runs, before those of another one are written to ``folder``."""
    if not folder.parent.is_dir():
        return
    others = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[RUNS_KEPT:]:
        forget_shards(path)
