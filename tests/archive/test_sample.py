"""The sample is what it says it is: the archive's schemas, headers, units, sidecars and defects, always the same."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive.model import Market, Partition, Period
from tests.archive.sample import (
    DEFECTS,
    SIDECAR,
    UNPADDED_MONTH,
    UNUSUAL_SYMBOLS,
    Defect,
    SampleObject,
    SampleSpec,
    bulk,
    days,
    demo,
    of_days,
    of_months,
    replace,
    sidecar_bytes,
    small,
    write_sample,
)
from tests.archive.sample.schemas import PUBLISHED, has_header
from tests.archive.sample.writing import SHORT_DAYS

if TYPE_CHECKING:
    from tests.archive.sample import Sample

SPOT, UM, CM, OPTIONS = Market.SPOT, Market.FUTURES_UM, Market.FUTURES_CM, Market.OPTIONS
JULY_15 = date(2025, 7, 15)
TIMES = {"trades": "time", "aggTrades": "transact_time", "bookTicker": "transaction_time"}


def daily(market: Market, data_type: str, symbol: str, day: date, interval: str | None = None) -> SampleObject:
    return SampleObject(market, data_type, symbol, interval, Period(Partition.DAILY, day))


def monthly(market: Market, data_type: str, symbol: str, month: date, interval: str | None = None) -> SampleObject:
    return SampleObject(market, data_type, symbol, interval, Period(Partition.MONTHLY, month))


def lines_of(sample: Sample, item: SampleObject) -> list[str]:
    with zipfile.ZipFile(sample.bucket / item.key) as archive:
        assert archive.namelist() == [f"{item.stem}.csv"]
        text = archive.read(archive.namelist()[0]).decode()
    assert text.endswith("\n")
    assert "\r" not in text
    return text.splitlines()


def rows_of(sample: Sample, item: SampleObject) -> list[str]:
    return lines_of(sample, item)[has_header(item.market, item.period.first_day) :]


def sound(sample: Sample) -> list[SampleObject]:
    return [item for item in sample.spec.objects if sample.spec.defects.get(item.key) is not Defect.BROKEN_ZIP]


def write_one(folder: Path, item: SampleObject, *, full_rows: bool = False) -> Sample:
    return write_sample(folder, [item], full_rows=full_rows)


def test_holds_every_row_of_the_archive_in_each_partition_and_nothing_else() -> None:
    held = {(item.market, item.data_type, item.period.partition) for item in small().objects}
    published = {(row.market, row.data_type, partition) for row in PUBLISHED.values() for partition in row.partitions}
    assert held == published
    assert (UM, "liquidationSnapshot", Partition.DAILY) not in held
    assert len(PUBLISHED) == 29 - 3


def test_small_has_about_300_objects() -> None:
    assert 280 <= len(small().objects) <= 340


@pytest.mark.parametrize(
    ("item", "key"),
    [
        (
            daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h"),
            "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        ),
        (
            daily(UM, "metrics", "BTCUSDT", JULY_15),
            "data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2025-07-15.zip",
        ),
        (
            monthly(CM, "fundingRate", "BTCUSD_PERP", date(2025, 7, 1)),
            "data/futures/cm/monthly/fundingRate/BTCUSD_PERP/BTCUSD_PERP-fundingRate-2025-07.zip",
        ),
        (
            daily(OPTIONS, "BVOLIndex", "BTCBVOLUSDT", JULY_15),
            "data/option/daily/BVOLIndex/BTCBVOLUSDT/BTCBVOLUSDT-BVOLIndex-2025-07-15.zip",
        ),
        (UNPADDED_MONTH, "data/spot/monthly/klines/ADABKRW/1h/ADABKRW-1h-2020-8.zip"),
    ],
)
def test_keys_have_the_archives_form(item: SampleObject, key: str) -> None:
    assert item.key == key
    assert key in small().keys


def test_objects_are_found_again_from_their_keys() -> None:
    for item in (*small().objects, *bulk(60).objects):
        assert SampleObject.of_key(item.key) == item


@pytest.mark.parametrize(
    "key",
    [
        "data/spot/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2025-07-15.zip",
        "data/spot/daily/klines/BTCUSDT/1h/ETHUSDT-1h-2025-07-15.zip",
        "data2/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
    ],
)
def test_a_key_that_the_archive_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not the key of a zip of the archive"):
        SampleObject.of_key(key)


@pytest.mark.parametrize(
    ("market", "symbol"), [(market, name) for market, names in UNUSUAL_SYMBOLS.items() for name in names]
)
def test_unusual_symbols_are_there(sample: Sample, market: Market, symbol: str) -> None:
    assert (sample.bucket / daily(market, "klines", symbol, JULY_15, "1h").key).is_file()


def test_every_row_of_every_file_has_the_columns_of_its_schema(sample: Sample) -> None:
    for item in sound(sample):
        columns = PUBLISHED[item.market, item.data_type].columns
        lines = lines_of(sample, item)
        assert (lines[0] == columns) == has_header(item.market, item.period.first_day), item.key
        assert {line.count(",") for line in lines} == {columns.count(",")}, item.key


NUMBER = r"-?\d+\.\d+"
MARCH_15 = date(2024, 3, 15)
FORMS = [
    (
        daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h"),
        (r"\d{16}", *[NUMBER] * 5, r"\d{10}999999", NUMBER, r"\d+", NUMBER, NUMBER, "0"),
    ),
    (daily(SPOT, "trades", "BTCUSDT", JULY_15), (r"\d+", *[NUMBER] * 3, r"\d{16}", "(True|False)", "True")),
    (
        daily(SPOT, "aggTrades", "BTCUSDT", JULY_15),
        (r"\d+", NUMBER, NUMBER, r"\d+", r"\d+", r"\d{16}", "(True|False)", "True"),
    ),
    (
        daily(UM, "klines", "BTCUSDT", JULY_15, "1h"),
        (r"\d{13}", *[NUMBER] * 5, r"\d{10}999", NUMBER, r"\d+", NUMBER, NUMBER, "0"),
    ),
    (daily(UM, "trades", "BTCUSDT", JULY_15), (r"\d+", *[NUMBER] * 3, r"\d{13}", "(true|false)")),
    (
        daily(UM, "aggTrades", "BTCUSDT", JULY_15),
        (r"\d+", NUMBER, NUMBER, r"\d+", r"\d+", r"\d{13}", "(true|false)"),
    ),
    (
        daily(UM, "premiumIndexKlines", "BTCUSDT", JULY_15, "1h"),
        (r"\d{13}", *[r"0\.000\d{5}"] * 4, "0", r"\d{10}999", "0", "60", "0", "0", "0"),
    ),
    (monthly(UM, "fundingRate", "BTCUSDT", date(2025, 7, 1)), (r"\d{12}\d", "8", r"-?0\.000\d{5}")),
    (
        daily(UM, "metrics", "BTCUSDT", JULY_15),
        (r"2025-07-1[56] \d\d:\d[05]:00", "BTCUSDT", NUMBER, NUMBER, *[rf'({NUMBER}|"")'] * 4),
    ),
    (
        daily(CM, "bookDepth", "BTCUSD_PERP", JULY_15),
        (r"2025-07-15 \d\d:\d\d:\d\d", r"-?[1-5]\.00", NUMBER, NUMBER),
    ),
    (daily(CM, "bookTicker", "BTCUSD_PERP", MARCH_15), (r"\d+", *[NUMBER] * 4, r"\d{13}", r"\d{13}")),
    (
        daily(CM, "liquidationSnapshot", "BTCUSD_PERP", MARCH_15),
        (r"\d{13}", "(BUY|SELL)", "LIMIT", "IOC", r"\d+", NUMBER, NUMBER, "FILLED", r"\d+", r"\d+"),
    ),
    (
        daily(OPTIONS, "BVOLIndex", "BTCBVOLUSDT", JULY_15),
        (r"\d{13}", "BTCBVOLUSDT", "BTCBVOL", "USDT", r"\d+\.\d{4}"),
    ),
    (
        daily(OPTIONS, "EOHSummary", "BTCUSDT", date(2023, 10, 20)),
        ("2023-10-20", r"\d+", r"BTC-231027-\d+-[CP]", "BTCUSDT", "[CP]", r"\d+", *[NUMBER] * 20),
    ),
]


@pytest.mark.parametrize(("item", "fields"), FORMS, ids=[item.stem for item, _ in FORMS])
def test_rows_look_like_the_archives(sample: Sample, item: SampleObject, fields: tuple[str, ...]) -> None:
    form = re.compile(",".join(fields))
    strange = [row for row in rows_of(sample, item) if not form.fullmatch(row)]
    assert strange == []


@pytest.mark.parametrize(
    ("item", "opens", "closes"),
    [
        (daily(SPOT, "klines", "BTCUSDT", date(2024, 12, 31), "1h"), 1_735_603_200_000, 1_735_606_799_999),
        (daily(SPOT, "klines", "BTCUSDT", date(2025, 1, 1), "1h"), 1_735_689_600_000_000, 1_735_693_199_999_999),
        (monthly(SPOT, "klines", "BTCUSDT", date(2024, 12, 1), "1h"), 1_733_011_200_000, 1_733_014_799_999),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 1, 1), "1h"), 1_735_689_600_000_000, 1_735_693_199_999_999),
        (daily(UM, "klines", "BTCUSDT", date(2025, 1, 1), "1h"), 1_735_689_600_000, 1_735_693_199_999),
    ],
    ids=lambda value: value.stem if isinstance(value, SampleObject) else "",
)
def test_spot_counts_in_microseconds_from_2025(sample: Sample, item: SampleObject, opens: int, closes: int) -> None:
    fields = rows_of(sample, item)[0].split(",")
    assert (int(fields[0]), int(fields[6])) == (opens, closes)


@pytest.mark.parametrize(
    ("item", "header"),
    [
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h"), False),
        (daily(UM, "klines", "BTCUSDT", date(2021, 6, 1), "1h"), False),
        (daily(CM, "klines", "BTCUSD_PERP", date(2021, 6, 1), "1h"), False),
        (daily(UM, "klines", "BTCUSDT", JULY_15, "1h"), True),
        (daily(OPTIONS, "BVOLIndex", "BTCBVOLUSDT", JULY_15), True),
    ],
    ids=lambda value: value.stem if isinstance(value, SampleObject) else "",
)
def test_spot_and_old_futures_files_have_no_header(sample: Sample, item: SampleObject, header: bool) -> None:
    assert lines_of(sample, item)[0][0].isalpha() is header


@pytest.mark.parametrize(
    ("item", "count"),
    [
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h"), 24),
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1m"), 1440),
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1d"), 1),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 6, 1), "1h"), 720),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 6, 1), "1m"), 43_200),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 6, 1), "1d"), 30),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 6, 1), "1w"), 5),
        (monthly(SPOT, "klines", "BTCUSDT", date(2025, 6, 1), "1mo"), 1),
        (monthly(UM, "fundingRate", "BTCUSDT", date(2025, 7, 1)), 93),
        (daily(UM, "metrics", "BTCUSDT", JULY_15), 288),
        (daily(UM, "metrics", "BTCUSDT", date(2021, 5, 10)), 576),
    ],
    ids=lambda value: value.stem if isinstance(value, SampleObject) else "",
)
def test_files_have_the_true_number_of_rows(sample: Sample, item: SampleObject, count: int) -> None:
    assert len(rows_of(sample, item)) == count


@pytest.mark.parametrize(
    ("item", "count"),
    [
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1s"), 86_400),
        (daily(OPTIONS, "BVOLIndex", "BTCBVOLUSDT", JULY_15), 86_400),
        (daily(UM, "bookDepth", "BTCUSDT", JULY_15), 2_880 * 10),
        (daily(UM, "bookDepth", "BTCUSDT", date(2026, 2, 1)), 2_880 * 12),
    ],
    ids=lambda value: value.stem if isinstance(value, SampleObject) else "",
)
def test_full_rows_gives_all_rows_of_large_files_too(tmp_path: Path, item: SampleObject, count: int) -> None:
    assert len(rows_of(write_one(tmp_path, item, full_rows=True), item)) == count


@pytest.mark.parametrize(
    ("market", "data_type", "interval"),
    [
        (SPOT, "klines", "1s"),
        (SPOT, "trades", None),
        (UM, "klines", "1d"),
        (UM, "premiumIndexKlines", "1h"),
        (CM, "aggTrades", None),
        (CM, "bookTicker", None),
    ],
)
def test_the_rows_of_a_month_are_those_of_its_days(
    tmp_path: Path, market: Market, data_type: str, interval: str | None
) -> None:
    row = PUBLISHED[market, data_type]
    first = row.day.replace(day=1)
    chosen = (interval,) if interval else ()
    (month,) = of_months(market, data_type, (row.symbol,), (first,), chosen)
    each_day = list(of_days(market, data_type, (row.symbol,), days(first, month.period.last_day), chosen))
    sample = write_sample(tmp_path, [month, *each_day])
    assert rows_of(sample, month) == [line for item in each_day for line in rows_of(sample, item)]
    times = [
        line.split(",")[row.columns.split(",").index(TIMES.get(data_type, "open_time"))]
        for line in rows_of(sample, month)
    ]
    assert times == sorted(times)


def test_a_short_month_holds_its_first_days_only_and_can_be_cured(tmp_path: Path) -> None:
    (month,) = of_months(UM, "klines", ("BTCUSDT",), (date(2025, 6, 1),), ("1h",))
    sample = write_sample(tmp_path, SampleSpec.of([month], {month.key: Defect.SHORT_MONTH}))
    short = rows_of(sample, month)
    sidecar = (sample.bucket / (month.key + SIDECAR)).read_bytes()
    assert sidecar == sidecar_bytes(month, (sample.bucket / month.key).read_bytes())
    assert len(short) == SHORT_DAYS * 24
    replace(sample.bucket, month.key, same_size=True)
    whole = rows_of(sample, month)
    assert (len(whole), whole[: len(short)]) == (720, short)


def test_what_has_no_days_cannot_be_a_short_month(tmp_path: Path) -> None:
    item = monthly(UM, "fundingRate", "BTCUSDT", date(2025, 7, 1))
    with pytest.raises(ValueError, match="cannot be a short month"):
        write_sample(tmp_path, SampleSpec.of([item], {item.key: Defect.SHORT_MONTH}))


def test_each_liquidation_is_written_twice(sample: Sample) -> None:
    rows = rows_of(sample, daily(CM, "liquidationSnapshot", "BTCUSD_PERP", date(2024, 3, 15)))
    assert rows[::2] == rows[1::2]


def test_metrics_are_not_in_the_order_of_time(sample: Sample) -> None:
    rows = rows_of(sample, daily(UM, "metrics", "BTCUSDT", JULY_15))
    assert rows != sorted(rows)


def test_sidecars_have_the_archives_form_and_match_but_for_the_defects(sample: Sample) -> None:
    for item in sample.spec.objects:
        sidecar = sample.bucket / (item.key + SIDECAR)
        if sample.spec.defects.get(item.key) is Defect.MISSING_SIDECAR:
            assert not sidecar.exists()
            continue
        text = sidecar.read_text(encoding="utf-8")
        assert re.fullmatch(rf"[0-9a-f]{{64}}  {re.escape(item.name)}", text.removesuffix("\n"))
        assert text.endswith("\n") is (item.market is not SPOT)
        digest = hashlib.sha256((sample.bucket / item.key).read_bytes()).hexdigest()
        stale = sample.spec.defects.get(item.key) is Defect.STALE_SIDECAR
        assert text.startswith(digest) is not stale, item.key


def test_the_broken_zip_cannot_be_opened_although_its_sidecar_matches(sample: Sample) -> None:
    key = next(key for key, defect in DEFECTS.items() if defect is Defect.BROKEN_ZIP)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(sample.bucket / key)


def test_time_stamps_are_of_the_day_after_the_period(sample: Sample) -> None:
    for item, expected in (
        (daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h"), datetime(2025, 7, 16, tzinfo=UTC)),
        (monthly(UM, "fundingRate", "BTCUSDT", date(2025, 7, 1)), datetime(2025, 8, 1, tzinfo=UTC)),
    ):
        for path in (sample.bucket / item.key, sample.bucket / (item.key + SIDECAR)):
            assert datetime.fromtimestamp(path.stat().st_mtime, UTC) == expected


def test_another_process_writes_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.archive.sample", "--to", str(tmp_path), "--preset", "small"]
    environment = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    root = Path(__file__).parents[2]
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert _contents(tmp_path) == _contents(sample.root)


def _contents(root: Path) -> dict[str, tuple[bytes, float]]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime) for path in files}


def test_replacing_gives_new_bytes_a_new_time_and_a_matching_sidecar(tmp_path: Path) -> None:
    item = daily(UM, "klines", "BTCUSDT", JULY_15, "1h")
    sample = write_one(tmp_path, item)
    path = sample.bucket / item.key
    before, before_time = path.read_bytes(), path.stat().st_mtime
    returned = replace(sample.bucket, item.key)
    assert path.read_bytes() == returned != before
    assert path.stat().st_mtime > before_time
    assert (sample.bucket / (item.key + SIDECAR)).read_bytes() == sidecar_bytes(item, returned)
    assert replace(sample.bucket, item.key, revision=2) not in (before, returned)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.binance.vision"]


def test_replacing_can_keep_the_size(tmp_path: Path) -> None:
    item = daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h")
    sample = write_one(tmp_path, item)
    before, rows = (sample.bucket / item.key).read_bytes(), rows_of(sample, item)
    after = replace(sample.bucket, item.key, same_size=True)
    assert len(after) == len(before)
    assert after != before
    assert rows_of(sample, item) == rows


def test_replacing_can_leave_the_sidecar_stale(tmp_path: Path) -> None:
    item = daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h")
    sample = write_one(tmp_path, item)
    before = (sample.bucket / (item.key + SIDECAR)).read_bytes()
    after = replace(sample.bucket, item.key, sidecar=False)
    assert (sample.bucket / (item.key + SIDECAR)).read_bytes() == before != sidecar_bytes(item, after)


def test_the_demo_has_all_that_the_research_preset_asks_for_in_its_week() -> None:
    last_day = date(2026, 3, 2)
    keys = set(demo(last_day).keys)
    for offset in range(7):
        day = last_day - timedelta(days=offset)
        for interval in ("1m", "5m", "1h", "1d"):
            assert {
                daily(SPOT, "klines", symbol, day, interval).key for symbol in ("BTCUSDT", "ETHUSDT", "ADAUSDT")
            } <= keys
        assert daily(UM, "metrics", "ADAUSDT", day).key in keys
        assert daily(CM, "bookDepth", "ETHUSD_PERP", day).key in keys
        assert daily(OPTIONS, "BVOLIndex", "ETHBVOLUSDT", day).key in keys
    assert monthly(UM, "fundingRate", "BTCUSDT", date(2026, 2, 1)).key in keys
    assert monthly(UM, "fundingRate", "BTCUSDT", date(2026, 3, 1)).key not in keys
    assert all(item.period.last_day <= last_day for item in demo(last_day).objects)


def test_the_demo_has_every_row_and_no_defect() -> None:
    specification = demo(date(2026, 11, 22))
    assert {(item.market, item.data_type) for item in specification.objects} == set(PUBLISHED)
    assert not specification.defects


@pytest.mark.parametrize("wanted", [1, 60, 2_000])
def test_bulk_has_at_least_as_many_objects_as_asked_for(wanted: int) -> None:
    assert wanted <= len(bulk(wanted).objects) < wanted + 30


def test_a_selection_of_what_the_archive_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="the archive has no daily futures_um fundingRate"):
        list(of_days(UM, "fundingRate", ["BTCUSDT"], [JULY_15]))
    with pytest.raises(ValueError, match="the archive has no monthly spot klines of"):
        list(of_months(SPOT, "klines", ["BTCUSDT"], [JULY_15], ["1M"]))


def test_a_specification_holds_each_object_once_and_in_order() -> None:
    item = daily(SPOT, "klines", "BTCUSDT", JULY_15, "1h")
    earlier = daily(SPOT, "klines", "BTCUSDT", date(2025, 7, 14), "1h")
    assert SampleSpec.of([item, earlier, item]).objects == (earlier, item)
