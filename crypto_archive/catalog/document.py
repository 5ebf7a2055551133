"""YAML and JSON files, read strictly: no duplicate fields, no tags, and every value with its line."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.reader import Reader

from crypto_archive.errors import ConfigError, Problem
from crypto_archive.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Place = tuple[str | int, ...]
"""The way to a value from the top of a file: field names and positions in lists."""

LARGEST_BYTES = 1_000_000
MOST_VALUES = 50_000
"""In a document, counting what an alias repeats each time; the bundled matrix has 600."""
MOST_FIELDS = 1_000
"""In a mapping; to find the line of each takes longer the more there are."""
_PRECISE_BYTES = 50_000
"""Up to this size the slower reader, which explains mistakes better, takes a second or two."""

_CORE = "tag:yaml.org,2002:"
_BOOL, _INT, _TIMESTAMP = (f"{_CORE}{kind}" for kind in ("bool", "int", "timestamp"))
_TAGS = {f"{_CORE}{kind}" for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str")}
_LINE = re.compile(r", line (\d+)(?:, |\Z)")
_BARE_PATTERN = re.compile(r"(?:^\s*-|[\[,:])\s*[*!@]", re.MULTILINE)


def _without_traps(base: Any) -> Any:
    """Return a YAML loader without YAML's traps: ``NO`` and ``on`` stay words, ``012`` and dates stay text."""
    resolvers = {
        first: [(tag, regexp) for tag, regexp in found if tag not in {_BOOL, _INT, _TIMESTAMP}]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader: Any = type(base.__name__, (base,), {"yaml_implicit_resolvers": resolvers})
    loader.add_implicit_resolver(_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF"))
    loader.add_implicit_resolver(_INT, re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789"))
    return loader


_Loader = _without_traps(yaml.SafeLoader)
# Ten times faster, but not installed everywhere, and less precise about what is wrong.
_QuickLoader = _without_traps(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Document(NamedTuple):
    """A file's content, with its lines.

    Attributes:
        label: What messages call the file.
        path: The file.
        values: Its fields.
        node: Its syntax tree with the line of every value; None where there is none.
    """

    label: str
    path: Path
    values: Mapping[str, Any]
    node: yaml.Node | None = None

    def place(self, place: Place) -> str:
        """Return where a value is, such as ``research.yaml, line 12, intervals.klines[2]``."""
        return located(self.label, _line(self.node, place), place)


def dotted(place: Place) -> str:
    """Return a place as people write it: ``intervals.klines[2]``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def located(label: str, line: int | None, place: Place = ()) -> str:
    """Return label, line and place as one text, without those that are unknown."""
    return ", ".join(filter(None, (label, "" if line is None else f"line {line}", dotted(place))))


def line_number(place: str) -> int:
    """Return the line in a text that ``located`` made, 0 where it has none."""
    found = _LINE.search(place)
    return int(found[1]) if found else 0


def read_document(path: Path, label: str, *, quick: bool = False) -> Document:
    """Read a file as JSON if its name ends in ``.json``, else as YAML; ``quick`` for files that are rarely wrong.

    Raises:
        ConfigError: The file cannot be read, is too large or not valid, has a duplicate field, or is not a mapping of
            fields.
    """
    try:
        content = read_regular(path, LARGEST_BYTES)
        loader = _QuickLoader if quick or len(content) > _PRECISE_BYTES else _Loader
        text = content.decode("utf-8-sig")
        read = _json if path.suffix.lower() == ".json" else _yaml
        values, node = read(text, label, loader)
        half_pairs = tuple(_half_pairs(values, ()))
    except UnicodeDecodeError:
        raise ConfigError([Problem(label, "cannot be read: it is not UTF-8 text")]) from None
    except OSError as error:
        raise ConfigError([Problem(label, f"cannot be read: {error.strerror or error}")]) from None
    except RecursionError:
        raise ConfigError([Problem(label, "is nested too deeply")]) from None
    if not isinstance(values, dict):
        fault = "is empty" if values is None else "is not a mapping of fields"
        raise ConfigError([Problem(label, f"{fault}; write lines like 'field: value'")])
    document = Document(label, path, values, node)
    if half_pairs:
        raise ConfigError(Problem(document.place(place), _HALF_PAIR) for place in half_pairs)
    return document


def _yaml(text: str, label: str, loader: Any) -> tuple[object, yaml.Node | None]:
    try:
        node = yaml.compose(text, loader)
        _refuse_faults(node, label)
        return (None if node is None else _construct(node)), node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fault = ", ".join(filter(None, (error.context, error.problem)))
        if "'\\t'" in fault:
            fault = "tabs cannot indent a line; use spaces"
        elif _BARE_PATTERN.search(text):
            fault += "; text that starts with *, ! or @ needs quotes, such as '*USDT'"
        place = located(label, mark.line + 1 if mark else None)
        raise ConfigError([Problem(place, f"is not valid YAML: {fault}")]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(label, f"is not valid YAML: {' '.join(str(error).split())}")]) from None


def _construct(node: yaml.Node) -> object:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
        # PyYAML lets these through for values that do not fit their tag, such as '!!int x' or a number too long.
        fault = "a number has too many digits, or a value does not fit its tag"
        raise yaml.constructor.ConstructorError(None, None, fault, node.start_mark) from None
    finally:
        loader.dispose()


def _json(text: str, label: str, loader: Any) -> tuple[object, yaml.Node | None]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError([Problem(located(label, error.lineno), f"is not valid JSON: {error.msg}")]) from None
    except ValueError:  # a number of more digits than Python converts
        raise ConfigError([Problem(label, "is not valid JSON: a number has too many digits")]) from None
    try:  # YAML reads JSON nearly as it is, except for tabs between tokens
        node = yaml.compose(Reader.NON_PRINTABLE.sub(" ", text.replace("\t", " ")), loader)
    except yaml.YAMLError:
        if text.count(",") > MOST_VALUES:
            raise _too_large(label) from None
        return values, None
    _refuse_faults(node, label)
    return values, node


def _refuse_faults(node: yaml.Node | None, label: str) -> None:
    if node is None:
        return
    if _count_values(node, {}) > MOST_VALUES:
        raise _too_large(label)
    if found := tuple(_faults(node, label, (), set())):
        raise ConfigError(found)


def _too_large(label: str) -> ConfigError:
    limits = (
        f"at most {MOST_VALUES:,} values, with those that an alias (*name) repeats, and {MOST_FIELDS:,} in a mapping"
    )
    return ConfigError([Problem(label, f"is too large: a file has {limits}")])


def _count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """Return how many values there are in a node once its aliases are expanded, which can be any number of them."""
    if id(node) not in counts:
        counts[id(node)] = MOST_VALUES + 1  # as seen from inside: an alias to what surrounds it never ends
        inner: Iterable[yaml.Node] = ()
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            if len(node.value) > MOST_FIELDS:
                return MOST_VALUES + 1
            inner = chain.from_iterable(node.value)
        counts[id(node)] = 1 + sum(_count_values(part, counts) for part in inner)
    return counts[id(node)]


def _faults(node: yaml.Node, label: str, place: Place, seen: set[int]) -> Iterator[Problem]:
    """Yield a problem for each tag, and for each duplicate field, of which YAML would silently keep the last.

    ``seen`` holds the nodes already visited, since aliases lead to a node again, possibly without end.
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
                yield Problem(where, f"duplicate field, first defined on line {first_line[name]}")
            first_line.setdefault(name, line)
            yield from _faults(value, label, (*place, name), seen)


_HALF_PAIR = "contains half of a surrogate pair (\\ud800 to \\udfff alone), which is not a character"


def _half_pairs(value: object, place: Place) -> Iterator[Place]:
    r"""Yield where texts cannot be encoded: ``"\ud800"`` is allowed in JSON and YAML, but is not a character."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            yield place
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _half_pairs(item, (*place, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _half_pairs(name, place)
            yield from _half_pairs(item, (*place, str(name)))


def _tag_fault(tag: str) -> str:
    if tag.startswith(_CORE):
        return f"has the tag !!{tag.removeprefix(_CORE)}; remove the tag"
    return f"YAML reads {tag.rstrip(',')!r} as a tag; put it in quotes if it is text"


def _line(node: yaml.Node | None, place: Place) -> int | None:
    """Return the line of the value at ``place``, or of the innermost value around it that the file has."""
    line = None
    for step in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode) and (found := [one for one in node.value if one[0].value == str(step)]):
            key, node = found[0]
            line = key.start_mark.line + 1
        else:
            break
    return line
