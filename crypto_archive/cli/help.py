"""The help of commands: plain text in two columns, with the variable that sets an option, and calls that never wrap."""

import inspect
import re
import textwrap
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from crypto_archive.config.environment import SET_BY_VARIABLE, variable_of

_FIELDS = {"jobs": "max_parallel_downloads"}
"""The fields of options that have another name."""
_LONGEST_NAME = 28
_UNBROKEN = "\xa0"


class _Ours:
    """What commands and groups of them do in our own way."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write our help in place of Typer's boxes."""
        _write_help(self, ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; their values are processed by ``_process``."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for one in params:
            one.process_value = partial(_process, one)
        return params


def _process(parameter: Any, ctx: Any, value: Any) -> Any:
    """Return a value as a command takes it.

    Newer Typers load pydantic, and build a validator per parameter, to see that None is None and a text is a text. That
    takes longer than most commands, so a value that is right already, or has a parser of ours, is not left to them.
    """
    descriptor = getattr(parameter, "type_descriptor", None)
    if descriptor is None or parameter.required:
        return type(parameter).process_value(parameter, ctx, value)
    declared, parser = descriptor.annotation, descriptor.parameter_info.parser
    if parser is not None and isinstance(value, str):
        value = parser(value)
    elif value is not None and type(value) is not declared and declared != list[str]:
        return type(parameter).process_value(parameter, ctx, value)
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


class Command(_Ours, TyperCommand):
    """A command with our help."""


class Group(_Ours, TyperGroup):
    """A group of commands with our help; without a command, it is an error that shows the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help and exit with code 2 where a command is missing."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    summary, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    formatter.write_text(summary)
    formatter.write_paragraph()
    pieces = re.sub(r"\{?([^\s{}]+\.\.\.\]?)\}?\.\.\.", r"\1", " ".join(command.collect_usage_pieces(ctx)))
    formatter.write_usage(ctx.command_path, pieces)
    if rest:
        formatter.write_paragraph()
        formatter.write_text(rest)
    if commands := getattr(command, "commands", None):
        rows = [(name, _summary(one)) for name, one in commands.items() if not one.hidden]
        _write_section(formatter, "Commands", rows)
    sections: dict[str, list[tuple[str, str]]] = {}
    for one in command.get_params(ctx):
        if one.param_type_name == "argument":
            sections.setdefault("Arguments", []).append((one.metavar, one.help or ""))
        elif not one.hidden:
            panel = getattr(one, "rich_help_panel", None) or "Options"  # older Typers have Click's own --help
            sections.setdefault(panel, []).append((_names(one), _meaning(one)))
    for title in sorted(sections, key="Options".__eq__):  # those of no section of their own come last
        _write_section(formatter, title, sections[title])
    if command.epilog:
        formatter.write_paragraph()
        formatter.write_text(command.epilog)


def _write_section(formatter: Any, title: str, rows: list[tuple[str, str]]) -> None:
    column = min(max(len(name) for name, _ in rows), _LONGEST_NAME) + 4
    formatter.write(f"\n{title}:\n")
    for name, meaning in rows:
        width = max(formatter.width - column, 20)
        lines = textwrap.wrap(meaning, width, break_on_hyphens=False, break_long_words=False)
        first = f"  {name}".ljust(column - 1)
        if len(first) >= column:  # too long for its column
            lines.insert(0, "")
        indented = f"\n{' ' * column}".join(lines)
        formatter.write(f"{first} {indented}".replace(_UNBROKEN, " ").replace(" \n", "\n") + "\n")


def _summary(command: Any) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())


def _names(option: Any) -> str:
    """Return the names of an option as they are typed: ``-o, --output DIR``."""
    names = ", ".join(sorted((*option.opts, *option.secondary_opts), key=lambda name: name.startswith("--")))
    return names if option.is_flag or not option.metavar else f"{names} {option.metavar}"


def _meaning(option: Any) -> str:
    field = _FIELDS.get(option.name, option.name)
    variable = f" [env:{_UNBROKEN}{variable_of(field)}]" if field in SET_BY_VARIABLE else ""
    return f"{option.help}{' [required]' if option.required else ''}{variable}"
