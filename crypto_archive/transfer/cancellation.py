"""A token by which a run is asked to stop."""

from __future__ import annotations

import threading

from crypto_archive.events import NO_SIGNAL


class Cancellation:
    """Asks a run to stop; safe to use from any thread and from a signal handler.

    The first request ends the run in order: no new batches, children are asked to stop, what is proven is published,
    the report is written. A second request kills the children at once.

    Attributes:
        requested: Set by the first request.
        urgent: Set by the second one.
        signal_number: The signal that is behind the first one, ``NO_SIGNAL`` for none; None before it.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.urgent = threading.Event()
        self.signal_number: int | None = None

    def request(self, signal_number: int = NO_SIGNAL) -> None:
        """Ask the run to stop; asking twice means at once.

        Args:
            signal_number: The signal that is behind it, for the report and the exit code.
        """
        if self.requested.is_set():
            self.urgent.set()
            return
        self.signal_number = signal_number
        self.requested.set()
