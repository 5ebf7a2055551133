"""A job under way, as its events and its report; and one that runs alongside an event loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator
    from types import TracebackType

    from crypto_archive.events import Cancellation

E = TypeVar("E")
R = TypeVar("R")

EVENTS_AHEAD = 1000
"""How many events may wait for an event loop before the run waits for it."""


class Run(Generic[E, R]):
    """A job under way: iterate it for its events, in one thread; afterwards it has its report.

    Nothing happens before it is iterated. To leave early, close it, as a context manager does: what is under way is
    stopped then, and what is proven stays.
    """

    def __init__(self, events: Generator[E, None, R]) -> None:
        """Take a job that yields events and returns a report."""
        self._report: tuple[R] | None = None
        self._started = False
        self._events = self._events_of(events)

    def _events_of(self, job: Generator[E, None, R]) -> Generator[E, None, None]:
        self._started = True
        self._report = ((yield from job),)

    def __repr__(self) -> str:
        state = "ended" if self._report else "under way" if self._started else "not started; iterate over it"
        return f"<Run: {state}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the job, if it is still running; the report of a run is written to its folder in any case."""
        self._events.close()

    @property
    def report(self) -> R:
        """The result of the job.

        Raises:
            RuntimeError: The job has not ended.
        """
        if self._report is None:
            raise RuntimeError("the job has no report until all its events have been taken")
        return self._report[0]

    def finish(self, on_event: Callable[[E], object] | None = None) -> R:
        """Run to the end, and return the report.

        Args:
            on_event: Takes every event; what it raises ends the job, and is raised.
        """
        with self:
            for event in self._events:
                if on_event is not None:
                    on_event(event)
        return self.report


async def run_in_thread(
    work: Callable[[Callable[[E], object] | None, Cancellation], R],
    on_event: Callable[[E], object] | None,
    cancellation: Cancellation,
) -> R:
    """Do a job in a thread, without blocking the event loop.

    ``work`` does the job in the thread that calls it, with a function for its events and its token. ``on_event`` takes
    every event in the event loop; what it raises ends the job, and is raised. Cancelling the task stops the job
    gracefully, cancelling it once more immediately.
    """
    import asyncio

    raised: list[BaseException] = []
    enqueue = None if on_event is None else _in_loop(asyncio.get_running_loop(), on_event, cancellation, raised)
    job = asyncio.ensure_future(asyncio.to_thread(work, enqueue, cancellation))
    while not job.done():
        try:
            await asyncio.wait({job})
        except asyncio.CancelledError as error:
            cancellation.request()
            raised.append(error)
    if raised:
        job.exception()  # or the loop complains that it was never retrieved
        raise raised[0]
    return job.result()


def _in_loop(
    loop: asyncio.AbstractEventLoop,
    on_event: Callable[[E], object],
    cancellation: Cancellation,
    raised: list[BaseException],
) -> Callable[[E], None]:
    """Return a function that passes events from the job's thread to the event loop, not too many ahead of it."""
    room = threading.Semaphore(EVENTS_AHEAD)

    def take(event: E) -> None:
        room.release()
        if raised:
            return
        try:
            on_event(event)
        except BaseException as error:
            cancellation.request()
            raised.append(error)

    def enqueue(event: E) -> None:
        room.acquire()
        loop.call_soon_threadsafe(take, event)

    return enqueue
