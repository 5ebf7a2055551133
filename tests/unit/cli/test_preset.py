"""``crypto-archive preset``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from crypto_archive.cli.app import app
from crypto_archive.config.fields import PRESET_FIELDS
from crypto_archive.config.load import load_run_config
from crypto_archive.config.schema import preset_schema
from crypto_archive.errors import CryptoArchiveError, ExitCode
from tests.unit.config.test_presets import BUNDLED, TODAY

if TYPE_CHECKING:
    from typer.testing import Result


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of presets, which is not there yet; and an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "crypto-archive" / "presets"


def preset(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["preset", *arguments])


def refused(*arguments: str) -> CryptoArchiveError:
    error = preset(*arguments).exception
    assert isinstance(error, CryptoArchiveError)
    return error


def rows_of(text: str) -> dict[str, str]:
    return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.strip()}


# list


def test_the_list_has_the_presets_of_the_package_and_ones_own(own_folder: Path) -> None:
    own_folder.mkdir(parents=True)
    (own_folder / "mine.yaml").write_text("description: My own [choice]\n", "utf-8")
    (own_folder / "research.yaml").write_text("markets: [spot]\n", "utf-8")
    rows = rows_of(preset("list").stdout)
    assert {*BUNDLED, "mine"} <= set(rows)
    assert rows["backtest"].endswith("the package")
    assert rows["mine"] == f"My own [choice] {own_folder / 'mine.yaml'}"
    assert rows["research"] == f"{own_folder / 'research.yaml'}, hides the bundled one"


def test_the_list_as_json(own_folder: Path) -> None:
    document = json.loads(preset("list", "--json").stdout)
    assert [one["name"] for one in document["presets"]] == list(BUNDLED)
    assert document["presets"][1] | {"path": ""} == {
        "name": "high-throughput",
        "description": document["presets"][1]["description"],
        "path": "",
        "overlay": True,
        "bundled": True,
        "hides": False,
    }
    assert Path(document["presets"][1]["path"]).is_file()


# show


def test_every_value_is_shown_with_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY", "/data")
    (tmp_path / ".env").write_text("CRYPTO_ARCHIVE_STALL_SECONDS=5\n", "utf-8")
    (tmp_path / "over.yaml").write_text("description: ''\n\nbatch_size: 7\nsymbols: ['*USDT', BTCUSDC]\n", "utf-8")
    rows = rows_of(preset("show", "research", "over.yaml").stdout)
    assert rows["markets"] == "[spot, futures_um, futures_cm, options] research.yaml, line 5"
    assert rows["batch_size"] == "7 over.yaml, line 3"
    assert rows["symbols"] == "['*USDT', BTCUSDC] over.yaml, line 4"
    assert rows["date_range"] == "{last: 7d} research.yaml, line 22"
    assert rows["output_directory"] == "/data CRYPTO_ARCHIVE_OUTPUT_DIRECTORY"
    assert rows["stall_seconds"] == "5 .env, CRYPTO_ARCHIVE_STALL_SECONDS"
    assert rows["max_parallel_downloads"] == "(as many as there is work for, up to 32) default"
    assert rows["max_bytes"] == "(no limit) default"
    assert set(PRESET_FIELDS) <= set(rows)
    assert "preset_dir" not in rows


def test_what_is_shown_is_what_a_run_would_take() -> None:
    fields = json.loads(preset("show", "low-memory", "--json").stdout)["fields"]
    configured = load_run_config(["low-memory"], {}, today=TODAY)
    request = configured.request
    assert fields["part_size_mb"] == {"value": 10, "from": "low-memory.yaml, line 7"}
    assert {name for name, field in fields.items() if field["from"] != "default"} == set(configured.origins)
    assert fields["timeout_seconds"]["value"] == request.fetching.timeout_seconds
    assert fields["max_parallel_downloads"]["value"] == request.fetching.jobs
    assert fields["enable_resume"]["value"] is request.fetching.resume
    assert fields["force_redownload"]["value"] is request.fetching.force
    assert fields["download_checksum"]["value"] is request.fetching.download_checksum
    assert fields["stall_seconds"]["value"] == request.fetching.stall_seconds
    assert fields["output_directory"]["value"] == str(request.root)
    assert fields["discover"]["value"] == request.discovery
    assert fields["partition"]["value"] == request.selection.partition
    assert fields["keep_runs"]["value"] == request.keep_runs
    assert fields["listing_age_seconds"]["value"] == request.listing_age_seconds
    for name in ("endpoint_url", "region", "bucket", "s5cmd"):
        assert fields[name]["value"] == getattr(request.access, name)


def test_problems_are_reported_and_nothing_is_shown() -> None:
    error = refused("show", "reserch")
    assert error.exit_code == ExitCode.USAGE
    assert str(error).startswith("NAME: unknown preset 'reserch'; did you mean 'research'?")


# check


def test_all_problems_of_several_files_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_PARTITION", "weekly")  # no matter of theirs
    (tmp_path / "bad.yaml").write_text(
        "markets: [spott]\nbatch_size: 0\ndate_range:\n  start: 2025-02-01\n  end: 2025-01-01\n", "utf-8"
    )
    (tmp_path / "odd.json").write_text('{\n"kind": 1}', "utf-8")
    done = preset("check", "bad.yaml", "research", "odd.json", "nowhere.yaml")
    assert done.exit_code == ExitCode.USAGE
    assert re.sub(r" \(allowed: .*?\)", "", done.stdout) == (
        "bad.yaml: 3 problems\n"
        "  bad.yaml, line 1, markets[0]: 'spott' is not a valid market type; did you mean 'spot'?\n"
        "  bad.yaml, line 2, batch_size: 0 is too small; the minimum is 1\n"
        "  bad.yaml, line 3, date_range: the start 2025-02-01 is after the end 2025-01-01\n"
        "research: ok\n"
        "odd.json: 1 problem\n"
        "  odd.json, line 2, kind: unknown field 'kind'\n"
        "nowhere.yaml: 1 problem\n"
        "  NAME|FILE: Preset file not found: nowhere.yaml (no such file)\n"
    )


def test_the_problems_as_json(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("partition: week\nbatch_size: 0\n", "utf-8")
    done = preset("check", "research", "bad.yaml", "--json")
    assert done.exit_code == ExitCode.USAGE
    assert json.loads(done.stdout) == {
        "schema_version": 1,
        "presets": [
            {"preset": "research", "problems": []},
            {
                "preset": "bad.yaml",
                "problems": [
                    {
                        "place": "bad.yaml, line 1, partition",
                        "message": "'week' is not a valid partition",
                        "allowed": ["daily", "monthly", "auto"],
                        "nearest": None,
                    },
                    {
                        "place": "bad.yaml, line 2, batch_size",
                        "message": "0 is too small; the minimum is 1",
                        "allowed": [],
                        "nearest": None,
                    },
                ],
            },
        ],
    }


def test_valid_presets_exit_0() -> None:
    done = preset("check", *BUNDLED)
    assert done.exit_code == ExitCode.OK
    assert done.stdout == "".join(f"{name}: ok\n" for name in BUNDLED)


# new


def test_a_new_preset_is_valid_and_so_is_each_of_its_fields(own_folder: Path) -> None:
    done = preset("new", "mine")
    path = own_folder / "mine.yaml"
    assert (done.exit_code, done.stdout) == (ExitCode.OK, f"{path}\n")
    assert preset("check", "mine").exit_code == ExitCode.OK
    text = path.read_text("utf-8")
    commented = re.findall(r"^#([a-z0-9_]+): ", text, re.MULTILINE)
    assert {*commented, "description", "workflow_type"} == set(PRESET_FIELDS)
    for name in commented:
        path.write_text(text.replace(f"#{name}: ", f"{name}: "), "utf-8")
        assert preset("check", "mine").exit_code == ExitCode.OK, name
    path.write_text(re.sub(r"^#([a-z0-9_]+): ", r"\1: ", text, flags=re.MULTILINE), "utf-8")
    assert preset("check", "mine").stdout == "mine: ok\n"


def test_an_editor_finds_the_schema(own_folder: Path) -> None:
    preset("new", "mine", "--from", "research")
    first, rest = (own_folder / "mine.yaml").read_text("utf-8").split("\n", 1)
    schema = own_folder / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(schema.read_text("utf-8")) == preset_schema()
    jsonschema.validate(yaml.load(rest, yaml.BaseLoader), preset_schema())
    assert {one["name"] for one in json.loads(preset("list", "--json").stdout)["presets"]} == {*BUNDLED, "mine"}


def test_a_copy_wants_the_same_under_its_own_name(own_folder: Path) -> None:
    preset("new", "mine", "--from", "backtest")
    assert load_run_config(["mine"], {}, today=TODAY).request == load_run_config(["backtest"], {}, today=TODAY).request
    text = (own_folder / "mine.yaml").read_text("utf-8")
    assert "# Run it with:  crypto-archive collect --preset mine\n" in text
    preset("new", "again", "--from", "mine")
    assert (own_folder / "again.yaml").read_text("utf-8").count("yaml-language-server") == 1


def test_a_copy_of_json_is_yaml(own_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "older.json").write_text('{\n\t"symbols": {"spot": ["*USDT"]},\n\t"settled": false}', "utf-8")
    preset("new", "mine", "--from", "older.json")
    assert (own_folder / "mine.yaml").read_text("utf-8").endswith("symbols:\n  spot:\n  - '*USDT'\nsettled: false\n")


@pytest.mark.parametrize("there", ["mine.yaml", "mine.yml", "mine.json"])
def test_nothing_is_overwritten_or_hidden(own_folder: Path, there: str) -> None:
    own_folder.mkdir(parents=True)
    (own_folder / there).write_text("{}", "utf-8")
    error = refused("new", "mine")
    assert error.exit_code == ExitCode.USAGE
    assert str(error) == f"The preset 'mine' already exists: {own_folder / there}"
    assert [path.name for path in own_folder.iterdir()] == [there]
    assert (own_folder / there).read_text("utf-8") == "{}"


def test_a_bundled_preset_is_hidden_only_by_a_copy(own_folder: Path) -> None:
    error = refused("new", "research")
    assert (error.exit_code, str(error)) == (
        ExitCode.USAGE, "'research' would shadow the bundled preset of that name",
    )  # fmt: skip
    assert "preset new research --from research" in error.hint
    assert refused("new", "research", "--from", "backtest").message == error.message
    assert not own_folder.exists()
    assert preset("new", "research", "--from", "research").exit_code == ExitCode.OK


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "mine.yaml", "mine.JSON", "x\0y"])
def test_names_that_are_none(name: str, own_folder: Path) -> None:
    error = refused("new", name)
    assert str(error) == f"name: {name!r} is not a valid name for a preset"
    assert not own_folder.exists()


def test_a_folder_that_cannot_be_written_to(own_folder: Path) -> None:
    own_folder.parent.mkdir(parents=True)
    own_folder.write_text("in the way", "utf-8")
    error = refused("new", "mine")
    assert error.exit_code == ExitCode.ENVIRONMENT
    assert str(error).startswith(f"Cannot write {own_folder / 'mine.yaml'}: ")


def test_an_unknown_preset_to_start_from() -> None:
    assert str(refused("new", "mine", "--from", "reserch")).startswith("--from: unknown preset 'reserch'")


# schema


def test_the_schema_is_printed() -> None:
    assert json.loads(preset("schema").stdout) == preset_schema()
