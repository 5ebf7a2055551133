"""Words of a configuration: those that the matrix does not have, and names that cannot be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crypto_archive.catalog.keys import LONGEST_SYMBOL, is_symbol
from crypto_archive.catalog.layout_kinds import LayoutError, placement_of
from crypto_archive.catalog.symbols import quote_of, symbol_of_pair
from crypto_archive.config.fields import EVERY
from crypto_archive.config.values import MARKET_WORDS, market_named, nearest_interval, read_arguments
from crypto_archive.errors import nearest
from crypto_archive.model import Market

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.catalog.document import Place
    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.catalog.validation import Fault

_MARKETS = tuple(map(str, Market))


def vocabulary_faults(raw: Mapping[str, object], matrix: Matrix) -> Iterator[Fault]:
    """Yield a fault for each word that the matrix does not have.

    Looks at the values as they are written, so that words are checked even where a neighbour has the wrong form.
    """
    for where, word in _words(raw.get("markets"), ("markets",)):
        yield from _market(word, where)
    taken: dict[Market | None, str] = {}
    for where, market, words in _groups(raw.get("symbols"), "symbols"):
        if market != EVERY:
            yield from _market(market, where)
            other = taken.setdefault(market_named(market), market)
            if other != market and market_named(market):
                yield where, f"{market!r} is the same market as {other!r}; keep one of them", (), None
        for at, word in words:
            yield from _symbol(word, at)
    for where, word in _words(raw.get("quote_assets"), ("quote_assets",)):
        if not word.isalnum():
            yield where, f"{word!r} is not a valid quote asset; write each separately, such as USDT", (), None
    for where, word in _words(raw.get("data_types"), ("data_types",)):
        yield from _data_type(word, matrix, where)
    for where, data_type, words in _groups(raw.get("intervals"), "intervals"):
        yield from _intervals(data_type, words, matrix, where)
    yield from _layout(raw.get("layout"), matrix)
    yield from _arguments(raw.get("s5cmd_extra_args"))


def rows_named(matrix: Matrix, data_type: str) -> tuple[Row, ...]:
    """Return the rows that a data type or an alias means, one per market."""
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


def _market(word: str, where: Place) -> Iterator[Fault]:
    if market_named(word) is None:
        near = nearest(word, MARKET_WORDS)
        yield where, f"{word!r} is not a valid market type", _MARKETS, near and str(MARKET_WORDS[near])


def _symbol(word: str, where: Place) -> Iterator[Fault]:
    name = word.removeprefix("!")
    if len(name.encode("utf-8", "replace")) > LONGEST_SYMBOL:
        yield where, f"'{name[:20]}…' is too long for a symbol; the maximum is {LONGEST_SYMBOL} bytes", (), None
    elif not is_symbol(name) or "," in name:  # what is left of a text that has nothing but commas
        symbol = symbol_of_pair(name)
        what = f"{word!r} is not a valid symbol; write a name like BTCUSDT, or a glob like '*USDT'"
        yield where, what, (), symbol if quote_of(Market.SPOT, symbol) else None


def _data_type(word: str, matrix: Matrix, where: Place) -> Iterator[Fault]:
    if not rows_named(matrix, word):
        yield where, f"unknown data type {word!r}", matrix.data_types, nearest(word, matrix.names)


def _intervals(data_type: str, words: list[tuple[Place, str]], matrix: Matrix, where: Place) -> Iterator[Fault]:
    """Yield the faults of one entry; a type without interval folders accepts any word."""
    rows = matrix.rows if data_type == EVERY else rows_named(matrix, data_type)
    if not rows:
        yield from _data_type(data_type, matrix, where)
    if not any(row.has_intervals for row in rows):
        return
    known = {*matrix.intervals, *matrix.interval_aliases}
    own = tuple(dict.fromkeys(interval for row in rows for interval in row.all_intervals))
    of_type = "" if data_type == EVERY else f" for {data_type}"
    for at, word in words:
        if word not in known:
            yield at, f"unknown interval {word!r}{of_type}", own, nearest_interval(word, own)


def _layout(name: object, matrix: Matrix) -> Iterator[Fault]:
    if isinstance(name, str) and name:
        try:
            placement_of(name, matrix)
        except LayoutError as error:
            yield ("layout",), str(error), error.allowed, error.nearest


def _arguments(value: object) -> Iterator[Fault]:
    if isinstance(value, list | tuple) and all(isinstance(argument, str) for argument in value):
        for one in read_arguments(value)[1]:
            yield ("s5cmd_extra_args", one.index), one.message, one.allowed, one.nearest
