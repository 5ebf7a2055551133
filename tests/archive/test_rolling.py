"""A job with ``last: 3d`` that runs every day: what it waits for comes in the end, however far its dates have moved."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from crypto_archive import Verdict, collect, load_preset, plan, verify, write_shards
from crypto_archive.config.run_config import Discovery
from crypto_archive.jobs.repair import rebuild_manifest
from crypto_archive.model import Absence, Market
from crypto_archive.root.manifest import Manifest
from tests.archive.sample import SIDECAR, SampleSpec, days, of_days, of_months

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.report import Report
    from tests.archive.served import Archive

FIRST, PUBLISHED, LAST = date(2025, 12, 1), date(2025, 12, 7), date(2025, 12, 20)
UM = "data/futures/um"
FUNDING = f"{UM}/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-11.zip"
CANDLES = f"{UM}/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2025-11.zip"
MONTHS = {FUNDING, CANDLES}

pytestmark = pytest.mark.usefixtures("no_outside_settings")


Configure: TypeAlias = "Callable[..., RunConfig]"


class Publisher:
    """A bucket that has objects of November and December, each from the day on which the archive publishes it."""

    def __init__(self, archive: Archive, held_back: Path) -> None:
        self.endpoint_url = archive.endpoint_url
        self.month_day = PUBLISHED.day
        self._bucket = archive.bucket
        self._held_back = held_back
        shutil.move(self._bucket / "data", held_back)
        (self._bucket / "data").mkdir()

    def until(self, today: date) -> None:
        """Publish what is due on a day: daily objects on the next one, months on the 7th of the following month."""
        for path in sorted(self._held_back.rglob("*.zip")):
            if "/daily/" in path.as_posix():
                due = date.fromisoformat(path.stem[-10:]) + timedelta(days=1)
            else:
                due = (date.fromisoformat(f"{path.stem[-7:]}-01") + timedelta(days=31)).replace(day=self.month_day)
            if due <= today:
                target = self._bucket / "data" / path.relative_to(self._held_back)
                target.parent.mkdir(parents=True, exist_ok=True)
                for ending in ("", SIDECAR):
                    path.with_name(path.name + ending).replace(target.with_name(target.name + ending))


@pytest.fixture
def publisher(own_archive: Callable[[SampleSpec], Archive], tmp_path: Path) -> Publisher:
    symbols = ("BTCUSDT", "ETHUSDT")
    months = [date(2025, 10, 1), date(2025, 11, 1)]
    objects = [
        *of_days(Market.FUTURES_UM, "klines", symbols, days(date(2025, 11, 25), LAST), ["1d"]),
        *of_months(Market.FUTURES_UM, "klines", symbols, months, ["1mo"]),
        *of_months(Market.FUTURES_UM, "fundingRate", symbols, months),
    ]
    return Publisher(own_archive(SampleSpec.of(objects)), tmp_path / "held-back")


@pytest.fixture
def configure(publisher: Publisher, tmp_path: Path) -> Configure:
    def configured(today: date, **fields: Any) -> RunConfig:
        asked: dict[str, Any] = {
            "markets": ["futures_um"], "data_types": ["klines", "fundingRate"], "intervals": {"klines": ["1d", "1mo"]},
            "symbols": ["BTCUSDT"], "last": "3d", "output_directory": str(tmp_path / "root"),
            "endpoint_url": publisher.endpoint_url, "listing_age_seconds": 0.0,
        }  # fmt: skip
        return load_preset(today=today, **asked | fields)

    return configured


def stored(tmp_path: Path, pattern: str) -> set[str]:
    return {path.relative_to(tmp_path / "root").as_posix() for path in (tmp_path / "root" / "data").rglob(pattern)}


def awaited(tmp_path: Path) -> set[str]:
    with Manifest(tmp_path / "root" / ".crypto-archive" / "manifest.sqlite", read_only=True) as manifest:
        return {one.key for one in manifest.awaited() if one.came is None}


@pytest.mark.parametrize(
    ("fields", "on"),
    [({}, (1, 2, 4, 6, 7, 10, 12)), ({"discover": "calendar"}, (1, 4, 6, 7)), ({"symbols": ["BTC*"]}, (1, 4, 6, 7))],
    ids=str,
)
def test_a_month_comes_though_the_dates_have_left_it_behind(
    publisher: Publisher, configure: Configure, tmp_path: Path, fields: dict[str, Any], on: tuple[int, ...]
) -> None:
    for today in (FIRST.replace(day=day) for day in on):
        publisher.until(today)
        report = collect(configure(today, **fields), today=today)
        assert report.status == "success"
        assert stored(tmp_path, "*-2025-11.zip") == (MONTHS if today >= PUBLISHED else set())
        assert awaited(tmp_path) == (set() if today >= PUBLISHED else MONTHS)
    assert len(stored(tmp_path, "*-1d-*.zip")) == on[-1] + 2
    assert stored(tmp_path, "ETHUSDT*") == set()


def collect_in_shards(config: RunConfig, folder: Path, today: date, count: int = 2) -> list[Report]:
    """Plan and collect as the flow does; where there is nothing to fetch, the plan is not cut."""
    with plan(config, today=today) as made:
        shards = write_shards(made, count, folder / str(today))
    if not shards:
        return [collect(config, today=today)]
    return [collect(config, locked=shard.path, today=today) for shard in shards]


def collect_by_lock(config: RunConfig, folder: Path, today: date) -> list[Report]:
    with plan(config, lock=folder / "some.lock", today=today) as made:
        made.consume()
    return [collect(config, locked=folder / "some.lock", today=today)]


@pytest.mark.parametrize("collect_all", [collect_in_shards, collect_by_lock])
def test_a_month_comes_though_only_lock_files_are_collected(
    publisher: Publisher, configure: Configure, tmp_path: Path, collect_all: Callable[..., list[Report]]
) -> None:
    for today in (FIRST, date(2025, 12, 4), PUBLISHED):
        publisher.until(today)
        reports = collect_all(configure(today), tmp_path, today)
        assert {report.status for report in reports} == {"success"}
        assert stored(tmp_path, "*-2025-11.zip") == (MONTHS if today >= PUBLISHED else set())
        assert awaited(tmp_path) == (set() if today >= PUBLISHED else MONTHS)
    report = verify(configure(PUBLISHED), today=PUBLISHED)
    assert (report.bad, report.verdicts[Verdict.OK]) == ([], 3 + len(MONTHS))
    with plan(configure(PUBLISHED), today=PUBLISHED) as made:
        assert [item for item in made if item.awaited_since] == []


def test_a_wait_that_is_given_up_is_forgotten_when_shards_are_merged(
    publisher: Publisher, configure: Configure, tmp_path: Path
) -> None:
    publisher.month_day = 28
    publisher.until(date(2025, 12, 2))
    config = configure(date(2025, 12, 2))
    collect_in_shards(config, tmp_path, date(2025, 12, 2))
    assert awaited(tmp_path) == MONTHS
    much_later = date(2026, 12, 20)
    collect_in_shards(configure(much_later, start="2025-12-01", last=None), tmp_path, much_later)
    assert awaited(tmp_path) & MONTHS == set()


def collected(publisher: Publisher, configure: Configure, today: date, **fields: Any) -> Report:
    publisher.until(today)
    return collect(configure(today, **fields), today=today)


def test_a_month_that_is_not_over_is_to_come_and_not_nothing(publisher: Publisher, configure: Configure) -> None:
    report = collected(publisher, configure, date(2025, 12, 12), data_types=["fundingRate"])
    assert (report.status, sum(report.outcomes.values())) == ("success", 0)
    assert report.days.absent == {Absence.NOT_YET: 3}
    with plan(configure(date(2025, 12, 12), data_types=["fundingRate"]), today=date(2025, 12, 12)) as made:
        assert made.consume().exit_code == 0


def test_an_unknown_symbol_of_a_month_that_is_not_over_is_reported(publisher: Publisher, configure: Configure) -> None:
    report = collected(publisher, configure, date(2025, 12, 12), data_types=["fundingRate"], symbols=["BTCUSDTT"])
    assert report.status == "empty"
    assert [one.name for one in report.unknown_symbols] == ["BTCUSDTT"]


def notes(report: Report) -> list[str]:
    return [notice.text for notice in report.notices if "waited for since" in notice.text]


def test_plan_and_report_say_since_when(publisher: Publisher, configure: Configure) -> None:
    assert notes(collected(publisher, configure, FIRST)) == []
    report = collected(publisher, configure, date(2025, 12, 6))
    assert report.absences == {"not-yet": 2}
    names = ("futures_um fundingRate: {}: BTCUSDT 2025-11", "futures_um klines: {}: BTCUSDT 1mo 2025-11")
    since = ", waited for since 2025-12-01"
    assert sorted(notes(report)) == [name.format("still not published") + since for name in names]
    publisher.until(PUBLISHED)
    with plan(configure(PUBLISHED), today=PUBLISHED) as made:
        lines = map(json.loads, made.lines())
        planned = {line["key"]: line for line in lines if "awaited_since" in line}
    assert {(key, one["action"], one["why"], one["awaited_since"]) for key, one in planned.items()} == {
        (key, "fetch", "waited for since 2025-12-01", "2025-12-01") for key in MONTHS
    }
    report = collected(publisher, configure, PUBLISHED)
    assert sorted(notes(report)) == [name.format("published now") + since for name in names]
    assert notes(collected(publisher, configure, PUBLISHED)) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"symbols": ["BTCUSDT", "ETHUSDT"]}, set()),
        ({"symbols": ["ETHUSDT"]}, set()),
        ({"data_types": ["fundingRate"]}, {FUNDING}),
        ({"last": "4d"}, MONTHS),
        ({"last": None, "start": "2025-12-03", "end": "2025-12-04"}, set()),
        ({"partition": "monthly"}, set()),
    ],
    ids=["more", "others", "one type", "more days", "fixed dates", "another partition"],
)
def test_another_selection_inherits_nothing(
    publisher: Publisher, configure: Configure, tmp_path: Path, fields: dict[str, Any], expected: set[str]
) -> None:
    collected(publisher, configure, date(2025, 12, 2))
    collected(publisher, configure, date(2025, 12, 8), **fields)
    assert stored(tmp_path, "*-2025-11.zip") == expected


def test_a_month_that_is_late_is_waited_for_beyond_the_usual_delay(
    publisher: Publisher, configure: Configure, tmp_path: Path
) -> None:
    publisher.month_day = 28
    collected(publisher, configure, date(2025, 12, 2))
    for today in (date(2025, 12, 19), date(2025, 12, 27)):
        collected(publisher, configure, today)
        assert awaited(tmp_path) >= MONTHS  # and days that are late
    report = collected(publisher, configure, date(2025, 12, 28))
    assert stored(tmp_path, "*-2025-11.zip") == MONTHS
    assert [note.partition(": ")[2].partition(" 2025")[0] for note in notes(report)] == [
        "published now: BTCUSDT 1mo", "published now: BTCUSDT", "still not published: BTCUSDT 1d"
    ]  # fmt: skip


def test_a_day_that_is_late_when_it_is_first_asked_for_is_waited_for(
    publisher: Publisher, configure: Configure, tmp_path: Path
) -> None:
    late, own = date(2025, 12, 25), {"data_types": ["klines"], "intervals": {"klines": ["1d"]}}
    report = collected(publisher, configure, late, **own)
    assert report.days.absent == {Absence.LATE: 1, Absence.NOT_YET: 2}
    assert {key[-14:-4] for key in awaited(tmp_path)} == {"2025-12-22", "2025-12-23", "2025-12-24"}


def test_verify_counts_what_was_waited_for(publisher: Publisher, configure: Configure, tmp_path: Path) -> None:
    collected(publisher, configure, date(2025, 12, 2))
    publisher.until(PUBLISHED)
    config = configure(PUBLISHED)
    report = verify(config, expect=Discovery.LISTING, today=PUBLISHED)
    assert {checked.object_key for checked in report.bad} >= MONTHS
    collected(publisher, configure, PUBLISHED)
    for expect in (None, Discovery.LISTING, Discovery.CALENDAR):
        report = verify(config, expect=expect, today=PUBLISHED)
        assert (report.bad, report.verdicts[Verdict.OK]) == ([], 3 + len(MONTHS))
    (tmp_path / "root" / FUNDING).unlink()
    report = verify(config, today=PUBLISHED)
    assert [(checked.object_key, checked.verdict) for checked in report.bad] == [(FUNDING, Verdict.MISSING)]


def test_a_new_manifest_still_knows_what_is_waited_for(
    publisher: Publisher, configure: Configure, tmp_path: Path
) -> None:
    collected(publisher, configure, date(2025, 12, 2))
    rebuild_manifest(configure(date(2025, 12, 3)))
    assert awaited(tmp_path) == MONTHS
