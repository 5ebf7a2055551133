"""``crypto-archive doctor``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.completion import completing


def doctor(
    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", metavar="NAME|FILE", autocompletion=completing("presets"),
                     help="A preset of the runs in question, if it says where to or how; repeatable."),
    ] = None,
    output_directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR",
                     help="The archive root to look at; none is made. (default: output)"),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option("--endpoint-url", metavar="URL",
                     help="The S3 endpoint. (default: https://s3.ap-northeast-1.amazonaws.com)"),
    ] = None,
    matrix_path: Annotated[
        Path | None,
        typer.Option("--matrix", metavar="FILE",
                     help="Another matrix file, in our form or in the older workflow's JSON form."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as one JSON document.")] = False,
) -> None:  # fmt: skip
    """Look whether everything is there that a run needs, and say what to do about what is not.

    Changes nothing. The exit code is 5 if any check has failed, else 0.

    \b
    Examples:
      crypto-archive doctor
      crypto-archive doctor --output /data/binance --json
    """
    from crypto_archive.cli.output import print_json, request_of
    from crypto_archive.jobs.doctor import doctor as examine, doctor_document, doctor_exit_code
    from crypto_archive.render.console import waiting
    from crypto_archive.render.tables import checks_table, show

    options = {"output_directory": output_directory, "endpoint_url": endpoint_url, "matrix_path": matrix_path}
    configured = request_of(options, presets or ())
    with waiting(sys.stderr, "Looking …"):
        checks = list(examine(configured))
    if as_json:
        print_json(doctor_document(checks))
    else:
        show(checks_table(checks), sys.stdout)
    raise typer.Exit(doctor_exit_code(checks))
