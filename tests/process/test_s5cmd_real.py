"""What the code takes for granted of the real s5cmd, without any server."""

from __future__ import annotations

import shlex
import socket
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from crypto_archive.config.run_config import Access
from crypto_archive.s5cmd.binary import Binary, find_binary
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.output import Copied, Failed, Fault, Message, fault_of
from crypto_archive.s5cmd.runfile import child_environment, command_line, copy_line, write_run_file

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
    run_file = folder / "x.s5cmd"
    write_run_file(run_file, (copy_line("b", key, key) for key in keys), "a header\nof two lines")
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
