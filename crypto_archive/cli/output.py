"""What the commands share when they work: configuration, results, notices, errors."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from errno import EIO, EISDIR, EPIPE
from pathlib import Path

import typer

from crypto_archive.cli.options import OutputOptions, SelectionOptions, flag_of
from crypto_archive.cli.process import silence_stdout
from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import RunConfig
from crypto_archive.errors import RootUnusable
from crypto_archive.model import Notice
from crypto_archive.render.progress import Mode


def configure(selection: SelectionOptions, output: OutputOptions, **more: object) -> RunConfig:
    """Return the request that options, environment and presets make; with ``-v`` say where each value came from.

    Raises:
        ConfigError: Something is wrong with one of them.
    """
    configured = request_of(selection.fields() | more, selection.presets or ())
    print_origins(output, configured)
    return configured


def print_origins(output: OutputOptions, configured: RunConfig) -> None:
    """With ``-v``, say where each value of a request came from."""
    if output.verbose:
        for field, origin in configured.origins.items():
            typer.echo(f"{field}: from {origin}", err=True)


def request_of(
    options: Mapping[str, object], presets: Sequence[str] = (), named: Callable[[str], str] = flag_of
) -> RunConfig:
    """Return the request that options make, with the environment and presets.

    Args:
        options: Values by the names of preset fields.
        presets: Names or paths.
        named: Returns the option that stands for a field.

    Raises:
        ConfigError: Something is wrong with one of them.
    """
    today = datetime.now(UTC).date()
    return load_run_config(presets, options, today=today, named=named, standard_input=True)


def print_notice(output: OutputOptions, notice: Notice) -> None:
    """Say a notice on standard error."""
    if not output.quiet:
        typer.echo(f"note  {notice.text}", err=True)


def mode_of(output: OutputOptions) -> Mode:
    """Return how progress is to be shown."""
    return Mode.QUIET if output.quiet else Mode.AUTO


def print_json(document: object) -> None:
    """Print one JSON document on standard output; a reader who has gone does not change how the command ends."""
    print_text([json.dumps(document, indent=2, ensure_ascii=False) + "\n"])


def print_text(pieces: Iterable[str]) -> None:
    """Print a text piece by piece on standard output; a reader who has gone does not change how the command ends."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (EPIPE, EIO):  # EIO: it was a terminal, and has been closed
            raise
        silence_stdout()


def prepare_file(path: Path, option: str = "--report") -> None:
    """See that a report can be written to a file of the user's, before hours of work end without one.

    Args:
        path: The file.
        option: The option that named it.

    Raises:
        RootUnusable: It cannot.
    """
    with _explained(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        _draft(path).touch()
        _draft(path).unlink()


def write_json(document: object, path: Path) -> None:
    """Write a JSON document to a file of the user's, in one step.

    Raises:
        RootUnusable: The file cannot be written.
    """
    write_text([json.dumps(document, indent=2, ensure_ascii=False) + "\n"], path)


def write_text(pieces: Iterable[str], path: Path, option: str = "--report") -> None:
    """Write a text to a file of the user's, in one step.

    Args:
        pieces: The text.
        path: The file.
        option: The option that named it.

    Raises:
        RootUnusable: The file cannot be written.
    """
    with _explained(path, option):
        with _draft(path).open("w", encoding="utf-8") as draft:
            draft.writelines(pieces)
        _draft(path).replace(path)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextmanager
def _explained(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RootUnusable(
            f"The report cannot be written to {path}: {error.strerror or error}",
            hint=f"Name a file in a folder that you may write to with {option}.",
        ) from error


WHERE_AND_HOW = frozenset(
    {"presets", "discover", "refresh", "output_directory", "layout", "endpoint_url", "matrix_path"}
)
"""The shared options that go together with a lock file, since they say nothing of what is wanted."""


def configure_wanted(
    selection: SelectionOptions, output: OutputOptions, more: Mapping[str, object], locked: Path | None
) -> RunConfig:
    """Return the request of a collect, from a selection or for a lock file.

    Args:
        selection: The options that say what is wanted, where to and how.
        output: How much is said.
        more: Further values of configuration fields.
        locked: The lock file.

    Raises:
        UsageError: Nothing is selected, or more than the lock file.
    """
    given = [] if locked is None else _selecting(selection)
    if given:
        raise typer.BadParameter(
            f"the lock file alone says what to fetch; leave out {', '.join(given)}", param_hint="--locked"
        )
    configured = configure(selection, output, **more)
    if locked is None:
        configured.require_selection()
    return configured


def _selecting(selection: SelectionOptions) -> list[str]:
    """Return the names of the options that were given and say what is wanted."""
    given = [field.name for field in fields(selection) if getattr(selection, field.name) != field.default]
    return [flag_of(name) for name in given if name not in WHERE_AND_HOW]
