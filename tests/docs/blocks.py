"""The code blocks of a document, as a reader who follows it would run them, one after the other in one folder.

Shell blocks are run by bash, unless it has nothing to do; Python blocks by this interpreter. A block of text right
below one is what it prints, but for figures and paths, which differ from one machine to the next. A YAML block that
begins with a file name in a comment is that file. A block below ``<!-- not run: why -->`` is passed over.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.archive.inside import run_inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PIECES = re.compile(
    r"^(?P<heading>##? [^\n]+)$|^<!-- not run: (?P<reason>[^\n]+) -->$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_PLAIN_CALL = re.compile(r"crypto-archive [^|&;<>$`\\*?~#()]*")
_FILE = re.compile(r"# (\S+\.(?:ya?ml|txt))\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a document.

    Attributes:
        kind: Its language, as the fence names it.
        text: What stands in it.
        section: The heading of the second level that it stands under; empty above the first one.
        prints: What a block of text right below it says that it prints; None without one.
        reason: Why it is not run; empty where it is.
    """

    kind: str
    text: str
    section: str
    prints: str | None = None
    reason: str = ""


def blocks(document: str) -> list[Block]:
    """Return the blocks of a document in their order; texts that are printed belong to the block that prints them."""
    found: list[Block] = []
    section = reason = ""
    end = -1  # where the block before ended; -1 where something else came in between
    for piece in _PIECES.finditer(document):
        if heading := piece["heading"]:
            section, end = heading.removeprefix("## "), -1
        elif piece["reason"]:
            reason, end = piece["reason"], -1
        elif piece["kind"] == "text" and end >= 0 and not document[end : piece.start()].strip():
            last = found.pop()
            found.append(Block(last.kind, last.text, last.section, piece["text"], last.reason))
        else:
            found.append(Block(piece["kind"], piece["text"], section, None, reason))
            reason, end = "", piece.end()
    return found


def write_files(document: str, folder: Path) -> None:
    """Write the files that a document shows."""
    for block in blocks(document):
        if block.kind in ("yaml", "text") and (named := _FILE.match(block.text)):
            (folder / named[1].rpartition("/")[2]).write_text(block.text, encoding="utf-8")


def run_shell(block: Block, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a shell block, each command of which has to succeed, and return what it prints on standard output.

    Where a shell has nothing to do, since all lines are plain calls of crypto-archive, these run within this process.
    """
    lines = block.text.splitlines()
    if all(_PLAIN_CALL.fullmatch(line) for line in lines):
        return "".join(_run_call(line, folder, environment) for line in lines)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder, env=dict(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block.text}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _run_call(line: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = run_inside(shlex.split(line)[1:], folder, environment, seconds=120)
    assert done.code == 0, f"{line}\nexit code {done.code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(block: Block) -> str:
    """Run a Python block in the current folder, and return what it prints."""
    said = io.StringIO()
    names: dict[str, Any] = {"__name__": "document"}
    with contextlib.redirect_stdout(said):
        exec(compile(block.text, block.section, "exec"), names)
    return said.getvalue()


def put_on_path(folder: Path) -> None:
    """Write a ``crypto-archive`` and a ``python3`` into a folder, both of this interpreter."""
    folder.mkdir()
    for name, arguments in (("crypto-archive", "-m crypto_archive"), ("python3", "")):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        path.chmod(0o755)


def shape(text: str) -> list[str]:
    """Return the lines of an output without what differs from run to run: figures, units, paths, and the widths."""
    text = re.sub(r"(?<=\s)/\S+/", "", text)
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN", text)
    text = re.sub(r"\d[\d.,]*( [kKMGT]?i?B)?\b", "0", text)
    text = re.sub(r"─+", "─", re.sub(r"[ \t]+", " ", text))
    return [line.strip() for line in text.strip().splitlines()]
