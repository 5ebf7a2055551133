"""Run-files, and what s5cmd is started with: every line says what it should, whatever a key looks like."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import assume, given, strategies as st

from crypto_archive.config.run_config import Access
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.runfile import (
    Parts,
    child_environment,
    command_line,
    copy_line,
    folders_line,
    list_line,
    run_files,
    write_run_file,
)

# All that a key may hold: anything but control characters and lone surrogates.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)


@given(key=TEXT, part_size=st.none() | st.integers(1, 5000), at_once=st.none() | st.integers(1, 20))
def test_a_copy_line_splits_back_into_what_went_in(key: str, part_size: int | None, at_once: int | None) -> None:
    assume(not key.endswith("/"))
    line = copy_line("bucket", key, "some folder/file", Parts(part_size, at_once))
    size = [] if part_size is None else ["--part-size", str(part_size)]
    parts = [] if at_once is None else ["--concurrency", str(at_once)]
    assert shlex.split(line) == ["cp", "--raw", *size, *parts, f"s3://bucket/{key}", "some folder/file"]
    assert len(line.splitlines()) == 1 or any(sign in key for sign in "\u2028\u2029")


@given(destination=TEXT)
def test_a_destination_survives_or_is_refused(destination: str) -> None:
    try:
        line = copy_line("bucket", "key", destination)
    except ValueError:
        assert destination.startswith(("/", "s3://", ".")) or destination.endswith("/") or ".." in destination
    else:
        assert shlex.split(line)[-1] == destination


@given(prefix=TEXT)
def test_a_list_line_splits_back_into_the_prefix_with_a_star(prefix: str) -> None:
    assume(not set(prefix) & set("*?"))
    assert shlex.split(list_line("bucket", prefix)) == ["ls", f"s3://bucket/{prefix}*"]


def test_lines_read_as_a_person_would_write_them() -> None:
    key = "data/spot/daily/klines/币安人生USDT/1h/币安人生USDT-1h-2025-07-15.zip"
    assert copy_line("data.binance.vision", key, key) == f"cp --raw 's3://data.binance.vision/{key}' '{key}'"
    assert copy_line("b", "a/b.zip", "a/b.zip", Parts(25)) == "cp --raw --part-size 25 s3://b/a/b.zip a/b.zip"
    assert list_line("b", "data/spot/") == "ls 's3://b/data/spot/*'"
    assert folders_line("b", "data/my spot/") == "ls 's3://b/data/my spot/'"
    assert folders_line("b", "") == "ls s3://b/"


@pytest.mark.parametrize("key", ["", "a/", "a\nb", "a\0b", "a\rb", "a\x85b", "a\x7f", "\ud800"])
def test_keys_that_cannot_stand_on_a_line_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot be written to a run-file"):
        copy_line("b", key, "file")


@pytest.mark.parametrize("destination", ["", ".", "/etc/x", "../x", "a/../../x", "a/", "s3://b/x", "a\nb"])
def test_destinations_that_leave_their_folder_are_refused(destination: str) -> None:
    with pytest.raises(ValueError, match="is not a relative path of a file"):
        copy_line("b", "key", destination)


@pytest.mark.parametrize("prefix", ["a*", "a?", "a\nb"])
def test_prefixes_that_s5cmd_would_expand_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cannot be listed with s5cmd"):
        list_line("b", prefix)


def test_a_folder_has_to_end_in_a_slash() -> None:
    with pytest.raises(ValueError, match="must end in '/'"):
        folders_line("b", "data/spot")


def test_every_line_of_a_header_is_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "x.s5cmd"
    write_run_file(path, ["ls s3://b/币*"], "one\ntwo")
    assert path.read_bytes() == "# one\n# two\nls s3://b/币*\n".encode()


def test_a_batch_becomes_as_many_run_files_as_it_needs(tmp_path: Path) -> None:
    lines = [copy_line("b", key, key) for key in ("a.zip", "b.zip", "c.zip")]
    files = list(run_files(tmp_path, 7, lines, batch_size=2, attempt=3))
    assert [file.name for file in files] == ["batch-00007-attempt3.s5cmd", "batch-00007-attempt3-part2.s5cmd"]
    assert files[0].read_text().splitlines() == [
        "# crypto-archive, batch 7, attempt 3, 2 copy commands.",
        "# By hand, in the folder that is to hold the files: s5cmd --no-sign-request run batch-00007-attempt3.s5cmd",
        "cp --raw s3://b/a.zip a.zip",
        "cp --raw s3://b/b.zip b.zip",
    ]
    assert files[1].read_text().splitlines()[2:] == ["cp --raw s3://b/c.zip c.zip"]


@pytest.mark.parametrize(
    ("attempt", "by_name", "name"),
    [
        (1, False, "batch-00012.s5cmd"),
        (1, True, "batch-00012-by-name.s5cmd"),
        (2, False, "batch-00012-attempt2.s5cmd"),
        (2, True, "batch-00012-attempt2-by-name.s5cmd"),
    ],
)
def test_a_run_file_is_called_after_what_it_is_for(tmp_path: Path, attempt: int, by_name: bool, name: str) -> None:
    first, second = run_files(tmp_path, 12, ["cp x y"] * 2, batch_size=1, attempt=attempt, by_name=by_name)
    assert first.name == name
    assert second.name == name.replace(".", "-part2.")


def test_nothing_to_copy_needs_no_run_file(tmp_path: Path) -> None:
    assert list(run_files(tmp_path, 1, [])) == list(tmp_path.iterdir()) == []


def test_a_run_file_is_written_only_when_it_is_wanted(tmp_path: Path) -> None:
    files = run_files(tmp_path, 1, (f"cp {number}.zip" for number in range(10**9)))
    assert next(files).name == "batch-00001.s5cmd"
    assert len(list(tmp_path.iterdir())) == 1


BINARY = Binary(Path("/opt/s5cmd"), "2.3.0")


def command(*extra: str) -> list[str]:
    access = Access(endpoint_url="http://127.0.0.1:9", extra_args=extra)
    return command_line(BINARY, access, Path("/runs/x.s5cmd"), workers=16, retries=3)


def test_the_whole_command() -> None:
    assert command() == [
        "/opt/s5cmd", "--json", "--log", "info", "--endpoint-url", "http://127.0.0.1:9", "--no-sign-request",
        "--numworkers", "16", "--retry-count", "3", "run", "/runs/x.s5cmd",
    ]  # fmt: skip


@pytest.mark.parametrize("given", [("--retry-count=5",), ("-r", "5"), ("-r=5",), ("--retry-count", "5")])
def test_the_users_retries_take_the_place_of_ours(given: tuple[str, ...]) -> None:
    args = command(*given)
    assert args[-2 - len(given) : -2] == list(given)
    assert args.count("--retry-count") == given.count("--retry-count")


def test_the_users_workers_take_the_place_of_ours() -> None:
    args = command("--numworkers=8")
    assert "--numworkers=8" in args
    assert "--numworkers" not in args


def test_no_sign_request_is_said_once() -> None:
    assert command("--no-sign-request").count("--no-sign-request") == 1


def test_credentials_make_requests_signed() -> None:
    args = command("--profile=mine")
    assert "--profile=mine" in args
    assert "--no-sign-request" not in args


def test_a_relative_run_file_becomes_absolute() -> None:
    args = command_line(BINARY, Access(), Path("x.s5cmd"), workers=1, retries=0)
    assert args[-1] == str(Path.cwd() / "x.s5cmd")


ENVIRON = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "HTTPS_PROXY": "http://proxy:3128",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "AWS_CA_BUNDLE": "/etc/bundle.pem",
    "AWS_PROFILE": "work",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_REGION": "eu-west-1",
    "S3_ENDPOINT_URL": "http://elsewhere",
}


def test_anonymous_requests_see_nothing_of_the_users_account() -> None:
    assert child_environment(Access(), ENVIRON) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "HTTPS_PROXY": "http://proxy:3128",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "AWS_CA_BUNDLE": "/etc/bundle.pem",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
    }


def test_signed_requests_keep_the_account_but_not_its_region() -> None:
    environment = child_environment(Access(region="us-east-1", extra_args=("--profile=work",)), ENVIRON)
    assert environment == ENVIRON | {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def test_the_environment_of_this_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    environment = child_environment(Access())
    assert environment["HTTPS_PROXY"] == "http://proxy:3128"
    assert environment["AWS_REGION"] == "ap-northeast-1"
