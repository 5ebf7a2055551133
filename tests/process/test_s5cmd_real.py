"""What the code takes for granted of the real s5cmd."""

from __future__ import annotations

import shlex
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, settings, strategies as st

from crypto_archive.config.run_config import Access
from crypto_archive.s5cmd.binary import Binary, find_binary
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.copies import copy_commands
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Message, fault_of
from crypto_archive.s5cmd.runfile import child_environment, command_line, copy_line, write_run_file
from tests.archive.fake_s3 import entry
from tests.archive.server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crypto_archive.s5cmd.copies import CopyCommand

KEYS = [
    "data/spot/daily/klines/币安人生USDT/1h/币安人生USDT-1h-2025-07-15.zip",
    "data/x/q'uo\"te\\ #+&$x;`y`|(z).zip",
    "data/x/a [1]*?{b,c}.zip",
    "data/x/~tilde !bang %20 =.zip",
    "--flag",
    "data/x/'''.zip",
]


@pytest.fixture(scope="module")
def real() -> Binary:
    return find_binary()


def run(real: Binary, keys: list[str], folder: Path, access: Access) -> tuple[list[Message], int | None]:
    return run_lines(real, (copy_line("b", key, key) for key in keys), folder, access)


def run_lines(real: Binary, lines: Iterable[str], folder: Path, access: Access) -> tuple[list[Message], int | None]:
    run_file = folder / "x.s5cmd"
    write_run_file(run_file, lines, "a header\nof two lines")
    command = command_line(real, access, run_file, workers=4, retries=0)
    with Child(command, cwd=folder, env=child_environment(access)) as child:
        return list(child.messages()), child.returncode


def rehearse(real: Binary, keys: list[str], folder: Path) -> list[Message]:
    return run(real, keys, folder, Access(extra_args=("--dry-run",)))[0]


@pytest.mark.parametrize("key", KEYS)
def test_s5cmd_reads_a_run_file_as_it_is_meant(real: Binary, tmp_path: Path, key: str) -> None:
    assert rehearse(real, [key], tmp_path) == [Copied(f"s3://b/{key}", key, 0)]


PARTS = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1).filter(
    lambda part: part not in {".", ".."} and len(part.encode()) <= 255  # as no file has a longer name
)


@settings(max_examples=15)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=20, unique=True))
def test_s5cmd_reads_any_key_that_a_line_can_hold(real: Binary, keys: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        said = rehearse(real, keys, Path(folder))
    assert {item.source for item in said if isinstance(item, Copied)} == {f"s3://b/{key}" for key in keys}
    assert {item.destination for item in said if isinstance(item, Copied)} == set(keys)


def test_a_failed_command_is_repeated_as_it_is_expected(real: Binary, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        access = Access(endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        said, code = run(real, KEYS, tmp_path, access)
    failures = [message for message in said if isinstance(message, Failed)]
    assert {failure.command for failure in failures} == {f"cp s3://b/{key} {key}" for key in KEYS}
    assert {fault_of(failure.error) for failure in failures} == {Fault.UNREACHABLE}
    assert code == 1


def test_flags_are_taken_out_of_a_failed_command(real: Binary, tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    said, _ = run(real, ["in the way/x.zip"], tmp_path, Access(endpoint_url="http://nowhere.invalid"))
    command = "cp s3://b/in the way/x.zip in the way/x.zip"
    assert said == [Failed(command, "stat in the way/x.zip: not a directory")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_stalled_s5cmd_heeds_the_first_signal(real: Binary, tmp_path: Path) -> None:
    run_file = tmp_path / "x.s5cmd"
    run_file.write_text(f"cp --raw {shlex.quote('s3://b/k')} k\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        access = Access(endpoint_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        command = command_line(real, access, run_file, workers=1, retries=0)
        with Child(command, cwd=tmp_path, env=child_environment(access)) as child:
            connection, _ = server.accept()
            with connection:
                stopper = threading.Thread(target=child.stop, args=(60.0,))
                stopper.start()
                assert [message for message in child.messages() if isinstance(message, Copied)] == []
                stopper.join()
                assert child.returncode == 1


# Patterns

HOURS = "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-"
TRADES = "data/spot/daily/trades/币安人生USDT/币安人生USDT-trades-"
MONTHS = "data/spot/monthly/klines/q'uo\"te $(x) `y` [1]/1h/q'uo\"te $(x) `y` [1]-1h-"
FLAG = "--include/--exclude -"
JULY = [f"2024-07-{day:02}" for day in range(1, 32)]
YEARS = [f"{year}-{month:02}" for year in range(2019, 2022) for month in range(1, 13)]
ZIP, SIDECAR = ".zip", ".zip.CHECKSUM"
WANTED = {
    *(HOURS + date + tail for date in (*JULY[:16], *JULY[20:24]) for tail in (ZIP, SIDECAR)),
    *(HOURS + date + ZIP for date in JULY[24:26]),
    HOURS + JULY[26] + SIDECAR,
    *(TRADES + date + tail for date in JULY for tail in (ZIP, SIDECAR)),
    *(MONTHS + date + tail for date in YEARS[11:14] for tail in (ZIP, SIDECAR)),
    *(FLAG + date + ZIP for date in JULY[:2]),
}
AROUND = {
    head + date + tail + more
    for head, dates in ((HOURS, JULY), (TRADES, JULY), (MONTHS, YEARS), (FLAG, JULY))
    for date in dates
    for tail in (ZIP, SIDECAR)
    for more in ("", ".bak")
} | {HOURS + "x-2024-07-01.zip", HOURS.replace("BTCUSDT", "BTCUSDTX") + "2024-07-01.zip", HOURS + "2024-07.zip"}


def test_patterns_copy_exactly_the_wanted_keys(real: Binary, tmp_path: Path) -> None:
    for key in AROUND:
        path = tmp_path / "buckets" / "b" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)
    commands = list(copy_commands("b", sorted(WANTED)))
    assert [command.keys for command in commands if not command.by_pattern] == [(HOURS + JULY[26] + SIDECAR,)]
    staging = tmp_path / "staging"
    staging.mkdir()
    with S3Server(tmp_path / "buckets") as server:
        lines = (command.line for command in commands)
        said, code = run_lines(real, lines, staging, Access(endpoint_url=server.endpoint_url))
    assert code == 0
    (staging / "x.s5cmd").unlink()
    found = {path.relative_to(staging).as_posix(): path.read_text() for path in staging.rglob("*") if path.is_file()}
    assert found == {key: key for key in WANTED}
    assert {message.source for message in said if isinstance(message, Copied)} == {f"s3://b/{key}" for key in WANTED}


class Answers(BaseHTTPRequestHandler):
    """Lists the objects of ``statuses``, and answers for each of them with its status; ``""`` is the listing."""

    statuses: dict[str, int]

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        key = unquote(target.path).lstrip("/").partition("/")[2]
        status = self.statuses.get(key, 404 if key else 200)
        body = f"<Error><Code>{'AccessDenied' if status == 403 else 'NoSuchKey'}</Code></Error>"
        if status == 200:
            prefix = parse_qs(target.query).get("prefix", [""])[0]
            entries = "".join(entry(key, 5) for key in self.statuses if key and key.startswith(prefix))
            listing = f"<ListBucketResult>{entries}<IsTruncated>false</IsTruncated></ListBucketResult>"
            body = "bytes" if key else listing
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(statuses: dict[str, int]) -> Iterator[Access]:
    handler = type("Handler", (Answers,), {"statuses": statuses})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Access(endpoint_url=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def a_month() -> CopyCommand:
    [command] = copy_commands("b", [HOURS + date + ZIP for date in JULY])
    return command


def test_an_object_of_a_pattern_fails_under_its_own_name(real: Binary, tmp_path: Path) -> None:
    absent, denied, there = (HOURS + date + ZIP for date in JULY[:3])
    with answering({absent: 404, denied: 403, there: 200}) as access:
        said, code = run_lines(real, [a_month().line], tmp_path, access)
    failures = {message.command: fault_of(message.error) for message in said if isinstance(message, Failed)}
    assert failures == {f"cp s3://b/{absent} {absent}": Fault.ABSENT, f"cp s3://b/{denied} {denied}": Fault.DENIED}
    assert [message for message in said if isinstance(message, Copied)] == [Copied(f"s3://b/{there}", there, 5)]
    assert code == 1


@pytest.mark.parametrize(("listing", "fault"), [(200, Fault.ABSENT), (403, Fault.DENIED)], ids=["nothing", "denied"])
def test_a_pattern_that_fails_is_repeated_as_it_is_expected(
    real: Binary, tmp_path: Path, listing: int, fault: Fault
) -> None:
    command = a_month()
    with answering({"": listing}) as access:
        said, code = run_lines(real, [command.line], tmp_path, access)
    failures = [(message.command, fault_of(message.error)) for message in said if isinstance(message, Failed)]
    assert failures == [(command.shown, fault)]
    assert code == 1
