"""What the commands share when they work: configuration, progress, results, errors. Imported when a command runs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from errno import EIO, EISDIR, EPIPE
from pathlib import Path

import typer

from crypto_archive import Configured, Notice, RootUnusable, load_request
from crypto_archive.cli.options import OutputOptions, SelectionOptions, flag_of
from crypto_archive.cli.stdout import silence_stdout
from crypto_archive.render.progress import Mode


def configure(selection: SelectionOptions, output: OutputOptions, **more: object) -> Configured:
    """Return the request that options, environment and presets make; with ``-v`` say where each value came from.

    Raises:
        ConfigError: Something is wrong with one of them.
    """
    configured = request_of(selection.fields() | more, selection.presets or ())
    if output.verbose:
        for field, origin in configured.origins.items():
            typer.echo(f"{field}: from {origin}", err=True)
    return configured


def request_of(
    options: Mapping[str, object], presets: Sequence[str] = (), named: Callable[[str], str] = flag_of
) -> Configured:
    """Return the request that options make, with the environment and presets.

    Args:
        options: Values by the names of preset fields.
        presets: Names or paths.
        named: Returns the option that stands for a field.

    Raises:
        ConfigError: Something is wrong with one of them.
    """
    today = datetime.now(UTC).date()
    return load_request(presets, options, today=today, named=named, standard_input=True)


def tell(output: OutputOptions, notice: Notice) -> None:
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
