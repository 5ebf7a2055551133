from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import RootUnusable
from crypto_archive.trust.folders import KeysOnDisk
from crypto_archive.trust.store import Root

if TYPE_CHECKING:
    from pathlib import Path


def test_names_of_files_and_of_folders(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "spot"
    (folder / "b").mkdir(parents=True)
    (folder / "a").mkdir()
    (folder / "x.zip").touch()
    (folder / "y.zip").touch()
    root = Root(tmp_path)
    assert sorted(file_names(root, "data/spot/")) == ["x.zip", "y.zip"]
    assert folder_names(root, "data/spot/") == ["a", "b"]


def test_what_is_not_there_has_no_names(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for root in (Root(tmp_path), Root(tmp_path / "none")):
        assert file_names(root, "data/spot/") == []
        assert folder_names(root, "data/spot/") == []


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(RootUnusable, match=r"Cannot read the folder .*data: Permission denied"):
        file_names(Root(tmp_path), "data/")


def test_nothing_outside_the_root_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no plain path below the archive root"):
        file_names(Root(tmp_path), "data/../../")
