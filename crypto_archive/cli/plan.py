"""``crypto-archive plan``."""

import sys
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from crypto_archive.cli.options import (
    OUTPUT,
    BudgetOptions,
    Json,
    OutputOptions,
    SelectionOptions,
    destination,
    form_option,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crypto_archive.events import Planning

Line = TypeVar("Line")


class PlanFormat(StrEnum):
    """Values of ``--format``."""

    JSONL = "jsonl"
    RUNFILES = "runfiles"


@with_options
def plan(
    selection: SelectionOptions,
    budget: BudgetOptions,
    output: OutputOptions,
    as_json: Json = False,
    format: Annotated[
        PlanFormat | None, form_option(PlanFormat, "One JSON line per object, or the run-files.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", parser=destination, metavar="DIR", rich_help_panel=OUTPUT,
                     help="The folder for --format runfiles and --shards."),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option("--shards", metavar="K", min=1, max=999_999, rich_help_panel=OUTPUT,
                     help="Split the plan into this many lock files, for as many machines; needs --to."),
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", parser=destination, metavar="FILE", rich_help_panel=OUTPUT,
                     help="Also write the exact objects to a lock file."),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option("--diff", metavar="FILE", rich_help_panel=OUTPUT,
                     help="Instead list the differences from a lock file; exit 4 if there are any."),
    ] = None,
) -> None:  # fmt: skip
    """Show what a collect would do, without downloading.

    \b
    Examples:
      crypto-archive plan --preset research
      crypto-archive plan -m spot -t klines -i 1h -s BTCUSDT --last 1mo -f jsonl
      crypto-archive plan -p backtest --max-bytes 20GiB
      crypto-archive plan -p backtest --format runfiles --to runfiles/
      crypto-archive plan --preset backtest --lock backtest.lock
      crypto-archive plan --preset backtest --diff backtest.lock
      crypto-archive plan --preset backtest --shards 8 --to shards/
    """
    if as_json and format is PlanFormat.JSONL:
        raise typer.BadParameter("cannot be combined with --format jsonl", param_hint="--json")
    if shards is not None and to is None:
        raise typer.BadParameter("name a folder for the shards with --to DIR", param_hint="--shards")
    if shards is not None and format is not None:
        raise typer.BadParameter(f"shards cannot be combined with --format {format}", param_hint="--shards")
    if shards is None and (format is PlanFormat.RUNFILES) != (to is not None):
        raise typer.BadParameter("--format runfiles and --to DIR need each other", param_hint="--to")
    if diff is not None and to is not None:
        raise typer.BadParameter("a comparison writes neither run-files nor shards", param_hint="--diff")
    if diff is not None:
        _compare(selection, output, diff, lock, format, as_json=as_json)
    else:
        _plan(selection, budget, output, to, lock, shards, format, as_json=as_json)


def _plan(
    selection: SelectionOptions,
    budget: BudgetOptions,
    output: OutputOptions,
    to: Path | None,
    lock: Path | None,
    shards: int | None,
    format: PlanFormat | None,
    *,
    as_json: bool,
) -> None:
    from crypto_archive.cli.output import configure, print_json, print_notice, writes_utf8
    from crypto_archive.cli.process import print_line
    from crypto_archive.jobs.plan import plan as plan_of, write_run_files, write_shards
    from crypto_archive.model import UnknownSymbols

    config = configure(selection, output, **budget.fields())
    lines = format is PlanFormat.JSONL
    with _planning(output, lines=lines) as on_planning, plan_of(config, lock=lock, on_planning=on_planning) as plan:
        if format is PlanFormat.JSONL:
            sys.stdout.writelines(f"{line}\n" for line in plan.lines(ascii_only=not writes_utf8(sys.stdout)))
        elif shards is not None and to is not None:
            written = write_shards(plan, shards, to)
        elif to is not None:
            write_run_files(plan, to)
        else:
            plan.consume()
    if lock is not None and not output.quiet:
        from crypto_archive.render.tables import lock_line

        print_line(lock_line(lock, plan.locked))
    if shards is not None and to is not None and not output.quiet:
        from crypto_archive.render.tables import shards_line

        print_line(shards_line(to, written, shards))
    if as_json:
        print_json(plan.document())
    elif format is None or not output.quiet:
        from crypto_archive.render.tables import plan_table, show

        shown = plan_table(plan.totals.groups, plan.notices, plan.needs(), plan.days, verbose=bool(output.verbose))
        show(shown, sys.stdout if format is None else sys.stderr)
    if as_json or (output.quiet and format is not None):
        for notice in plan.notices:
            if isinstance(notice, UnknownSymbols):
                print_notice(output, notice)
    plan.require_budget()
    raise typer.Exit(plan.exit_code)


@contextmanager
def _planning(output: OutputOptions, *, lines: bool) -> "Iterator[Callable[[Planning], None]]":
    """Show how far planning is, unless lines of the result go to the same terminal meanwhile."""
    from crypto_archive.cli.words import showing
    from crypto_archive.render.stats import PLAN

    with showing(output, PLAN, hidden=lines and sys.stdout.isatty()) as on_event:
        yield on_event


def _after(end: "Callable[[], None]", lines: "Iterable[Line]") -> "Iterator[Line]":
    """Yield lines; what leads to the first one is ended before that."""
    remaining = iter(lines)
    first = [*islice(remaining, 1)]
    end()
    yield from first
    yield from remaining


def _compare(
    selection: SelectionOptions,
    output: OutputOptions,
    diff: Path,
    lock: Path | None,
    format: PlanFormat | None,
    *,
    as_json: bool,
) -> None:
    from crypto_archive.cli.output import configure, print_fields, print_notice
    from crypto_archive.cli.process import print_line
    from crypto_archive.errors import ExitCode
    from crypto_archive.jobs.plan import compare, plan as plan_of
    from crypto_archive.render.tables import lock_line, show_differences

    config = configure(selection, output)
    with ExitStack() as planning:
        on_planning = planning.enter_context(_planning(output, lines=as_json))
        with plan_of(config, on_planning=on_planning) as plan:
            found = compare(plan, diff, lock=lock)
            if as_json:
                print_fields(found.document_fields())
            elif format is PlanFormat.JSONL:
                sys.stdout.writelines(f"{line}\n" for line in _after(planning.close, found.lines()))
            else:
                show_differences(_after(planning.close, found), sys.stdout)
    if lock is not None and not output.quiet:
        print_line(lock_line(lock, plan.locked))
    for notice in plan.notices:
        print_notice(output, notice)
    if not output.quiet:
        print_line(found.summary)
    raise typer.Exit(
        ExitCode.VERIFICATION if found.counts else ExitCode.PARTIAL if plan.unknown_symbols else ExitCode.OK
    )
