"""The application: its commands, and the one place where an error becomes a message and an exit code."""

import sys
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from crypto_archive import __version__
from crypto_archive.cli import collect, doctor, flow, matrix, plan, preset, relayout, verify
from crypto_archive.cli.process import open_closed_streams, print_error, silence_stdout
from crypto_archive.errors import CryptoArchiveError

EPILOG = (
    "Exit codes: 0 all is there, 2 usage, 3 partial or nothing found, 4 bad or different objects, 5 environment, "
    "130/143 stopped."
)


class _Commands(TyperGroup):
    """The commands; when whoever reads their output has gone, as ``| head`` does, they end in silence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            silence_stdout()
            raise typer.Exit from None


app = typer.Typer(
    cls=_Commands,
    name="crypto-archive",
    help="Keep a complete, proven and current copy of Binance's public data archive, with s5cmd.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan")(plan.plan)
app.command("collect")(collect.collect)
app.command("verify")(verify.verify)
app.command("relayout")(relayout.relayout)
app.command("doctor")(doctor.doctor)
app.add_typer(matrix.app, name="matrix")
app.add_typer(preset.app, name="preset")
app.add_typer(flow.app, name="flow")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crypto-archive {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> NoReturn:
    """Run the command line and exit with the code of the table."""
    open_closed_streams()
    try:
        app(prog_name="crypto-archive")  # however it was started: completion goes by the name
    except CryptoArchiveError as error:
        with suppress(OSError):  # nobody is there to read it
            print_error(error)
        sys.exit(error.exit_code)
    raise AssertionError("Typer always exits")
