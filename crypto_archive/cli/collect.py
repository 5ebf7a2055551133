"""``crypto-archive collect``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crypto_archive.cli.options import OUTPUT, SELECTION, BudgetOptions, OutputOptions, SelectionOptions, takes

if TYPE_CHECKING:
    from crypto_archive import Report

FETCHING = "Fetching"


@takes("selection", SelectionOptions)
@takes("budget", BudgetOptions)
@takes("output", OutputOptions)
def collect(
    selection: SelectionOptions,
    budget: BudgetOptions,
    output: OutputOptions,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", rich_help_panel=FETCHING,
                     help="Print the calendar plan and its commands; no network, no s5cmd, no writes."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel=FETCHING, help="Fetch again what is there already."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", rich_help_panel=FETCHING,
                     help="s5cmd processes side by side. (default: 8)"),
    ] = None,
    prune_covered: Annotated[
        bool,
        typer.Option("--prune-covered", rich_help_panel=FETCHING,
                     help="Move daily objects aside once a stored monthly one is proven to hold their rows."),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", rich_help_panel=FETCHING,
                     help="Wait while another run holds the archive root, instead of ending with exit code 5."),
    ] = False,
    locked: Annotated[
        Path | None,
        typer.Option("--locked", metavar="FILE", rich_help_panel=SELECTION,
                     help="Fetch exactly what a lock file of plan --lock names, and nothing else. Of presets only the "
                          "fields count that say where to and how to fetch."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the report as one JSON document.")
    ] = False,
    report_to: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", rich_help_panel=OUTPUT, help="Write the JSON report to a file, too."),
    ] = None,
) -> None:  # fmt: skip
    """Fetch what is asked for and not there yet, prove every byte, report.

    Run it again to continue or to bring the archive root up to date: what is there is left alone.

    \b
    Examples:
      crypto-archive collect --preset research
      crypto-archive collect -p backtest -p resilient --output /data/binance --jobs 4
      crypto-archive collect -p backtest --max-objects 10000 --max-bytes 20GiB
      crypto-archive collect -m futures_um -t fundingRate -s BTCUSDT --start 2024-01-01 --json
      crypto-archive collect --locked backtest.lock
      crypto-archive collect -p backtest --prune-covered
    """
    more: dict[str, object] = {"max_parallel_downloads": jobs, "force_redownload": force or None, **budget.fields()}
    if dry_run and report_to is not None:
        raise typer.BadParameter("a dry run has no report; --json prints its totals", param_hint="--report")
    if dry_run and budget.max_bytes is not None:
        raise typer.BadParameter(
            "a dry run plans from the calendar, which knows no sizes; use --max-objects, or `crypto-archive plan`",
            param_hint="--max-bytes",
        )
    if dry_run:
        _dry_run(selection, output, more, locked, as_json=as_json)
    else:
        _collect(
            selection, output, more, locked,
            wait=wait, prune_covered=prune_covered, as_json=as_json, report_to=report_to,
        )  # fmt: skip


def _collect(
    selection: SelectionOptions,
    output: OutputOptions,
    more: dict[str, object],
    locked: Path | None,
    *,
    wait: bool,
    prune_covered: bool,
    as_json: bool,
    report_to: Path | None,
) -> None:
    from crypto_archive import Cancellation, collect_events
    from crypto_archive.cli.locking import configure_wanted
    from crypto_archive.cli.signals import stopping
    from crypto_archive.cli.work import mode_of, prepare_file, write_json
    from crypto_archive.render.progress import progress

    configured = configure_wanted(selection, output, more, locked)
    if report_to is not None:
        prepare_file(report_to)
    cancellation = Cancellation()
    with stopping(cancellation):  # up to the last line, so that a late ^C does not cut the report short
        run = collect_events(
            configured, locked=locked, cancellation=cancellation, wait=wait, prune_covered=prune_covered
        )
        with progress(sys.stderr, mode_of(output)) as shown:
            report = run.finish(shown.show)
        if report_to is not None:
            write_json(report.document(), report_to)
        _tell_end(report, output, as_json=as_json)
    raise typer.Exit(report.exit_code())


def _tell_end(report: "Report", output: OutputOptions, *, as_json: bool) -> None:
    from crypto_archive.cli.work import print_json
    from crypto_archive.render.tables import report_summary, show

    if as_json:
        print_json(report.document())
    if as_json or output.quiet:
        if report.error:
            typer.echo(f"Error: {report.error}", err=True)
    else:
        show(report_summary(report, *report.files()), sys.stdout)


def _dry_run(
    selection: SelectionOptions, output: OutputOptions, more: dict[str, object], locked: Path | None, *, as_json: bool
) -> None:
    from crypto_archive import plan as plan_of
    from crypto_archive.cli.locking import configure_wanted
    from crypto_archive.cli.work import print_json
    from crypto_archive.render.tables import plan_table, show

    configured = configure_wanted(selection, output, {**more, "discover": "calendar"}, locked)
    with plan_of(configured, locked=locked, offline=True) as plan:
        plan.hold_back()
        for batch in plan.batches():
            if not as_json:
                print(f"# batch {batch.number}: {batch.label}, {len(batch.items)} objects")
                for command in plan.commands(batch):
                    print(command)
    if as_json:
        print_json(plan.document())
    elif not output.quiet:
        show(plan_table(plan.totals.groups, plan.notices, plan.needs()), sys.stderr)
    raise typer.Exit(plan.exit_code)
