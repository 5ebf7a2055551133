"""What is remembered of a run: report, manifest, journal and a run-file of what failed."""

from __future__ import annotations

import errno
import io
import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, strategies as st

from crypto_archive import load_preset
from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.config.run_config import Fetching, Request, Selection
from crypto_archive.errors import ExitCode, FileUnusable, RootUnusable, UsageError
from crypto_archive.events import (
    BatchRetried,
    BatchStarted,
    BytesArrived,
    Comparing,
    DaysCovered,
    DaysKept,
    Event,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    PlanFinished,
    RunFinished,
    RunStarted,
)
from crypto_archive.jobs import record as record_module
from crypto_archive.jobs.journal import event_line, event_name, plain_fields
from crypto_archive.jobs.record import Awaiting, Record
from crypto_archive.jobs.report import Report, combine_reports
from crypto_archive.model import (
    Absence,
    Action,
    ArchiveObject,
    Covered,
    ManifestEntry,
    Market,
    Notice,
    Outcome,
    Partition,
    Period,
    PlannedObject,
    RemoteStat,
    Series,
    Verdict,
)
from crypto_archive.root.layout import LayoutNote, take_layout, write_note
from crypto_archive.root.manifest import Awaited, Manifest
from crypto_archive.root.store import Root, open_root
from crypto_archive.text import compact_json
from tests.objects import LISTED_AT, an_object, bundled, listed, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "20250716T001011Z-abcdef"
ITEM = an_object()
FETCHED = ObjectFinished(ITEM, Outcome.FETCHED, "", 20, 120, "a" * 64, Verdict.OK, listed(20), 1, 0, "e" * 32)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


@contextmanager
def recording(root: Root, fetching: Fetching | None = None) -> Iterator[Record]:
    request = Request(Selection((Market.SPOT,)), root.path, fetching=fetching or Fetching())
    with Record.opened(root, RUN, Report(request, version="1.0")) as record:
        yield record


def settled(outcome: Outcome, number: int = 0, reason: str = "") -> ObjectFinished:
    return ObjectFinished(an_object(number), outcome, reason)


def remembered(root: Root, number: int = 0) -> ManifestEntry | None:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        return manifest.entry(an_object(number).key)


def report_of(root: Root) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root.runs / RUN / "report.json").read_text(encoding="utf-8"))
    return document


def journal_of(root: Root) -> list[dict[str, Any]]:
    text = (root.runs / RUN / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def commands_of(root: Root) -> list[str]:
    path = root.runs / RUN / "failed.s5cmd"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_every_event_is_handed_on(root: Root) -> None:
    events: list[Event] = [ObjectPlanned(to_fetch(ITEM)), PlanFinished(), FETCHED, BytesArrived(0, 1)]
    with recording(root) as record:
        assert [record.take(event) for event in events] == events
        assert record.report.outcomes[Outcome.FETCHED] == 1


@pytest.mark.parametrize("outcome", [Outcome.FETCHED, Outcome.UPDATED])
def test_what_is_published_goes_into_the_manifest(root: Root, outcome: Outcome) -> None:
    before = datetime.now(UTC)
    with recording(root) as record:
        record.take(FETCHED._replace(outcome=outcome))
    entry = remembered(root)
    assert entry is not None
    assert (entry.key, entry.size, entry.sha256, entry.verdict) == (ITEM.key, 20, "a" * 64, Verdict.OK)
    assert (entry.etag, entry.last_modified, entry.run_id) == ("e" * 32, LISTED_AT, RUN)
    assert before <= entry.fetched_at <= datetime.now(UTC)


def test_without_a_listing_the_md5_stands_for_the_etag(root: Root) -> None:
    with recording(root) as record:
        record.take(FETCHED._replace(remote=None, verdict=None, etag="5" * 32))
    entry = remembered(root)
    assert entry is not None
    assert (entry.etag, entry.last_modified, entry.verdict) == ("5" * 32, None, Verdict.UNPROVEN)


def test_an_adopted_file_goes_into_the_manifest(root: Root) -> None:
    entry = ManifestEntry(ITEM.key, 20, "a" * 64, Verdict.OK, "e" * 32, LISTED_AT, LISTED_AT, RUN)
    with recording(root) as record:
        record.take(ObjectPlanned(PlannedObject(ITEM, Action.KEEP, "there", stored_size=20, adopted=entry)))
    assert remembered(root) == entry


def test_what_the_plan_of_a_lock_file_waited_for_is_noted_if_it_stays(root: Root) -> None:
    awaiting = Awaiting(LISTED_AT.date(), published={ITEM.key: "daily klines"})
    planned = tuple(PlannedObject(an_object(number), Action.KEEP, "there") for number in range(3))
    with Record.opened(root, RUN, Report(Request(Selection((Market.SPOT,)), root.path)), awaiting) as record:
        record.take(ObjectsKept(planned))
    with Manifest(root.manifest_path, read_only=True) as manifest:
        assert manifest.awaited() == [Awaited(ITEM.key, "daily klines", LISTED_AT.date())]


@pytest.mark.parametrize("outcome", [Outcome.PRESENT, Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED])
def test_what_is_not_published_does_not_go_into_the_manifest(root: Root, outcome: Outcome) -> None:
    with recording(root) as record:
        record.take(settled(outcome))
    assert remembered(root) is None


@pytest.mark.parametrize("why", Absence)
def test_an_absence_is_remembered_with_its_reason(root: Root, why: Absence) -> None:
    with recording(root) as record:
        record.take(settled(Outcome.ABSENT, reason=str(why)))
    with Manifest(root.manifest_path, read_only=True) as manifest:
        absence = manifest.absence(ITEM.key)
    assert absence is not None
    assert absence.reason is why
    assert commands_of(root) == []


def test_the_former_digest_of_an_updated_object_is_kept(root: Root) -> None:
    with recording(root) as record:
        record.take(FETCHED)
        record.take(FETCHED._replace(outcome=Outcome.UPDATED, sha256="b" * 64))
    with Manifest(root.manifest_path, read_only=True) as manifest:
        assert [entry.sha256 for entry in manifest.former(ITEM.key)] == ["a" * 64]


# What failed, as a run-file


def lines_for(*keys: str, flags: str = "--raw") -> list[str]:
    return [f"cp {flags} s3://data.binance.vision/{key} {key}" for key in keys]


def test_what_failed_can_be_run_again_by_hand(root: Root) -> None:
    with recording(root) as record:
        for number, outcome in enumerate(Outcome):
            record.take(settled(outcome, number, "hole" if outcome is Outcome.ABSENT else ""))
    again = [an_object(number) for number, outcome in enumerate(Outcome) if outcome in {
        Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED,
    }]  # fmt: skip
    assert commands_of(root) == lines_for(*(key for item in again for key in (item.key, item.sidecar_key)))


def test_a_run_without_failures_has_no_such_file(root: Root) -> None:
    with recording(root) as record:
        record.take(FETCHED)
    assert not (root.runs / RUN / "failed.s5cmd").exists()


def test_what_the_archive_does_not_have_is_not_offered_to_be_copied(root: Root) -> None:
    with recording(root) as record:
        record.take(settled(Outcome.FAILED, 0)._replace(refused=True))
        record.take(settled(Outcome.FAILED, 1))
    assert commands_of(root) == lines_for(an_object(1).key, an_object(1).sidecar_key)


def test_sidecars_that_are_not_wanted_or_not_there_are_not_asked_for_again(root: Root) -> None:
    with recording(root) as record:
        record.take(settled(Outcome.FAILED)._replace(remote=listed(has_sidecar=False)))
    assert commands_of(root) == lines_for(ITEM.key)


def test_the_part_size_is_that_of_the_run(root: Root) -> None:
    with recording(root, Fetching(download_checksum=False, part_size_mb=7)) as record:
        record.take(settled(Outcome.FAILED))
    assert commands_of(root) == lines_for(ITEM.key, flags="--raw --part-size 7")


# Journal and report


def test_the_journal_has_a_line_for_each_event_but_bytes(root: Root) -> None:
    with recording(root) as record:
        record.take(RunStarted(RUN, LISTED_AT, (), "2.3.0"))
        record.take(BytesArrived(0, 5))
        record.take(ObjectPlanned(to_fetch(an_object(symbol="币安人生USDT"))))
        record.take(settled(Outcome.FAILED, reason="timeout"))
        record.take(RunFinished(1.0))
    lines = journal_of(root)
    assert [line["event"] for line in lines] == ["run-started", "object-planned", "object-finished", "run-finished"]
    assert "币安人生USDT" in lines[1]["key"]
    assert (lines[2]["outcome"], lines[2]["reason"]) == ("failed", "timeout")


def test_the_report_is_written_when_the_run_ends(root: Root) -> None:
    with recording(root) as record:
        record.take(RunStarted(RUN, LISTED_AT, (), "2.3.0"))
        record.take(ObjectPlanned(to_fetch(ITEM)))
        record.take(FETCHED)
        record.take(RunFinished(2.0))
        assert not (record.folder / "report.json").exists()
        document = record.report.document()
    assert report_of(root) == json.loads(json.dumps(document))
    assert (report_of(root)["status"], report_of(root)["run_id"]) == ("success", RUN)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, RootUnusable])
def test_the_report_is_written_whatever_ends_the_run(root: Root, error: type[BaseException]) -> None:
    def fail() -> None:
        with recording(root) as record:
            record.take(FETCHED)
            raise error("in the middle")

    with pytest.raises(error, match="in the middle"):
        fail()
    assert report_of(root)["outcomes"]["fetched"] == 1
    assert remembered(root) is not None
    assert len(journal_of(root)) == 1


def test_a_run_has_a_folder_of_its_own(root: Root) -> None:
    with recording(root) as record:
        assert record.folder == root.runs / RUN
    with pytest.raises(RootUnusable), recording(root):
        pytest.fail("two runs share a folder")


# When it is written


def test_every_event_in_the_journal_has_the_time_of_its_recording(root: Root) -> None:
    before = datetime.now(UTC)
    with recording(root) as record:
        for event in (RunStarted(RUN, MOMENT, (), "v2"), ObjectPlanned(to_fetch(ITEM)), PlanFinished(), FETCHED):
            record.take(event)
        record.take(RunFinished(1.0))
    times = [datetime.fromisoformat(line["time"]) for line in journal_of(root)]
    assert len(times) == 5
    assert times == sorted(times)
    assert before - timedelta(milliseconds=1) <= times[0] <= times[-1] <= datetime.now(UTC)  # cut to milliseconds
    assert {time.utcoffset() for time in times} == {timedelta()}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(record_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def test_what_is_remembered_waits_a_moment_and_no_longer(root: Root, clock: Clock) -> None:
    with recording(root) as record:
        clock.now += record_module.FLUSH_SECONDS
        record.take(FETCHED)
        assert remembered(root) is None
        clock.now += 0.001
        record.take(PlanFinished())
        assert remembered(root) is not None
        assert [line["event"] for line in journal_of(root)] == ["object-finished", "plan-finished"]
        record.take(FETCHED._replace(object=an_object(1)))
        assert remembered(root, 1) is None
    assert remembered(root, 1) is not None


def test_bytes_on_their_way_let_it_be_written_too(root: Root, clock: Clock) -> None:
    """While a large object is under way nothing else happens, and what came before must not wait for it."""
    with recording(root) as record:
        record.take(FETCHED)
        clock.now += 60.0
        record.take(BytesArrived(0, 1))
        assert remembered(root) is not None


# A full disk


class FullDisk:
    """A file on a disk that takes no more."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_reported_in_words(root: Root) -> None:
    request = Request(Selection((Market.SPOT,)), root.path)
    with Manifest(root.manifest_path) as manifest:
        record = Record(root, root.runs, Report(request, version="1.0"), manifest, FullDisk())  # type: ignore[arg-type]
        with pytest.raises(RootUnusable, match="The disk of the output directory is full") as caught:
            record.take(FETCHED)
    assert "No space left on device" in caught.value.hint
    assert record.report.outcomes[Outcome.FETCHED] == 1


def test_what_the_disk_does_not_take_keeps_nothing_else_from_being_kept(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = Manifest.flush
    full = [True]

    def flush_or_fail(manifest: Manifest) -> None:
        if full:
            raise RootUnusable("The disk is full")
        flush(manifest)

    with recording(root) as record:
        monkeypatch.setattr(Manifest, "flush", flush_or_fail)
        with pytest.raises(RootUnusable, match="The disk is full"):
            # The second record of a key needs the first one to be written.
            record.take_all([FETCHED, FETCHED, settled(Outcome.FAILED, 1), FETCHED._replace(object=an_object(2))])
        assert record.report.outcomes == dict.fromkeys(Outcome, 0) | {Outcome.FETCHED: 3, Outcome.FAILED: 1}
        full.clear()
    assert remembered(root) is not None
    assert remembered(root, 2) is not None
    assert commands_of(root) == lines_for(an_object(1).key, an_object(1).sidecar_key)
    assert len(journal_of(root)) == 4


def test_events_that_come_together_have_one_time(root: Root) -> None:
    with recording(root) as record:
        record.take_all([ObjectPlanned(to_fetch(an_object(number))) for number in range(64)])
    assert len({line["time"] for line in journal_of(root)}) == 1


def test_a_report_that_cannot_be_written_is_an_error_in_words(root: Root) -> None:
    with recording(root) as record:
        record.take(FETCHED)
        (record.folder / "report.json").mkdir()
    assert record.report.error.startswith(f"Cannot write to output directory: {root.path}. ")
    assert record.report.exit_code() is ExitCode.ENVIRONMENT
    assert remembered(root) is not None
    assert sorted(path.name for path in record.folder.iterdir()) == ["events.jsonl", "report.json"]


class FullAtTheEnd(io.StringIO):
    """A file whose last bytes the disk does not take."""

    def close(self) -> None:
        super().close()
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("piece", ["journal", "manifest"])
def test_what_cannot_be_kept_at_the_end_is_in_the_report(
    root: Root, monkeypatch: pytest.MonkeyPatch, piece: str
) -> None:
    with recording(root) as record:
        record.take(FETCHED)
        record.take(RunFinished(1.0))
        if piece == "journal":
            record._journal.close()
            monkeypatch.setattr(record, "_journal", FullAtTheEnd())
        else:
            monkeypatch.setattr(Manifest, "flush", lambda _: FullAtTheEnd().close())
    assert "The disk of the output directory is full" in report_of(root)["error"]
    assert report_of(root)["exit_code"] == 5
    assert report_of(root)["outcomes"]["fetched"] == 1


def test_an_error_that_ends_the_run_is_in_the_report(root: Root) -> None:
    with pytest.raises(RootUnusable), recording(root):
        raise RootUnusable("The disk is full", hint="Free some space.")
    assert report_of(root)["error"] == "The disk is full. Hint: Free some space."
    assert report_of(root)["status"] == "failed"


MOMENT = datetime(2025, 7, 16, 12, tzinfo=UTC)
OBJECT = ArchiveObject(
    "data/spot/daily/trades/币安人生USDT/币安人生USDT-trades-2025-07-15.zip",
    Series(Market.SPOT, "trades", "币安人生USDT"),
    Period(Partition.DAILY, date(2025, 7, 15)),
)
REMOTE = RemoteStat(10, "abc", MOMENT)
TIME = "2025-07-16T12:00:00.000+00:00"


def line_of(event: Event) -> str | None:
    return event_line(event, TIME)


def read(line: str | None) -> dict[str, object]:
    assert line is not None
    assert "\n" not in line
    return json.loads(line)


def test_a_settled_object() -> None:
    event = ObjectFinished(
        OBJECT, Outcome.FETCHED, "two\nlines", 10, 101, "ff", Verdict.OK, REMOTE, attempts=2, lane=3, etag="abc"
    )
    line = line_of(event)
    assert read(line) == {
        "event": "object-finished",
        "time": TIME,
        "key": OBJECT.key,
        "outcome": "fetched",
        "reason": "two\nlines",
        "size": 10,
        "bytes_fetched": 101,
        "sha256": "ff",
        "verdict": "ok",
        "remote": {"size": 10, "etag": "abc", "last_modified": "2025-07-16T12:00:00+00:00", "has_sidecar": True},
        "attempts": 2,
        "lane": 3,
        "etag": "abc",
        "sidecar_etag": None,
        "refused": False,
        "month_days": None,
        "lacks": 0,
    }
    assert line is not None
    assert "币安人生USDT" in line


def test_a_planned_object_and_its_time() -> None:
    line = read(line_of(ObjectPlanned(PlannedObject(OBJECT, Action.FETCH, "not there"))))
    assert list(line)[:3] == ["event", "time", "key"]
    assert (line["event"], line["time"], line["action"]) == ("object-planned", TIME, "fetch")
    assert line["remote"] is None


def test_objects_that_stay_report_keys_and_sizes() -> None:
    assert line_of(ObjectPlanned(PlannedObject(OBJECT, Action.KEEP, "there", stored_size=10))) is None
    kept = ObjectsKept((PlannedObject(OBJECT, Action.KEEP, "there", stored_size=10, remote=REMOTE),) * 2)
    expected = {"event": "objects-kept", "time": TIME, "keys": [OBJECT.key] * 2, "sizes": [10, 10]}
    assert read(line_of(kept)) == expected


def test_an_adopted_file_reports_both() -> None:
    entry = ManifestEntry(OBJECT.key, 10, "ff", Verdict.OK, "abc", MOMENT, MOMENT, "run")
    line = read(line_of(ObjectPlanned(PlannedObject(OBJECT, Action.KEEP, "there", stored_size=10, adopted=entry))))
    assert (line["event"], line["action"]) == ("object-planned", "keep")
    assert line["adopted"] == {
        "key": OBJECT.key, "size": 10, "sha256": "ff", "verdict": "ok", "etag": "abc", "run_id": "run",
        "last_modified": "2025-07-16T12:00:00+00:00", "fetched_at": "2025-07-16T12:00:00+00:00",
        "sidecar_etag": None,
    }  # fmt: skip


def test_a_file_judged_by_a_new_sidecar_is_reported_in_full() -> None:
    judged = ObjectFinished(OBJECT, Outcome.PRESENT, "only its sidecar was downloaded", 10, 101, "ff", Verdict.OK)
    line = read(line_of(judged))
    assert (line["outcome"], line["verdict"], line["bytes_fetched"]) == ("present", "ok", 101)


def test_the_frame_of_a_run() -> None:
    assert read(line_of(RunStarted("r", MOMENT, (Notice("n"),), "v2.3.0"))) == {
        "event": "run-started",
        "time": TIME,
        "run_id": "r",
        "started_at": "2025-07-16T12:00:00+00:00",
        "notices": ["n"],
        "s5cmd_version": "v2.3.0",
    }
    assert line_of(PlanFinished()) == f'{{"event":"plan-finished","time":"{TIME}"}}'
    assert read(line_of(RunFinished(1.5, 2)))["interrupted_by"] == 2
    assert read(line_of(BatchStarted(0, 1, "spot klines", 1, 50)))["objects"] == 50
    assert read(line_of(BatchRetried(0, 1, 1, 2.5, 7, "stall")))["wait_seconds"] == 2.5


def test_bytes_on_their_way_are_left_out() -> None:
    assert line_of(BytesArrived(0, 10)) is None


TEXTS = st.text() | st.sampled_from(['"quoted" \\', "\x00\x1b[31m\x7f", "\u202egnp.zip\u200b", "币安人生", "\udcff"])
STATS = st.builds(
    RemoteStat, st.integers(0), TEXTS, st.datetimes(timezones=st.just(UTC)), st.booleans(), st.none() | TEXTS
)
ITEMS = TEXTS.map(lambda key: ArchiveObject(key, OBJECT.series, OBJECT.period))
ENTRIES = st.just(ManifestEntry(OBJECT.key, 10, "ff", Verdict.OK, "abc", MOMENT, MOMENT, "run"))
FINISHED = st.builds(
    ObjectFinished,
    ITEMS,
    st.sampled_from(Outcome),
    TEXTS,
    st.integers(0),
    st.integers(0),
    TEXTS,
    st.none() | st.sampled_from(Verdict),
    st.none() | STATS,
    st.integers(0),
    st.none() | st.integers(0),
    TEXTS,
    st.none() | TEXTS,
    st.booleans(),
    st.none() | st.integers(0),
    st.integers(0),
)
PLANNED = st.builds(
    ObjectPlanned,
    st.builds(
        PlannedObject,
        ITEMS,
        st.sampled_from(Action),
        TEXTS,
        st.booleans(),
        st.none() | STATS,
        st.integers(0),
        st.none() | ENTRIES,
        st.none() | st.builds(Covered, st.integers(0), st.integers(0), st.integers(0)),
        st.none() | STATS,
        st.none() | st.dates(),
        st.none() | st.sampled_from(Verdict),
        st.none() | ENTRIES,
        st.integers(0),
    ),
)


@given(FINISHED | PLANNED)
def test_the_lines_of_the_most_frequent_events_are_those_of_their_fields(event: ObjectFinished | ObjectPlanned) -> None:
    fields = plain_fields(event)
    if isinstance(event, ObjectPlanned):
        assume(event.planned.action is not Action.KEEP or event.planned.adopted)
    assert line_of(event) == compact_json({"event": event_name(event), "time": TIME} | fields)


def test_what_is_moved_aside_and_what_stays() -> None:
    assert read(line_of(DaysCovered(OBJECT, ("a", "b"), 7))) == {
        "event": "days-covered", "time": TIME, "key": OBJECT.key, "moved": ["a", "b"], "bytes": 7
    }  # fmt: skip
    assert read(line_of(DaysKept(OBJECT, 31, "its rows are not those"))) == {
        "event": "days-kept", "time": TIME, "key": OBJECT.key, "days": 31, "reason": "its rows are not those"
    }  # fmt: skip
    assert line_of(Comparing(OBJECT, 31, 12)) is None


# The files of a run


def test_the_files_of_a_run_are_those_in_place_sorted_by_path(root: Root) -> None:
    some = [(3, Outcome.FETCHED), (1, Outcome.PRESENT), (2, Outcome.UPDATED), (0, Outcome.FAILED), (4, Outcome.ABSENT)]
    with recording(root) as record:
        for number, outcome in some:
            record.take(settled(outcome, number, Absence.HOLE if outcome is Outcome.ABSENT else ""))
    assert list(record.report.files()) == [root.file(an_object(number).key) for number in (1, 2, 3)]


def test_what_stays_is_among_the_files_of_a_run_unless_it_was_moved_aside(root: Root) -> None:
    planned = [PlannedObject(an_object(number), Action.KEEP, "there", stored_size=10) for number in (2, 0, 1)]
    with recording(root) as record:
        record.take(ObjectsKept(tuple(planned)))
        record.take(settled(Outcome.FETCHED, 3))
        record.take(DaysCovered(an_object(3), (an_object(0).key,), 10))
    assert list(record.report.files()) == [root.file(an_object(number).key) for number in (1, 2, 3)]
    assert record.report.outcomes[Outcome.PRESENT] == 3


def test_what_a_run_moved_aside_is_not_among_its_files(root: Root) -> None:
    kept, month = an_object(1), an_object(9)
    with recording(root) as record:
        for number in (0, 1, 9):
            record.take(settled(Outcome.PRESENT, number))
        record.take(DaysCovered(month, (an_object(0).key,), 10))
    assert list(record.report.files()) == [root.file(kept.key), root.file(month.key)]


def test_the_files_of_a_root_with_another_layout_are_at_its_paths(root: Root) -> None:
    root = replace(root, layout=placement_of("hive", bundled()))
    take_layout(root)
    with recording(root) as record:
        for number in (1, 0):
            record.take(settled(Outcome.FETCHED, number))
    files = list(record.report.files())
    assert files == sorted(files) == [root.file(an_object(number).key) for number in (0, 1)]
    assert all("market=spot" in str(path) for path in files)
    write_note(root, LayoutNote("mirror"))
    with pytest.raises(UsageError, match="has the layout 'mirror', but 'hive' was requested"):
        next(record.report.files())


def test_a_report_without_a_run_has_no_files() -> None:
    assert list(Report(Request(Selection((Market.SPOT,)))).files()) == []


def test_the_files_of_a_run_whose_folder_is_gone_are_an_error_with_a_way_out(root: Root) -> None:
    with recording(root) as record:
        record.take(settled(Outcome.FETCHED))
    shutil.rmtree(record.folder)
    with pytest.raises(FileUnusable, match=r"Cannot read the journal .*events.jsonl: No such file") as raised:
        list(record.report.files())
    assert raised.value.hint.startswith("Only the newest runs keep their folders (keep_runs).")


def test_the_files_of_several_runs_are_one_sorted_list_without_duplicates(root: Root) -> None:
    reports = []
    for run_id, numbers in ((RUN, (3, 0)), (RUN.replace("abcdef", "000001"), (1, 0))):
        report = Report(Request(Selection((Market.SPOT,)), root.path))
        with Record.opened(root, run_id, report) as record:
            for number in numbers:
                record.take(settled(Outcome.FETCHED, number))
        reports.append(report)
    whole = combine_reports(load_preset("research", output_directory=root.path), reports)
    assert list(whole.files()) == [root.file(an_object(number).key) for number in (0, 1, 3)]
    assert whole.folder is None


def test_a_line_of_the_journal_that_was_cut_off_hides_no_other(root: Root) -> None:
    with recording(root) as record:
        record.take(settled(Outcome.FETCHED, 0))
    with (record.folder / "events.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"event":"object-finished","key":"data/spot/da')
    assert list(record.report.files()) == [root.file(an_object(0).key)]
