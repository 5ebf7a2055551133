"""What is to be done to an object: every combination of listing, disk, manifest, force and resume."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import Fetching
from crypto_archive.model import Action, Candidate, ManifestEntry, Market, PlannedObject, StoredStat, Verdict
from crypto_archive.plan import decide as module
from crypto_archive.plan.decide import batches, decide
from tests.objects import LISTED_AT, Files, a_context, an_object, listed, many_to_fetch, to_fetch

if TYPE_CHECKING:
    from crypto_archive.model import Batch, PlannedObject, RemoteStat

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
    "recorded from the calendar": StoredStat(100, replace(RECORDED, last_modified=None)),
    "recorded, cut": StoredStat(99, RECORDED),
    "recorded, longer": StoredStat(101, RECORDED),
}
KEPT = (KEEP, "there")
FETCHED = (FETCH, "not there")
LONGER = (UPDATE, "100 bytes so far, 101 in the archive")
ETAG = (UPDATE, "another ETag in the archive")
TIME = (UPDATE, "another LastModified in the archive")
CUT = (FETCH, "99 bytes on disk, 100 in the manifest")
GROWN = (FETCH, "101 bytes on disk, 100 in the manifest")
UNLIKE = (UPDATE, "100 bytes on disk, 101 in the archive")
UNLIKE_TOO = (UPDATE, "101 bytes on disk, 100 in the archive")

# One row for what is stored, one column for what the listing says, in the order of REMOTES.
DECISIONS = {
    "nothing": [FETCHED] * 7,
    "unrecorded": [KEPT, KEPT, UNLIKE, KEPT, KEPT, KEPT, KEPT],
    "unrecorded, longer": [KEPT, UNLIKE_TOO, KEPT, UNLIKE_TOO, UNLIKE_TOO, UNLIKE_TOO, UNLIKE_TOO],
    "recorded": [KEPT, KEPT, LONGER, ETAG, TIME, TIME, KEPT],
    "recorded from the calendar": [KEPT, KEPT, LONGER, ETAG, KEPT, KEPT, KEPT],
    "recorded, cut": [CUT, CUT, LONGER, ETAG, TIME, TIME, CUT],
    "recorded, longer": [GROWN, GROWN, LONGER, ETAG, TIME, TIME, GROWN],
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
        result = replace(result, remote=replace(result.remote, sha256=None))
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
    assert (result.action, result.why) == ((FETCH, why) if decision == KEPT else decision)


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
    stored = StoredStat(100, replace(RECORDED, last_modified=None))
    assert planned(listed(etag="f" * 32 + "-3"), stored, Fetching()).action is KEEP
    assert planned(listed(etag="f" * 32 + "-3"), StoredStat(100, RECORDED), Fetching()).action is UPDATE


def adopted(monkeypatch: pytest.MonkeyPatch, entry: ManifestEntry | None) -> list[tuple[str, RemoteStat | None, str]]:
    """Let every file be adopted with an entry, and return what is asked for."""
    asked: list[tuple[str, RemoteStat | None, str]] = []

    def adopt(_: object, key: str, remote: RemoteStat | None, run_id: str) -> ManifestEntry | None:
        asked.append((key, remote, run_id))
        return entry

    monkeypatch.setattr(module, "adopt", adopt)
    return asked


@pytest.mark.parametrize("remote", [None, listed()], ids=["calendar", "listing"])
def test_a_file_that_the_manifest_does_not_know_is_adopted(
    monkeypatch: pytest.MonkeyPatch, remote: RemoteStat | None
) -> None:
    asked = adopted(monkeypatch, RECORDED)
    files = Files(lambda _: StoredStat(100))
    [result] = decide(a_context(), [Candidate(ITEM, remote)], files, run_id="run")
    assert (result.action, result.adopted) == (KEEP, RECORDED)
    assert asked == [(ITEM.key, remote, "run")]


def test_a_file_that_cannot_be_proven_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    adopted(monkeypatch, None)
    [result] = decide(a_context(), [Candidate(ITEM, listed())], Files(lambda _: StoredStat(100)), run_id="run")
    assert (result.action, result.adopted) == (FETCH, None)
    assert result.why == "on disk, but its bytes do not match sidecar or listing"


@pytest.mark.parametrize("stored", [None, StoredStat(100, RECORDED), StoredStat(101)], ids=["none", "known", "longer"])
def test_only_files_that_would_be_kept_are_adopted(monkeypatch: pytest.MonkeyPatch, stored: StoredStat | None) -> None:
    asked = adopted(monkeypatch, RECORDED)
    for fetching in (Fetching(), Fetching(force=True)):
        context = a_context(fetching=fetching)
        assert len(list(decide(context, [Candidate(ITEM, listed())], Files(lambda _: stored), run_id="run"))) == 1
    assert asked == []


def test_a_sidecar_that_turns_up_later_is_fetched() -> None:
    stored = StoredStat(100, replace(RECORDED, verdict=Verdict.SIDECAR_MISSING))
    late = planned(listed(), stored, Fetching())
    assert (late.action, late.why, late.with_sidecar) == (FETCH, "its sidecar is available now", True)
    assert planned(listed(has_sidecar=False), stored, Fetching()).action is KEEP
    assert planned(listed(), stored, Fetching(download_checksum=False)).action is KEEP
    assert planned(None, stored, Fetching()).action is KEEP


KINDS = ((Market.SPOT, "klines"), (Market.SPOT, "trades"), (Market.FUTURES_UM, "klines"))


def commands_of(batch: Batch) -> int:
    return sum(len(item.keys) for item in batch.items)


def kind_of(item: PlannedObject) -> tuple[Market, str]:
    return item.object.series.market, item.object.series.data_type


@st.composite
def plans(draw: st.DrawFn) -> list[PlannedObject]:
    kinds = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=60))
    return [
        to_fetch(an_object(number, market=market, data_type=data_type), with_sidecar=with_sidecar)
        for number, ((market, data_type), with_sidecar) in enumerate(kinds)
    ]


PLANS = plans()
SIZES = st.integers(1, 12) | st.just(100)


@given(planned=PLANS, batch_size=SIZES)
def test_nothing_is_lost_and_the_order_is_kept(planned: list[PlannedObject], batch_size: int) -> None:
    assert [item for batch in batches(planned, batch_size) for item in batch.items] == planned


@given(planned=PLANS, batch_size=SIZES)
def test_a_batch_is_never_larger_than_a_run_file(planned: list[PlannedObject], batch_size: int) -> None:
    """Only where a run-file holds a single command does an object with its sidecar need two of them."""
    for batch in batches(planned, batch_size):
        assert batch.items
        assert commands_of(batch) <= batch_size or (batch_size == 1 and len(batch.items) == 1)


@given(planned=PLANS, batch_size=SIZES)
def test_a_batch_is_of_one_market_and_type(planned: list[PlannedObject], batch_size: int) -> None:
    for batch in batches(planned, batch_size):
        assert len({kind_of(item) for item in batch.items}) == 1


@given(planned=PLANS, batch_size=SIZES)
def test_batches_are_filled_before_the_next_one_is_begun(planned: list[PlannedObject], batch_size: int) -> None:
    for one, other in pairwise(batches(planned, batch_size)):
        alike = kind_of(one.items[0]) == kind_of(other.items[0])
        assert not alike or commands_of(one) + len(other.items[0].keys) > batch_size


@given(planned=PLANS, batch_size=SIZES)
def test_batches_are_numbered_from_one(planned: list[PlannedObject], batch_size: int) -> None:
    numbers = [batch.number for batch in batches(planned, batch_size)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("batch_size", "with_sidecar", "sizes"),
    [
        (100, True, [50, 50, 1]),
        (100, False, [100, 1]),
        (3, True, [1] * 101),
        (2, True, [1] * 101),
        (1, True, [1] * 101),
    ],
)
def test_sidecars_count(batch_size: int, with_sidecar: bool, sizes: list[int]) -> None:
    cut = batches(many_to_fetch(101, with_sidecar=with_sidecar), batch_size)
    assert [len(batch.items) for batch in cut] == sizes


def test_a_plan_without_anything_to_fetch_has_no_batch() -> None:
    assert list(batches([], 100)) == []


def test_the_label_says_what_a_batch_holds() -> None:
    [batch] = batches([to_fetch(an_object(market=Market.FUTURES_UM, data_type="bookDepth"))], 100)
    assert batch.label == "futures_um bookDepth"
