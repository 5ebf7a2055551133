"""The application: its commands, and the one place where an error becomes a message and an exit code."""

import re
import sys
from collections import UserDict
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_group

from crypto_archive import __version__
from crypto_archive.cli.help import Command, Group
from crypto_archive.cli.process import (
    end_on_signals,
    ignore_signals,
    prepare_streams,
    print_error,
    print_our_error,
    silence_stdout,
)
from crypto_archive.errors import CryptoArchiveError, ExitCode

EPILOG = (
    "Exit codes: 0 everything is in place, 2 usage, 3 partial or nothing found, 4 bad or different objects, "
    "5 environment, 130/143 stopped."
)
_UsageError: type[Any] = typer.BadParameter.__mro__[1]  # Click's own, which newer Typers bring along under another name


_COMMANDS = (
    "plan", "collect", "verify", "coverage", "symbols", "status", "relayout", "doctor", "version", "help",
    "matrix", "preset", "flow",
)  # fmt: skip
"""All commands, as help lists them; those that are not declared here have a module of their own."""


class _OnDemand(UserDict[str, Any]):
    """Commands by name, each loaded when it is first asked for: a call needs one of them, and most import a lot."""

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            self.data[name] = _load(name)
        return self.data[name]


def _load(name: str) -> Any:
    """Return a command, or a group of commands, from the module of its name."""
    module, group = import_module(f"crypto_archive.cli.{name}"), typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        group.add_typer(module.app, name=name)
    else:
        group.command(name, cls=Command)(getattr(module, name))
    return get_group(group).commands[name]


class _Commands(Group):
    """The commands, with our form of usage errors instead of Typer's box."""

    commands: Any

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _OnDemand({name: self.commands.get(name) for name in _COMMANDS})

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

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
    message = error.format_message().rstrip(".")
    hint = f"See `{error.ctx.command_path} --help`." if error.ctx is not None else None
    if extra := re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((\S+).*\)", message):
        message, hint = f"Unexpected argument {extra[1]!r}", _option_for(extra[1], error.ctx.command) or hint
    if isinstance(error, typer.BadParameter) and error.message:
        declared: Any = error.param
        place = error.param_hint or next((name for name in declared.opts if name.startswith("--")), declared.metavar)
        message = f"{place}: {error.message.removeprefix('Value error, ')}".rstrip(".")
    print_error(message, hint)


def _option_for(word: str, command: Any) -> str | None:
    """Return the advice to a word that stands without its option, such as a preset's name; None if there is none."""
    from crypto_archive.cli.options import flag_of
    from crypto_archive.jobs.suggestions import suggestions

    taken = {one.name for one in command.params}
    fields = [field for field in ("presets", "markets", "data_types", "symbols") if field in taken]
    if "presets" in fields and word.lower().endswith((".yaml", ".yml", ".json")):
        return f"Use --preset {word}."
    meant = (field for field in fields if word in dict(suggestions(field, word, {})))
    return next((f"Use {flag_of(field)} {word}." for field in meant), None)


app = typer.Typer(
    cls=_Commands,
    name="crypto-archive",
    help="Mirror Binance's public data archive with one command: complete, verified, up to date.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.command("version", cls=Command)
def version() -> None:
    """Show the version.

    \b
    Examples:
      crypto-archive version
    """
    typer.echo(f"crypto-archive {__version__}")


def _complete_command(context: typer.Context, incomplete: str) -> list[str]:
    found: Any = context.parent.command if context.parent else None
    for word in context.params.get("command") or ():
        found = getattr(found, "commands", {}).get(word)
    return [name for name in getattr(found, "commands", {}) if name.startswith(incomplete)]


@app.command("help", cls=Command)
def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND...", show_default=False, autocompletion=_complete_command,
                       help="A command, such as plan or matrix check."),
    ] = None,
) -> None:  # fmt: skip
    """Show the help of a command.

    \b
    Examples:
      crypto-archive help collect
      crypto-archive help matrix check
    """
    found: Any = context.parent
    for word in command or ():
        if not hasattr(found.command, "commands"):
            raise typer.BadParameter(f"`{found.command_path}` has no commands of its own", param_hint=word)
        name, one, _ = found.command.resolve_command(found, [word])
        found = type(context)(one, info_name=name, parent=found)
    typer.echo(found.get_help())


def _show_version(requested: bool) -> None:
    if requested:
        version()
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def run() -> NoReturn:
    """Run the command line and exit with a code of the table in ``docs/exit-codes.md``."""
    prepare_streams()
    end_on_signals()
    try:
        app(prog_name="crypto-archive")  # however it was started: completion goes by the name
    except CryptoArchiveError as error:
        with suppress(OSError):  # standard error may be closed
            print_our_error(error)
        sys.exit(error.exit_code)
    finally:
        ignore_signals()
    raise AssertionError("Typer always exits")
