"""The command line within the process of the tests, as ``python -m crypto_archive`` would run it, but for its start.

What a process has to itself is put in place for as long as a call lasts: arguments, current folder, environment,
standard streams, temporary folder. What a run may change is put back: signal handlers, limits. s5cmd is still started,
as a child of the tests. What a process is only given at its start cannot be had here; see ``Runner.as_process``.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from unittest.mock import patch

import psutil

with contextlib.suppress(ImportError):  # on Windows, where all calls are processes
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

AGAIN_SECONDS = 1.0
"""How soon after the first time a call that takes too long is interrupted again, for it may hang in its cleaning up."""
LAST_SECONDS = 60.0
"""How long after the first time this process is ended, where even that does not help; pytest says in which test."""


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    stdout: str
    stderr: str


def run_inside(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float) -> Ended:
    """Run the command line here and return how it ended; what a process would die of is raised.

    What others write to the file descriptors 1 and 2 meanwhile, s5cmd or a thread of the tests, is in the texts too.

    Args:
        arguments: Its arguments.
        folder: Its current folder.
        environment: Its whole environment.
        seconds: How long it may take.

    Raises:
        AssertionError: It took longer; says what it had said.
    """
    assert threading.current_thread() is threading.main_thread(), "threads share folder and environment: run.as_process"
    encoding, _, strictness = environment.get("PYTHONIOENCODING", "utf-8").partition(":")
    with ExitStack() as put_back:
        out, err = (put_back.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        try:
            with (
                _limited(seconds) as limit,
                _as_a_process(arguments, folder, environment),
                _streams(out, err, encoding, strictness or "surrogateescape"),
                _no_garbage(),
            ):
                code = _run()
        except BaseException as error:
            if not limit.passed:
                error.add_note(f"It had said:\n{_text(out)}\n{_text(err)}")
                raise
        if limit.passed:
            said = f"{_text(out)}\n{_text(err)}"
            raise AssertionError(f"{tuple(arguments)} did not end within {seconds} s; it said:\n{said}")
        if code == 128 + signal.SIGINT:  # nobody else can have interrupted it
            raise KeyboardInterrupt
        return Ended(code, _text(out), _text(err))


def _run() -> int:
    with _threads_ended():
        try:
            runpy.run_module("crypto_archive", run_name="__main__", alter_sys=True)
        except SystemExit as ending:
            if isinstance(ending.code, str):
                print(ending.code, file=sys.stderr)
            return int(ending.code if isinstance(ending.code, int) else ending.code is not None)
        return 0


@contextmanager
def _threads_ended() -> Iterator[None]:
    """Wait for the threads that the call has started, as a process does at its end; not for those of the tests."""
    main = threading.current_thread()
    own = [main]
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        if threading.current_thread() in own:
            own.append(thread)
        start(thread)

    with patch.object(threading.Thread, "start", noted):
        try:
            yield
        finally:
            for thread in own:  # those that these have started come after them
                if thread is not main:
                    thread.join()


@contextmanager
def _as_a_process(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "argv", ["crypto_archive", *arguments]),
        patch.object(tempfile, "tempdir", None),  # remembers what TMPDIR was
    ):
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Collect what the call has left in cycles, and only that: what it forgot to close fails this test, not another."""
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@contextmanager
def _streams(out: BinaryIO, err: BinaryIO, encoding: str, strictness: str) -> Iterator[None]:
    """Put files in the place of the standard streams, and text streams on them such as Python makes for a pipe."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with ExitStack() as put_back:
        nothing = put_back.enter_context(Path(os.devnull).open("rb"))
        for number, file in enumerate((nothing, out, err)):
            put_back.callback(os.close, kept := os.dup(number))
            put_back.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        for number, name, mode, errors in (
            (0, "stdin", "r", strictness),
            (1, "stdout", "w", strictness),
            (2, "stderr", "w", "backslashreplace"),
        ):
            buffering = 1 if name == "stderr" else -1
            stream = put_back.enter_context(
                open(number, mode, buffering, encoding=encoding, errors=errors, closefd=False)
            )
            put_back.enter_context(patch.object(sys, name, stream))
        yield


class _Limit:
    """Interrupts the main thread once a call has taken too long, and again until it has ended.

    Attributes:
        passed: Whether it has.
    """

    def __init__(self) -> None:
        self.passed = False
        self._started = time.time()

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.passed = True
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.create_time() >= self._started - 1:
                    child.kill()
        raise _TooLong


class _TooLong(BaseException):
    """Not an ``Exception``, so that nobody takes it for one of their own."""


@contextmanager
def _limited(seconds: float) -> Iterator[_Limit]:
    limit = _Limit()
    former = signal.signal(signal.SIGALRM, limit.interrupt)
    faulthandler.dump_traceback_later(seconds + LAST_SECONDS, exit=True, file=2)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield limit
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        faulthandler.cancel_dump_traceback_later()


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8").replace("\r\n", "\n")
