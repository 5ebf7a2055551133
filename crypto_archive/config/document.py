"""Preset files and symbol lists, read with the line of everything in them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from yaml.reader import Reader

from crypto_archive.config.preset_files import expanded
from crypto_archive.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[str | int, ...]
"""The way to a value from the top of a configuration: field names and positions in lists."""

_CORE = "tag:yaml.org,2002:"
_BOOL, _INT, _TIMESTAMP = (f"{_CORE}{kind}" for kind in ("bool", "int", "timestamp"))
_TAGS = {f"{_CORE}{kind}" for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str")}
_LINE = re.compile(r", line (\d+)(?:, |\Z)")
_BARE_PATTERN = re.compile(r"(?:^\s*-|[\[,:])\s*[*!@]", re.MULTILINE)


class _Loader(yaml.SafeLoader):
    """YAML without its traps: ``NO`` and ``on`` stay words, ``012`` and dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to declare it
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in {_BOOL, _INT, _TIMESTAMP}]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))
_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789"))


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content, with its lines.

    Attributes:
        label: What the file is called in messages.
        path: Where it is.
        values: Its fields.
        node: Its syntax tree, None where there is none to take line numbers from.
    """

    label: str
    path: Path
    values: Mapping[str, object]
    node: yaml.Node | None

    def place(self, place: Place) -> str:
        """Return where a value stands, such as ``research.yaml, line 12, intervals.klines[2]``."""
        return located(self.label, _line(self.node, place), place)


def dotted(place: Place) -> str:
    """Return a place as people write it: ``intervals.klines[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def located(label: str, line: int | None, place: Place = ()) -> str:
    """Return label, line and place in one text; what is unknown is left out."""
    parts = (label, "" if line is None else f"line {line}", dotted(place))
    return ", ".join(filter(None, parts))


def line_number(place: str) -> int:
    """Return the line in a text that ``located`` made, 0 where it has none."""
    found = _LINE.search(place)
    return int(found[1]) if found else 0


def read_document(path: Path, label: str) -> Document:
    """Read a preset file; a name that ends in ``.json`` is read as JSON, all others as YAML.

    Raises:
        ConfigError: The file cannot be read, is no YAML or JSON, names a field twice, or holds no fields.
    """
    text = _text(path, label)
    read = _json if path.suffix.lower() == ".json" else _yaml
    try:
        values, node = read(text, label)
    except RecursionError:
        raise ConfigError([Problem(label, "is nested too deeply to be a preset")]) from None
    if not isinstance(values, dict):
        what = "is empty" if values is None else "is not a mapping of fields"
        raise ConfigError([Problem(label, f"{what}; a preset has lines like 'markets: [spot]'")])
    return Document(label, path, values, node)


def _text(path: Path, label: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([Problem(label, "is not a text file in UTF-8")]) from None
    except OSError as error:
        raise ConfigError([Problem(label, f"cannot be read: {error.strerror or error}")]) from None


def _yaml(text: str, label: str) -> tuple[object, yaml.Node | None]:
    try:
        node = _compose(text)
        _refuse_faults(node, label)
        return (None if node is None else _construct(node)), node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = located(label, mark.line + 1 if mark else None)
        raise ConfigError([Problem(where, _yaml_fault(error, text))]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(label, f"is not valid YAML: {' '.join(str(error).split())}")]) from None


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _construct(node: yaml.Node) -> object:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
        # PyYAML lets these through for values that do not fit their tag, such as '!!int x' or a number too long.
        message = "a number has too many digits, or a value does not fit its tag"
        raise yaml.constructor.ConstructorError(None, None, message, node.start_mark) from None
    finally:
        loader.dispose()


def _yaml_fault(error: yaml.MarkedYAMLError, text: str) -> str:
    if "'\\t'" in (error.problem or ""):
        return "is not valid YAML: a tab cannot indent a line, use spaces"
    fault = "is not valid YAML: " + ", ".join(filter(None, (error.context, error.problem)))
    if _BARE_PATTERN.search(text):
        fault += "; a text that begins with *, ! or @ needs quotes, such as '*USDT'"
    return fault


def _json(text: str, label: str) -> tuple[object, yaml.Node | None]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError([Problem(located(label, error.lineno), f"is not valid JSON: {error.msg}")]) from None
    except ValueError:  # a number of more digits than Python converts
        raise ConfigError([Problem(label, "is not valid JSON: it holds a number that is too long")]) from None
    node = _json_node(text)
    _refuse_faults(node, label)
    return values, node


def _json_node(text: str) -> yaml.Node | None:
    """Return the tree of a JSON text for its lines; YAML takes JSON nearly as it is, save for tabs between tokens."""
    try:
        return _compose(Reader.NON_PRINTABLE.sub(" ", text.replace("\t", " ")))
    except yaml.YAMLError:
        return None


def _refuse_faults(node: yaml.Node | None, label: str) -> None:
    if node is not None and (found := tuple(_faults(node, label, (), set()))):
        raise ConfigError(found)


def _faults(node: yaml.Node, label: str, place: Place, seen: set[int]) -> Iterator[Problem]:
    """Yield a problem for each tag that presets have no use for, and for each key that stands twice in a mapping.

    The parser would keep the last of two in silence. ``seen`` holds the nodes that were looked at, since aliases
    bring a node up again, maybe without end.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.tag not in _TAGS:
        yield Problem(located(label, node.start_mark.line + 1, place), _tag_fault(node.tag))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _faults(item, label, (*place, index), seen)
    elif isinstance(node, yaml.MappingNode):
        first_line: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first_line:
                where = located(label, line, (*place, name))
                yield Problem(where, f"stands twice, first in line {first_line[name]}; keep one of them")
            first_line.setdefault(name, line)
            yield from _faults(value, label, (*place, name), seen)


def _tag_fault(tag: str) -> str:
    if tag.startswith(_CORE):
        return f"has the tag !!{tag.removeprefix(_CORE)}; write it without a tag"
    return f"{tag.rstrip(',')!r} is read as a tag by YAML; put quotes around it if it is a text"


def _line(node: yaml.Node | None, place: Place) -> int | None:
    """Return the line of the value at ``place``, or of the nearest thing around it that the file has."""
    if node is None or not place:
        return None
    line = None
    for step in place:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    return None


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
