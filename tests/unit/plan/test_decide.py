"""What is to be done to an object: every combination of listing, disk, manifest, force and resume."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import Fetching
from crypto_archive.model import Action, Candidate, Covered, ManifestEntry, RemoteStat, StoredStat, Verdict
from crypto_archive.plan import decide as module
from crypto_archive.plan.decide import decide
from crypto_archive.root.presence import StoredFiles
from tests.objects import LISTED_AT, Files, a_context, an_object, listed
from tests.zips import zip_of

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import PlannedObject

ITEM = an_object()
RECORDED = ManifestEntry(ITEM.key, 100, "0" * 64, Verdict.OK, "e" * 32, LISTED_AT, LISTED_AT, "run")
LATER, EARLIER = datetime(2025, 9, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
FETCH, UPDATE, KEEP = Action.FETCH, Action.UPDATE, Action.KEEP

REMOTES = {
    "no listing": None,
    "as before": listed(),
    "another size": listed(size=101),
    "another ETag": listed(etag="f" * 32),
    "a later time": listed(at=LATER),
    "an earlier time": listed(at=EARLIER),
    "no sidecar": listed(has_sidecar=False),
}
STORED = {
    "nothing": None,
    "unrecorded": StoredStat(100),
    "unrecorded, longer": StoredStat(101),
    "recorded": StoredStat(100, RECORDED),
    "recorded from the calendar": StoredStat(100, RECORDED._replace(last_modified=None)),
    "recorded, cut": StoredStat(99, RECORDED),
    "recorded, longer": StoredStat(101, RECORDED),
}
KEPT = (KEEP, "there")
FETCHED = (FETCH, "not there")
LONGER = (UPDATE, "100 bytes so far, 101 in the archive")
ETAG = (UPDATE, "another ETag in the archive")
UNSEEN = (KEEP, "there, not verified yet")
CUT = (FETCH, "99 bytes on disk, 100 in the manifest")
GROWN = (FETCH, "101 bytes on disk, 100 in the manifest")
UNLIKE = (UPDATE, "100 bytes on disk, 101 in the archive")
UNLIKE_TOO = (UPDATE, "101 bytes on disk, 100 in the archive")

# One row for what is stored, one column for what the listing says, in the order of REMOTES.
DECISIONS = {
    "nothing": [FETCHED] * 7,
    "unrecorded": [UNSEEN, UNSEEN, UNLIKE, UNSEEN, UNSEEN, UNSEEN, UNSEEN],
    "unrecorded, longer": [UNSEEN, UNLIKE_TOO, UNSEEN, UNLIKE_TOO, UNLIKE_TOO, UNLIKE_TOO, UNLIKE_TOO],
    "recorded": [KEPT, KEPT, LONGER, ETAG, KEPT, KEPT, KEPT],
    "recorded from the calendar": [KEPT, KEPT, LONGER, ETAG, KEPT, KEPT, KEPT],
    "recorded, cut": [CUT, CUT, LONGER, ETAG, CUT, CUT, CUT],
    "recorded, longer": [GROWN, GROWN, LONGER, ETAG, GROWN, GROWN, GROWN],
}
TABLE = [
    pytest.param(REMOTES[remote], STORED[stored], decision, id=f"{stored} - {remote}")
    for stored, decisions in DECISIONS.items()
    for remote, decision in zip(REMOTES, decisions, strict=True)
]


def planned(remote: RemoteStat | None, stored: StoredStat | None, fetching: Fetching) -> PlannedObject:
    [result] = decide(a_context(fetching=fetching), [Candidate(ITEM, remote)], Files({ITEM.key: stored}.get))
    if result.remote is not None and result.remote.sha256 is not None:
        assert result.remote.sha256 == RECORDED.sha256
        result = result._replace(remote=result.remote._replace(sha256=None))
    return result


@pytest.mark.parametrize(("remote", "stored", "decision"), TABLE)
def test_the_usual_run_leaves_alone_what_is_there(
    remote: RemoteStat | None, stored: StoredStat | None, decision: tuple[Action, str]
) -> None:
    result = planned(remote, stored, Fetching())
    assert (result.action, result.why) == decision
    assert (result.object, result.remote) == (ITEM, remote)
    assert result.stored_size == (stored.size if stored else 0)


@pytest.mark.parametrize(
    ("fetching", "why"),
    [
        (Fetching(force=True), "forced"),
        (Fetching(force=True, resume=False), "forced"),
        (Fetching(resume=False), "resume is off"),
    ],
    ids=["force", "force without resume", "without resume"],
)
@pytest.mark.parametrize(("remote", "stored", "decision"), TABLE)
def test_force_and_no_resume_fetch_what_would_be_kept_and_change_nothing_else(
    remote: RemoteStat | None,
    stored: StoredStat | None,
    decision: tuple[Action, str],
    fetching: Fetching,
    why: str,
) -> None:
    result = planned(remote, stored, fetching)
    assert (result.action, result.why) == ((FETCH, why) if decision in {KEPT, UNSEEN} else decision)


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize("remote", REMOTES.values(), ids=REMOTES)
def test_a_sidecar_is_fetched_where_it_is_wanted_and_may_be_there(
    remote: RemoteStat | None, stored: StoredStat | None
) -> None:
    may_be_there = remote is None or remote.has_sidecar
    result = planned(remote, stored, Fetching())
    assert result.with_sidecar is may_be_there
    assert result.keys == ((ITEM.key, ITEM.key + ".CHECKSUM") if may_be_there else (ITEM.key,))
    result = planned(remote, stored, Fetching(download_checksum=False))
    assert not result.with_sidecar
    assert result.keys == (ITEM.key,)


def test_objects_keep_their_order_and_each_is_looked_up_once() -> None:
    items = [an_object(number) for number in range(5)]
    files = Files({items[2].key: StoredStat(1)}.get)
    result = list(decide(a_context(), (Candidate(item) for item in items), files))
    assert [item.object for item in result] == items
    assert [item.action for item in result] == [FETCH, FETCH, KEEP, FETCH, FETCH]
    assert files.asked == [item.key for item in items]


def test_the_md5_of_a_calendar_run_says_nothing_of_an_upload_in_parts() -> None:
    stored = StoredStat(100, RECORDED._replace(last_modified=None))
    assert planned(listed(etag="f" * 32 + "-3"), stored, Fetching()).action is KEEP
    assert planned(listed(etag="f" * 32 + "-3"), StoredStat(100, RECORDED), Fetching()).action is UPDATE


# What the listing newly says of the same bytes

IN_PARTS = "0" * 32 + "-3"


@pytest.mark.parametrize("at", [LATER, EARLIER])
@pytest.mark.parametrize("known_at", [LISTED_AT, None], ids=["listed", "from the calendar"])
def test_another_time_of_the_same_bytes_is_noted(at: datetime, known_at: datetime | None) -> None:
    result = planned(listed(at=at), StoredStat(100, RECORDED._replace(last_modified=known_at)), Fetching())
    assert (result.action, result.noted) == (KEEP, RECORDED._replace(last_modified=at))
    assert planned(listed(), StoredStat(100, RECORDED), Fetching()).noted is None


def test_another_time_of_an_upload_in_parts_is_an_update() -> None:
    stored = StoredStat(100, RECORDED._replace(etag=IN_PARTS))
    result = planned(listed(etag=IN_PARTS, at=LATER), stored, Fetching())
    assert (result.action, result.why) == (UPDATE, "another LastModified in the archive")


def test_what_is_known_of_a_file_that_stays_is_passed_on() -> None:
    stale = StoredStat(100, RECORDED._replace(verdict=Verdict.SIDECAR_STALE))
    assert planned(listed(), stale, Fetching()).verdict is Verdict.SIDECAR_STALE
    assert planned(listed(), stale, Fetching(force=True)).verdict is None


# Sidecars that are new

OLD, NEW = "1" * 32, "2" * 32
AVAILABLE, ANOTHER = "its sidecar is available now", "another sidecar in the archive"
SIDECARS = {
    "the same": (Verdict.OK, OLD, None, OLD, KEPT),
    "mended": (Verdict.SIDECAR_STALE, OLD, None, NEW, (Action.CHECK, ANOTHER)),
    "another": (Verdict.OK, OLD, None, NEW, (Action.CHECK, ANOTHER)),
    "late": (Verdict.SIDECAR_MISSING, None, None, NEW, (Action.CHECK, AVAILABLE)),
    "late, unproven": (Verdict.UNPROVEN, None, None, NEW, (Action.CHECK, AVAILABLE)),
    "late, without an ETag": (Verdict.SIDECAR_MISSING, None, None, None, (Action.CHECK, AVAILABLE)),
    "unknown, as on disk": (Verdict.OK, None, OLD, OLD, KEPT),
    "unknown, not as on disk": (Verdict.SIDECAR_STALE, None, OLD, NEW, (Action.CHECK, ANOTHER)),
    "unknown, not on disk": (Verdict.OK, None, None, NEW, KEPT),
    "unknown, and the ETag says nothing": (Verdict.OK, None, OLD, IN_PARTS, KEPT),
    "without an ETag": (Verdict.OK, OLD, OLD, None, KEPT),
}


@pytest.mark.parametrize(("verdict", "known", "on_disk", "now", "decision"), SIDECARS.values(), ids=SIDECARS)
def test_a_sidecar_that_is_new_is_fetched_alone(
    verdict: Verdict, known: str | None, on_disk: str | None, now: str | None, decision: tuple[Action, str]
) -> None:
    stored = StoredStat(100, RECORDED._replace(verdict=verdict, sidecar_etag=known))
    files = Files(lambda _: stored, sidecars={ITEM.key: on_disk} if on_disk else {})

    def decided(remote: RemoteStat | None, **fetching: bool) -> PlannedObject:
        [result] = decide(a_context(fetching=Fetching(**fetching)), [Candidate(ITEM, remote)], files)
        return result

    result = decided(listed(sidecar_etag=now))
    assert (result.action, result.why) == decision
    assert result.verdict is verdict
    if result.action is Action.CHECK:
        assert result.keys == (ITEM.sidecar_key,)
    elif known is None and on_disk is not None:  # learned without any request
        assert result.noted == (stored.recorded or RECORDED)._replace(sidecar_etag=now)
    assert decided(listed(has_sidecar=False)).action is KEEP
    assert decided(listed(sidecar_etag=now), download_checksum=False).action is KEEP
    assert decided(None).action is KEEP
    assert decided(listed(sidecar_etag=now), force=True).action is FETCH


# Files that the manifest does not know

NAME = ITEM.key.rpartition("/")[2]
BYTES = zip_of(NAME)
SHA256 = hashlib.sha256(BYTES).hexdigest()
MD5 = hashlib.md5(BYTES, usedforsecurity=False).hexdigest()
OWN, WRONG = f"{SHA256}  {NAME}", f"{'0' * 64}  {NAME}"


def etag_of(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def adoption(
    folder: Path, sidecar: str | None, remote: RemoteStat | None, content: bytes = BYTES, **fetching: bool
) -> PlannedObject:
    context = a_context(root=folder, fetching=Fetching(**fetching))
    path = context.root.file(ITEM.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    if sidecar is not None:
        context.root.file(ITEM.sidecar_key).write_text(sidecar, encoding="utf-8")
    stored = StoredFiles(context.root)
    [result] = decide(context, [Candidate(ITEM, remote)], stored, run_id="run")
    return result


def the_listing(etag: str = MD5, sidecar: str | None = OWN) -> RemoteStat:
    return listed(
        len(BYTES), etag, has_sidecar=sidecar is not None, sidecar_etag=None if sidecar is None else etag_of(sidecar)
    )


UNLISTED = "on disk with other bytes than the archive has now"
BAD = "on disk, but its bytes do not match sidecar or listing"
NO_SIDECAR = "on disk without its sidecar"
ADOPTIONS = {
    "all agrees": (OWN, the_listing(), KEPT, Verdict.OK),
    "the calendar": (OWN, None, KEPT, Verdict.OK),
    "uploaded in parts": (OWN, the_listing(IN_PARTS), KEPT, Verdict.OK),
    "older, with its own sidecar": (OWN, the_listing("f" * 32, "new"), (UPDATE, UNLISTED), None),
    "older, the sidecar as it was": (OWN, the_listing("f" * 32), (UPDATE, UNLISTED), None),
    "spoilt": (WRONG, the_listing("f" * 32), (FETCH, BAD), None),
    "spoilt, the calendar": (WRONG, None, (FETCH, BAD), None),
    "older, without a sidecar": (None, the_listing("f" * 32), (Action.CHECK, NO_SIDECAR), None),
    "without a sidecar": (None, the_listing(), (Action.CHECK, NO_SIDECAR), None),
    "without a sidecar, the calendar": (None, None, (Action.CHECK, NO_SIDECAR), None),
    "another sidecar now": (OWN, the_listing(sidecar="new"), (Action.CHECK, ANOTHER), None),
    "another sidecar now, in parts": (OWN, the_listing(IN_PARTS, "new"), (Action.CHECK, ANOTHER), None),
    "mended since": (WRONG, the_listing(), (Action.CHECK, ANOTHER), None),
    "the archive's is stale": (WRONG, the_listing(sidecar=WRONG), KEPT, Verdict.SIDECAR_STALE),
    "the archive's is a page": ("<html>", the_listing(sidecar="<html>"), KEPT, Verdict.SIDECAR_MALFORMED),
    "stale, in parts": (WRONG, the_listing(IN_PARTS, WRONG), (FETCH, BAD), None),
    "none in the archive": (None, the_listing(sidecar=None), KEPT, Verdict.SIDECAR_MISSING),
    "none in the archive, in parts": (None, the_listing(IN_PARTS, None), KEPT, Verdict.UNPROVEN),
    "none in the archive, other bytes": (None, the_listing("f" * 32, None), (FETCH, BAD), None),
}


@pytest.mark.parametrize(("sidecar", "remote", "decision", "verdict"), ADOPTIONS.values(), ids=ADOPTIONS)
def test_a_file_that_the_manifest_does_not_know(
    tmp_path: Path,
    sidecar: str | None,
    remote: RemoteStat | None,
    decision: tuple[Action, str],
    verdict: Verdict | None,
) -> None:
    result = adoption(tmp_path, sidecar, remote)
    assert (result.action, result.why, result.verdict) == (*decision, verdict)
    assert (result.adopted is None) == (verdict is None)
    if result.adopted is not None:
        entry = result.adopted
        assert (entry.size, entry.sha256, entry.verdict, entry.run_id) == (len(BYTES), SHA256, verdict, "run")
        assert entry.etag == (remote.etag if remote else MD5)
        assert entry.last_modified == (LISTED_AT if remote else None)
        assert entry.sidecar_etag == (None if sidecar is None else etag_of(sidecar))


def test_a_file_that_is_not_a_zip_is_kept_as_what_the_archive_has(tmp_path: Path) -> None:
    page = b"<html>".ljust(len(BYTES))
    own = f"{hashlib.sha256(page).hexdigest()}  {NAME}"
    remote = the_listing(hashlib.md5(page, usedforsecurity=False).hexdigest(), own)
    result = adoption(tmp_path, own, remote, page)
    assert (result.action, result.verdict) == (KEEP, Verdict.BAD_ZIP)


def test_without_wanted_sidecars_the_listing_proves_a_file(tmp_path: Path) -> None:
    result = adoption(tmp_path, None, the_listing(), download_checksum=False)
    assert (result.action, result.verdict) == (KEEP, Verdict.SIDECAR_MISSING)


@pytest.mark.parametrize("stored", [None, StoredStat(100, RECORDED), StoredStat(101)], ids=["none", "known", "longer"])
def test_only_files_that_would_be_kept_are_read(monkeypatch: pytest.MonkeyPatch, stored: StoredStat | None) -> None:
    monkeypatch.setattr(module, "prove", lambda *_: pytest.fail("it was read"))
    for fetching in (Fetching(), Fetching(force=True)):
        context = a_context(fetching=fetching)
        assert len(list(decide(context, [Candidate(ITEM, listed())], Files(lambda _: stored), run_id="run"))) == 1


def test_a_plan_reads_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "prove", lambda *_: pytest.fail("it was read"))
    assert planned(listed(), StoredStat(100), Fetching()).why == "there, not verified yet"


# What is as it was has a shorter way


class Unabridged(Files):
    """Files each of which is decided on by its whole record."""

    def digest(self, key: str, size: int, remote: RemoteStat | None) -> str | None:
        return None


ETAGS = st.sampled_from([MD5, "f" * 32, IN_PARTS, ""])
MOMENTS = st.sampled_from([LISTED_AT, LISTED_AT + timedelta(seconds=1)])
ENTRIES = st.builds(
    ManifestEntry,
    st.just(ITEM.key),
    st.sampled_from([7, 8]),
    st.just("a" * 64),
    st.sampled_from(Verdict),
    ETAGS,
    st.none() | MOMENTS,
    MOMENTS,
    st.just("run"),
    st.none() | ETAGS,
)
LISTINGS = st.builds(RemoteStat, st.sampled_from([7, 8]), ETAGS, MOMENTS, st.booleans(), st.none(), st.none() | ETAGS)


@given(
    stored=st.builds(StoredStat, st.sampled_from([7, 8]), ENTRIES),
    candidate=st.builds(
        Candidate,
        st.just(ITEM),
        st.none() | LISTINGS,
        st.none() | st.just(Covered(2, 10)),
        st.none() | LISTINGS,
        st.none() | st.sampled_from([Action.WAIT, Action.UPDATE, Action.FETCH]),
        st.sampled_from(["", "why"]),
        st.none() | st.just(date(2025, 7, 1)),
        st.sampled_from([0, 3]),
    ),
    fetching=st.builds(Fetching, force=st.booleans(), resume=st.booleans(), download_checksum=st.booleans()),
)
def test_what_is_as_it_was_is_decided_as_by_its_whole_record(
    stored: StoredStat, candidate: Candidate, fetching: Fetching
) -> None:
    context = a_context(fetching=fetching)
    found = [[*decide(context, [candidate], files(lambda _: stored))] for files in (Files, Unabridged)]
    assert found[0] == found[1]
