"""Files are written whole or not at all, nothing is overwritten by accident, and errors name the file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import ExitCode, FileUnusable
from crypto_archive.files import (
    atomic_write,
    explain_os_errors,
    free_name,
    free_names,
    is_draft,
    open_regular,
    read_json,
    read_regular,
    require_own_file,
    require_writable,
)

if TYPE_CHECKING:
    from pathlib import Path

HAS_FIFOS = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with atomic_write(path) as file:
        file.write("币\n")
        file.flush()
        assert not path.exists()
        assert [is_draft(draft.name) for draft in tmp_path.iterdir()] == [True]
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
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_write(path) as file:
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


def test_no_draft_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter((b"\x00" * 8, b"\x11" * 8))
    monkeypatch.setattr("os.urandom", lambda _: next(drawn))
    (tmp_path / "mine.txt").write_text("mine")
    with atomic_write(tmp_path / "first"):
        (draft,) = (path.name for path in tmp_path.iterdir() if is_draft(path.name))
    (tmp_path / draft.replace("0" * 16, "1" * 16)).symlink_to(tmp_path / "mine.txt")
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "second") as file:
        file.write("ours")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_name_of_a_draft_cannot_be_known_beforehand(tmp_path: Path) -> None:
    seen: set[str] = set()
    for _ in range(5):
        with atomic_write(tmp_path / "lock.json"):
            seen |= {path.name for path in tmp_path.iterdir() if is_draft(path.name)}
    assert len(seen) == 5


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "lock.json").symlink_to(tmp_path / "mine.txt")
    with atomic_write(tmp_path / "lock.json") as file:
        file.write("ours")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "lock.json").read_text() == "ours"


@HAS_FIFOS
@pytest.mark.parametrize("special", ["fifo", os.devnull])
def test_what_is_not_a_file_is_neither_read_nor_replaced(tmp_path: Path, special: str) -> None:
    path = tmp_path / special  # an absolute path stays as it is
    if special == "fifo":
        os.mkfifo(path)
    mode = path.lstat().st_mode
    with pytest.raises(OSError, match="it is not a regular file"):
        open_regular(path)
    with pytest.raises(OSError, match="it is not a regular file"):
        require_own_file(path)
    with pytest.raises(OSError, match="it is not a regular file"):
        require_writable(path)
    with pytest.raises(OSError, match="it is not a regular file"), atomic_write(path) as file:
        file.write("new")
    assert path.lstat().st_mode == mode


def test_a_file_of_ours_is_not_a_link_and_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine.txt")
    for sound in (tmp_path / "mine.txt", tmp_path / "gone", tmp_path / "mine.txt" / "gone"):
        require_own_file(sound)
    with pytest.raises(OSError, match="it is not a regular file"):
        require_own_file(tmp_path / "link")
    with open_regular(tmp_path / "link") as file:  # to read through a link does no harm
        assert file.read() == b""


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    with pytest.raises(OSError, match=re.escape("it is larger than 4 bytes")):
        read_regular(tmp_path / "x", 4)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 4)


@dataclass(frozen=True)
class Note:
    """What a test reads."""

    count: int
    name: str | None = None


def test_a_note_is_read_as_its_type(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"count": 3, "later": "x"}')
    assert read_json(tmp_path / "x", Note) == Note(3)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "null", '{"count": "3"}', '{"count": 3.5}', '{"count": 1e999}', '{"count": true}',
     '{"count": 3, "name": 1}', '{"count": null}',
     '{"count": 3, "name": "\\ud800"}', "[" * 30_000, '{"a":' * 10_000, "\xff"],
)  # fmt: skip
def test_a_note_of_another_form_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError):  # noqa: PT011, whatever it says: a caller knows better what the file is
        read_json(tmp_path / "x", Note)
