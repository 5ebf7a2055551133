"""A relayout as it is shown: lines in a pipe, a bar on a terminal, and the summary."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from crypto_archive.errors import ExitCode
from crypto_archive.events import LeftAlone, Moved, MovesCounted, Noticed
from crypto_archive.jobs.relayout import LEFT_KEPT, RelayoutReport
from crypto_archive.model import Notice
from crypto_archive.render.plain import PlainProgress, stamped
from crypto_archive.render.progress import progress
from crypto_archive.render.stats import RELAYOUT, RELAYOUT_PREVIEW
from crypto_archive.render.summary import LEFT_SHOWN, relayout_summary
from crypto_archive.render.terminal import TerminalProgress

MOVED = Moved("data/a.zip", "data/a.zip", "data/market=spot/a.zip")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def said(report: RelayoutReport) -> list[str]:
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(relayout_summary(report))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_in_a_pipe_it_is_a_few_lines() -> None:
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stamped(stream, lambda: datetime(2025, 7, 16, tzinfo=UTC)), RELAYOUT, clock) as shown:
        shown.show(Noticed(Notice("waiting")))
        shown.show(MovesCounted(3000))
        for number in range(3000):
            clock.seconds = number / 300
            shown.show(MOVED)
    lines = [line.removeprefix("2025-07-16T00:00:00Z ") for line in stream.getvalue().splitlines()]
    assert lines == [
        "relayout started",
        "note: waiting",
        "3,000 objects to move",
        "50%, 1,501 of 3,000 objects moved, about 5.0 s left",
        "relayout ended after 10 s: 3,000 of 3,000 objects moved",
    ]


def test_a_dry_run_says_what_would_be_moved() -> None:
    stream = io.StringIO()
    with PlainProgress(stamped(stream), RELAYOUT_PREVIEW, Clock()) as shown:
        shown.show(MovesCounted(3))
        for _ in range(3):
            shown.show(MOVED)
    assert stream.getvalue().splitlines()[-1].endswith("relayout dry run ended after 0.0 s: 3 objects would be moved")
    assert "of 3" not in stream.getvalue()


def test_what_is_in_the_way_is_reported_immediately_and_what_is_not_an_object_is_not() -> None:
    stream = io.StringIO()
    with PlainProgress(stamped(stream), RELAYOUT, Clock()) as shown:
        shown.show(LeftAlone("data/notes.txt", "no object of the archive"))
        shown.show(LeftAlone("data/a.zip", "something stands at data/b.zip", in_the_way=True))
    assert "in the way: data/a.zip: something stands at data/b.zip\n" in stream.getvalue()
    assert "notes.txt" not in stream.getvalue()


def test_on_a_terminal_it_is_a_bar() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with TerminalProgress(console, RELAYOUT, Clock()) as shown:
        before = drawn(shown)
        shown.show(MovesCounted(4))
        shown.show(MOVED)
        shown.show(LeftAlone("data/notes.txt", "no object of the archive"))
        assert drawn(shown).startswith("Moving")
        assert drawn(shown).endswith("1 of 4 objects moved")
    assert "checking…" in before


def drawn(shown: TerminalProgress) -> str:
    recorder = Console(file=io.StringIO(), width=80, record=True, color_system=None)
    recorder.print(shown.render())
    return recorder.export_text().rstrip()


def test_quiet_shows_nothing() -> None:
    stream = io.StringIO()
    with progress(stream, RELAYOUT, quiet=True) as shown:
        shown.show(MOVED)
    assert stream.getvalue() == ""
    with progress(stream, RELAYOUT) as shown:
        shown.show(MovesCounted(1))
    assert "1 object to move" in stream.getvalue()


def report_of(*events: Moved | LeftAlone, **fields: object) -> RelayoutReport:
    report = RelayoutReport("/data/binance", "mirror", "hive", seconds=2.0)
    for event in events:
        report.add(event)
    for name, value in fields.items():
        setattr(report, name, value)
    return report


@pytest.mark.parametrize(
    ("report", "code", "line"),
    [
        (report_of(MOVED, in_place=2), ExitCode.OK, "moved     1 object"),
        (report_of(MOVED, dry_run=True), ExitCode.OK, "would move  1 object"),
        (
            report_of(MOVED, interrupted_by=2),
            ExitCode.INTERRUPTED,
            "→ Run the same command again: it continues",
        ),
        (
            report_of(LeftAlone("data/a.zip", "something stands at data/b.zip", in_the_way=True)),
            ExitCode.PARTIAL,
            "→ Nothing was moved. Move away what is in the way",
        ),
    ],
)
def test_the_summary_says_what_to_do(report: RelayoutReport, code: ExitCode, line: str) -> None:
    assert report.exit_code() is code
    words = [" ".join(one.split()) for one in said(report)]
    assert [one for one in words if one.startswith(" ".join(line.split()))], words
    assert any("mirror → hive" in one for one in said(report))


def test_of_many_files_that_are_left_a_few_are_shown_and_many_kept() -> None:
    report = report_of(
        *(LeftAlone(f"data/{number}.txt", "no object of the archive") for number in range(LEFT_KEPT + 5))
    )
    assert (len(report.left), report.left_omitted) == (LEFT_KEPT, 5)
    assert report.document()["left_omitted"] == 5
    shown = [line for line in said(report) if ".txt" in line]
    assert len(shown) == LEFT_SHOWN
    assert f"and {LEFT_KEPT + 5 - LEFT_SHOWN:,} more; --json lists them" in "\n".join(said(report))
