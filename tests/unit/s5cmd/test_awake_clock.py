"""Time in which nobody could look does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto_archive.s5cmd.child import TICKS_COUNTED, AwakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600.0


@pytest.mark.parametrize(
    ("times", "counted"),
    [
        ([0.0, 0.25, 0.5, 1.0], [0.25, 0.5, 1.0]),
        ([7.0, 7.25, 7.25 + HOUR, 7.5 + HOUR], [0.25, 1.0, 1.25]),
        ([0.0, HOUR, 2 * HOUR], [0.75, 1.5]),
        ([5.0, 5.25, 4.0, 4.25], [0.25, 0.25, 0.5]),
    ],
    ids=["steady", "suspended once", "suspended all the time", "set back"],
)
def test_of_a_gap_at_most_a_few_ticks_count(times: Sequence[float], counted: Sequence[float]) -> None:
    assert TICKS_COUNTED == 3
    given = iter(times)
    clock = AwakeClock(0.25, lambda: next(given))
    assert [clock.look() for _ in counted] == counted
