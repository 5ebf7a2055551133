"""Reads a preset file, YAML or JSON, and remembers on which line everything stands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from yaml.reader import Reader

from crypto_archive.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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
