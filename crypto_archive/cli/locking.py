"""How plan and collect work with lock files. Imported when a command runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import typer

from crypto_archive.cli.options import OutputOptions, SelectionOptions
from crypto_archive.cli.work import configure, require_selection
from crypto_archive.config import Configured
from crypto_archive.jobs.pinning import compare, lock_to_compare, locked_request, noting, require_listing, write_plan
from crypto_archive.jobs.plan import Plan
from crypto_archive.jobs.sources import Source
from crypto_archive.lockfile.sorting import LineSorter
from crypto_archive.lockfile.writing import prepare_lock
from crypto_archive.report.differences import Counted
from crypto_archive.report.sizes import format_count
from crypto_archive.request import Request

WHERE_AND_HOW = frozenset({"presets", "discover", "refresh", "output_directory", "endpoint_url", "matrix_path"})
"""The shared options that go together with a lock file, since they say nothing of what is wanted."""


def configure_wanted(
    selection: SelectionOptions,
    output: OutputOptions,
    more: Mapping[str, object],
    locked: Path | None,
    *,
    ask: bool = True,
) -> tuple[Configured, Source | None]:
    """Return the request of a collect, and the source of its objects where a lock file is that.

    Args:
        selection: The options that say what is wanted, where to and how.
        output: How much is said.
        more: Further values of configuration fields.
        locked: The lock file.
        ask: Whether the archive may be asked; a dry run asks nobody.

    Raises:
        UsageError: Nothing is selected, or the lock file cannot be used.
    """
    if locked is None:
        configured = configure(selection, output, **more, **({} if ask else {"discover": "calendar"}))
        require_selection(configured)
        return configured, None
    if given := _selecting(selection):
        raise typer.BadParameter(
            f"the lock file alone says what to fetch; leave out {', '.join(given)}", param_hint="--locked"
        )
    request = locked_request(configure(selection, output, **more), locked)
    return request.configured, request.source if ask else request.unasked


def _selecting(selection: SelectionOptions) -> list[str]:
    """Return the names of the options that were given and say what is wanted."""
    hints = get_type_hints(SelectionOptions, include_extras=True)
    given = [field.name for field in fields(selection) if getattr(selection, field.name) != field.default]
    declared = [hints[name].__metadata__[0] for name in given if name not in WHERE_AND_HOW]
    # Typer takes the first of an annotation's names for the option's default, until it makes a command of it.
    return [next(name for name in (one.default, *one.param_decls) if str(name).startswith("--")) for one in declared]


@contextmanager
def locking(plan: Plan, request: Request, path: Path | None, output: OutputOptions) -> Iterator[None]:
    """Write what a plan comes to as a lock file, once it is consumed without an error; nothing without a path.

    Raises:
        UsageError: The plan is one from the calendar.
        RootUnusable: The file cannot be written.
    """
    if path is None:
        yield
        return
    require_listing(request)
    prepare_lock(path)
    with LineSorter() as sorter:
        plan.objects = noting(plan.objects, sorter)
        yield
        _write(sorter, path, request, output)


@contextmanager
def compared(plan: Plan, request: Request, diff: Path, lock: Path | None, output: OutputOptions) -> Iterator[Counted]:
    """Consume a plan, and yield what sets it apart from a lock file; then write it as another, where one is named.

    Raises:
        UsageError: The plan is one from the calendar, or the lock file cannot be used.
        RootUnusable: The other one cannot be written.
    """
    require_listing(request)
    against = lock_to_compare(diff, request)
    if lock is not None:
        prepare_lock(lock)
    with LineSorter() as sorter:
        for _ in noting(plan.objects, sorter):
            pass
        yield Counted(compare(against, sorter))
        if lock is not None:
            _write(sorter, lock, request, output)


def _write(sorter: LineSorter, path: Path, request: Request, output: OutputOptions) -> None:
    count = write_plan(sorter, path, request)
    if not output.quiet:
        said = f"locks {format_count(count, 'object')}" if count else "was not written: there is nothing to lock"
        typer.echo(f"{path} {said}", err=True)
