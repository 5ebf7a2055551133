"""``crypto-archive symbols``: which symbols have data, today or on a day in the past."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from crypto_archive.cli.options import (
    SELECTION,
    ColorOptions,
    Contract,
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
    form_option,
    refuse_two_forms,
    with_options,
)


class SymbolsFormat(StrEnum):
    """Values of ``symbols --format``."""

    NAMES = "names"


@with_options
def symbols(
    named: Annotated[
        list[str] | None,
        typer.Argument(metavar="SYMBOL|GLOB...", show_default=False, autocompletion=completing("symbols"),
                       help="The symbols to list, as for --symbol. (default: all)"),
    ] = None,
    markets: Markets = None,
    symbols: Symbols = None,
    quote_assets: QuoteAssets = None,
    contract: Contract = None,
    settled: Settled = None,
    data_type: Annotated[
        str,
        typer.Option("--data-type", "-t", metavar="TYPE", rich_help_panel=SELECTION, show_default=False,
                     autocompletion=completing("data_types"), help="The data type. (default: klines)"),
    ] = "klines",
    interval: Annotated[
        str | None,
        typer.Option("--interval", "-i", metavar="INTERVAL", rich_help_panel=SELECTION,
                     autocompletion=completing("intervals"),
                     help="The interval. (default: 1d, where the type has intervals)"),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", rich_help_panel=SELECTION,
                     help="Only symbols that lived on this day, UTC: 2021-06-30 or yesterday."),
    ] = None,
    refresh: Refresh = False,
    output_directory: OutputDirectory = None,
    endpoint_url: EndpointUrl = None,
    matrix_path: MatrixPath = None,
    as_json: Json = False,
    format: Annotated[SymbolsFormat | None, form_option(SymbolsFormat, "Only the names, one per line.")] = None,
    *,
    color: ColorOptions,
) -> None:  # fmt: skip
    """List the symbols that have data, with their first and last day; with --as-of those of one day.

    A symbol without data for 3 days or more that other symbols have is flagged: its name may have been reused.

    \b
    Examples:
      crypto-archive symbols -m spot --as-of 2021-06-30
      crypto-archive symbols '*USDC' -m spot -t klines -i 1h
      crypto-archive symbols -m um --quote USDT --as-of 2021-06-30 --format names
      crypto-archive symbols -t fundingRate --json
    """
    from functools import partial

    from crypto_archive.cli.output import load_config, print_json, print_notice, print_text
    from crypto_archive.config.values import day_of
    from crypto_archive.jobs.symbols import symbols as symbols_of
    from crypto_archive.render.progress import progress
    from crypto_archive.render.stats import PLAN
    from crypto_archive.render.tables import show as show_table, symbols_table

    refuse_two_forms(as_json=as_json, format=format)
    selection = SelectionOptions(
        markets=markets, symbols=[*(named or ()), *(symbols or ())], quote_assets=quote_assets, contract=contract,
        settled=settled, data_types=[data_type], intervals=[interval] if interval else None, refresh=refresh,
        output_directory=output_directory, endpoint_url=endpoint_url, matrix_path=matrix_path,
    )  # fmt: skip
    try:
        day = None if as_of is None else day_of(as_of)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    config = load_config(selection.fields())

    with progress(sys.stderr, PLAN) as shown:
        found = symbols_of(config, as_of=day, on_notice=partial(print_notice, OutputOptions()), on_planning=shown.show)
    if as_json:
        print_json(found.document())
    elif format is SymbolsFormat.NAMES:
        print_text(f"{name}\n" for name in sorted({one.series.symbol for one in found}))
    else:
        show_table(symbols_table(found.symbols), sys.stdout)
    raise typer.Exit(found.exit_code())
