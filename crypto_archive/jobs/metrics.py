"""Metrics: what a run did, as OpenMetrics text for the textfile collector of a node exporter. All are gauges.

Each run replaces the file of the one before; the times of the last successes are carried over.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from crypto_archive.files import atomic_write, explain_os_errors, read_regular
from crypto_archive.jobs.report import UNSUCCESSFUL
from crypto_archive.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crypto_archive.jobs.report import Report

LAST_SUCCESS = "crypto_archive_last_success_timestamp_seconds"
LARGEST_BYTES = 1_000_000
_GROUP = ("preset", "market", "data_type")

Successes = dict[tuple[str, ...], float]
"""When each preset, market and data type was last collected without a failure: seconds since 1970, UTC."""


def write_metrics(report: Report, path: Path) -> None:
    """Write the metrics of a run to a file for the textfile collector of Prometheus's node exporter.

    The file is replaced in one step: the collector never reads half of it. Sizes are in bytes, times in seconds.

    Args:
        report: The report of a run that has ended.
        path: The file; the textfile collector reads those that end in ``.prom``. Its folder is made if need be.

    Raises:
        FileUnusable: The file cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from crypto_archive import collect, load_preset, write_metrics
        >>> report = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> write_metrics(report, Path("crypto_archive.prom"))
        >>> 'crypto_archive_last_run_exit_code{preset="backtest"} 0.0' in Path("crypto_archive.prom").read_text()
        True
    """
    with explain_os_errors("write", path, hint="Name a file in a writable folder with --metrics-file."):
        text = metrics_text(report, former_successes(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(text)


def metrics_text(report: Report, former: Mapping[tuple[str, ...], float] | None = None) -> str:
    """Return the metrics of a run that has ended, given the last successes of earlier runs, as OpenMetrics text."""
    registry = CollectorRegistry()
    preset = "+".join(report.presets)  # empty if options alone selected

    def gauge(name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"crypto_archive_{name}", help_text, labels, registry=registry)

    for name, help_text, value in (
        ("last_run_duration_seconds", "How long the last run took.", report.seconds),
        ("last_run_exit_code", "How the last run ended: 0 if everything planned is stored.", report.exit_code()),
        ("last_run_success_ratio", "The share of objects that did not fail.", report["success_rate"] / 100),
    ):
        gauge(name, help_text, "preset").labels(preset).set(value)
    ended = report.finished_at.timestamp() if report.finished_at is not None else None
    if ended is not None:
        gauge("last_run_timestamp_seconds", "When the last run ended.", "preset").labels(preset).set(ended)

    objects = gauge("objects", "Objects of the last run, by outcome.", *_GROUP, "outcome")
    stored = gauge("stored_bytes", "Bytes of the objects that are in the archive root.", *_GROUP)
    fetched = gauge("fetched_bytes", "Bytes that the last run downloaded, sidecars included.", *_GROUP)
    successes = {labels: moment for labels, moment in (former or {}).items() if labels[0] == preset}
    whole = ended is not None and not report.error and report.interrupted_by is None
    for (market, data_type), group in report.groups.items():
        labels: tuple[str, ...] = (preset, str(market), data_type)
        outcomes = group.outcomes
        for outcome in Outcome:
            objects.labels(*labels, str(outcome)).set(outcomes[outcome])
        stored.labels(*labels).set(group.bytes)
        fetched.labels(*labels).set(group.bytes_fetched)
        if whole and ended is not None and not any(outcomes[outcome] for outcome in UNSUCCESSFUL):
            successes[labels] = ended
    newest = gauge(
        "newest_data_timestamp_seconds",
        "When the newest day ended that the archive has of the selected series.",
        *_GROUP,
    )
    for (market, data_type), day in report.days.newest().items():
        over = datetime.combine(day + timedelta(days=1), time(), UTC)
        newest.labels(preset, str(market), data_type).set(over.timestamp())
    absent = gauge("absent_days", "Wanted days of the last run that the archive lacks, by reason.", "preset", "reason")
    for reason, days in report.days.absent.items():
        absent.labels(preset, str(reason)).set(days)
    success = gauge(
        "last_success_timestamp_seconds", "When the last run without a failure in this group ended.", *_GROUP
    )
    for labels, moment in sorted(successes.items()):
        success.labels(*labels).set(moment)
    text: bytes = generate_latest(registry)
    return text.decode()


def former_successes(path: Path) -> Successes:
    """Return the last successes that a file of metrics has; none if the file does not exist or is of another kind."""
    # Whatever the parser trips over: a file of another program is replaced in the end, as it was asked for.
    with suppress(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        families = text_string_to_metric_families(read_regular(path, LARGEST_BYTES).decode())
        return {
            tuple(sample.labels[name] for name in _GROUP): float(sample.value)
            for family in families
            if family.name == LAST_SUCCESS
            for sample in family.samples
        }
    return {}
