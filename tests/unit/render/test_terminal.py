from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from crypto_archive.events import (
    BatchFinished,
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Cancellation,
    Checked,
    Comparing,
    DaysCovered,
    DaysKept,
    Event,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    PlanFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.model import Action, Market, Notice, Outcome, PlannedObject, RemoteStat, Verdict
from crypto_archive.render.stats import VERIFY, ProgressStats
from crypto_archive.render.terminal import LINES_ABOVE, TerminalProgress
from tests.unit.jobs.test_report import archive_object

MOMENT = datetime(2025, 7, 16, 12, tzinfo=UTC)
MIB = 1024**2
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def console(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)


def drawn(progress: TerminalProgress, width: int = 80, height: int = 24) -> list[str]:
    """What the terminal would show, line by line."""
    recorder = Console(file=io.StringIO(), width=width, height=height, record=True, color_system=None)
    recorder.print(progress.render())
    return [line.rstrip() for line in recorder.export_text().splitlines()]


def planned(size: int | None = 10 * MIB) -> ObjectPlanned:
    remote = None if size is None else RemoteStat(size, "", MOMENT)
    return ObjectPlanned(PlannedObject(archive_object(), Action.FETCH, "", True, remote))


def progress_of(*events: Event, clock: Clock | None = None, width: int = 80, height: int = 24) -> TerminalProgress:
    progress = TerminalProgress(console(width, height), clock=clock or Clock())
    for event in events:
        progress.show(event)
    return progress


def test_bytes_objects_rate_time_left_and_lanes() -> None:
    clock = Clock()
    progress = progress_of(
        RunStarted("run-1", MOMENT, (), "v2.3.0"),
        *[planned()] * 4,
        PlanFinished(),
        BatchStarted(0, 1, "spot klines", 1, 3),
        BatchStarted(1, 2, "futures_um liquidationSnapshot", 1, 1),
        clock=clock,
    )
    clock.now = 2.0
    progress.show(
        ObjectFinished(
            archive_object(),
            Outcome.FETCHED,
            size=10 * MIB,
            bytes_fetched=10 * MIB,
            remote=RemoteStat(10 * MIB, "", MOMENT),
            lane=0,
        )
    )
    progress.show(BytesArrived(0, 4 * MIB))
    progress.show(BytesArrived(1, 6 * MIB))
    lines = drawn(progress)
    assert lines[0] == "Collecting  run run-1" + " " * 48 + "0:00:02"
    assert "50%   0:00:02 left" in lines[1]
    assert lines[2] == "20.0 MiB of 40.0 MiB          10.0 MiB/s        1 of 4 objects"
    assert lines[3] == "1 fetched"
    assert lines[5:] == [
        "   1  spot klines                          1 of 3    14.0 MiB  batch 1",
        "   2  futures_um liquidationSnapshot       0 of 1     6.0 MiB  batch 2",
    ]


def test_a_growing_plan_has_no_percentage() -> None:
    lines = drawn(progress_of(planned()))
    assert "%" not in lines[1]
    assert lines[1].endswith("planning…")
    assert lines[2].endswith("0 of 1 object so far")


def test_without_sizes_the_bar_counts_objects() -> None:
    settled = ObjectFinished(archive_object(), Outcome.FETCHED, bytes_fetched=MIB)
    lines = drawn(progress_of(planned(None), planned(None), PlanFinished(), settled))
    assert "50%" in lines[1]
    assert lines[2].startswith("1.0 MiB  ")
    assert " of " not in lines[2][:27]


def test_a_lane_that_waits_and_one_that_is_idle() -> None:
    clock = Clock()
    progress = progress_of(
        BatchStarted(0, 1, "spot klines", 1, 3),
        BatchStarted(1, 2, "spot trades", 1, 3),
        BatchRetried(0, 1, 1, 4.0, 3, "SlowDown"),
        BatchFinished(1, 2),
        clock=clock,
    )
    lines = drawn(progress)
    assert lines[5] == "   1  spot klines  SlowDown                0 of 3              retry in 4 s"
    assert lines[6] == "   2  idle"
    clock.now = 9.0
    assert drawn(progress)[5].endswith("retrying now")
    progress.show(BatchStarted(0, 1, "spot klines", 2, 3))
    assert drawn(progress)[5].endswith("attempt 2")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 12), (200, 60), (40, 8)])
@pytest.mark.parametrize("lanes", [1, 8, 64])
def test_it_fits_the_terminal(width: int, height: int, lanes: int) -> None:
    events: list[Event] = [planned(10**12), PlanFinished()]
    for lane in range(lanes):
        events += [BatchStarted(lane, 10_000 + lane, "futures_um liquidationSnapshot", 1, 100), BytesArrived(lane, MIB)]
        events.append(BatchRetried(lane, 10_000 + lane, 1, 30.0, 100, "nothing arrived for 60 seconds\n" * 3))
    lines = drawn(progress_of(*events, width=width, height=height), width, height)
    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= width
    assert ("more lanes" in lines[-1]) == (lanes + 7 > height)


def test_the_first_notices_and_failures_stay_above_the_bar() -> None:
    clock = Clock()
    screen = console(width=200)
    with TerminalProgress(screen, clock=clock) as progress:
        progress.show(RunStarted("run-1", MOMENT, (Notice("spot bookDepth: never"),), "v2.3.0"))
        for number in range(LINES_ABOVE + 3):
            progress.show(Noticed(Notice(f"notice {number}")))
            progress.show(ObjectFinished(archive_object(number), Outcome.FAILED, "Slow\x1b[31mDown"))
        progress.show(RunFinished(1.0))
    text = screen.file.getvalue()
    assert "note  spot bookDepth: never" in text
    assert f"failed  {archive_object().key}: Slow\\x1b[31mDown" in text
    assert text.count("further notes are in the report") == 1
    assert text.count("further failures are in the report") == 1
    assert archive_object(LINES_ABOVE).key not in text


def test_it_is_redrawn_only_now_and_then() -> None:
    clock = Clock()
    screen = console()
    with TerminalProgress(screen, clock=clock) as progress:
        progress.show(PlanFinished())
        before = len(screen.file.getvalue())
        for _ in range(100):
            clock.now += 0.001
            progress.show(BytesArrived(0, 1))
        assert len(screen.file.getvalue()) == before
        clock.now += 0.2
        progress.show(BytesArrived(0, 1))
        assert len(screen.file.getvalue()) > before


def crash(progress: TerminalProgress) -> None:
    with progress:
        progress.show(PlanFinished())
        raise RuntimeError("a bug")


def test_the_terminal_is_left_as_it_was_found_even_after_an_error() -> None:
    screen = console()
    with pytest.raises(RuntimeError, match="a bug"):
        crash(TerminalProgress(screen, clock=Clock()))
    text = screen.file.getvalue()
    assert text.count(HIDE_CURSOR) == 1
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)


def test_a_verification() -> None:
    clock = Clock()
    screen = console()
    progress = TerminalProgress(screen, VERIFY, clock)
    progress.show(Checked("a.zip", Market.SPOT, "klines", Verdict.OK, MIB))
    clock.now = 2.0
    progress.show(Checked("b.zip", Market.SPOT, "klines", Verdict.CORRUPT, MIB, "wrong digest"))
    lines = drawn(progress)
    assert lines[0].startswith("Verifying")
    assert "%" not in lines[1]
    assert lines[2].split("  ")[0] == "2.0 MiB"
    assert lines[2].endswith("2 objects")
    assert lines[3] == "1 ok  1 corrupt"
    assert "corrupt  b.zip: wrong digest" in screen.file.getvalue()


def test_only_the_first_bad_objects_stay_above_the_bar() -> None:
    screen = console()
    progress = TerminalProgress(screen, VERIFY, Clock())
    for _ in range(LINES_ABOVE + 2):
        progress.show(Checked("a.zip", Market.SPOT, "klines", Verdict.MISSING))
    lines = drawn(progress)
    assert lines[2].endswith("12 objects")
    text = screen.file.getvalue()
    assert text.count("missing  a.zip") == LINES_ABOVE
    assert text.count("further failures are in the report") == 1


def test_the_title_shows_a_comparison_and_a_note_what_stays() -> None:
    progress = progress_of(PlanFinished(), Comparing(archive_object(), 31, 12), width=120)
    assert drawn(progress, 120)[0].startswith("Comparing  BTCUSDT-1h-2020-01-01.zip with its days, 12 of 31 held")
    progress.show(DaysCovered(archive_object(), ("a",), 100))
    progress.show(DaysKept(archive_object(), 31, "its rows are not those of x.zip"))
    written = progress._console.file
    assert isinstance(written, io.StringIO)
    assert "which stay: its rows are not those of x.zip" in written.getvalue()


def test_a_typed_interrupt_fits_behind_every_line() -> None:
    """A terminal prints ^C where the cursor is; a line that this makes too long would stay behind above the summary."""
    progress = progress_of(*[BatchStarted(lane, lane + 1, "spot klines " * 9, 1, 7) for lane in range(3)])
    assert max(len(line) for line in drawn(progress)) <= 80 - len("^C^C")


@pytest.mark.parametrize("left", [Outcome.CANCELLED, Outcome.FETCHED])
def test_no_frame_after_an_interruption_has_a_percentage(left: Outcome) -> None:
    token = Cancellation()
    progress = TerminalProgress(console(), cancellation=token)
    stats = ProgressStats(lambda: 0.0, cancellation=token)
    for event in (planned(), planned(), PlanFinished(), ObjectFinished(archive_object(0), Outcome.FETCHED)):
        progress.show(event)
        stats.add(event)
    assert "0%" in "".join(drawn(progress))
    token.request()
    for event in (ObjectFinished(archive_object(1), left), RunFinished(1.0, interrupted_by=2)):
        progress.show(event)
        stats.add(event)
        shown = "".join(drawn(progress))
        assert "%" not in shown
        assert "stopping…" in shown
    assert (stats.fraction, stats.seconds_left) == (None, None)
