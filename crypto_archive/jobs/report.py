"""A run's report: a fold of its events into totals, a document and an exit code."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from crypto_archive import __version__
from crypto_archive.errors import ExitCode
from crypto_archive.events import (
    NO_SIGNAL,
    DaysCovered,
    DaysKept,
    Event,
    Noticed,
    ObjectFinished,
    ObjectPlanned,
    RunFinished,
    RunStarted,
)
from crypto_archive.model import Absence, Notice, Outcome, Verdict
from crypto_archive.text import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.model import Market


def interruption_code(signal_number: int) -> ExitCode:
    """Return the exit code of what was interrupted: apart from ^C and programs, a signal asks a process to go."""
    return ExitCode.INTERRUPTED if signal_number in {signal.SIGINT, NO_SIGNAL} else ExitCode.TERMINATED


def signal_name(number: int) -> str:
    """Return a signal's name, such as ``SIGINT``; its number where the platform has no name for it."""
    if number == NO_SIGNAL:
        return "request"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def failure_document(event: ObjectFinished) -> dict[str, object]:
    """Return an object that failed or was quarantined as an entry of ``failures``."""
    return {
        "key": event.object.key,
        "market": str(event.object.series.market),
        "data_type": event.object.series.data_type,
        "outcome": str(event.outcome),
        "reason": event.reason,
        "attempts": event.attempts,
    }


def selection_document(request: Request) -> dict[str, object]:
    """Return what was asked for as the field ``selection``."""
    selection = request.selection
    return {
        "markets": [str(market) for market in selection.markets],
        "data_types": list(selection.data_types),
        "symbols": {str(market): list(symbols) for market, symbols in selection.symbols.items()},
        "quote_assets": list(selection.filters.quotes),
        "contract": selection.filters.contract and str(selection.filters.contract),
        "settled": selection.filters.settled,
        "intervals": {data_type: list(intervals) for data_type, intervals in selection.intervals.items()},
        "start": selection.dates.start.isoformat() if selection.dates.start else None,
        "end": selection.dates.end.isoformat() if selection.dates.end else None,
        "partition": str(selection.partition),
        "discovery": str(request.discovery),
        "locked": str(request.locked) if request.locked else None,
    }


SCHEMA_VERSION = 1
FAILURES_KEPT = 1000
UNPRUNED_KEPT = 1000
"""How many monthly objects that do not stand for their days are named in the notices; the journal has them all."""

SUCCESSFUL = (Outcome.FETCHED, Outcome.UPDATED)
SKIPPED = (Outcome.PRESENT, Outcome.ABSENT)
UNSUCCESSFUL = (Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED)
REPORTED_AS_FAILURES = (Outcome.FAILED, Outcome.QUARANTINED)
THERE = frozenset({Outcome.FETCHED, Outcome.UPDATED, Outcome.PRESENT})
UNEXPLAINED = "unexplained"
ABSENCE_REASONS = (*map(str, Absence), UNEXPLAINED)


@dataclass(slots=True)
class Group:
    """The totals of one market and data type.

    Attributes:
        planned: Objects that the plan came to.
        outcomes: How many ended how; what has not ended yet is missing.
        bytes: Bytes of the objects that are there now.
        bytes_fetched: Bytes of the downloads that settled them, sidecars included.
    """

    planned: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    bytes: int = 0
    bytes_fetched: int = 0

    @property
    def total(self) -> int:
        """How many objects there are to account for."""
        return max(self.planned, self.outcomes.total())


@dataclass(slots=True)
class Pruning:
    """What became of daily objects on disk that a monthly one may stand for.

    Attributes:
        months: Monthly objects that daily ones were moved aside for.
        objects: Daily objects that were moved aside.
        bytes: Their bytes, sidecars included.
        kept_months: Monthly objects whose daily ones stay, or some of them.
    """

    months: int = 0
    objects: int = 0
    bytes: int = 0
    kept_months: int = 0

    def __iadd__(self, other: Pruning) -> Self:
        self.months += other.months
        self.objects += other.objects
        self.bytes += other.bytes
        self.kept_months += other.kept_months
        return self


class Report:
    """What a run amounts to so far; every figure of the document comes from events.

    Attributes:
        request: What the run was asked to do.
        presets: Names of the presets that the request was made of.
        run_id: Name of the run's folder, empty before the run has started.
        groups: Totals by market and data type, in the order of the plan.
        failures: The first objects that failed or were quarantined.
        failures_omitted: How many more there were.
        notices: What the plan had to say, and why daily objects were not moved aside.
        pruned: What became of daily objects that a monthly one may stand for.
        seconds: How long the run took, 0 while it goes on.
        interrupted_by: The signal that ended it, ``NO_SIGNAL`` where a program did.
        error: What stopped it early, empty when nothing did.
        error_exit_code: How the command ends for that error, if it is known.
        folder: Where the run keeps its files, such as ``report.json`` and ``failed.s5cmd``; None before it has started.
    """

    def __init__(
        self, request: Request, *, version: str, matrix_version: str = "", presets: tuple[str, ...] = ()
    ) -> None:
        """Begin an empty report.

        Args:
            request: What the run is asked to do.
            version: The version of crypto-archive.
            matrix_version: The version of the matrix.
            presets: Names of the presets that the request was made of.
        """
        self.request = request
        self.run_id = ""
        self.groups: dict[tuple[Market, str], Group] = {}
        self.failures: list[ObjectFinished] = []
        self.failures_omitted = 0
        self.notices: list[Notice] = []
        self.pruned = Pruning()
        self.seconds = 0.0
        self.interrupted_by: int | None = None
        self.error = ""
        self.error_exit_code: ExitCode | None = None
        self.folder: Path | None = None
        self._verdicts: Counter[Verdict] = Counter()
        self._absences: Counter[str] = Counter()
        self._started_at: datetime | None = None
        self._finished = False
        self.presets = presets
        self._versions = {"crypto_archive": version, "s5cmd": "", "matrix": matrix_version}

    def __getitem__(self, name: str) -> Any:
        """Return a field of the document by its name, such as ``success_rate``.

        Raises:
            KeyError: The document has no such field.
        """
        return self.document()[name]

    def add(self, event: Event) -> None:
        """Take in one event; those that change no total are ignored."""
        if isinstance(event, ObjectFinished):
            self._finish(event)
        elif isinstance(event, ObjectPlanned):
            series = event.planned.object.series
            self._group(series.market, series.data_type).planned += 1
        elif isinstance(event, Noticed):
            self.notices.append(event.notice)
        elif isinstance(event, RunStarted):
            self.run_id, self._started_at = event.run_id, event.started_at
            self.notices.extend(event.notices)
            self._versions["s5cmd"] = event.s5cmd_version
        elif isinstance(event, DaysCovered):
            self.pruned.months += 1
            self.pruned.objects += len(event.moved)
            self.pruned.bytes += event.bytes
        elif isinstance(event, DaysKept):
            self.pruned.kept_months += 1
            if self.pruned.kept_months <= UNPRUNED_KEPT:
                self.notices.append(Notice(event.summary))
        elif isinstance(event, RunFinished):
            self._finished = True
            self.seconds, self.interrupted_by, self.error = event.seconds, event.interrupted_by, event.error
            self.error_exit_code = event.error_exit_code

    def files(self) -> tuple[Path | None, Path | None]:
        """Return where ``report.json`` and ``failed.s5cmd`` of the run are; None for what there is none of."""
        if self.folder is None:
            return None, None
        report, failed = (self.folder / name for name in ("report.json", "failed.s5cmd"))
        return report if report.exists() else None, failed if failed.exists() else None

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """How many objects ended how; every outcome is there, and together they are the plan."""
        total: Counter[Outcome] = Counter()
        for group in self.groups.values():
            total += self.whole(group)
        return {outcome: total[outcome] for outcome in Outcome}

    @property
    def bytes(self) -> int:
        """Bytes of the planned objects that are there now."""
        return sum(group.bytes for group in self.groups.values())

    @property
    def bytes_fetched(self) -> int:
        """Bytes of the downloads that were settled, sidecars included; not of those that were thrown away."""
        return sum(group.bytes_fetched for group in self.groups.values())

    @property
    def rate(self) -> float:
        """Bytes fetched a second, over the whole run."""
        return self.bytes_fetched / self.seconds if self.seconds > 0 else 0.0

    @property
    def status(self) -> str:
        """The run in a word.

        ``success``: everything planned is there, or is rightly absent. ``partial``: some objects failed, were
        quarantined or cancelled. ``failed``: an error stopped the run, or every object failed. ``empty``: nothing
        was planned, or the archive has nothing of it and it is not all still to come. ``interrupted``: a signal or
        another program ended the run.
        """
        if self.error:
            return "failed"
        if self.interrupted_by is not None:
            return "interrupted"
        counts = self._stats()
        if counts["failed_tasks"]:
            return "failed" if counts["failed_tasks"] == counts["total_tasks"] else "partial"
        absent = self.outcomes[Outcome.ABSENT]
        nothing = counts["total_tasks"] == absent and self._absences[Absence.NOT_YET] < max(absent, 1)
        return "empty" if nothing else "success"

    @property
    def finished_at(self) -> datetime | None:
        """When the run ended, UTC; None while it goes on."""
        if self._started_at is None or not self._finished:
            return None
        return self._started_at + timedelta(seconds=self.seconds)

    def exit_code(self) -> ExitCode:
        """Return how the command ends."""
        if self.error:
            return self.error_exit_code or ExitCode.ENVIRONMENT
        if self.interrupted_by is not None:
            return interruption_code(self.interrupted_by)
        return ExitCode.OK if self.status == "success" else ExitCode.PARTIAL

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/report.schema.json`` describes it."""
        counts = self._stats()
        stats = counts | {"total_size_bytes": self.bytes, "processing_time_seconds": round(self.seconds, 3)}
        started = self._started_at
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "success_rate": _success_rate(counts["total_tasks"], counts["failed_tasks"]),
            "started_at": started.isoformat() if started else None,
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "interrupted_by": None if self.interrupted_by is None else signal_name(self.interrupted_by),
            "error": self.error or None,
            "output_directory": str(self.request.root),
            "total_size_formatted": format_bytes(self.bytes),
            "bytes_fetched": self.bytes_fetched,
            "collection_stats": stats,
            "outcomes": _by_name(self.outcomes),
            "absences": {reason: self._absences[reason] for reason in ABSENCE_REASONS},
            "verdicts": {str(verdict): self._verdicts[verdict] for verdict in Verdict},
            "by_market_and_type": list(self._group_documents()),
            "pruned": asdict(self.pruned),
            "failures": [failure_document(failure) for failure in self.failures],
            "failures_omitted": self.failures_omitted,
            "notices": [notice.text for notice in self.notices],
            "presets": list(self.presets),
            "selection": selection_document(self.request),
            "source": {"endpoint_url": self.request.access.endpoint_url, "bucket": self.request.access.bucket},
            "versions": dict(self._versions),
        }

    def include(self, other: Report) -> None:
        """Take in what another run came to, such as one shard of several; no object may be in both.

        The sum has all counts and failures of both, as if they had been one run. It began when the first of them began
        and has ended when all have; the first error is the sum's. Folder and name of a run are nobody's.
        """
        for (market, data_type), theirs in other.groups.items():
            ours = self._group(market, data_type)
            ours.planned += theirs.total
            ours.outcomes += theirs.outcomes
            ours.bytes += theirs.bytes
            ours.bytes_fetched += theirs.bytes_fetched
        for failure in other.failures:
            self._keep_failure(failure)
        self.failures_omitted += other.failures_omitted
        self.notices += [notice for notice in other.notices if notice not in self.notices]
        self.pruned += other.pruned
        self._verdicts += other._verdicts
        self._absences += other._absences
        if self.interrupted_by is None:
            self.interrupted_by = other.interrupted_by
        if not self.error:
            self.error, self.error_exit_code = other.error, other.error_exit_code
        self._versions |= {name: version for name, version in other._versions.items() if version}
        self._span(other)

    def _span(self, other: Report) -> None:
        """Stretch the time that the run took by that of another one."""
        if other._started_at is None:
            return
        if self._started_at is None:
            self._started_at, self.seconds, self._finished = other._started_at, other.seconds, other._finished
            return
        ends = [one._started_at + timedelta(seconds=one.seconds) for one in (self, other) if one._started_at]
        self._started_at = min(self._started_at, other._started_at)
        self.seconds = (max(ends) - self._started_at).total_seconds()
        self._finished = self._finished and other._finished

    def _group(self, market: Market, data_type: str) -> Group:
        found = self.groups.get((market, data_type))
        if found is None:
            found = self.groups[market, data_type] = Group()
        return found

    def _finish(self, event: ObjectFinished) -> None:
        group = self._group(event.object.series.market, event.object.series.data_type)
        group.outcomes[event.outcome] += 1
        group.bytes_fetched += event.bytes_fetched
        if event.outcome in THERE:
            group.bytes += event.size
        if event.verdict is not None:
            self._verdicts[event.verdict] += 1
        if event.outcome is Outcome.ABSENT:
            self._absences[event.reason if event.reason in ABSENCE_REASONS else UNEXPLAINED] += 1
        elif event.outcome in REPORTED_AS_FAILURES:
            self._keep_failure(event)

    def _keep_failure(self, event: ObjectFinished) -> None:
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(event)
        else:
            self.failures_omitted += 1

    def whole(self, group: Group) -> Counter[Outcome]:
        """Return the outcomes of a group with what no event accounts for: cancelled, since it is not there."""
        return group.outcomes + Counter({Outcome.CANCELLED: group.total - group.outcomes.total()})

    def _stats(self) -> dict[str, int]:
        """Return the counts under the seed's names; successful, failed and skipped add up to the total."""
        outcomes = self.outcomes
        return {
            "total_tasks": sum(outcomes.values()),
            "successful_tasks": sum(outcomes[outcome] for outcome in SUCCESSFUL),
            "failed_tasks": sum(outcomes[outcome] for outcome in UNSUCCESSFUL),
            "skipped_tasks": sum(outcomes[outcome] for outcome in SKIPPED),
        }

    def _group_documents(self) -> Iterator[dict[str, object]]:
        for (market, data_type), group in self.groups.items():
            yield {
                "market": str(market),
                "data_type": data_type,
                "objects": group.total,
                "bytes": group.bytes,
                "bytes_fetched": group.bytes_fetched,
                "outcomes": _by_name(self.whole(group)),
            }


def _success_rate(total: int, unsuccessful: int) -> float:
    """Return the share of objects that did not fail, in percent, rounded down: 100 only when nothing failed."""
    return (total - unsuccessful) * 10_000 // total / 100 if total else 0.0


def _by_name(outcomes: Mapping[Outcome, int]) -> dict[str, int]:
    return {str(outcome): outcomes[outcome] for outcome in Outcome}


def combine_reports(configured: RunConfig, reports: Iterable[Report]) -> Report:
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
