"""The archive as a test meets it: an endpoint, and what is known of the bucket behind it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.archive.sample import Sample, write_sample

if TYPE_CHECKING:
    from pathlib import Path

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
