"""What pydantic finds wrong with a configuration or a matrix file, in plain words."""

from __future__ import annotations

import builtins
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from crypto_archive.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from crypto_archive.catalog.document import Place

_QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Wording:
    """What messages say about the fields of a model, each by the field's name.

    Attributes:
        nouns: What one of a field's choices is called, where it is not the field's own name.
        examples: How a field is written.
        elsewhere: What to do about a field that does not belong here.
    """

    nouns: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    raw: object,
    place: Callable[[Place], str],
    wording: Wording,
) -> Iterator[Problem]:
    """Yield a problem for each error that pydantic found in ``raw``; ``place`` returns where a value is."""
    for detail in error.errors(include_url=False):
        where = _as_written(detail["loc"], raw)
        kind, value = detail["type"], detail["input"]
        if kind in {"extra_forbidden", "invalid_key"}:
            name = str(where[-1])
            if len(where) == 1 and name in wording.elsewhere:
                yield Problem(place(where), wording.elsewhere[name])
            else:
                known = tuple(_model_at(model, where[:-1]).model_fields)
                yield Problem(place(where), f"unknown field {shown(name)}", known, nearest(name, known))
        elif kind in {"enum", "literal_error"}:
            allowed = tuple(_QUOTED.findall(detail["ctx"]["expected"]))
            message = f"{shown(value)} is not a valid {_noun(where, wording)}"
            yield Problem(place(where), message, allowed, nearest(str(value), allowed))
        else:
            yield Problem(place(where), _message(detail, wording.examples.get(str(where[-1])) if where else None))


def shown(value: object) -> str:
    """Return a value as a configuration writes it, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
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


def _as_written(loc: tuple[int | str, ...], raw: object) -> Place:
    """Return the way to a value as the user wrote it: a plain list has no ``*`` in it, nor a key a ``[key]``."""
    value, way = raw, list[int | str]()
    for step in loc:
        if way and (step == "[key]" or (step == "*" and not isinstance(value, Mapping))):
            continue
        way.append(step)
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int):
            value = value[step]
    return tuple(way)


def _model_at(model: type[BaseModel], way: Place) -> type[BaseModel]:
    """Return the innermost model that a way leads through."""
    for step in way:
        if isinstance(step, str) and step in model.model_fields:
            model = next(_models_in(model.model_fields[step].annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _noun(where: Place, wording: Wording) -> str:
    names = [step for step in reversed(where) if isinstance(step, str)]
    return next((wording.nouns[name] for name in names if name in wording.nouns), names[0].replace("_", " "))


def _message(detail: ErrorDetails, example: str | None) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    match kind:
        case "value_error":
            return str(context["error"])
        case "missing":
            return "this field is required"
        case "string_type" | "path_type":
            return _not_text(value)
        case "list_type" | "tuple_type":
            return _not_a_list(value)
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{shown(value)} is not a mapping; write it like {example or '{field: value}'}"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} is neither true nor false"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return f"{shown(value)} is not a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{shown(value)} is not a number"
        case "greater_than_equal":
            return f"{shown(value)} is too small; the minimum is {context['ge']}"
        case "greater_than":
            return f"{shown(value)} is too small; it must be more than {context['gt']:g}"
        case "less_than_equal":
            return f"{shown(value)} is too large; the maximum is {context['le']:g}"
        case "too_short":
            return "must not be empty; list at least one"
        case "string_too_short":
            return "must not be empty"
    return f"{shown(value)}: {detail['msg']}"


def _not_text(value: object) -> str:
    if value is None:
        return "must not be empty; write a name, or remove the entry"
    if isinstance(value, bool | int | float):
        kind = "a boolean" if isinstance(value, bool) else "a number"
        return f'{shown(value)} is {kind}, not text; put it in quotes: "{shown(value)}"'
    return f"{shown(value)} is not text"


def _not_a_list(value: object) -> str:
    if value is None:
        return "must not be empty; write a list, or remove the field"
    if isinstance(value, str | int | float):
        return f"{shown(value)} is not a list; write [{value if isinstance(value, str) else shown(value)}]"
    return f"{shown(value)} is not a list"
