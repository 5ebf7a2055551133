"""``crypto-archive doctor``."""

import sys

import typer

from crypto_archive.cli.options import (
    ColorOptions,
    EndpointUrl,
    Json,
    MatrixPath,
    OutputDirectory,
    Presets,
    with_options,
)


@with_options
def doctor(
    presets: Presets = None,
    output_directory: OutputDirectory = None,
    endpoint_url: EndpointUrl = None,
    matrix_path: MatrixPath = None,
    as_json: Json = False,
    *,
    color: ColorOptions,
) -> None:
    """Check that this machine is ready, and explain how to fix what is not.

    Changes nothing. The exit code is 5 if any check has failed, else 0.

    \b
    Examples:
      crypto-archive doctor
      crypto-archive doctor --output /data/binance --json
    """
    from crypto_archive.cli.output import load_config, print_json
    from crypto_archive.jobs.doctor import doctor as run_checks
    from crypto_archive.render.console import waiting
    from crypto_archive.render.tables import checks_table, show

    options = {"output_directory": output_directory, "endpoint_url": endpoint_url, "matrix_path": matrix_path}
    config = load_config(options, presets or ())
    with waiting(sys.stderr, "Checking …"):
        report = run_checks(config)
    if as_json:
        print_json(report.document())
    else:
        show(checks_table(report), sys.stdout)
    raise typer.Exit(report.exit_code())
