"""``crypto-archive status``."""

import signal
import sys
from typing import Annotated

import typer

from crypto_archive.cli.options import OUTPUT, ColorOptions, Json, MatrixPath, OutputDirectory, Presets, with_options


@with_options
def status(
    presets: Presets = None,
    output_directory: OutputDirectory = None,
    matrix_path: MatrixPath = None,
    as_json: Json = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            rich_help_panel=OUTPUT,
            help="Repeat every second until ^C; with --json, one line each time.",
        ),
    ] = False,
    *,
    color: ColorOptions,
) -> None:
    """Show what is in an archive root, what runs there and how far it is, and how its last runs ended.

    Changes nothing, and works from any terminal while runs are at work. Of presets only the archive root and the matrix
    matter.

    \b
    Examples:
      crypto-archive status
      crypto-archive status --output /data/binance --watch
      crypto-archive status --output /data/binance --json
    """
    from crypto_archive.cli.output import load_config, print_json
    from crypto_archive.cli.process import stopping
    from crypto_archive.errors import ExitCode
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.status import status as look, watch as look_again
    from crypto_archive.text import compact_json

    config = load_config({"output_directory": output_directory, "matrix_path": matrix_path}, presets or ())
    if not watch:
        found = look(config)
        if as_json:
            print_json(found.document())
        else:
            from crypto_archive.render.status import status_page
            from crypto_archive.render.tables import show

            show(status_page(found), sys.stdout)
        return
    cancellation = Cancellation()
    with stopping(cancellation):
        statuses = look_again(config, cancellation.requested)
        if as_json:
            for one in statuses:
                print(compact_json(one.document()), flush=True)
        else:
            from crypto_archive.render.status import show_statuses

            show_statuses(statuses, sys.stdout)
    if cancellation.requested.is_set():
        raise typer.Exit(ExitCode.INTERRUPTED if cancellation.signal_number == signal.SIGINT else ExitCode.TERMINATED)
