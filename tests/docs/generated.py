"""The parts of the documents that are generated from the code, so that they are always right.

A part is between two comments, ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``. ``python -m tests.docs``
regenerates all of them; a test compares them with the code.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.document import read_document
from crypto_archive.catalog.matrix import Header, Matrix, Row, TimeUnit
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.cli.options import flag_of
from crypto_archive.config.fields import ENVIRONMENT_FIELDS, FIELDS, PRESET_FIELDS
from crypto_archive.config.preset_files import SUFFIXES
from crypto_archive.config.schema import preset_schema
from crypto_archive.model import Market
from crypto_archive.render.markdown import matrix_markdown
from tests.docs.commands import Command, Option, commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"

PRESET_SCHEMA = DOCS / "preset.schema.json"

SHARED = ("plan", "collect", "verify", "coverage", "flow run", "flow serve", "flow deployment")
"""The commands whose common options are described once."""

EXTENDS = {"flow serve": "flow run", "flow deployment": "flow serve"}
"""Commands whose options are described as those of another one, and a few more."""

OF_COLLECT = ("--max-objects", "--max-bytes", "--jobs", "--wait", "--json")
"""Options of collect that other commands have, too, and that are described with the common ones."""

_PART = re.compile(r"(<!-- generated: (?P<name>[\w -]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)

_HEADERS = {
    Header.NEVER: "no header",
    Header.SINCE_2022: "header since 2022",
    Header.ALWAYS: "header",
    Header.UNKNOWN: "–",
}
_TIME_UNITS = {
    TimeUnit.MILLISECONDS: "ms",
    TimeUnit.MICROSECONDS_SINCE_2025: "ms until 2024-12-31, then µs",
    TimeUnit.TEXT: "text",
    TimeUnit.UNKNOWN: "–",
}


def documents() -> list[Path]:
    """Return all documents of the project that people read."""
    return [README, *sorted(DOCS.glob("*.md"))]


def regenerated(text: str) -> str:
    """Return a document with its generated parts regenerated."""
    parts = _parts()
    return _PART.sub(lambda found: f"{found[1]}\n{parts[found['name']]()}\n{found[3]}", text)


def schema_text() -> str:
    """Return the JSON Schema of presets as its file has it."""
    return json.dumps(preset_schema(), indent=2, ensure_ascii=False) + "\n"


def part_names(text: str) -> list[str]:
    """Return the names of the generated parts of a document."""
    return [found["name"] for found in _PART.finditer(text)]


def all_part_names() -> set[str]:
    """Return the names of all parts that there are; each has a place in some document."""
    return set(_parts())


def _parts() -> dict[str, Callable[[], str]]:
    found = {command.path: command for command in commands()}
    parts: dict[str, Callable[[], str]] = {
        "preset fields": _preset_fields,
        "presets": _presets,
        "matrix": lambda: matrix_markdown(load_matrix().rows),
        "columns": lambda: _columns(load_matrix().rows),
        "default symbols": lambda: _default_symbols(load_matrix()),
        "options shared": lambda: _options(_common(found)),
    }
    for path, command in found.items():
        if command.options:
            parts[f"options {path}".strip()] = partial(_own_options, command, found)
    return parts


def _shared(found: dict[str, Command], paths: tuple[str, ...]) -> list[Option]:
    """Return the options that all these commands have, in the same words."""
    first, *others = (found[path] for path in paths)
    return [option for option in first.options if all(option in other.options for other in others)]


def _common(found: dict[str, Command]) -> list[Option]:
    """Return the options that are described once, for all commands that have them."""
    others = (option for option in found["collect"].options if set(option.names) & set(OF_COLLECT))
    return [*_shared(found, SHARED), *others]


def _own_options(command: Command, found: dict[str, Command]) -> str:
    """Return the options of a command: those described elsewhere by reference, and a table of all others."""
    if command.path in EXTENDS:
        described, source = list(found[EXTENDS[command.path]].options), f"those of `{EXTENDS[command.path]}`"
    else:
        described, source = _common(found), "all [common ones](#common-options)"
    taken = [option for option in described if option in command.options]
    own = [option for option in command.options if option not in described]
    left_out = [option for option in described if option not in taken]
    if not taken:
        return _options(own)
    if len(left_out) < len(taken):
        words = source + (f" but {_in_code(left_out)}" if left_out else "")
    else:
        words = _in_code(taken)
    return f"Options: {words}, and:\n\n{_options(own)}" if own else f"Options: {words}.\n"


def _in_code(options: list[Option]) -> str:
    return ", ".join(f"`{option.names[0]}`" for option in options)


def _options(options: list[Option]) -> str:
    rows = ((f"`{', '.join(option.names)}` {_value(option.value)}".strip(),
             option.help.replace("*", r"\*")) for option in options)  # fmt: skip
    return _table(("option", "meaning"), rows)


def _value(value: str) -> str:
    """Return what an option takes as code; a bar in it is neither shown with its escape nor the end of the cell."""
    return "" if not value else f"`{value}`" if "|" not in value else f"<code>{value.replace('|', '&#124;')}</code>"


def _presets() -> str:
    rows = []
    for path in _bundled():
        document = read_document(path, path.name)
        rows.append((f"`{path.stem}`", str(document.values["description"])))
    return _table(("preset", "description"), rows)


def _preset_fields() -> str:
    """Return all fields; the first cell has every name of a field: its own, its option, and its variable."""
    options = {name for command in commands() for option in command.options for name in option.names}
    rows = []
    for name in PRESET_FIELDS:
        field = FIELDS[name]
        flags = ("--start", "--end", "--last") if name == "date_range" else (flag_of(name).partition("/")[0],)
        variables = [field.variable] if name in ENVIRONMENT_FIELDS else []
        names = ", ".join(f"`{one}`" for one in (name, *(flag for flag in flags if flag in options), *variables))
        default = _as_prose(field.left_out) if field.absent else f"`{field.left_out}`"
        rows.append((names, _takes(field.kind.schema), default, _as_prose(field.meaning)))
    return _table(("field, option, variable", "takes", "default", "meaning"), rows)


def _takes(schema: dict[str, Any]) -> str:
    """Return in words which values a JSON Schema accepts."""
    match schema:
        case {"anyOf": [{"type": "integer"}, _]}:
            return "a size"
        case {"anyOf": _}:
            return "list or mapping"
        case {"enum": choices}:
            return ", ".join(f"`{choice}`" for choice in choices)
        case {"const": choice}:
            return f"`{choice}`"
        case {"type": "boolean"}:
            return "true, false"
        case {"minimum": low, "maximum": high}:
            return f"{low} to {high}"
        case {"minimum": low}:
            return f"{low} or more"
        case {"exclusiveMinimum": low, "maximum": high}:
            return f"more than {low}, up to {high}"
        case {"type": "array"}:
            return "list"
        case {"type": "object"}:
            return "mapping"
        case {"pattern": _}:
            return "path"
    return "text"


def _bundled() -> list[Path]:
    return sorted(path for path in (REPOSITORY / "configs").iterdir() if path.suffix in SUFFIXES)


def _columns(rows: tuple[Row, ...]) -> str:
    """Return a list and not a table, which a phone cannot show; rows whose files are alike share an entry."""
    alike: dict[tuple[str, ...], dict[Market, list[str]]] = {}
    for row in rows:
        if row.columns:
            kind = (_HEADERS[row.header], _TIME_UNITS[row.time_unit], ", ".join(row.columns))
            alike.setdefault(kind, {}).setdefault(row.market, []).append(f"`{row.data_type}`")
    entries = []
    for (header, times, columns), of_market in alike.items():
        markets: dict[str, list[str]] = {}
        for market, names in of_market.items():
            markets.setdefault(", ".join(names), []).append(str(market))
        named = "; ".join(f"{' and '.join(those)} {names}" for names, those in markets.items())
        entries.append(f"- {named}: {header}; times in {times}.\n\n    {columns}\n")
    return "\n".join(entries)


def _default_symbols(matrix: Matrix) -> str:
    alike: dict[str, list[str]] = {}
    for market in Market:
        alike.setdefault(" ".join(matrix.symbols.get(market, ())), []).append(str(market))
    return _table(("market", "default symbols"), ((", ".join(markets), symbols) for symbols, markets in alike.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    first, *others = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in (head, *rows))
    return "".join([first, "|---" * len(head) + "|\n", *others])


def _as_prose(text: str) -> str:
    """Return a text of the code for a table; its code is marked so that no test takes it for a call to run."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text.replace("<", "&lt;").replace("*", r"\*"))


def preset_fields() -> tuple[str, ...]:
    """Return the names of all fields that a preset may have."""
    return PRESET_FIELDS
