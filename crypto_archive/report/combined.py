"""Add up the reports of the shards of one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.report.fold import Report
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_archive.config import Configured


def combine_reports(configured: Configured, reports: Iterable[Report]) -> Report:
    """Return what several runs came to together, such as those of all shards of a plan.

    Args:
        configured: What was asked for, before it was cut.
        reports: The reports of the runs; no object may be in two of them.
    """
    matrix_version = configured.matrix.version
    whole = Report(
        configured.request, version=__version__, matrix_version=matrix_version, presets=configured.presets
    )  # fmt: skip
    for report in reports:
        whole.include(report)
    return whole
