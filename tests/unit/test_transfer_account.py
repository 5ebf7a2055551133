"""The account of a batch: what s5cmd says is noted, what lies in staging decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import Batch, RemoteStat
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Folder, Listed, Message, Noise
from crypto_archive.transfer.lane import BatchState
from tests.objects import LISTED_AT, an_object, to_fetch

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.transfer.lane import ObjectState

BUCKET = "data.binance.vision"
ABSENT = "NoSuchKey:  status code: 404"
DENIED = "AccessDenied: Access Denied status code: 403"
BROKEN = "SlowDown: Please reduce your request rate. status code: 503"


@pytest.fixture
def account(tmp_path: Path) -> BatchState:
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


def arrive(account: BatchState, *keys: str) -> None:
    for key in keys:
        path = account.staging / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def key_of(entry: ObjectState) -> str:
    return entry.planned.object.key


def test_all_is_missing_at_first(account: BatchState) -> None:
    first, second, third = map(key_of, account.entries)
    assert account.missing_keys() == [first, first + ".CHECKSUM", second, third, third + ".CHECKSUM"]
    assert account.open == account.entries
    assert account.common_failure is None


def test_what_lies_in_staging_is_not_missing(account: BatchState) -> None:
    first, second, third = map(key_of, account.entries)
    arrive(account, first, third + ".CHECKSUM")
    assert account.missing_keys() == [first + ".CHECKSUM", second, third]
    arrive(account, first + ".CHECKSUM", second, third)
    assert account.missing_keys() == []


def test_a_success_is_not_believed_without_the_file(account: BatchState) -> None:
    entry = account.entries[1]
    assert account.note(copied(key_of(entry))) is entry
    assert entry.missing_keys == (key_of(entry),)
    assert entry.fault is None


def test_what_has_ended_is_not_open_and_not_missing(account: BatchState) -> None:
    account.entries[0].ended = True
    assert account.open == account.entries[1:]
    assert key_of(account.entries[0]) not in account.missing_keys()


def test_words_about_zip_and_sidecar_find_their_object(account: BatchState) -> None:
    for entry in account.entries:
        for key in entry.planned.keys:
            assert account.note(copied(key)) is entry
            assert account.note(failed(key, BROKEN)) is entry


@pytest.mark.parametrize(
    "message",
    [
        Noise("panic: runtime error"),
        Folder("data/spot/"),
        Listed("data/x.zip", RemoteStat(1, "etag", LISTED_AT)),
        Copied("s3://another/data/x.zip", "data/x.zip", 1),
        Copied("", "", 0),
        Failed("", "connection refused"),
        Failed("ls s3://data.binance.vision/x", ABSENT),
        Failed(f"cp s3://{BUCKET}/data/x.zip data/x.zip", ABSENT),
    ],
    ids=str,
)
def test_words_about_anything_else_change_nothing(account: BatchState, message: Message) -> None:
    assert account.note(message) is None
    assert {entry.fault for entry in account.entries} == {None}
    assert len(account.open) == 3


@pytest.mark.parametrize(
    ("error", "fault"), [(ABSENT, Fault.ABSENT), (DENIED, Fault.DENIED), (BROKEN, Fault.TRANSIENT)]
)
def test_a_failed_zip_has_its_fault_and_the_words(account: BatchState, error: str, fault: Fault) -> None:
    entry = account.entries[0]
    account.note(failed(key_of(entry), error))
    assert (entry.fault, entry.reason) == (fault, error)


def test_an_absent_sidecar_is_no_fault(account: BatchState) -> None:
    entry = account.entries[0]
    account.note(failed(key_of(entry) + ".CHECKSUM", ABSENT))
    assert entry.sidecar_absent
    assert entry.fault is None
    assert entry.missing_keys == (key_of(entry),)


@pytest.mark.parametrize("sidecar_first", [True, False])
def test_an_absent_zip_outweighs_what_else_went_wrong(account: BatchState, sidecar_first: bool) -> None:
    entry = account.entries[0]
    words = [failed(key_of(entry), ABSENT), failed(key_of(entry) + ".CHECKSUM", BROKEN)]
    for message in reversed(words) if sidecar_first else words:
        account.note(message)
    assert entry.fault is Fault.ABSENT


def test_an_attempt_forgets_the_faults_of_the_one_before(account: BatchState) -> None:
    entry = account.entries[0]
    account.note(failed(key_of(entry), BROKEN))
    account.note(failed(key_of(entry) + ".CHECKSUM", ABSENT))
    entry.begin(2)
    assert (entry.attempts, entry.fault, entry.reason) == (2, None, "")
    assert entry.sidecar_absent


def test_discarded_files_are_missing_again(account: BatchState) -> None:
    entry = account.entries[0]
    arrive(account, *entry.planned.keys)
    entry.sidecar_absent = True
    entry.discard(Fault.OTHER, "SHA-256 differs")
    assert entry.missing_keys == entry.planned.keys
    assert (entry.fault, entry.reason) == (Fault.OTHER, "SHA-256 differs")
    entry.discard(Fault.OTHER, "there is nothing left to throw away")


def test_a_failure_that_all_have_in_common(account: BatchState) -> None:
    for entry in account.entries:
        assert account.common_failure is None
        account.note(failed(key_of(entry), DENIED))
    assert account.common_failure is not None
    assert account.common_failure.fault is Fault.DENIED


def test_failures_that_differ_have_nothing_in_common(account: BatchState) -> None:
    for entry, error in zip(account.entries, (DENIED, BROKEN, DENIED), strict=True):
        account.note(failed(key_of(entry), error))
    assert account.common_failure is None


TEXTS = st.text(max_size=30)
MESSAGES = st.one_of(
    st.builds(Noise, TEXTS),
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
    account = BatchState(batch, tmp_path_factory.getbasetemp() / "nothing here", BUCKET)
    for message in messages:
        account.note(message)
    assert account.open == account.entries
    assert all(key_of(entry) in entry.missing_keys for entry in account.entries)
