"""``crypto-archive matrix symbols``."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.completion import completing
from crypto_archive.cli.options import SelectionOptions


class SymbolsFormat(StrEnum):
    """Values of ``--format``."""

    TABLE = "table"
    JSON = "json"
    NAMES = "names"


def symbols(
    markets: Annotated[
        list[str] | None,
        typer.Option("--market", "-m", metavar="MARKET", autocompletion=completing("markets"),
                     help="Only these markets; repeatable. (default: all that have the data type)"),
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol",
            "-s",
            metavar="SYMBOL|GLOB",
            autocompletion=completing("symbols"),
            help="Only these symbols, such as '*USDT'; '!*DOWNUSDT' excludes; @FILE or - (standard input) reads a "
            "list; repeatable. (default: all)",
        ),
    ] = None,
    quote_assets: Annotated[
        list[str] | None,
        typer.Option("--quote", metavar="ASSET",
                     autocompletion=completing("quote_assets"),
                     help="Only symbols quoted in this asset, such as USDT; repeatable."),
    ] = None,
    contract: Annotated[
        str | None,
        typer.Option("--contract", metavar="perpetual|delivery",
                     autocompletion=completing("contract"), help="Only futures contracts of this kind."),
    ] = None,
    settled: Annotated[
        bool | None,
        typer.Option(
            "--settled/--no-settled",
            help="Only symbols that were settled, by their names, or only those that were not.",
        ),
    ] = None,
    data_type: Annotated[
        str, typer.Option("--data-type", "-t", metavar="TYPE",
                          autocompletion=completing("data_types"), help="The data type to look at. (default: klines)")
    ] = "klines",
    interval: Annotated[
        str | None,
        typer.Option("--interval", "-i", metavar="INTERVAL", autocompletion=completing("intervals"),
                     help="The interval to look at. (default: 1d, where the type has intervals)"),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", help="Only symbols that had data on this day, UTC: 2021-06-30."),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh", help="Ask the archive again, even if its listing is remembered from the last hour."
        ),
    ] = False,
    output_directory: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The archive root, where listings are remembered if it exists. (default: output)",
        ),
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option("--endpoint-url", metavar="URL", help="The S3 endpoint.")] = None,
    matrix_path: Annotated[
        Path | None,
        typer.Option("--matrix", metavar="FILE",
                     help="Another matrix file, in our form or in the older workflow's JSON form."),
    ] = None,
    format: Annotated[
        SymbolsFormat,
        typer.Option("--format", "-f", help="A table, one JSON document, or names alone, one a line."),
    ] = SymbolsFormat.TABLE,
) -> None:  # fmt: skip
    """List the symbols that the archive has data of, with first and last day; with --as-of those of one day.

    A symbol without data for 30 days or more between two days with data is flagged: its name may have been reused.

    \b
    Examples:
      crypto-archive matrix symbols -m spot --as-of 2021-06-30
      crypto-archive matrix symbols -m futures_um --quote USDT --as-of 2021-06-30 --format names
      crypto-archive matrix symbols -t fundingRate --format json
    """
    from crypto_archive.cli.output import print_json, print_text, request_of
    from crypto_archive.config.values import day_of
    from crypto_archive.errors import ExitCode
    from crypto_archive.jobs.symbols import symbols as symbols_of, symbols_document
    from crypto_archive.model import Notice
    from crypto_archive.render.console import WAITING, waiting
    from crypto_archive.render.tables import show, symbols_table

    selection = SelectionOptions(
        markets=markets, symbols=symbols, quote_assets=quote_assets, contract=contract, settled=settled,
        data_types=[data_type], intervals=[interval] if interval else None, refresh=refresh,
        output_directory=output_directory, endpoint_url=endpoint_url, matrix_path=matrix_path,
    )  # fmt: skip
    try:
        day = None if as_of is None else day_of(as_of)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    configured = request_of(selection.fields())

    def on_notice(notice: Notice) -> None:
        typer.echo(f"note  {notice.text}", err=True)

    with waiting(sys.stderr, WAITING):
        found = list(symbols_of(configured, as_of=day, on_notice=on_notice))
    if format is SymbolsFormat.JSON:
        print_json(symbols_document(found, day))
    elif format is SymbolsFormat.NAMES:
        print_text(f"{name}\n" for name in sorted({one.series.symbol for one in found}))
    else:
        show(symbols_table(found), sys.stdout)
    raise typer.Exit(ExitCode.OK if found else ExitCode.PARTIAL)
