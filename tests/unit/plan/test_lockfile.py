"""Lock files: every entry is read back as it was written; any damage is one error with its line."""

from __future__ import annotations

import contextlib
import itertools
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crypto_archive.errors import ExitCode, FileUnusable, UsageError
from crypto_archive.model import RemoteStat
from crypto_archive.plan.lockfile import (
    LONGEST_LINE,
    LockedObject,
    is_comment,
    line_of,
    open_lock,
    parse_line,
    prepare_lock,
    write_lock,
)
from tests.objects import LISTED_AT

BUCKET = "data.binance.vision"
STAT = RemoteStat(12_300, "e" * 32, LISTED_AT, sha256="a" * 64)
FIRST, SECOND = LockedObject("data/a.zip", STAT), LockedObject("data/b.zip", STAT._replace(has_sidecar=False))
LINE = f"data/a.zip\t12300\t{'e' * 32}\t2025-07-16T00:10:11Z\t{'a' * 64}\tsidecar"
HEAD = "# crypto-archive lock 1\n# bucket: data.binance.vision\n"

text = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
stats = st.builds(
    RemoteStat,
    st.integers(0, 10**18),
    text.filter(lambda etag: etag != "-") | st.just(""),
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.booleans(),
    st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    st.none(),
)
entries = st.builds(LockedObject, text | st.sampled_from(["#", "# end", "币安人生USDT", "a b", "\u2028"]), stats)


def sorted_entries(found: list[LockedObject]) -> list[LockedObject]:
    return [by_key[key] for by_key in [{one.key: one for one in found}] for key in sorted(by_key)]


@given(entries)
def test_a_line_comes_back(entry: LockedObject) -> None:
    line = line_of(entry)
    assert parse_line(line) == entry
    assert not is_comment(line)
    assert len(line.splitlines()) == 1 or any(mark in line for mark in "\u2028\u2029")


@given(entries, entries)
def test_lines_sort_as_the_bytes_of_their_keys(one: LockedObject, other: LockedObject) -> None:
    if one.key != other.key:
        by_line = line_of(one).encode() < line_of(other).encode()
        assert by_line == (one.key.encode() < other.key.encode()) == (one.key < other.key)


@given(st.lists(entries, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_comes_back(tmp_path: Path, found: list[LockedObject]) -> None:
    wanted = sorted_entries(found)
    path = tmp_path / "some.lock"
    assert write_lock(path, BUCKET, map(line_of, wanted)) == len(wanted)
    lock = open_lock(path)
    assert (lock.bucket, list(lock), list(lock)) == (BUCKET, wanted, wanted)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\r\n"))  # as git checks it out on Windows
    assert list(open_lock(path)) == wanted


def test_what_a_file_looks_like(tmp_path: Path) -> None:
    write_lock(tmp_path / "some.lock", BUCKET, [line_of(FIRST)])
    assert (tmp_path / "some.lock").read_text("utf-8") == (
        "# crypto-archive lock 1\n# bucket: data.binance.vision\n"
        f"# columns: key, size, etag, last_modified, sha256, sidecar\n{LINE}\n# end\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["some.lock"]


def test_times_of_other_zones_are_written_as_utc() -> None:
    there = LISTED_AT.astimezone(timezone(timedelta(hours=9)))
    assert line_of(FIRST._replace(stat=STAT._replace(last_modified=there))) == LINE


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (FIRST._replace(key="data/a\tb.zip"), "the key 'data/a\\tb.zip' contains a control character"),
        (FIRST._replace(key="data/\ud800.zip"), "contains a control character"),
        (FIRST._replace(stat=RemoteStat(1, "a\nb", LISTED_AT)), "the ETag 'a\\nb' contains a control character"),
        (FIRST._replace(stat=RemoteStat(1, "a", LISTED_AT.replace(tzinfo=None))), "has no time zone"),
    ],
)
def test_what_no_line_can_hold(entry: LockedObject, message: str) -> None:
    with pytest.raises(ValueError, match=r"control character|no time zone") as raised:
        line_of(entry)
    assert message in str(raised.value)


def edited(field: int, value: str) -> str:
    fields = LINE.split("\t")
    fields[field] = value
    return "\t".join(fields)


WRONG = {
    "no objects and no end": ("", 2, "the file ends here, without its last line, '# end'"),
    "no end": (f"{LINE}\n", 3, "the file ends here, without its last line, '# end'"),
    "cut within a line": (LINE[:50], 3, "it is cut short"),
    "cut within the end": (f"{LINE}\n# en", 4, "it is cut short"),
    "more after the end": (f"# end\n{LINE}\n", 4, "something follows its last line, '# end'"),
    "twice": (f"{LINE}\n{LINE}\n# end\n", 4, "the key 'data/a.zip' is repeated"),
    "unsorted": (f"{edited(0, 'data/b.zip')}\n{LINE}\n# end\n", 4,
                 "the key 'data/a.zip' is out of order, after 'data/b.zip'"),
    "too few fields": ("data/a.zip\t1\n# end\n", 3, "expected 6 fields separated by tabs, found 2"),
    "a mark of git": (f"<<<<<<< HEAD\n{LINE}\n# end\n", 3, "expected 6 fields separated by tabs, found 1"),
    "an empty line": ("\n# end\n", 3, "expected 6 fields separated by tabs, found 1"),
    "no key": (f"{edited(0, '')}\n# end\n", 3, "'' is not a valid key"),
    "a size with a sign": (f"{edited(1, '+5')}\n# end\n", 3, "'+5' is not a size in bytes"),
    "a size with a zero": (f"{edited(1, '05')}\n# end\n", 3, "'05' is not a size in bytes"),
    "a size of other digits": (f"{edited(1, '٣')}\n# end\n", 3, "'٣' is not a size in bytes"),
    "no ETag": (f"{edited(2, '')}\n# end\n", 3, "'' is not a valid ETag"),
    "a local time": (f"{edited(3, '2025-07-16T00:10:11+02:00')}\n# end\n", 3,
                     "'2025-07-16T00:10:11+02:00' is not a UTC time such as 2025-07-16T00:10:11Z"),
    "no such day": (f"{edited(3, '2025-02-30T00:10:11Z')}\n# end\n", 3,
                    "'2025-02-30T00:10:11Z' is not a UTC time such as 2025-07-16T00:10:11Z"),
    "a short digest": (f"{edited(4, 'abc')}\n# end\n", 3,
                       "'abc' is neither a SHA-256 of 64 lower-case hexadecimal digits nor '-'"),
    "a digest in capitals": (f"{edited(4, 'A' * 64)}\n# end\n", 3,
                             f"'{'A' * 64}' is neither a SHA-256 of 64 lower-case hexadecimal digits nor '-'"),
    "another word": (f"{edited(5, 'yes')}\n# end\n", 3, "'yes' is neither 'sidecar' nor '-'"),
    "an endless line": ("x" * 2 * LONGEST_LINE + "\n", 3, "it is too long"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "line", "what"), WRONG.values(), ids=WRONG)
def test_a_malformed_line_is_reported_with_its_number(tmp_path: Path, body: str, line: int, what: str) -> None:
    path = tmp_path / "some.lock"
    path.write_text(HEAD + body, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        list(open_lock(path))
    assert raised.value.message == f"The lock file {path} is corrupt at line {line}: {what}"
    assert "Restore the file from git" in raised.value.hint
    assert raised.value.exit_code is ExitCode.USAGE


def test_bytes_other_than_utf8_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.write_bytes(HEAD.encode() + b"data/\xff.zip\n")
    with pytest.raises(UsageError, match="line 3: it is not UTF-8"):
        list(open_lock(path))


NO_LOCK = "{path} is not a lock file: its first line is not '# crypto-archive lock 1'"
OTHER_VERSION = (
    "The lock file {path} has the format '# crypto-archive lock 2'; this version reads '# crypto-archive lock 1'"
)
WHO = "0a" * 16


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data/a.zip", "'data/a.zip' is not an awaited object: expected a reason, a day, a selection and a key"),
        (f"not-yet 2025-12-06 {WHO} ", "is not an awaited object"),
        (f"not-yet 2025-12-06 {WHO} data/\x9ba.zip", "is not an awaited object"),
        (f"not-yet 2025-12-36 {WHO} data/a.zip", "line 3: day "),  # the rest is Python's
        (f"because 2025-12-06 {WHO} data/a.zip", "'because'"),
    ],
)
def test_an_awaited_object_that_is_malformed_is_one_error(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "some.lock"
    path.write_text(f"{HEAD}# awaited: {text}\n{LINE}\n# end\n", encoding="utf-8", newline="")
    with pytest.raises(UsageError, match="corrupt at line 3: ") as raised:
        list(open_lock(path).waits())
    assert problem in raised.value.message
    assert [locked.key for locked in open_lock(path)] == ["data/a.zip"]


NO_BUCKET = "The lock file {path} is corrupt at line 2: expected the line '# bucket:' with the name of the bucket"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", NO_LOCK),
        ("market: spot\n", NO_LOCK),
        ("# crypto-archive lock 2\n", OTHER_VERSION),
        ("# crypto-archive lock 1\n", NO_BUCKET),
        ("# crypto-archive lock 1\n# bucket: \n", NO_BUCKET),
    ],
)
def test_a_head_of_another_kind_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "some.lock"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        open_lock(path)
    assert raised.value.message == message.format(path=path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Lock file not found") as raised:
        open_lock(tmp_path / "none.lock")
    assert "plan --lock" in raised.value.hint
    with pytest.raises(UsageError, match="cannot be read: it is a folder"):
        open_lock(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError, match="pipe cannot be read: it is not a regular file"):
            open_lock(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"cannot be read: .*embedded null"):
        open_lock(Path("a\0b"))


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda body: (HEAD + body).encode("utf-8", "surrogatepass")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_makes_reading_crash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.lock"
    path.write_bytes(content)
    with contextlib.suppress(UsageError):
        list(open_lock(path))


@given(st.lists(entries, min_size=1, max_size=4), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path, found: list[LockedObject], data: st.DataObject) -> None:
    path = tmp_path / "some.lock"
    write_lock(path, BUCKET, map(line_of, sorted_entries(found)))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(UsageError):
        list(open_lock(path))


def test_comments_of_a_person_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.write_text(f"{HEAD}# the spring backtest\n{LINE}\n#\n# end\n", encoding="utf-8")
    assert list(open_lock(path)) == [FIRST]


# Writing


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.write_text("old", encoding="utf-8")

    def torn() -> itertools.chain[str]:
        def fail() -> str:
            assert path.read_text("utf-8") == "old"
            raise KeyboardInterrupt

        return itertools.chain([LINE], (fail() for _ in range(1)))

    with pytest.raises(KeyboardInterrupt):
        write_lock(path, BUCKET, torn())
    assert [(one.name, one.read_text("utf-8")) for one in tmp_path.iterdir()] == [("some.lock", "old")]


@pytest.mark.parametrize("act", [prepare_lock, lambda path: write_lock(path, BUCKET, [])], ids=["prepare", "write"])
def test_a_place_where_no_file_can_be(tmp_path: Path, act: object) -> None:
    assert callable(act)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "some.lock"):
        with pytest.raises(FileUnusable, match="Cannot write ") as raised:
            act(path)
        assert "--lock" in raised.value.hint


def test_folders_are_made_beforehand_and_nothing_else(tmp_path: Path) -> None:
    prepare_lock(tmp_path / "locks" / "some.lock")
    assert list(tmp_path.rglob("*")) == [tmp_path / "locks"]
