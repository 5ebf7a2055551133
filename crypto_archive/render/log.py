"""The log of a command: JSON lines in a file, and what s5cmd says where a person sees it. Standard library's logging.

``crypto_archive`` is the logger of all that the commands report, ``crypto_archive.s5cmd`` that of s5cmd's own words.
"""

from __future__ import annotations

import logging
import math
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING

from crypto_archive.events import ObjectsKept, RunFinished, RunStarted
from crypto_archive.jobs.journal import event_name, plain_fields
from crypto_archive.jobs.report import signal_name
from crypto_archive.model import UnknownSymbols
from crypto_archive.render.stats import RemarkKind, Remarks
from crypto_archive.s5cmd.output import LOGGER as S5CMD
from crypto_archive.text import compact_json, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crypto_archive.model import Notice
    from crypto_archive.render.stats import ProgressEvent

LOGGER = logging.getLogger("crypto_archive")

_LEVELS = {
    RemarkKind.NOTE: logging.INFO,
    RemarkKind.COVERED: logging.INFO,
    RemarkKind.FAILURE: logging.ERROR,
    RemarkKind.RETRY: logging.WARNING,
    RemarkKind.DETAIL: logging.DEBUG,
}


def log(level: int, event: str, message: str, **fields: object) -> None:
    """Log something that is not an event of a job."""
    LOGGER.log(level, "%s", message, extra={"event": event, "fields": fields})


def log_notice(notice: Notice) -> None:
    """Log what a person should know."""
    log(logging.ERROR if isinstance(notice, UnknownSymbols) else logging.INFO, "noticed", notice.text)


class EventLog:
    """Logs what happens in a job, in the words that the progress has for it, with the fields of the events."""

    def __init__(self) -> None:
        self._remarks = Remarks(math.inf, verbose=LOGGER.isEnabledFor(logging.DEBUG))

    def show(self, event: ProgressEvent) -> None:
        """Log one event, if there is anything to say about it."""
        if isinstance(event, ObjectsKept):
            for one in event.each() if LOGGER.isEnabledFor(logging.DEBUG) else ():
                self.show(one)
            return
        if isinstance(event, RunStarted):
            self._log(logging.INFO, event, f"run {event.run_id} started, s5cmd {event.s5cmd_version}")
        for remark in self._remarks.of(event):
            if LOGGER.isEnabledFor(level := _LEVELS[remark.kind]):
                self._log(level, event, str(remark))
        if isinstance(event, RunFinished):
            self._log(logging.ERROR if event.error else logging.INFO, event, _end(event))

    def _log(self, level: int, event: ProgressEvent, message: str) -> None:
        LOGGER.log(level, "%s", message, extra={"event": event_name(event), "fields": plain_fields(event)})


def _end(event: RunFinished) -> str:
    after = f"after {format_duration(event.seconds)}"
    if event.error:
        return f"run stopped {after}: {event.error}"
    if event.interrupted_by is not None:
        return f"run interrupted {after} by {signal_name(event.interrupted_by)}"
    return f"run ended {after}"


class JsonLines(logging.Formatter):
    """One JSON document per record: time, level, process, event and message, then the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without a line end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": record.process,
            "event": getattr(record, "event", record.name.rpartition(".")[2]),
            "message": record.getMessage(),
        }
        return compact_json(line | getattr(record, "fields", {}))


class _LogFile(WatchedFileHandler):
    """Appends to a file, and to a new one of that name once logrotate has moved it."""

    def __init__(self, path: Path, on_failure: Callable[[str], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self.setFormatter(JsonLines())
        self._on_failure: Callable[[str], object] | None = on_failure

    def emit(self, record: logging.LogRecord) -> None:
        """Append the line of a record."""
        try:
            super().emit(record)
        except OSError:  # it could not be opened again
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # what a full disk did not take
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is logging's
        """Say once that the file cannot be written any more; the command goes on without it."""
        report, self._on_failure = self._on_failure, None
        if report is not None:
            report(f"the log file {self.baseFilename} cannot be written any more; the command goes on without it")


class _Said(logging.Handler):
    """Passes lines on to a person."""

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__()
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the message of a record."""
        self.say(f"s5cmd: {record.getMessage()}")


@contextmanager
def logging_to(path: Path | None, verbosity: int, say: Callable[[str], object] | None) -> Iterator[None]:
    """Log as long as the context lasts.

    Args:
        path: The log file; None for no file.
        verbosity: 0 for what goes wrong and the frame of a run, 1 for all decisions and objects, 2 for s5cmd's words.
        say: Takes what a person should read: s5cmd's words, and that the file cannot be written any more.
    """
    with ExitStack() as undo:
        spoken = logging.DEBUG if verbosity > 1 else logging.INFO
        for logger, level in ((LOGGER, logging.DEBUG if verbosity else logging.INFO), (S5CMD, spoken)):
            undo.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        # Prefect, where it is loaded, prints whatever reaches the root logger.
        undo.callback(setattr, LOGGER, "propagate", LOGGER.propagate)
        LOGGER.propagate = False
        if path is not None:
            _add(undo, LOGGER, _LogFile(path, say or (lambda _: None)))
        if say is not None and verbosity > 1:
            _add(undo, S5CMD, _Said(say))
        yield


def _add(undo: ExitStack, logger: logging.Logger, handler: logging.Handler) -> None:
    undo.callback(handler.close)
    undo.callback(logger.removeHandler, handler)
    logger.addHandler(handler)


@contextmanager
def said_by(say: Callable[[str], object]) -> Iterator[None]:
    """Let what s5cmd says appear in a progress, as long as that is shown."""
    handlers = [handler for handler in S5CMD.handlers if isinstance(handler, _Said)]
    former = [handler.say for handler in handlers]
    for handler in handlers:
        handler.say = say
    try:
        yield
    finally:
        for handler, before in zip(handlers, former, strict=True):
            handler.say = before
