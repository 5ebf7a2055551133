"""Each fault of the proxy, as the real s5cmd meets it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.programs import s5cmd
from tests.archive.proxy import Corrupt, Delay, FaultProxy, Seen, Slow, Stall, Status, Truncate
from tests.archive.sample import SIDECAR
from tests.archive.served import LIVE_ENDPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.served import Archive

pytestmark = pytest.mark.skipif(bool(LIVE_ENDPOINT), reason="tests the proxy in front of our own server")

FOLDER = "data/spot/daily/klines/BTCUSDT/1h/"
KEY = FOLDER + "BTCUSDT-1h-2025-07-15.zip"
PATTERN = "*BTCUSDT-1h-2025-07-15.zip"


def start(proxy: FaultProxy, *arguments: str, folder: Path, retries: int = 0) -> subprocess.Popen[str]:
    options = ["--json", "--no-sign-request", "--retry-count", str(retries), "--endpoint-url", proxy.endpoint_url]
    return subprocess.Popen(
        [str(s5cmd()), *options, *arguments],
        cwd=folder,
        env=os.environ | {"AWS_REGION": "us-east-1"},  # without one, s5cmd asks for the bucket's region first
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    with process:
        output, _ = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def copy(proxy: FaultProxy, key: str, folder: Path, retries: int = 0) -> tuple[int, list[dict[str, Any]]]:
    return finish(
        start(proxy, "cp", "--raw", f"s3://data.binance.vision/{key}", "got.zip", folder=folder, retries=retries)
    )


def test_everything_passes_where_no_fault_is_set(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    code, _ = finish(start(proxy, "cp", "s3://data.binance.vision/data/spot/daily/*", "got/", folder=tmp_path))
    assert code == 0
    expected = [path for path in (archive.bucket / "data/spot/daily").rglob("*") if path.is_file()]
    for path in expected:
        got = tmp_path / "got" / path.relative_to(archive.bucket / "data/spot/daily")
        assert got.read_bytes() == path.read_bytes()
    assert proxy.count("GET") == len(expected)
    assert proxy.count("LIST") == 1


def test_requests_are_counted_by_kind_and_key(proxy: FaultProxy, tmp_path: Path) -> None:
    assert copy(proxy, KEY, tmp_path)[0] == 0
    assert [(seen.kind, seen.key) for seen in proxy.requests] == [("HEAD", KEY), ("GET", KEY)]
    assert proxy.count() == 2
    assert proxy.count("GET", PATTERN) == 1
    assert proxy.count("GET", "*ETHUSDT*") == 0


def test_ranges_reach_the_server(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    key = "data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-12.zip"
    assert copy(proxy, key, tmp_path)[0] == 0
    ranges = [seen.range for seen in proxy.requests if seen.kind == "GET"]
    assert all(asked.startswith("bytes=0-") for asked in ranges)
    assert (tmp_path / "got.zip").read_bytes() == (archive.bucket / key).read_bytes()


@pytest.mark.parametrize("status", [403, 404])
def test_a_status_at_the_head_request_alone_does_not_keep_s5cmd_from_the_object(
    proxy: FaultProxy, tmp_path: Path, status: int
) -> None:
    rule = proxy.fault("HEAD", PATTERN, Status(status))
    assert copy(proxy, KEY, tmp_path)[0] == 0
    assert rule.hits == proxy.count("HEAD") == 1


@pytest.mark.parametrize(("status", "word"), [(403, "AccessDenied"), (404, "NoSuchKey")])
def test_a_status_at_the_get_request(proxy: FaultProxy, tmp_path: Path, status: int, word: str) -> None:
    proxy.fault("GET", PATTERN, Status(status))
    code, said = copy(proxy, KEY, tmp_path, retries=3)
    assert code == 1
    assert word in said[-1]["error"]
    assert proxy.count("GET") == 1


def test_a_status_for_the_first_requests_only(proxy: FaultProxy, tmp_path: Path) -> None:
    rule = proxy.fault("GET", PATTERN, Status(503, times=1))
    assert copy(proxy, KEY, tmp_path, retries=2)[0] == 0
    assert (rule.hits, proxy.count("GET")) == (1, 2)


def test_a_status_for_a_listing(proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("LIST", "data/spot/*", Status(403))
    code, said = finish(start(proxy, "ls", f"s3://data.binance.vision/{FOLDER}", folder=tmp_path))
    assert code == 1
    assert "AccessDenied" in said[-1]["error"]
    assert proxy.requests == (Seen("LIST", FOLDER),)


def test_a_truncated_body(proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("GET", PATTERN, Truncate())
    code, said = copy(proxy, KEY, tmp_path)
    assert code == 1
    assert "unexpected EOF" in said[-1]["error"]
    assert not (tmp_path / "got.zip").exists()


def test_a_corrupt_body_has_the_right_length(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("GET", PATTERN, Corrupt(times=1))
    right = (archive.bucket / KEY).read_bytes()
    assert copy(proxy, KEY, tmp_path)[0] == 0
    got = (tmp_path / "got.zip").read_bytes()
    assert len(got) == len(right)
    assert sum(a != b for a, b in zip(got, right, strict=True)) == 16
    assert copy(proxy, KEY, tmp_path)[0] == 0
    assert (tmp_path / "got.zip").read_bytes() == right


def test_a_short_body_can_be_corrupted_too(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("GET", "*" + SIDECAR, Corrupt())
    assert copy(proxy, KEY + SIDECAR, tmp_path)[0] == 0
    got, right = (tmp_path / "got.zip").read_bytes(), (archive.bucket / (KEY + SIDECAR)).read_bytes()
    assert len(got) == len(right)
    assert got != right


def test_a_stalled_body_goes_on_after_the_release(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    rule = proxy.fault("GET", PATTERN, Stall())
    process = start(proxy, "cp", f"s3://data.binance.vision/{KEY}", "got.zip", folder=tmp_path)
    rule.wait()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    proxy.release()
    assert finish(process)[0] == 0
    assert (tmp_path / "got.zip").read_bytes() == (archive.bucket / KEY).read_bytes()


def test_a_stalled_body_breaks_off_when_the_proxy_closes(archive: Archive, tmp_path: Path) -> None:
    with FaultProxy(archive.endpoint_url) as proxy:
        rule = proxy.fault("GET", PATTERN, Stall())
        process = start(proxy, "cp", f"s3://data.binance.vision/{KEY}", "got.zip", folder=tmp_path)
        rule.wait()
    assert finish(process)[0] == 1


def test_the_proxy_closes_while_a_client_keeps_its_connection(archive: Archive) -> None:
    before = threading.active_count()
    with FaultProxy(archive.endpoint_url) as proxy:
        address = proxy.endpoint_url.removeprefix("http://")
        host, port = address.split(":")
        client = HTTPConnection(host, int(port), timeout=10)
        client.request("HEAD", f"/data.binance.vision/{KEY}")
        assert client.getresponse().status == 200
    client.close()
    assert threading.active_count() == before


def test_a_slow_body_takes_its_time(archive: Archive, proxy: FaultProxy, tmp_path: Path) -> None:
    size = (archive.bucket / KEY).stat().st_size
    proxy.fault("GET", PATTERN, Slow(bytes_per_second=size / 0.5))
    began = time.monotonic()
    assert copy(proxy, KEY, tmp_path)[0] == 0
    assert time.monotonic() - began >= 0.4
    assert (tmp_path / "got.zip").read_bytes() == (archive.bucket / KEY).read_bytes()


def test_a_delayed_listing(proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("LIST", "*", Delay(0.5, times=1))
    began = time.monotonic()
    assert finish(start(proxy, "ls", f"s3://data.binance.vision/{FOLDER}", folder=tmp_path))[0] == 0
    assert time.monotonic() - began >= 0.5


def test_the_first_rule_that_is_not_used_up_decides(proxy: FaultProxy, tmp_path: Path) -> None:
    first = proxy.fault("GET", PATTERN, Status(404, times=1))
    second = proxy.fault("GET", "*", Truncate(times=1))
    assert [copy(proxy, KEY, tmp_path)[0] for _ in range(3)] == [1, 1, 0]
    assert (first.hits, second.hits) == (1, 1)


def test_faults_can_be_lifted(proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.fault("GET", "*", Status(404))
    proxy.clear()
    assert copy(proxy, KEY, tmp_path)[0] == 0


def test_waiting_for_a_fault_that_never_strikes_says_so(proxy: FaultProxy) -> None:
    rule = proxy.fault("GET", "*", Status(404))
    with pytest.raises(TimeoutError, match="struck 0 times"):
        rule.wait(seconds=0.01)


def test_a_private_archive_is_the_one_behind_the_proxy(
    private_archive: Archive, proxy: FaultProxy, tmp_path: Path
) -> None:
    (private_archive.bucket / KEY).unlink()
    assert copy(proxy, KEY, tmp_path)[0] == 1
