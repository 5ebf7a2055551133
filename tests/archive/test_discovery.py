"""What a plan asks the archive: with the fewest requests, once, and never half of it taken for the whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive import load_preset, plan as plan_of
from crypto_archive.model import Market
from crypto_archive.root import listing_cache as store
from tests.archive.disks import NoSuchMeans, without_privileges
from tests.archive.fake_s3 import FakeS3
from tests.archive.plans import keys_of, plan, planned
from tests.archive.proxy import FaultProxy, Stall, Status
from tests.archive.results import (
    FUTURES,
    KEYS,
    RESEARCH,
    ROOT,
    SERIES,
    THREE,
    collect,
    in_futures,
    in_research,
    keys_where,
)
from tests.archive.sample import SampleSpec, days, of_days

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.archive.running import Runner
    from tests.archive.served import Archive

REMEMBERED = f"{ROOT}/.crypto-archive/listings.sqlite"
UM = ("-m", "futures_um")
HOURS = (*UM, "-t", "klines", "-i", "1h", "-s", "BTCUSDT", "-s", "ETHUSDT", "-s", "ADAUSDT")
DAYS = ("--start", "2025-07-13", "--end", "2025-07-15")
OTHER_WAY = "`plan` and `collect` need no listing with --discover calendar."


def hours(archive: Archive) -> set[str]:
    return keys_where(
        archive.spec,
        lambda item: item.data_type == "klines" and item.market is Market.FUTURES_UM and item.interval == "1h"
        and item.symbol in {"BTCUSDT", "ETHUSDT", "ADAUSDT"} and "2025-07-13" <= str(item.period) <= "2025-07-15",
    )  # fmt: skip


# The fewest


@pytest.mark.parametrize(
    ("selection", "asked"),
    [
        (THREE, ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-"]),
        # A folder question for the symbols, and one request for all of them.
        ((*UM, "-t", "fundingRate", "-s", "all"), ["data/futures/um/monthly/fundingRate/"] * 2),
        # Sixteen intervals, one folder.
        (("-m", "spot", "-t", "klines", "-s", "BTCUSDT", "--partition", "monthly"),
         ["data/spot/monthly/klines/BTCUSDT/"]),
        # Two years, of which each is less than a request.
        ((*SERIES, "--start", "2024-12-31", "--end", "2025-01-01"),
         ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-12-",
          "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-01-"]),
        # Whole months in both forms; days are lacking, which may be there without their zeros.
        ((*SERIES, "--start", "2025-06-01", "--end", "2025-07-15"),
         ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-",
          "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-0",
          "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-"]),
    ],
    ids=["series", "type", "symbol", "years", "both partitions"],
)  # fmt: skip
def test_a_selection_is_listed_with_the_fewest_requests(
    run: Runner, proxy: FaultProxy, selection: tuple[str, ...], asked: list[str]
) -> None:
    document = plan(run.at(proxy.endpoint_url), *selection)
    assert sorted(seen.key for seen in proxy.requests) == asked
    assert document["budget"]["requests_listed"] == proxy.count("LIST") == proxy.count()


def test_three_days_of_a_preset_take_a_request_a_series(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    document = plan(run.at(proxy.endpoint_url), *RESEARCH)
    series = {(item.market, item.data_type, item.symbol, item.interval) for item in archive.spec.objects
              if in_research(item)}  # fmt: skip
    listed = document["budget"]["requests_listed"]
    # One for each series; and a few for types which the matrix says are over.
    assert len(series) == 57 <= listed == proxy.count("LIST") == proxy.count() <= 1.1 * 57
    assert document["totals"]["objects"] == len(keys_where(archive.spec, in_research))


def test_pages_are_reckoned_as_they_are_asked_for(run: Runner, own_archive: Callable[[SampleSpec], Archive]) -> None:
    many = of_days(Market.SPOT, "klines", ("BTCUSDT",), days(date(2020, 1, 1), date(2021, 5, 31)), ("1d",))
    archive = own_archive(SampleSpec.of(many))
    with FaultProxy(archive.endpoint_url) as proxy:
        selection = ("-m", "spot", "-t", "klines", "-i", "1d", "-s", "BTCUSDT", "--partition", "daily",
                     "--start", "2020-01-01", "--end", "2021-05-31")  # fmt: skip
        document = plan(run.at(proxy.endpoint_url), *selection)
        assert document["totals"]["objects"] == 366 + 151
        prefix = "data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-202"
        assert sorted(seen.key for seen in proxy.requests) == [f"{prefix}0-", f"{prefix}1-0"]
        assert document["budget"]["requests_listed"] == 2


# Once


def test_a_second_run_lists_and_asks_nothing_more(run: Runner, proxy: FaultProxy) -> None:
    here = run.at(proxy.endpoint_url)
    assert collect(here, *HOURS, *DAYS).outcomes == {"fetched": 9}
    before = proxy.count()
    assert collect(here, *HOURS, *DAYS).outcomes == {"present": 9}
    assert proxy.count() == before
    listed = proxy.count("LIST")
    assert collect(here, *HOURS, *DAYS, "--refresh").outcomes == {"present": 9}
    assert (proxy.count(), proxy.count("LIST")) == (before + 3, listed + 3)


def test_nothing_is_asked_twice_within_the_hour(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    here = run.at(proxy.endpoint_url)
    first = plan(here, *HOURS, *DAYS)
    assert proxy.count("LIST") == 3
    assert not any("cached" in notice for notice in first["notices"])

    again = plan(here, *HOURS, *DAYS)
    assert proxy.count("LIST") == 3
    assert (again["totals"], again["budget"]["requests_listed"]) == (first["totals"], 0)
    assert again["notices"] == ["3 listings are cached, the oldest from a moment ago; --refresh lists again"]

    assert planned(here, *HOURS, "--start", "2025-07-14", "--end", "2025-07-14") == {
        key for key in hours(archive) if "2025-07-14" in key
    }
    assert proxy.count("LIST") == 3  # a part of what is cached
    done = collect(here, *HOURS, *DAYS)
    assert (done.code, done.outcomes) == (0, {"fetched": 9})
    assert proxy.count("LIST") == 3 + 3  # and that of each copy command

    assert plan(here, *HOURS, *DAYS, "--refresh")["totals"]["present"] == 9
    assert proxy.count("LIST") == 9
    plan(here.with_environment(CRYPTO_ARCHIVE_LISTING_AGE_SECONDS="0"), *HOURS, *DAYS)
    assert proxy.count("LIST") == 12
    plan(run, *HOURS, *DAYS)  # the same archive by another address is another place
    plan(here, *HOURS, *DAYS)
    assert proxy.count("LIST") == 12


def test_a_cached_listing_is_read_alongside_new_ones(run: Runner, proxy: FaultProxy) -> None:
    here = run.at(proxy.endpoint_url)
    plan(here, *SERIES, *DAYS)
    document = plan(here, *SERIES, "-s", "ETHUSDT", "-s", "ADAUSDT", *DAYS)
    assert document["notices"] == [
        "a listing is cached, from a moment ago, 2 LIST requests were made; --refresh lists again"
    ]
    assert (proxy.count("LIST"), document["totals"]["objects"]) == (3, 9)


def test_the_folders_of_globs_are_cached_too(run: Runner, proxy: FaultProxy) -> None:
    here = run.at(proxy.endpoint_url)
    selection = (*UM, "-t", "fundingRate", "-s", "*USDT")
    first = plan(here, *selection)
    assert proxy.count("LIST") == 2
    assert plan(here, *selection)["totals"] == first["totals"]
    assert proxy.count("LIST") == 2
    # A single symbol lies within the folder of the type, which is cached.
    assert plan(here, *UM, "-t", "fundingRate", "-s", "BTCUSDT", "--start", "2025-06-01", "--end", "2025-06-30")
    assert proxy.count("LIST") == 2


# Where nothing can be cached


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def damaged_within(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE page SET entries = x'00'")


def damaged_throughout(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [damaged, damaged_within, damaged_throughout, a_folder])
def test_a_file_that_is_spoilt_changes_no_plan(
    run: Runner, proxy: FaultProxy, archive: Archive, spoil: Callable[[Path], None]
) -> None:
    here = run.at(proxy.endpoint_url)
    plan(here, *HOURS, *DAYS)
    spoil(run.folder / REMEMBERED)
    for asked in (6, 9 if spoil is a_folder else 6):
        assert planned(here, *HOURS, *DAYS) == hours(archive)
        assert proxy.count("LIST") == asked


def test_a_file_that_another_process_keeps_locked_is_done_without(
    run: Runner, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_WAIT_SECONDS", 0.05)
    plan(run, *HOURS, *DAYS)
    options: dict[str, Any] = {
        "markets": ["futures_um"], "symbols": ["BTCUSDT", "ETHUSDT", "ADAUSDT"], "data_types": ["klines"],
        "intervals": ["1h"], "start": "2025-07-13", "end": "2025-07-15", "endpoint_url": archive.endpoint_url,
        "output_directory": str(run.folder / ROOT),
    }  # fmt: skip
    with closing(sqlite3.connect(run.folder / REMEMBERED)) as other:
        other.execute("BEGIN IMMEDIATE")
        with plan_of(load_preset(**options, today=date(2025, 8, 1))) as made:
            assert {item.object.key for item in made} == hours(archive)
            assert (made.requests_listed, made.notices) == (3, [])
        other.rollback()


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
def test_a_root_that_may_not_be_written_is_planned_for_all_the_same(run: Runner, archive: Archive) -> None:
    try:
        here = without_privileges(run)
    except NoSuchMeans as missing:
        pytest.skip(str(missing))
    collect(run, *THREE)
    private = run.folder / ROOT / ".crypto-archive"
    (private / "listings.sqlite").unlink()
    for folder in (private, run.folder / ROOT):
        folder.chmod(0o555)
    try:
        for _ in range(2):
            code, stdout, stderr = here("plan", "--json", "-o", ROOT, *SERIES, "-s", "ETHUSDT", *DAYS)
            assert code == 0, stderr
            found = json.loads(stdout)
            assert (found["totals"]["objects"], found["totals"]["present"]) == (6, 3)
            assert found["budget"]["requests_listed"] == 2
        assert not (private / "listings.sqlite").exists()
    finally:
        for folder in (run.folder / ROOT, private):
            folder.chmod(0o755)


# Two at once, and what is cut short


def test_two_concurrent_plans_on_one_root(run: Runner, proxy: FaultProxy, archive: Archive) -> None:
    here = run.at(proxy.endpoint_url)
    (run.folder / ROOT).mkdir()
    expected = hours(archive)
    command = ("plan", "--format", "jsonl", "-o", ROOT, "--refresh", *HOURS, *DAYS)
    stalled = proxy.fault("LIST", "*ETHUSDT*", Stall(times=1))
    with here.start(*command) as one:
        stalled.wait()  # it is in the middle of a listing
        assert planned(here, "--refresh", *HOURS, *DAYS) == expected
        proxy.release()
        assert keys_of(one.communicate(timeout=30)[0]) == expected
    asked = proxy.count("LIST")
    assert planned(here, *HOURS, *DAYS) == expected
    assert proxy.count("LIST") == asked


def test_many_concurrent_plans_find_the_same(run: Runner, archive: Archive) -> None:
    """Each puts its listings in the place of those that others have found and are about to read."""
    command = ("plan", "--format", "jsonl", "-o", ROOT, *FUTURES, "-t", "klines")
    with ExitStack() as started:
        plans = [
            started.enter_context(run.start(*command, *refresh)) for refresh in (("--refresh",), (), ("--refresh",))
        ]
        said = [one.communicate(timeout=60)[0] for one in plans]
    expected = keys_where(archive.spec, lambda item: in_futures(item) and item.data_type == "klines")
    assert [keys_of(lines) for lines in said] == [expected] * len(plans)


@pytest.mark.parametrize("pattern", ["*", "*ETHUSDT*"], ids=["all", "one of them"])
def test_a_listing_that_is_denied_names_the_other_way_and_leaves_no_half(
    run: Runner, proxy: FaultProxy, archive: Archive, pattern: str
) -> None:
    here = run.at(proxy.endpoint_url)
    proxy.fault("LIST", pattern, Status(403))
    code, stdout, stderr = here("plan", "--format", "jsonl", "-o", ROOT, *HOURS, *DAYS)
    assert (code, stdout) == (5, "")
    assert f"Error: The archive's server {proxy.endpoint_url} denies the listing" in stderr
    assert OTHER_WAY in stderr
    assert planned(here, *HOURS, *DAYS, "--discover", "calendar") == hours(archive)
    proxy.clear()
    assert planned(here, *HOURS, *DAYS) == hours(archive)


def test_an_archive_that_is_down_does_not_suggest_the_calendar(run: Runner, archive: Archive) -> None:
    plan(run, *HOURS, *DAYS, "-s", "!ADAUSDT")
    with FaultProxy(archive.endpoint_url) as gone:
        nowhere = gone.endpoint_url
    code, _, stderr = run.at(nowhere)("plan", "-o", ROOT, *HOURS, *DAYS)
    assert code == 5
    assert f"Error: The archive's server {nowhere} cannot be reached: dial tcp" in stderr
    assert "?list-type" not in stderr
    assert "--discover calendar" not in stderr
    assert planned(run, *HOURS, *DAYS) == hours(archive)


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
@pytest.mark.parametrize("selection", [HOURS, (*SERIES, "-s", "!ETHUSDT")], ids=["many", "one"])
def test_a_plan_that_ends_in_the_middle_of_a_listing_leaves_no_half(
    run: Runner, proxy: FaultProxy, archive: Archive, number: signal.Signals, selection: tuple[str, ...]
) -> None:
    here = run.at(proxy.endpoint_url)
    stalled = proxy.fault("LIST", "*BTCUSDT*", Stall())
    with here.start("plan", "--json", "-o", ROOT, *selection, *DAYS) as process:
        stalled.wait()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (-number if number is signal.SIGKILL else 130, "")
    assert "Traceback" not in stderr
    proxy.clear()
    assert planned(here, *selection, *DAYS) == (hours(archive) if selection is HOURS else set(KEYS))


def test_the_answer_of_a_login_page_is_not_cached(run: Runner) -> None:
    (run.folder / ROOT).mkdir()
    with FakeS3() as portal:
        portal.listing = lambda _: "<html><body>Please log in</body></html>"
        code, _, stderr = run.at(portal.endpoint_url)("plan", "-o", ROOT, *HOURS, *DAYS)
        assert code == 5
        assert "responds, but it does not look like the archive" in stderr
    with closing(sqlite3.connect(run.folder / REMEMBERED)) as connection:
        assert connection.execute("SELECT count(*) FROM listing").fetchone() == (0,)


def test_an_awaited_object_is_not_a_failure(run: Runner, own_archive: Callable[[SampleSpec], Archive]) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    before = [yesterday - timedelta(days=number) for number in (2, 1)]
    here = run.at(
        own_archive(SampleSpec.of(of_days(Market.SPOT, "klines", ("BTCUSDT",), before, ("1h",)))).endpoint_url
    )
    done = collect(here, *SERIES, "--start", str(before[0]))
    assert (done.code, done.outcomes) == (0, {"fetched": 2, "absent": 1})
    assert done.report["absences"]["not-yet"] == 1
    shutil.rmtree(done.root)
    only = collect(here, *SERIES, "--start", "yesterday")
    assert (only.code, only.report["status"], only.outcomes) == (0, "success", {"absent": 1})
    assert plan(here, *SERIES, "--start", "yesterday")["totals"]["waiting"] == 1


def test_s5cmd_leaves_out_what_is_newer_than_the_clock(run: Runner, private_archive: Archive) -> None:
    """A fact of s5cmd that docs/reliability.md mentions; if it changes, remove it there."""
    ahead = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    os.utime(private_archive.bucket / KEYS[1], (ahead, ahead))
    assert planned(run.at(private_archive.endpoint_url), *THREE) == {KEYS[0], KEYS[2]}
