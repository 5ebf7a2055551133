"""Presets as Rich renderables: which there are, and what some of them come to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_archive.config.effective import EffectiveField
    from crypto_archive.config.sources import PresetInfo

_QUOTED = tuple("*!@&#[]{}|>%`'\"")
"""With these a text has to stand in quotes in YAML."""


def presets_table(presets: Iterable[PresetInfo]) -> Table:
    """Return which presets there are, the user's own with their files."""
    table = _table("preset", "what for", "from")
    for one in presets:
        origin = "the package" if one.bundled else f"{one.path}{', hides the bundled one' if one.hides else ''}"
        table.add_row(one.name, Text(one.description), Text(origin, style="dim"))
    return table


def fields_table(fields: Iterable[EffectiveField]) -> Table:
    """Return what counts, a line a field; what nobody has set is dim."""
    table = _table("field", "value", "from")
    for field in fields:
        style = "dim" if field.is_default else ""
        table.add_row(Text(field.name, style=style), Text(_shown(field), style=style), Text(field.origin, style="dim"))
    return table


def _shown(field: EffectiveField) -> str:
    """Return a value as a preset has it on one line, or what it means that there is none."""
    if field.meaning:
        return f"({field.meaning})"
    return field.value if isinstance(field.value, str) else _flow(field.value)


def _flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case float() if value.is_integer():
            return str(int(value))
        case str():
            return repr(value) if value[:1] in _QUOTED else value
    return json.dumps(value)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=name == columns[0], overflow="fold")
    return table
