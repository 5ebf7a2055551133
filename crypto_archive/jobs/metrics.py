"""What a run came to, as OpenMetrics text for the textfile collector of a node exporter; all of it gauges.

A run replaces the file of the one before. What only some runs know, the time of the last success, is taken over.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from crypto_archive.files import atomic_write, explain_os_errors
from crypto_archive.jobs.report import UNSUCCESSFUL
from crypto_archive.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crypto_archive.jobs.report import Group, Report

LAST_SUCCESS = "crypto_archive_last_success_timestamp_seconds"
_GROUP = ("preset", "market", "data_type")

Successes = dict[tuple[str, ...], float]
"""When a preset's market and data type was last collected without a failure: seconds since 1970, UTC."""


def write_metrics(report: Report, path: Path) -> None:
    """Write the metrics of a run to a file, in one step, so that nobody reads half of it.

    Args:
        report: What the run came to.
        path: The file; the textfile collector takes those that end in ``.prom``.

    Raises:
        FileUnusable: The file cannot be written.
    """
    with explain_os_errors("write", path, hint="Name a file in a writable folder with --metrics-file."):
        text = metrics_text(report, former_successes(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(text)


def metrics_text(report: Report, former: Mapping[tuple[str, ...], float] | None = None) -> str:
    """Return the metrics of a run as OpenMetrics text.

    Args:
        report: What the run came to; it has ended.
        former: When the groups were last collected without a failure, by earlier runs.
    """
    registry = CollectorRegistry()
    preset = preset_label(report)
    _whole_run(registry, report, preset)
    objects = _gauge(registry, "objects", "Objects of the last run, by outcome.", *_GROUP, "outcome")
    stored = _gauge(registry, "stored_bytes", "Bytes of the objects that are in the archive root.", *_GROUP)
    fetched = _gauge(registry, "fetched_bytes", "Bytes that the last run downloaded, sidecars included.", *_GROUP)
    successes = {labels: moment for labels, moment in (former or {}).items() if labels[0] == preset}
    for (market, data_type), group in report.groups.items():
        labels: tuple[str, ...] = (preset, str(market), data_type)
        outcomes = report.whole(group)
        for outcome in Outcome:
            objects.labels(*labels, str(outcome)).set(outcomes[outcome])
        stored.labels(*labels).set(group.bytes)
        fetched.labels(*labels).set(group.bytes_fetched)
        if report.finished_at is not None and _succeeded(report, group):
            successes[labels] = report.finished_at.timestamp()
    success = Gauge(
        LAST_SUCCESS, "When the last run ended that no object of this failed in.", _GROUP, registry=registry
    )
    for labels, moment in sorted(successes.items()):
        success.labels(*labels).set(moment)
    text: bytes = generate_latest(registry)
    return text.decode()


def former_successes(path: Path) -> Successes:
    """Return what a file of metrics says of the last successes; nothing where it is not there, or no such file."""
    # Whatever the parser stumbles over: a file of another program's is replaced in the end, as it was asked for.
    with suppress(OSError, ValueError, KeyError, IndexError, AttributeError):
        families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
        return {
            tuple(sample.labels[name] for name in _GROUP): float(sample.value)
            for family in families
            if family.name == LAST_SUCCESS
            for sample in family.samples
        }
    return {}


def preset_label(report: Report) -> str:
    """Return the presets of a run as one label, empty where options alone selected."""
    return "+".join(report.presets)


def _whole_run(registry: CollectorRegistry, report: Report, preset: str) -> None:
    figures = (
        ("last_run_duration_seconds", "How long the last run took.", report.seconds),
        ("last_run_exit_code", "How the last run ended: 0 where everything planned is there.", report.exit_code()),
        ("last_run_success_ratio", "The share of objects that did not fail.", report["success_rate"] / 100),
    )
    for name, what, value in figures:
        _gauge(registry, name, what, "preset").labels(preset).set(value)
    if report.finished_at is not None:
        ended = _gauge(registry, "last_run_timestamp_seconds", "When the last run ended.", "preset")
        ended.labels(preset).set(report.finished_at.timestamp())


def _gauge(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"crypto_archive_{name}", what, labels, registry=registry)


def _succeeded(report: Report, group: Group) -> bool:
    """Whether all objects of a group ended well, in a run that came to its end."""
    outcomes = report.whole(group)
    return not report.error and report.interrupted_by is None and not any(outcomes[one] for one in UNSUCCESSFUL)
