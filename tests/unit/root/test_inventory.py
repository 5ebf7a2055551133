"""The inventory of a manifest adds up by market and data type, while others write to it, and without a trace."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import ManifestUnreadable
from crypto_archive.model import Market, Partition, Period, Verdict
from crypto_archive.root.inventory import Inventory, count_records, take_inventory
from crypto_archive.root.manifest import Manifest
from tests.objects import an_object, bundled, entry_of, row_of

if TYPE_CHECKING:
    from pathlib import Path

ETH = an_object(symbol="ETHUSDT")
MONTH = row_of(Market.SPOT, "klines").object("BTCUSDT", "1h", Period(Partition.MONTHLY, date(2025, 8, 1)))
TRADES = an_object(4, market=Market.FUTURES_UM, data_type="trades")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.sqlite"


def fill(path: Path, *keys: str, verdict: Verdict = Verdict.OK) -> None:
    with Manifest(path) as manifest:
        for key in keys:
            manifest.record(entry_of(key)._replace(verdict=verdict))


def test_objects_are_counted_by_market_and_type_and_a_series_once(path: Path) -> None:
    fill(path, *(an_object(number).key for number in range(10)), ETH.key, MONTH.key, TRADES.key)
    found = take_inventory(path, bundled())
    klines, trades = found.groups[Market.SPOT, "klines"], found.groups[Market.FUTURES_UM, "trades"]
    assert (klines.objects, klines.bytes, klines.newest) == (12, 60, date(2025, 8, 31))
    assert klines.series == {("BTCUSDT", "1h"), ("ETHUSDT", "1h")}
    assert (trades.objects, trades.newest, trades.series) == (1, date(2025, 7, 5), {("BTCUSDT", None)})
    assert (found.objects, found.unrecognized, found.faults) == (13, 0, {})


def test_verdicts_other_than_ok_are_counted(path: Path) -> None:
    fill(path, an_object(0).key, an_object(1).key)
    fill(path, an_object(2).key, ETH.key, verdict=Verdict.UNPROVEN)
    fill(path, TRADES.key, verdict=Verdict.BAD_ZIP)
    assert take_inventory(path, bundled()).faults == {Verdict.UNPROVEN: 2, Verdict.BAD_ZIP: 1}


def test_foreign_keys_are_counted_once_however_their_folders_nest(path: Path) -> None:
    fill(path, "data/odd/1h/x.zip", "data/odd/z.zip", "data/odd/zz/y.zip", an_object().key)
    found = take_inventory(path, bundled())
    assert (found.unrecognized, found.objects) == (3, 4)


@pytest.mark.parametrize("key", ["no-folder.zip", b"data/spot/x.zip"])
def test_a_key_that_nothing_of_ours_wrote_is_damage(path: Path, key: str | bytes) -> None:
    fill(path, an_object().key)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE object SET key = ?", (key,))
    with pytest.raises(ManifestUnreadable, match="a key is in no folder"):
        take_inventory(path, bundled())


def test_no_manifest_holds_nothing_and_none_is_made(path: Path) -> None:
    assert take_inventory(path, bundled()) == Inventory()
    assert count_records(path) == 0
    assert not path.exists()


def test_a_writer_and_its_reader_do_not_disturb_each_other(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry_of(an_object(0).key))
        manifest.flush()
        assert take_inventory(path, bundled()).objects == count_records(path) == 1
        manifest.record(entry_of(an_object(1).key))
        manifest.flush()
        assert take_inventory(path, bundled()).objects == 2


def test_nothing_is_left_next_to_the_manifest(path: Path) -> None:
    fill(path, an_object().key)
    take_inventory(path, bundled())
    assert [file.name for file in path.parent.iterdir()] == ["manifest.sqlite"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_can_be_looked_into(path: Path) -> None:
    fill(path, an_object().key)
    path.with_name("manifest.sqlite-wal").touch()  # as a killed writer leaves one
    path.parent.chmod(0o555)
    try:
        assert take_inventory(path, bundled()).objects == 1
    finally:
        path.parent.chmod(0o755)
