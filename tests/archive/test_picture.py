"""The picture of the README is drawn from the terminal of a real run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive import picture
from tests.archive.sample import SampleSpec, days, of_days

if TYPE_CHECKING:
    import pytest


def test_a_running_collect_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    window = list(days(picture.LAST_DAY - timedelta(days=29), picture.LAST_DAY))
    small = SampleSpec.of(of_days(Market.SPOT, "klines", ("BTCUSDT",), window, ("1d",)))
    monkeypatch.setattr(picture, "_majors", lambda: small)
    monkeypatch.setenv(picture.ENDPOINT_VARIABLE, "")  # restored afterwards
    drawn = picture.draw()
    assert drawn.startswith("<svg")
    assert "objects" in drawn
