"""One small listing by the real s5cmd: what is learnt from a server that answers badly, oddly, or never."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import TYPE_CHECKING

import pytest

from crypto_archive.config.run_config import Access
from crypto_archive.s5cmd.binary import Binary, find_binary
from crypto_archive.s5cmd.listing import probe
from crypto_archive.s5cmd.output import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = """<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>
<CommonPrefixes><Prefix>data/futures/</Prefix></CommonPrefixes>
<CommonPrefixes><Prefix>data/spot/</Prefix></CommonPrefixes></ListBucketResult>"""
WHEN = "Tue, 15 Jul 2025 12:00:00 GMT"


@pytest.fixture(scope="module")
def binary() -> Binary:
    return find_binary()


@contextmanager
def serving(body: str, date: str | None = WHEN, code: int = 200) -> Iterator[str]:
    """A server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(code)
            if date is not None:
                self.send_header("Date", date)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_answer_has_folders_and_the_time_of_the_server(binary: Binary) -> None:
    with serving(FOLDERS) as url:
        before = datetime.now(UTC)
        trial = probe(binary, Access(url), "data/", 20)
    assert (trial.answered, trial.folders, trial.error, trial.fault) == (True, ("futures", "spot"), "", None)
    assert trial.server_time == datetime(2025, 7, 15, 12, tzinfo=UTC)
    assert trial.local_time is not None
    assert before <= trial.local_time <= datetime.now(UTC)
    assert 0 < trial.seconds < 20


@pytest.mark.parametrize("date", [None, "yesterday", "Tue, 99 Jul 2025 12:00:00 GMT"])
def test_a_server_without_a_clock(binary: Binary, date: str | None) -> None:
    with serving(FOLDERS, date) as url:
        trial = probe(binary, Access(url), "data/", 20)
    assert (trial.answered, trial.folders, trial.server_time) == (True, ("futures", "spot"), None)


def test_a_page_of_a_portal_is_an_answer_and_no_listing(binary: Binary) -> None:
    with serving("<html>Log in, please<br></html>") as url:
        trial = probe(binary, Access(url), "data/", 20)
    assert (trial.answered, trial.folders) == (True, ())
    assert trial.error


def test_an_empty_bucket_is_not_an_error(binary: Binary) -> None:
    with serving("<ListBucketResult><Name>b</Name></ListBucketResult>") as url:
        trial = probe(binary, Access(url), "data/", 20)
    assert (trial.answered, trial.folders, trial.error) == (True, (), "")


def test_a_server_that_never_answers_is_given_up(binary: Binary) -> None:
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        trial = probe(binary, Access(f"http://127.0.0.1:{silent.getsockname()[1]}"), "data/", 0.3)
    assert (trial.answered, trial.error, trial.fault) == (False, "no answer within 0.3 seconds", Fault.UNREACHABLE)
    assert trial.seconds < 10
