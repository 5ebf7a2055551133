"""The cache of listings: what goes in comes out whole, or is not found at all."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zlib
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.root import listing_cache as store_module
from crypto_archive.root.listing_cache import KEPT_SECONDS, PAGE, Entry, Evicted, ListingStore, Page, joined
from crypto_archive.s5cmd.output import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PLACE = "https://s3.example/data.binance.vision"
FOLDER = "data/spot/daily/klines/BTCUSDT/1h/"
AT = datetime(2025, 7, 16, 0, 10, 11, 123457, tzinfo=UTC)
NOW = time.time()
ALWAYS = float("inf")


def an_entry(key: str, size: int = 7, etag: str = "e", at: datetime = AT) -> Listed:
    return Listed(key, size, etag, at)


def keys_of(entries: Iterable[Entry]) -> list[str]:
    return [entry.key for entry in entries]


@contextmanager
def opened(path: Path | None = None, place: str = PLACE) -> Iterator[ListingStore]:
    with closing(ListingStore(path, place)) as store:
        yield store


def cache(store: ListingStore, prefix: str, *keys: str, at: float = NOW) -> None:
    record(store, prefix, map(an_entry, keys), at)


def record(store: ListingStore, prefix: str, entries: Iterable[Listed], at: float = NOW) -> None:
    recording = store.begin(prefix, at)
    for entry in entries:
        recording.add(entry)
    store.finish([recording])


def recalled(store: ListingStore, prefix: str, since: float = 0.0) -> list[Entry] | None:
    found = store.find(prefix, since, ALWAYS)
    return None if found is None else [entry for page in store.pages(found, prefix) for entry in page]


def without_sidecar(*keys: str) -> list[Entry]:
    return [Entry(key, an_entry(key).stat._replace(has_sidecar=False)) for key in keys]


def in_pairs(listed: list[Listed]) -> list[Entry]:
    """What a listing says of each object and of its sidecar, by the plainest means."""
    sidecars = {one.key: one.etag for one in listed}
    return [
        Entry(
            one.key,
            one.stat._replace(
                has_sidecar=one.key + SIDECAR_SUFFIX in sidecars,
                sidecar_etag=sidecars.get(one.key + SIDECAR_SUFFIX) or None,
            ),
        )
        for one in listed
        if not one.key.endswith(SIDECAR_SUFFIX)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive" / ".crypto-archive" / "listings.sqlite"


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = ODD.map(lambda text: FOLDER + text)
ENTRIES = st.lists(
    st.builds(
        Listed,
        NAMES,
        st.integers(0, 2**53),
        ODD,
        st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
    ),
    unique_by=lambda entry: entry.key,
)


@st.composite
def listings(draw: st.DrawFn) -> list[Listed]:
    """A listing in which some zips have a sidecar, which follows them, and some sidecars are alone."""
    listed: list[Listed] = []
    for one in sorted(draw(ENTRIES), key=lambda entry: entry.key):
        which = draw(st.sampled_from(["zip", "both", "sidecar"]))
        listed += [one] if which != "sidecar" else []
        listed += [one._replace(key=one.key + SIDECAR_SUFFIX, etag=draw(ODD))] if which != "zip" else []
    return listed


@given(listed=listings(), page=st.integers(1, 5))
def test_each_object_comes_back_as_it_was_listed_with_its_sidecar(listed: list[Listed], page: int) -> None:
    with pytest.MonkeyPatch.context() as patch, opened() as store:
        patch.setattr(store_module, "PAGE", page)
        record(store, FOLDER, listed)
        assert recalled(store, FOLDER) == in_pairs(listed)
        assert [entry for some in joined(listed) for entry in some.entries()] == in_pairs(listed)


@pytest.mark.parametrize("page", [1, 2, 5])
def test_of_an_object_that_is_listed_twice_the_first_has_the_sidecar(
    monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(store_module, "PAGE", page)
    keys = [FOLDER + name for name in ("a", "b", "b", "b.CHECKSUM", "b.CHECKSUM", "c", "c.CHECKSUM", "c")]
    found = [entry for some in joined(map(an_entry, keys)) for entry in some.entries()]
    assert [(entry.key[-1], entry.stat.has_sidecar) for entry in found] == [
        ("a", False), ("b", True), ("b", False), ("c", True), ("c", False),
    ]  # fmt: skip


def test_a_page_knows_how_many_keys_were_listed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PAGE", 2)
    keys = [FOLDER + name for name in ("0.CHECKSUM", "a", "a.CHECKSUM", "b", "c", "c.CHECKSUM")]
    assert [page.listed for page in joined(map(an_entry, keys))] == [4, 2]
    with opened() as store:
        recording = store.begin(FOLDER, NOW)
        for key in keys:
            recording.add(an_entry(key))
        assert recording.count == 6


@given(entries=ENTRIES, page=st.integers(1, 5), narrow=ODD)
def test_a_narrower_prefix_is_read_out_of_a_wider_listing(entries: list[Listed], page: int, narrow: str) -> None:
    prefix = FOLDER + narrow
    with pytest.MonkeyPatch.context() as patch, opened() as store:
        patch.setattr(store_module, "PAGE", page)
        record(store, FOLDER, sorted(entries, key=lambda entry: entry.key))
        found = recalled(store, prefix)
        assert found is not None
        assert keys_of(found) == sorted(entry.key for entry in entries if entry.key.startswith(prefix))


@pytest.mark.parametrize("last", ["\x00", "\uffff", "\U0010ffff", "\U0010ffff\U0010ffff"], ids=ascii)
def test_the_last_signs_of_all_are_under_a_prefix_too(last: str) -> None:
    with opened() as store:
        cache(store, FOLDER, FOLDER + last)
        assert keys_of(recalled(store, FOLDER) or ()) == [FOLDER + last]


def test_many_pages_keep_their_order() -> None:
    keys = [f"{FOLDER}{number:05}" for number in range(3 * PAGE + 1)]
    with opened() as store:
        cache(store, FOLDER, *keys)
        assert keys_of(recalled(store, FOLDER) or ()) == keys
        assert keys_of(recalled(store, FOLDER + "0025") or ()) == keys[250:260]


def test_an_empty_listing_is_an_answer_and_none_is_not() -> None:
    with opened() as store:
        assert recalled(store, FOLDER) is None
        cache(store, FOLDER)
        assert recalled(store, FOLDER) == []


@pytest.mark.parametrize("newest", ["wide", "narrow"])
def test_the_newest_listing_counts_whether_it_is_wider_or_narrower(newest: str) -> None:
    """Or who has the whole folder refreshed would plan a part of it by what was there before."""
    with opened() as store:
        cache(store, FOLDER, FOLDER + "2025-07-wide", FOLDER + "2025-08", at=NOW - (newest != "wide"))
        cache(store, FOLDER + "2025-07", FOLDER + "2025-07-narrow", at=NOW - (newest != "narrow"))
        assert keys_of(recalled(store, FOLDER + "2025-07") or ()) == [FOLDER + "2025-07-" + newest]
        assert keys_of(recalled(store, FOLDER + "2025-08") or ()) == [FOLDER + "2025-08"]


def test_a_wider_prefix_is_not_read_out_of_a_narrower_listing() -> None:
    with opened() as store:
        cache(store, FOLDER + "2025-07", FOLDER + "2025-07-02")
        assert recalled(store, FOLDER) is None


def test_only_an_exact_listing_will_do_where_that_is_asked_for() -> None:
    with opened() as store:
        cache(store, FOLDER, FOLDER + "2025-07-02")
        assert store.find(FOLDER + "2025", 0.0, ALWAYS, exact=True) is None
        assert store.find(FOLDER, 0.0, ALWAYS, exact=True) is not None


def test_how_old_it_may_be_and_that_it_is_not_of_the_future() -> None:
    with opened() as store:
        cache(store, FOLDER, at=NOW)
        assert store.find(FOLDER, NOW, NOW) is not None
        assert store.find(FOLDER, NOW + 0.001, ALWAYS) is None
        assert store.find(FOLDER, 0.0, NOW - 0.001) is None


def test_what_was_never_finished_is_never_found(path: Path) -> None:
    with opened(path) as store:
        recording = store.begin(FOLDER, NOW)
        for number in range(PAGE + 1):
            recording.add(an_entry(f"{FOLDER}{number:05}"))
        assert recalled(store, FOLDER) is None
    with opened(path) as store:
        assert recalled(store, FOLDER) is None


def test_what_is_discarded_is_gone() -> None:
    with opened() as store:
        recording = store.begin(FOLDER, NOW)
        recording.add(an_entry(FOLDER + "x"))
        recording.flush()
        store.evict([recording.listing])
        assert recalled(store, FOLDER) is None
        assert rows_of(store) == (0, 0)


def test_a_newer_listing_takes_the_place_of_the_older() -> None:
    with opened() as store:
        cache(store, FOLDER, FOLDER + "old", at=NOW - 60)
        cache(store, FOLDER, FOLDER + "new")
        assert keys_of(recalled(store, FOLDER) or ()) == [FOLDER + "new"]
        assert rows_of(store) == (1, 1)


def test_listings_of_other_places_are_not_met(path: Path) -> None:
    with opened(path) as here, opened(path, "http://127.0.0.1:1/data.binance.vision") as there:
        cache(here, FOLDER, FOLDER + "here")
        assert recalled(there, FOLDER) is None
        cache(there, FOLDER, FOLDER + "there")
        assert keys_of(recalled(here, FOLDER) or ()) == [FOLDER + "here"]
        there.evict_since(0.0)
        assert recalled(there, FOLDER) is None
        assert recalled(here, FOLDER) is not None


def test_what_a_run_has_listed_can_be_forgotten() -> None:
    with opened() as store:
        cache(store, FOLDER + "a", at=NOW - 60)
        cache(store, FOLDER + "b", FOLDER + "b1")
        store.evict_since(NOW)
        assert recalled(store, FOLDER + "a") is not None
        assert recalled(store, FOLDER + "b") is None
        assert rows_of(store) == (1, 0)


def test_two_processes_may_write_and_read_one_file(path: Path) -> None:
    with opened(path) as one, opened(path) as other:
        mine, yours = one.begin(FOLDER + "a", NOW), other.begin(FOLDER + "b", NOW)
        for number in range(2 * PAGE):
            mine.add(an_entry(f"{FOLDER}a{number:05}"))
            yours.add(an_entry(f"{FOLDER}b{number:05}"))
        other.finish([yours])
        assert recalled(one, FOLDER + "a") is None
        assert len(recalled(one, FOLDER + "b") or ()) == 2 * PAGE
        one.finish([mine])
        assert len(recalled(other, FOLDER + "a") or ()) == 2 * PAGE


def test_a_number_is_never_given_twice(path: Path) -> None:
    """Otherwise an evicted recording would continue as another one, and end it too."""
    with opened(path) as one, opened(path) as other:
        mine = one.begin(FOLDER + "a", NOW)
        other.evict_since(0.0)
        yours = other.begin(FOLDER, NOW)
        mine.add(an_entry(FOLDER + "a"))
        one.finish([mine])
        assert recalled(other, FOLDER) is None  # it is not whole yet
        other.finish([yours])
        assert recalled(other, FOLDER) == []


def test_a_listing_that_is_gone_is_not_an_empty_one(path: Path) -> None:
    """Another process may put a newer one in its place between the look for it and the reading."""
    with opened(path) as one, opened(path) as other:
        cache(one, FOLDER, FOLDER + "a")
        found = one.find(FOLDER, 0.0, ALWAYS)
        assert found is not None
        cache(other, FOLDER, FOLDER + "b", at=NOW + 1)
        with pytest.raises(Evicted):
            list(one.pages(found, FOLDER))


def test_a_listing_that_is_replaced_while_it_is_read_is_read_to_its_end(path: Path) -> None:
    keys = [f"{FOLDER}{number:05}" for number in range(3 * PAGE)]
    with opened(path) as one, opened(path) as other:
        cache(one, FOLDER, *keys)
        found = one.find(FOLDER, 0.0, ALWAYS)
        assert found is not None
        reading = one.pages(found, FOLDER)
        first = next(reading)
        cache(other, FOLDER, FOLDER + "new", at=NOW + 1)
        assert keys_of([*first, *(entry for page in reading for entry in page)]) == keys


@pytest.mark.parametrize("age", [-2 * KEPT_SECONDS, 2 * KEPT_SECONDS], ids=["of a wrong clock", "old"])
def test_old_ones_are_deleted_and_those_of_a_future_that_was_none(path: Path, age: float) -> None:
    with opened(path) as store:
        cache(store, FOLDER, FOLDER + "x", at=time.time() - age)
        cache(store, FOLDER + "y", FOLDER + "y", at=time.time() - KEPT_SECONDS / 2)
    with opened(path) as store:
        assert rows_of(store) == (1, 1)


NO_DATABASE = {
    "text": b"this is not a database, whatever it was meant to be" * 50,
    "zeros": bytes(8192),
}


@pytest.mark.parametrize("content", NO_DATABASE.values(), ids=NO_DATABASE)
def test_a_file_that_is_not_a_database_is_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for _ in range(2):
        with opened(path) as store:
            cache(store, FOLDER, FOLDER + "x")
    with opened(path) as store:
        assert recalled(store, FOLDER) == without_sidecar(FOLDER + "x")


def test_a_file_of_another_version_is_replaced(path: Path) -> None:
    with opened(path) as store:
        cache(store, FOLDER, FOLDER + "x")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with opened(path) as store:
        assert recalled(store, FOLDER) is None
        cache(store, FOLDER, FOLDER + "y")
        assert keys_of(recalled(store, FOLDER) or ()) == [FOLDER + "y"]


KEY = FOLDER + "x"
TIME = "2025-07-16T00:10:11+00:00"


def columns(keys: object = (KEY,), sizes: object = (1,), etags: object = ("e",), times: object = (TIME,),
            sidecars: object = (None,)) -> str:  # fmt: skip
    return json.dumps([keys, sizes, etags, times, sidecars])


DAMAGED: dict[str, object] = {
    "not packed": b"no entries",
    "text": "no entries",
    "a number": 7,
    "deep": zlib.compress(b"[" * 100_000),
    "a bomb": zlib.compress(b" " * 50_000_000),
    "cut short": zlib.compress(columns([KEY] * 9, [1] * 9, ["e"] * 9, [TIME] * 9, [None] * 9).encode())[:-9],
} | {
    name: zlib.compress(text.encode())
    for name, text in {
        "no list": "7",
        "no columns": "[7, 7, 7, 7, 7]",
        "too few columns": "[[]]",
        "too many columns": json.dumps([[KEY], [1], ["e"], [TIME], [None], [None]]),
        "texts": json.dumps(["x", "1", "e", [TIME], "s"]),
        "nothing": columns([], [], [], [], []),
        "of two lengths": columns(etags=["e", "e"]),
        "a time less": columns(times=[]),
        "key": columns([5]),
        "no key": columns([None]),
        "half a pair": columns([KEY + "\ud800"]),
        "size": columns(sizes=["1"]),
        "no size": columns(sizes=[True]),
        "negative": columns(sizes=[-1]),
        "huge": columns(sizes=[10**30]),
        "etag": columns(etags=[{}]),
        "sidecar": columns(sidecars=[1]),
        "time": columns(times=["x"]),
        "number": columns(times=[1.0]),
        "no zone": columns(times=["2025-07-16T00:10:11"]),
        "another zone": columns(times=["2025-07-16T00:10:11+01:00"]),
    }.items()
}


def test_a_page_that_is_not_damaged_is_read() -> None:
    """Or the damaged ones would be refused for another reason."""
    assert keys_of(Page.unpacked(zlib.compress(columns().encode())).entries()) == [KEY]


def test_a_file_without_its_tables_is_replaced(path: Path) -> None:
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE page")
    with opened(path) as store:
        cache(store, FOLDER, FOLDER + "x")
        assert recalled(store, FOLDER) == without_sidecar(FOLDER + "x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_no_link_is_followed_and_no_fifo_waited_for(path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.sqlite"
    with closing(sqlite3.connect(mine)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    before = mine.read_bytes()
    path.parent.mkdir(parents=True)
    path.symlink_to(mine)
    with pytest.raises(OSError, match="not a regular file"):
        ListingStore(path, PLACE)
    assert mine.read_bytes() == before
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        ListingStore(path, PLACE)


@pytest.mark.parametrize("entries", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_within_is_a_database_error(path: Path, entries: object) -> None:
    with opened(path) as store:
        cache(store, FOLDER, FOLDER + "x")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE page SET entries = ?", (entries,))
    with opened(path) as store:
        found = store.find(FOLDER, 0.0, ALWAYS)
        assert found is not None
        with pytest.raises(sqlite3.DatabaseError):
            list(store.pages(found, FOLDER))


def test_a_file_that_cannot_be_there_is_an_error_and_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").touch()
    with pytest.raises(sqlite3.OperationalError):
        ListingStore(tmp_path / "folder", PLACE)
    with pytest.raises(OSError, match=r"mine\.txt"):
        ListingStore(tmp_path / "folder" / "mine.txt" / "listings.sqlite", PLACE)
    assert (tmp_path / "folder" / "mine.txt").is_file()


def test_a_file_of_ones_own_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened() as store:
        cache(store, FOLDER, *(f"{FOLDER}{number}" for number in range(PAGE)))
        with opened() as other:
            assert recalled(other, FOLDER) is None
    assert list(tmp_path.iterdir()) == []


def rows_of(store: ListingStore) -> tuple[int, int]:
    """How many listings and pages there are in its file."""
    count = store._connection.execute  # there is no public way to count them
    (listings,), (pages,) = (count(f"SELECT count(*) FROM {table}").fetchone() for table in ("listing", "page"))
    return listings, pages
