"""What earlier runs say of themselves: read back from the reports in their folders."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from crypto_archive.report.estimate import PastRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNS_JUDGED_BY = 10
RUNS_LOOKED_AT = 100
"""So many of the newest folders at most, however many are kept."""


def past_runs(runs: Path) -> tuple[PastRun, ...]:
    """Return the last ten runs that fetched something, newest first.

    Runs that an error ended are left out, since they may have waited for a server that did not answer. So is a report
    that is missing or damaged: nothing depends on it.

    Args:
        runs: The folder that holds one folder a run, named so that they sort by time; it need not exist.
    """
    try:
        folders = sorted(runs.iterdir(), reverse=True)[:RUNS_LOOKED_AT]
    except OSError:
        return ()
    return tuple(islice(_told(folders), RUNS_JUDGED_BY))


def _told(folders: list[Path]) -> Iterator[PastRun]:
    for folder in folders:
        # RecursionError: nested too deeply; the others: no file, no JSON, another form.
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            run = _past_run(json.loads((folder / "report.json").read_text(encoding="utf-8")))
            if run is not None:
                yield run


def _past_run(report: Any) -> PastRun | None:
    """Return what a report says, None where it says nothing of how long fetching takes.

    Raises:
        KeyError, TypeError, ValueError: It is no report.
    """
    objects = int(report["outcomes"]["fetched"]) + int(report["outcomes"]["updated"])
    size = int(report["bytes_fetched"])
    seconds = float(report["collection_stats"]["processing_time_seconds"])
    if report["status"] == "failed" or objects < 1 or size < 0 or not 0 < seconds < float("inf"):
        return None
    return PastRun(objects, size, seconds)
