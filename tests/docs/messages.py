"""Every message that a person can meet, read from the code: the text, the exit code that comes with it, and the hint.

Where a value is put into a text stands ``…``. Errors are found where they are made, and what is wrong with a value of
a configuration, a matrix file or a lock file where that is said, since such a ``ValueError`` becomes part of a message.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = Path(errors.__file__).parent
_ERRORS = {
    name: int(kind.exit_code)
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.CryptoArchiveError)
}
_VALUES = ("config", "catalog", "plan/lockfile.py")
"""Where a ValueError is what is wrong with a value that a person gave."""


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """A message of the code.

    Attributes:
        exit_code: How a command ends that says it.
        text: What it says.
        hint: What it says is to be done, empty without a hint of its own.
    """

    exit_code: int
    text: str
    hint: str


@lru_cache
def messages() -> tuple[Message, ...]:
    """Return all messages, each once, by exit code and text."""
    found = {message for path in sorted(PACKAGE.rglob("*.py")) for message in _messages_in(path)}
    hinted = {(message.exit_code, message.text) for message in found if message.hint}
    return tuple(sorted(one for one in found if one.hint or (one.exit_code, one.text) not in hinted))


def _messages_in(path: Path) -> Iterator[Message]:
    place = path.relative_to(PACKAGE).as_posix()
    speaks_of_values = place.startswith(_VALUES)
    module = ast.parse(path.read_text(encoding="utf-8"))
    constants = _assigned(module.body)
    for scope in ast.walk(module):
        if not isinstance(scope, ast.FunctionDef):
            continue
        assigned = constants | _assigned(ast.walk(scope))
        for call in ast.walk(scope):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                yield from _messages_of(call, call.func.id, assigned, speaks_of_values)


def _messages_of(
    call: ast.Call, name: str, assigned: dict[str, list[ast.expr]], speaks_of_values: bool
) -> Iterator[Message]:
    if name == "Problem" and len(call.args) > 1:
        code, said = int(errors.ExitCode.USAGE), call.args[1]
    elif name == "ValueError" and speaks_of_values and call.args:
        code, said = int(errors.ExitCode.USAGE), call.args[0]
    elif name in _ERRORS and call.args:
        code, said = _ERRORS[name], call.args[0]
    else:
        return
    hints = [text for word in call.keywords if word.arg == "hint" for text in _texts(word.value, assigned)]
    for text in _texts(said, assigned):
        for hint in hints or [""]:
            yield Message(code, text, hint.removeprefix("…. "))


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what is assigned to each name by the statements among the nodes."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _texts(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Yield the texts that an expression may come to, those left out that have no words of their own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, assigned)
        yield from _texts(node.orelse, assigned)
        return
    elif isinstance(node, ast.Name):
        for value in assigned.get(node.id, []):
            if not isinstance(value, ast.Name):
                yield from _texts(value, assigned)
        return
    else:
        return
    if any(len(word) > 3 for word in text.replace("…", " ").split()):
        yield " ".join(text.split())
