"""Where the words of a command go: progress on standard error, a log file, and in which colors."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crypto_archive import __version__
from crypto_archive.cli.options import Color, ColorOptions, OutputOptions
from crypto_archive.cli.output import explained
from crypto_archive.cli.process import print_line
from crypto_archive.errors import CryptoArchiveError, ExitCode
from crypto_archive.render.stats import COLLECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crypto_archive.events import Cancellation
    from crypto_archive.render.stats import ProgressEvent, Work


@contextmanager
def applied(options: ColorOptions | OutputOptions, command: str) -> Iterator[None]:
    """Do as the options say about colors and logs as long as a command runs; its start and end are in the log file."""
    with ExitStack() as undo:
        undo.enter_context(_colored(options.color))
        if options.color is Color.NEVER:
            from crypto_archive.render.console import unstyled

            undo.enter_context(unstyled())
        if isinstance(options, OutputOptions) and _logs(options):
            from crypto_archive.render.log import logging_to
            from crypto_archive.render.plain import stamped

            say = print_line if sys.stderr.isatty() else stamped(sys.stderr)
            with explained(options.log_file or Path(), "--log-file"):
                undo.enter_context(logging_to(options.log_file, options.verbose, None if options.quiet else say))
            if options.log_file is not None:
                undo.enter_context(_logged(command))
        yield


def _logs(options: OutputOptions) -> bool:
    """Whether anything is logged: into a file, or what s5cmd says on the screen."""
    return options.log_file is not None or options.verbose > 1


@contextmanager
def _colored(color: Color) -> Iterator[None]:
    """Let what draws obey ``--color``, by the variables that all of it obeys anyway."""
    names = ("NO_COLOR", "FORCE_COLOR")
    former = {name: os.environ.get(name) for name in names}
    if color is not Color.AUTO:
        for name in names:
            os.environ.pop(name, None)
        os.environ["NO_COLOR" if color is Color.NEVER else "FORCE_COLOR"] = "1"
    try:
        yield
    finally:
        for name, value in former.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def _logged(command: str) -> Iterator[None]:
    """Log when a command starts and how it ends, also by an error that is printed elsewhere."""
    import logging

    from crypto_archive.render.log import log

    began, code = time.monotonic(), int(ExitCode.OK)
    log(logging.INFO, "command-started", f"{command} started", command=command, version=__version__)
    try:
        yield
    except typer.Exit as end:
        code = int(end.exit_code)
        raise
    except BrokenPipeError:  # the reader of standard output is gone: that is not an error
        raise
    except CryptoArchiveError as error:
        code = int(error.exit_code)
        log(logging.ERROR, "error", error.message, hint=error.hint)
        raise
    except typer.BadParameter as error:
        code = int(ExitCode.USAGE)
        log(logging.ERROR, "error", error.message)
        raise
    except BaseException as error:
        code = int(ExitCode.BUG) if isinstance(error, Exception) else int(ExitCode.INTERRUPTED)
        log(logging.CRITICAL, "error", f"{type(error).__name__}: {error}")
        raise
    finally:
        seconds = round(time.monotonic() - began, 3)
        log(logging.INFO, "command-ended", f"{command} ended with exit code {code}", exit_code=code, seconds=seconds)


@contextmanager
def showing(
    output: OutputOptions, work: Work = COLLECT, *, hidden: bool = False, cancellation: Cancellation | None = None
) -> Iterator[Callable[[ProgressEvent], None]]:
    """Show the progress of a job on standard error, and log what happens, as the options ask; yields what takes it.

    Progress that would be in the way is hidden; ``cancellation`` is what stops the work.
    """
    from crypto_archive.render.progress import progress

    verbose, figures = output.verbose > 0, not output.no_progress
    quiet = output.quiet or hidden
    shown = progress(sys.stderr, work, quiet=quiet, verbose=verbose, figures=figures, cancellation=cancellation)
    if not _logs(output):
        with shown:
            yield shown.show
        return
    from crypto_archive.render.log import EventLog, said_by

    log = None if output.log_file is None else EventLog()

    def take(event: ProgressEvent) -> None:
        if log is not None:
            log.show(event)
        shown.show(event)

    with shown, said_by(shown.say):
        yield take
