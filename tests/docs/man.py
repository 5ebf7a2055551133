"""Manual pages of all commands, from the application itself.

    python -m tests.docs.man --to .man

writes ``crypto-archive.1`` and a page for each command, such as ``crypto-archive-preset-show.1``.
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crypto_archive import __version__
from crypto_archive.cli.app import app
from crypto_archive.config.environment import variable_of
from crypto_archive.config.fields import ENVIRONMENT_FIELDS, FIELDS
from tests.docs.generated import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = (
    ("ROOT/data/", "The mirrored files, at the same paths as in the archive unless another layout is chosen."),
    ("ROOT/.crypto-archive/", "The manifest, reports, quarantine and files under way of this root."),
    ("~/.config/crypto-archive/presets/", "Presets that can be named without a path."),
    (".env", "Variables for runs that start in this folder."),
)


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    return {f"{page_name(path)}.1": "\n".join(_page(path, command)) + "\n" for path, command in walk()}


def walk() -> list[tuple[str, Any]]:
    """Return the application and its commands, each with its path: "preset show"; "" for the application."""
    return list(_walk("", typer.main.get_command(app)))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}".strip(), inner)


def page_name(path: str) -> str:
    """Return the name of a command's page."""
    return "-".join(["crypto-archive", *path.split()])


def options_of(path: str, command: Any) -> list[Any]:
    """Return the options of a command that people may see, the built-in ones included."""
    context = command.make_context(path or "crypto-archive", [], resilient_parsing=True)
    return [one for one in command.get_params(context) if one.param_type_name == "option" and not one.hidden]


def _page(path: str, command: Any) -> Iterator[str]:
    name = page_name(path)
    summary, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    description, _, examples = rest.replace("\b", "").partition("Examples:")
    yield f'.TH "{roff(name.upper())}" 1 "" "crypto\\-archive {__version__}" "crypto\\-archive"'
    yield from (".SH NAME", rf"{roff(name)} \- {roff(' '.join(summary.split()).rstrip('.'))}")
    yield from (".SH SYNOPSIS", f".B {roff(f'crypto-archive {path}'.strip())}", _usage(path, command))
    yield from (".SH DESCRIPTION", *_paragraphs(f"{summary}\n\n{description}"))
    if inner := getattr(command, "commands", None):
        yield ".SH COMMANDS"
        for sub, one in inner.items():
            page = page_name(f"{path} {sub}".strip())
            yield from (".TP", f"\\fB{roff(page)}\\fR(1)", roff(_first_sentence(one.help)))
    yield from _options(path, command)
    if examples.strip():
        yield from (".SH EXAMPLES", ".nf", *(roff(line.strip()) for line in examples.strip().splitlines()), ".fi")
    if not path:
        yield from _settings()
    yield from (".SH EXIT STATUS", *_exit_codes())
    others = ["crypto-archive", *(page_name(other) for other, _ in walk() if other and " " not in other)]
    yield from (".SH SEE ALSO", ", ".join(f"\\fB{roff(other)}\\fR(1)" for other in others if other != name))


def _usage(path: str, command: Any) -> str:
    context = command.make_context(path or "crypto-archive", [], resilient_parsing=True)
    pieces = " ".join(command.collect_usage_pieces(context))
    return roff(re.sub(r"\{?([^\s{}]+\.\.\.\]?)\}?\.\.\.", r"\1", pieces))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        yield from ((".PP",) if number else ())
        yield roff(" ".join(paragraph.split()))


def _options(path: str, command: Any) -> Iterator[str]:
    sections: dict[str, list[Any]] = {}
    for option in options_of(path, command):
        sections.setdefault(option.rich_help_panel or "Options", []).append(option)
    yield ".SH OPTIONS"
    for title in sorted(sections, key="Options".__eq__):
        if len(sections) > 1:
            yield f".SS {roff(title)}"
        for option in sections[title]:
            names = ", ".join(rf"\fB{roff(each)}\fR" for each in (*option.opts, *option.secondary_opts))
            value = "" if option.is_flag or not option.metavar else rf" \fI{roff(option.metavar)}\fR"
            yield from (".TP", names + value, roff(" ".join((option.help or "").split())))


def _settings() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    for field in ENVIRONMENT_FIELDS:
        yield from (".TP", rf"\fB{roff(variable_of(field))}\fR", roff(FIELDS[field].meaning))
    yield ".SH FILES"
    for path, meaning in FILES:
        yield from (".TP", rf"\fI{roff(path)}\fR", roff(meaning))


def _exit_codes() -> Iterator[str]:
    table = (DOCS / "exit-codes.md").read_text("utf-8")
    for code, meaning in re.findall(r"^\| (\d+) \| [A-Z]+ \| (.+?) \|$", table, re.MULTILINE):
        yield from (".TP", rf"\fB{code}\fR", roff(meaning.replace("`", "")))


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def roff(text: str) -> str:
    """Return a text that roff shows as it is."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("\xa0", r"\ ").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> None:
    """Parse the command line and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.man", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder for the pages")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"Open {folder / 'crypto-archive.1'} with: man -l {folder / 'crypto-archive.1'}")


if __name__ == "__main__":
    main()
