"""What the Dask processes that a flow starts do first; Dask loads it by its name."""

from __future__ import annotations

import logging
import signal


def dask_setup(_worker: object) -> None:
    """Leave ^C to the flow: a terminal sends it to all, and the flow stops the shards in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_quiet()


def be_quiet() -> None:
    """Keep the log of the flow run free of every connection of Dask's, and of a dashboard that there is not."""
    for name in ("distributed", "prefect.task_runner.dask"):
        logging.getLogger(name).setLevel(logging.WARNING)
