"""Where tasks run: threads, processes or Dask; and how a cancelled flow stops them."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelling

from crypto_archive.errors import UsageError, require_extra
from crypto_archive.events import Cancellation
from crypto_archive.flows import dask_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

POLL_SECONDS = 1.5

_tokens: dict[Cancellation, UUID] = {}
"""What runs in this process, by the flow run that it works for."""
_ended: set[UUID] = set()
"""The flow runs of which nothing is to begin in this process any more."""
_guard = threading.Lock()


@contextmanager
def cancellable() -> Iterator[Cancellation]:
    """Give a token that is requested once the flow run of the current task is not to go on."""
    token, over, run = Cancellation(), threading.Event(), _this_run()
    # The context has the server's address, which on a Dask worker came with the task.
    watch = threading.Thread(
        target=copy_context().run, args=(_watch, run, token, over), name="flow-run-watch", daemon=True
    )
    with _guard:
        _tokens[token] = run
        if run in _ended:
            token.request()
    watch.start()
    try:
        yield token
    finally:
        over.set()
        with _guard:
            del _tokens[token]
        watch.join(POLL_SECONDS)  # a server that does not answer holds nobody up


def stop() -> None:
    """Stop what this process does for the current flow run; a second time, at once."""
    run = _this_run()
    with _guard:
        _ended.add(run)
        tokens = [token for token, its_run in _tokens.items() if its_run == run]
    for token in tokens:
        token.request()


def cancel() -> None:
    """Cancel the current flow run: stop what this process does for it, and let others see it."""
    stop()
    with suppress(Exception), get_client(sync_client=True) as client:
        client.set_flow_run_state(_this_run(), Cancelling())


def is_cancelled() -> bool:
    """Whether somebody has cancelled the current flow run."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(_this_run()).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def _this_run() -> UUID:
    return UUID(flow_run.get_id())


def _watch(run: UUID, token: Cancellation, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.is_set():
            with suppress(Exception):  # the server is away for a while: the work goes on without it
                if _is_over(client.read_flow_run(run).state):
                    token.request()
                    return
            over.wait(POLL_SECONDS)


def _is_over(state: State | None) -> bool:
    """Whether a flow run in this state needs nobody's work any more; one that has crashed does not, either."""
    return state is not None and (state.is_cancelling() or state.is_final())


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
