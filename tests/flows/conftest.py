"""A Prefect server for all tests of flows, the command line that talks to it, and the fixtures of the archive tests."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.archive.conftest import (  # fixtures become those of this folder by their names
    archive as archive,
    every_report_adds_up as every_report_adds_up,
    proxy as proxy,
    run as run,
    sample as sample,
)
from tests.archive.results import processes_of
from tests.flows.server import prefect_settings, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.archive.running import Runner
    from tests.flows.reading import Prefect


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server, and of all its clients."""
    shared = tmp_path_factory.getbasetemp()
    return (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "prefect"


@pytest.fixture(scope="session")
def server(prefect_home: Path) -> Iterator[str]:
    """The API address of the server."""
    with shared_server(prefect_home) as address:
        yield address


@pytest.fixture
def flow(run: Runner, prefect_home: Path, server: str) -> Iterator[Runner]:
    """Run ``crypto-archive flow`` with the server: ``code, stdout, stderr = flow("run", "-p", "research")``."""
    runner = replace(run, command=(*run.command, "flow"))
    yield runner.with_environment(**prefect_settings(prefect_home), PREFECT_API_URL=server)
    for process in processes_of(run.folder):
        process.kill()  # a test that failed, or that killed without mercy, has left it behind


@pytest.fixture
def prefect(server: str) -> Iterator[Prefect]:
    """What the server knows, as Prefect's own client reads it."""
    from tests.flows.reading import Prefect  # needs the extra; the tests of this folder are skipped without it

    with warnings.catch_warnings(), Prefect.at(server) as reader:
        yield reader
