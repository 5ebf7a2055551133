"""Plans against a root, read back for tests that are about what is planned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.archive.results import ROOT

if TYPE_CHECKING:
    from tests.archive.running import Runner


def plan(run: Runner, *arguments: str) -> dict[str, Any]:
    """Return the document of a plan against the root."""
    document: dict[str, Any] = json.loads(_said(run, arguments, "--json"))
    return document


def planned(run: Runner, *arguments: str) -> set[str]:
    """Return the keys of a plan against the root."""
    return keys_of(_said(run, arguments, "--format", "jsonl"))


def keys_of(lines: str) -> set[str]:
    """Return the keys of what ``plan --format jsonl`` has said, each of which must come once."""
    keys = [json.loads(line)["key"] for line in lines.splitlines()]
    assert len(set(keys)) == len(keys), "an object is planned twice"
    return set(keys)


def _said(run: Runner, arguments: tuple[str, ...], *form: str) -> str:
    (run.folder / ROOT).mkdir(exist_ok=True)
    code, stdout, stderr = run("plan", *form, "-o", ROOT, *arguments)
    assert code == 0, stderr
    return stdout
