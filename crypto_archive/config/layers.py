"""Layers: what each preset, the environment and the options say, checked one by one and laid over one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.document import dotted, line_number
from crypto_archive.catalog.validation import faults_of
from crypto_archive.config.fields import (
    DATES,
    ENVIRONMENT,
    FIELDS,
    LISTS,
    OPTIONS,
    PRESET,
    SCHEMA_FIELD,
    variables,
)
from crypto_archive.config.symbol_lists import SymbolLists
from crypto_archive.config.values import overlay, resolve, split_words
from crypto_archive.config.vocabulary import vocabulary_faults
from crypto_archive.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from crypto_archive.catalog.document import Document, Place
    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.catalog.validation import Check


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values.

    Attributes:
        raw: Its fields as they are written, with the symbols of lists in place of the lists.
        values: Its fields with their types; empty where anything is wrong with them.
        problems: What is wrong with the form of its values.
        document: The preset's file; None for environment and options.
        names: What the environment and the options call each field.
        listed: Where each symbol is that came from a list.
        bundled: Whether it is a preset that comes with the package.
    """

    raw: Mapping[str, object]
    values: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    document: Document | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    listed: Mapping[Place, str] = field(default_factory=dict)
    bundled: bool = False

    def place(self, where: Place) -> str:
        """Return where a value is, for people: by file and line, or by the name of a variable or an option."""
        if where in self.listed:
            return self.listed[where]
        if self.document is not None:
            return self.document.place(where)
        innermost = where[-1] if where[0] == "date_range" else where[0]
        return self.names.get(str(innermost), dotted(where))


def preset_layer(document: Document, *, bundled: bool = False) -> Layer:
    """Return the layer of a preset; lists of symbols are looked up next to it."""
    raw = {name: value for name, value in document.values.items() if name != SCHEMA_FIELD}
    layer = _with_lists(Layer(raw, document=document, bundled=bundled), SymbolLists(document.path.parent))
    return _validated(layer, PRESET)


def environment_layer() -> Layer:
    """Return the layer of the environment variables and ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    environment, dotenv = variables()
    raw = {**dotenv, **environment}
    names = {name: ("" if name in environment else ".env, ") + FIELDS[name].variable for name in raw}
    return _validated(Layer(raw, names=names), ENVIRONMENT)


def options_layer(options: Mapping[str, object], named: Callable[[str], str], *, standard_input: bool) -> Layer:
    """Return the layer of a caller's values; None and empty lists are options that were not given."""
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    raw = {name: value for name, value in given.items() if value is not None and value != []}
    dates = {part: raw.pop(part) for part in DATES if part in raw}
    names = {name: named(name) for name in (*raw, *DATES, "date_range")}
    if dates:
        whole = raw.get("date_range", {})
        raw["date_range"] = {**whole, **dates} if isinstance(whole, Mapping) else dates
        names["date_range"] = ", ".join(map(named, dates))
    layer = _with_lists(Layer(raw, names=names), SymbolLists(Path(), standard_input))
    return _validated(layer, OPTIONS)


def _with_lists(layer: Layer, lists: SymbolLists) -> Layer:
    layer = _with_words(layer)
    raw = lists.insert(layer.raw, layer.place)
    return replace(layer, raw=raw, listed={**layer.listed, **lists.places}, problems=tuple(lists.problems))


def _with_words(layer: Layer) -> Layer:
    """Return a layer with a list wherever words are written as text, such as ``spot,um``."""
    raw = dict(layer.raw)
    listed: dict[Place, str] = {}
    for name in LISTS:
        value = raw.get(name)
        if isinstance(value, Mapping):
            raw[name] = {key: _words(words, (name, key), layer, listed) for key, words in value.items()}
        elif name in raw:
            raw[name] = _words(value, (name,), layer, listed)
    return replace(layer, raw=raw, listed=listed)


def _words(written: object, at: Place, layer: Layer, listed: dict[Place, str]) -> object:
    """Return words as a list, and note the place of each that is not one item of a list."""
    if isinstance(written, str):
        words = split_words(written)
        listed.update({(*at, index): layer.place(at) for index in range(len(words))})
        return words
    if not isinstance(written, list | tuple) or not any(isinstance(one, str) and "," in one for one in written):
        return written
    found: list[object] = []
    for index, one in enumerate(written):
        for word in split_words(one) if isinstance(one, str) else [one]:
            listed[(*at, len(found))] = layer.place((*at, index))
            found.append(word)
    return found


def _validated(layer: Layer, check: Check) -> Layer:
    """Return a layer with its values, or with what is wrong with them."""
    try:
        values = check(layer.raw)
    except ValueError as error:
        found = (Problem(layer.place(fault[0]), *fault[1:]) for fault in faults_of(error))
        return replace(layer, problems=(*layer.problems, *found))
    return replace(layer, values={name: value for name, value in values.items() if value is not None})


def layer_problems(layer: Layer, matrix: Matrix | None) -> list[Problem]:
    """Return what is wrong with a layer, in the order of its lines; without a matrix its words are not checked."""
    faults = () if matrix is None else vocabulary_faults(layer.raw, matrix)
    words = [Problem(layer.place(where), message, allowed, near) for where, message, allowed, near in faults]
    return sorted((*layer.problems, *words), key=lambda problem: line_number(problem.place))


def date_problems(layer: Layer, today: date) -> Iterator[Problem]:
    """Yield a problem where a layer's own first day is after its last, whatever else is wrong with it."""
    where = ("date_range",)
    try:
        parts = FIELDS[where[0]].kind.check(layer.raw.get(*where) or {})
    except ValueError:
        return  # that is reported already
    try:
        resolve(parts, today)
    except ValueError as error:
        yield Problem(layer.place(where), str(error))


def merged(layers: Iterable[Layer]) -> tuple[dict[str, object], dict[str, str], frozenset[str]]:
    """Return the values that count, for each of them where it came from, and which of them bundled presets give.

    A later layer replaces whole fields, except that the dates of the options replace single ends of a preset's range.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    bundled: set[str] = set()
    dates: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.values.items():
            origins[name] = layer.place((name,))
            if name == "date_range":
                values[name] = dates = overlay(dates if layer.document is None else {}, value)
            else:
                values[name] = value
            (bundled.add if layer.bundled else bundled.discard)(name)
    return values, origins, frozenset(bundled)
