"""The parts of the bench that need no server: what it serves, what it counts, and what it makes of that."""

from __future__ import annotations

import hashlib
import json
import random
import re
import socket
import socketserver
import sys
import threading
import time
import xml.etree.ElementTree as ET
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from tests.archive.programs import s5cmd
from tests.archive.sample import BUCKET
from tests.benchmarks import measuring
from tests.benchmarks.buckets import Bucket, few_large, many_small, very_many
from tests.benchmarks.listing import PART_BYTES, Entry, Listing, entries_of, etag_of
from tests.benchmarks.measuring import Command, Measured, Result, alternate, measure
from tests.benchmarks.peers import environment_for
from tests.benchmarks.plot import plot
from tests.benchmarks.report import Comparison, document, table
from tests.benchmarks.server import Front, missing_for_server, serve
from tests.benchmarks.traffic import Traffic, traffic_of
from tests.benchmarks.wire import missing_for_wire, wire_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLACES = ("s3:Contents/s3:Key", "s3:CommonPrefixes/s3:Prefix")
NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
MODIFIED = datetime(2025, 7, 1, tzinfo=UTC)
RUN = Measured(2.0, 4.0, 1.0, 200.0, 50.0, Traffic({"GET": 200, "HEAD": 100, "LIST": 1}, 30, 0, 0, 1_000))
COMPARISON = Comparison(
    "small",
    "Many small <objects>",
    (
        Result("ours", (RUN, replace(RUN, seconds=3.0)), ours=True),
        Result("theirs & others", (replace(RUN, seconds=4.0), replace(RUN, seconds=4.0))),
        Result("slow", (replace(RUN, seconds=40.0),)),
    ),
    "theirs & others",
    files=200,
)


@contextmanager
def echo_server() -> Iterator[int]:
    """Send back what comes, to the end of the stream, for all at the same time; yields the port."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):
                while some := self.request.recv(1 << 16):
                    self.request.sendall(some)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 1000
        daemon_threads = True

    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="echo")
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


keys = st.lists(st.text("ab/é&<", min_size=1, max_size=5), max_size=20, unique=True)


def listed(listing: Listing, **query: str) -> tuple[list[str], list[str], str | None]:
    """What a page names: keys, folders, and the token of the next page."""
    page = ET.fromstring(listing.page(query))
    token = page.findtext("s3:NextContinuationToken", None, NAMESPACE)
    assert page.findtext("s3:IsTruncated", None, NAMESPACE) == str(token is not None).lower()
    found = [[item.text or "" for item in page.iterfind(path, NAMESPACE)] for path in PLACES]
    assert page.findtext("s3:KeyCount", None, NAMESPACE) == str(len(found[0]) + len(found[1]))
    return found[0], found[1], token


@given(keys, st.text("ab/", max_size=2), st.sampled_from(["", "/"]), st.integers(1, 5))
def test_pages_of_a_listing_name_all_keys_and_folders_once(
    names: list[str], prefix: str, delimiter: str, most: int
) -> None:
    listing = Listing(BUCKET, (Entry(name, 1, MODIFIED, "e") for name in names))
    found: list[str] = []
    folders: list[str] = []
    token: str | None = ""
    while token is not None:
        query = {"prefix": prefix, "delimiter": delimiter, "max-keys": str(most), "continuation-token": token}
        some, of_folders, token = listed(listing, **query)
        assert len(some) + len(of_folders) <= most
        found += some
        folders += of_folders
    rest = {name: name[len(prefix) :] for name in names if name.startswith(prefix)}
    below = {name for name, end in rest.items() if delimiter and delimiter in end}
    assert found == sorted(set(rest) - below)
    assert folders == sorted({name[: name.index("/", len(prefix)) + 1] for name in below})


@pytest.mark.parametrize("where", ["start-after", "marker"])
def test_a_listing_goes_on_after_a_key(where: str) -> None:
    listing = Listing(BUCKET, (Entry(name, 1, MODIFIED, "e") for name in "abc"))
    assert listed(listing, **{where: "a"})[0] == ["b", "c"]


def test_a_listing_has_what_is_on_disk(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.zip").write_bytes(b"abc")
    (entry,) = entries_of(tmp_path)
    assert (entry.key, entry.size, entry.etag) == ("data/a.zip", 3, hashlib.md5(b"abc").hexdigest())


def test_an_etag_is_that_of_an_upload_in_parts(tmp_path: Path) -> None:
    parts = b"a" * PART_BYTES, b"b"
    (tmp_path / "whole").write_bytes(parts[0])
    (tmp_path / "parts").write_bytes(b"".join(parts))
    assert etag_of(tmp_path / "whole") == hashlib.md5(parts[0]).hexdigest()
    of_parts = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert etag_of(tmp_path / "parts") == f"{of_parts}-2"


@pytest.mark.parametrize(
    ("write", "objects"),
    [
        (lambda folder: many_small(folder, 400), 400),
        (lambda folder: few_large(folder, 2, 1), 2),
        (lambda folder: very_many(folder, 6), 6),
    ],
    ids=["many small", "few large", "very many"],
)
def test_a_bucket_holds_sound_zips_with_true_sidecars(
    tmp_path: Path, write: Callable[[Path], Bucket], objects: int
) -> None:
    bucket = write(tmp_path)
    found = list(bucket.all_keys())
    assert (bucket.objects, bucket.files) == (objects, 2 * objects) == (len(found) // 2, len(found))
    contents = set()
    for key in found[::2]:
        path = bucket.path / key
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == [f"{path.stem}.csv"]
        contents.add(content := path.read_bytes())
        sidecar = path.with_name(f"{path.name}.CHECKSUM").read_text()
        assert sidecar == f"{hashlib.sha256(content).hexdigest()}  {path.name}"
    assert len(contents) == objects
    assert bucket.bytes == sum((bucket.path / key).stat().st_size for key in found)


def test_large_objects_cannot_be_packed_further(tmp_path: Path) -> None:
    bucket = few_large(tmp_path, 1, 1)
    (path,) = bucket.path.rglob("*.zip")
    assert 1_000_000 < path.stat().st_size < 1_001_000
    assert len(set(path.read_bytes())) == 256


def test_requests_are_counted_by_method_and_connection() -> None:
    lines = [
        f"GET 1 200 500 HTTP/1.1 /{BUCKET}?list-type=2&prefix=data%2F",
        f"GET 1 200 500 HTTP/1.1 /{BUCKET}/?marker=",
        f"HEAD 1 200 0 HTTP/1.1 /{BUCKET}/data/a.zip",
        f"GET 2 200 70 HTTP/1.1 /{BUCKET}/data/a.zip?x-id=GetObject",
        "GET 3 404 9 HTTP/2.0 /data/b c.zip",
    ]
    counted = traffic_of(f"{line}\n" for line in lines)
    assert counted == Traffic({"GET": 2, "HEAD": 1, "LIST": 2}, connections=3, http2=1, failed=1, bytes=1_079)
    assert counted.total == 5


def test_ratios_are_those_of_neighbours() -> None:
    ours, theirs, slow = COMPARISON.results
    assert ours.ratios(theirs, "seconds") == [0.5, 0.75]
    assert slow.ratios(theirs, "seconds") == [10.0]
    assert ours.median("seconds") == 2.5


def test_a_table_has_a_line_for_each_command() -> None:
    title, headings, ours, theirs, slow = table(COMPARISON)
    assert title == "Many small <objects> (2 runs each, in turn)"
    assert headings.split()[:4] == ["wall", "times", "(from–to)", "CPU"]
    assert re.search(r"ours +2.50 s +0.62 \(0.50–0.75\) +4.00 s +1.00 +25% +200 MiB +15.0 ", ours)
    assert ours.endswith("1.50 = GET 1.00 + HEAD 0.50 + LIST 0.01")
    assert re.search(r"theirs & others +4.00 s +1.00 +4.00 s", theirs)
    assert re.search(r"slow +40.00 s +10.00 +4.00 s", slow)


def test_a_document_holds_every_run() -> None:
    machine, (comparison,) = json.loads(json.dumps(document([COMPARISON]))).values()
    assert machine["cores"] >= 1
    assert comparison["results"][0]["ratios"]["seconds"] == {"median": 0.625, "from": 0.5, "to": 0.75}
    assert comparison["results"][0]["runs"][0]["traffic"]["requests"] == {"GET": 200, "HEAD": 100, "LIST": 1}


def test_a_plot_is_to_scale_and_says_where_it_is_not() -> None:
    drawing = ET.fromstring(plot([COMPARISON, replace(COMPARISON, reference="", objects=1_000)]))
    space = "{http://www.w3.org/2000/svg}"
    thick = [
        float(bar.get("width", "")) for bar in drawing.iter(f"{space}rect") if bar.get("class") in ("ours", "peer")
    ]
    assert thick[0] / thick[1] == pytest.approx(0.625, rel=0.01)
    assert thick[2] / thick[1] == pytest.approx(3, rel=0.01)
    assert len([path for path in drawing.iter(f"{space}path") if path.get("class") == "cut"]) == 1
    assert [text.text for text in drawing.iter(f"{space}text")].count("Many small <objects>") == 2


def test_commands_run_in_turn_and_a_peer_far_behind_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"ours": 9.0, "reference": 1.0, "slow": 3.1}
    order: list[str] = []

    def run(command: Command) -> Measured:
        order.append(command.name)
        return replace(RUN, seconds=seconds[command.name])

    monkeypatch.setattr(measuring, "measure", run)
    commands = [Command(name, (), ours=name == "ours") for name in seconds]
    results = alternate(commands, 2, reference="reference")
    assert order == ["ours", "reference", "slow", "ours", "reference"]
    assert [len(result.runs) for result in results] == [2, 2, 1]


def test_what_children_use_counts_and_is_told_apart() -> None:
    work = "sum(range(10**7))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    measured = measure(Command("parent", (sys.executable, "-c", parent)))
    assert 0 < measured.own_cpu_seconds < measured.cpu_seconds / 2


def test_a_command_that_fails_or_does_not_do_its_work_is_an_error() -> None:
    def check() -> None:
        raise RuntimeError("nothing was brought")

    with pytest.raises(RuntimeError, match=r"^this ended with 3: why"):
        measure(Command("this", (sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)")))
    with pytest.raises(RuntimeError, match="nothing was brought"):
        measure(Command("this", (sys.executable, "-c", ""), check=check))


@pytest.mark.skipif(missing_for_wire() is not None, reason=str(missing_for_wire()))
@pytest.mark.parametrize("limits", [{"round_trip_ms": 20}, {"bits_per_second": 10**9}], ids=["long", "narrow"])
def test_a_wire_brings_every_byte_of_many_connections(tmp_path: Path, limits: dict[str, int]) -> None:
    with echo_server() as target, wire_to(target, tmp_path, **limits) as port:
        began = time.monotonic()
        open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        sent = [random.Random(number).randbytes(40_000) for number in range(300)]
        for client, content in zip(open_ones, sent, strict=True):
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)
        for client, content in zip(open_ones, sent, strict=True):
            with client, client.makefile("rb") as file:
                assert file.read() == content
        assert time.monotonic() - began >= 2 * limits.get("round_trip_ms", 0) / 1000  # the handshake is one


@pytest.mark.skipif(missing_for_wire() is not None, reason=str(missing_for_wire()))
def test_a_wire_outlives_clients_that_hang_up(tmp_path: Path) -> None:
    with echo_server() as target, wire_to(target, tmp_path, round_trip_ms=2) as port:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
                client.sendall(b"a" * 100_000)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"still here")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"still here"


@pytest.mark.skipif(missing_for_server() is not None, reason=str(missing_for_server()))
def test_the_server_serves_s3_and_the_door_of_a_cdn_and_counts(tmp_path: Path) -> None:
    bucket = few_large(tmp_path / "bucket", 1, 1)
    copy = [str(s5cmd()), "--no-sign-request", "--endpoint-url"]
    with serve(bucket.folder, tmp_path / "server") as server:
        for front, source in (
            (Front.PLAIN, f"s3://{BUCKET}/data/*"),
            (Front.TLS, f"s3://{BUCKET}/data/*"),
            (Front.DOOR, "s3://data/spot/daily/trades/BIGUSDT/BIGUSDT-trades-2025-06-04.zip"),
        ):
            server.traffic()
            target = tmp_path / front
            environment = environment_for(server.url(front))
            measure(Command(front, [*copy, server.url(front), "cp", source, f"{target}/"], environment))
            by_door = front is Front.DOOR
            found = server.traffic()
            assert found.requests == ({"GET": 1, "HEAD": 1} if by_door else {"GET": 2, "LIST": 1})
            assert (found.http2, found.failed) == (2 if by_door else 0, 0)
            (brought,) = target.rglob("*.zip")
            assert brought.read_bytes() == next(bucket.path.rglob("*.zip")).read_bytes()
