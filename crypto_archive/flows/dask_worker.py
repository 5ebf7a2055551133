"""The setup of the Dask processes that a flow starts; Dask loads this module by its name."""

from __future__ import annotations

import logging
import signal


def dask_setup(_worker: object) -> None:
    """Leave ^C to the flow: a terminal sends it to every process, and the flow stops the shards gracefully."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_quiet()


def be_quiet() -> None:
    """Keep Dask's connections, and the dashboard that is not there, out of the log of the flow run."""
    for name in ("distributed", "prefect.task_runner.dask"):
        logging.getLogger(name).setLevel(logging.WARNING)
