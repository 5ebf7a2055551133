"""``crypto-archive matrix``: what Binance publishes, and what of it is on disk."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.options import (
    OUTPUT,
    SELECTION,
    Contract,
    DataTypes,
    EndpointUrl,
    Json,
    Markets,
    MatrixPath,
    OutputDirectory,
    OutputOptions,
    QuoteAssets,
    Refresh,
    SelectionOptions,
    Settled,
    Symbols,
    completing,
    destination,
    with_options,
)

app = typer.Typer(help="Browse what Binance publishes: data types, symbols, coverage.", no_args_is_help=False)


class MatrixFormat(StrEnum):
    """Values of ``matrix show --format``."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show(None, None, None, MatrixFormat.TABLE)


@app.command()
def show(
    markets: Markets = None,
    data_types: DataTypes = None,
    matrix_path: MatrixPath = None,
    format: Annotated[
        MatrixFormat,
        typer.Option("--format", "-f", rich_help_panel=OUTPUT,
                     help="A table, JSON, YAML (to start your own matrix) or Markdown."),
    ] = MatrixFormat.TABLE,
) -> None:  # fmt: skip
    """Show the rows of the matrix; `matrix` without a command does the same.

    \b
    Examples:
      crypto-archive matrix show --market spot
      crypto-archive matrix show -t fundingRate --format json
    """
    from crypto_archive.catalog.matrix_file import matrix_document
    from crypto_archive.cli.output import load_config, print_json
    from crypto_archive.render.markdown import matrix_markdown
    from crypto_archive.render.tables import matrix_table, show as show_table

    config = load_config({"markets": markets, "data_types": data_types, "matrix_path": matrix_path})
    matrix, selection = config.matrix, config.request.selection
    selected = {matrix.row(market, name) for name in selection.data_types for market in selection.markets}
    rows = [
        row for row in matrix.rows if row.market in selection.markets and (not selection.data_types or row in selected)
    ]
    if format is MatrixFormat.JSON:
        print_json(matrix_document(matrix, rows))
    elif format is MatrixFormat.YAML:
        import yaml

        yaml.safe_dump(matrix_document(matrix, rows), sys.stdout, allow_unicode=True, sort_keys=False)
    elif format is MatrixFormat.MARKDOWN:
        sys.stdout.write(matrix_markdown(rows))
    else:
        show_table(matrix_table(rows, matrix.notes if len(rows) == len(matrix.rows) else ()), sys.stdout)


@app.command()
def check(matrix_path: MatrixPath = None, endpoint_url: EndpointUrl = None, as_json: Json = False) -> None:
    """Compare the matrix with the type folders that the archive lists; exit 4 if they differ.

    \b
    Examples:
      crypto-archive matrix check
      crypto-archive matrix check --json
    """
    from crypto_archive.cli.output import load_config, print_json
    from crypto_archive.errors import ExitCode
    from crypto_archive.jobs.matrix_check import check_matrix
    from crypto_archive.render.tables import folders_table, show as show_table

    config = load_config({"matrix_path": matrix_path, "endpoint_url": endpoint_url})
    folders = list(check_matrix(config.matrix, config.request.access))
    differing = [folder for folder in folders if not folder.agrees]
    if as_json:
        print_json({
            "schema_version": 1,
            "matrix": config.matrix.version,
            "endpoint_url": config.request.access.endpoint_url,
            "folders": len(folders),
            "only_in_matrix": [folder.folder for folder in differing if folder.in_matrix],
            "only_in_archive": [folder.folder for folder in differing if folder.in_archive],
        })  # fmt: skip
    else:
        show_table(folders_table((one.folder, one.in_matrix, one.in_archive) for one in folders), sys.stdout)
    raise typer.Exit(ExitCode.VERIFICATION if differing else ExitCode.OK)


class CoverageFormat(StrEnum):
    """Values of ``matrix coverage --format``."""

    TABLE = "table"
    JSON = "json"
    HTML = "html"


_SUFFIXES = {".html": CoverageFormat.HTML, ".htm": CoverageFormat.HTML, ".json": CoverageFormat.JSON}


@app.command()
@with_options
def coverage(
    selection: SelectionOptions,
    output: OutputOptions,
    format: Annotated[
        CoverageFormat | None,
        typer.Option("--format", "-f", rich_help_panel=OUTPUT,
                     help="A heat map in the terminal, one JSON document, or a page for the browser. "
                          "(default: by the suffix of --to, else table)"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", parser=destination, metavar="FILE", rich_help_panel=OUTPUT,
                     help="Write JSON or HTML to a file."),
    ] = None,
    every_series: Annotated[
        bool, typer.Option("--all", rich_help_panel=OUTPUT, help="Show all series in the table, however many.")
    ] = False,
) -> None:  # fmt: skip
    """Show what is on disk, what the archive has, and what is missing and why, per series and month.

    Reads file names and the archive's listing; writes nothing but the listing cache.

    \b
    Examples:
      crypto-archive matrix coverage --preset research
      crypto-archive matrix coverage -m spot -t klines -i 1d -s '*USDT' --to coverage.html
      crypto-archive matrix coverage -p backtest --discover calendar --format json
    """
    from contextlib import nullcontext

    from crypto_archive.cli.output import configure, prepare_file, print_notice, print_text, write_text
    from crypto_archive.cli.process import print_line
    from crypto_archive.jobs.coverage import coverage as measure
    from crypto_archive.model import Notice
    from crypto_archive.render.console import WAITING, waiting
    from crypto_archive.render.coverage import coverage_page, coverage_view
    from crypto_archive.render.tables import show as show_table

    suffix = None if to is None else _SUFFIXES.get(to.suffix.lower())
    chosen = format or suffix or CoverageFormat.TABLE
    if to is not None and chosen is CoverageFormat.TABLE:
        raise typer.BadParameter("a file needs --format json or html", param_hint="--to")
    if to is None and chosen is CoverageFormat.HTML and sys.stdout.isatty():
        raise typer.BadParameter("name a file for the page, such as --to coverage.html", param_hint="--format html")
    config = configure(selection, output)
    if to is not None:
        prepare_file(to, "--to")

    def on_notice(notice: Notice) -> None:
        if chosen is not CoverageFormat.TABLE:  # the table lists them itself
            print_notice(output, notice)

    with nullcontext() if output.quiet else waiting(sys.stderr, WAITING):
        report = measure(config, on_notice=on_notice)
    if chosen is CoverageFormat.TABLE:
        show_table(coverage_view(report, every_series=every_series), sys.stdout)
    else:
        text = report.json_text() if chosen is CoverageFormat.JSON else coverage_page(report)
        if to is None:
            print_text(text)
        else:
            write_text(text, to, "--to")
            if not output.quiet:
                print_line(f"saved to {to}")
    raise typer.Exit(report.exit_code())


class SymbolsFormat(StrEnum):
    """Values of ``matrix symbols --format``."""

    TABLE = "table"
    JSON = "json"
    NAMES = "names"


@app.command()
def symbols(
    markets: Markets = None,
    symbols: Symbols = None,
    quote_assets: QuoteAssets = None,
    contract: Contract = None,
    settled: Settled = None,
    data_type: Annotated[
        str,
        typer.Option("--data-type", "-t", metavar="TYPE", rich_help_panel=SELECTION, show_default=False,
                     autocompletion=completing("data_types"), help="The data type to list. (default: klines)"),
    ] = "klines",
    interval: Annotated[
        str | None,
        typer.Option("--interval", "-i", metavar="INTERVAL", rich_help_panel=SELECTION,
                     autocompletion=completing("intervals"),
                     help="The interval to list. (default: 1d, where the type has intervals)"),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", rich_help_panel=SELECTION,
                     help="Only symbols that lived on this day, UTC: 2021-06-30."),
    ] = None,
    refresh: Refresh = False,
    output_directory: OutputDirectory = None,
    endpoint_url: EndpointUrl = None,
    matrix_path: MatrixPath = None,
    format: Annotated[
        SymbolsFormat,
        typer.Option("--format", "-f", rich_help_panel=OUTPUT,
                     help="A table, one JSON document, or only the names, one per line."),
    ] = SymbolsFormat.TABLE,
) -> None:  # fmt: skip
    """List the symbols that have data, with their first and last day; with --as-of those of one day.

    A symbol without data for 3 days or more that other symbols have is flagged: its name may have been reused.

    \b
    Examples:
      crypto-archive matrix symbols -m spot --as-of 2021-06-30
      crypto-archive matrix symbols -m futures_um --quote USDT --as-of 2021-06-30 --format names
      crypto-archive matrix symbols -t fundingRate --format json
    """
    from crypto_archive.cli.output import load_config, print_json, print_notice, print_text
    from crypto_archive.config.values import day_of
    from crypto_archive.errors import ExitCode
    from crypto_archive.jobs.symbols import symbols as symbols_of, symbols_document
    from crypto_archive.model import Notice, UnknownSymbols
    from crypto_archive.render.console import WAITING, waiting
    from crypto_archive.render.tables import show as show_table, symbols_table

    selection = SelectionOptions(
        markets=markets, symbols=symbols, quote_assets=quote_assets, contract=contract, settled=settled,
        data_types=[data_type], intervals=[interval] if interval else None, refresh=refresh,
        output_directory=output_directory, endpoint_url=endpoint_url, matrix_path=matrix_path,
    )  # fmt: skip
    try:
        day = None if as_of is None else day_of(as_of)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    config = load_config(selection.fields())

    complete = True

    def on_notice(notice: Notice) -> None:
        nonlocal complete
        complete = complete and not isinstance(notice, UnknownSymbols)
        print_notice(OutputOptions(), notice)

    with waiting(sys.stderr, WAITING):
        found = list(symbols_of(config, as_of=day, on_notice=on_notice))
    if format is SymbolsFormat.JSON:
        print_json(symbols_document(found, day))
    elif format is SymbolsFormat.NAMES:
        print_text(f"{name}\n" for name in sorted({one.series.symbol for one in found}))
    else:
        show_table(symbols_table(found), sys.stdout)
    raise typer.Exit(ExitCode.OK if found and complete else ExitCode.PARTIAL)
