"""``crypto-archive relayout``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from crypto_archive.cli.completion import completing
from crypto_archive.cli.options import OUTPUT, OutputOptions, flag_of, takes

TO = "--to"


@takes("output", OutputOptions)
def relayout(
    output: OutputOptions,
    to: Annotated[
        str,
        typer.Option(TO, metavar="LAYOUT", autocompletion=completing("layout"),
                     help="Where objects are to stand: mirror, hive, a template such as "
                          "'{market}/{data_type}/{symbol}', or module:attribute."),
    ],
    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", metavar="NAME|FILE", autocompletion=completing("presets"),
                     help="Presets that say where the archive root is and which matrix it has; all else in them is of "
                          "no effect."),
    ] = None,
    output_directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="The archive root. (default: output)"),
    ] = None,
    matrix_path: Annotated[
        Path | None,
        typer.Option("--matrix", metavar="FILE", help="The matrix file that the archive root was collected with."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be moved, a line an object; change nothing.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait",
                     help="Wait while another run holds the archive root, instead of ending with exit code 5."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the outcome as one JSON document.")
    ] = False,
) -> None:  # fmt: skip
    """Move the files of an archive root to the paths of another layout, without a download.

    Files are renamed, each sidecar with its zip. Stopped or killed, run it again: it goes on. Until it has ended, other
    commands refuse the root. Files that are no objects stay where they are.

    \b
    Examples:
      crypto-archive relayout --to hive
      crypto-archive relayout --to '{market}/{data_type}/{symbol}/{interval}' --output /data/binance --dry-run
      crypto-archive relayout --to mirror --output /data/binance
    """
    from crypto_archive.cli.output import mode_of, print_json, print_origins, request_of
    from crypto_archive.cli.process import stopping
    from crypto_archive.events import Cancellation, LeftAlone, Moved, MovesCounted, Noticed
    from crypto_archive.jobs.relayout import relayout as move
    from crypto_archive.render.progress import move_progress, relayout_lines
    from crypto_archive.render.tables import show

    options = {"layout": to, "output_directory": output_directory, "matrix_path": matrix_path}
    configured = request_of(options, presets or (), named=lambda field: TO if field == "layout" else flag_of(field))
    print_origins(output, configured)
    cancellation = Cancellation()
    with stopping(cancellation), move_progress(sys.stderr, mode_of(output)) as shown:

        def take(event: MovesCounted | Moved | LeftAlone | Noticed) -> None:
            shown.show(event)
            if dry_run and not as_json and isinstance(event, Moved):
                print(f"{event.source} -> {event.target}")

        report = move(configured, on_event=take, dry_run=dry_run, cancellation=cancellation, wait=wait)
    if as_json:
        print_json(report.document())
    elif not output.quiet:
        show(relayout_lines(report), sys.stderr if dry_run else sys.stdout)
    raise typer.Exit(report.exit_code())
