"""What is there already is answered a folder at a time, from disk and manifest, without writing anything."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.errors import RootUnusable
from crypto_archive.model import ManifestEntry, RemoteStat, StoredStat, Verdict
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import KeysOnDisk, StoredFiles
from crypto_archive.root.store import Root, open_root
from tests.objects import an_object, bundled, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FOLDER = "data/spot/daily/klines/BTCUSDT/1h/"
KEY = FOLDER + "BTCUSDT-1h-2025-07-15.zip"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def put(root: Root, key: str, content: bytes = b"bytes") -> None:
    path = root.file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def entry(key: str) -> ManifestEntry:
    return ManifestEntry(key, 5, "a" * 64, Verdict.OK, "etag", None, datetime(2025, 7, 16, tzinfo=UTC), "run")


@contextmanager
def opened(root: Root) -> Iterator[StoredFiles]:
    with Manifest(root.manifest_path, read_only=True) as manifest:
        yield StoredFiles(root, manifest)


def record(root: Root, *keys: str) -> None:
    with Manifest(root.manifest_path) as manifest:
        for key in keys:
            manifest.record(entry(key))


def test_a_file_with_and_without_a_row(root: Root) -> None:
    put(root, KEY)
    put(root, FOLDER + "other.zip", b"")
    record(root, KEY)
    with opened(root) as stored:
        assert stored.stat(KEY) == StoredStat(5, entry(KEY))
        assert stored.stat(FOLDER + "other.zip") == StoredStat(0, None)
        assert stored.stat(FOLDER + "none.zip") is None


def test_a_row_without_a_file_is_not_there(root: Root) -> None:
    record(root, KEY)
    with opened(root) as stored:
        assert stored.stat(KEY) is None


def test_without_a_manifest_the_disk_speaks(root: Root) -> None:
    put(root, KEY)
    record(root, KEY)
    assert StoredFiles(root, None).stat(KEY) == StoredStat(5, None)


def test_what_a_writer_has_not_flushed_is_seen_through_its_own_manifest(root: Root) -> None:
    put(root, KEY)
    with Manifest(root.manifest_path) as manifest:
        manifest.record(entry(KEY))
        assert StoredFiles(root, manifest).stat(KEY) == StoredStat(5, entry(KEY))


def test_what_one_manifest_does_not_know_is_asked_of_the_one_beneath(root: Root, tmp_path: Path) -> None:
    other, neither = FOLDER + "other.zip", FOLDER + "neither.zip"
    for key in (KEY, other, neither):
        put(root, key)
    with Manifest(root.manifest_path) as beneath, Manifest(tmp_path / "own.sqlite") as own:
        for key in (KEY, other):
            beneath.record(entry(key))
        newer = entry(KEY)._replace(etag="newer")
        own.record(newer)
        stored = StoredFiles(root, own, beneath)
        assert stored.stat(KEY) == StoredStat(5, newer)
        assert stored.stat(other) == StoredStat(5, entry(other))
        assert stored.stat(neither) == StoredStat(5, None)


def test_a_root_that_does_not_exist_is_empty_and_stays_away(tmp_path: Path) -> None:
    with opened(Root(tmp_path / "none")) as stored:
        assert stored.stat(KEY) is None
        assert stored.stat("top.zip") is None
    assert list(tmp_path.iterdir()) == []


def test_a_key_without_a_folder(root: Root) -> None:
    put(root, "top.zip")
    assert StoredFiles(root).stat("top.zip") == StoredStat(5)


def test_only_files_count(root: Root, tmp_path: Path) -> None:
    put(root, KEY)
    folder = root.file(KEY).parent
    (folder / "folder.zip").mkdir()
    (folder / "broken.zip").symlink_to(tmp_path / "nowhere")
    (folder / "link.zip").symlink_to(root.file(KEY))
    stored = StoredFiles(root)
    assert stored.stat(FOLDER + "folder.zip") is None
    assert stored.stat(FOLDER + "broken.zip") is None
    assert stored.stat(FOLDER + "link.zip") == StoredStat(5)
    there = [name for name in ("folder.zip", "broken.zip", "link.zip", "none.zip") if stored.has(FOLDER + name)]
    assert there == ["link.zip"]
    assert not stored.has("data/../../passwd")


def test_a_record_is_known_with_and_without_its_file(root: Root) -> None:
    put(root, KEY)
    record(root, KEY, FOLDER + "gone.zip")
    with opened(root) as stored:
        assert stored.recorded(KEY) == entry(KEY)
        assert stored.recorded(FOLDER + "gone.zip") == entry(FOLDER + "gone.zip")
        assert stored.recorded(FOLDER + "none.zip") is None
        assert (stored.has(KEY), stored.has(FOLDER + "gone.zip")) == (True, False)


def test_a_file_in_place_of_a_folder_holds_nothing(root: Root) -> None:
    put(root, "data/spot")
    assert StoredFiles(root).stat(KEY) is None


def test_a_key_that_leads_out_of_the_root_is_refused(root: Root) -> None:
    with pytest.raises(ValueError, match="not a plain path"):
        StoredFiles(root).stat("data/../../etc/passwd")
    assert StoredFiles(root).stat("data/..") is None


def test_a_folder_that_cannot_be_read_is_reported(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(RootUnusable) as caught:
        StoredFiles(root).stat(KEY)
    assert caught.value.message == f"Cannot read the folder {root.path / FOLDER.rstrip('/')}: Permission denied"
    assert caught.value.hint == "Make the output directory readable for you."


def test_each_folder_is_read_once(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"data/{symbol}/{day:03}.zip" for symbol in ("A", "B", "C") for day in range(200)]
    for key in keys:
        put(root, key)
    record(root, *keys)
    looks: list[object] = []
    queries: list[str] = []
    scandir = os.scandir
    entries_in = Manifest.entries_in

    def looking(path: Path) -> object:
        looks.append(path)
        return scandir(path)

    def querying(manifest: Manifest, prefix: str) -> Mapping[str, ManifestEntry]:
        queries.append(prefix)
        return entries_in(manifest, prefix)

    monkeypatch.setattr(os, "scandir", looking)
    monkeypatch.setattr(Manifest, "entries_in", querying)
    with opened(root) as stored:
        assert all(stored.stat(key) == StoredStat(5, entry(key)) for key in keys)
    assert looks == [root.data / "A", root.data / "B", root.data / "C"]
    assert queries == ["data/A/", "data/B/", "data/C/"]


def test_an_existing_file_is_examined_once_and_a_missing_one_never(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"data/A/{day:03}.zip" for day in range(20)]
    for key in keys[::2]:
        put(root, key)
    record(root, *keys)
    looks: list[str] = []
    look = os.stat

    def looking(path: str, **options: bool) -> os.stat_result:
        looks.append(path)
        return look(path, **options)  # type: ignore[arg-type]

    with opened(root) as stored:
        monkeypatch.setattr(os, "stat", looking)
        found = [stored.stat(key) for key in keys]
        monkeypatch.undo()
    assert [stat is not None for stat in found] == [True, False] * 10
    assert looks == [str(root.path / key) for key in keys[::2]]


def test_a_file_that_was_cut_short_is_seen(root: Root) -> None:
    """As a power cut may leave it; neither the folder nor the manifest tells."""
    put(root, KEY, b"byt")
    record(root, KEY)
    with opened(root) as stored:
        assert stored.stat(KEY) == StoredStat(3, entry(KEY))


def test_only_a_few_folders_are_kept(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredFiles(root)
    put(root, "data/first/x.zip")
    assert stored.stat("data/first/x.zip") == StoredStat(5)
    for number in range(100):
        assert stored.stat(f"data/{number}/x.zip") is None
    put(root, "data/first/y.zip")
    assert stored.stat("data/first/y.zip") == StoredStat(5)


MONTH = "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-06.zip"
LATER = datetime(2025, 7, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "size", "etag", "short"),
    [
        ({}, 5, "etag", True),
        ({"verdict": Verdict.OK}, 5, "etag", False),
        ({"verdict": Verdict.SIDECAR_STALE}, 5, "etag", False),
        ({}, 5, "another", False),  # it was replaced, and may be whole now
        ({}, 6, "etag", False),
        # Without a listing the MD5 is known; what was uploaded in parts has none to compare it with.
        ({"etag": "a" * 32, "last_modified": None}, 5, "b" * 32 + "-7", True),
        ({"etag": "a" * 32, "last_modified": None}, 5, "b" * 32, False),
        ({"etag": "a" * 32 + "-7"}, 5, "b" * 32 + "-7", False),
    ],
)
def test_a_stored_month_is_known_to_be_short(
    root: Root, known: dict[str, object], size: int, etag: str, short: bool
) -> None:
    put(root, MONTH)
    about = {"verdict": Verdict.GAPS, "last_modified": LATER} | known
    with Manifest(root.manifest_path) as manifest:
        manifest.record(entry(MONTH)._replace(**about))  # type: ignore[arg-type]
    with opened(root) as stored:
        assert stored.is_short(MONTH, RemoteStat(size, etag, LATER)) is short
        assert stored.is_short(MONTH.replace("06", "07"), RemoteStat(size, etag, LATER)) is False


def test_what_is_not_on_disk_or_not_known_is_not_short(root: Root) -> None:
    record(root, MONTH)
    put(root, KEY)
    with opened(root) as stored:
        assert not stored.is_short(MONTH, RemoteStat(5, "etag", LATER))
        assert not stored.is_short(KEY, RemoteStat(5, "etag", LATER))


def test_a_month_that_is_a_broken_zip_holds_no_days(root: Root) -> None:
    put(root, MONTH)
    with Manifest(root.manifest_path) as manifest:
        manifest.record(entry(MONTH)._replace(verdict=Verdict.BAD_ZIP))
    with opened(root) as stored:
        known = stored.stat(MONTH)
        assert known is not None
        assert known.recorded is not None
        assert stored.is_short(MONTH, RemoteStat(known.recorded.size, known.recorded.etag, LATER))


def test_the_etag_of_a_sidecar_on_disk(root: Root) -> None:
    put(root, KEY)
    with opened(root) as stored:
        assert stored.sidecar_etag(KEY) is None
    root.file(KEY + ".CHECKSUM").write_bytes(b"a line")
    with opened(root) as stored:
        assert stored.sidecar_etag(KEY) == hashlib.md5(b"a line", usedforsecurity=False).hexdigest()


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


def test_links_to_nowhere_and_in_a_circle_are_neither_files_nor_folders(
    tmp_path: Path, on_disk: Callable[[Root], KeysOnDisk]
) -> None:
    folder = tmp_path / "data" / "spot"
    folder.mkdir(parents=True)
    (folder / "file.zip").write_bytes(b"")
    (folder / "nowhere.zip").symlink_to(folder / "absent.zip")
    (folder / "circle.zip").symlink_to(folder / "circle.zip")
    (folder / "linked.zip").symlink_to(folder / "file.zip")
    keys = on_disk(Root(tmp_path))
    assert sorted(keys.files("data/spot/")) == ["file.zip", "linked.zip"]
    assert keys.folders("data/spot/") == []
