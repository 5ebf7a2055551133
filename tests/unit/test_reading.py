"""The recipes of docs/reading.md give each row of a series once, at its true time, whatever file it is in."""

from __future__ import annotations

import importlib.util
import re
import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.model import Market, Partition, Period
from tests.archive.sample import SampleObject, days, of_days, of_months, write_sample
from tests.archive.sample.rows import csv_text
from tests.archive.sample.schemas import PUBLISHED
from tests.docs.blocks import blocks
from tests.docs.generated import DOCS

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (DOCS / "reading.md").read_text("utf-8")
HOUR = timedelta(hours=1)


def recipe(section: str) -> dict[str, Any]:
    """Run the code of a section, and return its names."""
    (code,) = [block.text for block in blocks(TEXT) if block.kind == "python" and block.section == section]
    names: dict[str, Any] = {"__name__": "series"}
    exec(compile(code, section, "exec"), names)
    return names


def plain(root: Path, folder: str, columns: list[str], time: str) -> list[tuple[datetime, list[str]]]:
    rows = recipe("With Python alone")["read_series"](root, folder, columns.index(time))
    at = columns.index(time)
    return [(row[at], [*row[:at], *row[at + 1 :]]) for row in rows]


def with_pandas(root: Path, folder: str, columns: list[str], time: str) -> list[tuple[datetime, list[str]]]:
    names = recipe("With pandas")
    if columns[0] == "open_time":
        assert columns == names["KLINES"]
        frame = names["read_series"](root, folder)
        assert ((frame["close_time"] - frame["open_time"]).dt.round("s") == HOUR).all()
    else:
        frame = names["read_series"](root, folder, columns, [time])
    moments = frame.pop(time)
    return [
        (moment.to_pydatetime(), [str(value) for value in values])
        for moment, values in zip(moments, frame.to_numpy().tolist(), strict=True)
    ]


needs_pandas = pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="needs pandas: make extras")
READERS = [plain, pytest.param(with_pandas, marks=needs_pandas)]


def daily(market: Market, data_type: str, day: date, interval: str | None = None) -> SampleObject:
    return SampleObject(market, data_type, "BTCUSDT", interval, Period(Partition.DAILY, day))


def lines(item: SampleObject) -> list[list[str]]:
    """Return the rows of an object as its CSV has them, without its header."""
    return [line.split(",") for line in csv_text(item).splitlines() if line[0].isdigit()]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("market", "folder", "turn"),
    [
        (Market.SPOT, "spot", date(2025, 1, 1)),  # from milliseconds to microseconds
        (Market.FUTURES_UM, "futures/um", date(2022, 1, 1)),  # from no header to one
    ],
)
def test_every_hour_is_there_once_at_its_time(
    market: Market, folder: str, turn: date, read: Any, tmp_path: Path
) -> None:
    before = turn - timedelta(days=1)
    single = [before, turn, turn + timedelta(days=31), turn + timedelta(days=32)]  # two of them are in a month, too
    months = of_months(market, "klines", ["BTCUSDT"], [before, turn], ["1h"])
    bucket = write_sample(tmp_path, [*months, *of_days(market, "klines", ["BTCUSDT"], single, ["1h"])]).bucket
    columns = PUBLISHED[market, "klines"].columns.split(",")
    rows = read(bucket, f"{folder}/*/klines/BTCUSDT/1h", columns, "open_time")
    assert rows[0][0] == datetime(before.year, before.month, 1, tzinfo=UTC)
    assert rows[-1][0] == datetime(turn.year, 2, 2, 23, tzinfo=UTC)
    assert all(later - earlier == HOUR for (earlier, _), (later, _) in pairwise(rows))
    expected = [
        row for day in days(before.replace(day=1), single[-1]) for row in lines(daily(market, "klines", day, "1h"))
    ]
    assert [float(values[3]) for _, values in rows] == [float(row[4]) for row in expected]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("market", "folder", "data_type", "time"),
    [
        (Market.SPOT, "spot", "trades", "time"),
        (Market.FUTURES_UM, "futures/um", "aggTrades", "transact_time"),
        (Market.FUTURES_UM, "futures/um", "metrics", "create_time"),
        (Market.FUTURES_UM, "futures/um", "bookDepth", "timestamp"),
    ],
)
def test_each_row_is_there_once_where_days_and_months_overlap(
    market: Market, folder: str, data_type: str, time: str, read: Any, tmp_path: Path
) -> None:
    day = date(2024, 12, 31)
    single = [day, day + timedelta(days=1)]
    objects = list(of_days(market, data_type, ["BTCUSDT"], single))
    if Partition.MONTHLY in PUBLISHED[market, data_type].partitions:
        objects += of_months(market, data_type, ["BTCUSDT"], [day])
    bucket = write_sample(tmp_path, objects).bucket
    columns = PUBLISHED[market, data_type].columns.split(",")
    rows = read(bucket, f"{folder}/*/{data_type}/BTCUSDT", columns, time)
    covered = days(day.replace(day=1), single[-1]) if len(objects) > 2 else single
    expected = [row for each in covered for row in lines(daily(market, data_type, each))]
    at = [name for name in columns if name != time][1]  # a price, an interest, a depth
    assert sorted(float(values[1]) for _, values in rows) == sorted(float(row[columns.index(at)]) for row in expected)
    assert [moment for moment, _ in rows] == sorted(moment for moment, _ in rows)
    assert rows[0][0].date() == (day.replace(day=1) if len(objects) > 2 else day)
    assert rows[-1][0].date() - single[-1] <= timedelta(days=1)  # metrics end their day at midnight


@pytest.mark.parametrize("read", READERS)
def test_the_hive_layout_is_read_by_its_folder(read: Any, tmp_path: Path) -> None:
    day = daily(Market.SPOT, "klines", date(2025, 7, 15), "1h")
    bucket = write_sample(tmp_path, [day]).bucket
    (shown,) = re.findall(r"`(market=\S+partition=\*)`", TEXT)
    place = tmp_path / "hive" / "data" / shown.replace("*", "daily") / day.name
    place.parent.mkdir(parents=True)
    shutil.copy(bucket / day.key, place)
    assert len(read(tmp_path / "hive", shown, PUBLISHED[Market.SPOT, "klines"].columns.split(","), "open_time")) == 24
