"""Files move to the paths of another layout and back, by renames, and whatever cuts that short, it goes on."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from crypto_archive import Cancellation, load_preset, relayout
from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.errors import ExitCode, RootLocked, RootUnusable, UsageError
from crypto_archive.events import LeftAlone, Moved, MovesCounted
from crypto_archive.model import SIDECAR_SUFFIX, Market
from crypto_archive.root.layout import LayoutNote, read_note, write_note
from crypto_archive.root.lock import hold_whole
from crypto_archive.root.store import Root, open_root
from tests.objects import an_object, bundled

if TYPE_CHECKING:
    from crypto_archive import RunConfig
    from crypto_archive.jobs.relayout import RelayoutReport
    from crypto_archive.model import ArchiveObject

BY_MARKET = "{market}/{data_type}"
OBJECTS = (
    an_object(0),
    an_object(1),
    an_object(0, market=Market.FUTURES_UM),
    an_object(0, market=Market.FUTURES_UM, data_type="markPriceKlines"),
    an_object(0, market=Market.FUTURES_UM, data_type="trades", symbol="币安=人生USDT"),
)
WITHOUT_SIDECAR = OBJECTS[1]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root that holds a few objects at their keys, each with bytes of its own."""
    return filled(tmp_path / "archive")


def filled(path: Path) -> Root:
    root = open_root(path)
    for item in OBJECTS:
        put(root, item)
    root.file(WITHOUT_SIDECAR.sidecar_key).unlink()
    return root


def put(root: Root, item: ArchiveObject) -> None:
    root.file(item.key).parent.mkdir(parents=True, exist_ok=True)
    root.file(item.key).write_text(item.key)
    root.file(item.sidecar_key).write_text(item.sidecar_key)


def wanted(root: Root, layout: str | None) -> RunConfig:
    return load_preset(output_directory=root.path, layout=layout)


def move(root: Root, layout: str, **options: bool) -> RelayoutReport:
    return relayout(wanted(root, layout), **options)


def files(root: Root) -> dict[str, str]:
    """All files below ``data/`` with their content; no folder is empty."""
    found = list(root.data.rglob("*"))
    assert [path for path in found if path.is_dir() and not any(path.iterdir())] == []
    return {path.relative_to(root.path).as_posix(): path.read_text("utf-8") for path in found if path.is_file()}


def expected(layout: str) -> dict[str, str]:
    placed = placement_of(layout, bundled())
    keys = {key for item in OBJECTS for key in (item.key, item.sidecar_key)} - {WITHOUT_SIDECAR.sidecar_key}
    return {placed.path(key): key for key in keys}


@pytest.mark.parametrize("layout", ["hive", BY_MARKET, "{symbol}/{interval}/{data_type}/{market}", "mirror"])
def test_there_and_back(root: Root, layout: str) -> None:
    report = move(root, layout)
    assert (report.status, report.exit_code(), report.source, report.target) == ("success", 0, "mirror", layout)
    assert (report.moved, report.in_place) == ((0, 5) if layout == "mirror" else (5, 0))
    assert files(root) == expected(layout)
    assert read_note(root) == LayoutNote(layout)
    again = move(root, layout)
    assert (again.moved, again.in_place) == (0, 5)
    back = move(root, "mirror")
    assert (back.source, back.target) == (layout, "mirror")
    assert files(root) == expected("mirror")


def test_from_one_template_to_another(root: Root) -> None:
    move(root, "hive")
    assert move(root, BY_MARKET).moved == 5
    assert files(root) == expected(BY_MARKET)


def test_a_dry_run_reports_the_moves_and_changes_nothing(root: Root) -> None:
    events: list[object] = []
    report = relayout(wanted(root, "hive"), on_event=events.append, dry_run=True)
    assert (report.moved, report.dry_run, report.document()["dry_run"]) == (5, True, True)
    moved = {event.source: event.target for event in events if isinstance(event, Moved)}
    placed = placement_of("hive", bundled())
    assert moved == {item.key: placed.path(item.key) for item in OBJECTS}
    assert events[0] == MovesCounted(5)
    assert files(root) == expected("mirror")
    assert read_note(root) is None


def test_files_that_are_not_objects_stay_and_are_reported(root: Root) -> None:
    notes = {"data/notes.txt": "mine", "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-01.csv": "unpacked"}
    for path, text in notes.items():
        (root.path / path).write_text(text)
    (root.data / "empty" / "inside").mkdir(parents=True)
    report = move(root, "hive")
    assert (report.status, report.moved) == ("success", 5)
    assert {one.path: (one.reason, one.in_the_way) for one in report.left} == dict.fromkeys(
        notes, ("not an object of the archive", False)
    )
    assert files(root) == expected("hive") | notes


def test_a_sidecar_without_its_zip_moves_too(root: Root) -> None:
    root.file(OBJECTS[0].key).unlink()
    assert move(root, "hive").moved == 4
    moved = expected("hive")
    del moved[placement_of("hive", bundled()).path(OBJECTS[0].key)]
    assert files(root) == moved


def test_nothing_is_moved_if_anything_is_in_the_way(root: Root) -> None:
    taken = root.path / placement_of("hive", bundled()).path(OBJECTS[0].key)
    taken.mkdir(parents=True)
    report = move(root, "hive")
    assert (report.status, report.exit_code(), report.moved) == ("blocked", ExitCode.PARTIAL, 0)
    (left,) = report.left
    assert left == LeftAlone(OBJECTS[0].key, f"{taken.relative_to(root.path).as_posix()} already exists", True)
    assert read_note(root) is None
    taken.rmdir()
    assert move(root, "hive").status == "success"
    assert files(root) == expected("hive")


def test_nothing_is_moved_where_data_is_a_link(root: Root, tmp_path: Path) -> None:
    root.data.rename(tmp_path / "mine")
    (tmp_path / "mine" / "empty").mkdir()
    root.data.symlink_to(tmp_path / "mine", target_is_directory=True)
    before = sorted((tmp_path / "mine").rglob("*"))
    with pytest.raises(RootUnusable, match="Refused to move the files of"):
        move(root, "hive")
    assert sorted((tmp_path / "mine").rglob("*")) == before


def test_nothing_is_moved_through_a_link_out_of_the_root(root: Root, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    target = placement_of("hive", bundled()).path(OBJECTS[0].key)
    link = root.path.joinpath(*Path(target).parts[:2])
    link.symlink_to(tmp_path / "mine", target_is_directory=True)
    report = move(root, "hive")
    assert (report.status, report.moved) == ("blocked", 0)
    assert {one.reason for one in report.left if one.in_the_way} >= {
        f"a link leads from {target} out of the archive root"
    }
    assert list((tmp_path / "mine").iterdir()) == []
    link.unlink()
    assert files(root) == expected("mirror")


# Cut short


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", ["hive", "mirror"])
def test_killed_between_any_two_steps_it_goes_on_or_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    notes: set[LayoutNote | None] = set()
    for step in count():
        root = filled(tmp_path / str(step))
        with monkeypatch.context() as patched:
            dies = dying(patched, step)
            with suppress(Killed):
                move(root, "hive")
        notes.add(read_note(root))
        report = move(root, after)
        assert (report.status, report.moved + report.in_place) == ("success", 5)
        assert files(root) == expected(after)
        assert read_note(root) == LayoutNote(after)
        if not dies.reached:
            break
    assert step > 20  # two notes, nine files, and the folders that are left empty
    assert notes == {None, LayoutNote("mirror", "hive"), LayoutNote("hive")}


@dataclass
class Dying:
    """Counts steps, and dies instead of making the one with a number."""

    step: int
    done: int = 0

    @property
    def reached(self) -> bool:
        return self.done == self.step

    def __call__(self, path: Path) -> None:
        if path.name.startswith("lock"):
            return
        if self.reached:
            raise Killed
        self.done += 1


def dying(monkeypatch: pytest.MonkeyPatch, step: int) -> Dying:
    """Let the process die instead of making the step with this number: a rename or the removal of a folder."""
    dies = Dying(step)

    def patch(name: str) -> None:
        real = getattr(Path, name)

        def patched(path: Path, *arguments: Path) -> object:
            dies(path)
            return real(path, *arguments)

        monkeypatch.setattr(Path, name, patched)

    for name in ("rename", "replace", "rmdir"):
        patch(name)
    return dies


def test_while_files_are_on_their_way_a_third_layout_is_refused(root: Root) -> None:
    write_note(root, LayoutNote("mirror", "hive"))
    with pytest.raises(RootUnusable, match="being moved from the layout 'mirror' to 'hive'") as caught:
        move(root, BY_MARKET)
    assert "--to 'mirror' to go back" in caught.value.hint
    assert files(root) == expected("mirror")


def test_a_stop_leaves_the_rest_for_the_next_one(root: Root) -> None:
    cancellation = Cancellation()

    def stop(event: object) -> None:
        if isinstance(event, Moved):
            cancellation.request(2)

    report = relayout(wanted(root, "hive"), on_event=stop, cancellation=cancellation)
    assert (report.status, report.exit_code(), report.moved) == ("interrupted", ExitCode.INTERRUPTED, 1)
    assert report.document()["interrupted_by"] == "SIGINT"
    assert read_note(root) == LayoutNote("mirror", "hive")
    rest = move(root, "hive")
    assert (rest.moved, rest.in_place) == (4, 1)
    assert files(root) == expected("hive")


def test_a_stop_before_anything_is_moved_changes_nothing(root: Root) -> None:
    cancellation = Cancellation()
    cancellation.request(15)
    report = relayout(wanted(root, "hive"), cancellation=cancellation)
    assert (report.status, report.exit_code()) == ("interrupted", ExitCode.TERMINATED)
    assert read_note(root) is None
    assert files(root) == expected("mirror")


# Refusals


def test_a_root_that_is_held_is_refused(root: Root) -> None:
    with hold_whole(root, "collect"), pytest.raises(RootLocked):
        move(root, "hive")
    assert files(root) == expected("mirror")


def test_a_root_and_a_layout_are_required(tmp_path: Path, root: Root) -> None:
    with pytest.raises(RootUnusable, match="There is no archive root at"):
        move(Root(tmp_path / "nowhere"), "hive")
    with pytest.raises(UsageError, match="No layout is given"):
        relayout(wanted(root, None))


def test_a_full_disk_is_reported_and_moved_files_stay(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name.endswith("02.zip"):
            raise OSError(28, "No space left on device", str(path))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(RootUnusable, match="The disk of the output directory is full"):
        move(root, "hive")
    monkeypatch.undo()
    assert move(root, "hive").status == "success"
    assert files(root) == expected("hive")


def test_a_file_that_may_be_two_objects_blocks_everything(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped:
        """The paths of spot and um, exchanged."""

        def folder(self, item: ArchiveObject) -> str:
            folders = {"spot/": "futures/um/", "futures/um/": "spot/"}
            key = item.key.removeprefix("data/").rpartition("/")[0]
            for begin, other in folders.items():
                if key.startswith(begin):
                    return other + key.removeprefix(begin)
            return key

    module = ModuleType("swapping")
    module.Swapped = Swapped  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swapping", module)
    report = move(root, "swapping:Swapped")
    assert (report.status, report.moved) == ("blocked", 0)
    assert all(one.reason.startswith("ambiguous: ") for one in report.left)
    assert files(root) == expected("mirror")


def test_a_folder_that_may_not_be_read_moves_nothing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("trades"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(RootUnusable, match=r"Cannot read the folder .*trades: Permission denied"):
        move(root, "hive")
    monkeypatch.undo()
    assert files(root) == expected("mirror")
    assert SIDECAR_SUFFIX in "".join(files(root))
