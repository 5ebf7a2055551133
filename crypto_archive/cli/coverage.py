"""``crypto-archive matrix coverage``."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.options import OUTPUT, OutputOptions, SelectionOptions, takes


class CoverageFormat(StrEnum):
    """Values of ``--format``."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


@takes("selection", SelectionOptions)
@takes("output", OutputOptions)
def coverage(
    selection: SelectionOptions,
    output: OutputOptions,
    format: Annotated[
        CoverageFormat | None,
        typer.Option("--format", "-f", rich_help_panel=OUTPUT,
                     help="A heat map in the terminal, one JSON document, or a page for the browser. "
                          "(default: by the ending of --to, else table)"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", rich_help_panel=OUTPUT, help="Write JSON or HTML to a file."),
    ] = None,
    every_series: Annotated[
        bool, typer.Option("--all", rich_help_panel=OUTPUT, help="Show all series in the table, however many.")
    ] = False,
) -> None:  # fmt: skip
    """Show what is on disk, what the archive has, and what is missing and why, per series and month.

    Reads the names on disk and the archive's listing; changes nothing but the remembered listings.

    \b
    Examples:
      crypto-archive matrix coverage --preset research
      crypto-archive matrix coverage -m spot -t klines -i 1d -s '*USDT' --to coverage.html
      crypto-archive matrix coverage -p backtest --discover calendar --format json
    """
    chosen = _format(format, to)
    if to is not None and chosen is CoverageFormat.TABLE:
        raise typer.BadParameter("a file takes --format json or html", param_hint="--to")
    if to is None and chosen is CoverageFormat.HTML and sys.stdout.isatty():
        raise typer.BadParameter("name a file for the page, such as --to coverage.html", param_hint="--format html")
    _coverage(selection, output, chosen, to, every_series)


def _format(format: CoverageFormat | None, to: Path | None) -> CoverageFormat:
    if format is not None:
        return format
    endings = {".html": CoverageFormat.HTML, ".htm": CoverageFormat.HTML, ".json": CoverageFormat.JSON}
    return endings.get(to.suffix.lower(), CoverageFormat.TABLE) if to is not None else CoverageFormat.TABLE


def _coverage(
    selection: SelectionOptions, output: OutputOptions, format: CoverageFormat, to: Path | None, every_series: bool
) -> None:
    from contextlib import nullcontext
    from functools import partial

    from crypto_archive.cli.output import configure, prepare_file, print_notice, print_text, write_text
    from crypto_archive.jobs.coverage import coverage as coverage_of
    from crypto_archive.render.console import WAITING, waiting
    from crypto_archive.render.coverage import coverage_page, coverage_view
    from crypto_archive.render.tables import show

    configured = configure(selection, output)
    if to is not None:
        prepare_file(to, "--to")
    aside = (
        (lambda _: None) if format is CoverageFormat.TABLE else partial(print_notice, output)
    )  # the table has them itself
    with nullcontext() if output.quiet else waiting(sys.stderr, WAITING):
        report = coverage_of(configured, on_notice=aside)
    if format is CoverageFormat.TABLE:
        show(coverage_view(report, every_series=every_series), sys.stdout)
    else:
        text = report.json_text() if format is CoverageFormat.JSON else coverage_page(report)
        if to is None:
            print_text(text)
        else:
            write_text(text, to, "--to")
            if not output.quiet:
                typer.echo(f"written  {to}", err=True)
    raise typer.Exit(report.exit_code())
