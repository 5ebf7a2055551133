"""The application: its commands, and the one place where an error becomes a message and an exit code."""

import sys
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from crypto_archive import __version__
from crypto_archive.cli import collect, coverage, doctor, flow, matrix, plan, preset, relayout, symbols, verify
from crypto_archive.cli.process import prepare_streams, print_error, print_our_error, silence_stdout
from crypto_archive.errors import CryptoArchiveError, ExitCode

EPILOG = (
    "Exit codes: 0 everything is in place, 2 usage, 3 partial or nothing found, 4 bad or different objects, "
    "5 environment, 130/143 stopped."
)
_UsageError: type[Any] = typer.BadParameter.__mro__[1]  # Click's own, which newer Typers bring along under another name


class _Commands(TyperGroup):
    """The commands, with our form of usage errors instead of Typer's box."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            code = super().main(*args, **(extra | {"standalone_mode": False}))
        except _UsageError as error:
            _print_usage_error(error)
            sys.exit(ExitCode.USAGE)
        sys.exit(code or ExitCode.OK)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of the output is gone, as after ``| head``: end silently
            silence_stdout()
            raise typer.Exit from None


def _print_usage_error(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        return  # the help has been printed already
    message = error.format_message().rstrip(".")
    if isinstance(error, typer.BadParameter) and error.message:
        declared: Any = error.param
        place = error.param_hint or next((name for name in declared.opts if name.startswith("--")), declared.metavar)
        message = f"{place}: {error.message.removeprefix('Value error, ')}".rstrip(".")
    print_error(message, f"See `{error.ctx.command_path} --help`." if error.ctx is not None else None)


app = typer.Typer(
    cls=_Commands,
    name="crypto-archive",
    help="Mirror Binance's public data archive with one command: complete, verified, up to date.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan")(plan.plan)
app.command("collect")(collect.collect)
app.command("verify")(verify.verify)
app.command("coverage")(coverage.coverage)
app.command("symbols")(symbols.symbols)
app.command("relayout")(relayout.relayout)
app.command("doctor")(doctor.doctor)
app.add_typer(matrix.app, name="matrix")
app.add_typer(preset.app, name="preset")
app.add_typer(flow.app, name="flow")


def _show_version(requested: bool) -> None:
    if requested:
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
    """Run the command line and exit with a code of the table in ``docs/exit-codes.md``."""
    prepare_streams()
    try:
        app(prog_name="crypto-archive")  # however it was started: completion goes by the name
    except CryptoArchiveError as error:
        with suppress(OSError):  # standard error may be closed
            print_our_error(error)
        sys.exit(error.exit_code)
    raise AssertionError("Typer always exits")
