"""The folders of runs below ``runs/``: how they are named, and how the old ones are deleted."""

from __future__ import annotations

import re
import secrets
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from crypto_archive.trust.store import Root

_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


def new_run_id(now: datetime) -> str:
    """Return a name for a run; names sort by the time (UTC) at which the runs began, to a quarter of a millisecond."""
    part_of_second = now.microsecond * 4096 // 1_000_000
    return f"{now:%Y%m%dT%H%M%SZ}-{part_of_second:03x}{secrets.randbelow(4096):03x}"


def prune_runs(root: Root, keep: int, current: str) -> int:
    """Delete the folders of the oldest runs; only the holder of the lock may do so.

    Folders with other names are somebody's own and stay, as do links. What cannot be deleted stays, too: it is no
    reason not to collect.

    Args:
        root: The archive root.
        keep: How many folders stay, that of the current run included.
        current: The current run, which stays even if the clock was set back and others look newer.

    Returns:
        How many were deleted.
    """
    if not root.runs.is_dir():
        return 0
    others = sorted(
        (path for path in root.runs.iterdir() if _RUN_ID.fullmatch(path.name) and path.name != current),
        reverse=True,
    )
    old = [path for path in others[max(keep - 1, 0) :] if path.is_dir() and not path.is_symlink()]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)
