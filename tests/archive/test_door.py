"""Objects from a CDN: which door a run takes, and that what the CDN lacks or has kept too long comes from S3."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

import pytest

from crypto_archive.config.run_config import DEFAULT_BUCKET, Access
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.transfer.door import Door, Doors
from tests.archive.front import CERTIFICATE, Front, needs_nginx
from tests.archive.proxy import Delay, FaultProxy, Other, Status
from tests.archive.results import KEYS
from tests.objects import an_object, listed, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.model import PlannedObject
    from tests.archive.served import Archive

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
NEVER = Delay(600)
"""Longer than any test lasts."""


@pytest.fixture
def cdn(archive: Archive) -> Iterator[FaultProxy]:
    """A fault proxy that is a CDN: below its URL with the bucket, objects have their keys. It speaks HTTP/1.1."""
    if archive.live:
        pytest.skip("needs the fault proxy; not against the live archive")
    with FaultProxy(archive.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def front(cdn: FaultProxy, tmp_path: Path) -> Iterator[Front]:
    """The same CDN with HTTP/2."""
    with Front(url_of(cdn), tmp_path / "front") as front:
        yield front


def url_of(cdn: FaultProxy) -> str:
    return f"{cdn.endpoint_url}/{DEFAULT_BUCKET}"


# The choice


def chosen(proxy: FaultProxy, cdn_url: str, planned: PlannedObject) -> tuple[Door, str]:
    """Return the door that a run would take, and why."""
    reasons: list[str] = []
    access = Access(proxy.endpoint_url, download_url=cdn_url)
    doors = Doors(find_binary(), access, lambda event: reasons.append(event.reason))  # type: ignore[union-attr]
    door = doors.choose([planned])
    assert doors.choose([planned]) is door  # and nobody was asked again
    (reason,) = reasons
    return door, reason


@pytest.fixture
def planned(archive: Archive) -> PlannedObject:
    content = (archive.bucket / KEYS[2]).read_bytes()
    assert an_object(14).key == KEYS[2]
    return to_fetch(an_object(14), remote=listed(len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()))


@needs_nginx
def test_a_cdn_with_http2_that_answers_first(
    proxy: FaultProxy, front: Front, planned: PlannedObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    proxy.fault("HEAD", "*", NEVER)
    door, reason = chosen(proxy, front.url, planned)
    assert door.via == "cdn"
    assert reason.startswith("s3: no answer yet, cdn: ")
    assert reason.endswith(" ms over HTTP/2")
    assert front.requests == [("HTTP/2.0", "HEAD", "200")]


def test_a_cdn_without_http2_that_answers_long_before(
    proxy: FaultProxy, cdn: FaultProxy, planned: PlannedObject
) -> None:
    proxy.fault("HEAD", "*", NEVER)
    door, reason = chosen(proxy, url_of(cdn), planned)
    assert door.via == "cdn"
    assert reason.endswith(" ms")


def test_a_slow_cdn(proxy: FaultProxy, cdn: FaultProxy, planned: PlannedObject) -> None:
    cdn.fault("HEAD", "*", NEVER)
    door, reason = chosen(proxy, url_of(cdn), planned)
    assert door.via == "s3"
    assert reason.endswith("cdn: no answer yet")


def test_a_cdn_that_is_not_there(proxy: FaultProxy, planned: PlannedObject) -> None:
    proxy.fault("HEAD", "*", NEVER)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        door, reason = chosen(proxy, f"http://127.0.0.1:{taken.getsockname()[1]}", planned)
    assert door.via == "s3"
    assert "connection refused" in reason


def test_two_doors_that_never_answer(proxy: FaultProxy, cdn: FaultProxy, planned: PlannedObject) -> None:
    proxy.fault("HEAD", "*", NEVER)
    cdn.fault("HEAD", "*", NEVER)
    assert chosen(proxy, url_of(cdn), planned)[0].via == "s3"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Status(403), "403"),
        (Status(404), "not found"),
        (Other(PAGE), "has 54 bytes"),
        (Other(PAGE, 403), "403"),
        (Other(b"an older copy"), "has 13 bytes"),
    ],
)
def test_a_cdn_that_does_not_have_what_is_listed(
    proxy: FaultProxy, cdn: FaultProxy, planned: PlannedObject, fault: Status | Other, why: str
) -> None:
    proxy.fault("HEAD", "*", NEVER)
    cdn.fault("HEAD", "*", fault)
    door, reason = chosen(proxy, url_of(cdn), planned)
    assert door.via == "s3"
    assert why in reason


@pytest.mark.parametrize(("fault", "via"), [(None, "cdn"), (Other(PAGE), "s3")])
def test_without_a_listing_both_doors_must_have_the_same(
    proxy: FaultProxy, cdn: FaultProxy, fault: Other | None, via: str
) -> None:
    proxy.fault("HEAD", "*", Delay(0.25))  # so that the CDN is clearly nearer
    if fault is not None:
        cdn.fault("HEAD", "*", fault)
    assert chosen(proxy, url_of(cdn), to_fetch(an_object(14)))[0].via == via
