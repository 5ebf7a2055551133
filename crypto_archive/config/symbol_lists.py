"""Lists of symbols, in files (``@symbols.txt``) and on standard input (``-``)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from errno import EINVAL
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.errors import Problem
from crypto_archive.files import expanded, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crypto_archive.catalog.document import Place

FILE_SIGN = "@"
STANDARD_INPUT = "-"
LARGEST_BYTES = 1_000_000
MOST_SYMBOLS = 100_000
"""In one list: far more than all symbols that the archive has."""

_FIELD = "symbols"
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class SymbolLists:
    """Reads the symbol lists of one source of values.

    Attributes:
        folder: What the names of files are relative to.
        standard_input: Whether standard input may be read.
        places: Where each symbol is, once ``insert`` has read the lists.
        problems: What is wrong with the lists; those words are left out.
    """

    folder: Path
    standard_input: bool = False
    places: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _has_read_standard_input: bool = False

    def insert(self, raw: Mapping[str, object], place: Callable[[Place], str]) -> Mapping[str, object]:
        """Return the fields of a preset or of the options with the symbols of all lists in place of the lists.

        What does not have the right form is left for others to find; ``place`` returns where a value is.
        """
        symbols = raw.get(_FIELD)
        if isinstance(symbols, Mapping):
            groups = {key: self._words(words, (_FIELD, key), place) for key, words in symbols.items()}
            inserted: object = {key: words for key, words in groups.items() if words != [] or symbols[key] == []}
        else:
            inserted = self._words(symbols, (_FIELD,), place)
        if not self.places and not self.problems:
            return raw
        others = {name: value for name, value in raw.items() if name != _FIELD}
        # Nothing is left where every list failed, which is reported already.
        return {**others, _FIELD: inserted} if inserted else others

    def _words(self, words: object, at: Place, place: Callable[[Place], str]) -> object:
        if not isinstance(words, list | tuple) or not any(map(_is_list, words)):
            return words
        found: list[object] = []
        for index, word in enumerate(words):
            where = place((*at, index))
            for item, its_place in self._items(word, where) if _is_list(word) else ((word, where),):
                self.places[(*at, len(found))] = its_place
                found.append(item)
        return found

    def _items(self, word: str, where: str) -> Iterator[tuple[str, str]]:
        """Yield the words of a list, each with its place; what is wrong is added to the problems."""
        try:
            text = self._text(word)
        except ValueError as error:
            self.problems.append(Problem(where, str(error)))
            return
        count = 0
        for number, line in enumerate(_LINE_END.split(text), 1):
            for item in line.partition("#")[0].replace(",", " ").split():
                count, place = count + 1, f"{where} {word}, line {number}"
                if count > MOST_SYMBOLS:
                    self.problems.append(Problem(place, f"the list has more than {MOST_SYMBOLS:,} symbols"))
                    return
                if fault := _fault(item):
                    self.problems.append(Problem(place, fault))
                else:
                    yield item, place
        if not count:
            self.problems.append(Problem(where, f"{_name(word)} contains no symbols"))

    def _text(self, word: str) -> str:
        """Return the text of a list; raises ``ValueError`` with the reason where it cannot be read."""
        if word.startswith("!"):
            raise ValueError(f"{word!r} cannot exclude a whole list; write ! before each symbol in the list")
        if word == FILE_SIGN or "\0" in word:
            raise ValueError(f"{word!r} does not name a file; write it like '@symbols.txt'")
        try:
            if word == STANDARD_INPUT:
                content = self._standard_input()
            else:
                content = read_regular(self.folder / expanded(Path(word.removeprefix(FILE_SIGN))), LARGEST_BYTES)
        except OSError as error:
            advice = "; use '-' for a pipe" if error.errno == EINVAL else ""
            raise ValueError(f"{_name(word)} cannot be read: {error.strerror or error}{advice}") from None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{_name(word)} is not UTF-8 text") from None

    def _standard_input(self) -> bytes:
        if not self.standard_input:
            raise ValueError("'-' (standard input) works only with the option --symbol; name a file: '@symbols.txt'")
        if self._has_read_standard_input:
            raise ValueError("standard input can be read only once")
        self._has_read_standard_input = True
        stream = getattr(sys.stdin, "buffer", None)  # None where the process was started without
        if stream is None:
            raise ValueError("cannot read symbols: standard input is closed")
        content = bytes(stream.read(LARGEST_BYTES + 1))
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"standard input is larger than {LARGEST_BYTES:,} bytes")
        return content


def _is_list(word: object) -> bool:
    return isinstance(word, str) and (word == STANDARD_INPUT or word.removeprefix("!").startswith(FILE_SIGN))


def _fault(item: str) -> str | None:
    if _is_list(item):
        return f"{item!r} is not allowed in a list of symbols; a list contains names and globs, not other lists"
    if item[0] in "'\"":
        return f"{item} needs no quotes in a list of symbols"
    return None


def _name(word: str) -> str:
    return "standard input" if word == STANDARD_INPUT else f"the list of symbols {word.removeprefix(FILE_SIGN)!r}"
