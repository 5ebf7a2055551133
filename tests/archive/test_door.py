"""Objects from a CDN: which door a run takes, and that what the CDN lacks or has kept too long comes from S3."""

from __future__ import annotations

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from crypto_archive.config.run_config import DEFAULT_BUCKET, Access
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.transfer import door as door_module
from crypto_archive.transfer.door import Door, Doors
from tests.archive.front import CERTIFICATE, Front, needs_nginx
from tests.archive.proxy import Corrupt, Delay, FaultProxy, Other, Stall, Status, Truncate
from tests.archive.results import (
    FOLDER,
    FUTURES,
    KEYS,
    RESEARCH,
    SERIES,
    THREE,
    assert_same_bytes,
    collect,
    files_below,
    preset,
    stored,
)
from tests.archive.sample import SIDECAR, Defect
from tests.objects import an_object, listed, to_fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.model import PlannedObject
    from tests.archive.proxy import Fault
    from tests.archive.results import Collected
    from tests.archive.running import Runner
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


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the doors more time to answer than a busy machine needs."""
    monkeypatch.setattr(door_module, "PROBE_SECONDS", 30.0)


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


def test_two_doors_that_never_answer(
    proxy: FaultProxy, cdn: FaultProxy, planned: PlannedObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "PROBE_SECONDS", 0.1)
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
    proxy.fault("HEAD", "*", Delay(1))  # so that the CDN is clearly nearer
    if fault is not None:
        cdn.fault("HEAD", "*", fault)
    assert chosen(proxy, url_of(cdn), to_fetch(an_object(14)))[0].via == via


# What comes through it


@pytest.fixture
def nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run find that the CDN is nearer."""
    monkeypatch.setattr(Doors, "_nearer", lambda _, cdn, item: (cdn, f"by order of the test: {item.object.key}"))


@pytest.fixture
def via_cdn(run: Runner, proxy: FaultProxy, cdn: FaultProxy, nearer: None) -> Runner:
    """A runner that takes the CDN, without being told to."""
    del nearer
    return run.at(proxy.endpoint_url).with_environment(CRYPTO_ARCHIVE_DOWNLOAD_URL=url_of(cdn))


@pytest.fixture
def over_http2(via_cdn: Runner, front: Front) -> Runner:
    """The same through a CDN that speaks HTTP/2."""
    return via_cdn.with_environment(CRYPTO_ARCHIVE_DOWNLOAD_URL=front.url, SSL_CERT_FILE=CERTIFICATE)


def fetched(proxy: FaultProxy) -> set[str]:
    """Return the keys that came from a server."""
    return {seen.key for seen in proxy.requests if seen.kind == "GET"}


def reports_of(done: Collected) -> list[str]:
    """Return the notices about the CDN."""
    return [event["notice"] for event in done.events("noticed") if "CDN" in event["notice"]]


WITH_SIDECARS = {*KEYS, *(key + SIDECAR for key in KEYS)}


@needs_nginx
def test_all_objects_over_one_connection(
    run: Runner, proxy: FaultProxy, front: Front, cdn: FaultProxy, archive: Archive
) -> None:
    proxy.fault("HEAD", "*", NEVER)
    environment = {"CRYPTO_ARCHIVE_DOWNLOAD_URL": front.url, "SSL_CERT_FILE": CERTIFICATE}
    done = collect(run.at(proxy.endpoint_url).with_environment(**environment), *FUTURES, "-j", "1")
    count = sum(done.outcomes.values())
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": count}, {"ok": count})
    (choice,) = done.events("door-chosen")
    assert (choice["via"], choice["url"]) == ("cdn", front.url)
    assert_same_bytes(done.root, archive.bucket, stored(done.root))
    assert fetched(proxy) == set()  # S3 has listed, and no more
    assert len(fetched(cdn)) == 2 * count
    assert {version for version, _, _ in front.requests} == {"HTTP/2.0"}
    assert sum(method == "GET" for _, method, _ in front.requests) == 2 * count
    assert front.connections <= 1 + len(done.run_files)  # one for the choice
    again = collect(run.at(archive.endpoint_url).with_environment(CRYPTO_ARCHIVE_VIA="s3"), *FUTURES)
    assert (again.code, again.outcomes) == (0, {"present": count})


def test_objects_through_a_door_without_http2(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy, archive: Archive
) -> None:
    done = collect(via_cdn, *THREE, "-v")
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert f"via cdn: {url_of(cdn)}: by order of the test: {FOLDER}" in done.stderr
    assert_same_bytes(done.root, archive.bucket, KEYS)
    header = next(iter(done.folder.glob("batch-*.s5cmd"))).read_text("utf-8")
    assert f"s5cmd --no-sign-request --endpoint-url {url_of(cdn)} run batch-" in header
    assert (fetched(cdn), fetched(proxy)) == (WITH_SIDECARS, set())
    assert reports_of(done) == []


def test_s3_is_all_that_is_asked_where_nothing_else_is_wanted(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy
) -> None:
    done = collect(via_cdn, *THREE, "--via", "s3")
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert cdn.requests == ()
    assert done.events("door-chosen") == []
    assert fetched(proxy) == WITH_SIDECARS


def older(archive: Archive, key: str) -> tuple[bytes, bytes]:
    """Return another zip of the same size for a key, and the sidecar that it once had."""
    name = key.rpartition("/")[2]
    content = (archive.bucket / key).read_bytes()
    zipped = older_zip(content, name)
    return zipped, f"{hashlib.sha256(zipped).hexdigest()}  {name}\n".encode()


def older_zip(content: bytes, name: str) -> bytes:
    """Return a zip of another row, with a comment that makes it as long as another one."""
    file = BytesIO()
    with ZipFile(file, "w") as zipped:
        zipped.writestr(name.replace(".zip", ".csv"), "1,2\n")
    assert len(file.getvalue()) < len(content)
    with ZipFile(file, "a") as zipped:
        zipped.comment = b"x" * (len(content) - len(file.getvalue()))
    assert len(file.getvalue()) == len(content)
    return file.getvalue()


def serve_older(cdn: FaultProxy, archive: Archive, key: str) -> None:
    zipped, sidecar = older(archive, key)
    for kind in ("HEAD", "GET"):
        cdn.fault(kind, key, Other(zipped))
        cdn.fault(kind, key + SIDECAR, Other(sidecar))


HTML = [Other(PAGE), Other(PAGE, 403), Other(PAGE, 404)]


def test_an_older_copy_with_its_older_sidecar(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy, archive: Archive
) -> None:
    serve_older(cdn, archive, KEYS[1])
    done = collect(via_cdn, *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    (notice,) = reports_of(done)
    assert notice.startswith(f"the rest comes from S3 and not from the CDN {url_of(cdn)}: {KEYS[1]}: ")
    assert_nothing_was_held_against_it(done)
    assert {KEYS[1], KEYS[1] + SIDECAR} <= fetched(proxy)


def assert_nothing_was_held_against_it(done: Collected) -> None:
    """See that what the CDN lacked cost neither an attempt nor a place in quarantine."""
    assert {event["attempts"] for event in done.events("object-finished")} == {1}
    assert done.events("batch-retried") == []
    assert files_below(done.root / ".crypto-archive" / "quarantine") == []


LACKS = [
    *((KEYS[1], fault) for fault in (*HTML, Status(403), Status(404), Truncate(), Corrupt())),
    *((KEYS[1] + SIDECAR, fault) for fault in (*HTML, Status(404), Corrupt())),
]


@pytest.mark.parametrize(("name", "fault"), LACKS)
def test_whatever_else_it_lacks_comes_from_s3(
    via_cdn: Runner, cdn: FaultProxy, archive: Archive, hasty: Path, name: str, fault: Fault
) -> None:
    for kind in ("HEAD", "GET"):
        cdn.fault(kind, name, fault)
    done = collect(via_cdn, *THREE, "-p", hasty)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert len(reports_of(done)) == 1
    assert_nothing_was_held_against_it(done)


@pytest.mark.parametrize("fault", [Other(PAGE), Status(403)])
def test_a_page_in_place_of_the_bytes_alone(
    via_cdn: Runner, cdn: FaultProxy, archive: Archive, hasty: Path, fault: Fault
) -> None:
    cdn.fault("GET", KEYS[1], fault)  # and not of the HEAD before
    done = collect(via_cdn, *THREE, "-p", hasty)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert len(reports_of(done)) == 1


@pytest.fixture
def hasty(tmp_path: Path) -> Path:
    """A preset without s5cmd's own retries, which are slow on purpose."""
    return preset(tmp_path, "s5cmd_extra_args: [--retry-count=0]\n")


def test_a_stored_file_stays_though_the_cdn_has_an_older_sidecar(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy, archive: Archive
) -> None:
    without = preset(via_cdn.folder, "download_checksum: false\n")
    assert collect(via_cdn, *THREE, "--via", "s3", "-p", without).outcomes == {"fetched": 3}
    serve_older(cdn, archive, KEYS[1])
    before = proxy.count("GET", KEYS[1])
    done = collect(via_cdn, *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"present": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert len(reports_of(done)) == 1
    assert (proxy.count("GET", KEYS[1]), cdn.count("GET", KEYS[1])) == (before, 0)


def test_a_run_goes_on_through_s3_once_it_was_contradicted(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy, archive: Archive
) -> None:
    serve_older(cdn, archive, KEYS[0])
    done = collect(
        via_cdn, *SERIES, "--start", "2025-06-01", "--end", "2025-07-15", "-j", "1", "-p", one_a_batch(via_cdn)
    )
    assert (done.code, set(done.outcomes)) == (0, {"fetched"})
    assert len(reports_of(done)) == 1
    assert_same_bytes(done.root, archive.bucket, stored(done.root))
    after = [seen.key for seen in cdn.requests if seen.kind == "GET"]
    assert after[-1] in {KEYS[0], KEYS[0] + SIDECAR}  # and nothing of what came later
    assert set(KEYS[1:]) <= fetched(proxy)


def one_a_batch(run: Runner) -> Path:
    return preset(run.folder, "batch_size: 2\n")


def test_what_the_archive_has_wrong_is_not_the_fault_of_the_door(via_cdn: Runner, archive: Archive) -> None:
    stale = next(key for key, defect in archive.spec.defects.items() if defect is Defect.STALE_SIDECAR)
    item = next(one for one in archive.spec.objects if one.key == stale)
    day = str(item.period)
    words = ("-m", item.market, "-t", item.data_type, "-s", item.symbol, "--start", day, "--end", day)
    done = collect(via_cdn, *words, *(("-i", item.interval) if item.interval else ()))
    assert done.verdicts["sidecar-stale"] == 1
    assert reports_of(done) == []


@pytest.mark.parametrize("lost", [True, False])
def test_an_absence_is_what_s3_says(
    via_cdn: Runner, proxy: FaultProxy, cdn: FaultProxy, archive: Archive, *, lost: bool
) -> None:
    """Without a listing, what the CDN lacks may be in the archive."""
    for kind in ("HEAD", "GET"):
        cdn.fault(kind, f"{KEYS[2]}*", Status(404))
        if lost:
            proxy.fault(kind, f"{KEYS[2]}*", Status(404))
    done = collect(via_cdn, *THREE, "--discover", "calendar")
    assert done.outcomes == ({"fetched": 2, "absent": 1} if lost else {"fetched": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS[: 2 if lost else 3])
    assert {KEYS[0], KEYS[1]} <= fetched(cdn)
    assert not {KEYS[0], KEYS[1]} & fetched(proxy)
    assert reports_of(done) == []


@needs_nginx
def test_a_door_that_dies_in_mid_run(
    over_http2: Runner, front: Front, cdn: FaultProxy, archive: Archive, hasty: Path
) -> None:
    held = cdn.fault("GET", "*ETHUSDT*", Stall())
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: held.wait() or front.kill())  # type: ignore[func-returns-value]
        done = collect(over_http2, *RESEARCH, "-p", hasty)
    count = sum(done.outcomes.values())
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": count}, {"ok": count})
    assert_same_bytes(done.root, archive.bucket, stored(done.root))
    assert len(reports_of(done)) == 1
    assert_nothing_was_held_against_it(done)


@needs_nginx
def test_an_older_copy_over_http2(over_http2: Runner, cdn: FaultProxy, archive: Archive) -> None:
    serve_older(cdn, archive, KEYS[1])
    done = collect(over_http2, *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    assert len(reports_of(done)) == 1
    assert_nothing_was_held_against_it(done)


def test_a_door_that_falls_silent(via_cdn: Runner, cdn: FaultProxy, archive: Archive) -> None:
    cdn.fault("GET", KEYS[1], Stall())
    done = collect(via_cdn.with_environment(CRYPTO_ARCHIVE_STALL_SECONDS="1"), *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)
    (notice,) = reports_of(done)
    assert notice.endswith("nothing arrived for 1 seconds")
    assert_nothing_was_held_against_it(done)


# The CDN by name


@pytest.fixture
def only_cdn(run: Runner, archive: Archive, cdn: FaultProxy) -> Runner:
    return run.at(archive.endpoint_url).with_environment(
        CRYPTO_ARCHIVE_DOWNLOAD_URL=url_of(cdn), CRYPTO_ARCHIVE_VIA="cdn"
    )


def test_what_the_cdn_has_kept_too_long_fails(
    only_cdn: Runner, cdn: FaultProxy, archive: Archive, tmp_path: Path
) -> None:
    serve_older(cdn, archive, KEYS[1])
    done = collect(only_cdn, *THREE)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert done.events("door-chosen") == []
    reason = done.reasons[KEYS[1]]
    assert reason.startswith(f"the CDN {url_of(cdn)} does not have it as the archive has: ")
    assert reason.endswith("; use --via s3")
    assert stored(done.root) == {KEYS[0], KEYS[2]}
    assert files_below(done.root / ".crypto-archive" / "quarantine") == []
    cured = collect(only_cdn, *THREE, "--via", "s3")
    assert (cured.code, cured.outcomes) == (0, {"fetched": 1, "present": 2})


@pytest.mark.parametrize("code", [403, 404])
def test_what_the_cdn_does_not_have_fails(only_cdn: Runner, cdn: FaultProxy, code: int) -> None:
    for kind in ("HEAD", "GET"):
        cdn.fault(kind, KEYS[1], Status(code))
    done = collect(only_cdn, *THREE)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert done.reasons[KEYS[1]].startswith(f"the CDN {url_of(cdn)} does not have it, but it is listed: ")
    assert done.reasons[KEYS[1]].endswith("; use --via s3")


def test_a_cdn_that_was_asked_for_and_is_not_there_ends_the_run(only_cdn: Runner) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = collect(only_cdn.with_environment(CRYPTO_ARCHIVE_DOWNLOAD_URL=url), *THREE)
    assert done.code == 5
    assert f"{url} cannot be reached" in done.stderr
