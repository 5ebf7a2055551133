"""How much a command says, in which colors, and where else it goes: ``-v``, ``--log-file``, ``--color``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.results import KEYS, ROOT, THREE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.running import Runner


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "log.jsonl"


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def test_each_v_says_more(run: Runner, log: Path) -> None:
    code, _, calm = run("collect", *THREE, "-o", ROOT, "--log-file", log)
    assert code == 0
    assert not any(key in calm for key in KEYS)
    assert not [line for line in lines(log) if line["level"] == "debug"]
    code, _, decisions = run("collect", *THREE, "-o", ROOT, "-v")
    assert code == 0
    assert all(f"keep: {key}: there" in decisions for key in KEYS)
    code, _, words = run("collect", *THREE, "-o", ROOT, "-vv", "--force")
    assert code == 0
    assert all(f"fetched: {key} (" in words for key in KEYS)
    assert all(f"s5cmd: cp s3://data.binance.vision/{key} {key} (" in words for key in KEYS)
    assert "output_directory: from" not in decisions


def test_the_log_file_has_commands_one_after_the_other_and_their_errors(run: Runner, log: Path) -> None:
    assert run("collect", *THREE, "-o", ROOT, "-q", "-v", "--log-file", log) == (0, "", "")
    assert run("verify", "-o", ROOT, "-q", "--log-file", log).code == 0
    assert run("plan", "-o", ROOT, "--log-file", log, "-p", "no-such-preset").code == 2
    found = lines(log)
    assert [line["command"] for line in found if line["event"] == "command-started"] == ["collect", "verify", "plan"]
    assert [line["exit_code"] for line in found if line["event"] == "command-ended"] == [0, 0, 2]
    assert [line["key"] for line in found if line["event"] == "object-finished"] != []
    (error,) = (line for line in found if line["event"] == "error")
    assert (error["level"], "no-such-preset" in error["message"]) == ("error", True)


def test_a_log_file_that_cannot_be_written(run: Runner) -> None:
    code, stdout, stderr = run("collect", *THREE, "-o", ROOT, "--log-file", run.folder)
    assert (code, stdout) == (5, "")
    assert stderr.startswith(f"Error: Cannot write {run.folder}: Is a directory\n")
    assert "--log-file" in stderr
    assert not (run.folder / ROOT).exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "colored"),
    [
        ((), {}, False),
        (("--color", "auto"), {"FORCE_COLOR": "1"}, True),
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colors(run: Runner, arguments: tuple[str, ...], environment: dict[str, str], colored: bool) -> None:
    colored_run = run.with_environment(TERM="xterm-256color", **environment)
    for command in (("matrix", "show"), ("plan", *THREE, "--discover", "calendar")):
        code, stdout, stderr = colored_run(*command, *arguments)
        assert (code, "\x1b[3" in stdout or "\x1b[1" in stdout) == (0, colored), stderr


def test_an_unknown_choice_of_colors(run: Runner) -> None:
    code, _, stderr = run("plan", "--color", "sometimes")
    assert code == 2
    assert "--color" in stderr
    assert "never" in stderr
