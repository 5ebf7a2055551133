"""The engine against an s5cmd that does what a test tells it: whatever it does, outcomes add up to the plan.

The s5cmd here is a small program that reads a run-file and speaks s5cmd's JSON, or misbehaves; its processes and
signals are real.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import psutil
import pytest
from hypothesis import given, settings, strategies as st
from tenacity.wait import wait_none

from crypto_archive.config.run_config import Fetching
from crypto_archive.errors import EndpointUnreachable, RootUnusable, S5cmdUnusable
from crypto_archive.events import (
    BatchFinished,
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Cancellation,
    Event,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    PlanFinished,
)
from crypto_archive.files import DiskQueue
from crypto_archive.model import Absence, Action, Covered, ManifestEntry, Outcome, PlannedObject, RemoteStat, Verdict
from crypto_archive.root.store import Root
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.child import AwakeClock
from crypto_archive.transfer import backlog as backlog_module, engine as engine_module, lane as lane_module
from crypto_archive.transfer.concurrency import Concurrency
from crypto_archive.transfer.engine import Engine
from crypto_archive.transfer.finish import RetryDownload
from tests.objects import LISTED_AT, an_object, context_of, kept, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from crypto_archive.model import ArchiveObject
    from crypto_archive.plan.batches import Group
    from crypto_archive.transfer.batch import ObjectState

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the made-up s5cmd is a script with a shebang")

E = TypeVar("E")
LONGEST_TEST_SECONDS = 60.0

PROGRAM = """#!{python} -IS
import datetime, json, os, re, shlex, signal, sys, time
from fnmatch import fnmatch
from pathlib import Path

signal.signal(signal.SIGINT, signal.SIG_DFL)
told = json.loads(Path({told!r}).read_text())
if told.get("stubborn"):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
run_file = Path(sys.argv[-1])
with open({told!r} + ".started", "a") as file:
    print(run_file.name, file=file)
attempt = int((re.findall(r"-attempt(\\d+)", run_file.name) or [1])[0])
failures = 0


def say(**fields):
    print(json.dumps(dict(operation="cp", **fields)), flush=True)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(path.name + ".part").write_text(text)
    path.with_name(path.name + ".part").rename(path)


def done(source, target, size):
    say(success=True, source=source, destination=target, object=dict(type="file", size=size))


def act(deed, source, target):
    global failures
    text = "bytes of " + target
    if deed.startswith("error:"):
        failures += 1
        say(command=f"cp {{source}} {{target}}", error=deed[len("error:"):])
    elif deed in ("copy", "quiet"):
        write(Path(target), text)
        deed == "copy" and done(source, target, len(text))
    elif deed == "lie":
        done(source, target, len(text))
    elif deed == "rubbish":
        sys.stdout.buffer.write(bytes(range(256)) + b'{{"operation":"cp","success":tr\\n{{}}\\n[]\\n' + b"x" * 70000)
        print(flush=True)
    elif deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "half":
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target + ".part").write_text("x" * 1000)
    elif deed.startswith("meet:"):
        Path(deed[len("meet:"):]).read_text()
    elif deed.startswith("gate:"):
        while not Path(deed[len("gate:"):]).exists():
            time.sleep(0.002)
    while deed == "chatter":
        print("still here", flush=True)
        time.sleep(0.002)
    while deed == "hang":
        signal.pause()


def copies(words):
    # A bucket that has zip and sidecar of every day.
    *flags, source, target = words
    if "--raw" in flags:
        yield source, target
        return
    if patterns.startswith("error:"):
        return
    excluded = [value for flag, value in zip(flags, flags[1:]) if flag == "--exclude"]
    head, year, month = re.fullmatch("(.*?)([0-9]{{4}})-([0-9]{{2}})-.*[.]zip.*", source).groups()
    for day in range(1, 32):
        for tail in (".zip", ".zip.CHECKSUM"):
            url = f"{{head}}{{year}}-{{month}}-{{day:02}}{{tail}}"
            if fnmatch(url, source) and not any(fnmatch(url, pattern) for pattern in excluded):
                yield url, target + url.rpartition("/")[2]


words = [shlex.split(line) for line in run_file.read_text().splitlines() if not line.startswith("#")]
patterns = told["patterns"][min(attempt, len(told["patterns"])) - 1]
for command in words:
    if "--raw" not in command and patterns.startswith("error:"):
        act(patterns, *command[-2:])
for source, target in (pair for command in words for pair in copies(command)):
    default = told["sidecars"] if target.endswith(".CHECKSUM") else told["zips"]
    deeds = told["keys"].get(target, default)
    if "by-name" in run_file.name:
        deeds = told["by_name"] or deeds
    for deed in deeds[min(attempt, len(deeds)) - 1].split(" then "):
        act(deed, source, target)
sys.exit(told.get("exit", 1 if failures else 0))
"""

ABSENT = "error:NoSuchKey:  status code: 404"
DENIED = "error:AccessDenied: Access Denied status code: 403"
BUSY = "error:SlowDown: Please reduce your request rate. status code: 503"
REFUSED = "error:RequestError: send request failed caused by: dial tcp 127.0.0.1:1: connect: connection refused"
DISK_FULL = "error:write x: no space left on device"
NO_WORD = "s5cmd exited without reporting this object"


def fetched(item: ObjectState) -> ObjectFinished:
    """The event of good bytes."""
    size = Path(item.file).stat().st_size
    return item.ended(Outcome.FETCHED)._replace(size=size, bytes_fetched=size)


@dataclass
class Site:
    """A place to work at, with an s5cmd that does what it is told."""

    folder: Path
    fetching: Fetching = field(default_factory=lambda: Fetching(jobs=1, attempts=2))
    finish: Callable[[ObjectState], ObjectFinished | RetryDownload] = fetched
    explain_absence: Callable[[ArchiveObject], Absence] = lambda _: Absence.HOLE
    cancellation: Cancellation = field(default_factory=Cancellation)
    program: Path | None = None

    @property
    def run_folder(self) -> Path:
        return self.folder / "run"

    @property
    def staging(self) -> Path:
        return Root(self.folder).staging / self.run_folder.name

    @property
    def run_files(self) -> list[str]:
        return sorted(path.name for path in self.run_folder.iterdir())

    @property
    def started(self) -> list[str]:
        """The run-files of batches that s5cmd was started with, in their order; not those that try a door."""
        started = (self.folder / "told.json.started").read_text(encoding="utf-8").splitlines()
        return [name for name in started if name.startswith("batch-")]

    def does(
        self,
        zips: str | list[str] = "copy",
        sidecars: str | list[str] = "copy",
        keys: dict[str, str | list[str]] | None = None,
        patterns: str | list[str] = "copy",
        by_name: str | None = None,
        **more: object,
    ) -> Site:
        """Say what s5cmd does with each key, in each attempt; the last deed counts for all further attempts.

        A pattern copies what it matches, or fails as a whole; ``by_name`` is for what no pattern has brought.
        """
        told = {
            "zips": in_a_list(zips),
            "sidecars": in_a_list(sidecars),
            "keys": {key: in_a_list(deeds) for key, deeds in (keys or {}).items()},
            "patterns": in_a_list(patterns),
            "by_name": in_a_list(by_name) if by_name else None,
            **more,
        }
        self.run_folder.mkdir(exist_ok=True)
        behaviour = self.folder / "told.json"
        behaviour.write_text(json.dumps(told), encoding="utf-8")
        self.program = self.folder / "s5cmd"
        self.program.write_text(PROGRAM.format(python=sys.executable, told=str(behaviour)), encoding="utf-8")
        self.program.chmod(0o755)
        return self

    @contextmanager
    def engine(self, concurrency: Concurrency | None = None) -> Iterator[Engine]:
        """An engine that finishes objects, and explains absences, as the site does."""
        assert self.program is not None, "tell it what to do"
        context = context_of(Root(self.folder), self.fetching, cancellation=self.cancellation)
        binary, concurrency = Binary(self.program, "2.3.0"), concurrency or Concurrency(self.fetching.jobs or 1, 16)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(lane_module, "finish_object", lambda _c, _b, _r, state, _f: self.finish(state))
            patched.setattr(lane_module, "absence", lambda _row, item, _today: self.explain_absence(item))
            with Engine(context, self.run_folder, binary, concurrency) as engine:
                yield engine


@dataclass
class Ran:
    """A run that has ended."""

    engine: Engine
    events: list[Event]  # of what was kept, those of each object
    kept: list[ObjectsKept]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def settled(self) -> dict[str, ObjectFinished]:
        return {event.object.key: event for event in self.of(ObjectFinished)}

    @property
    def outcomes(self) -> dict[str, int]:
        return dict(Counter(event.outcome.value for event in self.of(ObjectFinished)))

    @property
    def reasons(self) -> set[str]:
        return {event.reason for event in self.of(ObjectFinished)}


def in_a_list(deeds: str | list[str]) -> list[str]:
    return [deeds] if isinstance(deeds, str) else deeds


def supply(planned: Iterable[PlannedObject]) -> Generator[PlannedObject, None, None]:
    yield from planned


def run(
    site: Site,
    planned: Iterable[PlannedObject],
    react: Callable[[Event], None] = lambda _: None,
    *,
    error: bool = False,
) -> Ran:
    """Run to the end, and see that the books balance.

    Args:
        site: Where.
        planned: What.
        react: Is shown every event.
        error: Whether the run is expected to end early.
    """
    with site.engine() as engine:
        ran = Ran(engine, [], [])
        for event in chain.from_iterable(engine.run(supply(planned))):
            if isinstance(event, ObjectsKept):
                ran.kept.append(event)
            for one in event.each() if isinstance(event, ObjectsKept) else (event,):
                ran.events.append(one)
                react(one)
    check_the_books(ran)
    assert not any(site.staging.iterdir())
    assert error or engine.error is None, engine.error
    return ran


def check_the_books(ran: Ran) -> None:
    """Every planned object has exactly one outcome, after it was planned; the plan ends once."""
    planned: set[str] = set()
    settled: set[str] = set()
    for event in ran.events:
        if isinstance(event, ObjectPlanned):
            planned.add(event.planned.object.key)
        elif isinstance(event, ObjectFinished):
            assert event.object.key in planned
            assert event.object.key not in settled
            settled.add(event.object.key)
    assert settled == planned
    assert len(ran.of(PlanFinished)) == 1
    assert {event.batch for event in ran.of(BatchStarted)} <= {event.batch for event in ran.of(BatchFinished)}


def join_lanes() -> None:
    """Wait until the lanes have nothing more to do; meanwhile nobody looks after them."""
    for thread in threading.enumerate():
        if thread.name == "lane":
            thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the lanes all the time, try again at once, and let batches be small."""
    monkeypatch.setattr(backlog_module, "SMALLEST_SHARE", 1)
    monkeypatch.setattr(backlog_module, "SMALLEST_EARLY_SHARE", 1)
    monkeypatch.setattr(engine_module, "TICK_SECONDS", 0.005)
    monkeypatch.setattr("tenacity.wait.wait_random_exponential", lambda **_: wait_none())


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """End a test that hangs, and find the threads and processes that one has left behind."""
    threads = set(threading.enumerate())
    children = set(psutil.Process().children())
    former = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)
    assert set(threading.enumerate()) <= threads
    assert set(psutil.Process().children(recursive=True)) <= children


def out_of_time(*_: object) -> None:
    raise TimeoutError(f"the test took more than {LONGEST_TEST_SECONDS:g} seconds")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def keys(*numbers: int) -> list[str]:
    return [an_object(number).key for number in numbers]


# The way it should be


def test_everything_is_fetched_and_reported(site: Site) -> None:
    arrived: list[tuple[int, set[str]]] = []

    def finish(item: ObjectState) -> ObjectFinished:
        assert Path(item.file).read_text() == f"bytes of {item.planned.object.key}"
        assert item.arrived_sidecar is not None
        assert Path(item.arrived_sidecar).read_text() == f"bytes of {item.planned.object.sidecar_key}"
        arrived.append((item.attempts, {*item.rejected}))
        return fetched(item)

    ran = run(replace(site, finish=finish).does(), many_to_fetch(3))
    assert ran.outcomes == {"fetched": 3}
    assert [(event.lane, event.attempts) for event in ran.of(ObjectFinished)] == [(0, 1)] * 3
    assert [event.planned for event in ran.of(ObjectPlanned)] == list(many_to_fetch(3))
    assert ran.of(BatchStarted) == [BatchStarted(0, 1, "spot klines", 1, 3)]
    assert ran.of(BatchFinished) == [BatchFinished(0, 1)]
    assert ran.of(BatchRetried) == []
    assert arrived == [(1, set())] * 3
    assert site.run_files == ["batch-00001.s5cmd"]


def test_an_empty_plan_does_nothing(site: Site) -> None:
    ran = run(site.does(), [])
    assert ran.events == [PlanFinished()]
    assert site.run_files == []


def test_what_is_there_is_settled_without_s5cmd(site: Site) -> None:
    ran = run(site.does(), [kept(an_object(number), size=7) for number in range(3)])
    assert ran.outcomes == {"present": 3}
    assert {(event.size, event.bytes_fetched, event.lane) for event in ran.of(ObjectFinished)} == {(7, 0, None)}
    assert site.run_files == []


def test_what_is_there_and_what_is_not_in_one_plan(site: Site) -> None:
    planned = [kept(item.object) if number % 2 else item for number, item in enumerate(many_to_fetch(6))]
    assert run(site.does(), planned).outcomes == {"present": 3, "fetched": 3}


def test_several_lanes_share_the_batches(site: Site) -> None:
    """The first lane waits for a gate that opens when another one has brought something."""
    gate = site.folder / "gate"
    site.does(keys={keys(0)[0]: f"gate:{gate} then copy"})
    site.fetching = Fetching(jobs=3, batch_size=1)
    ran = run(site, many_to_fetch(6), lambda event: gate.touch() if isinstance(event, ObjectFinished) else None)
    assert ran.outcomes == {"fetched": 6}
    assert (
        ran.of(ObjectFinished)[-1].object.key == keys(0)[0] or len({event.lane for event in ran.of(ObjectFinished)}) > 1
    )
    assert {event.batch for event in ran.of(BatchFinished)} == set(range(1, 7))


@pytest.mark.parametrize(
    ("seconds", "jobs", "chosen"),
    [
        (0.001, None, Concurrency(8, 2)),
        (0.06, None, Concurrency(8, 2)),
        (0.1, None, Concurrency(14, 5)),
        (0.5, None, Concurrency(32, 5)),
        (0.06, 8, Concurrency(32, 5)),
    ],
    ids=["here", "near", "not far", "far", "as asked for"],
)
def test_a_few_lanes_are_enough_for_a_server_that_is_near(
    site: Site, monkeypatch: pytest.MonkeyPatch, seconds: float, jobs: int | None, chosen: Concurrency
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    site.fetching = Fetching(jobs=jobs)
    with site.does().engine(Concurrency(32, 5)) as engine:
        engine.note_answer(seconds)
        ran = [event for events in engine.run(supply(many_to_fetch(100))) for event in events]
    lanes = {event.lane for event in ran if isinstance(event, BatchStarted)}
    assert engine.concurrency == chosen
    assert lanes <= set(range(chosen.lanes))


@pytest.mark.parametrize(
    ("batch_size", "commands"),
    [(1, {"batch-00001.s5cmd": 1, "batch-00002.s5cmd": 1, "batch-00003.s5cmd": 1}), (3, {"batch-00001.s5cmd": 1})],
)
def test_a_run_file_has_no_more_commands_than_it_may(site: Site, batch_size: int, commands: dict[str, int]) -> None:
    site.fetching = Fetching(jobs=1, batch_size=batch_size)
    assert run(site.does(), many_to_fetch(3)).outcomes == {"fetched": 3}
    assert {name: (site.run_folder / name).read_text().count("\ncp ") for name in site.run_files} == commands


@pytest.mark.parametrize("wanted", [True, False])
def test_an_object_without_a_sidecar_arrives_alone(site: Site, wanted: bool) -> None:
    sidecars = []

    def finish(item: ObjectState) -> ObjectFinished:
        sidecars.append(item.arrived_sidecar)
        return fetched(item)

    ran = run(replace(site, finish=finish).does(sidecars=ABSENT), many_to_fetch(2, with_sidecar=wanted))
    assert ran.outcomes == {"fetched": 2}
    assert sidecars == [None, None]
    assert ran.of(BatchRetried) == []


def test_symbols_in_any_script_are_fetched(site: Site) -> None:
    planned = [to_fetch(an_object(symbol=symbol)) for symbol in ("币安人生USDT", "1000SHIBUSDT", "A'B $(x) \"C")]
    assert run(site.does(), planned).outcomes == {"fetched": 3}


# Whatever s5cmd prints or returns

MISBEHAVIOUR = {
    "says nothing, does all": ({"zips": "quiet", "sidecars": "quiet"}, {"fetched": 3}, {""}, 1),
    "exits with 1, having done all": ({"exit": 1}, {"fetched": 3}, {""}, 1),
    "exits with 77, having done all": ({"exit": 77}, {"fetched": 3}, {""}, 1),
    "exits with 0, having done nothing": ({"zips": "silent", "exit": 0}, {"failed": 3}, {NO_WORD}, 2),
    "exits with 1, having done nothing": ({"zips": "silent", "exit": 1}, {"failed": 3}, {NO_WORD}, 2),
    "says it has done what it has not": ({"zips": "lie"}, {"failed": 3}, {NO_WORD}, 2),
    "prints rubbish, does all": ({"zips": "rubbish then copy"}, {"fetched": 3}, {""}, 1),
    "prints rubbish only": ({"zips": "rubbish", "sidecars": "rubbish"}, {"failed": 3}, {NO_WORD}, 2),
    "kills itself at the start": ({"zips": "die"}, {"failed": 3}, {NO_WORD}, 2),
    "kills itself, then does all": ({"zips": ["die", "copy"]}, {"fetched": 3}, {""}, 2),
    "kills itself when all is done": (
        {"keys": {keys(2)[0] + ".CHECKSUM": "copy then die"}}, {"fetched": 3}, {""}, 1,
    ),
    "leaves halves behind": ({"zips": "half"}, {"failed": 3}, {NO_WORD}, 2),
    "brings the sidecars only": ({"zips": BUSY}, {"failed": 3}, {BUSY.removeprefix("error:")}, 2),
    "brings the zips only": ({"sidecars": BUSY}, {"failed": 3}, {BUSY.removeprefix("error:")}, 2),
    "is busy once": ({"zips": [BUSY, "copy"]}, {"fetched": 3}, {""}, 2),
    "finds nothing": ({"zips": ABSENT, "sidecars": ABSENT}, {"absent": 3}, {"hole"}, 1),
    "fails for reasons of its own": ({"zips": "error:what?"}, {"failed": 3}, {"what?"}, 2),
}  # fmt: skip


@pytest.mark.parametrize(("told", "outcomes", "reasons", "attempts"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_an_s5cmd_that(
    site: Site, told: dict[str, object], outcomes: dict[str, int], reasons: set[str], attempts: int
) -> None:
    ran = run(site.does(**told), many_to_fetch(3))  # type: ignore[arg-type]
    assert ran.outcomes == outcomes
    assert ran.reasons == reasons
    assert [event.attempt for event in ran.of(BatchStarted)] == list(range(1, attempts + 1))


DEEDS = st.sampled_from(
    ["copy", "copy", "quiet", "lie", "silent", "rubbish", "die", "half", ABSENT, DENIED, BUSY, REFUSED, DISK_FULL]
)
BEHAVIOURS = st.dictionaries(
    st.sampled_from([key + suffix for key in keys(*range(5)) for suffix in ("", ".CHECKSUM")]),
    st.lists(DEEDS, min_size=1, max_size=2),
    max_size=6,
)


@settings(max_examples=15)
@given(told=BEHAVIOURS, exit_code=st.sampled_from([0, 1, 3]), jobs=st.integers(1, 2))
def test_outcomes_add_up_to_the_plan_whatever_s5cmd_does(
    told: dict[str, str | list[str]], exit_code: int, jobs: int
) -> None:
    with TemporaryDirectory() as folder:
        site = Site(Path(folder), Fetching(jobs=jobs, batch_size=2, attempts=2)).does(keys=told, exit=exit_code)
        ran = run(site, many_to_fetch(5), error=True)
        assert ran.outcomes.get("cancelled", 0) == 0 or ran.engine.error is not None


# What a pattern does not bring


def test_what_a_pattern_does_not_bring_is_asked_for_by_name(site: Site) -> None:
    """Then the archive says of each key that it has none."""
    key = an_object(1).key
    site.does(keys={key: "pass over", key + ".CHECKSUM": "pass over"}, by_name=ABSENT)
    ran = run(site, many_to_fetch(3))
    assert ran.outcomes == {"fetched": 2, "absent": 1}
    assert ran.settled[key].reason == "hole"
    assert site.started == ["batch-00001.s5cmd", "batch-00001-by-name.s5cmd"]
    by_name = (site.run_folder / "batch-00001-by-name.s5cmd").read_text().splitlines()
    assert [line.split()[-1] for line in by_name if line.startswith("cp --raw ")] == [key, key + ".CHECKSUM"]
    assert [event.attempt for event in ran.of(BatchStarted)] == [1]


def test_an_object_whose_sidecar_no_pattern_brings_arrives_alone(site: Site) -> None:
    ran = run(site.does(sidecars="pass over", by_name=ABSENT), many_to_fetch(3))
    assert ran.outcomes == {"fetched": 3}
    assert ran.of(BatchRetried) == []


@pytest.mark.parametrize("answer", [DENIED, "error:no object found"], ids=["denied", "empty"])
def test_objects_are_fetched_from_a_server_that_does_not_list_them(site: Site, answer: str) -> None:
    ran = run(site.does(patterns=answer, by_name="copy"), many_to_fetch(3))
    assert ran.outcomes == {"fetched": 3}
    assert [event.attempt for event in ran.of(BatchStarted)] == [1]


def test_a_pattern_that_fails_for_the_network_is_tried_again_with_all_of_its_objects(site: Site) -> None:
    ran = run(site.does(patterns=[BUSY, "copy"]), many_to_fetch(3))
    assert ran.outcomes == {"fetched": 3}
    assert [event.attempts for event in ran.of(ObjectFinished)] == [2, 2, 2]
    assert ran.of(BatchRetried) == [BatchRetried(0, 1, 1, 0.0, 3, BUSY.removeprefix("error:"))]
    assert site.started == ["batch-00001.s5cmd", "batch-00001-attempt2.s5cmd"]


def test_a_pattern_that_always_fails_fails_its_objects_with_its_words(site: Site) -> None:
    ran = run(site.does(patterns=BUSY), many_to_fetch(3))
    assert (ran.outcomes, ran.reasons) == ({"failed": 3}, {BUSY.removeprefix("error:")})


# Further attempts


def test_a_further_attempt_is_for_what_is_missing_only(site: Site) -> None:
    """Of the first object the zip is busy, of the second the sidecar; the third is there at once."""
    first, second, third = keys(0, 1, 2)
    site.does(keys={first: [BUSY, "copy"], second + ".CHECKSUM": [BUSY, "copy"]})
    ran = run(site, many_to_fetch(3))
    assert {key: event.attempts for key, event in ran.settled.items()} == {first: 2, second: 2, third: 1}
    again = (site.run_folder / "batch-00001-attempt2.s5cmd").read_text().splitlines()
    assert [line.split()[-1] for line in again if line.startswith("cp ")] == [first, second + ".CHECKSUM"]
    assert ran.of(BatchRetried) == [BatchRetried(0, 1, 1, 0.0, 2, BUSY.removeprefix("error:"))]
    assert [(event.attempt, event.objects) for event in ran.of(BatchStarted)] == [(1, 3), (2, 2)]


def test_there_are_only_so_many_attempts(site: Site) -> None:
    site.fetching = Fetching(jobs=1, attempts=3)
    ran = run(site.does(zips=BUSY), many_to_fetch(1))
    assert [event.attempt for event in ran.of(BatchStarted)] == [1, 2, 3]
    assert len(ran.of(BatchRetried)) == 2
    assert [event.attempts for event in ran.of(ObjectFinished)] == [3]


def test_what_the_archive_does_not_have_is_not_tried_again(site: Site) -> None:
    site.explain_absence = lambda item: Absence.NOT_YET if item == an_object(1) else Absence.HOLE
    site.does(keys=dict.fromkeys(keys(1, 2), ABSENT))
    ran = run(site, many_to_fetch(3))
    assert ran.outcomes == {"fetched": 1, "absent": 2}
    assert [ran.settled[key].reason for key in keys(1, 2)] == ["not-yet", "hole"]
    assert len(ran.of(BatchStarted)) == 1


def test_a_pinned_object_that_the_archive_does_not_have_is_a_failure(site: Site) -> None:
    site.does(keys=dict.fromkeys(keys(1), ABSENT))
    pin = RemoteStat(7, "e" * 32, LISTED_AT)
    ran = run(site, (item._replace(pin=pin) for item in many_to_fetch(2)))
    assert ran.outcomes == {"fetched": 1, "failed": 1}
    settled = ran.settled[keys(1)[0]]
    assert (settled.reason, settled.refused) == ("gone from the archive since it was locked", True)


def test_what_cannot_be_had_fails_immediately(site: Site) -> None:
    refused = PlannedObject(an_object(), Action.REFUSE, "replaced", stored_size=7)
    ran = run(site.does(), (item for item in [refused]))
    assert ran.outcomes == {"failed": 1}
    settled = ran.settled[an_object().key]
    assert (settled.reason, settled.refused, settled.attempts) == ("replaced", True, 0)


def test_what_is_denied_is_not_tried_again(site: Site) -> None:
    ran = run(site.does(keys={keys(1)[0]: DENIED}), many_to_fetch(3))
    assert ran.outcomes == {"fetched": 2, "failed": 1}
    assert ran.settled[keys(1)[0]].reason == "AccessDenied: Access Denied status code: 403"
    assert len(ran.of(BatchStarted)) == 1


def test_a_doubtful_object_is_downloaded_again_and_the_doubts_are_remembered(site: Site) -> None:
    arrived: list[tuple[int, set[str]]] = []

    def finish(item: ObjectState) -> ObjectFinished | RetryDownload:
        arrived.append((item.attempts, {*item.rejected}))
        return fetched(item) if item.attempts == 3 else RetryDownload(f"digest {item.attempts}", "SHA-256 differs")

    site.fetching = Fetching(jobs=1, attempts=3)
    ran = run(replace(site, finish=finish).does(), many_to_fetch(1))
    assert ran.outcomes == {"fetched": 1}
    assert arrived == [(1, set()), (2, {"digest 1"}), (3, {"digest 1", "digest 2"})]
    assert {event.reason for event in ran.of(BatchRetried)} == {"SHA-256 differs"}
    again = (site.run_folder / "batch-00001-attempt2.s5cmd").read_text()
    assert again.count("\ncp ") == 1


# Stalls


@pytest.mark.parametrize("deed", ["hang", "half then hang"])
def test_a_lane_from_which_nothing_comes_is_stopped(site: Site, deed: str) -> None:
    site.fetching = Fetching(jobs=1, attempts=2, stall_seconds=0.05)
    ran = run(site.does(zips=deed), many_to_fetch(2))
    assert ran.outcomes == {"failed": 2}
    assert ran.reasons == {"nothing arrived for 0.05 seconds"}
    assert [event.attempt for event in ran.of(BatchStarted)] == [1, 2]
    assert [event.reason for event in ran.of(BatchRetried)] == ["nothing arrived for 0.05 seconds"]


def test_a_lane_that_takes_too_long_is_stopped_though_it_talks(site: Site) -> None:
    site.fetching = Fetching(jobs=1, attempts=2, timeout_seconds=0.2)
    ran = run(site.does(zips="chatter"), many_to_fetch(2))
    assert ran.outcomes == {"failed": 2}
    assert ran.reasons == {"not done within 0.2 seconds"}


def test_an_s5cmd_that_does_not_listen_is_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "STOP_GRACE_SECONDS", 0.02)
    site.fetching = Fetching(jobs=1, attempts=1, stall_seconds=0.05)
    assert run(site.does(zips="hang", stubborn=True), many_to_fetch(1)).outcomes == {"failed": 1}


def test_bytes_are_reported_while_they_arrive(site: Site) -> None:
    def react(event: Event) -> None:
        if isinstance(event, BytesArrived) and event.bytes >= 1000:
            site.cancellation.request()

    ran = run(site.does(zips="half then hang"), many_to_fetch(1), react)
    assert max(event.bytes for event in ran.of(BytesArrived)) == 1000
    assert ran.outcomes == {"cancelled": 1}


# Cancellation


def test_a_run_that_is_cancelled_before_it_starts_does_nothing(site: Site) -> None:
    site.cancellation.request()
    ran = run(site.does(), many_to_fetch(10))
    assert ran.events == [PlanFinished()]
    assert site.run_files == []


def cancels(site: Site, times: int = 1) -> Callable[[Event], None]:
    """Cancel when the first object has come to its end."""

    def react(event: Event) -> None:
        if isinstance(event, ObjectFinished) and not site.cancellation.requested.is_set():
            for _ in range(times):
                site.cancellation.request(signal.SIGINT)

    return react


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_cancelled_run_keeps_what_is_done_and_ends_cleanly(site: Site, jobs: int) -> None:
    site.fetching = Fetching(jobs=jobs, batch_size=3)
    site.does(zips="hang", keys={keys(0)[0]: "copy"})
    ran = run(site, many_to_fetch(20), cancels(site))
    assert ran.settled[keys(0)[0]].outcome is Outcome.FETCHED
    assert set(ran.outcomes) <= {"fetched", "cancelled"}
    assert ran.outcomes["fetched"] == 1
    assert ran.of(BatchRetried) == []


def test_a_cancelled_batch_goes_on_to_no_further_run_file(site: Site) -> None:
    """The zip arrives while the run is cancelled; its sidecar, which did not come, is not asked for by name."""
    meeting = site.folder / "meeting"
    os.mkfifo(meeting)
    site.fetching = Fetching(jobs=1, batch_size=1)

    def react(event: Event) -> None:
        if isinstance(event, BatchStarted):
            with meeting.open("w"):  # opens when s5cmd is there, too
                site.cancellation.request()
            join_lanes()

    site.does(zips=f"meet:{meeting} then copy", sidecars="pass over")
    assert run(site, many_to_fetch(1), react).outcomes == {"cancelled": 1}
    assert site.started == ["batch-00001.s5cmd"]


def test_the_first_request_kills_in_the_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "STOP_GRACE_SECONDS", 0.02)
    site.does(zips="hang", keys={keys(0)[0]: "copy"}, stubborn=True)
    assert run(site, many_to_fetch(3), cancels(site)).outcomes == {"fetched": 1, "cancelled": 2}


def test_the_second_request_kills_immediately(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour of grace, only a kill at once lets the test end."""
    monkeypatch.setattr(lane_module, "STOP_GRACE_SECONDS", 3600.0)
    site.does(zips="hang", keys={keys(0)[0]: "copy"}, stubborn=True)
    stopping = threading.Event()

    def react(event: Event) -> None:
        cancels(site)(event)
        if site.cancellation.requested.is_set() and any(thread.name == "stopper" for thread in threading.enumerate()):
            stopping.set()
            site.cancellation.request(signal.SIGINT)

    assert run(site, many_to_fetch(3), react).outcomes == {"fetched": 1, "cancelled": 2}
    assert stopping.is_set()


def test_a_wait_between_attempts_is_cut_short(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour to wait, only a wait that is cut short lets the test end."""
    monkeypatch.setattr("tenacity.wait.wait_random_exponential", lambda **_: lambda _state: 3600.0)
    ran = run(
        site.does(zips=BUSY),
        many_to_fetch(2),
        lambda event: site.cancellation.request() if isinstance(event, BatchRetried) else None,
    )
    assert ran.outcomes == {"cancelled": 2}
    assert [event.wait_seconds for event in ran.of(BatchRetried)] == [3600.0]


def test_a_run_that_was_not_cancelled_does_not_look_so(site: Site) -> None:
    run(site.does(), many_to_fetch(2))
    assert not site.cancellation.requested.is_set()


# A consumer that leaves


def endless() -> Iterator[PlannedObject]:
    return (to_fetch(an_object(number % 28, symbol=f"X{number // 28}")) for number in count())


@pytest.mark.parametrize(
    "kind", [ObjectPlanned, BatchStarted, ObjectFinished, BatchFinished], ids=lambda kind: kind.__name__
)
def test_a_consumer_that_leaves_takes_everything_with_it(site: Site, kind: type[Event]) -> None:
    """The plan never ends and s5cmd hangs; the fixture sees that no thread and no process stays."""
    closed = threading.Event()

    def planned() -> Generator[PlannedObject, None, None]:
        try:
            yield from endless()
        finally:
            closed.set()

    site.fetching = Fetching(jobs=2, batch_size=2)
    site.does(keys=dict.fromkeys((an_object(9, symbol="X0").key, an_object(11, symbol="X0").key), "hang"))
    plan = planned()  # kept, so that it is not closed for want of anyone who holds it
    with site.engine() as engine, closing(engine.run(plan)) as chunks:
        assert any(isinstance(event, kind) for events in chunks for event in events)
    assert closed.is_set()
    assert site.cancellation.requested.is_set()


def test_a_consumer_that_fails_takes_everything_with_it(site: Site) -> None:
    def react(event: Event) -> None:
        if isinstance(event, BatchStarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(site.does(zips="hang", stubborn=True), endless(), react)
    assert site.cancellation.requested.is_set()


# What ends a run early


class Broken(Exception):
    """Something that nobody expects."""


def breaking_after(planned: Iterable[PlannedObject]) -> Iterator[PlannedObject]:
    yield from planned
    raise Broken("in the planner")


@pytest.mark.parametrize("number", [0, 1, 3, 4, 7])
def test_a_plan_that_fails_ends_the_run_and_loses_no_object(site: Site, number: int) -> None:
    site.fetching = Fetching(jobs=1, batch_size=4)
    ran = run(site.does(), breaking_after(many_to_fetch(number)), error=True)
    assert isinstance(ran.engine.error, Broken)
    assert len(ran.of(ObjectPlanned)) == len(ran.of(ObjectFinished)) == number
    assert set(ran.outcomes) <= {"fetched", "cancelled"}


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_proof_that_fails_ends_the_run(site: Site, attempt: int) -> None:
    def finish(item: ObjectState) -> ObjectFinished | RetryDownload:
        if item.attempts == attempt and item.planned.object == an_object(1):
            raise RootUnusable("The disk is full", hint="Free some space.")
        return fetched(item) if item.attempts == attempt else RetryDownload("digest", "SHA-256 differs")

    site.fetching = Fetching(jobs=2, batch_size=2, attempts=3)
    ran = run(replace(site, finish=finish).does(), many_to_fetch(8), error=True)
    assert isinstance(ran.engine.error, RootUnusable)
    assert ran.engine.error.message == "The disk is full"
    assert ran.settled[keys(1)[0]].outcome is Outcome.CANCELLED


def test_one_lane_that_fails_stops_the_others(site: Site) -> None:
    def finish(item: ObjectState) -> ObjectFinished:
        raise Broken("in a proof")

    site.fetching = Fetching(jobs=2, batch_size=1)
    site.does(keys=dict.fromkeys(keys(1, 2, 3), "hang"))
    ran = run(replace(site, finish=finish), many_to_fetch(4), error=True)
    assert isinstance(ran.engine.error, Broken)
    assert ran.outcomes == {"cancelled": 4}


def test_an_absence_that_cannot_be_explained_ends_the_run(site: Site) -> None:
    def explain(item: ArchiveObject) -> Absence:
        raise Broken(item.key)

    ran = run(replace(site, explain_absence=explain).does(zips=ABSENT), many_to_fetch(2), error=True)
    assert isinstance(ran.engine.error, Broken)
    assert ran.outcomes == {"cancelled": 2}


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_full_disk_ends_the_run(site: Site, attempt: int) -> None:
    site.does(keys={keys(0)[0]: [BUSY] * (attempt - 1) + [DISK_FULL]})
    site.fetching = Fetching(jobs=1, batch_size=2, attempts=4)
    ran = run(site, many_to_fetch(6), error=True)
    assert isinstance(ran.engine.error, RootUnusable)
    assert ran.engine.error.message == "The disk of the archive root is full: write x: no space left on device"
    assert ran.engine.error.hint.startswith("Free some space")
    assert ran.outcomes == {"fetched": 3, "cancelled": len(ran.settled) - 3}  # of the first batch, and all others
    assert max(event.attempt for event in ran.of(BatchStarted)) == attempt


def test_an_s5cmd_that_cannot_be_started_ends_the_run(site: Site) -> None:
    site.does()
    assert site.program is not None
    site.program.unlink()
    ran = run(site, many_to_fetch(3), error=True)
    assert isinstance(ran.engine.error, S5cmdUnusable)
    assert str(site.program) in ran.engine.error.message
    assert set(ran.outcomes) == {"cancelled"}


@pytest.mark.parametrize(
    ("deed", "message", "outcome"),
    [
        (
            REFUSED,
            "The archive's server https://s3.ap-northeast-1.amazonaws.com cannot be reached: dial tcp ",
            "cancelled",  # nobody answers: given up before the batch has ended
        ),
        (
            DENIED,
            "The archive's server https://s3.ap-northeast-1.amazonaws.com denies access: AccessDenied: ",
            "failed",
        ),
    ],
    ids=["unreachable", "denied"],
)
def test_a_server_that_refuses_all_ends_the_run(site: Site, deed: str, message: str, outcome: str) -> None:
    site.fetching = Fetching(jobs=1, batch_size=2, attempts=2)
    ran = run(site.does(zips=deed, sidecars=deed), many_to_fetch(6), error=True)
    assert isinstance(ran.engine.error, EndpointUnreachable)
    assert ran.engine.error.message.startswith(message)
    assert "--endpoint-url" in ran.engine.error.hint
    assert {key: event.outcome.value for key, event in ran.settled.items()}[keys(0)[0]] == outcome
    assert {(event.batch, event.attempt) for event in ran.of(BatchStarted)} == {(1, 1)}


def test_a_server_that_has_given_something_does_not_end_the_run(site: Site) -> None:
    """The second batch waits until it is known that something of the first has arrived."""
    gate = site.folder / "gate"
    first, second, third = keys(0, 1, 2)
    site.does(keys={second: f"gate:{gate} then {DENIED}"})
    site.fetching = Fetching(jobs=1, batch_size=1)
    ran = run(site, many_to_fetch(3), lambda event: gate.touch() if isinstance(event, ObjectFinished) else None)
    assert {key: event.outcome.value for key, event in ran.settled.items()} == {
        first: "fetched", second: "failed", third: "fetched",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("deed", "jobs"), [(REFUSED, 1), (BUSY, 1), ("quiet-as-a-mouse", 1), (REFUSED, 4)], ids=lambda value: str(value)[:9]
)
def test_batch_after_batch_without_anything_ends_the_run(site: Site, deed: str, jobs: int) -> None:
    """The first object arrives before the server goes; every batch has all of its attempts."""
    gate = site.folder / "gate"
    site.does(
        zips=f"gate:{gate} then {deed}",
        sidecars=deed,
        keys=dict.fromkeys((an_object(0).key, an_object(0).sidecar_key), "copy"),
    )
    site.fetching = Fetching(jobs=jobs, batch_size=1, attempts=2)
    react = lambda event: gate.touch() if isinstance(event, ObjectFinished) else None  # noqa: E731
    ran = run(site, many_to_fetch(28), react, error=True)
    lost = max(3, jobs)
    assert isinstance(ran.engine.error, EndpointUnreachable)
    assert f"for {lost} batches in a row: " in ran.engine.error.message
    assert ran.outcomes["fetched"] == 1
    assert lost <= ran.outcomes["failed"] < lost + jobs
    assert ran.outcomes["cancelled"] == 27 - ran.outcomes["failed"]


@pytest.mark.parametrize("sign", ["copy", ABSENT])
def test_a_sign_of_life_restarts_the_count_of_lost_batches(site: Site, sign: str) -> None:
    alive = {key: sign for number in (0, 3, 6) for key in keys(number)}
    sidecars = {an_object(number).sidecar_key: sign for number in (0, 3, 6)}
    site.does(zips=BUSY, sidecars=BUSY, keys=alive | sidecars)
    site.fetching = Fetching(jobs=1, batch_size=1, attempts=1)
    ran = run(site, many_to_fetch(9))
    assert ran.outcomes == {"fetched" if sign == "copy" else "absent": 3, "failed": 6}


def test_a_slow_consumer_does_not_turn_a_denied_batch_into_the_end(site: Site) -> None:
    """The consumer looks at the second event only when the lane has been through all batches."""
    site.does(keys={keys(1)[0]: DENIED})
    site.fetching = Fetching(jobs=1, batch_size=1)
    assert run(site, many_to_fetch(3), lambda _: join_lanes()).outcomes == {"fetched": 2, "failed": 1}


def test_a_queue_without_room_loses_no_object(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    put = DiskQueue.put

    def put_one(queue: DiskQueue[Group], group: Group) -> None:
        if group[0].object.key == keys(2)[0]:
            raise RootUnusable("Cannot keep the plan")
        put(queue, group)

    monkeypatch.setattr(DiskQueue, "put", put_one)
    site.fetching = Fetching(jobs=1, batch_size=2)
    ran = run(site.does(), many_to_fetch(6), error=True)
    assert isinstance(ran.engine.error, RootUnusable)
    assert len(ran.settled) == len(ran.of(ObjectPlanned))


# The plan goes ahead


def test_the_plan_is_not_held_up_by_the_lanes(site: Site) -> None:
    """All of it is known while the only lane still hangs at the first batch, so that progress has its totals."""
    site.fetching = Fetching(jobs=1, batch_size=1)
    ran = run(
        site.does(zips="hang"),
        many_to_fetch(100),
        lambda event: site.cancellation.request() if isinstance(event, PlanFinished) else None,
    )
    before_the_end = ran.events[: ran.events.index(PlanFinished())]
    assert len([event for event in before_the_end if isinstance(event, ObjectPlanned)]) == 100
    assert not any(isinstance(event, ObjectFinished) for event in before_the_end)
    assert ran.outcomes == {"cancelled": 100}


def test_the_first_batch_is_fetched_while_the_plan_is_made(site: Site) -> None:
    """The plan comes to its fourth object only once the first is there: nothing may wait for the end of the plan."""
    there = threading.Event()

    def planned() -> Iterator[PlannedObject]:
        yield from many_to_fetch(3)  # the third shows that the first batch is full
        assert there.wait(LONGEST_TEST_SECONDS), "no object was fetched before the plan was complete"
        yield to_fetch(an_object(3))

    site.fetching = Fetching(jobs=1, batch_size=2)
    ran = run(site.does(), planned(), lambda event: there.set() if isinstance(event, ObjectFinished) else None)
    kinds = [type(event) for event in ran.events]
    assert kinds.index(BatchStarted) < kinds.index(ObjectFinished) < kinds.index(PlanFinished)
    assert ran.outcomes == {"fetched": 4}


def test_what_stays_is_reported_in_chunks_while_the_plan_is_made(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "KEPT_TOGETHER", 16)
    told = threading.Event()

    def planned() -> Iterator[PlannedObject]:
        yield from (kept(an_object(number)) for number in range(17))
        assert told.wait(LONGEST_TEST_SECONDS), "nothing was told before the plan was complete"
        yield kept(an_object(17))

    ran = run(site.does(), planned(), lambda event: told.set() if isinstance(event, ObjectFinished) else None)
    assert ran.outcomes == {"present": 18}
    assert [len(some.planned) for some in ran.kept] == [16, 2]
    assert ran.events[-1] == PlanFinished()


def test_what_stays_has_one_event_per_series_and_keeps_its_place_in_the_plan(site: Site) -> None:
    """What is to be recorded, found out or reported of a file that stays has events of its own."""
    of_two = [kept(an_object(number, symbol=symbol)) for symbol in ("A", "B") for number in range(3)]
    broken = kept(an_object(0, symbol="C"))._replace(verdict=Verdict.BAD_ZIP)
    entry = ManifestEntry(an_object(1, symbol="C").key, 1, "a" * 64, Verdict.OK, "e", None, LISTED_AT, "run")
    odd = [
        broken,
        kept(an_object(1, symbol="C"))._replace(adopted=entry),
        kept(an_object(2, symbol="C"))._replace(noted=entry),
        kept(an_object(3, symbol="C"))._replace(covers=Covered(3, 10, 7)),
    ]
    last = kept(an_object(9, symbol="C"))
    ran = run(site.does(), [*of_two, *odd, last])
    assert [event.planned for event in ran.kept] == [tuple(of_two[:3]), tuple(of_two[3:]), (last,)]
    assert [event.planned for event in ran.of(ObjectPlanned)] == [*of_two, *odd, last]
    assert [event.month_days for event in ran.of(ObjectFinished)] == [*[None] * 9, 7, None]


def test_what_stays_until_a_run_is_cancelled_has_its_outcome(site: Site) -> None:
    def planned() -> Iterator[PlannedObject]:
        yield from (kept(an_object(number)) for number in range(3))
        site.cancellation.request()
        yield kept(an_object(3))

    assert run(site.does(), planned()).outcomes == {"present": 3}


def test_the_plan_waits_for_its_consumer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless plan runs ahead of the consumer by no more events than may be under way."""
    monkeypatch.setattr(engine_module, "CHUNKS_IN_FLIGHT", 3)
    monkeypatch.setattr(engine_module, "EVENTS_PER_CHUNK", 4)
    site.does(zips="hang")
    taken: list[PlannedObject] = []
    ahead = 4 * (3 + 2) + 1  # in the queue, in the consumer's hands, in the planner's; and the object that comes next

    def planned() -> Generator[PlannedObject, None, None]:
        for item in endless():
            taken.append(item)
            yield item

    with site.engine() as engine, closing(engine.run(planned())) as chunks:
        for number, event in enumerate(chain.from_iterable(chunks)):
            if isinstance(event, ObjectPlanned):
                assert len(taken) <= number + ahead
            if number == 500:
                break


# A clock that leaps


def test_a_suspended_machine_is_not_a_stall(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two looks an hour goes by; the lane is still not stopped until enough looks have seen nothing."""
    gate = site.folder / "gate"
    site.does(zips=f"gate:{gate} then copy")
    site.fetching = Fetching(jobs=1, attempts=1, stall_seconds=60.0, timeout_seconds=1800.0)
    hours = count(0.0, 3600.0)
    monkeypatch.setattr(engine_module, "AwakeClock", partial(AwakeClock, clock=lambda: next(hours)))
    looks: list[Event] = []

    def react(event: Event) -> None:
        looks.extend([event] if isinstance(event, BytesArrived) else [])
        if len(looks) == 20:
            gate.touch()

    assert run(site, many_to_fetch(1), react).outcomes == {"fetched": 1}


def test_a_lane_that_stalls_after_the_wake_up_is_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = count(0.0, 3600.0)
    monkeypatch.setattr(engine_module, "AwakeClock", partial(AwakeClock, clock=lambda: next(hours)))
    site.fetching = Fetching(jobs=1, attempts=1, stall_seconds=0.1)
    ran = run(site.does(zips="hang"), many_to_fetch(1))
    assert ran.reasons == {"nothing arrived for 0.1 seconds"}
    assert len(ran.of(BytesArrived)) >= 0.1 / (3 * engine_module.TICK_SECONDS)
