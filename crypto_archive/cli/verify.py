"""``crypto-archive verify``."""

import sys
from functools import partial
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
    from crypto_archive.cli.signals import stopping
    from crypto_archive.cli.work import configure, drive, mode_of, print_json, tell
    from crypto_archive.events import Checked
    from crypto_archive.jobs.rebuild import rebuild
    from crypto_archive.jobs.repair import repair as fetch_again
    from crypto_archive.jobs.verify import verify as findings
    from crypto_archive.render.progress import check_progress, progress
    from crypto_archive.render.tables import report_summary, show, verify_summary
    from crypto_archive.report.checks import BAD
    from crypto_archive.transfer.cancellation import Cancellation

    if rebuild_manifest and selection.discover:
        raise typer.BadParameter("a manifest is made anew from the files alone", param_hint="--discover")
    configured = configure(selection, output)
    cancellation = Cancellation()
    bad: list[Checked] = []
    with stopping(cancellation), check_progress(sys.stderr, mode_of(output)) as shown:

        def take(finding: Checked) -> None:
            shown.show(finding)
            if finding.verdict in BAD:
                bad.append(finding)

        say = partial(tell, output)
        if rebuild_manifest:
            checks = rebuild(configured, say=say, cancellation=cancellation, wait=wait)
        else:
            checks = findings(
                configured,
                whole_root=whole_root or not (configured.selects or selection.discover),
                expect=configured.request.discovery if selection.discover else None,
                say=say,
                cancellation=cancellation,
            )
        report = drive(checks, take)
    if repair and report.status == "bad":
        with stopping(cancellation), progress(sys.stderr, mode_of(output)) as shown_repair:
            report.repair = drive(fetch_again(configured, bad, cancellation=cancellation, wait=wait), shown_repair.show)
    if as_json:
        print_json(report.document())
    elif not output.quiet:
        show(verify_summary(report), sys.stdout)
        if report.repair is not None:
            show(report_summary(report.repair), sys.stdout)
    raise typer.Exit(report.exit_code())
