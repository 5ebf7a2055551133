"""How an object is finished: every kind of evidence, the second opinion, and what is in the archive root afterwards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive.config.run_config import Access, Fetching, Via
from crypto_archive.errors import RootUnusable
from crypto_archive.events import ObjectFinished
from crypto_archive.model import Action, Outcome, PlannedObject, RemoteStat, Verdict
from crypto_archive.root.store import Root, open_root
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.transfer import finish as finish_module
from crypto_archive.transfer.batch import ObjectState
from crypto_archive.transfer.door import Door
from crypto_archive.transfer.finish import RetryDownload, finish_object
from tests.objects import LISTED_AT, an_object, context_of, listed
from tests.zips import spoilt, zip_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ATTEMPTS = 4
BINARY = Binary(Path("/s5cmd"), "2.3.0")

ITEM = an_object(14)
NAME = ITEM.key.rpartition("/")[2]
GOOD = zip_of(NAME)
OTHER = zip_of(NAME, "3,4\n")


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


SHA256 = hashlib.sha256(GOOD).hexdigest()
MD5 = md5_of(GOOD)
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


def not_asked(key: str) -> RemoteStat | None:
    """A listing that must not be asked."""
    pytest.fail(f"the listing was asked for {key}")


@dataclass(frozen=True)
class Finishing:
    """Finishes objects of one root, with a listing that answers as the test wants."""

    root: Root
    listing: Callable[[str], RemoteStat | None] = not_asked
    wants_sidecars: bool = True

    def __call__(self, item: ObjectState) -> ObjectFinished | RetryDownload:
        fetching = Fetching(download_checksum=self.wants_sidecars, attempts=ATTEMPTS)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(finish_module, "listed_now", lambda _context, _binary, key: self.listing(key))
            return finish_object(context_of(self.root, fetching), BINARY, "run-1", item)


@pytest.fixture
def finishing(root: Root) -> Finishing:
    return Finishing(root)


def arrive(
    root: Root,
    sidecar: str | None = RIGHT,
    remote: RemoteStat | None = AS_LISTED,
    content: bytes = GOOD,
    *,
    action: Action = Action.FETCH,
    rejected: Iterable[str] = (),
    last_attempt: bool = False,
    pin: RemoteStat | None = None,
) -> ObjectState:
    """Put the files of an object into staging."""
    file = root.staging / "00001" / ITEM.key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    beside = file.with_name(file.name + ".CHECKSUM")
    if sidecar is not None:
        beside.write_text(sidecar, encoding="utf-8")
    planned = PlannedObject(ITEM, action, "", remote=remote, pin=pin)
    attempts = ATTEMPTS if last_attempt else 2
    return ObjectState(
        planned, 0, str(file), has_file=True, has_sidecar=sidecar is not None, attempts=attempts, rejected={*rejected}
    )


def finish(finishing: Finishing, item: ObjectState) -> ObjectFinished:
    event = finishing(item)
    assert isinstance(event, ObjectFinished)
    assert event.object == ITEM
    assert event.attempts == item.attempts
    return event


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
        None, IN_PARTS, Verdict.UNPROVEN, "no sidecar; size as in the listing",
    ),
    "no sidecar, no listing": (None, None, Verdict.UNPROVEN, "no sidecar and no listing to verify it"),
}  # fmt: skip


@pytest.mark.parametrize(("sidecar", "remote", "verdict", "reason"), GOOD_ARRIVALS.values(), ids=GOOD_ARRIVALS)
@pytest.mark.parametrize("last_attempt", [False, True], ids=["first", "last"])
def test_good_bytes_are_published(
    root: Root,
    finishing: Finishing,
    sidecar: str | None,
    remote: RemoteStat | None,
    verdict: Verdict,
    reason: str,
    last_attempt: bool,
) -> None:
    if sidecar is None and remote is None:
        finishing = replace(finishing, listing=lambda _: None)
    event = finish(finishing, arrive(root, sidecar, remote, last_attempt=last_attempt))
    assert (event.outcome, event.verdict, event.reason) == (Outcome.FETCHED, verdict, reason)
    assert (event.size, event.sha256, event.remote) == (len(GOOD), SHA256, remote)
    assert event.bytes_fetched == len(GOOD) + len(sidecar or "")
    is_published(root, sidecar)


@pytest.mark.parametrize(
    ("remote", "verdict"),
    [(None, Verdict.UNPROVEN), (AS_LISTED, Verdict.SIDECAR_MISSING), (IN_PARTS, Verdict.UNPROVEN)],
    ids=["no listing", "listing", "in parts"],
)
def test_without_wanted_sidecars_the_listing_proves(root: Root, remote: RemoteStat | None, verdict: Verdict) -> None:
    event = finish(Finishing(root, wants_sidecars=False), arrive(root, None, remote))
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, verdict)
    is_published(root, None)


def test_what_was_replaced_by_the_archive_is_updated(root: Root, finishing: Finishing) -> None:
    root.file(ITEM.key).parent.mkdir(parents=True)
    root.file(ITEM.key).write_bytes(OTHER)
    event = finish(finishing, arrive(root, action=Action.UPDATE))
    assert event.outcome is Outcome.UPDATED
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
    root: Root, finishing: Finishing, sidecar: str | None, remote: RemoteStat | None, reason: str
) -> None:
    item = arrive(root, sidecar, remote)
    assert finishing(item) == RetryDownload(SHA256, reason)
    assert not root.file(ITEM.key).exists()
    assert Path(item.file).exists()


@pytest.mark.parametrize(("sidecar", "remote", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubtful_bytes_of_the_last_download_go_to_quarantine(
    root: Root, finishing: Finishing, sidecar: str | None, remote: RemoteStat | None, reason: str
) -> None:
    """No two downloads agree here, so that there is no second opinion."""
    event = finish(finishing, arrive(root, sidecar, remote, rejected=frozenset({"another digest"}), last_attempt=True))
    kept = f".crypto-archive/quarantine/{ITEM.key}.run-1"
    assert (event.outcome, event.verdict) == (Outcome.QUARANTINED, Verdict.CORRUPT)
    assert event.reason == f"{reason}; kept as {kept}"
    assert (event.size, event.bytes_fetched) == (0, len(GOOD) + len(sidecar or ""))
    assert (root.path / kept).read_bytes() == GOOD
    assert json.loads((root.path / f"{kept}.reason.json").read_text())["reason"] == reason
    assert not root.file(ITEM.key).exists()


# The second opinion: two downloads that agree with each other

AGREED = frozenset({SHA256})


@pytest.mark.parametrize("last_attempt", [False, True], ids=["second", "last"])
@pytest.mark.parametrize("remote", [AS_LISTED, IN_PARTS], ids=["listing", "in parts"])
@pytest.mark.parametrize(
    ("sidecar", "verdict"),
    [
        (WRONG, Verdict.SIDECAR_STALE),
        ("<html>", Verdict.SIDECAR_MALFORMED),
        ("", Verdict.SIDECAR_MALFORMED),
        (OF_ANOTHER, Verdict.SIDECAR_MALFORMED),
    ],
    ids=["wrong", "malformed", "empty", "another"],
)
def test_a_wrong_sidecar_is_the_fault_of_the_archive(
    root: Root, finishing: Finishing, sidecar: str, verdict: Verdict, remote: RemoteStat, last_attempt: bool
) -> None:
    event = finish(finishing, arrive(root, sidecar, remote, rejected=AGREED, last_attempt=last_attempt))
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, verdict)
    assert "sidecar" in event.reason
    assert event.sidecar_etag == md5_of(sidecar.encode())
    assert event.remote == remote
    is_published(root, sidecar)


def test_where_a_plan_had_no_listing_the_witness_is_asked_for(root: Root) -> None:
    asked = []

    def look_up(key: str) -> RemoteStat:
        asked.append(key)
        return AS_LISTED

    finishing = Finishing(root, look_up)
    assert isinstance(finishing(arrive(root, WRONG, None)), RetryDownload)
    assert asked == []  # the first download alone is no reason to ask
    event = finish(finishing, arrive(root, WRONG, None, rejected=AGREED))
    assert asked == [ITEM.key]
    assert (event.outcome, event.verdict, event.remote) == (Outcome.FETCHED, Verdict.SIDECAR_STALE, AS_LISTED)
    is_published(root, WRONG)


def test_where_there_is_neither_sidecar_nor_listing_the_witness_is_asked_for(root: Root) -> None:
    """Else bytes that were spoilt on their way would be stored, since nothing speaks against them."""
    finishing = Finishing(root, {ITEM.key: AS_LISTED}.get)
    doubt = finishing(arrive(root, None, None, content=OTHER))
    assert isinstance(doubt, RetryDownload)
    assert "the listing says" in doubt.reason
    assert not root.file(ITEM.key).exists()
    event = finish(finishing, arrive(root, None, None))
    assert (event.outcome, event.verdict, event.remote) == (Outcome.FETCHED, Verdict.SIDECAR_MISSING, AS_LISTED)
    assert event.reason == "no sidecar; size and MD5 as in the listing"
    is_published(root, None)


@pytest.mark.parametrize("etag", [MD5, "f" * 32])
def test_a_witness_in_one_piece_after_one_in_parts_is_compared(root: Root, etag: str) -> None:
    """No MD5 was taken before there was one to compare it with."""
    broken = spoilt(GOOD)
    answers = iter([listed(len(GOOD), IN_PARTS.etag), listed(len(GOOD), md5_of(broken) if etag == MD5 else etag)])
    item = arrive(root, None, None, broken, rejected=[hashlib.sha256(broken).hexdigest()], last_attempt=True)
    event = finish(Finishing(root, lambda _: next(answers)), item)
    expected = (Outcome.FETCHED, Verdict.BAD_ZIP) if etag == MD5 else (Outcome.QUARANTINED, Verdict.CORRUPT)
    assert (event.outcome, event.verdict) == expected


@pytest.mark.parametrize("witness", [None, OTHER_SIZE, OTHER_ETAG], ids=["none", "another size", "another ETag"])
def test_without_a_witness_the_bytes_stay_corrupt(root: Root, witness: RemoteStat | None) -> None:
    """One who can change the zip on its way can do so twice."""
    finishing = Finishing(root, lambda _: witness)
    assert finishing(arrive(root, WRONG, None, rejected=AGREED)) == RetryDownload(SHA256, MISMATCH)
    event = finish(finishing, arrive(root, WRONG, None, rejected=AGREED, last_attempt=True))
    assert (event.outcome, event.verdict) == (Outcome.QUARANTINED, Verdict.CORRUPT)
    assert not root.file(ITEM.key).exists()


@pytest.mark.parametrize("remote", [OTHER_SIZE, listed(1, "f" * 32)], ids=["another size", "another size and ETag"])
def test_what_the_archive_replaced_after_it_was_listed_is_taken(
    root: Root, finishing: Finishing, remote: RemoteStat
) -> None:
    """The sidecar vouches for the new bytes; what the old listing said is not remembered of them."""
    event = finish(finishing, arrive(root, RIGHT, remote, rejected=AGREED))
    assert (event.outcome, event.verdict, event.remote) == (Outcome.FETCHED, Verdict.OK, None)
    assert event.reason == "replaced by the archive after it was listed"
    is_published(root, RIGHT)


@pytest.mark.parametrize(
    ("sidecar", "remote"),
    [(WRONG, OTHER_SIZE), (WRONG, OTHER_ETAG), (None, OTHER_SIZE), (None, OTHER_ETAG), ("<html>", OTHER_SIZE)],
)
def test_unconfirmed_bytes_are_not_taken_though_two_downloads_agree(
    root: Root, finishing: Finishing, sidecar: str | None, remote: RemoteStat
) -> None:
    assert isinstance(finishing(arrive(root, sidecar, remote, rejected=AGREED)), RetryDownload)
    event = finish(finishing, arrive(root, sidecar, remote, rejected=AGREED, last_attempt=True))
    assert event.outcome is Outcome.QUARANTINED


def test_downloads_that_differ_are_no_second_opinion(root: Root, finishing: Finishing) -> None:
    other = frozenset({hashlib.sha256(OTHER).hexdigest()})
    assert isinstance(finishing(arrive(root, WRONG, rejected=other)), RetryDownload)


def test_a_good_download_after_a_bad_one_needs_no_second_opinion(root: Root, finishing: Finishing) -> None:
    rejected = frozenset({hashlib.sha256(OTHER).hexdigest()})
    event = finish(finishing, arrive(root, RIGHT, rejected=rejected))
    assert (event.outcome, event.verdict, event.remote) == (Outcome.FETCHED, Verdict.OK, AS_LISTED)


# Zips that are broken in the archive

PAGE = b"<html>".ljust(len(GOOD))
SPOILT = spoilt(GOOD)


def own_sidecar(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {NAME}"


@pytest.mark.parametrize("action", [Action.FETCH, Action.UPDATE])
@pytest.mark.parametrize(("content", "sidecar"), [(PAGE, own_sidecar(PAGE)), (b"", own_sidecar(b"")), (SPOILT, None)])
def test_a_broken_zip_that_is_what_the_archive_has_is_kept_and_marked(
    root: Root, finishing: Finishing, content: bytes, sidecar: str | None, action: Action
) -> None:
    remote = listed(len(content), md5_of(content), has_sidecar=sidecar is not None)
    event = finish(finishing, arrive(root, sidecar, remote, content, action=action))
    expected = Outcome.UPDATED if action is Action.UPDATE else Outcome.FETCHED
    assert (event.outcome, event.verdict, event.remote) == (expected, Verdict.BAD_ZIP, remote)
    assert event.reason.startswith("the zip is broken: ")
    assert root.file(ITEM.key).read_bytes() == content


@pytest.mark.parametrize("content", [PAGE, SPOILT], ids=["page", "spoilt"])
@pytest.mark.parametrize("sidecar", [RIGHT, "<html>"], ids=["of the sound file", "malformed"])
def test_a_zip_spoilt_upstream_is_not_a_stale_sidecar(
    root: Root, finishing: Finishing, content: bytes, sidecar: str
) -> None:
    remote, digest = listed(len(content), md5_of(content)), hashlib.sha256(content).hexdigest()
    assert isinstance(finishing(arrive(root, sidecar, remote, content)), RetryDownload)
    event = finish(finishing, arrive(root, sidecar, remote, content, rejected={digest}))
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, Verdict.BAD_ZIP)
    assert event.reason.startswith("the zip is broken: ")
    assert "sidecar" in event.reason


def test_a_broken_zip_that_nothing_confirms_may_have_been_spoilt_on_its_way(root: Root) -> None:
    finishing = Finishing(root, lambda _: None)
    assert isinstance(finishing(arrive(root, None, None, PAGE)), RetryDownload)
    event = finish(finishing, arrive(root, None, None, PAGE, last_attempt=True))
    assert (event.outcome, event.verdict) == (Outcome.QUARANTINED, Verdict.CORRUPT)
    digest = hashlib.sha256(PAGE).hexdigest()
    event = finish(finishing, arrive(root, None, IN_PARTS, PAGE, rejected={digest}))
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, Verdict.BAD_ZIP)


# What is recorded of the listing


@pytest.mark.parametrize(
    ("remote", "etag", "kept"),
    [
        (AS_LISTED, MD5, True),
        (IN_PARTS, IN_PARTS.etag, True),
        (OTHER_ETAG, MD5, False),
        (None, MD5, False),
    ],
    ids=["the MD5", "in parts", "another MD5", "no listing"],
)
def test_the_listing_is_recorded_only_where_it_does_not_contradict_the_bytes(
    root: Root, finishing: Finishing, remote: RemoteStat | None, etag: str, kept: bool
) -> None:
    event = finish(finishing, arrive(root, RIGHT, remote))
    assert (event.verdict, event.etag, event.remote) == (Verdict.OK, etag, remote if kept else None)
    assert event.sidecar_etag == md5_of(RIGHT.encode())


def test_an_etag_of_a_sidecar_that_says_nothing_is_recorded_as_it_is(root: Root, finishing: Finishing) -> None:
    event = finish(finishing, arrive(root, RIGHT, AS_LISTED._replace(sidecar_etag="0" * 32 + "-1")))
    assert event.sidecar_etag == "0" * 32 + "-1"


# Stored files that are judged by a sidecar that was fetched alone


def stored(
    root: Root, sidecar: str | None, remote: RemoteStat | None = AS_LISTED, content: bytes | None = GOOD
) -> ObjectState:
    """Store a file with an old sidecar, and put a new one into staging."""
    final = root.file(ITEM.key)
    final.parent.mkdir(parents=True)
    if content is not None:
        final.write_bytes(content)
    root.file(ITEM.sidecar_key).write_text("old", encoding="utf-8")
    file = root.staging / "00001" / ITEM.key
    file.parent.mkdir(parents=True)
    beside = file.with_name(file.name + ".CHECKSUM")
    if sidecar is not None:
        beside.write_text(sidecar, encoding="utf-8")
    planned = PlannedObject(ITEM, Action.CHECK, "", remote=remote)
    has_sidecar = sidecar is not None
    return ObjectState(
        planned, 0, str(file), in_place=True, has_sidecar=has_sidecar, sidecar_absent=not has_sidecar, attempts=1
    )


def with_sidecar(remote: RemoteStat, sidecar: str) -> RemoteStat:
    return remote._replace(sidecar_etag=md5_of(sidecar.encode()))


JUDGED = {
    "proven": (RIGHT, with_sidecar(AS_LISTED, RIGHT), GOOD, Verdict.OK),
    "proven without a listing": (RIGHT, None, GOOD, Verdict.OK),
    "proven, in parts": (RIGHT, IN_PARTS, GOOD, Verdict.OK),
    "stale": (WRONG, with_sidecar(AS_LISTED, WRONG), GOOD, Verdict.SIDECAR_STALE),
    "malformed": ("<html>", with_sidecar(AS_LISTED, "<html>"), GOOD, Verdict.SIDECAR_MALFORMED),
    "broken": (own_sidecar(PAGE), listed(len(PAGE), md5_of(PAGE)), PAGE, Verdict.BAD_ZIP),
    "broken, stale": (
        WRONG, with_sidecar(listed(len(SPOILT), md5_of(SPOILT)), WRONG), SPOILT, Verdict.BAD_ZIP,
    ),
    "no sidecar": (None, AS_LISTED, GOOD, Verdict.SIDECAR_MISSING),
    "no sidecar, in parts": (None, IN_PARTS, GOOD, Verdict.UNPROVEN),
}  # fmt: skip


@pytest.mark.parametrize(("sidecar", "remote", "content", "verdict"), JUDGED.values(), ids=JUDGED)
def test_a_stored_file_is_judged_where_it_is(
    root: Root, finishing: Finishing, sidecar: str | None, remote: RemoteStat | None, content: bytes, verdict: Verdict
) -> None:
    event = finish(finishing, stored(root, sidecar, remote, content))
    assert (event.outcome, event.verdict, event.remote) == (Outcome.PRESENT, verdict, remote)
    assert (event.size, event.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert event.bytes_fetched == len(sidecar or "")
    assert ("only its sidecar was downloaded" in event.reason) == (sidecar is not None)
    assert root.file(ITEM.key).read_bytes() == content
    assert root.file(ITEM.sidecar_key).read_text(encoding="utf-8") == ("old" if sidecar is None else sidecar)


@pytest.mark.parametrize("known", [Verdict.GAPS, Verdict.BAD_ZIP])
def test_a_new_sidecar_does_not_mend_rows(root: Root, finishing: Finishing, known: Verdict) -> None:
    state = stored(root, RIGHT)
    state.planned = state.planned._replace(verdict=known)
    event = finish(finishing, state)
    assert (event.outcome, event.verdict) == (Outcome.PRESENT, known)


DOWNLOADED = {
    "older than the listing": (RIGHT, OTHER_ETAG, GOOD),
    "another size": (RIGHT, OTHER_SIZE, GOOD),
    "the sidecar contradicts": (WRONG, None, GOOD),
    "the sidecar contradicts, in parts": (WRONG, IN_PARTS, GOOD),
    "the sidecar is not the listed one": (WRONG, with_sidecar(AS_LISTED, RIGHT), GOOD),
    "no sidecar, other bytes": (None, OTHER_ETAG, GOOD),
    "broken, and nothing confirms it": (None, IN_PARTS, PAGE),
    "gone": (RIGHT, AS_LISTED, None),
}


@pytest.mark.parametrize(("sidecar", "remote", "content"), DOWNLOADED.values(), ids=DOWNLOADED)
def test_a_stored_file_that_is_not_certainly_the_archives_is_downloaded(
    root: Root, finishing: Finishing, sidecar: str | None, remote: RemoteStat | None, content: bytes | None
) -> None:
    state = stored(root, sidecar, remote, content)
    answer = finishing(state)
    assert isinstance(answer, RetryDownload)
    assert answer.reason.startswith("the stored file ")
    assert state.missing_keys == ()
    state.reject(answer.sha256, answer.reason)
    assert state.missing_keys == (ITEM.key, ITEM.sidecar_key)
    assert root.file(ITEM.sidecar_key).read_text(encoding="utf-8") == "old"


def test_a_stored_file_and_a_download_that_agree_are_two_witnesses(root: Root, finishing: Finishing) -> None:
    state = stored(root, WRONG, IN_PARTS)
    answer = finishing(state)
    assert isinstance(answer, RetryDownload)
    state.reject(answer.sha256, answer.reason)
    Path(state.file).write_bytes(GOOD)
    Path(state.sidecar).write_text(WRONG, encoding="utf-8")
    state.look()
    event = finish(finishing, state)
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, Verdict.SIDECAR_STALE)


def test_without_listing_and_sidecar_a_stored_file_is_listed(root: Root) -> None:
    finishing = Finishing(root, {ITEM.key: OTHER_ETAG}.get)
    assert isinstance(finishing(stored(root, None, None)), RetryDownload)


# What stands in the way


def test_a_folder_at_the_final_path_fails_the_object_only(root: Root, finishing: Finishing) -> None:
    root.file(ITEM.key).mkdir(parents=True)
    event = finish(finishing, arrive(root))
    assert event.outcome is Outcome.FAILED
    assert event.reason == (
        f"Refused to replace {root.file(ITEM.key)}: it is a folder, where a file of the archive belongs; "
        "Move it away, then run again."
    )
    assert (event.size, event.verdict, event.bytes_fetched) == (0, None, len(GOOD) + len(RIGHT))
    assert not root.file(ITEM.sidecar_key).exists()


def test_a_root_that_cannot_be_written_to_ends_the_run(
    root: Root, finishing: Finishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RootUnusable("The disk of the output directory is full")

    monkeypatch.setattr("crypto_archive.transfer.finish.publish", full)
    with pytest.raises(RootUnusable, match="full"):
        finishing(arrive(root))


def test_a_former_quarantine_is_not_overwritten(root: Root, finishing: Finishing) -> None:
    for content in (GOOD, OTHER):
        event = finish(finishing, arrive(root, WRONG, None, content, last_attempt=True))
        assert event.outcome is Outcome.QUARANTINED
    kept = [path.read_bytes() for path in root.quarantine.rglob("*.run-1*") if path.suffix != ".json"]
    assert sorted(kept) == sorted([GOOD, OTHER])


# Bytes that a lock file wants, and no others

LOCKED = RemoteStat(len(GOOD), MD5, LISTED_AT, sha256=SHA256)
BY_MD5 = RemoteStat(len(GOOD), MD5.upper(), LISTED_AT)
BY_PARTS = RemoteStat(len(GOOD), IN_PARTS.etag, LISTED_AT)


@pytest.mark.parametrize("pin", [LOCKED, BY_MD5], ids=["digest", "MD5"])
@pytest.mark.parametrize(
    ("sidecar", "remote"),
    [(RIGHT, AS_LISTED), (None, WITHOUT_SIDECAR), (RIGHT, IN_PARTS)],
    ids=["sidecar", "no sidecar", "uploaded in parts since"],
)
def test_locked_bytes_are_published(
    root: Root, finishing: Finishing, pin: RemoteStat, sidecar: str | None, remote: RemoteStat
) -> None:
    event = finish(finishing, arrive(root, sidecar, remote, pin=pin))
    assert (event.outcome, event.refused) == (Outcome.FETCHED, False)
    is_published(root, sidecar)


REPLACED = "replaced in the archive since it was locked: "
NOT_LOCKED = {
    "another digest": (
        RemoteStat(len(GOOD), MD5, LISTED_AT, sha256="b" * 64),
        f"SHA-256 {SHA256}, locked was {'b' * 64}",
    ),
    "another MD5": (RemoteStat(len(GOOD), "f" * 32, LISTED_AT), f"MD5 {MD5}, locked was {'f' * 32}"),
    "another size": (RemoteStat(12_345, MD5, LISTED_AT, sha256=SHA256), f"{len(GOOD)} bytes, locked were 12,345"),
}


@pytest.mark.parametrize("remote", [AS_LISTED, IN_PARTS], ids=["in one piece", "in parts"])
@pytest.mark.parametrize(("pin", "reason"), NOT_LOCKED.values(), ids=NOT_LOCKED)
def test_proven_bytes_that_are_not_the_locked_ones_are_not_published(
    root: Root, finishing: Finishing, pin: RemoteStat, reason: str, remote: RemoteStat
) -> None:
    event = finish(finishing, arrive(root, remote=remote, pin=pin))
    assert (event.outcome, event.reason, event.refused) == (Outcome.FAILED, REPLACED + reason, True)
    assert (event.size, event.sha256, event.verdict) == (0, "", None)
    assert event.bytes_fetched == len(GOOD) + len(RIGHT)
    assert not root.file(ITEM.key).exists()


def test_a_replacement_that_its_new_sidecar_confirms_is_not_taken_either(root: Root, finishing: Finishing) -> None:
    pin = RemoteStat(len(GOOD) + 1, "f" * 32, LISTED_AT)
    event = finish(finishing, arrive(root, RIGHT, OTHER_SIZE, rejected=AGREED, pin=pin))
    assert (event.outcome, event.refused) == (Outcome.FAILED, True)
    assert not root.file(ITEM.key).exists()


@pytest.mark.parametrize("remote", [OTHER_SIZE, OTHER_ETAG], ids=["another size", "another ETag"])
def test_bytes_that_two_downloads_agree_on_are_no_damage_but_a_replacement(
    root: Root, finishing: Finishing, remote: RemoteStat
) -> None:
    """The lock stands in for the listing here, and no sidecar is there to vouch for them."""
    pin = RemoteStat(remote.size, remote.etag, LISTED_AT)
    assert isinstance(finishing(arrive(root, None, remote, pin=pin)), RetryDownload)
    event = finish(finishing, arrive(root, None, remote, rejected=AGREED, pin=pin))
    assert (event.outcome, event.refused) == (Outcome.FAILED, True)
    assert list(root.quarantine.iterdir()) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (IN_PARTS, ""),
        (AS_LISTED, f"{REPLACED}ETag {MD5}, locked was {IN_PARTS.etag}"),
        (None, "cannot be compared with the locked bytes: the listing, asked once more, did not answer"),
    ],
    ids=["as before", "replaced", "silent"],
)
def test_where_only_an_etag_of_parts_is_known_the_listing_is_asked_once_more(
    root: Root, now: RemoteStat | None, reason: str
) -> None:
    finishing = Finishing(root, lambda _: now)
    event = finish(finishing, arrive(root, RIGHT, IN_PARTS, pin=BY_PARTS))
    assert (event.outcome, event.reason) == (Outcome.FAILED if reason else Outcome.FETCHED, reason)
    assert root.file(ITEM.key).exists() is not bool(reason)


# Through a CDN

CDN = Door(Via.CDN, Access())
ONLY_CDN = Door(Via.CDN, Access(via=Via.CDN))
OLDER_SIDECAR = f"{hashlib.sha256(OTHER).hexdigest()}  {NAME}"
LISTED_SIDECAR = listed(len(GOOD), MD5, sidecar_etag=md5_of(RIGHT.encode()))
UNLIKE_LISTING: dict[str, tuple[bytes, str | None, RemoteStat | None]] = {
    "an older object": (OTHER, OLDER_SIDECAR, listed(len(OTHER), MD5)),
    "one of another size": (OTHER, OLDER_SIDECAR, listed(len(OTHER) + 1, MD5)),
    "an older sidecar": (GOOD, OLDER_SIDECAR, LISTED_SIDECAR),
    "another sidecar that matches": (GOOD, RIGHT + "\n", LISTED_SIDECAR),
    "spoilt bytes": (spoilt(GOOD), RIGHT, LISTED_SIDECAR),
    "a page": (b"<html>", RIGHT, LISTED_SIDECAR),
    "without a listing, a sidecar of other bytes": (OTHER, RIGHT, None),
}


@pytest.mark.parametrize(("content", "sidecar", "remote"), UNLIKE_LISTING.values(), ids=UNLIKE_LISTING)
@pytest.mark.parametrize("last_attempt", [True, False])
def test_what_a_cdn_does_not_have_as_it_is_listed_is_asked_of_s3(
    root: Root, finishing: Finishing, content: bytes, sidecar: str, remote: RemoteStat | None, *, last_attempt: bool
) -> None:
    item = arrive(root, sidecar, remote, content, last_attempt=last_attempt)
    item.door = CDN
    answer = finishing(item)
    assert isinstance(answer, RetryDownload)
    assert answer.unlike_listing
    assert not root.file(ITEM.key).exists()


@pytest.mark.parametrize(("content", "sidecar", "remote"), UNLIKE_LISTING.values(), ids=UNLIKE_LISTING)
def test_it_fails_where_the_cdn_was_asked_for_by_name(
    root: Root, finishing: Finishing, content: bytes, sidecar: str, remote: RemoteStat | None
) -> None:
    item = arrive(root, sidecar, remote, content, last_attempt=True)
    item.door = ONLY_CDN
    event = finish(finishing, item)
    assert event.outcome is Outcome.FAILED
    assert event.reason.startswith(f"{ONLY_CDN} does not have it as the archive has: ")
    assert event.reason.endswith("; use --via s3")
    assert not root.file(ITEM.key).exists()
    assert list(root.quarantine.rglob("*")) == []


@pytest.mark.parametrize("door", [CDN, ONLY_CDN])
def test_what_is_as_listed_is_proven_like_anything_else(root: Root, finishing: Finishing, door: Door) -> None:
    item = arrive(root, RIGHT, LISTED_SIDECAR)
    item.door = door
    event = finish(finishing, item)
    assert (event.outcome, event.verdict, event.remote) == (Outcome.FETCHED, Verdict.OK, LISTED_SIDECAR)
    is_published(root, RIGHT)


def test_a_sidecar_that_is_listed_and_wrong_is_the_fault_of_the_archive(root: Root, finishing: Finishing) -> None:
    item = arrive(root, WRONG, listed(len(GOOD), MD5, sidecar_etag=md5_of(WRONG.encode())))
    item.door = CDN
    answer = finishing(item)
    assert isinstance(answer, RetryDownload)
    assert not answer.unlike_listing


def test_two_downloads_from_a_cdn_agree_and_the_listing_is_asked(root: Root) -> None:
    item = arrive(root, WRONG, None, rejected=[SHA256])
    item.door = ONLY_CDN
    event = finish(Finishing(root, lambda _: AS_LISTED), item)
    assert (event.outcome, event.verdict) == (Outcome.FETCHED, Verdict.SIDECAR_STALE)


def test_a_cdn_that_has_other_bytes_than_the_lock_file_is_no_verdict_on_them(root: Root, finishing: Finishing) -> None:
    item = arrive(root, RIGHT, AS_LISTED, pin=OTHER_ETAG)
    item.door = CDN
    answer = finishing(item)
    assert isinstance(answer, RetryDownload)
    assert "locked was" in answer.reason
