"""Keys stay inside the root, publication replaces whole files, quarantine loses nothing, errors say what to do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from crypto_archive import load_preset
from crypto_archive.errors import ExitCode, RootUnusable
from crypto_archive.files import create_draft
from crypto_archive.root.layout import root_of
from crypto_archive.root.store import (
    Folders,
    Refused,
    Root,
    free_bytes,
    new_run_id,
    open_root,
    publish,
    quarantine,
    sweep_staging,
)

NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
RUN = new_run_id(NOON)
KEY = "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip"
SIDECAR_KEY = KEY + ".CHECKSUM"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def staged(root: Root, content: bytes, name: str = "staged") -> Path:
    path = root.staging / name
    path.write_bytes(content)
    return path


def put(root: Root, key: str, content: bytes) -> Path:
    path = root.file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sidecar_text(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {KEY.rpartition('/')[2]}\n".encode()


def test_the_folders_of_a_root(tmp_path: Path) -> None:
    root = open_root(tmp_path / "deep" / "archive")
    assert root == Root(tmp_path / "deep" / "archive")
    assert root.data == root.path / "data"
    assert {path.name for path in root.private.iterdir()} == {"staging", "quarantine", "runs"}
    assert root.manifest_path == root.path / ".crypto-archive" / "manifest.sqlite"
    assert root.lock_path == root.path / ".crypto-archive" / "lock"


def test_a_root_can_be_opened_again(root: Root) -> None:
    put(root, KEY, b"there")
    assert open_root(root.path) == root
    assert root.file(KEY).read_bytes() == b"there"


def test_a_relative_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_root(Path("archive")).path == tmp_path / "archive"


def test_a_root_value_touches_nothing(tmp_path: Path) -> None:
    assert Root(tmp_path / "none").file(KEY) == tmp_path / "none" / KEY
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "key",
    [
        "data/um/币安人生USDT/币安人生USDT-trades-2025-07-15.zip",
        "data/a b/#+&'\"*?/x.zip",
        "data/...zip",
        "data/..x/x..zip",
    ],
)
def test_odd_but_plain_keys_are_taken_verbatim(tmp_path: Path, key: str) -> None:
    assert Root(tmp_path).file(key) == tmp_path.joinpath(*key.split("/"))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "not a plain path"),
        ("/etc/passwd", "not a plain path"),
        ("../outside.zip", "not a plain path"),
        ("data/../../outside.zip", "not a plain path"),
        ("data/..", "not a plain path"),
        ("data/./x.zip", "not a plain path"),
        ("data//x.zip", "not a plain path"),
        ("data/x/", "not a plain path"),
        ("data/x\n.zip", "control character"),
        ("data/x\0.zip", "control character"),
        ("data/x\x85.zip", "control character"),
        ("data/x\ud800.zip", "surrogates"),
        (".crypto-archive/manifest.sqlite", "reserved"),
        (".Crypto-Archive/lock", "reserved"),
    ],
)
def test_keys_that_lead_elsewhere_are_refused(tmp_path: Path, key: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Root(tmp_path).file(key)


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["data", "..", ".", "", "x.zip", "\\", "C:", "~"]), max_size=6).map("/".join),
    )
)
def test_no_key_leaves_the_root(key: str) -> None:
    root = Root(Path("/srv/archive"))
    try:
        path = root.file(key)
    except ValueError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root.path)
    assert path != root.path
    assert path.relative_to(root.path).as_posix() == key


def test_a_file_in_place_of_the_root_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RootUnusable) as caught:
        open_root(tmp_path / "taken")
    assert caught.value.message == f"Cannot write to output directory: {tmp_path / 'taken'}"
    assert "File exists" in caught.value.hint
    assert "--output" in caught.value.hint


def test_a_file_above_the_root_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RootUnusable, match=r"Cannot write to output directory: .*taken/archive"):
        open_root(tmp_path / "taken" / "archive")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RootUnusable, match=r"Permission denied writing to output directory: .*archive"):
            open_root(tmp_path / "archive")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "Permission denied writing to output directory: {}"),
        (errno.EPERM, "Permission denied writing to output directory: {}"),
        (errno.ENOSPC, "The disk of the output directory is full: {}"),
        (errno.EDQUOT, "The disk of the output directory is full: {}"),
        (errno.EROFS, "Permission denied writing to output directory: {}"),
        (errno.EIO, "Cannot write to output directory: {}"),
    ],
)
def test_what_the_system_says_is_explained(
    root: Root, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "/the/file")

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    file = staged(root, b"bytes")
    of_one_object = code in {errno.EACCES, errno.EPERM}
    for action in (lambda: open_root(root.path / "new"), lambda: quarantine(root, file, "x/y.zip", "bad", "run")):
        with pytest.raises(RootUnusable) as caught:
            action()
        assert caught.value.message.startswith(message.format(root.path))
        assert caught.value.hint.startswith(f"/the/file: {os.strerror(code)}. ")
        assert caught.value.exit_code is ExitCode.ENVIRONMENT
    with pytest.raises(Refused if of_one_object else RootUnusable):
        publish(root, file, "x.zip")
    assert file.read_bytes() == b"bytes"


def test_a_root_that_is_gone_is_reported(root: Root) -> None:
    file = staged(root, b"bytes")
    shutil.rmtree(root.path)
    with pytest.raises(RootUnusable, match=f"^The output directory is gone: {re.escape(str(root.path))}$") as caught:
        publish(root, file, "x.zip")
    assert "Bring it back, then run again" in caught.value.hint


def test_publication_moves_sidecar_and_zip(root: Root) -> None:
    publish(root, staged(root, b"zip"), KEY, staged(root, b"sum", "sidecar"))
    assert root.file(KEY).read_bytes() == b"zip"
    assert root.file(SIDECAR_KEY).read_bytes() == b"sum"
    assert list(root.staging.iterdir()) == []


def test_the_sidecar_goes_first(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = os.replace

    def noted(source: Path, target: str) -> None:
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    publish(root, staged(root, b"zip"), KEY, staged(root, b"sum", "sidecar"))
    assert moved == [root.file(SIDECAR_KEY).name, root.file(KEY).name]


def test_publication_replaces_an_earlier_file(root: Root) -> None:
    put(root, KEY, b"old")
    put(root, SIDECAR_KEY, b"old sum")
    publish(root, staged(root, b"new"), KEY, staged(root, b"new sum", "sidecar"))
    assert root.file(KEY).read_bytes() == b"new"
    assert root.file(SIDECAR_KEY).read_bytes() == b"new sum"


@pytest.mark.parametrize(
    ("there", "stays"), [(sidecar_text(b"new"), True), (sidecar_text(b"old"), False), (b"no sidecar at all", False)]
)
def test_an_earlier_sidecar_stays_only_if_it_matches_the_new_bytes(root: Root, there: bytes, stays: bool) -> None:
    put(root, SIDECAR_KEY, there)
    publish(root, staged(root, b"new"), KEY)
    assert root.file(KEY).read_bytes() == b"new"
    assert root.file(SIDECAR_KEY).exists() is stays


def test_what_is_published_together_looks_at_each_folder_once(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before them is still seen: a folder in the way of one of them."""
    other, blocked = KEY.replace("07-15", "07-16"), KEY.replace("07-15", "07-17")
    assert len({KEY, other, blocked}) == 3
    root.file(blocked).mkdir(parents=True)
    looked: list[str] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: looked.append(folder) or listdir(folder))
    folders: Folders = {}
    for key in (KEY, other):
        publish(root, staged(root, key.encode()), key, staged(root, b"sum", "sidecar"), folders)
    with pytest.raises(Refused, match="it is a folder"):
        publish(root, staged(root, b"zip"), blocked, None, folders)
    assert looked == [str(root.file(KEY).parent)]
    assert [root.file(key).read_bytes() for key in (KEY, other)] == [KEY.encode(), other.encode()]


def test_a_folder_that_is_deleted_meanwhile_is_made_again(root: Root) -> None:
    folders: Folders = {}
    publish(root, staged(root, b"zip"), KEY, staged(root, b"sum", "sidecar"), folders)
    shutil.rmtree(root.file(KEY).parent)
    publish(root, staged(root, b"new"), KEY, staged(root, b"new sum", "sidecar"), folders)
    assert (root.file(KEY).read_bytes(), root.file(SIDECAR_KEY).read_bytes()) == (b"new", b"new sum")


def test_a_folder_at_the_final_path_is_refused(root: Root) -> None:
    root.file(KEY).mkdir(parents=True)
    file, sidecar = staged(root, b"zip"), staged(root, b"sum", "sidecar")
    with pytest.raises(Refused) as caught:
        publish(root, file, KEY, sidecar)
    assert caught.value.message.startswith(f"Refused to replace {root.file(KEY)}: it is a folder")
    assert caught.value.hint == "Move it away, then run again."
    assert file.exists()
    assert not root.file(SIDECAR_KEY).exists()


def test_a_folder_in_place_of_the_sidecar_is_refused_before_anything_moves(root: Root) -> None:
    root.file(SIDECAR_KEY).mkdir(parents=True)
    with pytest.raises(Refused, match="it is a folder, where a file of the archive belongs"):
        publish(root, staged(root, b"zip"), KEY)
    assert not root.file(KEY).exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_at_the_final_path_is_refused(root: Root) -> None:
    root.file(KEY).parent.mkdir(parents=True)
    os.mkfifo(root.file(KEY))
    with pytest.raises(Refused, match="it is a special file"):
        publish(root, staged(root, b"zip"), KEY)


def test_a_file_in_place_of_a_folder_is_refused(root: Root) -> None:
    put(root, "data/spot", b"a file")
    with pytest.raises(Refused) as caught:
        publish(root, staged(root, b"zip"), KEY)
    assert caught.value.message == f"Refused to store {root.file(KEY)}: Not a directory"
    assert "Move away what is in place of a folder" in caught.value.hint


def test_a_name_that_is_too_long_is_refused(root: Root) -> None:
    with pytest.raises(Refused, match="File name too long"):
        publish(root, staged(root, b"zip"), f"data/{'x' * 300}.zip")


def test_a_link_out_of_the_root_is_refused(root: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.data.symlink_to(outside, target_is_directory=True)
    with pytest.raises(Refused, match=r"Refused to write outside of the archive root: .* leads to "):
        publish(root, staged(root, b"zip"), KEY)
    assert list(outside.iterdir()) == []


def test_a_file_link_out_of_the_root_is_refused(root: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside.zip"
    outside.write_bytes(b"theirs")
    root.file(KEY).parent.mkdir(parents=True)
    root.file(KEY).symlink_to(outside)
    with pytest.raises(Refused):
        publish(root, staged(root, b"zip"), KEY)
    assert outside.read_bytes() == b"theirs"


def test_links_inside_the_root_and_to_the_root_are_fine(tmp_path: Path) -> None:
    root = open_root(tmp_path / "real")
    (root.path / "elsewhere").mkdir()
    root.data.symlink_to("elsewhere", target_is_directory=True)
    (tmp_path / "link").symlink_to(root.path, target_is_directory=True)
    by_link = Root(tmp_path / "link")
    publish(by_link, staged(root, b"zip"), KEY)
    assert root.path.joinpath("elsewhere", *KEY.split("/")[1:]).read_bytes() == b"zip"


def test_quarantine_keeps_bytes_and_reason(root: Root) -> None:
    kept = quarantine(root, staged(root, b"bad"), KEY, "SHA-256 differs", "run-1")
    assert kept == root.quarantine / f"{KEY}.run-1"
    assert kept.read_bytes() == b"bad"
    assert json.loads(Path(f"{kept}.reason.json").read_text(encoding="utf-8")) == {
        "key": KEY,
        "reason": "SHA-256 differs",
        "run_id": "run-1",
        "size": 3,
    }


def test_quarantine_never_overwrites(root: Root) -> None:
    kept = [quarantine(root, staged(root, bytes([n])), KEY, "bad", "run") for n in range(4)]
    assert [path.read_bytes() for path in kept] == [bytes([n]) for n in range(4)]
    Path(f"{kept[0]}.reason.json").unlink()  # the user tidied up
    assert quarantine(root, staged(root, b"new"), KEY, "bad", "run") not in kept
    assert kept[0].read_bytes() == bytes([0])


def test_threads_never_share_a_place_in_quarantine(root: Root) -> None:
    files = [staged(root, bytes([n]), f"staged{n}") for n in range(8)]
    start = threading.Barrier(len(files))
    kept: list[Path] = []

    def work(file: Path) -> None:
        start.wait()
        kept.append(quarantine(root, file, KEY, "bad", "run"))

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_bytes() for path in kept) == [bytes([n]) for n in range(8)]


def test_quarantine_cannot_be_led_out_of_its_folder(root: Root) -> None:
    with pytest.raises(ValueError, match="not a plain path"):
        quarantine(root, staged(root, b"bad"), "data/../../x.zip", "bad", "run")
    with pytest.raises(ValueError, match="not a plain path"):
        quarantine(root, staged(root, b"bad"), KEY, "bad", "../../run")


def test_staging_is_swept_and_nothing_else(root: Root, tmp_path: Path) -> None:
    put(root, KEY, b"mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs").write_bytes(b"theirs")
    (root.staging / RUN / "lane").mkdir(parents=True)
    (root.staging / RUN / "lane" / "half.zip1234").write_bytes(b"half")
    (root.staging / RUN / "whole.zip").write_bytes(b"whole")
    (root.staging / RUN / "link").symlink_to(outside, target_is_directory=True)
    linked_run = root.staging / new_run_id(NOON)
    linked_run.symlink_to(outside, target_is_directory=True)
    (root.staging / "mine").mkdir()
    (root.staging / "mine" / "notes.txt").write_bytes(b"mine")
    (root.staging / RUN.replace("Z", "X")).touch()
    assert sweep_staging(root) == 2
    assert {path.name for path in root.staging.iterdir()} == {"mine", RUN.replace("Z", "X"), linked_run.name}
    assert (root.staging / "mine" / "notes.txt").exists()
    assert root.file(KEY).read_bytes() == b"mine"
    assert (outside / "theirs").exists()
    assert sweep_staging(root) == 0


def test_free_bytes_of_a_root_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert free_bytes(Root(tmp_path / "not" / "yet")) > 0


OURS = (".crypto-archive", *(f".crypto-archive/{name}" for name in (
    "staging", "quarantine", "covered", "runs", "parts", "shards", "parts/rounds")))  # fmt: skip


@pytest.mark.parametrize("linked", OURS)
def test_a_folder_of_ours_that_is_a_link_is_refused_and_nothing_in_it_touched(tmp_path: Path, linked: str) -> None:
    mine, path = tmp_path / "mine", tmp_path / "archive"
    (mine / "deep").mkdir(parents=True)
    (mine / "deep" / "notes.txt").write_text("mine")
    (path / linked).parent.mkdir(parents=True)
    (path / linked).symlink_to(mine, target_is_directory=True)
    with pytest.raises(RootUnusable) as caught:
        open_root(path)
    assert caught.value.message == f"Refused to use {path / linked}: it is a symbolic link"
    assert "Remove the link" in caught.value.hint
    with pytest.raises(RootUnusable, match="it is a symbolic link"):
        root_of(load_preset(output_directory=path))
    assert [item.relative_to(mine).as_posix() for item in mine.rglob("*")] == ["deep", "deep/notes.txt"]


def test_a_root_that_is_itself_behind_a_link_is_used(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "disk", target_is_directory=True)
    root = open_root(tmp_path / "archive")
    quarantine(root, staged(root, b"bad"), KEY, "bad", "run")
    publish(root, staged(root, b"good"), KEY)
    assert (tmp_path / "disk" / KEY).read_bytes() == b"good"


@pytest.mark.parametrize("linked", ["quarantine/data", "data"])
def test_quarantine_moves_nothing_out_of_the_root_or_into_it(root: Root, tmp_path: Path, linked: str) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    file = put(root, KEY, b"bad") if linked != "data" else mine / KEY.removeprefix("data/")
    if linked == "data":
        file.parent.mkdir(parents=True)
        file.write_bytes(b"bad")
    link = root.path / "data" if linked == "data" else root.shared / linked
    link.symlink_to(mine, target_is_directory=True)
    with pytest.raises(RootUnusable, match="Refused to move") as caught:
        quarantine(root, root.file(KEY), KEY, "bad", "run")
    assert str(mine) in caught.value.message
    assert root.file(KEY).read_bytes() == b"bad"
    assert [path for path in mine.rglob("*") if path.is_file()] == ([file] if linked == "data" else [])


def test_drafts_of_a_killed_run_are_swept(root: Root) -> None:
    draft = create_draft(root.private / "lock.json")
    draft.close()
    sweep_staging(root)
    assert not Path(draft.name).exists()
