"""What an error of s5cmd says about the server: no URL of a request, and a hint that fits."""

from __future__ import annotations

import pytest

from crypto_archive.config.run_config import Access
from crypto_archive.errors import ExitCode
from crypto_archive.s5cmd.failure import AGAIN, server_failed
from crypto_archive.s5cmd.output import Failed, parse_line
from crypto_archive.text import json_text

HERE = "http://h:1"
NETWORK = "Check the network, the proxy settings and --endpoint-url."
CALENDAR = "--discover calendar"
SENT = 'RequestError: send request failed\ncaused by: Get "http://h:1/b?list-type=2&prefix=data%2F": '


def failure(error: str) -> str:
    message = parse_line(json_text({"operation": "ls", "command": "ls s3://b/data/", "error": error}))
    assert isinstance(message, Failed)
    return message.error


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (SENT + "dial tcp 127.0.0.1:1: connect: connection refused",
         f"The archive's server {HERE} cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused", NETWORK),
        (SENT + "dial tcp: lookup h on 10.0.0.1:53: no such host",
         f"The archive's server {HERE} cannot be reached: dial tcp: lookup h on 10.0.0.1:53: no such host",
         "Check the network, its DNS, and the host in --endpoint-url."),
        (SENT + "proxyconnect tcp: dial tcp: lookup proxy: no such host",
         f"The archive's server {HERE} cannot be reached: proxyconnect tcp: dial tcp: lookup proxy: no such host",
         "Check the proxy settings: `crypto-archive doctor` shows which proxy is used."),
        (SENT + "x509: certificate signed by unknown authority",
         f"The archive's server {HERE} cannot be reached: x509: certificate signed by unknown authority",
         "Check --endpoint-url and the clock; if a proxy intercepts TLS, name its certificates in AWS_CA_BUNDLE."),
        (SENT + "http: server gave HTTP response to HTTPS client",
         f"The archive's server {HERE} cannot be reached: http: server gave HTTP response to HTTPS client",
         "Check whether --endpoint-url has to begin with http:// or https://."),
        ("NoSuchBucket: it does not exist\n\tstatus code: 404, request id: 7",
         f"The archive's server {HERE} has no bucket 'b'", "Check --endpoint-url and CRYPTO_ARCHIVE_BUCKET."),
        ("SlowDown: Slower, please.\n\tstatus code: 503",
         f"The archive's server {HERE} failed to list the bucket 'b': SlowDown: Slower, please. status code: 503",
         AGAIN),
        ("no answer for 60 seconds",
         f"The archive's server {HERE} failed to list the bucket 'b': no answer for 60 seconds", AGAIN),
    ],
    ids=["refused", "DNS", "proxy", "TLS", "scheme", "bucket", "503", "silence"],
)  # fmt: skip
def test_the_hint_fits_the_cause(error: str, message: str, hint: str) -> None:
    found = server_failed(Access(endpoint_url=HERE, bucket="b"), failure(error), listing=True)
    assert (found.message, found.hint, found.exit_code) == (message, hint, ExitCode.ENVIRONMENT)
    assert CALENDAR not in found.hint


def test_only_a_denied_listing_can_be_done_without() -> None:
    denied = failure("AccessDenied: Access Denied\n\tstatus code: 403")
    access = Access(endpoint_url=HERE, bucket="b")
    listing, objects = (server_failed(access, denied, listing=listing) for listing in (True, False))
    assert listing.message.startswith(f"The archive's server {HERE} denies the listing: AccessDenied")
    assert "a proxy or a firewall may be in the way" in listing.hint
    assert "`plan` and `collect` need no listing with --discover calendar." in listing.hint
    assert objects.message.startswith(f"The archive's server {HERE} denies access: AccessDenied")
    assert CALENDAR not in objects.hint


def test_credentials_that_are_denied_are_denied_the_objects_too() -> None:
    access = Access(extra_args=("--profile=trader",))
    assert not access.anonymous
    found = server_failed(access, "AccessDenied: Access Denied status code: 403", listing=True)
    assert found.hint == "The archive is public: try without --profile and --credentials-file in s5cmd_extra_args."


@pytest.mark.parametrize("error", [SENT + "EOF", SENT.replace("http://h:1/b", 'http://h:1/b\\"c') + "EOF",
                                   "RequestError: send request failed\ncaused by: EOF"])  # fmt: skip
def test_the_url_of_a_request_is_left_out(error: str) -> None:
    assert failure(error) == "EOF"
