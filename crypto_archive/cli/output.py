"""What commands share once they run: the configuration, notices, and results on standard output and in files."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import UTC, datetime
from errno import EIO, EPIPE
from pathlib import Path
from typing import TextIO

import typer

from crypto_archive.cli.options import OutputOptions, SelectionOptions, flag_of
from crypto_archive.cli.process import print_error, print_line, silence_stdout
from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import EVERYTHING, RunConfig
from crypto_archive.files import atomic_write, explain_os_errors, require_writable
from crypto_archive.model import Notice, UnknownSymbols
from crypto_archive.text import json_pieces, json_text


def load_config(
    options: Mapping[str, object], presets: Sequence[str] = (), named: Callable[[str], str] = flag_of
) -> RunConfig:
    """Return the configuration from options, environment and presets.

    Args:
        options: Values by the names of preset fields.
        presets: Names or paths.
        named: Returns the option that stands for a field.
    """
    today = datetime.now(UTC).date()
    return load_run_config(presets, options, today=today, named=named, standard_input=True)


def configure(selection: SelectionOptions, output: OutputOptions, **more: object) -> RunConfig:
    """Return the configuration for a selection."""
    return load_config(selection.fields() | more, selection.presets or ())


DESTINATION_AND_METHOD = frozenset(
    {"presets", "discover", "refresh", "output_directory", "layout", "endpoint_url", "matrix_path"}
)
"""The shared options that can be combined with a lock file, since they do not select anything."""


def configure_collect(
    selection: SelectionOptions, output: OutputOptions, settings: Mapping[str, object], locked: Path | None
) -> RunConfig:
    """Return the configuration of a collect, either for a selection or for a lock file."""
    given = [field.name for field in fields(selection) if getattr(selection, field.name) != field.default]
    selecting = [flag_of(name) for name in given if name not in DESTINATION_AND_METHOD]
    if locked is not None and selecting:
        raise typer.BadParameter(
            f"the lock file alone selects what to download; leave out {', '.join(selecting)}", param_hint="--locked"
        )
    config = configure(selection, output, **settings)
    if locked is None:
        config.require_selection()
    return config


def print_notices(output: OutputOptions, config: RunConfig) -> None:
    """Print the notices of a configuration, for a command that takes no selection to mean all that is on disk."""
    for notice in config.notices:
        if notice is not EVERYTHING:
            print_notice(output, notice)


def print_notice(output: OutputOptions, notice: Notice) -> None:
    """Print a notice on standard error; one that names unknown symbols is an error, and never left out."""
    if isinstance(notice, UnknownSymbols):
        print_error(notice.text)
    elif not output.quiet:
        print_line(f"note  {notice.text}")
    if output.log_file is not None:
        from crypto_archive.render.log import log_notice

        log_notice(notice)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    print_text([json_text(document, indent=2, ascii_only=not writes_utf8(sys.stdout)) + "\n"])


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print one JSON document, piece by piece, on standard output."""
    print_text(json_pieces(fields, ascii_only=not writes_utf8(sys.stdout)))


def writes_utf8(stream: TextIO) -> bool:
    """Whether a stream takes every character; JSON for any other stream is written in ASCII."""
    return (stream.encoding or "").lower().replace("-", "") == "utf8"


def print_text(pieces: Iterable[str]) -> None:
    """Print a text piece by piece on standard output; a closed pipe does not change the exit code."""
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (EPIPE, EIO):  # EIO: a terminal that was closed
            raise
        silence_stdout()


def prepare_file(path: Path, option: str = "--report") -> None:
    """See that a report can be written to a file of the user's, before hours of work end without one.

    Args:
        path: The file.
        option: The option that named it.

    Raises:
        FileUnusable: It cannot.
    """
    with explained(path, option):
        require_writable(path)


def write_json(document: object, path: Path) -> None:
    """Write a JSON document to a file of the user's, in one step.

    Raises:
        FileUnusable: The file cannot be written.
    """
    write_text([json_text(document, indent=2) + "\n"], path)


def write_text(pieces: Iterable[str], path: Path, option: str = "--report") -> None:
    """Write a text to a file of the user's, in one step.

    Args:
        pieces: The text.
        path: The file.
        option: The option that named it.

    Raises:
        FileUnusable: The file cannot be written.
    """
    with explained(path, option), atomic_write(path) as file:
        file.writelines(pieces)


def explained(path: Path, option: str) -> AbstractContextManager[None]:
    """Turn an error of the operating system into one that names a file of the user's, and the option for it."""
    return explain_os_errors("write", path, hint=f"Name a file in a writable folder with {option}.")
