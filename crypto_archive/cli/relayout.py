"""``crypto-archive relayout``."""

import sys
from typing import Annotated

import typer

from crypto_archive.cli.options import (
    Json,
    MatrixPath,
    OutputDirectory,
    OutputOptions,
    Presets,
    Wait,
    completing,
    flag_of,
    with_options,
)

TO = "--to"


@with_options
def relayout(
    output: OutputOptions,
    to: Annotated[
        str,
        typer.Option(TO, metavar="LAYOUT", autocompletion=completing("layout"),
                     help="The new layout: mirror, hive, a template, or module:attribute."),
    ],
    presets: Presets = None,
    output_directory: OutputDirectory = None,
    matrix_path: MatrixPath = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print what would be moved; change nothing.")
    ] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Move the files of an archive root to the paths of another layout, without downloading.

    Files are renamed, each sidecar with its zip. If it is stopped or killed, run it again to continue; until it is
    finished, other commands refuse the root. Files that are not archive objects stay where they are. Of presets only
    the archive root and the matrix matter.

    \b
    Examples:
      crypto-archive relayout --to hive
      crypto-archive relayout --to '{market}/{data_type}/{symbol}' --dry-run
      crypto-archive relayout --to mirror --output /data/binance
    """
    from crypto_archive.cli.output import load_config, print_json, print_notices
    from crypto_archive.cli.process import stopping
    from crypto_archive.cli.words import showing
    from crypto_archive.events import Cancellation, LeftAlone, Moved, MovesCounted, Noticed
    from crypto_archive.jobs.relayout import relayout as move
    from crypto_archive.render.stats import RELAYOUT, RELAYOUT_PREVIEW
    from crypto_archive.render.summary import relayout_summary
    from crypto_archive.render.tables import show
    from crypto_archive.text import safe

    options = {"layout": to, "output_directory": output_directory, "matrix_path": matrix_path}
    config = load_config(options, presets or (), named=lambda field: TO if field == "layout" else flag_of(field))
    print_notices(output, config)
    cancellation = Cancellation()
    work, lists = RELAYOUT_PREVIEW if dry_run else RELAYOUT, dry_run and not as_json
    with (
        stopping(cancellation),
        showing(output, work, hidden=lists, cancellation=cancellation) as on_event,
    ):

        def show_and_print(event: MovesCounted | Moved | LeftAlone | Noticed) -> None:
            on_event(event)
            if lists and isinstance(event, Moved):
                print(safe(f"{event.source} -> {event.target}"))

        report = move(config, on_event=show_and_print, dry_run=dry_run, cancellation=cancellation, wait=wait)
    if as_json:
        print_json(report.document())
    elif not output.quiet:
        show(relayout_summary(report), sys.stderr if dry_run else sys.stdout)
    raise typer.Exit(report.exit_code())
