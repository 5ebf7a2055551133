"""What is wrong with a configuration, in plain words: wrong forms, and words that the matrix does not know."""

from __future__ import annotations

import builtins
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import LONGEST_SYMBOL, is_symbol
from crypto_archive.catalog.layout_kinds import LayoutError, placement_of
from crypto_archive.config.document import dotted
from crypto_archive.config.fields import EVERY, PREFIX, Dates, Options, Preset
from crypto_archive.config.run_config import Discovery, Partitioning
from crypto_archive.config.values import read_arguments
from crypto_archive.errors import Problem, nearest
from crypto_archive.model import Contract, Market

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.document import Place
    from crypto_archive.config.reading import Layer

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


_MARKETS = tuple(str(market) for market in Market)


def vocabulary_problems(layer: Layer, matrix: Matrix) -> Iterator[Problem]:
    """Yield a problem for each word of a layer that the matrix does not know.

    Looks at the values as they are written, so that words are checked even where a neighbour has the wrong form.
    """
    for where, word in _words(layer.raw.get("markets"), ("markets",)):
        yield from _market(word, layer.place(where))
    for where, market, words in _groups(layer.raw.get("symbols"), "symbols"):
        if market != EVERY:
            yield from _market(market, layer.place(where))
        for at, word in words:
            yield from _symbol(word, layer.place(at))
    for where, word in _words(layer.raw.get("quote_assets"), ("quote_assets",)):
        yield from _quote_asset(word, layer.place(where))
    for where, word in _words(layer.raw.get("data_types"), ("data_types",)):
        yield from _data_type(word, matrix, layer.place(where))
    for where, data_type, words in _groups(layer.raw.get("intervals"), "intervals"):
        yield from _intervals(data_type, words, matrix, layer, where)
    yield from _layout(layer, matrix)
    yield from _arguments(layer)


def rows_named(matrix: Matrix, data_type: str) -> tuple[Row, ...]:
    """Return the rows that a data type or an alias means, one a market."""
    found = (matrix.row(market, data_type) for market in Market)
    return tuple(row for row in found if row is not None)


def _words(value: object, where: Place) -> list[tuple[Place, str]]:
    if not isinstance(value, list | tuple):
        return []
    return [((*where, index), str(word)) for index, word in enumerate(value) if isinstance(word, str)]


def _groups(value: object, field: str) -> Iterator[tuple[Place, str, list[tuple[Place, str]]]]:
    """Yield place, key and words of each entry of a mapping; a plain list is one entry for everything."""
    if not isinstance(value, Mapping):
        yield (field,), EVERY, _words(value, (field,))
        return
    for key, words in value.items():
        if isinstance(key, str):
            yield (field, key), key, _words(words, (field, key))


def _market(word: str, place: str) -> Iterator[Problem]:
    if word not in _MARKETS:
        yield Problem(place, f"{word!r} is not a valid market type", _MARKETS, nearest(word, _MARKETS))


def _symbol(word: str, place: str) -> Iterator[Problem]:
    name = word.removeprefix("!")
    if len(name.encode("utf-8", "replace")) > LONGEST_SYMBOL:
        yield Problem(place, f"'{name[:20]}…' is too long for a symbol: at most {LONGEST_SYMBOL} bytes fit")
    elif not is_symbol(name):
        yield Problem(place, f"{word!r} is no symbol; write a name like BTCUSDT, or a pattern like '*USDT'")


def _quote_asset(word: str, place: str) -> Iterator[Problem]:
    if not word.isalnum():
        yield Problem(place, f"{word!r} is no quote asset; write a name like USDT, and each by itself")


def _data_type(word: str, matrix: Matrix, place: str) -> Iterator[Problem]:
    if not rows_named(matrix, word):
        near = nearest(word, matrix.names)
        yield Problem(place, f"unknown data type {word!r}", tuple(matrix.data_types), near)


def _intervals(
    data_type: str, words: list[tuple[Place, str]], matrix: Matrix, layer: Layer, where: Place
) -> Iterator[Problem]:
    """Yield the problems of one entry; a type that has no interval folders anywhere takes any word."""
    rows = matrix.rows if data_type == EVERY else rows_named(matrix, data_type)
    if not rows:
        yield from _data_type(data_type, matrix, layer.place(where))
    if not any(row.has_intervals for row in rows):
        return
    known = {*matrix.intervals, *matrix.interval_aliases}
    own = tuple(dict.fromkeys(interval for row in rows for interval in row.all_intervals))
    of_type = "" if data_type == EVERY else f" for {data_type}"
    for at, word in words:
        if word not in known:
            yield Problem(layer.place(at), f"unknown interval {word!r}{of_type}", own, nearest(word, own))


def _layout(layer: Layer, matrix: Matrix) -> Iterator[Problem]:
    name = layer.raw.get("layout")
    if isinstance(name, str) and name:
        try:
            placement_of(name, matrix)
        except LayoutError as error:
            yield Problem(layer.place(("layout",)), str(error), error.allowed, error.nearest)


def _arguments(layer: Layer) -> Iterator[Problem]:
    field = "s5cmd_extra_args"
    value = layer.raw.get(field)
    if not isinstance(value, list | tuple) or not all(isinstance(argument, str) for argument in value):
        return
    for refusal in read_arguments(value)[1]:
        yield Problem(layer.place((field, refusal.index)), refusal.message, refusal.allowed, refusal.nearest)
