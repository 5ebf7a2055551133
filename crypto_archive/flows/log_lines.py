"""Progress as lines of a flow run's log: the plain lines of the command, without their time stamps."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    import logging


class _LogLines(io.TextIOBase):
    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._logger = logger

    def write(self, text: str, /) -> int:
        self._logger.info(text.rstrip("\n").partition(" ")[2])
        return len(text)


def log_lines(logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> TextIO:
    """Return a stream whose lines go to a logger, which has time stamps of its own."""
    return cast("TextIO", _LogLines(logger))
