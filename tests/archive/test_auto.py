"""``partition: auto``: whole months as one object where the archive has them and they hold their days."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import pytest

from crypto_archive.model import Market, Partition, Verdict
from crypto_archive.root.manifest import Manifest
from tests.archive.plans import plan, planned
from tests.archive.results import ROOT, assert_same_bytes, collect, copied_by, stored, validate
from tests.archive.sample import Defect, SampleObject, SampleSpec, days, of_days, of_months, put, sidecar_bytes
from tests.archive.sample.writing import zip_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.archive.running import Runner
    from tests.archive.served import Archive

UM = Market.FUTURES_UM
BTC, ETH = "BTCUSDT", "ETHUSDT"
FIRST, LAST = date(2025, 4, 1), date(2025, 7, 5)
APRIL, MAY, JUNE = date(2025, 4, 1), date(2025, 5, 1), date(2025, 6, 1)
DAILY = tuple(of_days(UM, "klines", (BTC, ETH), days(FIRST, LAST), ("1h",)))
MONTHLY = tuple(
    item
    for item in of_months(UM, "klines", (BTC, ETH), (APRIL, MAY, JUNE), ("1h",))
    if (item.symbol, item.period.first_day) != (ETH, MAY)
)
"""Those of July are not published yet, and one is missing."""
(SHORT,) = (item for item in MONTHLY if (item.symbol, item.period.first_day) == (BTC, JUNE))
WISH = ("-m", "futures_um", "-t", "klines", "-i", "1h", "-s", BTC, "-s", ETH)
ALL = (*WISH, "--start", str(FIRST), "--end", str(LAST))
LISTING, CALENDAR = ("--discover", "listing"), ("--discover", "calendar")


@pytest.fixture
def bucket(own_archive: Callable[[SampleSpec], Archive]) -> Archive:
    """Three months and some days of two symbols: one month is missing, and one holds a few days only."""
    return own_archive(SampleSpec.of([*DAILY, *MONTHLY], {SHORT.key: Defect.SHORT_MONTH}))


def keys(items: object) -> set[str]:
    return {item.key for item in items}  # type: ignore[attr-defined]


def in_month(item: SampleObject) -> tuple[str, date]:
    return item.symbol, item.period.first_day.replace(day=1)


WHOLE = tuple(item for item in MONTHLY if item is not SHORT)
BEST = keys(WHOLE) | {item.key for item in DAILY if in_month(item) not in set(map(in_month, WHOLE))}
"""What a plan of the best of both consists of."""


def verify(run: Runner, *arguments: str) -> tuple[int, dict[str, int]]:
    code, stdout, stderr = run("verify", "--json", "-o", ROOT, *arguments)
    assert stdout, stderr
    document = json.loads(stdout)
    validate(document, "verify.schema.json")
    return code, {name: count for name, count in document["verdicts"].items() if count}


def size_of(archive: Archive, some: set[str]) -> int:
    return sum((archive.bucket / key).stat().st_size for key in some)


def test_the_plan_takes_whole_months_and_says_what_that_saves(run: Runner, bucket: Archive) -> None:
    here = run.at(bucket.endpoint_url)
    assert planned(here, *ALL) == BEST
    document = plan(here, *ALL)
    daily = plan(here, *ALL, "--partition", "daily")["totals"]
    totals, budget = document["totals"], document["budget"]
    assert (totals["objects"], totals["consolidated"]) == (len(BEST), 4)
    assert totals["objects"] + totals["saved_objects"] == daily["objects"] == len(DAILY)
    assert totals["bytes"] + totals["saved_bytes"] == daily["bytes"] == size_of(bucket, keys(DAILY))
    assert (budget["monthly_objects"], budget["daily_objects"]) == (4, 30 + 31 + 30 + 30)
    assert (budget["saved_objects"], budget["saved_bytes"]) == (totals["saved_objects"], totals["saved_bytes"])
    assert (daily["consolidated"], daily["saved_objects"], daily["saved_bytes"]) == (0, 0, 0)
    (note,) = (text for text in document["notices"] if "cached" not in text)
    assert note.startswith("futures_um klines BTCUSDT 1h 2025-06: the monthly object is too small, ")
    assert note.endswith("; planning its daily objects")


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ("2025-04-02", "2025-04-30", 0),
        ("2025-04-01", "2025-04-29", 0),
        ("2025-04-01", "2025-04-30", 2),
        ("2025-04-30", "2025-06-01", 1),  # May, of which one is missing
    ],
)
def test_partly_wanted_months_are_taken_day_by_day(
    run: Runner, bucket: Archive, start: str, end: str, months: int
) -> None:
    dates = ("--start", start, "--end", end)
    found = [SampleObject.of_key(key) for key in planned(run.at(bucket.endpoint_url), *WISH, *dates)]
    by_partition = Counter(item.period.partition for item in found)
    assert by_partition[Partition.MONTHLY] == months
    covered = {in_month(item) for item in found if item.period.partition is Partition.MONTHLY}
    wanted = [item for item in DAILY if start <= str(item.period) <= end and in_month(item) not in covered]
    assert {item.key for item in found if item.period.partition is Partition.DAILY} == keys(wanted)


def test_what_is_collected_is_proven_and_present(run: Runner, bucket: Archive) -> None:
    here = run.at(bucket.endpoint_url)
    done = collect(here, *ALL)
    assert (done.code, done.outcomes) == (0, {"fetched": len(BEST)})
    assert stored(done.root) == BEST
    assert_same_bytes(done.root, bucket.bucket, BEST)
    again = collect(here, *ALL)
    assert (again.code, again.outcomes) == (0, {"present": len(BEST)})
    for expect in ((), LISTING, CALENDAR):
        assert verify(here, *ALL, *expect) == (0, {"ok": len(BEST)})

    # A month that is gone is missed, by every way to know it; a day that is gone is, where no month stands for it.
    whole, single = WHOLE[0].key, next(item.key for item in DAILY if item.key in BEST)
    for key in (whole, single):
        (done.root / key).unlink()
    for expect in ((), LISTING, CALENDAR):
        assert verify(here, *ALL, *expect)[1]["missing"] >= 2
    assert collect(here, *ALL).outcomes == {"fetched": 2, "present": len(BEST) - 2}


def test_a_month_that_comes_later_takes_the_place_of_its_days(run: Runner, bucket: Archive) -> None:
    here = run.at(bucket.endpoint_url)
    may = (*WISH, "--start", "2025-05-01", "--end", "2025-05-31")
    before = collect(here, *may)
    assert before.outcomes == {"fetched": 1 + 31}
    (late,) = of_months(UM, "klines", (ETH,), (MAY,), ("1h",))
    content = zip_bytes(late)
    put(bucket.bucket, late.key, content, late.written_at)
    put(bucket.bucket, late.key + ".CHECKSUM", sidecar_bytes(late, content), late.written_at)
    assert collect(here, *may, "--prune-covered").outcomes == {"present": 32}  # as it is remembered
    done = collect(here, *may, "--prune-covered", "--refresh")
    assert (done.code, done.outcomes) == (0, {"fetched": 1, "present": 1})
    assert (done.report["pruned"]["months"], done.report["pruned"]["objects"]) == (1, 31)
    assert stored(done.root) == {item.key for item in (*WHOLE, late) if item.period.first_day == MAY}
    assert verify(here, *may, *CALENDAR) == (0, {"ok": 2})


def test_a_month_that_was_found_to_be_short_is_not_taken_again(
    run: Runner, own_archive: Callable[[SampleSpec], Archive]
) -> None:
    """Where the days are so small that sizes prove nothing, only the rows tell."""
    june_days = tuple(of_days(UM, "klines", (BTC,), days(JUNE, date(2025, 6, 30)), ("1d",)))
    (short,) = of_months(UM, "klines", (BTC,), (JUNE,), ("1d",))
    here = run.at(own_archive(SampleSpec.of([*june_days, short], {short.key: Defect.SHORT_MONTH})).endpoint_url)
    june = ("-m", "futures_um", "-t", "klines", "-i", "1d", "-s", BTC, "--start", "2025-06-01", "--end", "2025-06-30")
    collect(here, *june, "--partition", "daily", "--start", "2025-06-09", "--end", "2025-06-15")
    assert planned(here, *june) == {short.key}
    done = collect(here, *june, "--prune-covered")
    # Its rows tell that it lacks fifteen days; those that are not on disk are fetched in the same run.
    assert (done.outcomes, done.report["pruned"]["kept_months"]) == ({"fetched": 16, "present": 7}, 1)
    with Manifest(done.root / ".crypto-archive" / "manifest.sqlite", read_only=True) as manifest:
        entry = manifest.entry(short.key)
    assert entry is not None
    assert entry.verdict is Verdict.GAPS

    document = plan(here, *june)
    assert (document["totals"]["objects"], document["totals"]["present"]) == (30, 22)
    what = "the monthly object is known to lack rows; planning its daily objects"
    assert f"futures_um klines BTCUSDT 1d 2025-06: {what}" in document["notices"]
    assert planned(here, *june) == keys(june_days)
    assert verify(here, *june, *CALENDAR) == (4, {"ok": 22, "gaps": 1, "missing": 8})
    assert collect(here, *june).outcomes == {"fetched": 8, "present": 22}
    assert verify(here, *june, *CALENDAR) == (0, {"ok": 30, "gaps": 1})


def test_the_calendar_plans_days_with_a_note(run: Runner, bucket: Archive) -> None:
    here = run.at(bucket.endpoint_url)
    note = "futures_um klines: planning daily objects only: the calendar does not know which monthly ones exist"
    document = plan(here, *ALL, *CALENDAR)
    assert (document["totals"]["objects"], document["totals"]["consolidated"]) == (len(DAILY), 0)
    assert note in document["notices"]
    assert document["budget"]["requests_listed"] == 0
    code, stdout, stderr = here("collect", "--dry-run", "-o", ROOT, *ALL)
    assert code == 0
    commands = [line for line in stdout.splitlines() if line.startswith("cp ")]
    copied = [key for line in commands for key in copied_by(line, bucket.bucket) if key.endswith(".zip")]
    assert sorted(copied) == sorted(item.key for item in DAILY)
    assert note in stderr
    assert "/monthly/" not in stdout


def test_days_that_a_stored_month_stands_for_are_not_missed_by_the_calendar(run: Runner, bucket: Archive) -> None:
    here = run.at(bucket.endpoint_url)
    april = (*WISH, "-s", f"!{ETH}", "--start", "2025-04-01", "--end", "2025-04-30")
    done = collect(here, *april)
    assert stored(done.root) == {next(item.key for item in WHOLE if in_month(item) == (BTC, APRIL))}
    assert verify(here, *april, *CALENDAR) == (0, {"ok": 1})
    week = (*WISH, "-s", f"!{ETH}", "--start", "2025-04-07", "--end", "2025-04-13")
    assert verify(here, *week, *CALENDAR) == verify(here, *week) == (0, {"ok": 1})  # the month, which holds them
    assert verify(here, *april, *CALENDAR, "--partition", "daily") == (4, {"missing": 30})
    may = (*WISH, "-s", f"!{ETH}", "--start", "2025-05-01", "--end", "2025-05-31")
    assert verify(here, *may, *CALENDAR) == (4, {"missing": 31})
