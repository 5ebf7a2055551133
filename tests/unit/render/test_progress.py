from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import pytest

from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.cli.options import Color, ColorOptions
from crypto_archive.cli.words import applied
from crypto_archive.events import Checked, PlanFinished, RunFinished
from crypto_archive.model import Market, Verdict
from crypto_archive.render import plain
from crypto_archive.render.progress import progress
from crypto_archive.render.stats import VERIFY
from crypto_archive.render.tables import matrix_table, show

CHECKED = Checked("a.zip", Market.SPOT, "klines", Verdict.OK)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Lost(io.StringIO):
    """A stream whose other end is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class LostTerminal(Lost):
    def isatty(self) -> bool:
        return True


class HungUp(LostTerminal):
    """A terminal whose line has dropped in the middle of the run."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        if self.writes > 3:
            raise OSError(5, "Input/output error")
        return len(text)


@pytest.fixture(autouse=True)
def a_capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(stream: Any, *, quiet: bool = False) -> str:
    with progress(stream, quiet=quiet) as run:
        run.show(PlanFinished())
        run.show(RunFinished(1.0))
    with progress(stream, VERIFY, quiet=quiet) as checks:
        checks.show(CHECKED)
    return stream.getvalue()


def test_a_terminal_gets_live_progress() -> None:
    assert "\x1b[" in shown(Terminal())


def test_a_pipe_gets_plain_lines() -> None:
    text = shown(io.StringIO())
    assert "\x1b" not in text
    assert "run ended after 1.0 s" in text
    assert "verification ended" in text


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(Terminal())


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_quiet_shows_nothing(stream: io.StringIO) -> None:
    assert shown(stream, quiet=True) == ""


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_verbose_progress_has_each_object_and_what_is_said_in_between(stream: io.StringIO) -> None:
    with progress(stream, VERIFY, verbose=True) as checks:
        for number in range(30):
            checks.show(CHECKED._replace(object_key=f"{number:02}.zip"))
            checks.say(f"words {number:02}")
    words = re.findall(r"\d\d\.zip|words \d\d", stream.getvalue())
    assert words == [word for number in range(30) for word in (f"{number:02}.zip", f"words {number:02}")]


def test_without_figures_a_terminal_gets_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PROGRESS_SECONDS", 0.0)
    figures, none = io.StringIO(), Terminal()
    for stream, wanted in ((figures, True), (none, False)):
        with progress(stream, VERIFY, figures=wanted) as checks:
            checks.show(CHECKED)
            checks.show(CHECKED._replace(verdict=Verdict.CORRUPT, reason="other bytes"))
    assert "1 object, 0 B, 0 B/s" in figures.getvalue()
    assert [line.partition(" ")[2] for line in none.getvalue().splitlines()][:2] == [
        "verification started", "corrupt: a.zip: other bytes"
    ]  # fmt: skip
    assert "\x1b" not in none.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown(Terminal())


def test_without_color_nothing_is_bold_or_dim_either() -> None:
    for color, styled in ((Color.AUTO, True), (Color.NEVER, False)):
        table = Terminal()
        with applied(ColorOptions(color), "matrix show"):
            live = shown(Terminal())
            show(matrix_table(load_matrix().rows), table)
        for text in (live, table.getvalue()):
            assert bool(re.search(r"\x1b\[[\d;]+m", text)) is styled
        assert "\x1b[?25l" in live  # it is still drawn in place


@pytest.mark.parametrize("stream", [Lost(), LostTerminal(), HungUp()])
def test_a_run_outlives_its_terminal(stream: io.StringIO) -> None:
    standard_error = sys.stderr
    assert shown(stream) == ""
    assert sys.stderr is standard_error


def test_an_error_of_the_run_is_not_swallowed() -> None:
    with pytest.raises(OSError, match="disk"), progress(io.StringIO()):
        raise OSError("disk")


def test_cheap_parts_do_not_load_rich() -> None:
    code = (
        "import sys, crypto_archive.jobs.report, crypto_archive.render.plain, crypto_archive.text; "
        "print([name for name in sys.modules if name.split('.')[0] in ('rich', 'typer', 'pydantic')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
