"""Checks the words of a configuration - markets, data types, intervals, symbols - against the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crypto_archive.config.preset import EVERY
from crypto_archive.config.s5cmd_options import read_arguments
from crypto_archive.errors import Problem, nearest
from crypto_archive.keys import LONGEST_SYMBOL, is_symbol
from crypto_archive.layouts import LayoutError, placement_of
from crypto_archive.model import Market

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.config.document import Place
    from crypto_archive.config.layers import Layer
    from crypto_archive.matrix import Matrix, Row

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
