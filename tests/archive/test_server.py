"""The S3 server answers as the archive does, shows changes at once, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.archive import server as server_module
from tests.archive.programs import s5cmd
from tests.archive.sample import NON_ASCII, replace
from tests.archive.served import LIVE_ENDPOINT
from tests.archive.server import S3Server, ServerStartError

if TYPE_CHECKING:
    from tests.archive.served import Archive

pytestmark = pytest.mark.skipif(bool(LIVE_ENDPOINT), reason="tests our own server")

CHECKOUT = Path(__file__).parents[2]
BTC_1H = "data/spot/daily/klines/BTCUSDT/1h/"


def listing(endpoint_url: str, prefix: str) -> dict[str, dict[str, object]]:
    command = [str(s5cmd()), "--json", "--no-sign-request", "--endpoint-url", endpoint_url, "ls"]
    done = subprocess.run(
        [*command, f"s3://data.binance.vision/{prefix}"], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return {entry["key"].removeprefix("s3://data.binance.vision/"): entry for entry in entries}


def beside(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.archive.server", "--root", str(root), "--", *command],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_lists_the_whole_bucket(archive: Archive) -> None:
    listed = listing(archive.endpoint_url, "*")
    assert {key for key in listed if key.endswith(".zip")} == set(archive.spec.keys)


def test_gives_md5_size_and_time_of_each_object(archive: Archive) -> None:
    for key, entry in listing(archive.endpoint_url, BTC_1H + "*").items():
        path = archive.bucket / key
        assert entry["etag"] == hashlib.md5(path.read_bytes()).hexdigest()
        assert entry["size"] == path.stat().st_size
    assert listing(archive.endpoint_url, BTC_1H + "BTCUSDT-1h-2025-07-15.zip")[BTC_1H + "BTCUSDT-1h-2025-07-15.zip"][
        "last_modified"
    ] == "2025-07-16T00:00:00Z"  # fmt: skip


def test_serves_names_that_are_not_ascii(archive: Archive) -> None:
    assert any(NON_ASCII in key for key in listing(archive.endpoint_url, "data/spot/daily/klines/"))


def test_a_replaced_file_shows_immediately(private_archive: Archive) -> None:
    key = BTC_1H + "BTCUSDT-1h-2025-07-15.zip"
    before = listing(private_archive.endpoint_url, key)[key]
    content = replace(private_archive.bucket, key, same_size=True)
    after = listing(private_archive.endpoint_url, key)[key]
    assert after["etag"] == hashlib.md5(content).hexdigest() != before["etag"]
    assert after["last_modified"] != before["last_modified"]
    assert after["size"] == before["size"]


def test_a_private_archive_leaves_the_shared_one_alone(archive: Archive, private_archive: Archive) -> None:
    key = BTC_1H + "BTCUSDT-1h-2025-07-15.zip"
    replace(private_archive.bucket, key)
    assert (archive.bucket / key).read_bytes() != (private_archive.bucket / key).read_bytes()
    (private_archive.bucket / key).unlink()
    assert (archive.bucket / key).is_file()


def test_the_server_is_gone_after_the_context_and_its_log_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with S3Server(root) as server:
        address = urlsplit(server.endpoint_url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5)
    assert server.endpoint_url in server.log.read_text(encoding="utf-8")


def test_two_servers_have_two_ports(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with S3Server(tmp_path / "one") as one, S3Server(tmp_path / "two") as two:
        assert one.endpoint_url != two.endpoint_url


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "rclone", lambda: Path(sys.executable))  # no such thing as "python serve"
    with (
        pytest.raises(ServerStartError, match=r"(?s)rclone ended before it served .*can't open file"),
        S3Server(tmp_path),
    ):
        pass


def test_a_command_next_to_the_server_sees_its_address(tmp_path: Path) -> None:
    script = (
        "import os, urllib.request; print(urllib.request.urlopen(os.environ['CRYPTO_ARCHIVE_ENDPOINT_URL']).status)"
    )
    done = beside(tmp_path, sys.executable, "-c", script)
    assert (done.returncode, done.stdout) == (0, "200\n")


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    assert beside(tmp_path, sys.executable, "-c", f"raise SystemExit({code})").returncode == code


@pytest.mark.skipif(os.name == "nt", reason="signals end processes on POSIX")
def test_the_exit_code_of_a_command_that_a_signal_ended_is_a_shells(tmp_path: Path) -> None:
    script = f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"
    assert beside(tmp_path, sys.executable, "-c", script).returncode == 128 + signal.SIGTERM


@pytest.mark.skipif(os.name == "nt", reason="signals end processes on POSIX")
def test_a_termination_is_passed_on_to_the_command(tmp_path: Path) -> None:
    script = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
        "print('up', flush=True); signal.pause()"
    )
    command = [
        sys.executable,
        "-m",
        "tests.archive.server",
        "--root",
        str(tmp_path),
        "--",
        sys.executable,
        "-c",
        script,
    ]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.readline() == "up\n"
        wrapper.terminate()
        assert wrapper.wait(30) == 7


def test_a_root_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = beside(tmp_path / "nowhere", sys.executable, "-c", "")
    assert done.returncode == 2
    assert f"--root: there is no folder {tmp_path / 'nowhere'}" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals end processes on POSIX")
def test_an_interrupt_from_the_terminal_leaves_the_end_to_the_command(tmp_path: Path) -> None:
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(9)); "
        "print('up', flush=True); signal.pause()"
    )
    command = [sys.executable, "-m", "tests.archive.server", "--root", str(tmp_path), "--"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", script],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as wrapper:
        assert wrapper.stdout is not None
        assert wrapper.stdout.readline() == "up\n"
        os.killpg(wrapper.pid, signal.SIGINT)  # as a terminal does: to the whole group
        assert wrapper.wait(30) == 9
