from __future__ import annotations

import os
from pathlib import Path

import pytest

from crypto_archive.config.run_config import Access
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.runfile import child_environment, command_line

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
