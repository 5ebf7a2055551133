"""``crypto-archive collect``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crypto_archive.cli.options import OUTPUT, SELECTION, BudgetOptions, OutputOptions, SelectionOptions, takes

if TYPE_CHECKING:
    from datetime import datetime

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.report import Report

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
    metrics_to: Annotated[
        Path | None,
        typer.Option("--metrics-file", metavar="FILE", rich_help_panel=OUTPUT,
                     help="Write what the run came to as OpenMetrics, for a node exporter's textfile collector."),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="SPAN", rich_help_panel=FETCHING,
                     help="Go on and collect again at this distance, such as 1h or 1d, until a signal ends it."),
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
      crypto-archive collect -p pipeline --every 1h --metrics-file /var/lib/node_exporter/crypto_archive.prom
    """
    more: dict[str, object] = {"max_parallel_downloads": jobs, "force_redownload": force or None, **budget.fields()}
    asked = _Asked(selection, output, more, locked, prune_covered, as_json, report_to, metrics_to)
    if dry_run:
        _refuse_with_dry_run(budget, report_to, metrics_to, every)
        _dry_run(selection, output, more, locked, as_json=as_json)
    elif every is None:
        _once(asked, wait=wait)
    else:
        _every(asked, every)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options ask of each run."""

    selection: SelectionOptions
    output: OutputOptions
    more: dict[str, object]
    locked: Path | None
    prune_covered: bool
    as_json: bool
    report_to: Path | None
    metrics_to: Path | None


def _refuse_with_dry_run(
    budget: BudgetOptions, report_to: Path | None, metrics_to: Path | None, every: str | None
) -> None:
    if report_to is not None or metrics_to is not None:
        option = "--report" if report_to is not None else "--metrics-file"
        raise typer.BadParameter("a dry run has no report; --json prints its totals", param_hint=option)
    if every is not None:
        raise typer.BadParameter("a dry run is over at once", param_hint="--every")
    if budget.max_bytes is not None:
        raise typer.BadParameter(
            "a dry run plans from the calendar, which knows no sizes; use --max-objects, or `crypto-archive plan`",
            param_hint="--max-bytes",
        )


def _once(asked: _Asked, *, wait: bool) -> None:
    from crypto_archive.cli.process import stopping
    from crypto_archive.events import Cancellation

    configured = _configured(asked)
    cancellation = Cancellation()
    with stopping(cancellation):  # up to the last line, so that a late ^C does not cut the report short
        report = _collected(asked, configured, cancellation, wait=wait)
    raise typer.Exit(report.exit_code())


def _every(asked: _Asked, every: str) -> None:
    from crypto_archive.cli.output import print_notice
    from crypto_archive.cli.process import print_error, stopping
    from crypto_archive.config.values import seconds_of
    from crypto_archive.errors import CryptoArchiveError
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.schedule import schedule
    from crypto_archive.model import Notice

    try:
        seconds = seconds_of(every)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--every") from None
    if asked.as_json:
        raise typer.BadParameter(
            "each round has a report of its own; --report FILE has the last one", param_hint="--json"
        )
    configured = _configured(asked)

    def say_when(due: "datetime") -> None:
        print_notice(asked.output, Notice(f"the next round begins at {due:%Y-%m-%dT%H:%M:%SZ}"))

    cancellation = Cancellation()
    code = 0
    with stopping(cancellation):
        for number in schedule(configured.request.root, seconds, cancellation=cancellation, on_wait=say_when):
            try:
                if number > 1:  # presets may have changed, and days have gone by
                    configured = _configured(asked)
                with cancellation.for_a_part() as token:
                    code = _collected(asked, configured, token, wait=True).exit_code()
            except CryptoArchiveError as error:
                if number == 1:
                    raise
                print_error(error)
                code = error.exit_code
    raise typer.Exit(code)


def _configured(asked: _Asked) -> "RunConfig":
    from crypto_archive.cli.output import configure_wanted, prepare_file

    configured = configure_wanted(asked.selection, asked.output, asked.more, asked.locked)
    for path, option in ((asked.report_to, "--report"), (asked.metrics_to, "--metrics-file")):
        if path is not None:
            prepare_file(path, option)
    return configured


def _collected(asked: _Asked, configured: "RunConfig", cancellation: "Cancellation", *, wait: bool) -> "Report":
    from crypto_archive.cli.output import mode_of, write_json
    from crypto_archive.jobs.collect import collect_events
    from crypto_archive.render.progress import progress

    run = collect_events(
        configured, locked=asked.locked, cancellation=cancellation, wait=wait, prune_covered=asked.prune_covered
    )
    with progress(sys.stderr, mode_of(asked.output)) as shown:
        report = run.finish(shown.show)
    if asked.report_to is not None:
        write_json(report.document(), asked.report_to)
    if asked.metrics_to is not None:
        from crypto_archive.jobs.metrics import write_metrics

        write_metrics(report, asked.metrics_to)
    _tell_end(report, asked.output, as_json=asked.as_json)
    return report


def _tell_end(report: "Report", output: OutputOptions, *, as_json: bool) -> None:
    from crypto_archive.cli.output import print_json
    from crypto_archive.render.summary import headline, report_summary
    from crypto_archive.render.tables import show

    if as_json:
        print_json(report.document())
    if report.error and (as_json or output.quiet):
        typer.echo(f"Error: {report.error}", err=True)
    elif output.quiet and report.status in {"partial", "failed", "empty"}:
        typer.echo(f"Error: {headline(report)}", err=True)
    if not as_json and not output.quiet:
        show(report_summary(report, *report.files()), sys.stdout)


def _dry_run(
    selection: SelectionOptions, output: OutputOptions, more: dict[str, object], locked: Path | None, *, as_json: bool
) -> None:
    from crypto_archive.cli.output import configure_wanted, print_json
    from crypto_archive.jobs.plan import plan as plan_of
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
