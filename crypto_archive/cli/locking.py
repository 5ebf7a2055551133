"""How the commands work with lock files. Imported when a command runs."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import typer

from crypto_archive import Configured
from crypto_archive.cli.options import OutputOptions, SelectionOptions, flag_of
from crypto_archive.cli.work import configure

WHERE_AND_HOW = frozenset(
    {"presets", "discover", "refresh", "output_directory", "layout", "endpoint_url", "matrix_path"}
)
"""The shared options that go together with a lock file, since they say nothing of what is wanted."""


def configure_wanted(
    selection: SelectionOptions, output: OutputOptions, more: Mapping[str, object], locked: Path | None
) -> Configured:
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
