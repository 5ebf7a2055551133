"""``crypto-archive matrix``: what the archive can hold."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.completion import completing
from crypto_archive.cli.coverage import coverage
from crypto_archive.cli.symbols import symbols

app = typer.Typer(
    help="What the archive can hold, has, and had: matrix, coverage, symbols; the matrix against the archive.",
    no_args_is_help=False,
)

MatrixOption = Annotated[
    Path | None,
    typer.Option(
        "--matrix", metavar="FILE", help="Another matrix file, in our form or in the older workflow's JSON form."
    ),
]
MarketOption = Annotated[
    list[str] | None,
    typer.Option(
        "--market", "-m", metavar="MARKET", autocompletion=completing("markets"), help="Only these markets; repeatable."
    ),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data-type",
        "-t",
        metavar="TYPE",
        autocompletion=completing("data_types"),
        help="Only these data types; repeatable.",
    ),
]


class MatrixFormat(StrEnum):
    """Values of ``--format``."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        _show(None, None, None, MatrixFormat.TABLE)


@app.command()
def show(
    markets: MarketOption = None,
    data_types: TypeOption = None,
    matrix_path: MatrixOption = None,
    format: Annotated[
        MatrixFormat, typer.Option("--format", "-f", help="A table, or JSON, YAML (to start an own matrix), Markdown.")
    ] = MatrixFormat.TABLE,
) -> None:
    """Show the rows of the matrix; this is what `matrix` alone does.

    \b
    Examples:
      crypto-archive matrix show --market spot
      crypto-archive matrix show -t fundingRate --format json
    """
    _show(markets, data_types, matrix_path, format)


@app.command()
def check(
    matrix_path: MatrixOption = None,
    endpoint_url: Annotated[str | None, typer.Option("--endpoint-url", metavar="URL", help="The S3 endpoint.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Compare the matrix with the type folders that the archive lists; exit 4 where they differ.

    \b
    Examples:
      crypto-archive matrix check
      crypto-archive matrix check --json
    """
    from crypto_archive.cli.output import print_json, request_of
    from crypto_archive.errors import ExitCode
    from crypto_archive.jobs.matrix_check import check_matrix
    from crypto_archive.render.tables import folders_table, show as show_table

    options = {"matrix_path": matrix_path, "endpoint_url": endpoint_url}
    configured = request_of(options)
    folders = list(check_matrix(configured.matrix, configured.request.access))
    differing = [folder for folder in folders if not folder.agrees]
    if as_json:
        print_json({
            "schema_version": 1,
            "matrix": configured.matrix.version,
            "endpoint_url": configured.request.access.endpoint_url,
            "folders": len(folders),
            "only_in_matrix": [folder.folder for folder in differing if folder.in_matrix],
            "only_in_archive": [folder.folder for folder in differing if folder.in_archive],
        })  # fmt: skip
    else:
        show_table(folders_table((one.folder, one.in_matrix, one.in_archive) for one in folders), sys.stdout)
    raise typer.Exit(ExitCode.VERIFICATION if differing else ExitCode.OK)


def _show(
    markets: list[str] | None, data_types: list[str] | None, matrix_path: Path | None, format: MatrixFormat
) -> None:
    from crypto_archive.catalog.matrix_file import matrix_document
    from crypto_archive.cli.output import print_json, request_of
    from crypto_archive.render.markdown import matrix_markdown
    from crypto_archive.render.tables import matrix_table, show as show_table

    options = {"markets": markets, "data_types": data_types, "matrix_path": matrix_path}
    configured = request_of(options)
    matrix, selection = configured.matrix, configured.request.selection
    wanted = {row for name in selection.data_types for market in selection.markets if (row := matrix.row(market, name))}
    rows = [
        row for row in matrix.rows if row.market in selection.markets and (not selection.data_types or row in wanted)
    ]
    if format is MatrixFormat.JSON:
        print_json(matrix_document(matrix, rows))
    elif format is MatrixFormat.YAML:
        import yaml

        yaml.safe_dump(matrix_document(matrix, rows), sys.stdout, allow_unicode=True, sort_keys=False)
    elif format is MatrixFormat.MARKDOWN:
        sys.stdout.write(matrix_markdown(rows))
    else:
        show_table(matrix_table(rows), sys.stdout)


app.command("coverage")(coverage)
app.command("symbols")(symbols)
