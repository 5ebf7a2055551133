"""Daily objects that a monthly one covers: moved aside when it holds their rows, and left when it does not."""

from __future__ import annotations

import json
import signal
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive import collect_events, load_preset
from crypto_archive.errors import ExitCode
from crypto_archive.events import Cancellation, DaysCovered, RunFinished
from crypto_archive.model import Market, Verdict
from crypto_archive.root.manifest import Manifest
from tests.archive.results import Collected, collect, files_below, stored, validate
from tests.archive.sample import Defect, SampleSpec, days, of_days, of_months, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.archive.running import Runner
    from tests.archive.served import Archive

FIRST, LAST = date(2025, 6, 1), date(2025, 6, 30)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
JUNE = ("-m", "futures_um", "-t", "klines", "-i", "1h", "-s", SYMBOLS[0], "-s", SYMBOLS[1],
        "--start", str(FIRST), "--end", str(LAST))  # fmt: skip
DAILY = tuple(of_days(Market.FUTURES_UM, "klines", SYMBOLS, days(FIRST, LAST), ("1h",)))
MONTHLY = tuple(of_months(Market.FUTURES_UM, "klines", SYMBOLS, (FIRST,), ("1h",)))
DAILY_KEYS, MONTHLY_KEYS = {item.key for item in DAILY}, {item.key for item in MONTHLY}
SHORT = MONTHLY[0]
NOTHING = {"months": 0, "objects": 0, "bytes": 0, "kept_months": 0}


@pytest.fixture
def serve(own_archive: Callable[[SampleSpec], Archive]) -> Callable[..., Archive]:
    def serve(defect: Defect | None = None) -> Archive:
        return own_archive(SampleSpec.of([*DAILY, *MONTHLY], {SHORT.key: defect} if defect else None))

    return serve


def prune(run: Runner, *more: str) -> Collected:
    return collect(run, *JUNE, "--partition", "monthly", "--prune-covered", *more)


def verdict_of(done: Collected, key: str) -> Verdict | None:
    with Manifest(done.root / ".crypto-archive" / "manifest.sqlite", read_only=True) as manifest:
        entry = manifest.entry(key)
    return None if entry is None else entry.verdict


def test_a_month_that_is_collected_later_takes_the_place_of_its_days(
    run: Runner, serve: Callable[..., Archive]
) -> None:
    archive = serve()
    run = run.at(archive.endpoint_url)
    before = collect(run, *JUNE, "--partition", "daily")
    assert before.outcomes == {"fetched": 60}
    assert before.report["pruned"] == NOTHING
    size = sum(path.stat().st_size for path in (before.root / "data").rglob("*.*"))

    done = prune(run)
    covered = done.root / ".crypto-archive" / "covered"
    assert (done.code, done.outcomes) == (0, {"fetched": 2})
    assert done.report["pruned"] == {"months": 2, "objects": 60, "bytes": size, "kept_months": 0}
    assert done.report["notices"] == []
    assert stored(done.root) == MONTHLY_KEYS
    assert files_below(covered) == sorted(key + end for key in DAILY_KEYS for end in ("", ".CHECKSUM"))
    assert all((covered / key).read_bytes() == (archive.bucket / key).read_bytes() for key in DAILY_KEYS)
    told = done.events("days-covered")
    assert {event["key"] for event in told} == MONTHLY_KEYS
    assert {key for event in told for key in event["moved"]} == DAILY_KEYS

    code, stdout, stderr = run("verify", "--all", "-o", done.root, "--json")
    found = json.loads(stdout)
    validate(found, "verify.schema.json")
    assert (code, found["verdicts"]["ok"], found["objects"]) == (0, 2, 2), stderr
    again = prune(run)
    assert (again.code, again.outcomes, again.report["pruned"]) == (0, {"present": 2}, NOTHING)


def test_a_short_month_moves_nothing_and_is_marked(run: Runner, serve: Callable[..., Archive]) -> None:
    archive = serve(defect=Defect.SHORT_MONTH)
    run = run.at(archive.endpoint_url)
    collect(run, *JUNE, "--partition", "daily")
    done = prune(run)
    assert done.code == 0
    assert (done.report["pruned"]["months"], done.report["pruned"]["kept_months"]) == (1, 1)
    (notice,) = done.report["notices"]
    assert notice == (
        f"{SHORT.key} does not stand for 30 daily objects, which stay: "
        f"its rows are not those of BTCUSDT-1h-2025-06-09.zip"
    )
    assert f"note: {notice}" in done.stderr
    assert stored(done.root) == MONTHLY_KEYS | {key for key in DAILY_KEYS if "BTCUSDT" in key}
    assert verdict_of(done, SHORT.key) is Verdict.GAPS
    code, stdout, _ = run("verify", "--all", "-o", done.root, "--json")
    assert (code, json.loads(stdout)["verdicts"]["gaps"]) == (0, 1)
    days, aside = done.root / "data/futures/um/daily/klines", run.folder / "aside"
    days.rename(aside)
    code, stdout, _ = run("coverage", *JUNE, "-o", done.root, "--json")
    assert json.loads(stdout)["totals"]["to_fetch"] == 30, "a month that is known to be short does not count"
    aside.rename(days)

    replace(archive.bucket, SHORT.key, same_size=True)  # as the archive did: the month is whole now
    later = prune(run, "--refresh")  # the listing is remembered for a while
    assert (later.code, later.outcomes) == (0, {"updated": 1, "present": 1})
    assert later.report["pruned"]["objects"] == 30
    assert stored(done.root) == MONTHLY_KEYS
    assert verdict_of(later, SHORT.key) is Verdict.OK


def test_a_plan_from_the_calendar_prunes_too(run: Runner, serve: Callable[..., Archive]) -> None:
    run = run.at(serve().endpoint_url)
    few = ("--partition", "daily", "--start", "2025-06-29", "-s", "!ETHUSDT")
    assert collect(run, *JUNE, *few).outcomes == {"fetched": 2}
    done = prune(run, "--discover", "calendar")
    assert done.report["pruned"]["objects"] == 2
    assert stored(done.root) == MONTHLY_KEYS


def test_the_first_signal_ends_it_between_two_months(run: Runner, serve: Callable[..., Archive]) -> None:
    endpoint = serve().endpoint_url
    before = collect(run.at(endpoint), *JUNE, "--partition", "daily")
    options: dict[str, Any] = {
        "markets": ["futures_um"], "symbols": list(SYMBOLS), "data_types": ["klines"], "intervals": ["1h"],
        "start": str(FIRST), "end": str(LAST), "partition": "monthly", "endpoint_url": endpoint,
        "output_directory": str(before.root),
    }  # fmt: skip
    cancellation = Cancellation()
    told = []
    events = collect_events(
        load_preset(**options, today=date(2025, 8, 1)), cancellation=cancellation, prune_covered=True
    )
    for event in events:
        told.append(event)
        if isinstance(event, DaysCovered):
            cancellation.request(signal.SIGINT)
    report = events.report
    assert report.exit_code() is ExitCode.INTERRUPTED
    assert (report.pruned.months, report.pruned.objects) == (1, 30)
    assert len(stored(before.root)) == 32
    assert isinstance(told[-1], RunFinished)


def test_the_summary_and_the_lines_tell_of_it(run: Runner, serve: Callable[..., Archive]) -> None:
    run = run.at(serve().endpoint_url)
    collect(run, *JUNE, "--partition", "daily")
    code, stdout, stderr = run("collect", "-o", "archive", *JUNE, "--partition", "auto", "--prune-covered")
    assert code == 0
    assert "60 daily objects, " in stdout
    assert "to .crypto-archive/covered" in stdout
    assert stderr.count("moved aside: 30 daily objects, held by ") == 2
