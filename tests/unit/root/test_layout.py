"""A root has one layout: its own, or the requested one while it is empty."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from crypto_archive import load_preset
from crypto_archive.errors import ExitCode, RootUnusable, UsageError
from crypto_archive.root.layout import LayoutNote, confirm_layout, read_note, root_of, take_layout, write_note
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


def test_a_root_without_a_note_has_the_layout_of_keys(path: Path) -> None:
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


def test_an_empty_root_takes_another(path: Path) -> None:
    take_layout(root_of(wanted(path, "hive")))
    take_layout(root_of(wanted(path, BY_SYMBOL)))
    assert read_note(Root(path)) == LayoutNote(BY_SYMBOL)


def test_a_layout_that_differs_from_that_of_a_root_in_use_is_refused(path: Path) -> None:
    fill(root_of(wanted(path)))
    with pytest.raises(UsageError, match="has the layout 'mirror', but 'hive' was requested") as caught:
        root_of(wanted(path, "hive"))
    assert caught.value.exit_code is ExitCode.USAGE
    assert "`crypto-archive relayout --to 'hive'` and the same --output" in caught.value.hint


def test_a_run_that_comes_second_with_another_layout_is_refused_under_the_lock(path: Path) -> None:
    first, second = root_of(wanted(path, "hive")), root_of(wanted(path))
    take_layout(first)
    fill(first)
    with pytest.raises(UsageError, match="has the layout 'hive', but 'mirror' was requested"):
        take_layout(second)


def test_a_shard_next_to_others_is_refused_even_while_the_root_is_empty(path: Path) -> None:
    take_layout(root_of(wanted(path, "hive")))
    confirm_layout(root_of(wanted(path, "hive")))
    with pytest.raises(UsageError, match="has the layout 'hive', but 'mirror' was requested"):
        confirm_layout(root_of(wanted(path, "mirror")))


@pytest.mark.parametrize("layout", [None, "mirror", "hive"])
def test_no_run_works_in_a_root_whose_files_are_being_moved(path: Path, layout: str | None) -> None:
    root = root_of(wanted(path))
    write_note(root, LayoutNote("mirror", "hive"))
    with pytest.raises(RootUnusable, match="are being moved from the layout 'mirror' to 'hive'") as caught:
        root_of(wanted(path, layout))
    assert "`crypto-archive relayout --to 'hive'` with the same --output to finish" in caught.value.hint
    for under_lock in (take_layout, confirm_layout):
        with pytest.raises(RootUnusable, match="are being moved"):
            under_lock(root)


def test_a_layout_that_is_gone_is_reported(path: Path) -> None:
    write_note(Root(path), LayoutNote("gone_module:Layout"))
    with pytest.raises(RootUnusable, match="has the layout 'gone_module:Layout', which cannot be used: ") as caught:
        root_of(wanted(path))
    assert "PYTHONPATH" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"layout": 7}',
        '{"layout": ""}',
        '{"moving_to": "hive"}',
        "\xff",
        '{"a":' * 10_000,
        '{"layout": "mirror", "moving_to": 7}',
        '{"layout": "' + "x" * 70_000 + '"}',
    ],
)
def test_a_note_that_crypto_archive_did_not_write_is_reported(path: Path, text: str) -> None:
    Root(path).layout_path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RootUnusable, match="Cannot read the layout of the archive root from ") as caught:
        root_of(wanted(path))
    assert '{"layout": "mirror"}' in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_note_that_never_answers_is_reported(path: Path) -> None:
    os.mkfifo(Root(path).layout_path)
    with pytest.raises(RootUnusable, match=r"layout\.json: it is not a regular file"):
        root_of(wanted(path))


def test_a_note_is_a_line_of_json_and_leaves_no_draft(path: Path) -> None:
    root = Root(path)
    write_note(root, LayoutNote("币/{market}/{data_type}", "mirror"))
    assert root.layout_path.read_text("utf-8") == '{"layout": "币/{market}/{data_type}", "moving_to": "mirror"}\n'
    write_note(root, LayoutNote("mirror"))
    assert root.layout_path.read_text("utf-8") == '{"layout": "mirror"}\n'
    assert [file.name for file in root.shared.iterdir() if "layout" in file.name] == ["layout.json"]
