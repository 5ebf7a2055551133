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
                     help="Check all that is on disk or in the manifest, whatever is selected."),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", rich_help_panel=SELECTION,
                     help="Put what is bad into quarantine, and fetch it and what is missing again."),
    ] = False,
    rebuild_manifest: Annotated[
        bool,
        typer.Option("--rebuild-manifest", rich_help_panel=SELECTION,
                     help="Check all files on disk and make the manifest anew from them; the old one is kept aside."),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option("--wait", rich_help_panel=SELECTION,
                     help="Let --repair or --rebuild-manifest wait while another run holds the archive root."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the findings as one JSON document.")
    ] = False,
) -> None:  # fmt: skip
    """Prove what is on disk: presence, size, and SHA-256 against the archive's own checksums.

    Without a selection, all that is on disk or in the manifest is checked.

    What ought to be there is what was collected. --discover listing also asks the archive what it has, and
    --discover calendar expects every day that is over.

    \b
    Examples:
      crypto-archive verify --preset research
      crypto-archive verify --preset research --repair
      crypto-archive verify --all --output /data/binance --json
      crypto-archive verify --rebuild-manifest --output /data/binance
    """
    from crypto_archive.cli.output import configure, mode_of, print_json, print_notice
    from crypto_archive.cli.process import stopping
    from crypto_archive.events import Cancellation, Checked, Noticed
    from crypto_archive.jobs.repair import rebuild_manifest as rebuild, repair as fetch_again
    from crypto_archive.jobs.verify import verify as check
    from crypto_archive.render.progress import check_progress, progress
    from crypto_archive.render.summary import check_headline, headline, report_summary, verify_summary
    from crypto_archive.render.tables import show

    if rebuild_manifest and selection.discover:
        raise typer.BadParameter("a manifest is made anew from the files alone", param_hint="--discover")
    configured = configure(selection, output)
    cancellation = Cancellation()
    expect = configured.request.discovery if selection.discover else None
    with stopping(cancellation), check_progress(sys.stderr, mode_of(output)) as shown:

        def take(event: Checked | Noticed) -> None:
            if isinstance(event, Noticed):
                print_notice(output, event.notice)
            else:
                shown.show(event)

        if rebuild_manifest:
            report = rebuild(configured, on_event=take, cancellation=cancellation, wait=wait)
        else:
            report = check(
                configured, on_event=take, whole_root=whole_root or None, expect=expect, cancellation=cancellation
            )
    if repair and report.status == "bad":
        with stopping(cancellation), progress(sys.stderr, mode_of(output)) as shown_repair:
            report.repair = fetch_again(
                configured, report.bad, on_event=shown_repair.show, cancellation=cancellation, wait=wait
            )
    if as_json:
        print_json(report.document())
    elif output.quiet:
        if report.exit_code():
            told = check_headline(report) if report.repair is None else headline(report.repair)
            typer.echo(f"Error: {told}", err=True)
    else:
        show(verify_summary(report), sys.stdout)
        if report.repair is not None:
            show(report_summary(report.repair), sys.stdout)
    raise typer.Exit(report.exit_code())
