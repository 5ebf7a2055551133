"""The manual pages have every command, option, example and variable, and are what formatters take."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from crypto_archive.config.environment import variable_of
from crypto_archive.config.fields import ENVIRONMENT_FIELDS
from crypto_archive.errors import ExitCode
from tests.docs.commands import commands, examples
from tests.docs.man import options_of, page_name, pages, roff, walk

PAGES = pages()
CHECKERS = {"mandoc": ("mandoc", "-T", "lint", "-W", "warning"), "groff": ("groff", "-man", "-ww", "-z", "-Tutf8")}


def page(path: str) -> str:
    return PAGES[f"{page_name(path)}.1"]


@pytest.mark.parametrize(("path", "command"), walk(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_has_its_entry(path: str, command: Any) -> None:
    names = [name for option in options_of(path, command) for name in (*option.opts, *option.secondary_opts)]
    assert "--help" in names
    for name in names:
        assert re.search(rf"^\\fB.*{re.escape(roff(name))}\\fR", page(path), re.MULTILINE), name


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.path or "crypto-archive")
def test_every_command_has_a_page_with_its_examples(command: Any) -> None:
    for line in examples(command):
        assert roff(line) in page(command.path).splitlines()
    parent = command.path.rpartition(" ")[0]
    assert roff(page_name(command.path)) in page(parent)


def test_variables_and_exit_codes_are_there() -> None:
    for field in ENVIRONMENT_FIELDS:
        assert roff(variable_of(field)) in page("")
    for text in PAGES.values():
        assert re.findall(r"^\\fB(\d+)\\fR$", text, re.MULTILINE) == [str(int(code)) for code in ExitCode]


@pytest.mark.parametrize("name", CHECKERS)
def test_formatters_take_the_pages(name: str, tmp_path: Any) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}")
    for file, text in PAGES.items():
        (tmp_path / file).write_text(text, "utf-8")
    done = subprocess.run([*CHECKERS[name], *sorted(PAGES)], cwd=tmp_path, capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "date" not in line]
    assert said == []


@pytest.mark.parametrize("text", [".start", "'start", r"back\slash", "a-b"])
def test_what_roff_would_read_as_its_own_is_shown_as_it_is(text: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    source = f".TH X 1\n.SH NAME\n{roff(text)}\n"
    shown = subprocess.run(["groff", "-man", "-Tascii"], input=source, capture_output=True, text=True, check=True)
    assert text in re.sub(r"\x1b\[[\d;]*m|.\x08", "", shown.stdout)
