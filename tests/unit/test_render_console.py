from __future__ import annotations

import io
from typing import TYPE_CHECKING

from crypto_archive.render.console import waiting

if TYPE_CHECKING:
    import pytest


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_wait_is_shown_on_a_terminal_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    with waiting(stream, "Reading …"):
        pass
    assert "Reading …" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")  # the line is cleared


def test_a_wait_is_not_shown_in_a_pipe() -> None:
    stream = io.StringIO()
    with waiting(stream, "Reading …"):
        pass
    assert stream.getvalue() == ""
