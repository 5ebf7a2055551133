"""``collect`` where few files may be open at once, and where the clock cannot be trusted."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, collect

if TYPE_CHECKING:
    from tests.archive.running import Runner
    from tests.archive.served import Archive

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the limit is that of POSIX")

MANY = ("-m", "spot", "-t", "klines", "-t", "trades", "-i", "1h", "-i", "1d", "-s", "BTCUSDT", "-s", "ETHUSDT",
        "-s", "ADAUSDT", "--start", "2025-07-13", "--end", "2025-07-15")  # fmt: skip

BACKWARDS = """
import datetime, itertools, time

hours = itertools.count(0, -3600)
true = time.time()

class Backwards(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(true + next(hours), tz)

datetime.datetime = Backwards
time.time = lambda: true + next(hours)
from crypto_archive.__main__ import main
main()
"""


def limited(run: Runner, limit: str) -> Runner:
    return replace(run, command=("/bin/sh", "-c", f'ulimit {limit} && exec "$0" "$@"', *run.command))


@pytest.mark.parametrize(("limit", "lanes", "workers"), [("-n 40", 1, 4), ("-n 64", 5, 8)], ids=["40", "64"])
def test_a_low_limit_of_open_files_makes_it_slower_and_not_worse(
    run: Runner, archive: Archive, limit: str, lanes: int, workers: int
) -> None:
    done = collect(limited(run, limit), *MANY, "--jobs", "8")
    assert done.code == 0, done.stderr
    assert set(done.outcomes) == {"fetched"}
    assert done.outcomes["fetched"] > 20
    said = f"allows {lanes} of 8 s5cmd processes with {workers} objects each"
    assert [notice for notice in done.report["notices"] if said in notice]
    assert {event["lane"] for event in done.events("batch-started")} <= set(range(lanes))
    assert done.events("batch-retried") == []


def test_a_limit_that_may_be_raised_is_raised_and_not_worth_a_word(run: Runner) -> None:
    done = collect(limited(run, "-S -n 40"), *THREE, "--jobs", "8")
    assert (done.code, done.outcomes, done.report["notices"]) == (0, {"fetched": 3}, [])


def test_a_limit_that_is_too_low_is_reported(run: Runner) -> None:
    code, _, stderr = limited(run, "-n 30")("collect", *THREE, "-o", ROOT)
    assert code == 5
    assert "Error: This process may have only 30 open files, but it needs at least 38" in stderr
    assert "Hint: Raise the limit: `ulimit -n 1024`" in stderr


def test_a_clock_that_goes_backwards_gives_no_absurd_figures(run: Runner, archive: Archive) -> None:
    """Each look at the wall clock finds it an hour earlier than the last one did."""
    done = collect(replace(run, command=(sys.executable, "-c", BACKWARDS)), *THREE)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    seconds = done.report["collection_stats"]["processing_time_seconds"]
    assert 0 < seconds < 60
    started, finished = (datetime.fromisoformat(done.report[name]) for name in ("started_at", "finished_at"))
    assert abs((finished - started).total_seconds() - seconds) < 0.01
    assert "after -" not in done.stderr
    assert all(event.get("wait_seconds", 0) >= 0 for event in done.events("batch-retried"))
    lines = (done.folder / "events.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[-1])["seconds"] == pytest.approx(seconds, abs=0.01)
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert collect(run, *THREE).outcomes == {"present": 3}
