"""Tests that need an optional part of the installation are skipped, with their reason, where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

WITHOUT_PREFECT = find_spec("prefect") is None
REASON = "needs the extra prefect"

needs_prefect = pytest.mark.skipif(WITHOUT_PREFECT, reason=REASON)
"""For tests that get as far as Prefect."""


def skip_where_prefect_is_missing(call: Sequence[str]) -> None:
    """Skip the test where a call of the command line is one of a flow, and there is no Prefect."""
    if WITHOUT_PREFECT and call[0] == "flow":
        pytest.skip(REASON)
