"""How far planning is: true figures, not more often than a person can read."""

from __future__ import annotations

from crypto_archive.events import PLANNING_SECONDS, Planning, PlanningMeter


def test_it_reports_now_and_then_and_what_it_reports_is_true() -> None:
    now, reported = 0.0, list[Planning]()
    meter = PlanningMeter(reported.append, lambda: now)
    meter.expect(3)
    for _ in range(2):
        meter.read()
    meter.listed(500)
    assert reported == [Planning(0, 3, 0)]
    now += PLANNING_SECONDS
    meter.expect(4)
    assert reported[1:] == [Planning(2, 7, 500)]
    meter.read(5)
    assert len(reported) == 2
    now += PLANNING_SECONDS
    meter.announce(65, growing=False)
    assert reported[2:] == [Planning(7, 65, 500, growing=False)]
