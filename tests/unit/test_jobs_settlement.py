"""How an arrival is settled: every kind of evidence, the second opinion, and what then stands in the archive root."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import RootUnusable
from crypto_archive.events import ObjectFinished
from crypto_archive.model import Action, Outcome, PlannedObject, RemoteStat, Verdict
from crypto_archive.root.store import Root, open_root
from crypto_archive.transfer.finish import Finisher
from crypto_archive.transfer.lane import Arrival, RetryDownload
from tests.objects import LISTED_AT, an_object, listed

if TYPE_CHECKING:
    from pathlib import Path

ITEM = an_object(14)
NAME = ITEM.key.rpartition("/")[2]
GOOD = b"the bytes of the zip"
OTHER = b"some other bytes 123"
SHA256 = hashlib.sha256(GOOD).hexdigest()
MD5 = hashlib.md5(GOOD, usedforsecurity=False).hexdigest()
RIGHT = f"{SHA256}  {NAME}"
WRONG = f"{'0123456789ab' + '0' * 52}  {NAME}"
MISMATCH = f"SHA-256 is {SHA256[:12]}…, the sidecar says 0123456789ab…"

AS_LISTED = listed(len(GOOD), MD5)
IN_PARTS = listed(len(GOOD), "0" * 32 + "-3")
OTHER_SIZE = listed(len(GOOD) + 1, MD5)
OTHER_ETAG = listed(len(GOOD), "f" * 32)
WITHOUT_SIDECAR = listed(len(GOOD), MD5, has_sidecar=False)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def nobody(key: str) -> RemoteStat | None:
    """A listing that must not be asked."""
    pytest.fail(f"the listing was asked for {key}")


@pytest.fixture
def settler(root: Root) -> Finisher:
    return Finisher(root, "run-1", wants_sidecars=True, look_up=nobody)


def arrive(
    root: Root,
    sidecar: str | None = RIGHT,
    remote: RemoteStat | None = AS_LISTED,
    content: bytes = GOOD,
    *,
    action: Action = Action.FETCH,
    doubts: frozenset[str] = frozenset(),
    last_chance: bool = False,
    pin: RemoteStat | None = None,
) -> Arrival:
    """Lay the files of an arrival into staging."""
    file = root.staging / "00001" / ITEM.key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    beside = file.with_name(file.name + ".CHECKSUM")
    if sidecar is not None:
        beside.write_text(sidecar, encoding="utf-8")
    planned = PlannedObject(ITEM, action, "", remote=remote, pin=pin)
    return Arrival(planned, file, beside if sidecar is not None else None, 1 + len(doubts), doubts, last_chance)


def finish(settler: Finisher, arrival: Arrival) -> ObjectFinished:
    settled = settler(arrival)
    assert isinstance(settled, ObjectFinished)
    assert settled.object == ITEM
    assert settled.attempts == arrival.attempts
    return settled


def is_published(root: Root, sidecar: str | None) -> None:
    """See that exactly this stands at the final path, and nothing in staging or quarantine."""
    file = root.file(ITEM.key)
    assert file.read_bytes() == GOOD
    beside = root.file(ITEM.sidecar_key)
    assert (beside.read_text(encoding="utf-8") if beside.exists() else None) == sidecar
    assert not (root.staging / "00001" / ITEM.key).exists()
    assert list(root.quarantine.rglob("*")) == []


# The first opinion

GOOD_ARRIVALS = {
    "sidecar and listing agree": (RIGHT, AS_LISTED, Verdict.OK, ""),
    "sidecar agrees, no listing": (RIGHT, None, Verdict.OK, ""),
    "sidecar agrees, uploaded in parts": (RIGHT, IN_PARTS, Verdict.OK, ""),
    "sidecar agrees, with a newline": (RIGHT + "\n", AS_LISTED, Verdict.OK, ""),
    "no sidecar, the ETag vouches": (
        None, WITHOUT_SIDECAR, Verdict.SIDECAR_MISSING, "no sidecar; size and MD5 as in the listing",
    ),
    "no sidecar though listed": (
        None, AS_LISTED, Verdict.SIDECAR_MISSING, "no sidecar; size and MD5 as in the listing",
    ),
    "no sidecar, uploaded in parts": (
        None, IN_PARTS, Verdict.SIDECAR_MISSING, "no sidecar; size as in the listing",
    ),
    "no sidecar, no listing": (None, None, Verdict.SIDECAR_MISSING, "no sidecar and no listing to verify it"),
}  # fmt: skip


@pytest.mark.parametrize(("sidecar", "remote", "verdict", "reason"), GOOD_ARRIVALS.values(), ids=GOOD_ARRIVALS)
@pytest.mark.parametrize("last_chance", [False, True], ids=["first", "last"])
def test_good_bytes_are_published(
    root: Root,
    settler: Finisher,
    sidecar: str | None,
    remote: RemoteStat | None,
    verdict: Verdict,
    reason: str,
    last_chance: bool,
) -> None:
    if sidecar is None and remote is None:
        settler = replace(settler, look_up=lambda _: None)
    settled = finish(settler, arrive(root, sidecar, remote, last_chance=last_chance))
    assert (settled.outcome, settled.verdict, settled.reason) == (Outcome.FETCHED, verdict, reason)
    assert (settled.size, settled.sha256, settled.remote) == (len(GOOD), SHA256, remote)
    assert settled.bytes_fetched == len(GOOD) + len(sidecar or "")
    is_published(root, sidecar)


@pytest.mark.parametrize(
    ("remote", "verdict"),
    [(None, Verdict.UNPROVEN), (AS_LISTED, Verdict.OK), (IN_PARTS, Verdict.UNPROVEN)],
    ids=["no listing", "listing", "in parts"],
)
def test_without_wanted_sidecars_the_listing_proves(root: Root, remote: RemoteStat | None, verdict: Verdict) -> None:
    settled = finish(Finisher(root, "run-1", wants_sidecars=False, look_up=nobody), arrive(root, None, remote))
    assert (settled.outcome, settled.verdict) == (Outcome.FETCHED, verdict)
    is_published(root, None)


def test_what_was_replaced_by_the_archive_is_updated(root: Root, settler: Finisher) -> None:
    root.file(ITEM.key).parent.mkdir(parents=True)
    root.file(ITEM.key).write_bytes(OTHER)
    settled = finish(settler, arrive(root, action=Action.UPDATE))
    assert settled.outcome is Outcome.UPDATED
    is_published(root, RIGHT)


MALFORMED = "malformed sidecar: expected 64 hexadecimal digits and a file name, found "
OF_ANOTHER = f"{SHA256}  ETHUSDT-1h-2025-07-15.zip"
TOO_SHORT = f"has {len(GOOD)} bytes, the listing says {len(GOOD) + 1}"
DOUBTFUL = {
    "the sidecar says otherwise": (WRONG, AS_LISTED, MISMATCH),
    "the sidecar says otherwise, no listing": (WRONG, None, MISMATCH),
    "the sidecar is an error page": ("<html>", AS_LISTED, MALFORMED + "'<html>'"),
    "the sidecar is empty": ("", AS_LISTED, MALFORMED + "''"),
    "the sidecar is of another file": (
        OF_ANOTHER, AS_LISTED, "the sidecar names another file: ETHUSDT-1h-2025-07-15.zip",
    ),
    "cut short": (RIGHT, OTHER_SIZE, TOO_SHORT),
    "no sidecar, another ETag": (None, OTHER_ETAG, f"MD5 is {MD5[:12]}…, the listing says ffffffffffff…"),
    "no sidecar, cut short": (None, OTHER_SIZE, TOO_SHORT),
}  # fmt: skip


@pytest.mark.parametrize(("sidecar", "remote", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubtful_bytes_ask_for_another_download(
    root: Root, settler: Finisher, sidecar: str | None, remote: RemoteStat | None, reason: str
) -> None:
    arrival = arrive(root, sidecar, remote)
    assert settler(arrival) == RetryDownload(SHA256, reason)
    assert not root.file(ITEM.key).exists()
    assert arrival.file.exists()


@pytest.mark.parametrize(("sidecar", "remote", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubtful_bytes_of_the_last_download_go_to_quarantine(
    root: Root, settler: Finisher, sidecar: str | None, remote: RemoteStat | None, reason: str
) -> None:
    """No two downloads agree here, so that there is no second opinion."""
    settled = finish(settler, arrive(root, sidecar, remote, doubts=frozenset({"another digest"}), last_chance=True))
    kept = f".crypto-archive/quarantine/{ITEM.key}.run-1"
    assert (settled.outcome, settled.verdict) == (Outcome.QUARANTINED, Verdict.CORRUPT)
    assert settled.reason == f"{reason}; kept as {kept}"
    assert (settled.size, settled.bytes_fetched) == (0, len(GOOD) + len(sidecar or ""))
    assert (root.path / kept).read_bytes() == GOOD
    assert json.loads((root.path / f"{kept}.reason.json").read_text())["reason"] == reason
    assert not root.file(ITEM.key).exists()


# The second opinion: two downloads that agree with each other

AGREED = frozenset({SHA256})


@pytest.mark.parametrize("last_chance", [False, True], ids=["second", "last"])
@pytest.mark.parametrize("remote", [AS_LISTED, IN_PARTS], ids=["listing", "in parts"])
@pytest.mark.parametrize("sidecar", [WRONG, "<html>", OF_ANOTHER], ids=["wrong", "malformed", "another"])
def test_a_stale_sidecar_is_the_fault_of_the_archive(
    root: Root, settler: Finisher, sidecar: str, remote: RemoteStat, last_chance: bool
) -> None:
    settled = finish(settler, arrive(root, sidecar, remote, doubts=AGREED, last_chance=last_chance))
    assert (settled.outcome, settled.verdict) == (Outcome.FETCHED, Verdict.SIDECAR_STALE)
    assert "sidecar" in settled.reason
    assert settled.remote == remote
    is_published(root, sidecar)


def test_where_a_plan_had_no_listing_the_witness_is_asked_for(root: Root) -> None:
    asked = []

    def look_up(key: str) -> RemoteStat:
        asked.append(key)
        return AS_LISTED

    settler = Finisher(root, "run-1", wants_sidecars=True, look_up=look_up)
    assert isinstance(settler(arrive(root, WRONG, None)), RetryDownload)
    assert asked == []  # the first download alone is no reason to ask
    settled = finish(settler, arrive(root, WRONG, None, doubts=AGREED))
    assert asked == [ITEM.key]
    assert (settled.outcome, settled.verdict, settled.remote) == (Outcome.FETCHED, Verdict.SIDECAR_STALE, AS_LISTED)
    is_published(root, WRONG)


def test_where_there_is_neither_sidecar_nor_listing_the_witness_is_asked_for(root: Root) -> None:
    """Else bytes that were spoilt on their way would be stored, since nothing speaks against them."""
    settler = Finisher(root, "run-1", wants_sidecars=True, look_up={ITEM.key: AS_LISTED}.get)
    doubt = settler(arrive(root, None, None, content=OTHER))
    assert isinstance(doubt, RetryDownload)
    assert "the listing says" in doubt.reason
    assert not root.file(ITEM.key).exists()
    settled = finish(settler, arrive(root, None, None))
    assert (settled.outcome, settled.verdict, settled.remote) == (Outcome.FETCHED, Verdict.SIDECAR_MISSING, AS_LISTED)
    assert settled.reason == "no sidecar; size and MD5 as in the listing"
    is_published(root, None)


@pytest.mark.parametrize("witness", [None, OTHER_SIZE, OTHER_ETAG], ids=["none", "another size", "another ETag"])
def test_without_a_witness_the_bytes_stay_corrupt(root: Root, witness: RemoteStat | None) -> None:
    """One who can change the zip on its way can do so twice."""
    settler = Finisher(root, "run-1", wants_sidecars=True, look_up=lambda _: witness)
    assert settler(arrive(root, WRONG, None, doubts=AGREED)) == RetryDownload(SHA256, MISMATCH)
    settled = finish(settler, arrive(root, WRONG, None, doubts=AGREED, last_chance=True))
    assert (settled.outcome, settled.verdict) == (Outcome.QUARANTINED, Verdict.CORRUPT)
    assert not root.file(ITEM.key).exists()


@pytest.mark.parametrize("remote", [OTHER_SIZE, listed(1, "f" * 32)], ids=["another size", "another size and ETag"])
def test_what_the_archive_replaced_after_it_was_listed_is_taken(
    root: Root, settler: Finisher, remote: RemoteStat
) -> None:
    """The sidecar vouches for the new bytes; what the old listing said is not remembered of them."""
    settled = finish(settler, arrive(root, RIGHT, remote, doubts=AGREED))
    assert (settled.outcome, settled.verdict, settled.remote) == (Outcome.FETCHED, Verdict.OK, None)
    assert settled.reason == "replaced by the archive after it was listed"
    is_published(root, RIGHT)


@pytest.mark.parametrize(
    ("sidecar", "remote"),
    [(WRONG, OTHER_SIZE), (WRONG, OTHER_ETAG), (None, OTHER_SIZE), (None, OTHER_ETAG), ("<html>", OTHER_SIZE)],
)
def test_bytes_that_nobody_vouches_for_are_not_taken_though_two_downloads_agree(
    root: Root, settler: Finisher, sidecar: str | None, remote: RemoteStat
) -> None:
    assert isinstance(settler(arrive(root, sidecar, remote, doubts=AGREED)), RetryDownload)
    settled = finish(settler, arrive(root, sidecar, remote, doubts=AGREED, last_chance=True))
    assert settled.outcome is Outcome.QUARANTINED


def test_downloads_that_differ_are_no_second_opinion(root: Root, settler: Finisher) -> None:
    other = frozenset({hashlib.sha256(OTHER).hexdigest()})
    assert isinstance(settler(arrive(root, WRONG, doubts=other)), RetryDownload)


def test_a_good_download_after_a_bad_one_needs_no_second_opinion(root: Root, settler: Finisher) -> None:
    doubts = frozenset({hashlib.sha256(OTHER).hexdigest()})
    settled = finish(settler, arrive(root, RIGHT, doubts=doubts))
    assert (settled.outcome, settled.verdict, settled.remote) == (Outcome.FETCHED, Verdict.OK, AS_LISTED)


# What stands in the way


def test_a_folder_at_the_final_path_fails_the_object_only(root: Root, settler: Finisher) -> None:
    root.file(ITEM.key).mkdir(parents=True)
    settled = finish(settler, arrive(root))
    assert settled.outcome is Outcome.FAILED
    assert settled.reason == (
        f"Refused to replace {root.file(ITEM.key)}: it is a folder, where a file of the archive belongs; "
        "Move it away, then run again."
    )
    assert (settled.size, settled.verdict, settled.bytes_fetched) == (0, None, len(GOOD) + len(RIGHT))
    assert not root.file(ITEM.sidecar_key).exists()


def test_a_root_that_cannot_be_written_to_ends_the_run(
    root: Root, settler: Finisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RootUnusable("The disk of the output directory is full")

    monkeypatch.setattr("crypto_archive.transfer.finish.publish", full)
    with pytest.raises(RootUnusable, match="full"):
        settler(arrive(root))


def test_a_former_quarantine_is_not_overwritten(root: Root, settler: Finisher) -> None:
    for content in (GOOD, OTHER):
        settled = finish(settler, arrive(root, WRONG, None, content, last_chance=True))
        assert settled.outcome is Outcome.QUARANTINED
    kept = [path.read_bytes() for path in root.quarantine.rglob("*.run-1*") if path.suffix != ".json"]
    assert sorted(kept) == sorted([GOOD, OTHER])


# Bytes that a lock file wants, and no others

LOCKED = RemoteStat(len(GOOD), MD5, LISTED_AT, sha256=SHA256)
BY_MD5 = RemoteStat(len(GOOD), MD5.upper(), LISTED_AT)
BY_PARTS = RemoteStat(len(GOOD), IN_PARTS.etag, LISTED_AT)


@pytest.mark.parametrize("pin", [LOCKED, BY_MD5], ids=["digest", "MD5"])
@pytest.mark.parametrize(
    ("sidecar", "remote"), [(RIGHT, AS_LISTED), (None, WITHOUT_SIDECAR)], ids=["sidecar", "no sidecar"]
)
def test_locked_bytes_are_published(
    root: Root, settler: Finisher, pin: RemoteStat, sidecar: str | None, remote: RemoteStat
) -> None:
    settled = finish(settler, arrive(root, sidecar, remote, pin=pin))
    assert (settled.outcome, settled.refused) == (Outcome.FETCHED, False)
    is_published(root, sidecar)


REPLACED = "replaced in the archive since it was locked: "
NOT_LOCKED = {
    "another digest": (replace(LOCKED, sha256="b" * 64), f"SHA-256 {SHA256}, locked was {'b' * 64}"),
    "another MD5": (RemoteStat(len(GOOD), "f" * 32, LISTED_AT), f"MD5 {MD5}, locked was {'f' * 32}"),
    "another size": (replace(LOCKED, size=12_345), f"{len(GOOD)} bytes, locked were 12,345"),
}


@pytest.mark.parametrize(("pin", "reason"), NOT_LOCKED.values(), ids=NOT_LOCKED)
def test_proven_bytes_that_are_not_the_locked_ones_are_not_published(
    root: Root, settler: Finisher, pin: RemoteStat, reason: str
) -> None:
    settled = finish(settler, arrive(root, pin=pin))
    assert (settled.outcome, settled.reason, settled.refused) == (Outcome.FAILED, REPLACED + reason, True)
    assert (settled.size, settled.sha256, settled.verdict) == (0, "", None)
    assert settled.bytes_fetched == len(GOOD) + len(RIGHT)
    assert not root.file(ITEM.key).exists()


def test_a_replacement_that_its_new_sidecar_vouches_for_is_not_taken_either(root: Root, settler: Finisher) -> None:
    pin = RemoteStat(len(GOOD) + 1, "f" * 32, LISTED_AT)
    settled = finish(settler, arrive(root, RIGHT, OTHER_SIZE, doubts=AGREED, pin=pin))
    assert (settled.outcome, settled.refused) == (Outcome.FAILED, True)
    assert not root.file(ITEM.key).exists()


@pytest.mark.parametrize("remote", [OTHER_SIZE, OTHER_ETAG], ids=["another size", "another ETag"])
def test_bytes_that_two_downloads_agree_on_are_no_damage_but_a_replacement(
    root: Root, settler: Finisher, remote: RemoteStat
) -> None:
    """The lock stands in for the listing here, and no sidecar is there to vouch for them."""
    pin = RemoteStat(remote.size, remote.etag, LISTED_AT)
    assert isinstance(settler(arrive(root, None, remote, pin=pin)), RetryDownload)
    settled = finish(settler, arrive(root, None, remote, doubts=AGREED, pin=pin))
    assert (settled.outcome, settled.refused) == (Outcome.FAILED, True)
    assert list(root.quarantine.iterdir()) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (IN_PARTS, ""),
        (AS_LISTED, f"{REPLACED}ETag {MD5}, locked was {IN_PARTS.etag}"),
        (None, "not known to be the locked bytes: the listing, asked once more, did not say"),
    ],
    ids=["as before", "replaced", "silent"],
)
def test_where_only_an_etag_of_parts_is_known_the_listing_is_asked_once_more(
    root: Root, now: RemoteStat | None, reason: str
) -> None:
    settler = Finisher(root, "run-1", wants_sidecars=True, look_up=lambda _: now)
    settled = finish(settler, arrive(root, RIGHT, IN_PARTS, pin=BY_PARTS))
    assert (settled.outcome, settled.reason) == (Outcome.FAILED if reason else Outcome.FETCHED, reason)
    assert root.file(ITEM.key).exists() is not bool(reason)
