"""Text from outside: in names of files, in the server's answers, in the environment. It is shown, and never obeyed."""

from __future__ import annotations

import json
import os
import re
import socketserver
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import ROOT, THREE, collect, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.archive.running import Runner

RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""What no terminal may get from outside."""
NO_BYTES = os.fsdecode(b"r\xff")
"""A name of a file that is not UTF-8, as Python carries it."""

not_utf8 = pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")


@contextmanager
def answering(header: bytes) -> Iterator[str]:
    """Serve answers with a header line that is not one, as the URL of an endpoint."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n" + header + b"\r\nContent-Length: 0\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("name", ["a[/b]", "[red]x", ":rocket:"])
def test_a_name_is_never_markup(run: Runner, name: str) -> None:
    lock = name.replace("/", "") + ".lock"
    code, stdout, stderr = run("plan", *THREE, "-o", name, "--lock", lock)
    assert code == 0, stderr
    code, stdout, stderr = run("collect", "--locked", lock, "-o", name)
    assert code == 0, stderr
    assert re.search(rf"saved to +{re.escape(name)}", stdout)
    assert re.search(rf"lock file +{re.escape(lock)}", stdout)
    assert name in run("doctor", "-o", name).stdout
    assert name in run("verify", "-o", name).stdout
    assert name in run("relayout", "--to", "hive", "-o", name).stdout


@pytest.mark.parametrize("command", ["plan", "collect", "doctor", "matrix check"])
def test_what_a_server_sends_controls_no_terminal(run: Runner, command: str) -> None:
    header = "X-Amz: \x1b]0;TITLE\x07 \x9b31m \u202etfel\u200b"  # of which Go repeats what it cannot read
    shown = r"\x1b]0;TITLE\x07 \x9b31m \u202etfel\u200b"
    options = {"plan": THREE, "collect": (*THREE, "-o", ROOT)}.get(command, ())
    with answering(header.encode()) as endpoint_url:
        _, stdout, stderr = run.at(endpoint_url)(*command.split(), *options)
    said = stdout + stderr
    assert shown in said
    assert not RAW.search(said)
    for report in run.folder.rglob("report.json"):
        text = report.read_text("utf-8")
        assert shown in json.loads(text)["error"]
        assert not RAW.search(text)


@not_utf8
def test_a_root_and_a_lock_file_need_not_be_utf8(run: Runner) -> None:
    lock = NO_BYTES + ".lock"
    assert run("plan", *THREE, "-o", NO_BYTES, "--lock", lock).code == 0
    code, stdout, stderr = run("collect", "--locked", lock, "-o", NO_BYTES, "--report", NO_BYTES + ".json")
    assert code == 0, stderr
    assert r"r\xff" in stdout
    root = run.folder / NO_BYTES
    assert len(stored(root)) == 3
    [report] = root.glob(".crypto-archive/runs/*/report.json")
    document = json.loads(report.read_text("utf-8"))
    assert (document["output_directory"], document["selection"]["locked"]) == (NO_BYTES, lock)
    assert not list(root.rglob("*.part*"))
    for words in (("verify",), ("doctor",), ("relayout", "--to", "hive"), ("coverage", *THREE)):
        code, stdout, stderr = run(*words, "-o", NO_BYTES, "--json")
        assert code == 0, stderr
        assert json.loads(stdout)
        assert run(*words, "-o", NO_BYTES).code == 0


@not_utf8
@pytest.mark.parametrize("url", [f"http://{NO_BYTES}", f"http://{NO_BYTES}.example.com:9000"])
def test_an_endpoint_that_is_not_utf8_is_refused(run: Runner, url: str) -> None:
    code, _, stderr = run("collect", *THREE, "-o", ROOT, "--endpoint-url", url)
    assert code == 2
    assert "is not a valid URL" in stderr


@pytest.mark.parametrize(("encoding", "full"), [("ascii", "#"), ("latin-1", "#"), ("utf-8", "█")])
def test_a_terminal_without_our_signs_gets_others(run: Runner, encoding: str, full: str) -> None:
    plain = run.with_environment(PYTHONIOENCODING=f"{encoding}:strict")
    every = [word if word != "BTCUSDT" else "*" for word in THREE]
    assert collect(plain, *every).code == 0
    code, stdout, stderr = plain("coverage", *every, "-o", ROOT)
    assert code == 0, stderr
    assert f"{full} on disk" in stdout
    code, stdout, stderr = plain("plan", *every, "--format", "jsonl")
    assert any(json.loads(line)["symbol"] == "币安人生USDT" for line in stdout.splitlines())
    assert plain("collect", "--help").code == 0


def test_so_does_a_process_whose_streams_are_such(run: Runner) -> None:
    code, stdout, stderr = run.as_process.with_environment(PYTHONIOENCODING="ascii:strict")("coverage", *THREE)
    assert code == 0, stderr
    assert "o to fetch" in stdout
