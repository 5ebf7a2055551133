"""What the documents tell people to do, done against the sample archive as it stands there."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import stored
from tests.archive.running import clean_environment
from tests.archive.sample import SampleSpec, demo, small
from tests.archive.served import written_once
from tests.archive.server import ENDPOINT_VARIABLE, S3Server
from tests.docs.blocks import Block, blocks, put_on_path, run_python, run_shell, shape, write_files
from tests.docs.generated import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.archive.sample import Sample

FIRST_HOUR = (DOCS / "first-hour.md").read_text("utf-8")
EXAMPLES = (DOCS / "examples.md").read_text("utf-8")
OPTIONAL = ("pandas", "polars", "duckdb")


def served(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A sample that goes on to yesterday, so that documents may speak of the last days."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    both = SampleSpec.of([*small().objects, *demo(yesterday).objects], small().defects)
    return written_once(tmp_path_factory, "documents", both)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of that sample."""
    with S3Server(served(tmp_path_factory).root, log=tmp_path_factory.mktemp("documents") / "rclone.log") as server:
        yield server.endpoint_url


@pytest.fixture
def environment(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_outside_settings: None
) -> dict[str, str]:
    """The environment of a reader whose current folder is empty."""
    del no_outside_settings
    programs, folder = tmp_path / "programs", tmp_path / "reader"
    put_on_path(programs)
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(ENDPOINT_VARIABLE, endpoint)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return clean_environment() | {"PATH": path, ENDPOINT_VARIABLE: endpoint}


def follow(block: Block, environment: Mapping[str, str]) -> None:
    """Run a block, and see that it prints what it is shown to print."""
    if block.reason:
        return
    if block.kind == "sh":
        printed = run_shell(block, Path.cwd(), environment)
    elif block.kind == "python" and is_installed(block):
        printed = run_python(block)
    else:
        return
    if block.prints is not None:
        assert shape(printed) == shape(block.prints)


def is_installed(block: Block) -> bool:
    compile(block.text, block.section, "exec")
    wanted = [name for name in OPTIONAL if re.search(rf"^import {name}\b", block.text, re.MULTILINE)]
    return all(importlib.util.find_spec(name) for name in wanted)


def test_the_first_hour(environment: dict[str, str]) -> None:
    found = blocks(FIRST_HOUR)
    assert sum(block.kind == "sh" for block in found) > 10
    assert [block.section for block in found if block.reason] == ["Install", "Completion and manual"]
    write_files(FIRST_HOUR, Path.cwd())
    for block in found:
        follow(block, environment)
    assert len(stored(Path("first"))) == 6
    assert Path("coverage.html").stat().st_size > 10_000


def sections(document: str) -> list[str]:
    return list(dict.fromkeys(block.section for block in blocks(document)))


@pytest.mark.parametrize("section", sections(EXAMPLES))
def test_the_examples(section: str, environment: dict[str, str]) -> None:
    write_files(EXAMPLES, Path.cwd())
    own = [block for block in blocks(EXAMPLES) if block.section == section]
    assert any(block.kind in ("sh", "python") for block in own)
    for block in own:
        follow(block, environment)
    assert any(stored(root) for root in Path.cwd().iterdir() if root.is_dir())


def test_an_output_that_differs_would_be_found(environment: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        follow(Block("sh", "echo 1 object", "", prints="2 files\n"), environment)
    with pytest.raises(AssertionError, match="exit code 3"):
        follow(Block("sh", "crypto-archive plan -m spot -t trades -s NONE --last 1d", ""), environment)


# Migration

MIGRATION = (DOCS / "migration.md").read_text("utf-8")
DAYS = [f"data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-{day}.zip" for day in (13, 14, 15)]


def test_files_of_the_official_scripts_are_taken_along(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One as the scripts leave it, one in the folder of a range of days, and one that broke off half way."""
    bucket = served(tmp_path_factory).bucket
    for key, place in zip(DAYS, ("", "2025-07-13_2025-07-15/", ""), strict=True):
        target = Path("store", key).parent / place / Path(key).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((bucket / key).read_bytes())
    os.truncate(Path("store", DAYS[2]), 100)
    printed = [
        run_shell(block, Path.cwd(), environment)
        for block in blocks(MIGRATION)
        if block.section == "Keeping existing files"
    ]
    outcomes = ast.literal_eval(printed[1].splitlines()[0])
    assert (outcomes["present"], outcomes["fetched"] + outcomes["updated"], outcomes["failed"]) == (2, 1, 0)
    for key in DAYS:
        assert Path("store", key).read_bytes() == (bucket / key).read_bytes()


@pytest.mark.parametrize("section", [name for name in sections(MIGRATION) if name != "Keeping existing files"])
def test_what_takes_the_place_of_other_tools(section: str, environment: dict[str, str]) -> None:
    for block in blocks(MIGRATION):
        if block.section == section:
            follow(block, environment)


# Operations


def test_a_root_is_copied_and_each_copy_is_whole(environment: dict[str, str]) -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    collect = "crypto-archive collect -m spot -t klines -i 1h -s BTCUSDT --end 2025-07-15 --last 3d --json -o {}"
    run_shell(Block("sh", collect.format("archive"), ""), Path.cwd(), environment)
    for block in blocks(text):
        if block.section == "Backups and moves":
            follow(block, environment)
    for root in ("backup", "copy"):
        report = json.loads(run_shell(Block("sh", collect.format(root), ""), Path.cwd(), environment))
        assert (report["outcomes"]["present"], report["bytes_fetched"]) == (3, 0)


def test_a_cron_line_is_silent_on_success_and_reports_failure(environment: dict[str, str]) -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    (quiet,) = re.findall(r"collect -p daily\.yaml (--quiet) --metrics-file \S+$", text, re.MULTILINE)
    call = f"crypto-archive collect -m spot -t trades -s {{}} --end 2025-07-15 --last 1d -o archive {quiet} 2>&1"
    assert run_shell(Block("sh", call.format("BTCUSDT"), ""), Path.cwd(), environment) == ""
    told = run_shell(Block("sh", f"{call.format('NONEUSDT')} || test $? = 3", ""), Path.cwd(), environment)
    assert told.startswith(
        "Error: empty: the archive has none of the selected data; the archive has no symbol 'NONEUSDT'"
    )
