"""Pydantic's complaints about a matrix file as problems that a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crypto_archive.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import StrEnum

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WANTED = {
    "string_type": "text; put it in quotes",
    "string_too_short": "a name",
    "string_pattern_mismatch": "an interval, which has letters and digits only",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}

Fields = dict[str, tuple[str, ...]]
"""The names that fields may have: those of the document under ``""``, those of nested ones under their field's name."""


def problems_of(
    error: ValidationError,
    place: str,
    *,
    choices: Mapping[str, type[StrEnum]],
    fields: Fields,
) -> Iterator[Problem]:
    """Tell each complaint of ``error`` in our words.

    Args:
        error: What pydantic says of the value that stands at ``place``.
        place: The entry, or the whole file, as ``place_of`` takes it.
        choices: The words that a field allows, by the field's name.
        fields: The names that fields may have.
    """
    for detail in error.errors(include_url=False):
        yield _problem(detail, place, choices, fields)


def place_of(place: str, *path: str | int) -> str:
    """Return the way from ``place`` into its value: ``FILE: rows[3]`` and ``partitions``, ``daily``.

    A place that ends in a colon and a space is a whole file.
    """
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return (place + steps.removeprefix(".")).removesuffix(": ") if place.endswith(": ") else place + steps


def _problem(detail: ErrorDetails, place: str, choices: Mapping[str, type[StrEnum]], fields: Fields) -> Problem:
    path = tuple(step for step in detail["loc"] if step != "[key]")
    where, value, kind = place_of(place, *path), detail["input"], detail["type"]
    if kind == "missing":
        return Problem(where, "this field is missing")
    if kind == "extra_forbidden":
        allowed = next((fields[str(step)] for step in path[:-1] if step in fields), fields[""])
        return _wrong_word(place_of(place, *path[:-1]), f"there is no field {path[-1]!r}", str(path[-1]), allowed)
    if kind == "enum":
        field = next(str(step) for step in path if step in choices)
        allowed = tuple(str(choice) for choice in choices[field])
        return _wrong_word(where, f"{value!r} cannot stand here", str(value), allowed)
    if kind == "value_error":
        return Problem(where, str(detail["ctx"]["error"]))
    if kind == "too_short":
        return Problem(where, "the list is empty")
    return Problem(where, f"{_short(value)} is not {_WANTED[kind]}" if kind in _WANTED else detail["msg"])


def _wrong_word(place: str, message: str, word: str, allowed: tuple[str, ...]) -> Problem:
    return Problem(place, message, allowed, nearest(word, allowed))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
