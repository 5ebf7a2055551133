from __future__ import annotations

import itertools
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import psutil
import pytest

from crypto_archive.config.run_config import Access
from crypto_archive.errors import EndpointUnreachable, ExitCode
from crypto_archive.s5cmd import listing
from crypto_archive.s5cmd.binary import Binary, find_binary
from crypto_archive.s5cmd.child import AwakeClock
from crypto_archive.s5cmd.failure import AGAIN
from crypto_archive.s5cmd.listing import PREFIXES_PER_PROCESS, list_folders, list_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def error(status: int, code: str) -> tuple[int, str]:
    return status, f"<Error><Code>{code}</Code><Message>said the server</Message></Error>"


@dataclass
class Bucket:
    """A bucket called ``b`` whose listing a test can make up: two keys a page, or whatever ``answer`` says."""

    keys: list[str]
    answer: Callable[[str, int], tuple[int, str] | None] = lambda prefix, page: None
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def respond(self, query: dict[str, list[str]]) -> tuple[int, str]:
        prefix = query.get("prefix", [""])[0]
        page = int(query.get("continuation-token", ["0"])[0])
        self.asked.append(prefix)
        return self.answer(prefix, page) or (200, self.listing(prefix, page, query.get("delimiter", [""])[0]))

    def listing(self, prefix: str, page: int, delimiter: str) -> str:
        found = sorted(key for key in self.keys if key.startswith(prefix))
        if delimiter:
            found = sorted({prefix + key[len(prefix) :].partition("/")[0] + "/" for key in found})
        shown = "".join(_folder(key) if delimiter else _object(key) for key in found[2 * page : 2 * page + 2])
        more = 2 * page + 2 < len(found)
        token = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if more else ""
        truncated = str(more).lower()
        return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{shown}</ListBucketResult>"


def _folder(key: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"


def _object(key: str) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>2025-07-16T00:10:11.000Z</LastModified>"
        f"<ETag>&quot;{len(key):032x}&quot;</ETag><Size>{len(key)}</Size></Contents>"
    )


class Handler(BaseHTTPRequestHandler):
    bucket: ClassVar[Bucket]

    def do_GET(self) -> None:
        status, text = self.bucket.respond(parse_qs(urlsplit(self.path).query))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(bucket: Bucket) -> Iterator[Access]:
    handler = type("BucketHandler", (Handler,), {"bucket": bucket})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Access(endpoint_url=f"http://127.0.0.1:{server.server_port}", bucket="b")
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent_endpoint() -> Iterator[Access]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Access(endpoint_url=f"http://127.0.0.1:{server.getsockname()[1]}", bucket="b")


@contextmanager
def closed_endpoint() -> Iterator[Access]:
    """A port that is taken, so that nobody else can have it, but on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Access(
            endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}", bucket="b", extra_args=("--retry-count=0",)
        )


@pytest.fixture(scope="module")
def real() -> Binary:
    return find_binary()


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def fake(path: Path, text: str) -> Binary:
    """An s5cmd that is a small program of ours; ``lines`` are the commands of its run-file."""
    head = f"#!{sys.executable} -IS\nimport os, signal, sys\n"
    lines = "lines = [line for line in open(sys.argv[-1]) if not line.startswith('#')]\n"
    path.write_text(head + lines + text)
    path.chmod(0o755)
    return Binary(path, "2.3.0")


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def days(symbol: str, count: int = 5) -> list[str]:
    names = [f"data/{symbol}/{symbol}-1h-2025-07-{day:02d}.zip" for day in range(1, count + 1)]
    return [name + suffix for name in names for suffix in ("", ".CHECKSUM")]


# The real s5cmd


def test_every_key_of_every_prefix_sorted_within_it(real: Binary) -> None:
    symbols = ["BTCUSDT", "币安人生USDT", "1000SHIB&'USDT"]
    bucket = Bucket([key for symbol in symbols for key in days(symbol)] + ["data/other.zip"])
    with served(bucket) as access:
        prefixes = [f"data/{symbol}/{symbol}-1h-" for symbol in symbols]
        found = list(list_objects(real, access, [*prefixes, "data/none/"]))
    for symbol, prefix in zip(symbols, prefixes, strict=True):
        mine = [item for item in found if item.key.startswith(prefix)]
        assert [item.key for item in mine] == days(symbol)
        assert {(item.stat.size, item.stat.etag) for item in mine} == {
            (len(item.key), f"{len(item.key):032x}") for item in mine
        }
    assert len(found) == 30
    assert found[0].stat.last_modified.isoformat() == "2025-07-16T00:10:11+00:00"


def test_prefixes_that_contain_one_another_are_all_answered(real: Binary) -> None:
    keys = ["a/1", "a/b/1", "a/b/2", "a/c", "b"]
    with served(Bucket(keys)) as access:
        found = sorted(item.key for item in list_objects(real, access, ["a/", "a/b/", "a/b/2", "b"]))
    assert found == sorted([*keys, "a/b/1", "a/b/2", "a/b/2"])


def test_no_prefixes_need_no_s5cmd() -> None:
    assert list(list_objects(Binary(Path("/nowhere"), ""), Access(), [])) == []


def test_nothing_found_is_an_empty_answer(real: Binary) -> None:
    with served(Bucket([])) as access:
        assert list(list_objects(real, access, ["a/", "b/", "b/"])) == []
        assert list_folders(real, access, "data/") == ()


def test_folders_and_nothing_below_them(real: Binary) -> None:
    bucket = Bucket(days("BTCUSDT") + days("ETHUSDT") + days("币安人生USDT") + days("A B"))
    with served(bucket) as access:
        assert list_folders(real, access, "data/") == ("A B", "BTCUSDT", "ETHUSDT", "币安人生USDT")


def test_the_region_is_never_asked_for(real: Binary) -> None:
    bucket = Bucket(days("BTCUSDT", 1))
    with served(bucket) as access:
        assert len(list(list_objects(real, access, ["data/"]))) == 2
    assert bucket.asked == ["data/"]


def test_denied(real: Binary) -> None:
    with (
        served(Bucket([], lambda *_: error(403, "AccessDenied"))) as access,
        pytest.raises(EndpointUnreachable) as told,
    ):
        list(list_objects(real, access, ["data/"]))
    words = "AccessDenied: said the server status code: 403,"
    assert told.value.message.startswith(f"The archive's server {access.endpoint_url} denies the listing: {words[:-1]}")
    assert told.value.hint.endswith("`plan` and `collect` need no listing with --discover calendar.")
    assert told.value.exit_code is ExitCode.ENVIRONMENT


def test_a_failure_on_a_later_page_is_not_taken_for_the_end(real: Binary) -> None:
    def answer(_: str, page: int) -> tuple[int, str] | None:
        return error(403, "AccessDenied") if page == 1 else None

    with served(Bucket(days("BTCUSDT"), answer)) as access:
        found = list_objects(real, access, ["data/"])
        assert [next(found).key, next(found).key] == days("BTCUSDT", 1)
        with pytest.raises(EndpointUnreachable, match="denies the listing"):
            next(found)


def test_a_bucket_that_is_not_there(real: Binary) -> None:
    with (
        served(Bucket([], lambda *_: error(404, "NoSuchBucket"))) as access,
        pytest.raises(EndpointUnreachable, match="has no bucket 'b'"),
    ):
        list_folders(real, access, "data/")


def test_connection_refused(real: Binary) -> None:
    with closed_endpoint() as access, pytest.raises(EndpointUnreachable) as told:
        list(list_objects(real, access, [f"data/{number}" for number in range(10)]))
    assert told.value.message.startswith(f"The archive's server {access.endpoint_url} cannot be reached: dial tcp ")
    assert told.value.message.endswith("connect: connection refused")
    assert told.value.hint == "Check the network, the proxy settings and --endpoint-url."


def test_other_failures_name_the_bucket(real: Binary) -> None:
    with (
        served(Bucket([], lambda *_: error(400, "InvalidArgument"))) as access,
        pytest.raises(EndpointUnreachable, match="failed to list the bucket 'b': InvalidArgument"),
    ):
        list(list_objects(real, access, ["data/"]))


def test_a_server_that_never_answers(real: Binary) -> None:
    before = children()
    with silent_endpoint() as access, pytest.raises(EndpointUnreachable, match=r"no answer for 0\.1 seconds"):
        list(list_objects(real, access, ["data/"], stall_seconds=0.1))
    assert children() == before


def test_an_option_that_s5cmd_does_not_know(real: Binary) -> None:
    access = Access(extra_args=("--frobnicate",))
    with pytest.raises(
        EndpointUnreachable, match=r"is incomplete: s5cmd exited with code 1 .*flag provided but not defined"
    ):
        list_folders(real, access, "data/")


def test_closing_early_ends_s5cmd_and_clears_up(real: Binary, own_temporary_folder: Path) -> None:
    asked_again, never = threading.Event(), threading.Event()

    def answer(_: str, page: int) -> tuple[int, str] | None:
        if page:
            asked_again.set()
            never.wait()
        return None

    before = children()
    with served(Bucket(days("BTCUSDT"), answer)) as access:
        found = list_objects(real, access, ["data/"])
        next(found)
        assert asked_again.wait(30)
        assert len(children() - before) == 1
        found.close()
        assert children() == before
        assert list(own_temporary_folder.iterdir()) == []
        never.set()


def test_a_stream_of_prefixes_without_end(real: Binary, own_temporary_folder: Path) -> None:
    taken = 0

    def prefixes() -> Iterator[str]:
        nonlocal taken
        for taken in itertools.count(1):
            yield f"data/{taken}/"

    with served(Bucket([f"data/{number}/x.zip" for number in range(1, 300)])) as access:
        found = list_objects(real, access, prefixes())
        keys = {item.key for item in itertools.islice(found, PREFIXES_PER_PROCESS)}
        assert keys == {f"data/{number}/x.zip" for number in range(1, PREFIXES_PER_PROCESS + 1)}
        assert taken == PREFIXES_PER_PROCESS
        next(found)
        assert taken == 2 * PREFIXES_PER_PROCESS
        found.close()
    assert list(own_temporary_folder.iterdir()) == []


# An s5cmd that misbehaves


def test_a_prefix_without_an_answer(tmp_path: Path) -> None:
    silent = fake(tmp_path / "s5cmd", "sys.exit(0)")
    with pytest.raises(EndpointUnreachable) as told:
        list(list_objects(silent, Access(endpoint_url="http://h", bucket="b"), ["data/x/", "data/y/"]))
    assert told.value.message == (
        "The listing of the bucket 'b' at http://h is incomplete: s5cmd exited with code 0 without an answer for "
        "2 prefixes, among them 'data/x/' (it printed nothing)"
    )
    assert told.value.hint == AGAIN


def test_an_s5cmd_that_is_killed_half_way(tmp_path: Path) -> None:
    line = '{"key":"s3://b/data/x/1.zip","etag":"","last_modified":"2025-07-16T00:10:11Z","type":"file"}'
    dying = fake(tmp_path / "s5cmd", f"print({line!r}, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    found = list_objects(dying, Access(bucket="b"), ["data/x/"])
    assert next(found).key == "data/x/1.zip"
    with pytest.raises(EndpointUnreachable, match="is incomplete: s5cmd exited with code -9"):
        next(found)


def test_a_slow_consumer_is_not_a_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    looks = threading.Semaphore(0)

    class CountedEvent(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            looks.release()
            return super().wait(timeout)

    monkeypatch.setattr(listing, "AwakeClock", partial(AwakeClock, clock=lambda: now))
    monkeypatch.setattr(listing, "threading", SimpleNamespace(Event=CountedEvent, Thread=threading.Thread))
    line = '{"key":"s3://b/data/x/1.zip","etag":"","last_modified":"2025-07-16T00:10:11Z","type":"file"}'
    chatty = fake(tmp_path / "s5cmd", f"print({line!r}, flush=True)\nprint({line!r}, flush=True)")
    found = list_objects(chatty, Access(bucket="b"), ["data/x/"], stall_seconds=0.01)
    next(found)
    while looks.acquire(blocking=False):
        pass
    for _ in range(20):  # ten times as long as the listing may say nothing
        now += 0.005
        assert looks.acquire(timeout=30)
    assert len(list(found)) == 1


def test_a_suspended_machine_is_not_a_stall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock leaps by an hour while s5cmd is at work; what it says a moment later is waited for."""
    looked = tmp_path / "looked"
    hours = itertools.count(0.0, 3600.0)

    def leaping() -> float:
        looked.write_text(str(now := next(hours)))
        return now

    monkeypatch.setattr(listing, "AwakeClock", partial(AwakeClock, clock=leaping))
    line = '{"key":"s3://b/data/x/1.zip","etag":"","last_modified":"2025-07-16T00:10:11Z","type":"file"}'
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(looked)!r}).read_text() > '0.0': time.sleep(0.01)"
    slow = fake(tmp_path / "s5cmd", f"{waits}\nprint({line!r}, flush=True)")
    (found,) = list_objects(slow, Access(bucket="b"), ["data/x/"], stall_seconds=20.0)
    assert found.key == "data/x/1.zip"


def test_a_plain_failure_without_a_command(tmp_path: Path) -> None:
    failing = fake(tmp_path / "s5cmd", """print('{"error":"session: fetching region failed"}'); sys.exit(1)""")
    with pytest.raises(EndpointUnreachable, match="failed to list the bucket 'b': session: fetching region failed"):
        list_folders(failing, Access(bucket="b"), "data/")


def test_the_run_file_has_one_line_a_prefix(tmp_path: Path) -> None:
    telling = fake(tmp_path / "s5cmd", "print(lines)")
    with pytest.raises(EndpointUnreachable) as told:
        list(list_objects(telling, Access(bucket="b"), ["data/x/", "data/y z/"]))
    assert r"""["ls 's3://b/data/x/*'\n", "ls 's3://b/data/y z/*'\n"]""" in told.value.message


def test_prefixes_that_cannot_be_listed_are_refused(real: Binary) -> None:
    with pytest.raises(ValueError, match="cannot be listed with s5cmd"):
        list(list_objects(real, Access(bucket="b"), ["data/*"]))
