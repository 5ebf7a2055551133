"""``crypto-archive plan``."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.options import OUTPUT, BudgetOptions, OutputOptions, SelectionOptions, takes


class PlanFormat(StrEnum):
    """Values of ``--format``."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    RUNFILES = "runfiles"


@takes("selection", SelectionOptions)
@takes("budget", BudgetOptions)
@takes("output", OutputOptions)
def plan(
    selection: SelectionOptions,
    budget: BudgetOptions,
    output: OutputOptions,
    format: Annotated[
        PlanFormat,
        typer.Option("--format", "-f", rich_help_panel=OUTPUT,
                     help="Totals as a table or JSON, a JSON line an object, or the run-files themselves."),
    ] = PlanFormat.TABLE,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", rich_help_panel=OUTPUT, help="Where --format runfiles writes."),
    ] = None,
    list_presets: Annotated[
        bool, typer.Option("--list-presets", rich_help_panel=OUTPUT, help="Say which presets there are, and exit.")
    ] = False,
) -> None:  # fmt: skip
    """Show what a collect would do; fetches nothing.

    \b
    Examples:
      crypto-archive plan --preset research
      crypto-archive plan -m spot -t klines -i 1h -s BTCUSDT --last 30d --format jsonl
      crypto-archive plan -p backtest --max-bytes 20GiB
      crypto-archive plan -p backtest --discover calendar --format runfiles --to runfiles/
    """
    if list_presets:
        _list_presets()
        return
    if (format is PlanFormat.RUNFILES) != (to is not None):
        raise typer.BadParameter("--format runfiles and --to DIR go together", param_hint="--to")
    _plan(selection, budget, output, format, to)


def _plan(
    selection: SelectionOptions, budget: BudgetOptions, output: OutputOptions, format: PlanFormat, to: Path | None
) -> None:
    from crypto_archive.cli.work import configure, print_json
    from crypto_archive.plan import object_document, open_plan, plan_document, write_run_files
    from crypto_archive.report.tables import plan_table, show

    configured = configure(selection, output, **budget.fields())
    with open_plan(configured) as plan:
        if format is PlanFormat.JSONL:
            for item in plan.objects:
                print(json.dumps(object_document(item), ensure_ascii=False))
        elif to is not None:
            write_run_files(plan, configured.request, to)
        else:
            for _ in plan.batches():
                pass  # the totals are what is asked for
    if format is PlanFormat.JSON:
        print_json(plan_document(plan))
    elif format is PlanFormat.TABLE:
        show(plan_table(plan.totals.groups, plan.notices, plan.needs()), sys.stdout)
    elif not output.quiet:
        show(plan_table(plan.totals.groups, plan.notices, plan.needs()), sys.stderr)
    plan.require_budget()
    raise typer.Exit(plan.exit_code)


def _list_presets() -> None:
    from crypto_archive.config import list_presets
    from crypto_archive.report.tables import presets_table, show

    presets = list_presets()
    rows = ((one.name, one.description, "the package" if one.bundled else str(one.path)) for one in presets)
    show(presets_table(rows), sys.stdout)
