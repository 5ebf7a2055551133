"""The archive as a test meets it: an endpoint, and what is known of the bucket behind it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

import pytest
from filelock import FileLock

from tests.archive.sample import Sample, write_sample
from tests.archive.server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.archive.sample import SampleSpec

LIVE_ENDPOINT = os.environ.get("CRYPTO_ARCHIVE_TEST_ENDPOINT", "")
"""The real endpoint to run the tests against; empty for our own server."""

needs_the_sample = pytest.mark.skipif(
    bool(LIVE_ENDPOINT), reason="needs to know all that is in the bucket; this is the live archive"
)
"""For tests that are true of the sample only."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that answers.

    Attributes:
        endpoint_url: The address of its S3 endpoint.
        sample: What it holds; None for the live archive, where only the keys of the past are known.
    """

    endpoint_url: str
    sample: Sample | None

    @property
    def live(self) -> bool:
        """Whether this is a real endpoint and not our own server."""
        return self.sample is None

    @property
    def spec(self) -> SampleSpec:
        """What the sample consists of."""
        return self._own.spec

    @property
    def bucket(self) -> Path:
        """The folder that is the bucket."""
        return self._own.bucket

    @property
    def _own(self) -> Sample:
        if self.sample is None:
            pytest.skip("needs to know what is in the bucket; this is the live archive")
        return self.sample


def written_once(tmp_path_factory: pytest.TempPathFactory, name: str, spec: SampleSpec) -> Sample:
    """Write a sample below the folder that all workers share, unless another worker has."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root, complete = shared / name, shared / f"{name}-complete"
    with FileLock(shared / f"{name}.lock"):
        if not complete.exists():
            write_sample(root, spec)
            complete.touch()
    return Sample(root, spec)


class Servers:
    """Servers of empty folders, which one test after the other fills: rclone takes longer to start than most tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: list[S3Server] = []
        self._started = 0
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @contextmanager
    def take(self) -> Iterator[S3Server]:
        """Lend a server for as long as the context lasts; its folder is emptied afterwards."""
        server = self._idle.pop() if self._idle else self._start()
        try:
            yield server
        finally:
            for path in server.root.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            self._idle.append(server)

    def _start(self) -> S3Server:
        self._started += 1
        root = self._folder / str(self._started)
        root.mkdir()
        return self._running.enter_context(S3Server(root))


State: TypeAlias = tuple[int, int, int, int]


class PrivateCopy:
    """A copy of a sample that tests may change: what one has changed is put back before the next one."""

    def __init__(self, sample: Sample, server: S3Server) -> None:
        self._sample = sample
        self._server = server
        self._copied: dict[str, State] = {}

    def as_it_was(self) -> Archive:
        """Return the archive, every file of it as it is in the sample."""
        root, there = self._server.root, _files(self._server.root)
        for name in there.keys() - self._copied.keys():
            (root / name).unlink()
        for name in _files(self._sample.root):
            if name not in there or there[name] != self._copied.get(name):
                path = root / name
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._sample.root / name, path)
                self._copied[name] = _state(path.stat())
        for folder, _, _ in os.walk(root, topdown=False):
            with suppress(OSError):  # it holds something
                Path(folder).rmdir()
        return Archive(self._server.endpoint_url, Sample(root, self._sample.spec))


def _files(root: Path) -> dict[str, State]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found[path.relative_to(root).as_posix()] = _state(path.lstat())
    return found


def _state(status: os.stat_result) -> State:
    """Which file it is, and when it was last changed in any way, its time stamps included."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
