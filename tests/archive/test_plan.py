"""``plan``: what a collect would do, from the listing and from the calendar, in every format."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive import events, load_preset, plan
from crypto_archive.model import Market
from crypto_archive.plan.totals import SIDECAR_BYTES
from tests.archive.programs import s5cmd
from tests.archive.results import (
    KEYS,
    RESEARCH,
    ROOT,
    SERIES,
    THREE,
    assert_same_bytes,
    collect,
    files_below,
    in_research,
    keys_where,
    stored,
)
from tests.archive.sample import DEFECTS, NON_ASCII, UNPADDED_MONTH, UNUSUAL_SYMBOLS, Defect
from tests.archive.served import needs_the_sample

if TYPE_CHECKING:
    from datetime import date

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

DAY = ("--start", "2025-07-15", "--end", "2025-07-15")
LISTING, CALENDAR = ("--discover", "listing"), ("--discover", "calendar")


def lines(run: Runner, *arguments: str) -> list[dict[str, Any]]:
    code, stdout, stderr = run("plan", "--format", "jsonl", *arguments)
    assert code == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def planned_keys(run: Runner, *arguments: str) -> set[str]:
    found = lines(run, *arguments)
    keys = {line["key"] for line in found}
    assert len(keys) == len(found), "an object is planned twice"
    return keys


def totals(run: Runner, *arguments: str) -> dict[str, Any]:
    code, stdout, stderr = run("plan", "--json", *arguments)
    assert code == 0, stderr
    document: dict[str, Any] = json.loads(stdout)
    assert document["schema_version"] == 1
    overall = Counter(dict.fromkeys(document["totals"], 0))
    groups = document["by_market_and_type"]
    assert document["first_day"] == min((group["first_day"] for group in groups), default=None)
    assert document["last_day"] == max((group["last_day"] for group in groups), default=None)
    for group in groups:
        overall.update({name: group[name] for name in document["totals"]})
    assert overall == document["totals"]
    return document


def test_totals_from_the_listing_are_those_of_the_bucket(run: Runner, archive: Archive) -> None:
    items = [item for item in archive.spec.objects if in_research(item)]
    document = totals(run, *RESEARCH, *LISTING)
    sizes: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    covered: dict[tuple[str, str], list[date]] = defaultdict(list)
    for item in items:
        covered[item.market, item.data_type] += item.period.first_day, item.period.last_day
        counts[item.market, item.data_type] += 1
        sizes[item.market, item.data_type] += (archive.bucket / item.key).stat().st_size
    expected = {
        group: {
            "objects": count, "sidecars": count, "commands": count, "batches": math.ceil(count / 100),
            "bytes": sizes[group], "sized": count, "present": 0, "updates": 0, "waiting": 0, "refused": 0,
            "to_fetch": count, "bytes_to_fetch": sizes[group], "sized_to_fetch": count,
            "added_bytes": sizes[group] + count * SIDECAR_BYTES,
            "consolidated": 0, "saved_objects": 0, "saved_bytes": 0,
            "first_day": str(min(covered[group])), "last_day": str(max(covered[group])),
        }
        for group, count in counts.items()
    }  # fmt: skip
    found = {(group.pop("market"), group.pop("data_type")): group for group in document["by_market_and_type"]}
    assert found == expected
    assert document["batch_size"] == 100


def test_totals_from_the_calendar_are_the_same_but_for_the_sizes(run: Runner, proxy: FaultProxy) -> None:
    by_calendar = totals(run.at(proxy.endpoint_url), *RESEARCH, *CALENDAR)["totals"]
    assert proxy.requests == ()
    by_listing = totals(run, *RESEARCH, *LISTING)["totals"]
    assert by_listing["objects"] == by_listing["sized"] == 57
    unknown = ("bytes", "sized", "bytes_to_fetch", "sized_to_fetch", "added_bytes")
    assert by_calendar == by_listing | dict.fromkeys(unknown, 0)


@pytest.mark.parametrize("discovery", [LISTING, CALENDAR], ids=["listing", "calendar"])
def test_a_line_an_object_names_the_keys_of_the_archive(
    run: Runner, archive: Archive, discovery: tuple[str, ...]
) -> None:
    assert planned_keys(run, *RESEARCH, *discovery) == keys_where(archive.spec, in_research)


def test_a_line_says_what_the_listing_says(run: Runner, archive: Archive) -> None:
    line = lines(run, *SERIES, *DAY)[0]
    content = (archive.bucket / KEYS[2]).read_bytes()
    assert line == {
        "key": KEYS[2], "market": "spot", "data_type": "klines", "symbol": "BTCUSDT", "interval": "1h",
        "partition": "daily", "period": "2025-07-15", "action": "fetch", "why": "not there", "sidecar": True,
        "size": len(content), "etag": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "last_modified": "2025-07-16T00:00:00+00:00", "path": str(run.folder / "output" / KEYS[2]),
    }  # fmt: skip
    unlisted = lines(run, *SERIES, *DAY, *CALENDAR)[0]
    assert unlisted == line | {"size": None, "etag": None, "last_modified": None}


def test_a_sidecar_that_is_not_listed_is_not_planned(run: Runner, archive: Archive) -> None:
    key = next(key for key, defect in archive.spec.defects.items() if defect is Defect.MISSING_SIDECAR)
    found = lines(run, "-m", "spot", "-t", "klines", "-s", "BTCUSDT", "-i", "12h", "--end", "2023-01-01")
    assert [(line["key"], line["sidecar"]) for line in found] == [(key, False)]


def test_the_table_has_totals_and_notices(run: Runner) -> None:
    code, stdout, stderr = run("plan", *RESEARCH, *CALENDAR)
    words = [line.split() for line in stdout.splitlines()]
    assert code == 0
    assert ["futures_um", "klines", "2025-07-15", "2025-07-15", "12", "unknown"] in words
    assert ["total", "2025-07-01", "2025-07-31", "57", "unknown"] in words
    assert "note" not in stdout  # a bundled preset is not the user's to correct
    assert stderr == ""
    words = [line.split() for line in run("plan", *RESEARCH, *CALENDAR, "-v").stdout.splitlines()]
    assert ["futures_um", "klines", "2025-07-15", "2025-07-15", "12", "12", "12", "1", "unknown"] in words
    assert ["requests", "171", "to", "fetch,", "0", "to", "list:", "3.00", "per", "planned", "object"] in words
    code, stdout, stderr = run("plan", *RESEARCH, *CALENDAR, "-t", "klines", "-t", "bookDepth")
    assert "note  spot bookDepth: never published by the archive; nothing to plan" in stdout
    assert "using BTCBVOLUSDT" not in stdout


@needs_the_sample
def test_run_files_run_under_plain_s5cmd_in_any_folder(run: Runner, archive: Archive) -> None:
    code, stdout, _ = run("plan", *RESEARCH, *CALENDAR, "--format", "runfiles", "--to", "files", "-q")
    assert (code, stdout) == (0, "")
    files = sorted((run.folder / "files").iterdir())
    assert len(files) == 13
    by_hand = run.folder / "by-hand"
    by_hand.mkdir()
    for file in files:
        assert sum(line.startswith("cp ") for line in file.read_text("utf-8").splitlines()) <= 100
        subprocess.run(
            [s5cmd(), "--no-sign-request", "--endpoint-url", archive.endpoint_url, "run", file],
            cwd=by_hand, check=True, stdout=subprocess.DEVNULL, env=dict(run.environment) | {"AWS_REGION": "us-east-1"},
        )  # fmt: skip
    assert stored(by_hand) == keys_where(archive.spec, in_research)
    assert_same_bytes(by_hand, archive.bucket, stored(by_hand))


def test_run_files_do_not_mix_with_others(run: Runner) -> None:
    arguments = (*THREE, *CALENDAR, "--format", "runfiles", "--to", "files")
    assert run("plan", *arguments).code == 0
    before = files_below(run.folder)
    code, _, stderr = run("plan", *arguments)
    assert (code, files_below(run.folder)) == (5, before)
    assert "Error: The folder files already contains run-files" in stderr
    code, _, stderr = run("plan", *THREE, *CALENDAR, "--format", "runfiles")
    assert code == 2
    assert "--format runfiles and --to DIR need each other" in stderr


def test_what_is_there_counts_as_present(run: Runner) -> None:
    collect(run, *THREE, "--end", "2025-07-14")
    before = files_below(run.folder)
    for discovery in (LISTING, CALENDAR):
        found = totals(run, *THREE, *discovery, "-o", ROOT)
        assert {name: found["totals"][name] for name in ("objects", "present", "commands")} == {
            "objects": 3, "present": 2, "commands": 1,
        }  # fmt: skip
    assert files_below(run.folder) == before


def test_monthly_objects_on_request_and_where_there_are_no_others(run: Runner, archive: Archive) -> None:
    selection = ("-m", "futures_um", "-s", "BTCUSDT", "-t", "klines", "-t", "metrics", "-i", "1h", "-i", "1w")
    june = ("--start", "2025-06-01", "--end", "2025-06-30", *LISTING)
    expected = keys_where(
        archive.spec,
        lambda item: (item.market, item.symbol, str(item.period)) == ("futures_um", "BTCUSDT", "2025-06")
        and item.interval in {"1h", "1w"} and item.data_type == "klines",
    )  # fmt: skip
    assert len(expected) == 2
    assert planned_keys(run, *selection, *june, "--partition", "monthly") == expected
    assert planned_keys(run, *selection, *june, "--partition", "daily") == {key for key in expected if "/1w/" in key}


def test_a_month_without_its_zero_is_planned_verbatim(run: Runner) -> None:
    selection = ("-m", "spot", "-t", "klines", "-s", "ADABKRW", "-i", "1h", "--partition", "monthly")
    dates = ("--start", "2020-08-01", "--end", "2020-08-31")
    assert planned_keys(run, *selection, *dates) == {UNPADDED_MONTH.key}


@needs_the_sample
def test_globs_choose_among_the_symbols_that_the_bucket_lists(run: Runner, archive: Archive) -> None:
    selection = ("-m", "futures_um", "-t", "klines", "-i", "1h", *DAY)

    def expected(*symbols: str) -> set[str]:
        return {f"data/futures/um/daily/klines/{one}/1h/{one}-1h-2025-07-15.zip" for one in symbols}

    pairs = ("BTCUSDT", "ETHUSDT", "ADAUSDT")
    assert planned_keys(run, *selection, "-s", "*USDT") == expected(*pairs, NON_ASCII, "1000SHIBUSDT")
    assert planned_keys(run, *selection, "-s", "!*SETTLED", "-s", "!*_*") == expected(*pairs, NON_ASCII, "1000SHIBUSDT")
    assert planned_keys(run, *selection, "-s", "*", "-s", "!BTC*") == expected(
        "ETHUSDT", "ADAUSDT", *(symbol for symbol in UNUSUAL_SYMBOLS[Market.FUTURES_UM] if not symbol.startswith("BTC"))
    )


def test_globs_match_the_default_symbols_in_a_plan_from_the_calendar(run: Runner) -> None:
    document = totals(run, "-m", "spot", "-t", "klines", "-i", "1h", "-s", "*USDT", "-s", "!BTC*", *DAY, *CALENDAR)
    assert document["totals"]["objects"] == 14
    assert document["notices"] == ["spot klines: without a listing, globs match only the matrix's 14 default symbols"]


@needs_the_sample
@pytest.mark.parametrize("discovery", [LISTING, CALENDAR], ids=["listing", "calendar"])
def test_symbols_may_have_any_letters(run: Runner, discovery: tuple[str, ...]) -> None:
    selection = ("-m", "spot", "-t", "klines", "-i", "1h", "-s", NON_ASCII, *DAY, *discovery)
    assert planned_keys(run, *selection) == {KEYS[2].replace("BTCUSDT", NON_ASCII)}


@needs_the_sample
def test_nothing_found_is_reported_and_not_a_success(run: Runner) -> None:
    code, stdout, _ = run("plan", "--json", *SERIES, "--start", "2019-01-01", "--end", "2019-01-02")
    assert code == 3
    days = json.loads(stdout)["days"]
    assert (days["wanted"], days["available"], days["absent"]["before-first"]) == (2, 0, 2)


@needs_the_sample
def test_the_defects_do_not_keep_a_plan_from_them(run: Runner) -> None:
    selection = ("-m", "spot", "-t", "klines", "-s", "*USDT", "--start", "2022-01-01", "--end", "2023-12-31")
    assert planned_keys(run, *selection, *LISTING) == set(DEFECTS)


def test_a_plan_creates_no_root(run: Runner) -> None:
    """A folder that does not exist is not made for the listing cache; one that exists has the cache."""
    for form in ([], ["--json"], ["--format", "jsonl"]):
        assert run("plan", *SERIES, *DAY, "-o", "new", *form).code == 0
    assert list(run.folder.iterdir()) == []
    (run.folder / "new").mkdir()
    assert run("plan", *SERIES, *DAY, "-o", "new").code == 0
    assert [path.name for path in (run.folder / "new" / ".crypto-archive").iterdir()] == ["listings.sqlite"]


@pytest.mark.parametrize("discovery", [LISTING, CALENDAR], ids=["listing", "calendar"])
def test_planning_reports_every_series(
    run: Runner, monkeypatch: pytest.MonkeyPatch, archive: Archive, discovery: tuple[str, ...]
) -> None:
    monkeypatch.setattr(events, "PLANNING_SECONDS", 0.0)
    config = load_preset(
        "research", start="2025-07-15", end="2025-07-15", discover=discovery[1], endpoint_url=archive.endpoint_url,
        output_directory=str(run.folder / ROOT),
    )  # fmt: skip
    planned: list[events.Planning] = []
    with plan(config, on_planning=planned.append) as made:
        series = {item.object.series for item in made}
    assert planned[-1].series == planned[-1].expected >= len(series) > 50
    assert [one.series for one in planned] == sorted(one.series for one in planned)
    assert not planned[-1].growing
