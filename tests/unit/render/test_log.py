"""The log file: JSON lines, as many as are asked for, through rotations and failures; and what s5cmd says."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.events import (
    BatchRetried,
    BatchStarted,
    Checked,
    Event,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    RunFinished,
    RunStarted,
)
from crypto_archive.model import Action, Market, Notice, Outcome, PlannedObject, Verdict
from crypto_archive.render.log import LOGGER, S5CMD, EventLog, log, logging_to, said_by
from crypto_archive.s5cmd.output import log_command, log_message, parse_line
from tests.objects import LISTED_AT, an_object, to_fetch

if TYPE_CHECKING:
    from pathlib import Path

ITEM = an_object()
EVENTS: tuple[Event, ...] = (
    RunStarted("run", LISTED_AT, (Notice("a note"),), "v2"),
    ObjectPlanned(to_fetch(ITEM)),
    ObjectsKept((PlannedObject(an_object(1), Action.KEEP, "there", stored_size=5),)),
    BatchStarted(0, 1, "spot klines", 1, 1),
    BatchRetried(0, 1, 1, 2.5, 1, "timeout"),
    ObjectFinished(ITEM, Outcome.FETCHED, size=5, bytes_fetched=6, lane=0),
    ObjectFinished(an_object(2), Outcome.FAILED, "timeout\n\x1b[31m", lane=0),
    RunFinished(1.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "log.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def s5cmd_says(*texts: str) -> None:
    for text in texts:
        log_message(parse_line(text))


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [
        (0, ["run-started", "run-started", "batch-retried", "object-finished", "run-finished"]),
        (1, ["run-started", "run-started", "object-planned", "object-planned", "batch-started", "batch-retried",
             "object-finished", "object-finished", "run-finished"]),
        (2, ["run-started", "run-started", "object-planned", "object-planned", "batch-started", "batch-retried",
             "object-finished", "object-finished", "run-finished", "s5cmd"]),
    ],
)  # fmt: skip
def test_each_level_has_more_of_it(path: Path, verbosity: int, expected: list[str]) -> None:
    with logging_to(path, verbosity, None):
        events = EventLog()
        for event in EVENTS:
            events.show(event)
        s5cmd_says("usage error")
    assert [line["event"] for line in lines(path)] == expected


def test_a_line_has_time_level_message_and_the_fields_of_its_event(path: Path) -> None:
    before = datetime.now(UTC)
    with logging_to(path, 0, None):
        EventLog().show(EVENTS[6])
        EventLog().show(Noticed(Notice("a note")))
        EventLog().show(RunFinished(1.0, error="The disk is full"))
    failed, noticed, ended = lines(path)
    assert list(failed)[:5] == ["time", "level", "pid", "event", "message"]
    assert (failed["level"], failed["key"], failed["outcome"]) == ("error", an_object(2).key, "failed")
    assert failed["message"] == f"failed: {an_object(2).key}: timeout \\x1b[31m"
    assert before.replace(microsecond=0) <= datetime.fromisoformat(failed["time"]) <= datetime.now(UTC)
    assert (noticed["level"], noticed["message"]) == ("info", "note: a note")
    assert (ended["level"], ended["message"]) == ("error", "run stopped after 1.0 s: The disk is full")


def test_checks_are_logged_like_events(path: Path) -> None:
    with logging_to(path, 1, None):
        events = EventLog()
        events.show(Checked("a.zip", Market.SPOT, "klines", Verdict.OK))
        events.show(Checked("b.zip", Market.SPOT, "klines", Verdict.CORRUPT, reason="other bytes"))
    assert [(line["level"], line["event"], line["verdict"]) for line in lines(path)] == [
        ("debug", "checked", "ok"), ("error", "checked", "corrupt")
    ]  # fmt: skip


def test_it_is_appended_and_follows_a_rotation(path: Path) -> None:
    with logging_to(path, 0, None):
        log(logging.INFO, "first", "one")
    with logging_to(path, 0, None):
        log(logging.INFO, "second", "two", exit_code=3)
        path.rename(path.with_suffix(".1"))
        log(logging.INFO, "third", "three")
    assert [line["event"] for line in lines(path.with_suffix(".1"))] == ["first", "second"]
    assert [line["event"] for line in lines(path)] == ["third"]


def test_a_file_that_cannot_be_written_any_more_is_reported_once(path: Path) -> None:
    said: list[str] = []
    with logging_to(path, 0, said.append):
        log(logging.INFO, "first", "one")
        path.unlink()
        path.mkdir()
        log(logging.INFO, "second", "two")
        log(logging.INFO, "third", "three")
    assert said == [f"the log file {path} cannot be written any more; the command goes on without it"]


def test_another_handler_of_the_process_gets_none_of_it(path: Path) -> None:
    taken: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = taken.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(other)
    try:
        with logging_to(path, 2, None):
            log(logging.INFO, "first", "one")
            s5cmd_says("words")
    finally:
        logging.getLogger().removeHandler(other)
    assert (len(lines(path)), taken) == (2, [])


def test_nothing_of_it_stays(path: Path) -> None:
    before = [(logger.level, list(logger.handlers)) for logger in (LOGGER, S5CMD)]
    with logging_to(path, 2, print):
        assert S5CMD.isEnabledFor(logging.DEBUG)
    assert [(logger.level, logger.handlers) for logger in (LOGGER, S5CMD)] == before
    assert not S5CMD.isEnabledFor(logging.DEBUG)


def test_what_s5cmd_says_in_words_without_what_it_lists_and_without_secrets() -> None:
    said: list[str] = []
    with logging_to(None, 2, said.append):
        log_command(["s5cmd", "--endpoint-url", "http://me:secret@proxy:1", "run", "a file"])
        s5cmd_says(
            '{"operation":"cp","success":true,"source":"s3://b/k","destination":"k","object":{"size":7}}',
            '{"operation":"cp","command":"cp s3://b/k k","error":"proxyconnect http://me:secret@p: refused"}',
            '{"key":"s3://b/k","etag":"e","last_modified":"2025-07-16T00:00:00Z","type":"file","size":7}',
            "ERROR unknown flag",
        )
    assert said == [
        "s5cmd: s5cmd --endpoint-url http://proxy:1 run 'a file'",
        "s5cmd: cp s3://b/k k (7 bytes)",
        "s5cmd: ERROR cp s3://b/k k: proxyconnect http://p: refused",
        "s5cmd: ERROR unknown flag",
    ]


@pytest.mark.parametrize("verbosity", [0, 1])
def test_s5cmd_is_silent_below_the_second_level(verbosity: int) -> None:
    said: list[str] = []
    with logging_to(None, verbosity, said.append):
        s5cmd_says("words")
    assert said == []


def test_its_words_go_to_the_progress_while_that_is_shown() -> None:
    around: list[str] = []
    above: list[str] = []
    with logging_to(None, 2, around.append):
        with said_by(above.append):
            s5cmd_says("one")
        s5cmd_says("two")
    assert (above, around) == (["s5cmd: one"], ["s5cmd: two"])


def test_an_object_that_was_retried_says_why(path: Path) -> None:
    with logging_to(path, 1, None):
        EventLog().show(ObjectFinished(ITEM, Outcome.FETCHED, "downloaded again", size=5, bytes_fetched=6, lane=0))
    assert lines(path)[0]["message"] == f"fetched: {ITEM.key} (6 B): downloaded again"
