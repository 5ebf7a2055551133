"""The library as programs and notebooks use it: events, callbacks, tokens, threads, asyncio, and its documents."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import doctest
import io
import json
import re
import signal
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import crypto_archive
from crypto_archive import (
    Cancellation,
    Event,
    ObjectFinished,
    Outcome,
    Report,
    RootLocked,
    RunConfig,
    UsageError,
    collect,
    collect_async,
    collect_events,
    load_preset,
    plan,
    symbols,
    verify,
    write_shards,
)
from crypto_archive.errors import ExitCode
from crypto_archive.events import RunStarted
from crypto_archive.jobs import run as running
from tests.archive.proxy import Stall
from tests.archive.results import KEYS, assert_whole, processes_of, stored, validate

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.served import Archive

DOCUMENT = Path(__file__).parents[2] / "docs" / "library.md"
HANDLED = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def here(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_outside_settings: None) -> Path:
    """An empty folder to work in, with the archive's endpoint in the environment."""
    del no_outside_settings
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT_URL", archive.endpoint_url)
    return tmp_path


@pytest.fixture
def stalled(here: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """The same, behind a proxy that holds the last of ``KEYS`` back."""
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT_URL", proxy.endpoint_url)
    proxy.fault("GET", f"*{KEYS[2]}", Stall())
    return proxy


def three(**fields: Any) -> RunConfig:
    """The request for the objects of ``KEYS``."""
    wanted: dict[str, Any] = {
        "markets": ["spot"], "data_types": ["klines"], "symbols": ["BTCUSDT"], "intervals": {"klines": ["1h"]},
        "start": "2025-07-13", "end": "2025-07-15", "output_directory": "archive",
    }  # fmt: skip
    return load_preset(**wanted | fields)


def assert_nothing_is_left(folder: Path) -> None:
    assert processes_of(folder) == []
    assert list(folder.glob("archive/.crypto-archive/staging/*")) == []


# The documents


def test_the_examples_of_the_document(here: Path) -> None:
    """All blocks run one after the other; the text block below one is what it prints."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    names: dict[str, Any] = {"__name__": "notebook"}
    for code, printed in blocks:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, str(DOCUMENT), "exec"), names)
        assert said.getvalue() == printed


@pytest.mark.parametrize("name", sorted({*crypto_archive.__all__} - {"__version__", "Event"}))
def test_the_examples_of_the_docstrings(here: Path, name: str) -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(crypto_archive, name), name)
    assert test.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said = io.StringIO()
    runner.run(test, out=said.write)
    assert not runner.failures, said.getvalue()


# Progress and results


def test_a_run_prints_nothing_and_leaves_signals_alone(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    seen: list[Event] = []
    report = collect(three(), on_event=seen.append)
    assert [signal.getsignal(number) for number in HANDLED] == before
    assert capfd.readouterr() == ("", "")
    assert isinstance(seen[0], RunStarted)
    assert sum(isinstance(event, ObjectFinished) for event in seen) == 3
    assert (report.status, report.exit_code(), stored(here / "archive")) == ("success", ExitCode.OK, set(KEYS))
    assert report.folder is not None
    document = json.loads((report.folder / "report.json").read_text("utf-8"))
    assert document == report.document()
    validate(document, "report.schema.json")
    with pytest.raises(KeyError):
        report["successrate"]


def test_what_stays_has_events_for_each_object_and_a_line_for_all(here: Path) -> None:
    first = collect(three())
    seen: list[Event] = []
    again = collect(three(), on_event=seen.append)
    finished = [event for event in seen if isinstance(event, ObjectFinished)]
    assert [(event.object.key, event.outcome) for event in finished] == [(key, Outcome.PRESENT) for key in KEYS]
    assert again.folder is not None
    journal = map(json.loads, (again.folder / "events.jsonl").read_text("utf-8").splitlines())
    sizes = [event.size for event in finished]
    lines = [(event["keys"], event["sizes"]) for event in journal if event["event"] == "objects-kept"]
    assert lines == [([*KEYS], sizes)]
    assert (again.bytes, [*again.files()]) == (first.bytes, [*first.files()])


def test_the_report_is_there_in_the_end(here: Path) -> None:
    with collect_events(three()) as run:
        next(run)
        with pytest.raises(RuntimeError, match="no report until all its events have been taken"):
            _ = run.report
        for _ in run:
            pass
        assert list(run) == []
        assert run.report.outcomes[Outcome.FETCHED] == 3


def test_a_plan_that_is_left_early_lets_go(here: Path) -> None:
    with plan(three()) as made:
        assert next(iter(made)).object.key == KEYS[0]
    assert list(made.objects) == []


def test_nothing_selected_is_refused_before_anything_begins(here: Path) -> None:
    with pytest.raises(UsageError, match="Nothing is selected"):
        collect(load_preset(output_directory="archive"))
    assert list(here.iterdir()) == []


def test_the_second_run_is_refused(here: Path) -> None:
    with collect_events(three()) as run:
        next(run)
        with pytest.raises(RootLocked, match="Another run holds the lock"):
            collect(three())


def test_runs_of_different_roots_work_in_parallel_threads(here: Path) -> None:
    def job(number: int) -> Report:
        return collect(three(output_directory=f"archive-{number}"))

    with ThreadPoolExecutor(3) as threads:
        reports = list(threads.map(job, range(3)))
    assert [report.status for report in reports] == ["success"] * 3
    assert [stored(here / f"archive-{number}") for number in range(3)] == [set(KEYS)] * 3


def test_a_lock_file_decides_what_is_fetched(here: Path) -> None:
    lock = here / "three.lock"
    made = plan(three(), lock=lock).consume()
    assert made.locked == 3
    report = collect(load_preset(output_directory="elsewhere"), locked=lock)
    assert (report.status, stored(here / "elsewhere")) == ("success", set(KEYS))


# Files


def test_the_files_of_a_collect_in_five_lines(here: Path) -> None:
    """The recipe: every row of what was just collected, by the standard library alone."""
    report = collect(three())
    rows = []
    for path in report.files():
        with zipfile.ZipFile(path) as packed, packed.open(packed.namelist()[0]) as member:
            rows += csv.reader(io.TextIOWrapper(member))
    assert len(rows) == 3 * 24
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert list(report.files()) == [here / "archive" / key for key in KEYS]


def test_the_next_run_has_the_same_files(here: Path) -> None:
    first, second = collect(three()), collect(three(end="2025-07-14"))
    assert second.outcomes[Outcome.PRESENT] == 2
    assert list(second.files()) == list(first.files())[:2]


@pytest.mark.parametrize("layout", ["mirror", "hive"])
def test_a_plan_knows_the_paths_that_a_collect_fills(here: Path, layout: str) -> None:
    config = three(layout=layout)
    with plan(config) as made:
        planned = [made.path(item) for item in made]
    assert planned == list(collect(config).files())
    with plan(config) as made:
        assert [made.path(item) for item in made] == planned


def test_the_files_of_lock_files_and_shards(here: Path) -> None:
    shards = write_shards(plan(three()), 2, here / "shards")
    config = load_preset(output_directory="archive")
    parts = [list(collect(config, locked=shard.path).files()) for shard in shards]
    assert sorted([*parts[0], *parts[1]]) == [here / "archive" / key for key in KEYS]
    assert all(parts)


# Stopping


def settled(event: Event) -> bool:
    return isinstance(event, ObjectFinished)


def test_a_token_stops_a_run_and_the_next_one_continues(here: Path, stalled: FaultProxy) -> None:
    token = Cancellation()
    with collect_events(three(), cancellation=token) as run:
        for _ in filter(settled, run):
            if len(stored(here / "archive")) == 2:
                token.request()
    report = run.report
    assert (report.status, report["interrupted_by"], report.exit_code()) == (
        "interrupted", "request", ExitCode.INTERRUPTED,
    )  # fmt: skip
    assert (report.outcomes[Outcome.FETCHED], report.outcomes[Outcome.CANCELLED]) == (2, 1)
    validate(report.document(), "report.schema.json")
    assert_nothing_is_left(here)
    stalled.clear()
    again = collect(three())
    assert (again.status, again.outcomes[Outcome.PRESENT], again.outcomes[Outcome.FETCHED]) == ("success", 2, 1)


@pytest.mark.parametrize("how", ["break", "callback"])
def test_a_run_that_is_left_early_stops_its_lanes_and_writes_its_report(
    here: Path, stalled: FaultProxy, how: str
) -> None:
    def leave(event: Event) -> None:
        if settled(event):
            raise LookupError("enough")

    if how == "break":
        with collect_events(three()) as run:
            next(filter(settled, run))
    else:
        with pytest.raises(LookupError, match="enough"):
            collect(three(), on_event=leave)
    assert_nothing_is_left(here)
    (path,) = here.glob("archive/.crypto-archive/runs/*/report.json")
    report = json.loads(path.read_text("utf-8"))
    assert_whole(report)
    assert (report["status"], report["interrupted_by"]) == ("interrupted", "request")
    stalled.clear()
    assert collect(three()).status == "success"


def test_a_verification_is_stopped_by_a_token(here: Path) -> None:
    collect(three())
    token = Cancellation()
    report = verify(three(), cancellation=token, on_event=lambda _: token.request())
    assert (report.status, report.exit_code()) == ("interrupted", ExitCode.INTERRUPTED)
    assert verify(three()).status == "success"


# asyncio


def test_the_event_loop_keeps_running_and_gets_the_events(here: Path) -> None:
    threads: set[int] = set()
    seen: list[Event] = []

    def take(event: Event) -> None:
        threads.add(threading.get_ident())
        seen.append(event)

    result = asyncio.run(collect_async(three(), on_event=take))
    assert threads == {threading.get_ident()}
    assert sum(map(settled, seen)) == 3
    assert (result["success_rate"], result["collection_stats"]["total_size_bytes"]) == (100.0, result.bytes)


def test_very_many_events_do_not_pile_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "EVENTS_AHEAD", 1)
    seen: list[Event] = []
    asyncio.run(collect_async(three(), on_event=seen.append))
    assert sum(map(settled, seen)) == 3


@pytest.mark.parametrize("times", [1, 2])
def test_a_task_that_is_cancelled_stops_the_run(here: Path, stalled: FaultProxy, times: int) -> None:
    async def main() -> None:
        two = asyncio.Event()

        def take(event: Event) -> None:
            if len(stored(here / "archive")) == 2:
                two.set()

        task = asyncio.ensure_future(collect_async(three(), on_event=take))
        await two.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert_nothing_is_left(here)
    (path,) = here.glob("archive/.crypto-archive/runs/*/report.json")
    assert json.loads(path.read_text("utf-8"))["status"] == "interrupted"


def test_an_error_of_the_callback_in_the_loop_ends_the_run(here: Path, stalled: FaultProxy) -> None:
    def leave(event: Event) -> None:
        if settled(event):
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        asyncio.run(collect_async(three(), on_event=leave))
    assert_nothing_is_left(here)


def test_errors_reach_the_awaiting_task(here: Path) -> None:
    with pytest.raises(UsageError, match="Nothing is selected"):
        asyncio.run(collect_async(load_preset(output_directory="archive")))


def test_symbols_lists_klines_when_no_data_type_is_selected(here: Path) -> None:
    """An empty selection of types means all of them elsewhere; here one is listed, and it once raised IndexError."""
    del here
    named = load_preset(markets=["spot"], data_types=["klines"])
    unnamed = load_preset(markets=["spot"])
    assert list(symbols(unnamed)) == list(symbols(named)) != []
