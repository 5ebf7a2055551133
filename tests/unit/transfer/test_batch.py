"""The state of a batch: what s5cmd reports is noted, what is in staging decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Action, Batch
from crypto_archive.s5cmd.copies import CopyCommand, copy_by_name, copy_commands
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Folder, Listed, Message, OtherLine
from crypto_archive.transfer.batch import BatchState
from tests.objects import LISTED_AT, an_object, many_to_fetch, to_fetch

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
    return BatchState(Batch(1, items, commands=3), tmp_path, BUCKET)


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


def missing(state: BatchState) -> list[str]:
    return [key for item in state.open for key in item.missing_keys]


def look(state: BatchState) -> None:
    for item in state.objects:
        item.look()


def test_all_is_missing_at_first(state: BatchState) -> None:
    first, second, third = map(key_of, state.objects)
    assert missing(state) == [first, first + ".CHECKSUM", second, third, third + ".CHECKSUM"]
    assert not any(item.is_complete for item in state.objects)
    assert state.open == state.objects
    assert state.common_failure is None


def test_what_lies_in_staging_is_not_missing(state: BatchState) -> None:
    first, second, third = map(key_of, state.objects)
    arrive(state, first, third + ".CHECKSUM")
    look(state)
    assert missing(state) == [first + ".CHECKSUM", second, third]
    arrive(state, first + ".CHECKSUM", second, third)
    look(state)
    assert missing(state) == []
    assert all(item.is_complete for item in state.objects)
    assert [item.arrived_bytes for item in state.objects] == [2, 1, 2]


def test_an_object_is_complete_when_all_of_it_is_reported(state: BatchState) -> None:
    for item in state.objects:
        *others, last = item.planned.keys
        for key in others:
            assert state.note(copied(key)) == (item,)
            assert not item.is_complete
        assert state.note(copied(last)) == (item,)
        assert item.is_complete
        assert item.arrived_sidecar == (item.sidecar if item.planned.with_sidecar else None)


def test_a_success_is_not_believed_once_the_file_is_looked_for(state: BatchState) -> None:
    item = state.objects[0]
    for key in item.planned.keys:
        state.note(copied(key))
    item.look()
    assert not item.is_complete
    assert item.missing_keys == item.planned.keys
    assert item.fault is None


def test_of_a_stored_file_only_the_sidecar_is_missing(tmp_path: Path) -> None:
    planned = to_fetch(an_object())._replace(action=Action.CHECK)
    [item] = BatchState(Batch(1, (planned,), commands=1), tmp_path, BUCKET).objects
    assert (item.in_place, item.missing_keys) == (True, (planned.object.sidecar_key,))
    item.has_sidecar = True
    assert item.is_complete


def test_what_has_ended_is_not_open_and_not_missing(state: BatchState) -> None:
    state.objects[0].finished = True
    assert state.open == state.objects[1:]
    assert key_of(state.objects[0]) not in missing(state)


def test_words_about_zip_and_sidecar_find_their_object(state: BatchState) -> None:
    for item in state.objects:
        for key in item.planned.keys:
            assert state.note(copied(key)) == (item,)
            assert state.note(failed(key, BROKEN)) == (item,)


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
    assert not state.note(message)
    assert missing(state) == [key for item in state.objects for key in item.planned.keys]
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
    item.look()
    item.sidecar_absent = True
    item.reject("a digest", "SHA-256 differs")
    assert item.missing_keys == item.planned.keys
    item.look()
    assert item.missing_keys == item.planned.keys  # not even on disk
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


# What patterns copy


@pytest.fixture
def month(tmp_path: Path) -> BatchState:
    """Three days of a month, for which one pattern was asked."""
    state = BatchState(Batch(1, tuple(many_to_fetch(3)), commands=1), tmp_path, BUCKET)
    state.expect(by_patterns(state))
    return state


def by_patterns(state: BatchState) -> list[CopyCommand]:
    return list(copy_commands(BUCKET, missing(state)))


def pattern_failed(state: BatchState, error: str) -> Failed:
    [command] = by_patterns(state)
    assert command.by_pattern
    return Failed(command.shown, error)


def test_what_a_pattern_did_not_bring_is_asked_for_by_name(month: BatchState) -> None:
    first, second, third = month.objects
    for key in (*first.planned.keys, key_of(second)):
        month.note(copied(key))
    assert month.asked_by_pattern_only() == [second.planned.object.sidecar_key, *third.planned.keys]


def test_what_failed_or_ended_is_not_asked_for_by_name(month: BatchState) -> None:
    first, second, third = month.objects
    month.note(failed(key_of(first), BROKEN))
    second.finished = True
    assert month.asked_by_pattern_only() == list(third.planned.keys)


def test_what_was_asked_for_by_name_is_not_asked_for_again(month: BatchState) -> None:
    month.expect(copy_by_name(BUCKET, key) for key in missing(month))
    assert month.asked_by_pattern_only() == []


def test_an_object_of_a_pattern_fails_under_its_own_name(month: BatchState) -> None:
    """Measured with v2.3.0: s5cmd reports what a pattern matched as if it had been copied by name."""
    first, second, _ = month.objects
    assert month.note(failed(key_of(first), DENIED)) == (first,)
    assert month.note(failed(second.planned.object.sidecar_key, ABSENT)) == (second,)
    assert (first.fault, second.fault, second.sidecar_absent) == (Fault.DENIED, None, True)


@pytest.mark.parametrize("error", [BROKEN, "what?"])
def test_a_pattern_that_fails_fails_all_that_it_should_have_copied(month: BatchState, error: str) -> None:
    message = pattern_failed(month, error)
    first, *others = month.objects
    for key in first.planned.keys:
        month.note(copied(key))
    assert list(month.note(message)) == others
    assert [(item.fault is None, item.reason) for item in month.objects] == [(True, ""), (False, error), (False, error)]
    assert month.asked_by_pattern_only() == []


@pytest.mark.parametrize("error", [DENIED, ABSENT])
def test_a_server_that_lists_nothing_may_have_the_objects(month: BatchState, error: str) -> None:
    assert not month.note(pattern_failed(month, error))
    assert {item.fault for item in month.objects} == {None}
    assert month.asked_by_pattern_only() == missing(month)


def test_a_pattern_that_was_not_asked_for_says_nothing(month: BatchState) -> None:
    message = pattern_failed(month, BROKEN)
    month.expect([])
    assert not month.note(message)
    assert {item.fault for item in month.objects} == {None}


TEXTS = st.text(max_size=30)
PATTERN = next(iter(copy_commands(BUCKET, [key for item in many_to_fetch(3) for key in item.keys]))).shown
MESSAGES = st.one_of(
    st.builds(OtherLine, TEXTS),
    st.builds(Copied, TEXTS, TEXTS, st.integers(0)),
    st.builds(Failed, TEXTS | st.just(PATTERN), st.sampled_from([ABSENT, DENIED, BROKEN, "", "what?"])),
    st.sampled_from([0, 1, 2]).map(lambda number: copied(an_object(number).key)),
    st.tuples(st.sampled_from([0, 1, 2]), st.booleans(), st.sampled_from([ABSENT, DENIED, BROKEN, "?"])).map(
        lambda made: failed(an_object(made[0]).key + (".CHECKSUM" if made[1] else ""), made[2])
    ),
)


@given(messages=st.lists(MESSAGES, max_size=20))
def test_no_words_end_an_object_or_bring_a_file(
    messages: list[Message], tmp_path_factory: pytest.TempPathFactory
) -> None:
    batch = Batch(1, tuple(many_to_fetch(3)), commands=1)
    state = BatchState(batch, tmp_path_factory.getbasetemp() / "nothing here", BUCKET)
    state.expect(by_patterns(state))
    for message in messages:
        state.note(message)
    assert state.open == state.objects
    look(state)
    assert all(key_of(item) in item.missing_keys for item in state.objects)
