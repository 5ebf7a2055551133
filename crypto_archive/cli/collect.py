"""``crypto-archive collect``."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crypto_archive.cli.options import (
    OUTPUT,
    SELECTION,
    BudgetOptions,
    Jobs,
    Json,
    OutputOptions,
    SelectionOptions,
    Via,
    Wait,
    destination,
    with_options,
)

if TYPE_CHECKING:
    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.report import Report

DOWNLOAD = "Download"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Where the result of a run goes."""

    as_json: Json = False
    report_to: Annotated[
        Path | None,
        typer.Option(
            "--report",
            parser=destination,
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Also write the JSON report to a file.",
        ),
    ] = None
    metrics_to: Annotated[
        Path | None,
        typer.Option("--metrics-file", parser=destination, metavar="FILE", rich_help_panel=OUTPUT,
                     help="Write metrics of the run for a Prometheus node exporter."),
    ] = None  # fmt: skip


@with_options
def collect(
    selection: SelectionOptions,
    budget: BudgetOptions,
    output: OutputOptions,
    reporting: ReportOptions,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", rich_help_panel=DOWNLOAD,
                     help="Print the calendar plan and its commands; no network, no writes."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", rich_help_panel=DOWNLOAD, help="Download again what is already in place.")
    ] = False,
    jobs: Jobs = None,
    via: Via = None,
    prune_covered: Annotated[
        bool,
        typer.Option("--prune-covered", rich_help_panel=DOWNLOAD,
                     help="Move daily objects aside once a monthly one is proven to hold their rows."),
    ] = False,
    wait: Wait = False,
    locked: Annotated[
        Path | None,
        typer.Option("--locked", metavar="FILE", rich_help_panel=SELECTION,
                     help="Download exactly the objects in a lock file; presets only set where to and how."),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="SPAN", rich_help_panel=DOWNLOAD,
                     help="Repeat at this interval, such as 1h or 1d."),
    ] = None,
) -> None:  # fmt: skip
    """Download missing files, verify them, and print a report.

    Run it again to continue, or to bring the archive root up to date: files that are in place are left alone.

    \b
    Examples:
      crypto-archive collect --preset research
      crypto-archive collect -p backtest -p resilient -o /data/binance --jobs 4
      crypto-archive collect -p backtest --max-objects 10000 --max-bytes 20GiB
      crypto-archive collect -m um -t fundingRate -s BTCUSDT --start 2024 --json
      crypto-archive collect --locked backtest.lock
      crypto-archive collect -p backtest --prune-covered
      crypto-archive collect -p pipeline --every 1h --metrics-file archive.prom
    """
    settings: dict[str, object] = {
        "max_parallel_downloads": jobs, "via": via, "force_redownload": force or None, **budget.fields(),
    }  # fmt: skip
    job = _Collect(selection, output, reporting, settings, locked, prune_covered)
    if dry_run:
        _check_dry_run(budget, reporting, every)
        job.print_commands()
    elif every is None:
        job.run_once(wait=wait)
    else:  # a listing that an earlier round has cached would hide what came since
        replace(job, selection=replace(selection, refresh=True)).repeat(every)


def _check_dry_run(budget: BudgetOptions, reporting: ReportOptions, every: str | None) -> None:
    for path, option in ((reporting.report_to, "--report"), (reporting.metrics_to, "--metrics-file")):
        if path is not None:
            raise typer.BadParameter("a dry run has no report; --json prints its totals", param_hint=option)
    if every is not None:
        raise typer.BadParameter("cannot be combined with --dry-run", param_hint="--every")
    if budget.max_bytes is not None:
        raise typer.BadParameter(
            "a dry run plans from the calendar, which has no sizes; use --max-objects, or `crypto-archive plan`",
            param_hint="--max-bytes",
        )


def _offline(locked: Path | None) -> str:
    """Return what the commands of a dry run are based on."""
    if locked is not None:
        return "Offline: what the lock file pins and is not on disk; the archive is not asked."
    return "An offline estimate from the calendar; `crypto-archive plan` shows what a collect would do."


@dataclass(frozen=True, slots=True)
class _Collect:
    """What the options ask of each run."""

    selection: SelectionOptions
    output: OutputOptions
    reporting: ReportOptions
    settings: dict[str, object]
    locked: Path | None
    prune_covered: bool

    def run_once(self, *, wait: bool) -> None:
        from crypto_archive.cli.process import stopping
        from crypto_archive.events import Cancellation

        config = self._configure()
        cancellation = Cancellation()
        with stopping(cancellation):  # to the very end, so that a late ^C does not cut the report short
            report = self._run(config, cancellation, wait=wait)
        raise typer.Exit(report.exit_code())

    def repeat(self, every: str) -> None:
        from crypto_archive.cli.output import print_notice
        from crypto_archive.cli.process import print_our_error, stopping
        from crypto_archive.config.values import seconds_of
        from crypto_archive.errors import CryptoArchiveError
        from crypto_archive.events import Cancellation
        from crypto_archive.jobs.schedule import schedule
        from crypto_archive.model import Notice

        try:
            seconds = seconds_of(every)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--every") from None
        if self.reporting.as_json:
            raise typer.BadParameter("every round has its own report; --report FILE keeps the latest one",
                                     param_hint="--json")  # fmt: skip
        config = self._configure()
        cancellation = Cancellation()
        code = 0
        with stopping(cancellation):
            for number in schedule(
                config.request.root,
                seconds,
                cancellation=cancellation,
                on_wait=lambda due: print_notice(
                    self.output, Notice(f"the next round starts at {due:%Y-%m-%dT%H:%M:%SZ}")
                ),
            ):
                try:
                    if number > 1:  # presets may have changed, and days have passed
                        config = self._configure()
                    with cancellation.for_a_part() as token:
                        code = self._run(config, token, wait=True).exit_code()
                except CryptoArchiveError as error:
                    if number == 1:
                        raise
                    print_our_error(error)
                    code = error.exit_code
        raise typer.Exit(code)

    def print_commands(self) -> None:
        from itertools import chain

        from crypto_archive.cli.output import configure_collect, print_json
        from crypto_archive.cli.process import print_line
        from crypto_archive.jobs.plan import plan
        from crypto_archive.render.tables import plan_table, show

        config = configure_collect(self.selection, self.output, {**self.settings, "discover": "calendar"}, self.locked)
        as_json = self.reporting.as_json
        with plan(config, locked=self.locked, offline=True) as made:
            made.hold_back()
            batches = made.batches()
            first = next(batches, None)  # nothing is printed of a plan over its budget
            if first is not None and not as_json:
                print(f"# {_offline(self.locked)}")  # a comment in a run-file
            elif not as_json and not self.output.quiet:
                print_line(_offline(self.locked))
            for batch in chain([] if first is None else [first], batches):
                if not as_json:
                    print(f"# batch {batch.number}: {batch.label}, {len(batch.items)} objects")
                    for command in made.commands(batch):
                        print(command)
        if as_json:
            print_json(made.document())
        elif not self.output.quiet:
            needs, verbose = made.needs(), bool(self.output.verbose)
            show(plan_table(made.totals.groups, made.notices, needs, verbose=verbose), sys.stderr)
        raise typer.Exit(made.exit_code)

    def _configure(self) -> "RunConfig":
        from crypto_archive.cli.output import configure_collect, prepare_file

        config = configure_collect(self.selection, self.output, self.settings, self.locked)
        for path, option in ((self.reporting.report_to, "--report"), (self.reporting.metrics_to, "--metrics-file")):
            if path is not None:
                prepare_file(path, option)
        return config

    def _run(self, config: "RunConfig", cancellation: "Cancellation", *, wait: bool) -> "Report":
        from crypto_archive.cli.output import write_json
        from crypto_archive.cli.words import showing
        from crypto_archive.jobs.collect import collect_run

        run = collect_run(
            config,
            locked=self.locked,
            cancellation=cancellation,
            wait=wait,
            prune_covered=self.prune_covered,
            kept_together=True,
        )
        with showing(self.output, cancellation=cancellation) as on_event:
            report = run.finish(on_event)
        if self.reporting.report_to is not None:
            write_json(report.document(), self.reporting.report_to)
        if self.reporting.metrics_to is not None:
            from crypto_archive.jobs.metrics import write_metrics

            write_metrics(report, self.reporting.metrics_to)
        self._print_result(report)
        return report

    def _print_result(self, report: "Report") -> None:
        from crypto_archive.cli.output import print_json
        from crypto_archive.cli.process import print_error
        from crypto_archive.errors import cause_and_hint

        as_json, quiet = self.reporting.as_json, self.output.quiet
        if as_json:
            print_json(report.document())
        if report.error and (as_json or quiet):
            print_error(*cause_and_hint(report.error))
        elif quiet and report.status in {"partial", "failed", "empty"}:
            from crypto_archive.render.summary import headline

            print_error(headline(report))
        if not as_json and not quiet:
            from crypto_archive.render.summary import report_summary
            from crypto_archive.render.tables import show

            show(report_summary(report, *report.written()), sys.stdout)
