"""``crypto-archive coverage``: what is on disk, what the archive has, and why the rest is missing."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.options import (
    OUTPUT,
    Json,
    OutputOptions,
    SelectionOptions,
    destination,
    form_option,
    refuse_two_forms,
    with_options,
)


class CoverageFormat(StrEnum):
    """Values of ``coverage --format``."""

    HTML = "html"


@with_options
def coverage(
    selection: SelectionOptions,
    output: OutputOptions,
    as_json: Json = False,
    format: Annotated[CoverageFormat | None, form_option(CoverageFormat, "A page for the browser.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", parser=destination, metavar="FILE", rich_help_panel=OUTPUT,
                     help="Write the page or JSON to a file that ends in .html or .json."),
    ] = None,
    every_series: Annotated[
        bool, typer.Option("--all", rich_help_panel=OUTPUT, help="Show all series in the table.")
    ] = False,
) -> None:  # fmt: skip
    """Show what is on disk, what the archive has, and what is missing and why, per series and month.

    Reads file names and the archive's listing; writes nothing but the listing cache.

    \b
    Examples:
      crypto-archive coverage --preset research
      crypto-archive coverage -m spot -t klines -i 1d -s '*USDT' --to spot.html
      crypto-archive coverage -p backtest --discover calendar --json
    """
    from crypto_archive.cli.output import configure, prepare_file, print_notice, print_text, write_text, writes_utf8
    from crypto_archive.cli.process import print_line
    from crypto_archive.cli.words import showing
    from crypto_archive.jobs.coverage import coverage as measure
    from crypto_archive.model import Notice
    from crypto_archive.render.coverage import coverage_page, coverage_view
    from crypto_archive.render.stats import PLAN
    from crypto_archive.render.tables import show as show_table
    from crypto_archive.text import json_pieces

    refuse_two_forms(as_json=as_json, format=format)
    suffix = "" if to is None or as_json or format else to.suffix.lower()
    as_json, as_page = as_json or suffix == ".json", format is not None or suffix in {".html", ".htm"}
    as_table = not as_json and not as_page
    if to is not None and as_table:
        raise typer.BadParameter("name a file that ends in .html or .json, or add --json", param_hint="--to")
    if to is None and as_page and sys.stdout.isatty():
        raise typer.BadParameter("name a file for the page, such as --to coverage.html", param_hint="--format html")
    config = configure(selection, output)
    if to is not None:
        prepare_file(to, "--to")

    def on_notice(notice: Notice) -> None:
        if not as_table:  # the table lists them itself
            print_notice(output, notice)

    with showing(output, PLAN) as on_planning:
        report = measure(config, on_notice=on_notice, on_planning=on_planning)
    if as_table:
        show_table(coverage_view(report, every_series=every_series), sys.stdout)
    else:
        ascii_only = to is None and not writes_utf8(sys.stdout)
        text = json_pieces(report.document_fields(), ascii_only=ascii_only) if as_json else coverage_page(report)
        if to is None:
            print_text(text)
        else:
            write_text(text, to, "--to")
            if not output.quiet:
                print_line(f"saved to {to}")
    raise typer.Exit(report.exit_code())
