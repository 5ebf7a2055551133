"""``crypto-archive verify``."""

import sys
from typing import Annotated

import typer

from crypto_archive.cli.options import SELECTION, Json, OutputOptions, SelectionOptions, Wait, with_options


@with_options
def verify(
    selection: SelectionOptions,
    output: OutputOptions,
    whole_root: Annotated[
        bool,
        typer.Option("--all", rich_help_panel=SELECTION,
                     help="Verify everything on disk or in the manifest."),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", rich_help_panel=SELECTION,
                     help="Quarantine bad files, and download them, missing and replaced ones again."),
    ] = False,
    rebuild_manifest: Annotated[
        bool,
        typer.Option("--rebuild-manifest", rich_help_panel=SELECTION,
                     help="Build a new manifest from the files on disk, and keep the old one."),
    ] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Verify what is on disk: presence, size, and SHA-256 against the archive's own checksums.

    Without a selection, everything on disk or in the manifest is verified.

    By default it expects what was collected. --discover listing also asks the archive what it has, and finds the files
    that the archive has replaced since; --discover calendar expects every past day.

    \b
    Examples:
      crypto-archive verify --preset research
      crypto-archive verify --preset research --repair
      crypto-archive verify --all --output /data/binance --json
      crypto-archive verify --all -o /data/binance --discover listing --repair
      crypto-archive verify --rebuild-manifest --output /data/binance
    """
    from crypto_archive.cli.output import configure, print_json, print_notices
    from crypto_archive.cli.process import print_error, print_line, stopping
    from crypto_archive.cli.words import showing
    from crypto_archive.events import Cancellation
    from crypto_archive.jobs.verify import verify as check
    from crypto_archive.render.stats import VERIFY

    if rebuild_manifest and selection.discover:
        raise typer.BadParameter("a manifest is rebuilt from the files alone", param_hint="--discover")
    config = configure(selection, output)
    print_notices(output, config)
    cancellation = Cancellation()
    with stopping(cancellation):
        with showing(output, VERIFY, cancellation=cancellation) as on_event:
            if rebuild_manifest:
                from crypto_archive.jobs.repair import rebuild_manifest as rebuild

                report = rebuild(config, on_event=on_event, cancellation=cancellation, wait=wait)
            else:
                expect = config.request.discovery if selection.discover else None
                report = check(
                    config, on_event=on_event, whole_root=whole_root or None, expect=expect, cancellation=cancellation
                )
        if repair and report.status == "bad":
            from crypto_archive.jobs.repair import repair as fetch_again

            with showing(output, cancellation=cancellation) as on_event:
                report.repair = fetch_again(config, report.bad, on_event=on_event, cancellation=cancellation, wait=wait)
    if as_json:
        print_json(report.document())
    elif output.quiet:
        from crypto_archive.render.summary import check_headline, headline

        if report.exit_code():
            print_error(check_headline(report) if report.repair is None else headline(report.repair))
        elif report.never_collected:
            print_line(check_headline(report))
    else:
        from crypto_archive.render.summary import report_summary, verify_summary
        from crypto_archive.render.tables import show

        show(verify_summary(report), sys.stdout)
        if report.repair is not None:
            show(report_summary(report.repair), sys.stdout)
    raise typer.Exit(report.exit_code())
