"""What becomes of locked objects: who is asked about them, by which prefixes, and what is made of the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import Fetching
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Action,
    Candidate,
    ManifestEntry,
    Pin,
    RemoteStat,
    StoredStat,
    Verdict,
)
from crypto_archive.plan import locked as module
from crypto_archive.plan.decide import is_held, plan
from crypto_archive.plan.locked import Locked, as_locked, by_lock
from crypto_archive.s5cmd.output import Listed
from tests.objects import LISTED_AT, an_object, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_archive.model import ArchiveObject, PlannedObject

MD5, SHA256, IN_PARTS = "e" * 32, "a" * 64, "0" * 32 + "-3"
PIN = Pin(100, MD5, LISTED_AT, SHA256)
BY_ETAG = replace(PIN, sha256="")
LATER = LISTED_AT + timedelta(days=18)
ITEM = an_object()


def entry(item: ArchiveObject = ITEM, size: int = 100, sha256: str = SHA256, etag: str = MD5) -> ManifestEntry:
    return ManifestEntry(item.key, size, sha256, Verdict.OK, etag, LISTED_AT, LISTED_AT, "run")


class Bucket:
    """Lists what it was given, and remembers what it was asked for."""

    def __init__(self, *objects: Listed) -> None:
        self.objects = objects
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, prefixes: Iterable[str]) -> Iterator[Listed]:
        wanted = tuple(prefixes)
        self.asked.append(wanted)
        return (one for prefix in wanted for one in self.objects if one.key.startswith(prefix))


def in_bucket(item: ArchiveObject, remote: RemoteStat | None = None) -> list[Listed]:
    remote = remote or listed()
    zipped = Listed(item.key, remote.size, remote.etag, remote.last_modified)
    return [zipped, Listed(item.sidecar_key, 99, "f" * 32, LISTED_AT)] if remote.has_sidecar else [zipped]


def lock_of(items: Sequence[ArchiveObject], pin: Pin = PIN) -> list[Locked]:
    return [Locked(item, pin, has_sidecar=True) for item in sorted(items, key=lambda item: item.key)]


def nothing(_: str) -> None:
    return None


# Whether a file is the locked one


@pytest.mark.parametrize(
    ("stored", "pin", "held"),
    [
        (None, PIN, False),
        (StoredStat(100), PIN, False),
        (StoredStat(100, entry()), PIN, True),
        (StoredStat(100, entry(etag="f" * 32)), PIN, True),
        (StoredStat(100, entry(sha256="b" * 64)), PIN, False),
        (StoredStat(99, entry()), PIN, False),
        (StoredStat(101, entry(size=101)), PIN, False),
        (StoredStat(100, entry()), BY_ETAG, True),
        (StoredStat(100, entry(sha256="b" * 64)), BY_ETAG, True),
        (StoredStat(100, entry(etag="f" * 32)), BY_ETAG, False),
    ],
)
def test_a_file_is_known_by_its_digest_or_else_by_its_etag(stored: StoredStat | None, pin: Pin, held: bool) -> None:
    assert is_held(stored, pin) is held


# Who is asked


def test_of_what_is_there_nobody_is_asked() -> None:
    items, bucket = [an_object(number) for number in range(3)], Bucket()
    found = list(by_lock(lock_of(items), lambda _: StoredStat(100, entry()), bucket))
    assert bucket.asked == []
    assert [one.object for one in found] == items
    assert found[0] == Candidate(ITEM, listed(), pin=PIN)


def test_a_series_is_asked_for_by_what_its_missing_keys_share() -> None:
    items = [an_object(number) for number in (1, 8, 30)]  # 2025-07-02, 09 and 31
    other = an_object(3, symbol="ETHUSDT")
    bucket = Bucket()
    list(by_lock(lock_of([*items, other]), {items[2].key: StoredStat(100, entry())}.get, bucket))
    prefix = items[0].key.removesuffix("2.zip")
    assert bucket.asked == [(prefix, other.key)]
    assert prefix.endswith("BTCUSDT-1h-2025-07-0")


def test_all_are_asked_for_when_they_are_to_be_fetched_again() -> None:
    bucket = Bucket(*in_bucket(ITEM))
    [found] = by_lock(lock_of([ITEM]), lambda _: StoredStat(100, entry()), bucket, ask_all=True)
    assert bucket.asked == [(ITEM.key,)]
    assert found == Candidate(ITEM, listed(), pin=PIN)


@given(
    st.sets(st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT", "ADAUSDT"]), st.integers(0, 40)), max_size=30), st.data()
)
def test_whatever_is_there_and_in_whatever_chunks_every_object_comes_once_and_in_order(
    wanted: set[tuple[str, int]], data: st.DataObject
) -> None:
    items = [an_object(number, symbol=symbol) for symbol, number in wanted]
    here = {item.key for item in items if data.draw(st.booleans())}
    there = {item.key for item in items if data.draw(st.booleans())}
    bucket = Bucket(*(one for item in items if item.key in there for one in in_bucket(item)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PREFIXES_AT_ONCE", data.draw(st.integers(1, 3)))
        patch.setattr(module, "OBJECTS_AT_ONCE", data.draw(st.integers(1, 10)))
        stored = {key: StoredStat(100, entry()) for key in here}.get
        found = list(by_lock(lock_of(items), stored, bucket))
    assert [one.object.key for one in found] == sorted(item.key for item in items)
    refused = {one.object.key for one in found if one.action is Action.REFUSE}
    assert refused == {item.key for item in items} - here - there
    asked = [prefix for prefixes in bucket.asked for prefix in prefixes]
    for item in items:
        assert any(item.key.startswith(prefix) for prefix in asked) or item.key in here


# What the answer means

REFUSED = Action.REFUSE
WAS = "locked were 100 bytes of 2025-07-16"
ANSWERS = {
    "as it was": (PIN, listed(), ""),
    "as it was, without its sidecar": (PIN, listed(has_sidecar=False), ""),
    "written again, the same bytes": (PIN, listed(at=LATER), ""),
    "another size": (PIN, listed(size=12_345, at=LATER), f"12,345 bytes of 2025-08-03, {WAS}"),
    "another size on the same day": (PIN, listed(size=99), f"99 bytes of 2025-07-16, {WAS}"),
    "another ETag": (PIN, listed(etag="f" * 32), f"ETag {'f' * 32}, locked was {MD5}"),
    "another ETag, later": (PIN, listed(etag="f" * 32, at=LATER), f"100 bytes of 2025-08-03, {WAS}"),
    "now in parts, the digest will tell": (PIN, listed(etag=IN_PARTS, at=LATER), ""),
    "now in parts, nothing can tell": (BY_ETAG, listed(etag=IN_PARTS), f"ETag {IN_PARTS}, locked was {MD5}"),
    "in parts as before": (replace(BY_ETAG, etag=IN_PARTS), listed(etag=IN_PARTS), ""),
}  # fmt: skip


@pytest.mark.parametrize(("pin", "remote", "why"), ANSWERS.values(), ids=ANSWERS)
def test_what_the_archive_has_instead_is_said(pin: Pin, remote: RemoteStat, why: str) -> None:
    [found] = by_lock([Locked(ITEM, pin, has_sidecar=True)], nothing, Bucket(*in_bucket(ITEM, remote)))
    assert found.why == (f"replaced in the archive since it was locked: {why}" if why else "")
    assert found == Candidate(ITEM, remote, pin=pin, action=REFUSED if why else None, why=found.why)


def test_what_the_archive_does_not_list_is_gone() -> None:
    sidecar_only = Bucket(Listed(ITEM.key + SIDECAR_SUFFIX, 99, MD5, LISTED_AT))
    [found] = by_lock(lock_of([ITEM]), nothing, sidecar_only)
    assert found == Candidate(ITEM, pin=PIN, action=REFUSED, why="gone from the archive since it was locked")


def test_without_asking_all_are_as_they_were() -> None:
    assert list(as_locked([Locked(ITEM, PIN, has_sidecar=False)])) == [
        Candidate(ITEM, listed(has_sidecar=False), pin=PIN)
    ]


# What is then done

GONE = Candidate(ITEM, pin=PIN, action=REFUSED, why="gone")
THERE = Candidate(ITEM, listed(), pin=PIN)
OTHER = StoredStat(101, entry(size=101, sha256="b" * 64, etag="f" * 32))
SAME_SIZE = StoredStat(100, entry(sha256="b" * 64, etag="f" * 32))
KEEP = (Action.KEEP, "there, as locked")


def decided(candidate: Candidate, stored: StoredStat | None, fetching: Fetching | None = None) -> PlannedObject:
    [planned] = plan([candidate], lambda _: stored, fetching or Fetching())
    assert planned.pin == candidate.pin
    return planned


@pytest.mark.parametrize(
    ("candidate", "stored", "decision"),
    [
        (THERE, None, (Action.FETCH, "not there")),
        (THERE, StoredStat(100, entry()), KEEP),
        (THERE, OTHER, (Action.UPDATE, "not known to be the locked bytes")),
        (THERE, SAME_SIZE, (Action.UPDATE, "not known to be the locked bytes")),
        (THERE, StoredStat(100), KEEP),  # without an adopter the size is believed, as always
        (THERE, StoredStat(101), (Action.UPDATE, "not known to be the locked bytes")),
        (GONE, None, (REFUSED, "gone")),
        (GONE, OTHER, (REFUSED, "gone")),
        (GONE, StoredStat(100, entry()), KEEP),
    ],
)
def test_a_file_that_is_not_the_locked_one_gives_way_only_where_that_can_be_had(
    candidate: Candidate, stored: StoredStat | None, decision: tuple[Action, str]
) -> None:
    planned = decided(candidate, stored)
    assert (planned.action, planned.why) == decision


def test_force_fetches_what_can_be_had_again_and_keeps_what_cannot() -> None:
    there = StoredStat(100, entry())
    forced = decided(THERE, there, Fetching(force=True))
    assert (forced.action, forced.why) == (Action.FETCH, "forced")
    assert decided(GONE, there, Fetching(force=True)).action is Action.KEEP


@pytest.mark.parametrize("candidate", [THERE, GONE], ids=["listed", "gone"])
@pytest.mark.parametrize(
    ("pin", "proven", "adopted"),
    [
        (PIN, entry(), True),
        (PIN, entry(sha256="b" * 64), False),
        (BY_ETAG, entry(etag=MD5), True),
        (BY_ETAG, entry(etag="f" * 32), False),
        (replace(BY_ETAG, etag=IN_PARTS), entry(), False),
        (PIN, None, False),
    ],
    ids=["digest", "another digest", "MD5", "another MD5", "in parts", "its sidecar contradicts"],
)
def test_a_file_that_the_manifest_does_not_know_is_looked_into(
    candidate: Candidate, pin: Pin, proven: ManifestEntry | None, adopted: bool
) -> None:
    asked = []

    def adopt(key: str, remote: RemoteStat | None) -> ManifestEntry | None:
        asked.append((key, remote))  # the listing is no witness: it may speak of other bytes by now
        return replace(proven, last_modified=None) if proven else None

    [planned] = plan([candidate._replace(pin=pin)], lambda _: StoredStat(100), Fetching(), adopt)
    assert asked == [(ITEM.key, None)]
    if adopted:
        assert proven is not None
        assert (planned.action, planned.why) == KEEP
        assert planned.adopted == replace(proven, etag=pin.etag, last_modified=LISTED_AT)
    else:
        assert (planned.action, planned.adopted) == (candidate.action or Action.UPDATE, None)


# The digest that a lock takes over


@pytest.mark.parametrize(
    ("remote", "stored", "sha256"),
    [
        (listed(), StoredStat(100, entry()), SHA256),
        (listed(at=LATER), StoredStat(100, entry()), SHA256),
        (listed(etag="f" * 32), StoredStat(100, entry()), ""),
        (listed(size=101), StoredStat(100, entry()), ""),
        (listed(), StoredStat(99, entry()), ""),
        (listed(), StoredStat(100), ""),
        (listed(), None, ""),
        (None, StoredStat(100, entry()), ""),
    ],
)
def test_a_digest_is_told_where_the_stored_bytes_are_the_listed_ones(
    remote: RemoteStat | None, stored: StoredStat | None, sha256: str
) -> None:
    for fetching in (Fetching(), Fetching(force=True)):
        [planned] = plan([Candidate(ITEM, remote)], lambda _: stored, fetching)
        assert planned.sha256 == sha256
