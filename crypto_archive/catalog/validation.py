"""What values of a configuration or a matrix file may be: checks that return a value, or say in words what is wrong.

They are plain functions, since every command needs some of them before it does anything: to load a library that builds
validators, and to build them, takes longer than all that most commands do.
"""

from __future__ import annotations

import builtins
import math
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crypto_archive.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crypto_archive.catalog.document import Place

Check = Callable[[Any], Any]
"""Returns a value in our form; raises ``ValueError``, whose text says what is wrong, where it is not of the kind."""

Fault = tuple["Place", str, tuple[str, ...], str | None]
"""Where a value is, what is wrong with it, the words allowed, and the nearest of them."""

_Number = TypeVar("_Number", int, float)
_Found = TypeVar("_Found")
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}


class Invalid(ValueError):
    """What is wrong with a value, and with those inside it, each with its place in the value."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*(what for _, what, _, _ in faults))
        self.faults = faults


def faults_of(error: ValueError) -> Sequence[Fault]:
    """Return what a check found wrong."""
    return error.faults if isinstance(error, Invalid) else (((), str(error), (), None),)


# Single values


def text(value: object) -> str:
    """Check a text."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        raise ValueError("must not be empty; write a name, or remove the entry")
    if isinstance(value, bool | int | float):
        kind = "a boolean" if isinstance(value, bool) else "a number"
        raise ValueError(f'{shown(value)} is {kind}, not text; put it in quotes: "{shown(value)}"')
    raise ValueError(f"{shown(value)} is not text")


def nonempty(value: object) -> str:
    """Check a text that is not empty."""
    if found := text(value):
        return found
    raise ValueError("must not be empty")


def path(value: object) -> Path:
    """Check a path."""
    return Path(value) if isinstance(value, PathLike) else Path(text(value))


def truth(value: object) -> bool:
    """Check a boolean; as words, ``yes`` and ``on`` are true as well."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTHS:
        return _TRUTHS[value.lower()]
    if isinstance(value, int | float) and value in (0, 1):
        return value == 1
    raise ValueError(f"{shown(value)} is neither true nor false")


def number(
    kind: type[int] | type[float],
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    texts: bool = False,
) -> Check:
    """Return the check of a number within limits, a whole one for ``int``; ``texts`` where numbers are text."""
    what = "a whole number" if kind is int else "a number"

    def check(value: object) -> float:
        found = _number_in(value) if texts and isinstance(value, str) else value
        if not isinstance(found, int | kind) or isinstance(found, bool) or not abs(found) < math.inf:
            raise ValueError(f"{shown(value)} is not {what}")
        if above is not None and found <= above:
            raise ValueError(f"{shown(value)} is too small; it must be more than {above:g}")
        return kind(bounded(found, value, least, most))

    return check


def bounded(found: _Number, written: object, least: float | None = None, most: float | None = None) -> _Number:
    """Return a number within limits; messages have it as it is written."""
    if least is not None and found < least:
        raise ValueError(f"{shown(written)} is too small; the minimum is {least}")
    if most is not None and found > most:
        raise ValueError(f"{shown(written)} is too large; the maximum is {most:g}")
    return found


def _number_in(written: str) -> float | None:
    with suppress(ValueError):
        found = float(written)
        return int(found) if found.is_integer() else found
    return None


def choice(choices: Iterable[Any], noun: str) -> Check:
    """Return the check of a word of some choices; ``noun`` is what messages call one."""
    by_word = {str(one): one for one in choices}

    def check(value: object) -> Any:
        if isinstance(value, str) and value in by_word:
            return by_word[value]
        allowed = tuple(by_word)
        raise Invalid(((), f"{shown(value)} is not a valid {noun}", allowed, nearest(str(value), allowed)))

    return check


def or_null(check: Check) -> Check:
    """Return a check that takes null as well."""
    return lambda value: None if value is None else check(value)


# Values that have others inside them


def listed(item: Check, *, least: int = 0) -> Check:
    """Return the check of a list of values of one kind."""

    def check(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(_not_a_list(value))
        if len(value) < least:
            raise ValueError("must not be empty; list at least one")
        faults: list[Fault] = []
        found = [_inside(index, item, one, faults) for index, one in enumerate(value)]
        return _sound(found, faults)

    return check


def mapping(key: Check, item: Check, *, least: int = 0) -> Check:
    """Return the check of a mapping with any keys, all of one kind, and values of one kind."""

    def check(value: object) -> dict[Any, Any]:
        entries = _mapping(value, "{field: value}")
        if len(entries) < least:
            raise ValueError("must not be empty; list at least one")
        faults: list[Fault] = []
        found = {_inside(one, key, one, faults): _inside(one, item, inner, faults) for one, inner in entries.items()}
        return _sound(found, faults)

    return check


def record(
    fields: Mapping[str, Check],
    required: Iterable[str] = (),
    *,
    example: str = "{field: value}",
    elsewhere: Mapping[str, str] | None = None,
    ignores_others: bool = False,
) -> Check:
    """Return the check of a mapping with fields of several kinds, which returns those that are given.

    Args:
        fields: Their names, each with its check.
        required: Those that must be given.
        example: How such a mapping is written.
        elsewhere: What to do about a field that does not belong here, by its name.
        ignores_others: Whether a field that is not known is left out, rather than wrong.
    """
    needed = frozenset(required)

    def check(value: object) -> dict[str, Any]:
        given = _mapping(value, example)
        faults: list[Fault] = []
        found = {}
        for one, inner in fields.items():
            if one in given:
                found[one] = _inside(one, inner, given[one], faults)
            elif one in needed:
                faults.append(((one,), "this field is required", (), None))
        if not ignores_others:
            faults += (_unknown(one, elsewhere or {}) for one in given if one not in fields)
        return _sound(found, faults)

    def _unknown(one: Any, advice: Mapping[str, str]) -> Fault:
        if one in advice:
            return (one,), advice[one], (), None
        return (one,), f"unknown field {shown(str(one))}", tuple(fields), nearest(str(one), fields)

    return check


def _inside(step: int | str, check: Check, value: object, faults: list[Fault]) -> Any:
    """Return a checked value that is inside another one, or add what is wrong with it to the faults of that."""
    try:
        return check(value)
    except ValueError as error:
        faults += (((step, *fault[0]), *fault[1:]) for fault in faults_of(error))
        return None


def _sound(found: _Found, faults: list[Fault]) -> _Found:
    if faults:
        raise Invalid(*faults)
    return found


def _mapping(value: object, example: str) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"{shown(value)} is not a mapping; write it like {example}")


def _not_a_list(value: object) -> str:
    if value is None:
        return "must not be empty; write a list, or remove the field"
    if isinstance(value, str | int | float):
        return f"{shown(value)} is not a list; write [{value if isinstance(value, str) else shown(value)}]"
    return f"{shown(value)} is not a list"


# How messages show a value


def shown(value: object) -> str:
    """Return a value as a configuration writes it, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _digits(value)
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


def _digits(value: float) -> str:
    try:
        found = builtins.repr(value)
    except ValueError:  # more digits than Python writes out
        return "a huge number"
    return found if len(found) <= 40 else f"{found[:20]}…"
