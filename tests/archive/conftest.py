"""A server with the small sample for all tests of a worker, a private one for those that change it, and a fault proxy.

CRYPTO_ARCHIVE_TEST_ENDPOINT points the same tests at a real endpoint of the archive. Those that change the bucket, need
a known content or a fault are skipped then.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.archive.proxy import FaultProxy
from tests.archive.results import assert_whole, processes_of
from tests.archive.running import Runner, clean_environment
from tests.archive.sample import Sample, small, write_sample
from tests.archive.served import LIVE_ENDPOINT, Archive, PrivateCopy, Servers, written_once
from tests.archive.server import S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.archive.sample import SampleSpec


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The small sample on disk, written once for all workers. Do not change it: see ``private_archive``."""
    return written_once(tmp_path_factory, "sample", small())


@pytest.fixture(scope="session")
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The archive that tests read: our own server with the small sample, or the live one."""
    if LIVE_ENDPOINT:
        yield Archive(LIVE_ENDPOINT, None)
        return
    written: Sample = request.getfixturevalue("sample")
    with S3Server(written.root, log=tmp_path_factory.mktemp("server") / "rclone.log") as server:
        yield Archive(server.endpoint_url, written)


@pytest.fixture(scope="session")
def write_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, SampleSpec], Sample]:
    """``write_sample`` for what several tests ask for: it is written once, and copied for each of them."""
    written: dict[object, Path] = {}

    def write(root: Path, spec: SampleSpec) -> Sample:
        what = (spec.objects, frozenset(spec.defects.items()))
        if what not in written:
            written[what] = write_sample(tmp_path_factory.mktemp("written"), spec).root
        shutil.copytree(written[what], root, dirs_exist_ok=True)  # keeps the time stamps
        return Sample(root, spec)

    return write


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of empty folders, for tests to fill; one that a test has done with is another test's."""
    with Servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture
def own_archive(
    servers: Servers, write_once: Callable[[Path, SampleSpec], Sample]
) -> Iterator[Callable[[SampleSpec], Archive]]:
    """A function that writes a sample of the test's own choice and serves it for as long as the test lasts."""
    _skip_live("needs a bucket of its own")
    with contextlib.ExitStack() as taken:

        def serve(spec: SampleSpec) -> Archive:
            server = taken.enter_context(servers.take())
            return Archive(server.endpoint_url, write_once(server.root, spec))

        yield serve


@pytest.fixture(scope="session")
def private_copy(sample: Sample, servers: Servers) -> Iterator[PrivateCopy]:
    """The copy of the small sample that ``private_archive`` hands out."""
    _skip_live("changes the bucket")
    with servers.take() as server:
        yield PrivateCopy(sample, server)


@pytest.fixture
def private_archive(private_copy: PrivateCopy) -> Archive:
    """A copy of the small sample with a server of its own, for tests that change files in the bucket."""
    return private_copy.as_it_was()


@pytest.fixture
def proxy(request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    """A fault proxy in front of the test's archive: the private one where the test has it, else the shared one."""
    _skip_live("needs the fault proxy")
    behind = "private_archive" if "private_archive" in request.fixturenames else "archive"
    archive: Archive = request.getfixturevalue(behind)
    with FaultProxy(archive.endpoint_url) as running:
        yield running


@pytest.fixture
def run(archive: Archive, tmp_path: Path, no_outside_settings: None) -> Runner:
    """Run ``crypto-archive`` in an empty folder: ``code, stdout, stderr = run("plan", "-p", "research")``.

    The endpoint is the shared archive's; ``run.at(proxy.endpoint_url)(...)`` takes another.
    """
    del no_outside_settings  # named so that it comes first
    folder = tmp_path / "work"
    folder.mkdir()
    return Runner(folder, clean_environment()).at(archive.endpoint_url)


@pytest.fixture
def no_orphans(run: Runner) -> Iterator[None]:
    """End what a test that failed, or that killed without mercy, has left behind."""
    yield
    for process in processes_of(run.folder):
        process.kill()


@pytest.fixture(autouse=True)
def every_report_adds_up(tmp_path: Path) -> Iterator[None]:
    """See that the outcomes of every run of a test add up to its plan, whatever else the test looks at."""
    yield
    for path in tmp_path.rglob("runs/*/report.json"):
        assert_whole(json.loads(path.read_text("utf-8")))


def _skip_live(reason: str) -> None:
    if LIVE_ENDPOINT:
        pytest.skip(f"{reason}; not against the live archive")
