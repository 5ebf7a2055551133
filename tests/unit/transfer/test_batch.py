"""The state of a batch: what s5cmd reports is noted, what is in staging decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Batch
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Folder, Listed, Message, OtherLine
from crypto_archive.transfer.batch import BatchState
from tests.objects import LISTED_AT, an_object, to_fetch

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.transfer.batch import ObjectState

BUCKET = "data.binance.vision"
ABSENT = "NoSuchKey:  status code: 404"
DENIED = "AccessDenied: Access Denied status code: 403"
BROKEN = "SlowDown: Please reduce your request rate. status code: 503"


@pytest.fixture
def state(tmp_path: Path) -> BatchState:
    items = (
        to_fetch(an_object(0)),
        to_fetch(an_object(1), with_sidecar=False),
        to_fetch(an_object(2, symbol="币安人生USDT")),
    )
    return BatchState(Batch(1, items), tmp_path, BUCKET)


def copied(key: str) -> Copied:
    return Copied(f"s3://{BUCKET}/{key}", key, 1)


def failed(key: str, error: str) -> Failed:
    return Failed(f"cp s3://{BUCKET}/{key} {key}", error)


def arrive(state: BatchState, *keys: str) -> None:
    for key in keys:
        path = state.staging / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def key_of(item: ObjectState) -> str:
    return item.planned.object.key


def test_all_is_missing_at_first(state: BatchState) -> None:
    first, second, third = map(key_of, state.objects)
    assert state.missing_keys() == [first, first + ".CHECKSUM", second, third, third + ".CHECKSUM"]
    assert state.open == state.objects
    assert state.common_failure is None


def test_what_lies_in_staging_is_not_missing(state: BatchState) -> None:
    first, second, third = map(key_of, state.objects)
    arrive(state, first, third + ".CHECKSUM")
    assert state.missing_keys() == [first + ".CHECKSUM", second, third]
    arrive(state, first + ".CHECKSUM", second, third)
    assert state.missing_keys() == []


def test_a_success_is_not_believed_without_the_file(state: BatchState) -> None:
    item = state.objects[1]
    assert state.note(copied(key_of(item))) is item
    assert item.missing_keys == (key_of(item),)
    assert item.fault is None


def test_what_has_ended_is_not_open_and_not_missing(state: BatchState) -> None:
    state.objects[0].finished = True
    assert state.open == state.objects[1:]
    assert key_of(state.objects[0]) not in state.missing_keys()


def test_words_about_zip_and_sidecar_find_their_object(state: BatchState) -> None:
    for item in state.objects:
        for key in item.planned.keys:
            assert state.note(copied(key)) is item
            assert state.note(failed(key, BROKEN)) is item


@pytest.mark.parametrize(
    "message",
    [
        OtherLine("panic: runtime error"),
        Folder("data/spot/"),
        Listed("data/x.zip", 1, "etag", LISTED_AT),
        Copied("s3://another/data/x.zip", "data/x.zip", 1),
        Copied("", "", 0),
        Failed("", "connection refused"),
        Failed("ls s3://data.binance.vision/x", ABSENT),
        Failed(f"cp s3://{BUCKET}/data/x.zip data/x.zip", ABSENT),
    ],
    ids=str,
)
def test_words_about_anything_else_change_nothing(state: BatchState, message: Message) -> None:
    assert state.note(message) is None
    assert {item.fault for item in state.objects} == {None}
    assert len(state.open) == 3


@pytest.mark.parametrize(
    ("error", "fault"), [(ABSENT, Fault.ABSENT), (DENIED, Fault.DENIED), (BROKEN, Fault.TRANSIENT)]
)
def test_a_failed_zip_has_its_fault_and_the_words(state: BatchState, error: str, fault: Fault) -> None:
    item = state.objects[0]
    state.note(failed(key_of(item), error))
    assert (item.fault, item.reason) == (fault, error)


def test_an_absent_sidecar_is_not_a_fault(state: BatchState) -> None:
    item = state.objects[0]
    state.note(failed(key_of(item) + ".CHECKSUM", ABSENT))
    assert item.sidecar_absent
    assert item.fault is None
    assert item.missing_keys == (key_of(item),)


@pytest.mark.parametrize("sidecar_first", [True, False])
def test_an_absent_zip_outweighs_what_else_went_wrong(state: BatchState, sidecar_first: bool) -> None:
    item = state.objects[0]
    words = [failed(key_of(item), ABSENT), failed(key_of(item) + ".CHECKSUM", BROKEN)]
    for message in reversed(words) if sidecar_first else words:
        state.note(message)
    assert item.fault is Fault.ABSENT


def test_an_attempt_forgets_the_faults_of_the_one_before(state: BatchState) -> None:
    item = state.objects[0]
    state.note(failed(key_of(item), BROKEN))
    state.note(failed(key_of(item) + ".CHECKSUM", ABSENT))
    item.begin(2)
    assert (item.attempts, item.fault, item.reason) == (2, None, "")
    assert item.sidecar_absent


def test_discarded_files_are_missing_again(state: BatchState) -> None:
    item = state.objects[0]
    arrive(state, *item.planned.keys)
    item.sidecar_absent = True
    item.reject("a digest", "SHA-256 differs")
    assert item.missing_keys == item.planned.keys
    assert (item.fault, item.reason) == (Fault.OTHER, "SHA-256 differs")
    item.reject("another digest", "there is nothing left to delete")
    assert item.rejected == {"a digest", "another digest"}


def test_a_failure_that_all_have_in_common(state: BatchState) -> None:
    for item in state.objects:
        assert state.common_failure is None
        state.note(failed(key_of(item), DENIED))
    assert state.common_failure is not None
    assert state.common_failure.fault is Fault.DENIED


def test_failures_that_differ_have_nothing_in_common(state: BatchState) -> None:
    for item, error in zip(state.objects, (DENIED, BROKEN, DENIED), strict=True):
        state.note(failed(key_of(item), error))
    assert state.common_failure is None


TEXTS = st.text(max_size=30)
MESSAGES = st.one_of(
    st.builds(OtherLine, TEXTS),
    st.builds(Copied, TEXTS, TEXTS, st.integers(0)),
    st.builds(Failed, TEXTS, st.sampled_from([ABSENT, DENIED, BROKEN, "", "what?"])),
    st.sampled_from([0, 1, 2]).map(lambda number: copied(an_object(number).key)),
    st.tuples(st.sampled_from([0, 1, 2]), st.booleans(), st.sampled_from([ABSENT, DENIED, BROKEN, "?"])).map(
        lambda made: failed(an_object(made[0]).key + (".CHECKSUM" if made[1] else ""), made[2])
    ),
)


@given(messages=st.lists(MESSAGES, max_size=20))
def test_no_words_end_an_object_or_bring_a_file(
    messages: list[Message], tmp_path_factory: pytest.TempPathFactory
) -> None:
    batch = Batch(1, tuple(to_fetch(an_object(number)) for number in range(3)))
    state = BatchState(batch, tmp_path_factory.getbasetemp() / "nothing here", BUCKET)
    for message in messages:
        state.note(message)
    assert state.open == state.objects
    assert all(key_of(item) in item.missing_keys for item in state.objects)
