"""What the Dask processes that a flow starts do first; Dask loads it by its name."""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Leave ^C to the flow: a terminal sends it to all, and the flow stops the shards in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
