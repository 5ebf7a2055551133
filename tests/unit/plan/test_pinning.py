"""Lock files joined with plans and commands: what is taken into a lock, and what is refused before anything starts."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from crypto_archive.cli.app import app
from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Selection
from crypto_archive.errors import ConfigError, EnvironmentFailure, ExitCode, UsageError
from crypto_archive.jobs.plan import Differences
from crypto_archive.model import Absence, Action, DateRange, Market, PlannedObject
from crypto_archive.plan.awaited import wanted_by
from crypto_archive.plan.locked import LockLines, locked_config
from crypto_archive.plan.lockfile import LockedObject, Wait, differences, line_of, open_lock, write_lock
from crypto_archive.text import json_pieces
from tests.objects import FIRST_DAY, a_context, an_object, kept, listed, to_fetch

if TYPE_CHECKING:
    from crypto_archive.config.run_config import RunConfig

BUCKET = "data.binance.vision"
ITEM, OTHER = an_object(), an_object(1)
STAT = listed()
SHA256 = "a" * 64


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(**options: object) -> RunConfig:
    return load_run_config([], options, today=FIRST_DAY)


def a_lock(*keys: str, bucket: str = BUCKET) -> Path:
    path = Path("some.lock")
    write_lock(path, bucket, [line_of(LockedObject(key, STAT)) for key in keys])
    return path


# What is taken into a lock


def test_a_lock_has_what_the_archive_has_whatever_is_to_be_done_with_it() -> None:
    planned = [
        to_fetch(an_object(3), remote=STAT),
        kept(an_object(2))._replace(remote=listed(has_sidecar=False)._replace(sha256=SHA256)),
        PlannedObject(an_object(1), Action.UPDATE, "", remote=STAT),
        PlannedObject(an_object(4), Action.WAIT, "not-yet"),
        PlannedObject(an_object(5), Action.REFUSE, "replaced", remote=STAT),
        to_fetch(an_object(6)),
    ]
    with LockLines(a_context()) as lines:
        assert list(lines.noting(planned)) == planned
        assert list(lines.objects.sorted()) == [
            line_of(LockedObject(an_object(1).key, STAT)),
            line_of(LockedObject(an_object(2).key, STAT._replace(sha256=SHA256, has_sidecar=False))),
            line_of(LockedObject(an_object(3).key, STAT)),
        ]
        assert list(lines.waits.sorted()) == []  # without dates that move on, nothing has to be remembered


TODAY = FIRST_DAY + timedelta(days=9)


@pytest.mark.parametrize(
    ("dates", "moves"),
    [
        (DateRange(FIRST_DAY, None), True),
        (DateRange(FIRST_DAY, TODAY - timedelta(days=1)), True),
        (DateRange(FIRST_DAY, TODAY - timedelta(days=2)), False),
        (DateRange(None, None), False),
    ],
)
def test_a_lock_has_what_is_awaited_where_dates_move_on(dates: DateRange, moves: bool) -> None:
    context = a_context(TODAY, selection=Selection((Market.SPOT,), ("klines",), dates=dates))
    planned = [
        to_fetch(an_object(0), remote=STAT),
        to_fetch(an_object(1), remote=STAT)._replace(awaited_since=FIRST_DAY),
        PlannedObject(an_object(2), Action.WAIT, "not-yet"),
        PlannedObject(an_object(3), Action.WAIT, "delisted", awaited_since=FIRST_DAY),
    ]
    who = wanted_by(context.request.selection, Market.SPOT, "klines")
    absences = {1: None, 2: Absence.NOT_YET, 3: Absence.DELISTED}
    with LockLines(context) as lines:
        list(lines.noting(planned))
        assert lines.write(Path("some.lock")) == 2
        assert set(open_lock(Path("some.lock")).waits()) == {
            Wait(an_object(number).key, who, absence, TODAY) for number, absence in absences.items() if moves
        }
    assert [locked.key for locked in open_lock(Path("some.lock"))] == [an_object(0).key, an_object(1).key]


def test_an_object_that_does_not_fit_into_a_line_is_reported() -> None:
    with LockLines(a_context()) as lines, pytest.raises(EnvironmentFailure, match="locked: the ETag 'a") as raised:
        list(lines.noting([to_fetch(ITEM, remote=listed(etag="a\tb"))]))
    assert "--endpoint-url" in raised.value.hint


def test_nothing_to_lock_leaves_what_is_there_alone() -> None:
    a_lock(ITEM.key)
    before = Path("some.lock").read_bytes()
    with LockLines(a_context()) as lines:
        assert lines.write(Path("some.lock")) == 0
    assert Path("some.lock").read_bytes() == before


# What a lock asks for


def test_a_lock_takes_the_place_of_what_was_selected() -> None:
    asked = configured(markets=["spot"], output_directory="elsewhere", max_parallel_downloads=3)
    made = locked_config(asked, a_lock(ITEM.key, bucket="mirror"))[0].request
    assert (made.locked, made.selection.markets, made.access.bucket) == (Path("some.lock"), (), "mirror")
    assert (made.root, made.fetching) == (asked.request.root, asked.request.fetching)


def test_the_notice_that_everything_is_meant_is_not_said() -> None:
    asked = configured()
    assert any("this means all markets" in notice.text for notice in asked.notices)
    assert locked_config(asked, a_lock(ITEM.key))[0].notices == ()


def test_a_bucket_that_was_asked_for_has_to_be_the_lock_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_BUCKET", "mirror")
    with pytest.raises(ConfigError) as raised:
        locked_config(configured(), a_lock(ITEM.key))
    assert str(raised.value) == (
        "CRYPTO_ARCHIVE_BUCKET: 'mirror', but some.lock locks objects of the bucket 'data.binance.vision'"
    )
    assert locked_config(configured(), a_lock(ITEM.key, bucket="mirror"))[0].request.access.bucket == "mirror"


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("data/spot/x.zip", "the matrix has no place for the key 'data/spot/x.zip'"),
        ("data/../secret.zip", "the matrix has no place for the key 'data/../secret.zip'"),
        (an_object(symbol="BTC*USDT").key, "cannot be listed with s5cmd"),
    ],
)
def test_a_key_that_cannot_be_collected_is_reported_before_anything_starts(key: str, what: str) -> None:
    with pytest.raises(UsageError) as raised:
        locked_config(configured(), a_lock(*sorted((key, OTHER.key))))
    assert raised.value.message.startswith("The lock file some.lock is corrupt at line ")
    assert what in raised.value.message


# The command line


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, UsageError), done.exception
        return int(done.exception.exit_code), f"{done.exception.message}; {done.exception.hint}"
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("option", ["--lock", "--diff"])
def test_a_plan_from_the_calendar_has_nothing_to_lock_or_to_compare(option: str) -> None:
    code, said = run("plan", "-p", "research", "--discover", "calendar", option, str(a_lock(ITEM.key)))
    assert code == ExitCode.USAGE
    assert said.startswith(
        "A plan from the calendar cannot be locked or compared: it does not know sizes and ETags; Plan"
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("-m", "spot", "-s", "BTCUSDT"), "--market, --symbol"),
        (("--last", "7d", "-t", "klines", "-i", "1h"), "--data-type, --interval, --last"),
        (("--discover", "listing", "--partition", "daily"), "--partition"),
        (("--start", "2025-07-15", "--end", "2025-07-15"), "--start, --end"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry-run"])
def test_what_is_locked_is_not_selected_too(options: tuple[str, ...], named: str, dry: tuple[str, ...]) -> None:
    code, said = run("collect", "--locked", str(a_lock(ITEM.key)), *options, *dry)
    assert code == ExitCode.USAGE
    assert f"the lock file alone selects what to download; leave out {named}" in said


def test_where_to_and_how_go_together_with_a_lock() -> None:
    arguments = (
        "collect",
        "-n",
        "--locked",
        str(a_lock(ITEM.key)),
        "-p",
        "low-memory",
        "-p",
        "research",
        "-o",
        "x",
        "-q",
    )
    code, said = run(*arguments, "--endpoint-url", "http://127.0.0.1:9")
    assert (code, ITEM.key in said) == (ExitCode.OK, True)


def test_a_comparison_writes_no_run_files() -> None:
    code, said = run("plan", "--diff", str(a_lock()), "--format", "runfiles", "--to", "x")
    assert (code, "a comparison writes neither run-files nor shards" in said) == (ExitCode.USAGE, True)


def test_a_lock_of_another_bucket_is_not_compared() -> None:
    code, said = run("plan", "-p", "research", "--diff", str(a_lock(bucket="mirror")))
    assert code == ExitCode.USAGE
    assert said.startswith("some.lock locks objects of the bucket 'mirror', but this plan is for 'data.binance.vision'")


def test_a_missing_lock_file_is_reported() -> None:
    assert run("collect", "--locked", "none.lock")[1].startswith("Lock file not found: none.lock; ")


# Differences as a document


def test_differences_are_one_document_of_any_length() -> None:
    locked = [LockedObject("a", STAT), LockedObject("b", STAT)]
    planned = [LockedObject("b", STAT._replace(size=101, sha256=SHA256)), LockedObject("c", STAT)]
    found = Differences(differences(locked, planned), Path("some.lock"))
    document = json.loads("".join(json_pieces(found.document_fields())))
    assert Differences(differences(locked, planned), Path("some.lock")).document() == document
    stat = {"size": 100, "etag": "e" * 32, "last_modified": "2025-07-16T00:10:11+00:00", "sha256": None}
    assert document == {
        "schema_version": 1,
        "lock": "some.lock",
        "differences": [
            {"kind": "gone", "key": "a", "locked": stat, "planned": None},
            {"kind": "replaced", "key": "b", "locked": stat, "planned": stat | {"size": 101, "sha256": SHA256}},
            {"kind": "new", "key": "c", "locked": None, "planned": stat},
        ],
        "counts": {"new": 1, "gone": 1, "replaced": 1},
    }
    assert found.summary == "1 new, 1 gone, 1 replaced"
    assert Differences([], Path("some.lock")).summary == "The plan matches the lock file."
