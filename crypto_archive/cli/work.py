"""What the commands share when they work: configuration, progress, results, errors. Imported when a command runs."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import typer

from crypto_archive.cli.options import OutputOptions, SelectionOptions
from crypto_archive.config import Configured, load_request
from crypto_archive.errors import RootUnusable
from crypto_archive.report.progress import Mode

E = TypeVar("E")
R = TypeVar("R")


def configure(selection: SelectionOptions, output: OutputOptions, **more: object) -> Configured:
    """Return the request that options, environment and presets make; with ``-v`` say where each value came from.

    Raises:
        ConfigError: Something is wrong with one of them.
    """
    options = selection.fields() | more
    configured = load_request(selection.presets or [], options, today=datetime.now(UTC).date())
    if output.verbose:
        for field, origin in configured.origins.items():
            typer.echo(f"{field}: from {origin}", err=True)
    return configured


def mode_of(output: OutputOptions) -> Mode:
    """Return how progress is to be shown."""
    return Mode.QUIET if output.quiet else Mode.AUTO


def drive(events: Generator[E, None, R], show: Callable[[E], None]) -> R:
    """Show every event of a job, and return its result."""
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                result: R = end.value
                return result
            show(event)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_json(document: object, path: Path) -> None:
    """Write a JSON document to a file of the user's, in one step.

    Raises:
        RootUnusable: The file cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise RootUnusable(
            f"The report cannot be written to {path}: {error.strerror or error}",
            hint="Name a file in a folder that you may write to with --report.",
        ) from error
