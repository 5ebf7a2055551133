"""The layers of a configuration - presets, environment, options - and how the later ones cover the earlier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from crypto_archive.config.dates import overlay
from crypto_archive.config.faults import faults
from crypto_archive.config.preset import Dates, Options, Preset
from crypto_archive.config.settings import PREFIX, Settings, variables
from crypto_archive.config.symbol_lists import with_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel

    from crypto_archive.config.document import Document, Place
    from crypto_archive.errors import Problem


SCHEMA_FIELD = "$schema"
"""What JSON files say to editors, and to nobody else."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values.

    Attributes:
        raw: Its fields as they are written.
        values: Its fields with their types; empty where anything is wrong with them.
        place: Says where a value stands, for people.
        problems: What is wrong with the form of its values.
        document: The file that it is from, None for environment and options.
    """

    raw: Mapping[str, object]
    values: Mapping[str, object]
    place: Callable[[Place], str]
    problems: tuple[Problem, ...]
    document: Document | None = None


def preset_layer(document: Document) -> Layer:
    """Return the layer of a preset file; lists of symbols are read from beside it."""
    values = {field: value for field, value in document.values.items() if field != SCHEMA_FIELD}
    read = with_lists(values, document.place, document.path.parent)
    checked, problems = _validated(Preset, read.raw, read.place)
    return Layer(read.raw, checked, read.place, (*read.problems, *problems), document)


def environment_layer() -> Layer:
    """Return the layer of the environment variables and ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    environment, dotenv = variables()
    raw: dict[str, object] = {**dotenv, **environment}

    def place(where: Place) -> str:
        field = str(where[0])
        return ("" if field in environment else ".env, ") + PREFIX + field.upper()

    try:
        values = _given(Settings())
    except ValidationError as error:
        return Layer(raw, {}, place, tuple(faults(error, raw, place)))
    return Layer(raw, values, place, ())


def options_layer(options: Mapping[str, object], named: Callable[[str], str], *, standard_input: bool) -> Layer:
    """Return the layer of what a caller gives; None and empty lists are options that were not given.

    Lists of symbols are read, from files and, where that is allowed, from standard input.
    """
    given = {field: list(value) if isinstance(value, tuple) else value for field, value in options.items()}
    raw = {field: value for field, value in given.items() if value is not None and value != []}
    dates = {part: raw.pop(part) for part in Dates.model_fields if part in raw}
    if dates:
        whole = raw.get("date_range", {})
        raw["date_range"] = {**whole, **dates} if isinstance(whole, Mapping) else dates

    def place(where: Place) -> str:
        if where == ("date_range",) and dates:
            return ", ".join(map(named, dates))
        return named(str(where[-1] if where[0] == "date_range" else where[0]))

    read = with_lists(raw, place, Path(), standard_input=standard_input)
    values, problems = _validated(Options, read.raw, read.place)
    return Layer(read.raw, values, read.place, (*read.problems, *problems))


def merged(layers: Iterable[Layer]) -> tuple[dict[str, object], dict[str, str]]:
    """Return the values that count, the later layer's first, and for each field where it came from.

    Fields are taken whole, except for the dates of the options, which replace single ends of a preset's range.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for field, value in layer.values.items():
            origins[field] = layer.place((field,))
            if isinstance(value, Dates):
                parts = _given_dates(value)
                below = values.get(field) if layer.document is None else None
                values[field] = overlay(below if isinstance(below, dict) else {}, parts)
            else:
                values[field] = value
    return values, origins


def _validated(
    model: type[BaseModel], raw: Mapping[str, object], place: Callable[[Place], str]
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    try:
        return _given(model.model_validate(dict(raw))), ()
    except ValidationError as error:
        return {}, tuple(faults(error, raw, place))


def _given(model: BaseModel) -> dict[str, object]:
    return {field: value for field in type(model).model_fields if (value := getattr(model, field)) is not None}


def _given_dates(dates: Dates) -> dict[str, str]:
    return {part: str(value) for part, value in _given(dates).items()}
