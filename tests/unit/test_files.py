"""Files are written whole or not at all, nothing is overwritten by accident, and errors name the file."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import ExitCode, FileUnusable
from crypto_archive.files import atomic_write, explain_os_errors, free_name, free_names, require_writable

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with atomic_write(path) as file:
        file.write("币\n")
        file.flush()
        assert not path.exists()
        assert [draft.name for draft in tmp_path.iterdir()] == [".report.json.part"]
    assert path.read_bytes() == "币\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_draft(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as file:
            file.write("new")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_place_of_the_file_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError, match="directory"), atomic_write(path) as file:
        file.write("new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_writable_place_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    require_writable(path)
    assert path.parent.is_dir()
    assert list(path.parent.iterdir()) == []
    path.write_text("old")
    require_writable(path)
    assert path.read_text() == "old"


def test_a_folder_is_not_a_writable_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        require_writable(tmp_path)


def test_a_free_name_is_numbered_from_two(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert free_name(path) == path
    path.touch()
    (tmp_path / "a.zip.2").symlink_to("nowhere")  # a link to nothing takes a name, too
    assert free_name(path) == tmp_path / "a.zip.3"
    assert [name.name for name in islice(free_names(path), 2)] == ["a.zip.3", "a.zip.4"]


def test_a_name_is_free_only_with_all_of_its_endings(tmp_path: Path) -> None:
    (tmp_path / "a.zip.CHECKSUM").touch()
    assert free_name(tmp_path / "a.zip") == tmp_path / "a.zip"
    assert free_name(tmp_path / "a.zip", ".CHECKSUM") == tmp_path / "a.zip.2"


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "report.json"
    with pytest.raises(FileUnusable) as caught, explain_os_errors("write", path, hint="Choose another."):
        os.stat(path)  # noqa: PTH116
    assert caught.value.message == f"Cannot write {path}: No such file or directory"
    assert (caught.value.path, caught.value.hint) == (path, "Choose another.")
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
