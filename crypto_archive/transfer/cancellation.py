"""A token by which a run is asked to stop."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crypto_archive.events import NO_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Iterator


class Cancellation:
    """Asks a run to stop; safe to use from any thread and from a signal handler.

    The first request ends the run in order: no new batches, children are asked to stop, what is proven is published,
    the report is written. A second request kills the children at once. A token is for one run.

    Attributes:
        requested: Set by the first request.
        urgent: Set by the second one.
        signal_number: The signal that is behind the first one, ``NO_SIGNAL`` for none; None before it.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.urgent = threading.Event()
        self.signal_number: int | None = None
        self._part: Cancellation | None = None

    def request(self, signal_number: int = NO_SIGNAL) -> None:
        """Ask the run to stop; asking twice means at once.

        Args:
            signal_number: The signal that is behind it, for the report and the exit code.
        """
        if self.requested.is_set():
            self.urgent.set()
        else:
            self.signal_number = signal_number
            self.requested.set()
        if self._part is not None:
            self._part.request(signal_number)

    @contextmanager
    def for_a_part(self) -> Iterator[Cancellation]:
        """Give a token for one run of several, which is asked to stop whenever this one is."""
        part = self._part = Cancellation()
        if self.requested.is_set():
            part.request(NO_SIGNAL if self.signal_number is None else self.signal_number)
        try:
            yield part
        finally:
            self._part = None
