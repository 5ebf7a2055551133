"""``crypto-archive verify``."""

import sys
from typing import Annotated

import typer

from crypto_archive.cli.options import OUTPUT, SELECTION, OutputOptions, SelectionOptions, takes


@takes("selection", SelectionOptions)
@takes("output", OutputOptions)
def verify(
    selection: SelectionOptions,
    output: OutputOptions,
    whole_root: Annotated[
        bool,
        typer.Option("--all", rich_help_panel=SELECTION,
                     help="Check all that is on disk or in the manifest instead of a selection."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the findings as one JSON document.")
    ] = False,
) -> None:  # fmt: skip
    """Prove what is on disk: presence, size, and SHA-256 against the archive's own checksums.

    What ought to be there is taken from the calendar, without asking the archive; --discover listing asks it.

    Examples:

        crypto-archive verify --preset research

        crypto-archive verify --all --output /data/binance --json
    """
    from crypto_archive.cli.signals import stopping
    from crypto_archive.cli.work import configure, drive, mode_of, print_json
    from crypto_archive.report.progress import check_progress
    from crypto_archive.report.tables import show, verify_summary
    from crypto_archive.transfer.cancellation import Cancellation
    from crypto_archive.verify import verify as findings

    configured = configure(selection, output, discover=selection.discover or "calendar")
    cancellation = Cancellation()
    with stopping(cancellation), check_progress(sys.stderr, mode_of(output)) as shown:
        report = drive(findings(configured, whole_root=whole_root, cancellation=cancellation), shown.show)
    if as_json:
        print_json(report.document())
    elif not output.quiet:
        show(verify_summary(report), sys.stdout)
    raise typer.Exit(report.exit_code())
