"""What all tests share: no setting of the person who runs them reaches what they test."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

import hypothesis
import pytest
import typer.main
import typer.testing

if TYPE_CHECKING:
    from pathlib import Path

# A machine that is busy with other tests is not a finding. A test that needs more examples says so itself.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=50)
hypothesis.settings.load_profile("suite")

# Compile once for all workers, processes and runs, even where the environment forbids it: every test file is rewritten
# for its assertions, and every command that a test starts imports the whole package. It took a quarter of the time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Typer builds the same tree of commands for every call, which takes longer than most of the commands that tests run.
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)  # type: ignore[attr-defined]

# A third of s5cmd's time would go into collecting garbage; its processes end before there is much.
os.environ |= {"GOGC": "off", "GOMEMLIMIT": "100MiB"}

# A suite in the background of a script ignores ^C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

LEAKING = ("CRYPTO_ARCHIVE_", "AWS_", "S3_", "RCLONE_")
KEPT = "CRYPTO_ARCHIVE_TEST_"
CONSOLE = (
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "COLUMNS",
    "LINES",
)


def leaks(name: str) -> bool:
    """Whether an environment variable would change what a test sees."""
    return (name.startswith(LEAKING) and not name.startswith(KEPT)) or name in CONSOLE


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder without any configuration."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Hide the settings and the configuration folder of the person who runs the tests."""
    for name in filter(leaks, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(empty_home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(empty_home / ".config"))
