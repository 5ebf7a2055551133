"""How a flow run that is to end stops what works for it, wherever that is.

A task that collects may run in a thread of the flow's process or on another machine, and no signal reaches it there.
So each asks Prefect's server, every second or two, whether its flow run is to go on. What the flow's own process hears
of first (a signal, ^C) stops the tasks of that process at once.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Cancelling

from crypto_archive import Cancellation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.schemas.objects import State

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
