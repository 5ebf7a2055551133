"""The command line as the application declares it: commands, options, and whether a line of a person is right.

Only what all versions of Typer have is used: not how they draw their help.
"""

from __future__ import annotations

import inspect
import re
import shlex
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import typer

from crypto_archive.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

STOPS = {"|", "||", "&&", ";", ">", ">>", "<", "2", "&", "2>", "2>>"}
BUILT_IN = {"--help", "--install-completion", "--show-completion"}


@dataclass(frozen=True, slots=True)
class Option:
    """An option as a document shows it."""

    names: tuple[str, ...]
    value: str
    help: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command; its path is empty for the application itself, ``matrix show`` for one inside a group."""

    path: str
    help: str
    options: tuple[Option, ...]
    is_group: bool


def commands() -> list[Command]:
    """Return the application, its groups and its commands."""
    return list(_commands())


@cache
def _commands() -> tuple[Command, ...]:
    return tuple(_walk("", typer.main.get_command(app)))


def _walk(path: str, command: Any) -> Iterator[Command]:
    group = getattr(command, "commands", {})
    parameters = _parameters(command)
    options = tuple(
        _option(one, parameters.get(one.name))
        for one in command.params
        if one.param_type_name == "option" and not BUILT_IN.intersection(one.opts)
    )
    yield Command(path, inspect.cleandoc(command.help or ""), options, is_group=bool(group))
    for name, inner in group.items():
        yield from _walk(f"{path} {name}".strip(), inner)


def _parameters(command: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(command.callback).parameters) if command.callback else {}


def _option(declared: Any, parameter: inspect.Parameter | None) -> Option:
    names = (*declared.opts, *declared.secondary_opts)
    value = "" if declared.is_flag or declared.count else declared.metavar or _choices(parameter)
    help_text = " ".join((declared.help or "").split())
    return Option(names, value, help_text)


def _choices(parameter: inspect.Parameter | None) -> str:
    """Return the values of an option that is declared by an enumeration."""
    if parameter is None:
        return "VALUE"
    kinds = [parameter.annotation]
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "|".join(str(member.value) for member in kind)
        kinds += get_args(kind)
    return "VALUE"


def examples(command: Command) -> list[str]:
    """Return the lines that a command's own help gives as examples."""
    _, found, lines = command.help.partition("Examples:")
    return [line.strip() for line in lines.splitlines() if line.strip()] if found else []


def lines_in(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of crypto-archive in a document, in fenced blocks and in inline code."""
    for block in re.findall(r"^```(?:sh|console|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if not line.startswith(("Error:", "Hint:", "#", " ")):
                yield from _calls(line)
    for code in re.findall(r"(?<!`)`((?:\$ )?crypto-archive [^`\n]+)`(?!`)", text):
        yield from _calls(code)


def _calls(line: str) -> Iterator[list[str]]:
    words = iter(_words(line))
    for word in words:
        if word.rpartition("/")[2] == "crypto-archive":
            yield _until_stop(words)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # prose with an apostrophe
        return []


def _until_stop(words: Iterator[str]) -> list[str]:
    taken = []
    for word in words:
        if word in STOPS:
            break
        taken.append(word)
    return taken


def parse(arguments: list[str]) -> str:
    """Parse a command line, run nothing, and return the path of the command that it calls.

    Raises:
        Exception: Whatever Typer says of a line that is wrong.
    """
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    rest = list(arguments)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        path.append(rest.pop(0))
        command = command.commands[path[-1]]
    if rest == ["--help"] or (
        not path and rest[0] in {"--version", "-V", *BUILT_IN}
    ):  # which act while they are parsed
        return " ".join(path)
    with command.make_context(" ".join(path), rest):
        return " ".join(path)
