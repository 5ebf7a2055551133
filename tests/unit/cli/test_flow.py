"""``crypto-archive flow`` up to the point where Prefect takes over, and that nothing else loads it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from typer.testing import CliRunner

from crypto_archive import CryptoArchiveError, errors as extras
from crypto_archive.cli.app import app
from crypto_archive.errors import ExitCode
from tests.extras import needs_prefect

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"prefect", "prefect_dask", "dask", "distributed"}


def refused(*arguments: str) -> CryptoArchiveError:
    """Run a command that our own error ends, and return it."""
    done = CliRunner().invoke(app, ["flow", *arguments])
    assert isinstance(done.exception, CryptoArchiveError), done.output
    return done.exception


@pytest.mark.parametrize("command", ["run", "serve", "deployment"])
def test_without_the_extra_a_command_says_which(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    error = refused(command, "-p", "research")
    assert error.message == (
        f"`crypto-archive flow {command}` needs the extra 'prefect': pip install 'crypto-archive[prefect]'"
    )
    assert error.exit_code is ExitCode.USAGE


def test_dask_is_an_extra_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: module if module == "prefect" else None)
    error = refused("run", "-p", "research", "--dask-workers", "2")
    assert error.message == "Collecting on Dask needs the extra 'dask': pip install 'crypto-archive[dask]'"


def test_help_loads_neither_prefect_nor_dask() -> None:
    commands = ["--help", "plan --help", "flow --help", "flow run --help"]
    program = (
        "import sys; from crypto_archive.cli.app import app\n"
        "for command in sys.argv[1:]:\n"
        "    try: app(command.split())\n"
        "    except SystemExit: pass\n"
        f"    print(command, sorted({HEAVY!r} & {{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *commands], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage") == len(commands)
    assert done.stderr.splitlines() == [f"{command} []" for command in commands]


@needs_prefect
@pytest.mark.parametrize("cron", ["6 o'clock", "0 25 * * *", "* * *", ""])
def test_a_cron_expression_that_is_none_is_one_clear_error(cron: str) -> None:
    error = refused("deployment", "-p", "research", "--cron", cron)
    assert error.message == f"--cron: {cron!r} is not a valid cron expression"
    assert "'0 6 * * *' is every day at 06:00 UTC" in error.hint
    assert error.exit_code is ExitCode.USAGE


@needs_prefect
def test_problems_of_the_selection_are_reported_before_anything_is_scheduled() -> None:
    assert "unknown preset 'reserch'; did you mean 'research'?" in refused("serve", "-p", "reserch").message
    assert "Nothing is selected" in refused("serve").message


@needs_prefect
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--symbol", "-"], "a flow has no standard input"),
        (["--dask-workers", "2", "--dask-scheduler", "tcp://a:1"], "--dask-workers"),
        (["--shards", "0"], "--shards"),
    ],
)
def test_options_that_a_flow_cannot_use_are_refused(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["flow", "deployment", "-p", "research", *arguments], input="BTCUSDT\n")
    assert done.exit_code == ExitCode.USAGE
    assert said in " ".join(done.output.split())


@needs_prefect
def test_a_deployment_means_the_same_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("markets: [spot]\n")
    (tmp_path / "symbols.txt").write_text("BTCUSDT\n")
    done = CliRunner().invoke(
        app,
        ["flow", "deployment", "-p", "research", "-p", "own.yaml", "-s", "@symbols.txt", "-s", "ETH*,BTCUSDT",
         "--last", "7d", "--max-bytes", "20GiB", "--jobs", "2", "--shards", "4", "--no-verify", "--dask-scheduler", "tcp://10.0.0.5:8786"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    document = yaml.safe_load(done.output)
    (deployment,) = document["deployments"]
    assert deployment["name"] == "research-own"
    assert deployment["entrypoint"] == "crypto_archive.flows.flow.archive_collection_flow"
    assert (deployment["schedules"], document["pull"]) == ([], [])
    assert deployment["parameters"] == {
        "preset": ["research", str(tmp_path / "own.yaml")],
        "overrides": {
            "symbols": [f"@{tmp_path / 'symbols.txt'}", "ETH*", "BTCUSDT"],
            "last": "7d",
            "max_bytes": "20GiB",
            "max_parallel_downloads": 2,
            "output_directory": str(tmp_path / "output"),
        },
        "shards": 4,
        "verify": False,
        "retries": 2,
        "retry_delay_seconds": 60.0,
        "dask_scheduler": "tcp://10.0.0.5:8786",
    }
