"""Locked objects: whether the archive is asked about them, with which prefixes, and what its answer means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import Discovery, Fetching
from crypto_archive.model import (
    SIDECAR_SUFFIX,
    Action,
    Candidate,
    ManifestEntry,
    RemoteStat,
    StoredStat,
    Verdict,
)
from crypto_archive.plan import decide as deciding, locked as module
from crypto_archive.plan.decide import decide, has_pinned_bytes
from crypto_archive.plan.locked import locked_objects
from crypto_archive.plan.lockfile import LockedObject
from crypto_archive.root.proof import Digest, Proof
from crypto_archive.s5cmd import binary, listing
from crypto_archive.s5cmd.output import Listed
from tests.objects import LISTED_AT, Files, a_context, an_object, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from crypto_archive.model import ArchiveObject, PlannedObject

MD5, SHA256, IN_PARTS = "e" * 32, "a" * 64, "0" * 32 + "-3"
PIN = RemoteStat(100, MD5, LISTED_AT, sha256=SHA256)
BY_ETAG = PIN._replace(sha256=None)
LATER = LISTED_AT + timedelta(days=18)
ITEM = an_object()
SIDECAR = (99, "f" * 32, LISTED_AT)


def entry(item: ArchiveObject = ITEM, size: int = 100, sha256: str = SHA256, etag: str = MD5) -> ManifestEntry:
    return ManifestEntry(item.key, size, sha256, Verdict.OK, etag, LISTED_AT, LISTED_AT, "run")


class Bucket:
    """Lists what it was given, in place of s5cmd, and remembers the prefixes that were asked for."""

    def __init__(self, *objects: Listed) -> None:
        self.objects = objects
        self.asked: list[tuple[str, ...]] = []

    def list_objects(self, _binary: object, _access: object, prefixes: Iterable[str], **_: object) -> Iterator[Listed]:
        wanted = tuple(prefixes)
        self.asked.append(wanted)
        return (one for prefix in wanted for one in self.objects if one.key.startswith(prefix))

    def candidates(
        self,
        items: Sequence[ArchiveObject],
        stored: Callable[[str], StoredStat | None] = lambda _: None,
        pin: RemoteStat = PIN,
        **request: object,
    ) -> list[Candidate]:
        """The objects of a lock file of ``items``, compared with this bucket."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(binary, "find_binary", lambda _: None)
            patch.setattr(listing, "list_objects", self.list_objects)
            return list(locked_objects(a_context(**request), Lock(items, pin), Files(stored)))


class Lock:
    """A lock file of some objects, all pinned to the same bytes."""

    path, bucket = "some.lock", "bucket"

    def __init__(self, items: Sequence[ArchiveObject], pin: RemoteStat) -> None:
        self._items = sorted(items, key=lambda item: item.key)
        self._pin = pin

    def numbered(self) -> Iterator[tuple[int, LockedObject]]:
        return enumerate(LockedObject(item.key, self._pin) for item in self._items)


def in_bucket(item: ArchiveObject, remote: RemoteStat | None = None) -> list[Listed]:
    """The object and its sidecar as they are listed; of the latter, ``seen`` has the ETag."""
    remote = remote or listed()
    zipped = Listed(item.key, remote.size, remote.etag, remote.last_modified)
    return [zipped, Listed(item.sidecar_key, *SIDECAR)] if remote.has_sidecar else [zipped]


def seen(remote: RemoteStat) -> RemoteStat:
    return remote._replace(sidecar_etag=SIDECAR[1] if remote.has_sidecar else None)


# Whether a file is the locked one


@pytest.mark.parametrize(
    ("stored", "pin", "known"),
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
def test_a_file_is_known_by_its_digest_or_else_by_its_etag(
    stored: StoredStat | None, pin: RemoteStat, known: bool
) -> None:
    assert has_pinned_bytes(stored, pin) is known


# What the archive is asked


def test_the_archive_is_not_asked_about_what_is_on_disk() -> None:
    items, bucket = [an_object(number) for number in range(3)], Bucket()
    found = bucket.candidates(items, lambda _: StoredStat(100, entry()))
    assert bucket.asked == []
    assert [one.object for one in found] == items
    assert found[0] == Candidate(ITEM, PIN, pin=PIN)


def test_a_series_is_asked_for_by_what_its_missing_keys_share() -> None:
    items = [an_object(number) for number in (1, 8, 30)]  # 2025-07-02, 09 and 31
    other = an_object(3, symbol="ETHUSDT")
    bucket = Bucket()
    bucket.candidates([*items, other], {items[2].key: StoredStat(100, entry())}.get)
    prefix = items[0].key.removesuffix("2.zip")
    assert bucket.asked == [(prefix, other.key)]
    assert prefix.endswith("BTCUSDT-1h-2025-07-0")


def test_all_are_asked_for_when_they_are_to_be_fetched_again() -> None:
    bucket = Bucket(*in_bucket(ITEM))
    [found] = bucket.candidates([ITEM], lambda _: StoredStat(100, entry()), fetching=Fetching(force=True))
    assert bucket.asked == [(ITEM.key,)]
    assert found == Candidate(ITEM, seen(listed()), pin=PIN)


@given(
    st.sets(st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT", "ADAUSDT"]), st.integers(0, 40)), max_size=30), st.data()
)
def test_every_object_comes_once_and_in_order_whatever_is_on_disk_and_in_whatever_chunks(
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
        found = bucket.candidates(items, stored)
    assert [one.object.key for one in found] == sorted(item.key for item in items)
    refused = {one.object.key for one in found if one.action is Action.REFUSE}
    assert refused == {item.key for item in items} - here - there
    asked = [prefix for prefixes in bucket.asked for prefix in prefixes]
    for item in items:
        assert any(item.key.startswith(prefix) for prefix in asked) or item.key in here


# What the answer means

REFUSED = Action.REFUSE
WAS = "was 100 bytes of 2025-07-16"
ANSWERS = {
    "as it was": (PIN, listed(), ""),
    "as it was, without its sidecar": (PIN, listed(has_sidecar=False), ""),
    "written again, the same bytes": (PIN, listed(at=LATER), ""),
    "another size": (PIN, listed(size=12_345, at=LATER), f"12,345 bytes of 2025-08-03, {WAS}"),
    "another size on the same day": (PIN, listed(size=99), f"99 bytes of 2025-07-16, {WAS}"),
    "another ETag": (PIN, listed(etag="f" * 32), f"ETag {'f' * 32}, was {MD5}"),
    "another ETag, later": (PIN, listed(etag="f" * 32, at=LATER), f"100 bytes of 2025-08-03, {WAS}"),
    "now in parts, the digest will tell": (PIN, listed(etag=IN_PARTS, at=LATER), ""),
    "now in parts, nothing can tell": (BY_ETAG, listed(etag=IN_PARTS), f"ETag {IN_PARTS}, was {MD5}"),
    "in parts as before": (BY_ETAG._replace(etag=IN_PARTS), listed(etag=IN_PARTS), ""),
}  # fmt: skip


@pytest.mark.parametrize(("pin", "remote", "why"), ANSWERS.values(), ids=ANSWERS)
def test_what_the_archive_has_instead_is_said(pin: RemoteStat, remote: RemoteStat, why: str) -> None:
    [found] = Bucket(*in_bucket(ITEM, remote)).candidates([ITEM], pin=pin)
    assert found.why == (f"replaced in the archive since it was locked: {why}" if why else "")
    assert found == Candidate(ITEM, seen(remote), pin=pin, action=REFUSED if why else None, why=found.why)


def test_what_the_archive_does_not_list_is_gone() -> None:
    [found] = Bucket(Listed(ITEM.key + SIDECAR_SUFFIX, *SIDECAR)).candidates([ITEM])
    assert found == Candidate(ITEM, pin=PIN, action=REFUSED, why="gone from the archive since it was locked")


def test_without_asking_all_are_as_they_were() -> None:
    bucket, pin = Bucket(), PIN._replace(has_sidecar=False)
    assert bucket.candidates([ITEM], pin=pin, discovery=Discovery.CALENDAR) == [Candidate(ITEM, pin, pin=pin)]
    assert bucket.asked == []


# What is then done

GONE = Candidate(ITEM, pin=PIN, action=REFUSED, why="gone")
THERE = Candidate(ITEM, listed(), pin=PIN)
OTHER = StoredStat(101, entry(size=101, sha256="b" * 64, etag="f" * 32))
SAME_SIZE = StoredStat(100, entry(sha256="b" * 64, etag="f" * 32))
KEEP = (Action.KEEP, "there, as locked")


def decided(candidate: Candidate, stored: StoredStat | None, fetching: Fetching | None = None) -> PlannedObject:
    [planned] = decide(a_context(fetching=fetching or Fetching()), [candidate], Files(lambda _: stored))
    assert planned.pin == candidate.pin
    return planned


@pytest.mark.parametrize(
    ("candidate", "stored", "decision"),
    [
        (THERE, None, (Action.FETCH, "not there")),
        (THERE, StoredStat(100, entry()), KEEP),
        (THERE, OTHER, (Action.UPDATE, "not known to be the locked bytes")),
        (THERE, SAME_SIZE, (Action.UPDATE, "not known to be the locked bytes")),
        (THERE, StoredStat(100), KEEP),  # without a run that adopts it, the size is believed
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
        (BY_ETAG._replace(etag=IN_PARTS), entry(), False),
        (PIN, None, False),
    ],
    ids=["digest", "another digest", "MD5", "another MD5", "in parts", "its sidecar contradicts"],
)
def test_a_file_that_the_manifest_does_not_know_is_proven(
    monkeypatch: pytest.MonkeyPatch, candidate: Candidate, pin: RemoteStat, proven: ManifestEntry | None, adopted: bool
) -> None:
    asked = []

    def prove(path: Path, sidecar: Path | None, name: str, remote: RemoteStat | None) -> Proof:
        asked.append((name, sidecar, remote))  # without the listing, which may know other bytes by now
        if proven is None:
            return Proof(Verdict.CORRUPT, Digest("0" * 64, "0" * 32, 100), "")
        return Proof(Verdict.OK, Digest(proven.sha256, proven.etag, 100), "")

    monkeypatch.setattr(deciding, "prove", prove)
    files = Files(lambda _: StoredStat(100))
    [planned] = decide(a_context(), [candidate._replace(pin=pin)], files, run_id="run")
    assert asked == [(ITEM.key.rpartition("/")[2], None, None)]
    if adopted:
        assert proven is not None
        assert (planned.action, planned.why) == KEEP
        assert planned.adopted is not None
        assert planned.adopted.sha256 == proven.sha256
        assert (planned.adopted.etag, planned.adopted.last_modified) == (pin.etag, LISTED_AT)
    else:
        assert (planned.action, planned.adopted) == (candidate.action or Action.UPDATE, None)


# The digest that a lock takes over


@pytest.mark.parametrize(
    ("remote", "stored", "sha256"),
    [
        (listed(), StoredStat(100, entry()), SHA256),
        (listed(at=LATER), StoredStat(100, entry()), SHA256),
        (listed(etag="f" * 32), StoredStat(100, entry()), None),
        (listed(size=101), StoredStat(100, entry()), None),
        (listed(), StoredStat(99, entry()), None),
        (listed(), StoredStat(100), None),
        (listed(), None, None),
        (None, StoredStat(100, entry()), None),
    ],
)
def test_a_digest_is_known_where_the_stored_bytes_are_the_listed_ones(
    remote: RemoteStat | None, stored: StoredStat | None, sha256: str | None
) -> None:
    for fetching in (Fetching(), Fetching(force=True)):
        [planned] = decide(a_context(fetching=fetching), [Candidate(ITEM, remote)], Files(lambda _: stored))
        assert (planned.remote.sha256 if planned.remote else None) == sha256
