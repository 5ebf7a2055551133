"""Where tasks run: threads or Dask processes; and how a cancelled flow run stops them."""

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
THREADS = 4
"""How many shards a flow without Dask collects in parallel; each has as many lanes as its preset says."""

_LOCAL = {"threads_per_worker": 1, "dashboard_address": None, "preload": [dask_worker.__name__]}
"""The cluster that a flow starts. One thread per worker is enough, since a shard has its own lanes."""

_tokens: dict[Cancellation, UUID] = {}
"""The tokens of the tasks in this process, each with its flow run."""
_ended: set[UUID] = set()
"""The flow runs that must not start anything in this process any more."""
_guard = threading.Lock()


@contextmanager
def cancellable() -> Iterator[Cancellation]:
    """Give a token that is requested once the flow run of the current task is to stop."""
    token, over, run = Cancellation(), threading.Event(), _this_run()
    # The context holds the server's address, which on a Dask worker came with the task.
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
        watch.join(POLL_SECONDS)  # a server that does not answer must not hold up the task


def stop() -> None:
    """Stop what this process does for the current flow run: gracefully, or the second time immediately."""
    run = _this_run()
    with _guard:
        _ended.add(run)
        tokens = [token for token, its_run in _tokens.items() if its_run == run]
    for token in tokens:
        token.request()


def cancel() -> None:
    """Cancel the current flow run: stop its tasks in this process, and let others see it."""
    stop()
    with suppress(Exception), get_client(sync_client=True) as client:
        client.set_flow_run_state(_this_run(), Cancelling())


def is_cancelled() -> bool:
    """Whether the current flow run was cancelled."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(_this_run()).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def _this_run() -> UUID:
    return UUID(flow_run.get_id())


def _watch(run: UUID, token: Cancellation, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.is_set():
            with suppress(Exception):  # the server is away for a while: work goes on without it
                if _is_over(client.read_flow_run(run).state):
                    token.request()
                    return
            over.wait(POLL_SECONDS)


def _is_over(state: State | None) -> bool:
    """Whether tasks of a flow run in this state should stop; a crashed one is final, too."""
    return state is not None and (state.is_cancelling() or state.is_final())


def check_runner(dask_scheduler: str | None, dask_workers: int | None) -> None:
    """Check that ``runner_for`` can do what is requested, or raise ``UsageError``."""
    if dask_scheduler is not None and dask_workers is not None:
        raise UsageError(
            "A Dask scheduler's address and a number of Dask workers cannot be combined",
            hint="Use one of them: an existing cluster has its own workers.",
        )
    if dask_workers is not None and dask_workers < 1:
        raise UsageError(f"{dask_workers} Dask workers are too few", hint="Use at least 1.")
    if dask_scheduler is not None or dask_workers is not None:
        require_extra("dask", "A flow on Dask")


@contextmanager
def runner_for(dask_scheduler: str | None, dask_workers: int | None) -> Iterator[TaskRunner[Any]]:
    """Give a task runner: on an existing Dask cluster, on Dask workers started for this context, or the flow's own."""
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


def release(future: PrefectFuture[Any]) -> None:
    """Release a result that was taken; else Dask computes it again if the worker that holds it is lost."""
    wrapped: Any = getattr(future, "wrapped_future", None)
    if hasattr(wrapped, "release"):
        wrapped.release()
