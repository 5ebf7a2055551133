"""Which door a run goes through: what two answers decide, and that a run falls back once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.run_config import DEFAULT_DOWNLOAD_URL, DEFAULT_ENDPOINT_URL, Access, Via
from crypto_archive.events import DoorChosen, Noticed
from crypto_archive.model import Notice
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.runfile import Parts
from crypto_archive.transfer.door import Answer, Doors, nearer, unlike
from tests.objects import an_object, listed, to_fetch

if TYPE_CHECKING:
    from crypto_archive.events import Event

LISTED = listed(100, "a" * 32)
OLDER = listed(100, "b" * 32)
SHORTER = listed(99, "a" * 32)
IN_PARTS = listed(100, "c" * 32 + "-2")
FAILED = Answer(0.1, error="connection refused")
MIRROR = "http://127.0.0.1:9000"


def near(seconds: float = 0.1, *, http2: bool = True, stat: object = LISTED) -> Answer:
    return Answer(seconds, stat, http2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "cdn", "elapsed", "chosen"),
    [
        (None, None, 0.1, None),
        (None, near(), 0.1, Via.CDN),
        (near(), None, 0.1, Via.S3),
        (near(0.2), near(0.1), 0.2, Via.CDN),
        (near(0.1), near(0.2), 0.2, Via.S3),
        # without HTTP/2 it has to be twice as fast
        (None, near(0.1, http2=False), 0.1, None),
        (None, near(0.1, http2=False), 0.2, Via.CDN),
        (near(0.15), near(0.1, http2=False), 0.15, Via.S3),
        (near(0.2), near(0.1, http2=False), 0.2, Via.CDN),
        # what the CDN has is not what is listed
        (None, near(stat=OLDER), 0.1, Via.S3),
        (None, near(stat=SHORTER), 0.1, Via.S3),
        (None, FAILED, 0.1, Via.S3),
        (None, near(stat=IN_PARTS), 0.1, Via.CDN),
        # S3 has something else than it has listed, or fails
        (near(stat=OLDER), None, 0.1, Via.S3),
        (near(0.2, stat=OLDER), near(0.1), 0.2, Via.S3),
        (FAILED, None, 0.1, None),
        (FAILED, near(0.2), 0.2, Via.CDN),
        (FAILED, FAILED, 0.1, Via.S3),
    ],
)
def test_the_first_door_that_has_what_is_listed(
    own: Answer | None, cdn: Answer | None, elapsed: float, chosen: Via | None
) -> None:
    assert nearer(own, cdn, LISTED, elapsed) is chosen


@pytest.mark.parametrize(
    ("own", "cdn", "chosen"),
    [
        (None, near(), None),
        (near(0.2), None, Via.S3),
        (near(0.2), near(0.1), Via.CDN),
        (near(0.2), near(0.1, stat=SHORTER), Via.S3),
        (FAILED, near(), Via.S3),
        (None, FAILED, Via.S3),
    ],
)
def test_without_a_listing_both_have_to_say_the_same(
    own: Answer | None, cdn: Answer | None, chosen: Via | None
) -> None:
    assert nearer(own, cdn, None, 0.3) is chosen


STATS = st.sampled_from([None, LISTED, OLDER, SHORTER, IN_PARTS])
ANSWERS = st.none() | st.builds(Answer, st.floats(0.001, 0.5), STATS, st.booleans())


@given(ANSWERS, ANSWERS, st.sampled_from([LISTED, IN_PARTS]), st.floats(0.5, 1))
def test_a_cdn_is_only_chosen_with_what_is_listed(
    own: Answer | None, cdn: Answer | None, there: object, elapsed: float
) -> None:
    if nearer(own, cdn, there, elapsed) is Via.CDN:  # type: ignore[arg-type]
        assert cdn is not None
        assert cdn.stat is not None
        assert not unlike(cdn.stat, there)  # type: ignore[arg-type]
        assert own is None or own.stat is None or cdn.seconds * cdn.handicap <= own.seconds


@pytest.mark.parametrize(
    ("access", "cdn"),
    [
        (Access(), DEFAULT_DOWNLOAD_URL),
        (Access(via=Via.CDN), DEFAULT_DOWNLOAD_URL),
        (Access(via=Via.S3), None),
        (Access(MIRROR), None),
        (Access(bucket="mirror"), None),
        (Access(MIRROR, download_url="https://cdn.example/a"), "https://cdn.example/a"),
        (Access(extra_args=("--profile=me",)), None),
    ],
)
def test_there_is_a_cdn_where_one_is_known_and_needs_no_credentials(access: Access, cdn: str | None) -> None:
    doors = Doors(Binary(Path("/s5cmd"), "2.3.0"), access, lambda _: None)
    assert (doors.cdn.access.endpoint_url if doors.cdn else None) == cdn
    assert doors.s3.access.endpoint_url == access.endpoint_url


def test_the_path_of_a_request_is_the_key_at_both_doors() -> None:
    doors = Doors(Binary(Path("/s5cmd"), "2.3.0"), Access(), lambda _: None)
    assert doors.cdn is not None
    key = an_object().key
    assert (doors.s3.source, doors.cdn.source) == ("s3://data.binance.vision/", "s3://")
    (command,) = doors.cdn.commands([key], Parts())
    assert command.line == f"cp --raw s3://{key} {key}"
    keys = [an_object(number).key for number in range(9)]
    assert len(doors.s3.commands(keys, Parts())) == 1
    assert [command.keys for command in doors.cdn.commands(keys, Parts())] == [(key,) for key in keys]


def test_a_run_falls_back_once_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Doors, "_nearer", lambda _, cdn, item: (cdn, item.object.key))
    said: list[Event] = []
    doors = Doors(Binary(Path("/s5cmd"), "2.3.0"), Access(), said.append)
    planned = [to_fetch(an_object(number), remote=listed(9 - number)) for number in range(2)]
    assert doors.cdn is not None
    assert doors.choose(planned) is doors.cdn
    assert doors.is_open(doors.cdn)
    for reason in ("it has an older copy", "once more"):
        doors.fall_back(reason)
    assert doors.choose(planned) is doors.s3
    assert (doors.is_open(doors.cdn), doors.is_open(doors.s3)) == (False, True)
    notice = f"the rest comes from S3 and not from the CDN {DEFAULT_DOWNLOAD_URL}: it has an older copy"
    smallest = planned[1].object.key
    assert said == [DoorChosen(Via.CDN, DEFAULT_DOWNLOAD_URL, smallest), Noticed(Notice(notice))]


def test_a_machine_without_room_for_the_question_takes_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    said: list[Event] = []
    doors = Doors(Binary(Path("/s5cmd"), "2.3.0"), Access(), said.append)
    assert doors.choose([to_fetch(an_object())]) is doors.s3
    reason = "the CDN was not asked: No such file or directory"
    assert said == [DoorChosen(Via.S3, DEFAULT_ENDPOINT_URL, reason)]


def test_a_cdn_that_was_asked_for_by_name_stays_open() -> None:
    doors = Doors(Binary(Path("/s5cmd"), "2.3.0"), Access(via=Via.CDN), lambda event: pytest.fail(str(event)))
    doors.fall_back("it has an older copy")
    assert doors.choose([to_fetch(an_object())]) is doors.cdn
    assert doors.access.endpoint_url == DEFAULT_DOWNLOAD_URL
