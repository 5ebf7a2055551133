"""Says in plain words what pydantic found wrong."""

from __future__ import annotations

import builtins
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crypto_archive.config.document import dotted
from crypto_archive.config.preset import EVERY, Dates, Options, Preset
from crypto_archive.config.settings import PREFIX
from crypto_archive.errors import Problem, nearest
from crypto_archive.model import Contract
from crypto_archive.request import Discovery, Partitioning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from crypto_archive.config.document import Place

_CHOICES = {
    "partition": ("partition", tuple(Partitioning)),
    "contract": ("kind of contract", tuple(Contract)),
    "discover": ("way to discover objects", tuple(Discovery)),
    "workflow_type": ("workflow type", ("archive_collection",)),
}
_EXAMPLES = {
    "date_range": "{start: 2025-06-01, end: 2025-07-15} or {last: 7d}",
    "symbols": "{spot: [BTCUSDT]}",
    "intervals": "{klines: [1h]}",
}


def faults(error: ValidationError, raw: Mapping[str, object], place: Callable[[Place], str]) -> Iterator[Problem]:
    """Yield a problem for each error that pydantic found in ``raw``; ``place`` says where a value stands."""
    for detail in error.errors(include_url=False):
        where = _way(detail["loc"], raw)
        if detail["type"] in {"extra_forbidden", "invalid_key"}:
            yield _unknown_field(where, place)
            continue
        choices = _CHOICES.get(str(where[0])) if detail["type"] in {"enum", "literal_error"} else None
        if choices:
            yield _not_a_choice(detail["input"], choices, place(where))
        else:
            yield Problem(place(where), _sentence(detail, where))


def shown(value: object) -> str:
    """Return a value as a configuration writes it, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    try:
        return _REPR.repr(value)
    except Exception:  # a value whose repr fails must not hide what is wrong with it
        return f"a value of type {type(value).__name__}"


class _Shortened(reprlib.Repr):
    """Long texts keep their beginning and their end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80


_REPR = _Shortened()


def _number(value: float) -> str:
    try:
        text = builtins.repr(value)
    except ValueError:  # more digits than Python writes out
        return "a huge number"
    return text if len(text) <= 40 else f"{text[:20]}…"


def _way(loc: tuple[int | str, ...], raw: Mapping[str, object]) -> Place:
    """Return the way to a value as the user wrote it: a plain list has no ``*`` in it, nor a key a ``[key]``."""
    value: object = raw
    way: list[int | str] = []
    for step in loc:
        if way and (step == "[key]" or (step == EVERY and not isinstance(value, Mapping))):
            continue
        way.append(step)
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int):
            value = value[step]
    return tuple(way)


def _unknown_field(where: Place, place: Callable[[Place], str]) -> Problem:
    field = str(where[-1])
    if len(where) == 1 and field in Options.model_fields:
        option = "the option --endpoint-url or " if field == "endpoint_url" else ""
        return Problem(place(where), f"is no field of presets; use {option}the variable {PREFIX}{field.upper()}")
    known = tuple(Preset.model_fields if len(where) == 1 else Dates.model_fields)
    return Problem(place(where), f"unknown field {shown(field)}", known, nearest(field, known))


def _not_a_choice(value: object, choices: tuple[str, tuple[str, ...]], place: str) -> Problem:
    noun, allowed = choices
    allowed = tuple(str(choice) for choice in allowed)
    return Problem(place, f"{shown(value)} is not a valid {noun}", allowed, nearest(str(value), allowed))


def _sentence(detail: ErrorDetails, where: Place) -> str:
    """Return what is wrong with a value."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "value_error":
            return str(context["error"])
        case "string_type" | "path_type":
            return _no_text(value)
        case "list_type":
            return _no_list(value)
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{shown(value)} is not a mapping; write it like {_EXAMPLES.get(dotted(where), '{field: value}')}"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} is neither true nor false"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return f"{shown(value)} is not a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{shown(value)} is not a number of seconds"
        case "greater_than_equal":
            return f"{shown(value)} is too small; the least is {context['ge']}"
        case "greater_than":
            return f"{shown(value)} is too small; it must be more than {context['gt']:g}"
        case "less_than_equal":
            return f"{shown(value)} is too large; the most is {context['le']:g}"
        case "too_short":
            return "is empty; name at least one, or leave the field out"
        case "string_pattern_mismatch":
            return f"{shown(value)} is not a valid name for it"
    return f"{shown(value)}: {detail['msg']}"


def _no_text(value: object) -> str:
    if value is None:
        return "is empty; write a name, or leave the entry out"
    if isinstance(value, bool | int | float):
        kind = "a truth value" if isinstance(value, bool) else "a number"
        return f'{shown(value)} is {kind}, not a text; put it in quotes: "{shown(value)}"'
    return f"{shown(value)} is not a text"


def _no_list(value: object) -> str:
    if value is None:
        return "is empty; write a list, or leave the field out"
    if isinstance(value, str | int | float):
        return f"{shown(value)} is not a list; write [{value if isinstance(value, str) else shown(value)}]"
    return f"{shown(value)} is not a list"
