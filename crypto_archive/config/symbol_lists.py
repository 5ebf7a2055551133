"""Lists of symbols: ``@symbols.txt`` stands for the words of a file, ``-`` for those of standard input.

They are read before anything is checked, so that a wrong word is told by the line of the list where it stands.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.errors import Problem
from crypto_archive.preset_files import expanded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.config.document import Place

FILE_SIGN = "@"
STANDARD_INPUT = "-"
LARGEST_BYTES = 4_000_000
"""Far more than the names of all symbols that the archive has; what is larger is no list of them."""

_FIELD = "symbols"
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Read:
    """Fields with the words of the lists in the place of the lists.

    Attributes:
        raw: The fields.
        place: Says where a value stands, words of lists included.
        problems: What is wrong with the lists; those words are left out.
    """

    raw: Mapping[str, object]
    place: Callable[[Place], str]
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Reading:
    """How the lists of one source are read, and what has come of it so far."""

    place: Callable[[Place], str]
    folder: Path
    standard_input: bool
    has_read_standard_input: bool = False
    places: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def with_lists(
    raw: Mapping[str, object], place: Callable[[Place], str], folder: Path, *, standard_input: bool = False
) -> Read:
    """Return the fields of a preset or of the options with all lists of symbols read.

    Args:
        raw: The fields as they are written; what has the wrong form is left for others to find.
        place: Says where a value stands.
        folder: What the names of files are relative to.
        standard_input: Whether standard input may be read.
    """
    symbols = raw.get(_FIELD)
    reading = _Reading(place, folder, standard_input)
    if isinstance(symbols, Mapping):
        groups = {key: _words(words, (_FIELD, key), reading) for key, words in symbols.items()}
        replaced: object = {key: words for key, words in groups.items() if words != [] or symbols[key] == []}
    else:
        replaced = _words(symbols, (_FIELD,), reading)
    if not reading.places and not reading.problems:
        return Read(raw, place)
    others = {name: value for name, value in raw.items() if name != _FIELD}
    # Where nothing is left, each list has failed, and that is told already.
    words = {**others, _FIELD: replaced} if replaced else others
    return Read(words, lambda where: reading.places.get(where) or place(where), tuple(reading.problems))


def _words(words: object, at: Place, reading: _Reading) -> object:
    """Return the words of one entry with those of its lists, and remember where each of them stands."""
    if not isinstance(words, list | tuple) or not any(map(_is_list, words)):
        return words
    found: list[object] = []
    for index, word in enumerate(words):
        where = reading.place((*at, index))
        for item, its_place in _items(word, where, reading) if _is_list(word) else ((word, where),):
            reading.places[(*at, len(found))] = its_place
            found.append(item)
    return found


def _is_list(word: object) -> bool:
    return isinstance(word, str) and (word == STANDARD_INPUT or word.removeprefix("!").startswith(FILE_SIGN))


def _items(word: str, where: str, reading: _Reading) -> Iterator[tuple[str, str]]:
    """Yield the words of a list, each with its place; what is wrong is added to the problems."""
    try:
        text = _decoded(_content(word, reading), word)
    except ValueError as error:
        reading.problems.append(Problem(where, str(error)))
        return
    empty = True
    for number, line in enumerate(_LINE_END.split(text), 1):
        for item in line.partition("#")[0].replace(",", " ").split():
            empty, place = False, f"{where} {word}, line {number}"
            if fault := _fault(item):
                reading.problems.append(Problem(place, fault))
            else:
                yield item, place
    if empty:
        reading.problems.append(Problem(where, f"{_name(word)} holds no symbols"))


def _fault(item: str) -> str | None:
    if _is_list(item):
        return f"{item!r} cannot stand in a list of symbols; a list holds names and globs, no other lists"
    if item[0] in "'\"":
        return f"{item} needs no quotes in a list of symbols"
    return None


def _content(word: str, reading: _Reading) -> bytes:
    """Return what a list holds, at most a byte more than it may.

    Raises:
        ValueError: It cannot be read; the text says why.
    """
    if word.startswith("!"):
        raise ValueError(f"{word!r} excludes a whole list, which cannot be; write ! before each word of the list")
    if word == FILE_SIGN or "\0" in word:
        raise ValueError(f"{word!r} names no file; write it like '@symbols.txt'")
    try:
        if word == STANDARD_INPUT:
            return _of_standard_input(reading)
        with (reading.folder / expanded(Path(word.removeprefix(FILE_SIGN)))).open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{_name(word)} cannot be read: {error.strerror or error}") from None


def _of_standard_input(reading: _Reading) -> bytes:
    if not reading.standard_input:
        raise ValueError("'-' is standard input, and only the option --symbol reads it; name a file: '@symbols.txt'")
    if reading.has_read_standard_input:
        raise ValueError("standard input can be read only once")
    reading.has_read_standard_input = True
    stream = getattr(sys.stdin, "buffer", None)  # None where the process was started without
    if stream is None:
        raise ValueError("there is no standard input to read symbols from")
    return bytes(stream.read(LARGEST_BYTES + 1))


def _decoded(content: bytes, word: str) -> str:
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"{_name(word)} is too large, more than {LARGEST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{_name(word)} is not a text in UTF-8") from None


def _name(word: str) -> str:
    return "standard input" if word == STANDARD_INPUT else f"the list of symbols {word.removeprefix(FILE_SIGN)!r}"
