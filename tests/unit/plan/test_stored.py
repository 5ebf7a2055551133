"""Stored objects beside the listing: each once, in the order of the keys, with its entry, for few requests."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import SIDECAR_SUFFIX, DateRange, Market, Partition, Period
from crypto_archive.plan.prefixes import stored_scopes
from crypto_archive.plan.stored import WORTH_COUNTING, listed_now
from crypto_archive.root.proof import Digest, is_comparable, replaced_since
from tests.objects import LISTED_AT, a_context, bundled, entry_of, listed, row_of
from tests.unit.plan.test_candidates import Bucket, with_sidecars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_archive.model import ArchiveObject, ManifestEntry, RemoteStat

TODAY = date(2025, 8, 20)
SYMBOLS = ("BTCUSDT", "BTCUSDT_250926", "ETHUSDT", "币安人生USDT")


def an_object(
    market: Market, data_type: str, symbol: str, interval: str | None, partition: Partition, day: date
) -> ArchiveObject:
    return row_of(market, data_type).object(symbol, interval, Period.containing(day, partition))


days = st.dates(date(2021, 1, 1), date(2025, 8, 18))
objects = st.one_of(
    st.builds(
        an_object,
        st.sampled_from([Market.SPOT, Market.FUTURES_UM]),
        st.just("klines"),
        st.sampled_from(SYMBOLS),
        st.sampled_from(["1m", "1h", "15m", "1d"]),
        st.sampled_from(Partition),
        days,
    ),
    st.builds(
        an_object,
        st.just(Market.FUTURES_UM),
        st.just("fundingRate"),
        st.sampled_from(SYMBOLS),
        st.none(),
        st.just(Partition.MONTHLY),
        days,
    ),
)


def found(bucket: Bucket, items: Iterable[ArchiveObject]) -> list[tuple[str, RemoteStat | None]]:
    return [(item.key, remote) for item, remote in listed_now(a_context(TODAY), items, bucket)]  # type: ignore[arg-type]


@given(st.lists(objects, max_size=30), st.lists(objects, max_size=30), st.data())
def test_each_object_comes_once_with_its_own_entry(
    stored: list[ArchiveObject], others: list[ArchiveObject], data: st.DataObject
) -> None:
    in_archive = {item.key for item in [*stored, *others] if data.draw(st.booleans())}
    without_sidecar = {key for key in in_archive if data.draw(st.booleans())}
    bucket = Bucket(in_archive | {key + SIDECAR_SUFFIX for key in in_archive - without_sidecar})
    answers = found(bucket, stored)
    assert [key for key, _ in answers] == sorted({item.key for item in stored})
    for key, remote in answers:
        assert (remote is not None) is (key in in_archive)
        if remote is not None:
            assert remote.etag == f"etag of {key}"
            assert remote.has_sidecar is (key not in without_sidecar)


def test_a_key_with_an_unpadded_month_is_found() -> None:
    keys = [f"data/spot/monthly/klines/ADABKRW/1h/ADABKRW-1h-2020-{month}.zip" for month in ("07", "8", "09")]
    items = [item for key in keys if (item := bundled().object_of(key)) is not None]
    assert len(items) == 3
    answers = found(Bucket(with_sidecars(*keys)), items)
    assert {key for key, remote in answers if remote is not None} == set(keys)


def test_a_series_is_listed_between_its_own_dates() -> None:
    items = [an_object(Market.SPOT, "klines", "BTCUSDT", "1h", Partition.DAILY, date(2025, 7, day)) for day in (3, 20)]
    bucket = Bucket(with_sidecars(*(item.key for item in items)))
    found(bucket, items)
    assert bucket.asked == ["data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-"]
    assert bucket.folders_asked == []


def test_many_symbols_of_a_small_type_are_listed_with_its_folder() -> None:
    names = [f"S{number:03}USDT" for number in range(WORTH_COUNTING * 20)]
    items = [
        an_object(Market.FUTURES_UM, "fundingRate", name, None, Partition.MONTHLY, date(2025, 6, 1)) for name in names
    ]
    bucket = Bucket(with_sidecars(*(item.key for item in items)))
    assert all(remote is not None for _, remote in found(bucket, items))
    assert bucket.asked == ["data/futures/um/monthly/fundingRate/"]


def test_many_intervals_of_a_symbol_are_listed_with_its_folder() -> None:
    row = row_of(Market.SPOT, "klines")
    dates = DateRange(date(2018, 1, 1), date(2025, 7, 31))
    stored = {("BTCUSDT", interval): dates for interval in row.intervals(Partition.MONTHLY)}
    (scope,) = stored_scopes(row, Partition.MONTHLY, stored, TODAY)
    assert scope.prefixes == {Partition.MONTHLY: ("data/spot/monthly/klines/BTCUSDT/",)}
    assert scope.requests < len(stored)


def test_a_listing_that_is_cut_short_proves_nothing_about_the_rest() -> None:
    items = [
        an_object(Market.SPOT, "klines", symbol, "1h", Partition.DAILY, date(2025, 7, 1) + timedelta(days=n))
        for symbol in ("BTCUSDT", "ETHUSDT")
        for n in range(3)
    ]
    bucket = Bucket(with_sidecars(*(item.key for item in items)))
    answers = listed_now(a_context(TODAY), items, bucket)  # type: ignore[arg-type]
    assert next(answers)[1] is not None
    bucket.is_cut_short = True
    assert list(answers) == []


# Whether a file is still what the archive has

MD5 = "0" * 32
BYTES = Digest("a" * 64, MD5, 5)


def an_entry(etag: str, *, by_listing: bool = True) -> ManifestEntry:
    entry = entry_of("x.zip")
    return type(entry)(
        entry.key, 5, "a" * 64, entry.verdict, etag, LISTED_AT if by_listing else None, entry.fetched_at, "run"
    )


@pytest.mark.parametrize(
    ("remote", "entry", "change", "comparable"),
    [
        (listed(5, MD5), None, None, True),
        (listed(5, MD5.upper()), an_entry("of another upload"), None, True),
        (listed(6, MD5), None, "5 bytes on disk, 6 in the archive", True),
        (listed(5, "1" * 32), an_entry("1" * 32), "MD5 is 000000000000…, the archive has 111111111111…", True),
        (listed(5, "x-2"), an_entry("x-2"), None, True),
        (listed(5, "y-2"), an_entry("x-2"), "another ETag in the archive", True),
        (listed(5, "y-2"), an_entry(MD5, by_listing=False), None, False),
        (listed(5, "y-2"), None, None, False),
    ],
)
def test_bytes_are_compared_by_size_and_etag(
    remote: RemoteStat, entry: ManifestEntry | None, change: str | None, comparable: bool
) -> None:
    assert replaced_since(BYTES, entry, remote) == change
    assert is_comparable(BYTES, entry, remote) is comparable
