"""The help: complete, within 80 columns, and quick; and the other ways to it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from crypto_archive import __version__
from crypto_archive.cli.app import app
from crypto_archive.config.fields import FIELDS, Source
from crypto_archive.errors import ExitCode
from tests.docs.commands import BUILT_IN, Command, commands, examples

if TYPE_CHECKING:
    from typer.testing import Result


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.path)
def test_the_help_is_whole_and_fits(command: Command) -> None:
    text = run(*command.path.split(), "--help").stdout
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)
    assert lines[0]
    assert "\n\n\n" not in text
    assert max(map(len, examples(command)), default=0) <= 76
    assert [f"  {one}" for one in examples(command)] == [line for line in lines if line.startswith("  crypto-archive ")]
    assert "<bool>" not in text
    words = " ".join(text.split())
    for option in command.options:
        names = [name for name in option.names if name.startswith("--")]
        assert all(name in text for name in names), option
        assert option.help in words, option
        assert option.help.count("default:") <= 1
    assert BUILT_IN & set(text.split()) >= {"--help"}


VARIABLES = {
    "--partition": "CRYPTO_ARCHIVE_PARTITION",
    "--discover": "CRYPTO_ARCHIVE_DISCOVER",
    "--output": "CRYPTO_ARCHIVE_OUTPUT_DIRECTORY",
    "--layout": "CRYPTO_ARCHIVE_LAYOUT",
    "--endpoint-url": "CRYPTO_ARCHIVE_ENDPOINT_URL",
    "--matrix": "CRYPTO_ARCHIVE_MATRIX_PATH",
    "--via": "CRYPTO_ARCHIVE_VIA",
    "--jobs": "CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS",
}


def test_the_help_shows_the_variable_of_each_option_that_has_one() -> None:
    text = run("collect", "--help").stdout
    shown = {}
    for line in text.splitlines():
        if line.lstrip().startswith("-"):
            option = next(word.strip(",") for word in line.split() if word.startswith("--"))
        if "[env: " in line:
            shown[option] = line.partition("[env: ")[2].partition("]")[0]
    assert shown == VARIABLES
    assert set(VARIABLES.values()) <= {one.variable for one in FIELDS.values() if Source.ENVIRONMENT in one.sources}


@pytest.mark.parametrize("words", [("plan",), ("matrix", "check"), ("matrix",), ("help",), ()])
def test_help_of_a_command(words: tuple[str, ...]) -> None:
    assert run("help", *words).stdout == run(*words, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plna",), "Error: No such command 'plna'. Did you mean 'plan'?"),
        (("help", "plna"), "Error: No such command 'plna'. Did you mean 'plan'?"),
        (("help", "matrix", "chek"), "Error: No such command 'chek'. Did you mean 'check'?"),
        (("help", "plan", "x"), "Error: x: `crypto-archive plan` has no commands of its own"),
    ],
)
def test_a_command_that_does_not_exist(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.splitlines()[0]) == (ExitCode.USAGE, "", said)


@pytest.mark.parametrize("name", ["coverage", "symbols"])
def test_a_call_of_the_former_name_goes_on_working(name: str) -> None:
    done = CliRunner().invoke(app, ["matrix", name, "--help"])
    assert done.exit_code == 0
    assert done.stderr == f"note  `crypto-archive matrix {name}` is now `crypto-archive {name}`\n"
    listed = CliRunner().invoke(app, ["matrix", "--help"]).stdout
    assert name not in [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("words", [(), ("preset",), ("flow",)])
def test_without_a_command_the_help_is_the_error(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr == run(*words, "--help").stdout


@pytest.mark.parametrize("words", ["--version", "-V", "version"])
def test_the_version(words: str) -> None:
    done = run(words)
    assert (done.exit_code, done.stdout) == (0, f"crypto-archive {__version__}\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("collect research", "Use --preset research."),
        ("collect -p research ./mine.yaml", "Use --preset ./mine.yaml."),
        ("plan spot", "Use --market spot."),
        ("coverage klines", "Use --data-type klines."),
        ("verify BTCUSDT", "Use --symbol BTCUSDT."),
        ("collect -s BTCUSDT ETHUSDT", "Use --symbol ETHUSDT."),
        ("collect zzz", "See `crypto-archive collect --help`."),
        ("matrix check research", "See `crypto-archive matrix check --help`."),
    ],
)
def test_a_word_without_its_option(words: str, hint: str) -> None:
    done = run(*words.split())
    assert (done.exit_code, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr == f"Error: Unexpected argument {words.split()[-1]!r}\nHint: {hint}\n"


def test_help_is_quick() -> None:
    program = (
        "import sys; from crypto_archive.cli.app import app\n"
        "try: app(['collect', '--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    loaded = set(done.stderr.split())
    assert "crypto_archive.cli.collect" in loaded
    assert not loaded & {"pydantic_settings", "rich", "yaml", "crypto_archive.config.fields", "crypto_archive.jobs"}
