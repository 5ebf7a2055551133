from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.errors import RootUnusable
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk
from crypto_archive.root.store import Root, open_root
from tests.objects import an_object, bundled, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def on_disk() -> Iterator[Callable[[Root], KeysOnDisk]]:
    """Opens the keys on disk of a root, with its manifest."""
    opened: list[Manifest] = []

    def keys_on_disk(root: Root) -> KeysOnDisk:
        opened.append(Manifest(root.manifest_path, read_only=True))
        return KeysOnDisk(root, opened[-1])

    yield keys_on_disk
    for manifest in opened:
        manifest.close()


def test_names_of_files_and_of_folders(tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk]) -> None:
    folder = tmp_path / "data" / "spot"
    (folder / "b").mkdir(parents=True)
    (folder / "a").mkdir()
    (folder / "x.zip").touch()
    (folder / "y.zip").touch()
    keys = on_disk(Root(tmp_path))
    assert sorted(keys.files("data/spot/")) == ["x.zip", "y.zip"]
    assert keys.folders("data/spot/") == ["a", "b"]


def test_what_is_not_there_has_no_names(tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk]) -> None:
    (tmp_path / "data").touch()
    for root in (Root(tmp_path), Root(tmp_path / "none")):
        assert on_disk(root).files("data/spot/") == []
        assert on_disk(root).folders("data/spot/") == []


def test_a_folder_that_may_not_be_read(
    tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(RootUnusable, match=r"Cannot read the folder .*data: Permission denied"):
        on_disk(Root(tmp_path)).files("data/")


def test_nothing_outside_the_root_is_looked_at(tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk]) -> None:
    with pytest.raises(ValueError, match="not a plain path below the archive root"):
        on_disk(Root(tmp_path)).files("data/../../")


def test_in_another_layout_those_count_that_are_recorded_and_on_disk(
    tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk]
) -> None:
    root = open_root(tmp_path, placement_of("hive", bundled()))
    there, gone, unknown = an_object(0), an_object(1), an_object(2)
    for item in (there, unknown):
        root.file(item.key).parent.mkdir(parents=True, exist_ok=True)
        root.file(item.key).touch()
    with Manifest(root.manifest_path) as manifest:
        for item in (there, gone):
            manifest.record(entry_of(item.key))
    keys = on_disk(root)
    folder, _, name = there.key.rpartition("/")
    assert keys.files(f"{folder}/") == [name]
    assert keys.folders("data/spot/daily/klines/") == ["BTCUSDT"]
