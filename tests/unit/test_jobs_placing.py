"""A root has one layout: its own, or the one that is asked for while it holds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto_archive import ExitCode, load_preset
from crypto_archive.errors import RootUnusable, UsageError
from crypto_archive.root.session import LayoutNote, confirm_layout, read_note, root_of, take_layout, write_note
from crypto_archive.root.store import Root, open_root
from tests.objects import an_object

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive import RunConfig

BY_SYMBOL = "{market}/{data_type}/{symbol}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return open_root(tmp_path / "archive").path


def wanted(path: Path, layout: str | None = None) -> RunConfig:
    return load_preset(output_directory=path, layout=layout)


def fill(root: Root) -> None:
    root.file(an_object().key).parent.mkdir(parents=True)
    root.file(an_object().key).touch()


def test_a_root_that_says_nothing_is_one_of_keys(path: Path) -> None:
    assert root_of(wanted(path)).layout.name == "mirror"
    fill(root_of(wanted(path)))
    take_layout(root_of(wanted(path, "mirror")))
    assert read_note(Root(path)) is None


def test_a_root_keeps_the_layout_that_it_took(path: Path) -> None:
    root = root_of(wanted(path, BY_SYMBOL))
    take_layout(root)
    assert root_of(wanted(path)).layout.name == BY_SYMBOL
    fill(root)
    assert root_of(wanted(path)).file(an_object().key).is_file()
    take_layout(root_of(wanted(path, BY_SYMBOL + "/{name}")))
    assert read_note(root) == LayoutNote(BY_SYMBOL)


def test_a_root_that_holds_nothing_takes_another(path: Path) -> None:
    take_layout(root_of(wanted(path, "hive")))
    take_layout(root_of(wanted(path, BY_SYMBOL)))
    assert read_note(Root(path)) == LayoutNote(BY_SYMBOL)


def test_another_layout_than_that_of_a_root_in_use_is_refused(path: Path) -> None:
    fill(root_of(wanted(path)))
    with pytest.raises(UsageError, match="has the layout 'mirror', and 'hive' is asked for") as caught:
        root_of(wanted(path, "hive"))
    assert caught.value.exit_code is ExitCode.USAGE
    assert "`crypto-archive relayout --to 'hive'` and the same --output" in caught.value.hint


def test_who_comes_second_with_another_layout_is_refused_under_the_lock(path: Path) -> None:
    first, second = root_of(wanted(path, "hive")), root_of(wanted(path))
    take_layout(first)
    fill(first)
    with pytest.raises(UsageError, match="has the layout 'hive', and 'mirror' is asked for"):
        take_layout(second)


def test_a_shard_beside_others_is_refused_even_while_there_is_nothing(path: Path) -> None:
    take_layout(root_of(wanted(path, "hive")))
    confirm_layout(root_of(wanted(path, "hive")))
    with pytest.raises(UsageError, match="has the layout 'hive', and 'mirror' is asked for"):
        confirm_layout(root_of(wanted(path, "mirror")))


@pytest.mark.parametrize("layout", [None, "mirror", "hive"])
def test_nobody_works_in_a_root_whose_files_are_on_their_way(path: Path, layout: str | None) -> None:
    root = root_of(wanted(path))
    write_note(root, LayoutNote("mirror", "hive"))
    with pytest.raises(RootUnusable, match="are on their way from the layout 'mirror' to 'hive'") as caught:
        root_of(wanted(path, layout))
    assert "`crypto-archive relayout --to 'hive'` with the same --output until it has ended" in caught.value.hint
    for under_lock in (take_layout, confirm_layout):
        with pytest.raises(RootUnusable, match="are on their way"):
            under_lock(root)


def test_a_layout_that_is_gone_is_told(path: Path) -> None:
    write_note(Root(path), LayoutNote("gone_module:Layout"))
    with pytest.raises(RootUnusable, match="has the layout 'gone_module:Layout', which cannot be used: ") as caught:
        root_of(wanted(path))
    assert "PYTHONPATH" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"layout": 7}', '{"layout": ""}', '{"moving_to": "hive"}', "\xff"]
)
def test_a_note_that_nobody_of_ours_wrote_is_told(path: Path, text: str) -> None:
    Root(path).layout_path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RootUnusable, match="Cannot read what layout the archive root has: ") as caught:
        root_of(wanted(path))
    assert '{"layout": "mirror"}' in caught.value.hint


def test_a_note_is_a_line_of_json_and_nothing_is_left_beside_it(path: Path) -> None:
    root = Root(path)
    write_note(root, LayoutNote("币/{market}/{data_type}", "mirror"))
    assert root.layout_path.read_text("utf-8") == '{"layout": "币/{market}/{data_type}", "moving_to": "mirror"}\n'
    write_note(root, LayoutNote("mirror"))
    assert root.layout_path.read_text("utf-8") == '{"layout": "mirror"}\n'
    assert [file.name for file in root.shared.iterdir() if file.name.startswith("layout")] == ["layout.json"]
