"""Progress in a notebook, with IPython's display replaced by a list of what it was given."""

from __future__ import annotations

import builtins
import io
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.events import (
    BatchStarted,
    Event,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.model import Notice, Outcome
from crypto_archive.render.notebook import in_notebook
from crypto_archive.render.plain import is_terminal
from crypto_archive.render.progress import show_progress
from tests.unit.jobs.test_report import archive_object
from tests.unit.render.test_terminal import MIB, MOMENT, planned

if TYPE_CHECKING:
    from collections.abc import Callable

    Bundle = dict[str, str]


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[Bundle]:
    """The frames that the one output of the cell had; a second output fails the test."""
    seen: list[Bundle] = []

    class Handle:
        def update(self, bundle: Bundle, *, raw: bool) -> None:
            assert raw
            seen.append(bundle)

    def display(bundle: Bundle, *, raw: bool, display_id: bool) -> Handle:
        assert (raw, display_id, seen) == (True, True, [])
        seen.append(bundle)
        return Handle()

    shell: Callable[[], Any] = type("ZMQInteractiveShell", (), {})
    module: Any = ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)
    return seen


def events(*more: Event) -> list[Event]:
    return [
        RunStarted("run-1", MOMENT, (), "v2.3.0"),
        planned(),
        PlanFinished(),
        BatchStarted(0, 1, "spot klines", 1, 1),
        *more,
    ]


DONE = (ObjectFinished(archive_object(), Outcome.FETCHED, "", 10 * MIB, 10 * MIB, lane=0), RunFinished(2.0))


def test_a_notebook_has_one_output_that_keeps_the_last_state(
    frames: list[Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_notebook()
    with show_progress() as on_event:
        assert frames == []
        for event in events(*DONE):
            on_event(event)
        assert "spot klines" in frames[-1]["text/plain"]
    last = frames[-1]["text/plain"]
    assert "100%" in last
    assert "1 of 1 object" in last
    assert "spot klines" not in last
    assert capsys.readouterr() == ("", "")


def test_what_is_left_early_does_not_look_finished(frames: list[Bundle]) -> None:
    with pytest.raises(KeyboardInterrupt), show_progress() as on_event:  # noqa: PT012
        for event in events():
            on_event(event)
        raise KeyboardInterrupt
    plain = frames[-1]["text/plain"]
    assert "0 of 1 object" in plain
    assert "100%" not in plain
    assert "━" not in plain  # the track of the bar is faint, which plain text has not


def test_a_job_that_does_not_begin_shows_nothing(frames: list[Bundle]) -> None:
    with pytest.raises(LookupError), show_progress("verify"):
        raise LookupError
    assert frames == []


def test_foreign_text_is_neither_markup_nor_control(frames: list[Bundle]) -> None:
    with show_progress() as on_event:
        on_event(Noticed(Notice("<b>[red]\x1b[31m\u202e")))
        on_event(RunFinished(1.0))
    html = frames[-1]["text/html"]
    assert "&lt;b&gt;[red]" in html
    assert "<b>" not in html
    assert html.replace("\n", "").isprintable()


def test_colours_are_readable_on_light_and_dark_pages(frames: list[Bundle]) -> None:
    with show_progress() as on_event:
        for event in events(ObjectFinished(archive_object(1), Outcome.FAILED, "why", lane=0), *DONE):
            on_event(event)
    colours = set(re.findall("[^-]color: (#[0-9a-f]{6})", frames[-1]["text/html"]))
    assert colours
    for colour in colours:
        red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in (red, green, blue)]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (light + 0.05) >= 3  # on white
        assert (light + 0.05) / 0.05 >= 3  # on black
    assert "background" not in frames[-1]["text/html"]


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    with show_progress() as on_event:
        for event in events(*DONE):
            on_event(event)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_drawn_on_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert is_terminal(sys.stderr)
    with show_progress("verify") as on_event:
        on_event(ObjectPlanned(planned().planned))
        on_event(RunFinished(1.0))
    assert "Verifying" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert sys.stderr.getvalue().endswith("\x1b[2K")  # type: ignore[attr-defined]


def test_an_unknown_job_is_an_error() -> None:
    with pytest.raises(ValueError, match="'colect' is not one of collect, verify, relayout"), show_progress("colect"):
        pass
