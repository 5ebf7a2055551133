"""Where the shards of a flow are collected: in threads of its process, processes of this machine, or a Dask cluster."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext

from crypto_archive import UsageError, require_extra
from crypto_archive.flows import dask_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

THREADS = 4
"""How many shards a flow without Dask collects side by side; each has as many lanes as its preset says."""

_LOCAL = {"threads_per_worker": 1, "dashboard_address": None, "preload": [dask_worker.__name__]}
"""The cluster that a flow starts. One thread is enough, since a shard has lanes."""


def check_runner(dask_scheduler: str | None, dask_workers: int | None) -> None:
    """See that ``runner_for`` can do what is asked.

    Raises:
        UsageError: Both are given, or there are to be no workers.
        ExtraMissing: Dask is asked for and not installed.
    """
    if dask_scheduler is not None and dask_workers is not None:
        raise UsageError(
            "The address of a Dask scheduler and a number of Dask workers to start exclude each other",
            hint="Give one of them: a cluster that is there has workers of its own.",
        )
    if dask_workers is not None and dask_workers < 1:
        raise UsageError(f"There cannot be {dask_workers} Dask workers", hint="Give at least 1.")
    if dask_scheduler is not None or dask_workers is not None:
        require_extra("dask", "A flow on Dask")


@contextmanager
def runner_for(dask_scheduler: str | None, dask_workers: int | None) -> Iterator[TaskRunner[Any]]:
    """Give a task runner: one on Dask where that is asked for, else the flow's own.

    Args:
        dask_scheduler: The address of the scheduler of a cluster that is there.
        dask_workers: How many worker processes to start on this machine, for as long as the context lasts.
    """
    if dask_scheduler is None and dask_workers is None:
        context = FlowRunContext.get()
        assert context is not None  # only a flow calls this
        yield context.task_runner
        return
    from prefect_dask.task_runners import DaskTaskRunner

    if dask_scheduler is not None:
        runner = DaskTaskRunner(address=dask_scheduler)
    else:
        dask_worker.be_quiet()
        runner = DaskTaskRunner(cluster_kwargs=_LOCAL | {"n_workers": dask_workers})
    with runner:
        yield runner


def let_go(future: PrefectFuture[Any]) -> None:
    """Forget a result that was taken; else Dask makes it anew, should the worker be lost that has it."""
    release = getattr(getattr(future, "wrapped_future", None), "release", None)
    if release is not None:
        release()
