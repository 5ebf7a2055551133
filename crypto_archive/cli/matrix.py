"""``crypto-archive matrix``: what Binance publishes, and whether the archive still has just that."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from crypto_archive.cli.help import Command, Group
from crypto_archive.cli.options import (
    ColorOptions,
    DataTypes,
    EndpointUrl,
    Json,
    Markets,
    MatrixPath,
    form_option,
    refuse_two_forms,
    with_options,
)
from crypto_archive.cli.process import print_line

MOVED = ("coverage", "symbols")
"""What was a command of this group and is one of its own: scripts and cron jobs that call it go on working."""


class _Matrix(Group):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[:1] and args[0] in MOVED:
            print_line(f"note  `crypto-archive matrix {args[0]}` is now `crypto-archive {args[0]}`")
            root = ctx.find_root()
            return root.command.resolve_command(root, args)
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Matrix, help="Show what Binance publishes, and compare that with the archive.")


class MatrixFormat(StrEnum):
    """Values of ``matrix show --format``."""

    YAML = "yaml"
    MARKDOWN = "markdown"


@app.callback(invoke_without_command=True)
def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@app.command(cls=Command)
@with_options
def show(
    markets: Markets = None,
    data_types: DataTypes = None,
    matrix_path: MatrixPath = None,
    as_json: Json = False,
    format: Annotated[
        MatrixFormat | None, form_option(MatrixFormat, "YAML, to start your own matrix, or a table in Markdown.")
    ] = None,
    *,
    color: ColorOptions,
) -> None:
    """Show the rows of the matrix; `matrix` without a command does the same.

    \b
    Examples:
      crypto-archive matrix show --market spot
      crypto-archive matrix show -t fundingRate --json
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
    refuse_two_forms(as_json=as_json, format=format)
    if as_json:
        print_json(matrix_document(matrix, rows))
    elif format is MatrixFormat.YAML:
        import yaml

        yaml.safe_dump(matrix_document(matrix, rows), sys.stdout, allow_unicode=True, sort_keys=False)
    elif format is MatrixFormat.MARKDOWN:
        sys.stdout.write(matrix_markdown(rows))
    else:
        show_table(matrix_table(rows, matrix.notes if len(rows) == len(matrix.rows) else ()), sys.stdout)


@app.command(cls=Command)
@with_options
def check(
    matrix_path: MatrixPath = None, endpoint_url: EndpointUrl = None, as_json: Json = False, *, color: ColorOptions
) -> None:
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
