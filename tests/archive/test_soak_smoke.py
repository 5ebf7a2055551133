"""A few rounds of the soak, so that it does not rot; ``make soak`` runs hundreds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.archive.served import LIVE_ENDPOINT
from tests.soak.fuzz import Fuzz
from tests.soak.rounds import Soak

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt" or bool(LIVE_ENDPOINT), reason="needs POSIX and a bucket of its own")


def test_two_rounds_and_a_clean_run(tmp_path: Path) -> None:
    with Soak(tmp_path, seed=23) as soak:  # kill -9 with spoilt bytes, then a run to the end
        soak.round()
        soak.round()
        soak.last_round()
    assert soak.counts.findings == []
    assert (soak.counts.rounds, soak.counts.clean_runs) == (3, 1)
    assert soak.counts.ends.total() == 2


SPOILT = 40
"""The seed of rounds that spoil cached listings, the note of a lock, and a preset."""


def test_a_few_spoilt_files(tmp_path: Path) -> None:
    with Fuzz(tmp_path, seed=SPOILT) as fuzz:
        for _ in range(3):
            fuzz.round()
    assert fuzz.counts.findings == []
    assert (fuzz.counts.rounds, fuzz.counts.codes.total()) == (3, 3)
