"""Signals that stop a run: ^C, termination, a closed terminal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from crypto_archive import Cancellation

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stopping(cancellation: Cancellation) -> Iterator[None]:
    """Let stop signals ask the run to end in order, as long as the context lasts; a second one ends it at once."""

    def request(number: int, _: FrameType | None) -> None:
        cancellation.request(number)

    heeded = [number for number in STOPPING if not _is_waived(number)]
    former = {number: signal.signal(number, request) for number in heeded}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _is_waived(number: int) -> bool:
    """Whether the command was started such that a closed terminal does not end it, as by ``nohup``."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN
