"""The bucket's listing: listed once, cached, and never half of it taken for the whole."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive.config.run_config import Access
from crypto_archive.errors import EndpointUnreachable, EnvironmentFailure
from crypto_archive.model import Notice
from crypto_archive.root.listing import BucketListing
from crypto_archive.root.listing_cache import PAGE, ListingStore, Recording
from crypto_archive.s5cmd import listing
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.output import Listed

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

ACCESS = Access(endpoint_url="https://s3.example")
PLACE = "https://s3.example/data.binance.vision"
S5CMD = Binary(Path("/nonexistent/s5cmd"), "v2.3.0")
HOUR = 3600.0
AT = datetime(2025, 7, 16, tzinfo=UTC)
A, B = "data/a/", "data/b/"


def keys_below(*prefixes: str, count: int = 3) -> list[str]:
    return [f"{prefix}{number:05}" for prefix in prefixes for number in range(count)]


@dataclass
class Archive:
    """What s5cmd would list: it interleaves prefixes, and may fail, or be cancelled, after so many objects."""

    keys: list[str] = field(default_factory=lambda: keys_below(A, B))
    asked: list[str] = field(default_factory=list)
    fails_after: int | None = None
    after: Callable[[int], None] = lambda _: None

    def list_objects(
        self, binary: Binary, access: Access, prefixes: Iterable[str], *, cancelled: threading.Event
    ) -> Iterator[Listed]:
        assert (binary, access) == (S5CMD, ACCESS)
        streams = [iter([key for key in sorted(self.keys) if key.startswith(prefix)]) for prefix in self._ask(prefixes)]
        given = 0
        while streams and not cancelled.is_set():
            stream = streams.pop(0)
            if given == self.fails_after:
                raise EndpointUnreachable("The archive's server is down")
            if (key := next(stream, None)) is not None:
                streams.append(stream)
                given += 1
                yield Listed(key, len(key), "etag", AT)
                self.after(given)

    def list_folders(
        self, binary: Binary, access: Access, prefix: str, *, cancelled: threading.Event
    ) -> tuple[str, ...]:
        assert (binary, access) == (S5CMD, ACCESS)
        self._ask([f"{prefix}?"])
        if cancelled.is_set():
            return ("half",)
        return tuple(sorted({key[len(prefix) :].partition("/")[0] for key in self.keys if key.startswith(prefix)}))

    def _ask(self, prefixes: Iterable[str]) -> list[str]:
        new = list(prefixes)
        self.asked += new
        return new

    def asked_now(self) -> list[str]:
        now, self.asked = self.asked, []
        return now


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive()
    monkeypatch.setattr(listing, "list_objects", made.list_objects)
    monkeypatch.setattr(listing, "list_folders", made.list_folders)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".crypto-archive" / "listings.sqlite"


def at(path: Path | None, age: float = HOUR) -> BucketListing:
    return BucketListing(S5CMD, ACCESS, path, age)


def read(bucket: BucketListing, prefix: str) -> list[str]:
    return [entry.key for entry in bucket.objects(prefix)]


def make_older(path: Path, seconds: float) -> None:
    """Make everything in the cache so much older."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE listing SET asked_at = asked_at - ?", (seconds,))


# Once


def test_each_prefix_is_asked_once_and_side_by_side(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        bucket.prepare([B, A, B])
        assert archive.asked == [A, B]
        for _ in range(2):
            assert (read(bucket, A), read(bucket, B)) == (keys_below(A), keys_below(B))
        assert archive.asked == [A, B]
        assert (bucket.requests, bucket.reused, bucket.remark()) == (2, 0, None)


def test_the_first_key_of_each_s5cmd_tells_how_soon_the_server_answers(archive: Archive) -> None:
    answers: list[float] = []
    with at(None) as bucket:
        bucket.on_answer = answers.append
        bucket.prepare([A, B])
        assert len(answers) == 1
        bucket.prepare([A, B, "nothing/"])
    assert len(answers) == 1
    assert answers[0] >= 0


def test_what_was_not_prepared_is_passed_on_page_by_page(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        stream = bucket.objects(A)
        archive.keys = keys_below(A, count=2 * PAGE)
        archive.after = lambda given: pytest.fail("it reads ahead") if given > PAGE + 1 else None
        assert next(stream).key == archive.keys[0]
        archive.after = lambda _: None
        assert [entry.key for entry in stream] == archive.keys[1:]
        assert read(bucket, A) == archive.keys
    assert archive.asked == [A]


@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "streamed"])
def test_another_run_asks_nothing_within_the_hour(archive: Archive, path: Path, prepares: bool) -> None:
    for expected in ([A, B], []):
        with at(path) as bucket:
            if prepares:
                bucket.prepare([A, B])
            assert (read(bucket, A), read(bucket, B)) == (keys_below(A), keys_below(B))
        assert archive.asked_now() == expected
        assert (bucket.requests, bucket.reused) == (len(expected), 2 - len(expected))


def test_a_listing_that_is_too_old_does_not_count(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        read(bucket, A)
    make_older(path, HOUR - 60)
    with at(path) as bucket:
        read(bucket, A)
    assert archive.asked_now() == [A]
    make_older(path, 120)
    with at(path) as bucket:
        read(bucket, A)
    assert archive.asked_now() == [A]


def test_with_an_age_of_zero_it_lists_again_and_still_caches(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        bucket.prepare([A, B])
    archive.asked_now()
    archive.keys = keys_below(A, B, count=1)
    with at(path, 0.0) as bucket:
        bucket.prepare([A, B])
        assert (read(bucket, A), read(bucket, A), read(bucket, B)) == (keys_below(A, count=1),) * 2 + (
            keys_below(B, count=1),
        )
        assert bucket.folders("data/") == bucket.folders("data/") == ("a", "b")
    assert archive.asked_now() == [A, B, "data/?"]
    assert (bucket.requests, bucket.reused) == (3, 0)
    with at(path) as bucket:
        assert read(bucket, A) == keys_below(A, count=1)
    assert archive.asked == []


def test_what_a_clock_of_the_future_wrote_does_not_count(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        read(bucket, A)
    make_older(path, -2 * HOUR)
    with at(path, 0.0) as bucket:
        read(bucket, A)
    assert archive.asked == [A, A]


def test_prefixes_that_contain_one_another_are_asked_as_one(archive: Archive, path: Path) -> None:
    archive.keys = [A + "2025-07-01", A + "2025-07-02", A + "2025-08-01", B + "2025-07-01"]
    narrow, wide = A + "2025-07", A + "2025"
    with at(path) as bucket:
        bucket.prepare([narrow, wide, A, B])
        assert archive.asked == [A, B]
        assert read(bucket, narrow) == archive.keys[:2]
        assert read(bucket, wide) == read(bucket, A) == archive.keys[:3]
    with at(path) as bucket:
        bucket.prepare([narrow, B])
        assert read(bucket, narrow) == archive.keys[:2]
    assert archive.asked == [A, B]


def test_names_that_begin_alike_do_not_mix(archive: Archive, path: Path) -> None:
    archive.keys = ["BTC-1", "BTC/", "BTC/1", "BTC/\U0010ffff", "BTC0", "BTCUSDT/1"]
    prefixes = ["BTC/", "BTC0", "BTCUSDT/"]
    with at(path) as bucket:
        bucket.prepare(prefixes)
        assert [read(bucket, prefix) for prefix in prefixes] == [archive.keys[1:4], ["BTC0"], ["BTCUSDT/1"]]


def test_what_was_not_asked_for_is_left_out(archive: Archive, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = [Listed(key, 1, "", AT) for key in ("", "data/", A + "1", "data/aa", "z")]
    monkeypatch.setattr(listing, "list_objects", lambda *_, **__: iter(strange))
    with at(path) as bucket:
        bucket.prepare([A, B])
        assert (read(bucket, A), read(bucket, B)) == ([A + "1"], [])


@pytest.mark.parametrize(("keys", "requests"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)])
@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "streamed"])
def test_requests_are_reckoned_by_the_keys(archive: Archive, prepares: bool, keys: int, requests: int) -> None:
    archive.keys = keys_below(A, count=keys)
    with at(None) as bucket:
        if prepares:
            bucket.prepare([A])
        assert len(read(bucket, A)) == keys
        assert bucket.requests == requests


# Folders


def test_folders_are_asked_once_and_cached(archive: Archive, path: Path) -> None:
    for expected in (["data/?"], []):
        with at(path) as bucket:
            assert bucket.folders("data/") == bucket.folders("data/") == ("a", "b")
        assert archive.asked_now() == expected
        assert bucket.requests == len(expected)


def test_folders_are_not_read_out_of_a_listing_of_objects_nor_objects_out_of_folders(
    archive: Archive, path: Path
) -> None:
    archive.keys = [A + "x/1"]
    with at(path) as bucket:
        assert bucket.folders("data/") == ("a",)
        assert bucket.folders(A) == ("x",)
        assert read(bucket, "data/") == read(bucket, A) == [A + "x/1"]
    assert archive.asked == ["data/?", A + "?", "data/"]


def test_an_empty_list_of_folders_is_not_cached(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        assert bucket.folders("date/") == bucket.folders("date/") == ()
    assert archive.asked == ["date/?"] * 2


# What is not whole


def test_a_listing_that_fails_leaves_nothing_that_counts_as_whole(archive: Archive, path: Path) -> None:
    archive.keys = keys_below(A, B, count=2 * PAGE)
    archive.fails_after = 3 * PAGE
    with at(path) as bucket, pytest.raises(EndpointUnreachable):
        bucket.prepare([A, B])
    archive.fails_after = PAGE + 1
    with at(path) as bucket, pytest.raises(EndpointUnreachable):
        read(bucket, A)
    archive.fails_after = None
    archive.asked_now()
    with at(path) as bucket:
        bucket.prepare([A, B])
        assert read(bucket, A) + read(bucket, B) == archive.keys
    assert archive.asked == [A, B]


@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "streamed"])
def test_a_listing_that_is_cancelled_does_not_count_as_whole(archive: Archive, path: Path, prepares: bool) -> None:
    with at(path) as bucket:
        archive.after = lambda _: bucket.cancelled.set()
        if prepares:
            bucket.prepare([A, B])
        assert read(bucket, A) != keys_below(A)
        assert bucket.is_cut_short
        assert bucket.folders("data/") == ("half",)
    archive.after = lambda _: None
    with at(path) as bucket:
        bucket.prepare([A, B])
        assert read(bucket, A) + read(bucket, B) == archive.keys
        assert bucket.folders("data/") == ("a", "b")


def test_a_listing_that_is_not_read_to_its_end_is_not_complete(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        stream = bucket.objects(A)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert read(bucket, A) == keys_below(A)
    assert archive.asked == [A, A]


def test_answers_of_a_server_that_is_not_the_archive_are_evicted(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        read(bucket, A)
        bucket.invalidate()
        read(bucket, A)
    assert archive.asked == [A, A]


def test_nothing_but_silence_is_not_cached(archive: Archive, path: Path) -> None:
    """Or who gives up behind a login page, and logs in, would plan from that page for an hour."""
    everything, archive.keys = archive.keys, []
    with at(path) as bucket:
        bucket.prepare([A, B])
    archive.keys = everything
    with at(path) as bucket:
        assert read(bucket, A) == keys_below(A)


def test_while_there_is_nothing_but_silence_folders_that_are_cached_prove_nothing(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        bucket.folders("data/")
        read(bucket, A)
    archive.keys = []
    with at(path) as bucket:
        assert bucket.folders("data/") == ("a", "b")  # the server has not been asked yet
        assert read(bucket, B) == []
        assert bucket.folders("data/") == ()
        assert read(bucket, A) == keys_below(A)


def test_silence_next_to_an_answer_is_cached(archive: Archive, path: Path) -> None:
    for _ in range(2):
        with at(path) as bucket:
            bucket.prepare([A, "data/c/"])
            assert read(bucket, "data/c/") == []
    assert archive.asked == [A, "data/c/"]


# Two runs side by side


def test_a_listing_that_another_run_puts_in_the_place_of_ours_is_read_in_its_stead(
    archive: Archive, path: Path
) -> None:
    with at(path) as bucket:
        bucket.prepare([A, B])
    with at(path) as one:
        one.prepare([A, B])
        archive.keys += [A + "new"]
        with at(path, 0.0) as other:
            other.prepare([A])
        assert read(one, A) == [*keys_below(A), A + "new"]
        assert read(one, B) == keys_below(B)


def test_what_another_run_distrusts_is_asked_again(archive: Archive, path: Path) -> None:
    with at(path) as other, at(path) as one:
        one.prepare([A, B])
        other.invalidate()
        assert read(one, A) + read(one, B) == keys_below(A, B)
    assert archive.asked == [A, B, A, B]


def test_a_recording_that_another_run_drops_does_no_harm(archive: Archive, path: Path) -> None:
    archive.keys = keys_below(A, B, count=2 * PAGE)
    with at(path) as other, at(path) as one:
        archive.after = lambda given: other.invalidate() if given == PAGE else None
        assert read(one, A) == keys_below(A, count=2 * PAGE)
        archive.after = lambda _: None
        assert read(other, A) == keys_below(A, count=2 * PAGE)


# Where nothing can be cached


@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "streamed"])
def test_without_a_file_the_same_run_still_asks_nothing_twice(archive: Archive, prepares: bool) -> None:
    for _ in range(2):
        with at(None) as bucket:
            if prepares:
                bucket.prepare([A])
            assert read(bucket, A) == read(bucket, A) == keys_below(A)
            assert bucket.folders("data/") == bucket.folders("data/")
    assert archive.asked == [A, "data/?"] * 2


@pytest.mark.parametrize("what", ["a file in the way", "a folder in its place"])
def test_a_file_that_cannot_be_there_is_done_without(archive: Archive, path: Path, what: str) -> None:
    if what == "a folder in its place":
        path.mkdir(parents=True)
    else:
        path.parent.touch()
    with at(path) as bucket:
        bucket.prepare([A, B])
        assert read(bucket, A) == read(bucket, A) == keys_below(A)
        assert read(bucket, A + "0") == keys_below(A)
    assert archive.asked == [A, B]


@pytest.mark.parametrize("method", ["begin", "add_page", "finish", "find"])
@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "streamed"])
def test_a_file_that_cannot_be_written_is_done_without(
    archive: Archive, path: Path, monkeypatch: pytest.MonkeyPatch, method: str, prepares: bool
) -> None:
    archive.keys = keys_below(A, B, count=2 * PAGE)
    whole = getattr(ListingStore, method)

    def only_in_a_file_of_our_own(store: ListingStore, *arguments: object, **more: object) -> object:
        if store.path is not None:
            raise sqlite3.OperationalError("database or disk is full")
        return whole(store, *arguments, **more)

    monkeypatch.setattr(ListingStore, method, only_in_a_file_of_our_own)
    with at(path) as bucket:
        if prepares:
            bucket.prepare([A, B])
        assert read(bucket, A) + read(bucket, B) == archive.keys
        assert bucket.folders("data/") == ("a", "b")
    monkeypatch.undo()


def test_no_room_for_it_anywhere_is_reported(archive: Archive, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Recording, "add", full)
    with at(path) as bucket:
        with pytest.raises(EnvironmentFailure, match=r"Cannot store .*: database or disk is full"):
            bucket.prepare([A, B])
        assert read(bucket, A) == keys_below(A)  # a single one needs no room


@pytest.mark.parametrize("prefixes", [[A, B], [A]], ids=["several", "one"])
def test_damaged_pages_are_asked_for_again(archive: Archive, path: Path, prefixes: list[str]) -> None:
    archive.keys = keys_below(A, B, count=2 * PAGE)
    with at(path) as bucket:
        bucket.prepare([A, B])
        bucket.folders("data/")
    with closing(sqlite3.connect(path)) as connection, connection:
        half = "rowid IN (SELECT max(rowid) FROM page GROUP BY listing)"
        connection.execute(f"UPDATE page SET entries = x'00' WHERE {half}")
    archive.asked_now()
    with at(path) as bucket:
        bucket.prepare(prefixes)
        assert read(bucket, A) == keys_below(A, count=2 * PAGE)
        assert bucket.folders("data/") == ("a", "b")
    assert archive.asked_now() == [A, "data/?"]
    with at(path) as bucket:
        assert read(bucket, A) == keys_below(A, count=2 * PAGE)
        assert bucket.folders("data/") == ("a", "b")
    assert archive.asked == []


@pytest.mark.parametrize("seen", ["immediately", "later"])
def test_a_file_that_is_damaged_throughout_is_replaced(
    archive: Archive, path: Path, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    with at(path) as bucket:
        bucket.prepare([A, B])
    if seen == "immediately":
        content = bytearray(path.read_bytes())
        content[4096:] = b"\xaa" * (len(content) - 4096)  # the first page stays, by which SQLite knows its files
        path.write_bytes(content)
    else:
        make_older(path, 2 * HOUR)
        begin = ListingStore.begin

        def malformed(store: ListingStore, prefix: str, asked_at: float) -> Recording:
            if store.path is not None:
                raise sqlite3.DatabaseError("database disk image is malformed")
            return begin(store, prefix, asked_at)

        monkeypatch.setattr(ListingStore, "begin", malformed)
    archive.asked_now()
    with at(path) as bucket:
        bucket.prepare([A, B])
        assert read(bucket, A) + read(bucket, B) == keys_below(A, B)
    assert archive.asked_now() == [A, B]
    if seen == "later":
        assert not path.exists()  # so that the next run replaces it


# What is said of it


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "a listing is cached, from a moment ago; --refresh lists again"),
        (65, "a listing is cached, from 1 min ago; --refresh lists again"),
        (3599, "a listing is cached, from 60 min ago; --refresh lists again"),
        (8 * HOUR, "a listing is cached, from 8 h ago; --refresh lists again"),
    ],
)
def test_a_notice_reports_how_old_it_is(archive: Archive, path: Path, age: float, expected: str) -> None:
    with at(path) as bucket:
        read(bucket, A)
    make_older(path, age)
    with at(path, 10 * HOUR) as bucket:
        assert bucket.remark() is None
        read(bucket, A)
        assert bucket.remark() == Notice(expected)


def test_a_notice_reports_how_many_there_are_and_what_was_asked_next_to_them(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        read(bucket, A)
    make_older(path, 600)
    with at(path) as bucket:
        read(bucket, B)
    make_older(path, 60)
    archive.keys += keys_below("data/c/", "data/d/")
    with at(path) as bucket:
        bucket.prepare([A, B, "data/c/"])
        assert bucket.remark() == Notice(
            "2 listings are cached, the oldest from 11 min ago, 1 LIST request was made; --refresh lists again"
        )
        read(bucket, "data/d/")
        assert bucket.remark() == Notice(
            "2 listings are cached, the oldest from 11 min ago, 2 LIST requests were made; --refresh lists again"
        )


def test_what_is_cached_is_of_its_place(archive: Archive, path: Path) -> None:
    with at(path) as bucket:
        read(bucket, A)
    with closing(ListingStore(path, PLACE)) as store:
        assert store.find(A, time.time() - 60, time.time()) is not None
    with closing(ListingStore(path, "https://elsewhere.example/data.binance.vision")) as store:
        assert store.find(A, 0.0, time.time()) is None
