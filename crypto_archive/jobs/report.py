"""Reports: what a job has done, as figures, as a JSON document and as an exit code."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
    ObjectsKept,
    RunFinished,
    RunStarted,
    SeriesAnswered,
)
from crypto_archive.model import STORED, Absence, Notice, Outcome, Series, SeriesDays, UnknownSymbols, Verdict
from crypto_archive.shown import Shown, Table, joined, span
from crypto_archive.text import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime
    from enum import StrEnum
    from pathlib import Path

    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.model import Market, UnknownSymbol
    from crypto_archive.root.store import Root

SCHEMA_VERSION = 1
"""The version of every report's document."""
FAILURES_KEPT = 1000
"""How many failures a report names; the journal has them all."""
UNPRUNED_KEPT = 1000
"""How many months whose daily objects stay are named in the notices; the journal has them all."""

SUCCESSFUL = (Outcome.FETCHED, Outcome.UPDATED)
SKIPPED = (Outcome.PRESENT, Outcome.ABSENT)
UNSUCCESSFUL = (Outcome.FAILED, Outcome.QUARANTINED, Outcome.CANCELLED)
UNEXPLAINED = "unexplained"
# Membership, since Python 3.11 takes four times as long to look up a member of an enumeration.
_FAILED = frozenset({Outcome.FAILED, Outcome.QUARANTINED})
_BROKEN = frozenset({Verdict.BAD_ZIP})


def is_failure(event: ObjectFinished) -> bool:
    """Whether a report names an object: it could not be stored, or what is stored is not a zip."""
    return event.verdict in _BROKEN if event.outcome in STORED else event.outcome in _FAILED


ABSENCE_REASONS = (*map(str, Absence), UNEXPLAINED)


@dataclass(kw_only=True, eq=False, repr=False)
class JobReport(Shown):
    """What a job has done so far: the base of the reports of collect, verify, coverage and relayout.

    Attributes:
        seconds: How long it took; 0 while it runs.
        interrupted_by: The signal that ended it early, ``NO_SIGNAL`` if a program did; None if it ran to its end.
        error: What stopped it early; None if nothing did.
        error_exit_code: The exit code of that error, if it is known.
    """

    seconds: float = 0.0
    interrupted_by: int | None = None
    error: str | None = None
    error_exit_code: ExitCode | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a field of the document, such as ``report["success_rate"]``; KeyError if it does not exist."""
        return self.document()[name]

    def finish(
        self,
        seconds: float,
        *,
        interrupted_by: int | None = None,
        error: str | None = None,
        error_exit_code: ExitCode | None = None,
    ) -> None:
        """Record how the job ended."""
        self.seconds, self.interrupted_by = seconds, interrupted_by
        self.error, self.error_exit_code = error or None, error_exit_code

    @property
    def status(self) -> str:
        """The job in one word: ``failed`` after an error, ``interrupted``, or what the job itself says."""
        if self.error:
            return "failed"
        return self._result()[0] if self.interrupted_by is None else "interrupted"

    def exit_code(self) -> ExitCode:
        """Return the exit code of the command that does this job."""
        if self.error:
            return self.error_exit_code or ExitCode.ENVIRONMENT
        if self.interrupted_by is None:
            return self._result()[1]
        # Apart from ^C and a program's own request, every signal asks the process to terminate.
        return ExitCode.INTERRUPTED if self.interrupted_by in {signal.SIGINT, NO_SIGNAL} else ExitCode.TERMINATED

    @property
    def interruption(self) -> str | None:
        """The name of the signal that ended the job early, ``request`` if a program did."""
        return None if self.interrupted_by is None else signal_name(self.interrupted_by)

    def document(self) -> dict[str, object]:
        """Return the report as a JSON document."""
        raise NotImplementedError

    def _result(self) -> tuple[str, ExitCode]:
        """Return status and exit code of a job that no error and no signal cut short."""
        raise NotImplementedError


def signal_name(number: int) -> str:
    """Return a signal's name, such as ``SIGINT``, or its number where the platform has no name for it."""
    if number == NO_SIGNAL:
        return "request"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def unknown_symbols(notices: Iterable[Notice]) -> list[UnknownSymbol]:
    """Return the unknown symbols that notices name."""
    return [one for notice in notices if isinstance(notice, UnknownSymbols) for one in notice.symbols]


def unknown_document(symbols: Iterable[UnknownSymbol]) -> list[dict[str, object]]:
    """Return unknown symbols as a document."""
    return [{"symbol": one.name, "nearest": list(one.nearest)} for one in symbols]


def by_name(counts: Mapping[Any, int], kinds: type[StrEnum]) -> dict[str, int]:
    """Return counts as a document that has every kind."""
    return {str(kind): counts.get(kind, 0) for kind in kinds}


class DaysReport:
    """Which of the wanted days of each series can be had, and why not the others.

    Wanted days are available or absent for exactly one reason. A series takes a few hundred bytes, however many
    objects it has.
    """

    def __init__(self) -> None:
        self._series: dict[Series, SeriesDays] = {}

    def __iter__(self) -> Iterator[SeriesDays]:
        """Yield all series, in the order in which they were first answered."""
        return iter(self._series.values())

    def add(self, days: SeriesDays) -> None:
        """Take in the answer of a series, instead of an earlier one."""
        self._series[days.series] = days

    def include(self, other: DaysReport) -> None:
        """Take in the answers of another job."""
        self._series |= other._series

    @property
    def lacking(self) -> list[SeriesDays]:
        """The series that lack wanted days."""
        return [one for one in self if one.absent]

    @property
    def absent(self) -> dict[Absence, int]:
        """How many days are absent for which reason; has only reasons that occur."""
        counts: Counter[Absence] = Counter()
        for one in self:
            for absent in one.absent:
                counts[absent.reason] += absent.count
        return {reason: counts[reason] for reason in Absence if counts[reason]}

    @property
    def are_to_come(self) -> bool:
        """Whether wanted days are absent, all of them since their objects are not published yet."""
        return set(self.absent) == {Absence.NOT_YET}

    def newest(self) -> dict[tuple[Market, str], date]:
        """Return the newest day that the archive is known to have of each market and data type."""
        found: dict[tuple[Market, str], date] = {}
        for one in self:
            if one.newest is not None:
                place = one.series.market, one.series.data_type
                found[place] = max(one.newest, found.get(place, one.newest))
        return found

    def document(self) -> dict[str, object]:
        """Return the totals, and each series that lacks days, as a document."""
        return {
            "wanted": sum(one.wanted for one in self),
            "available": sum(one.available for one in self),
            "absent": by_name(self.absent, Absence),
            "series": [
                {
                    "market": str(one.series.market),
                    "data_type": one.series.data_type,
                    "symbol": one.series.symbol,
                    "interval": one.series.interval,
                    "wanted": one.wanted,
                    "available": one.available,
                    "absent": [
                        {"reason": str(absent.reason), "first": str(absent.first), "last": str(absent.last),
                         "days": absent.count}
                        for absent in one.absent
                    ],
                }
                for one in self.lacking
            ],
        }  # fmt: skip


@dataclass(slots=True)
class Group:
    """The totals of one market and data type.

    Attributes:
        planned: How many objects are planned.
        finished: How many ended how; objects that have not ended yet are not counted.
        bytes: Bytes of the objects that are stored now.
        bytes_fetched: Bytes of the downloads that ended them, sidecars included.
        first: The first day of the objects that are stored now; None without any.
        last: The last one.
    """

    planned: int = 0
    finished: Counter[Outcome] = field(default_factory=Counter)
    bytes: int = 0
    bytes_fetched: int = 0
    first: date | None = None
    last: date | None = None

    def widen(self, first: date | None, last: date | None) -> None:
        """Take in the days of more objects that are stored."""
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if last is not None and (self.last is None or last > self.last):
            self.last = last

    @property
    def total(self) -> int:
        """How many objects there are to account for."""
        return max(self.planned, self.finished.total())

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How all objects ended; those that no event accounts for are cancelled, since they are not stored."""
        return self.finished + Counter({Outcome.CANCELLED: self.total - self.finished.total()})


@dataclass(slots=True)
class Pruning:
    """What happened to the daily objects that a monthly one may replace.

    Attributes:
        months: Monthly objects for which daily ones were moved aside.
        objects: Daily objects that were moved aside.
        bytes: Their bytes, sidecars included.
        kept_months: Monthly objects whose daily ones stay, all or some of them.
    """

    months: int = 0
    objects: int = 0
    bytes: int = 0
    kept_months: int = 0


@dataclass(eq=False, repr=False)
class Report(JobReport):
    """What a run has done so far; every figure comes from its events.

    ``status`` is ``success``, ``partial`` (some objects failed, or a named symbol does not exist), ``failed`` (an error
    stopped it, or all objects failed), ``empty`` (nothing was planned, or the archive has none of it) or
    ``interrupted``. ``exit_code()`` is that of the command, and ``document()`` the JSON document of
    ``docs/report.schema.json``.

    Attributes:
        request: What the run was asked to do.
        presets: Names of the presets that the request was made of.
        run_id: The name of the run's folder; empty before the run has started.
        folder: Where the run keeps its files, such as ``report.json``; None before the run has started.
        started_at: When it started, UTC.
        groups: Totals by market and data type, in the order of the plan.
        failures: The first objects that failed or were quarantined, and those whose zip is broken in the archive.
        failures_omitted: How many more there were.
        notices: What a person should know about the plan, and why daily objects were not moved aside.
        pruned: What happened to daily objects that a monthly one may replace.
        days: Which of the wanted days the archive has, series by series, and why not the others.
        seconds: How long it took; 0 while it runs.
        interrupted_by: The signal that ended it early, 0 if a program did; None if it ran to its end.
        error: What stopped it early; None if nothing did.

    Example:
        >>> from crypto_archive import collect, load_preset
        >>> report = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> report, report.failures, report["success_rate"], report.bytes > 0
        (<Report: success, 18 objects (18 fetched), ..., 2025-07-01 to 2025-07-31, ...>, [], 100.0, True)
    """

    request: Request
    version: str = __version__
    matrix_version: str = ""
    presets: tuple[str, ...] = ()
    s5cmd_version: str = ""
    run_id: str = ""
    folder: Path | None = None
    started_at: datetime | None = None
    ended: bool = False
    groups: dict[tuple[Market, str], Group] = field(default_factory=dict)
    failures: list[ObjectFinished] = field(default_factory=list)
    failures_omitted: int = 0
    notices: list[Notice] = field(default_factory=list)
    pruned: Pruning = field(default_factory=Pruning)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    stored_verdicts: Counter[Verdict] = field(default_factory=Counter)
    absences: Counter[str] = field(default_factory=Counter)
    days: DaysReport = field(default_factory=DaysReport)
    _root: Root | None = field(default=None, init=False)
    _folders: list[Path] = field(default_factory=list, init=False)

    def begin(self, root: Root, folder: Path) -> None:
        """Take in where the run keeps its objects, and its own files."""
        self.folder, self._root, self._folders = folder, root, [folder]

    def add(self, event: Event) -> None:
        """Take in one event; those that change no figure are ignored."""
        if isinstance(event, ObjectFinished):  # these two are most events by far
            self._add_finished(event)
            return
        if isinstance(event, ObjectPlanned):
            self._group(event.planned.object.series).planned += 1
            return
        match event:
            case ObjectsKept():
                self._add_kept(event)
            case SeriesAnswered():
                self.days.add(event.days)
            case Noticed():
                self.notices.append(event.notice)
            case RunStarted():
                self.run_id, self.started_at, self.s5cmd_version = event.run_id, event.started_at, event.s5cmd_version
                self.notices.extend(event.notices)
            case DaysCovered():
                self.pruned.months += 1
                self.pruned.objects += len(event.moved)
                self.pruned.bytes += event.bytes
            case DaysKept():
                self.pruned.kept_months += 1
                if self.pruned.kept_months <= UNPRUNED_KEPT:
                    self.notices.append(Notice(event.summary))
            case RunFinished():
                self.ended = True
                self.finish(
                    event.seconds, interrupted_by=event.interrupted_by, error=event.error,
                    error_exit_code=event.error_exit_code,
                )  # fmt: skip

    def _add_finished(self, event: ObjectFinished) -> None:
        item, outcome, verdict = event.object, event.outcome, event.verdict
        group = self._group(item.series)
        group.finished[outcome] += 1
        group.bytes_fetched += event.bytes_fetched
        if outcome in STORED:
            group.bytes += event.size
            group.widen(item.period.first_day, item.period.last_day)
            if verdict is not None:
                self.stored_verdicts[verdict] += 1
        elif outcome is Outcome.ABSENT:
            self.absences[event.reason if event.reason in ABSENCE_REASONS else UNEXPLAINED] += 1
        if verdict is not None and (event.sha256 or outcome is not Outcome.PRESENT):
            self.verdicts[verdict] += 1
        if is_failure(event):
            self._keep([event])

    def _add_kept(self, event: ObjectsKept) -> None:
        group, count = self._group(event.series), len(event.planned)
        group.planned += count
        group.finished[Outcome.PRESENT] += count
        group.bytes += sum([item.stored_size for item in event.planned])
        periods = [item.object.period for item in event.planned]
        group.widen(min([one.first_day for one in periods]), max([one.last_day for one in periods]))
        for verdict, some in Counter([item.verdict for item in event.planned]).items():
            if verdict is not None:
                self.stored_verdicts[verdict] += some

    def _group(self, series: Series) -> Group:
        place = series.market, series.data_type
        found = self.groups.get(place)
        if found is None:  # not setdefault, which makes a group for every event
            found = self.groups[place] = Group()
        return found

    def _keep(self, failures: list[ObjectFinished]) -> None:
        room = FAILURES_KEPT - len(self.failures)
        self.failures += failures[:room]
        self.failures_omitted += len(failures[room:])

    def files(self) -> Iterator[Path]:
        """Yield the absolute path of each object of the run that is on disk: fetched, updated or present before.

        Sorted by path, in the layout of the archive root; also of lock files and shards. Sidecars are left out, and so
        are daily objects that the run itself moved aside (``prune_covered``). A file that the archive has only as a
        broken zip is included, and named in ``failures``. Memory stays small, however many there are.

        Raises:
            FileUnusable: The run's journal is gone, since newer runs have taken its place.
            UsageError: A relayout has moved the files since.
        """
        from crypto_archive.jobs.journal import stored_files

        return iter(()) if self._root is None else stored_files(self._root, self._folders)

    def written(self) -> tuple[Path | None, Path | None]:
        """Return where ``report.json`` and ``failed.s5cmd`` of the run are; None for a file that does not exist."""
        if self.folder is None:
            return None, None
        report, failed = (self.folder / name for name in ("report.json", "failed.s5cmd"))
        return report if report.exists() else None, failed if failed.exists() else None

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """How many objects ended how; has every outcome, and together they are the plan."""
        total: Counter[Outcome] = Counter()
        for group in self.groups.values():
            total += group.outcomes
        return {outcome: total[outcome] for outcome in Outcome}

    @property
    def bytes(self) -> int:
        """Bytes of the planned objects that are stored now."""
        return sum(group.bytes for group in self.groups.values())

    @property
    def bytes_fetched(self) -> int:
        """Bytes of the downloads that were kept or judged, sidecars included; not of attempts that were discarded."""
        return sum(group.bytes_fetched for group in self.groups.values())

    @property
    def rate(self) -> float:
        """Bytes fetched per second, over the whole run."""
        return self.bytes_fetched / self.seconds if self.seconds > 0 else 0.0

    @property
    def finished_at(self) -> datetime | None:
        """When the run ended, UTC; None while it goes on."""
        return self.started_at + timedelta(seconds=self.seconds) if self.started_at and self.ended else None

    @property
    def unknown_symbols(self) -> list[UnknownSymbol]:
        """The symbols that were named and that no selected market has."""
        return unknown_symbols(self.notices)

    def _summary(self) -> str:
        outcomes = {outcome: count for outcome, count in self.outcomes.items() if count}
        counts = joined(*(f"{count:,} {outcome}" for outcome, count in outcomes.items()))
        objects = format_count(sum(outcomes.values()), "object")
        took = format_duration(self.seconds) if self.ended else "not ended"
        first = min(filter(None, (group.first for group in self.groups.values())), default=None)
        last = max(filter(None, (group.last for group in self.groups.values())), default=None)
        parts = (f"{objects} ({counts})" if counts else objects, format_bytes(self.bytes), span(first, last), took)
        return joined(self.status, *parts) + (f"; {self.error}" if self.error else "")

    def _table(self) -> Table:
        outcomes = [outcome for outcome, count in self.outcomes.items() if count]

        def cells(place: tuple[Market, str]) -> tuple[object, ...]:
            group = self.groups[place]
            counts = (group.outcomes[outcome] for outcome in outcomes)
            return (*place, group.total, *counts, format_bytes(group.bytes), group.first, group.last)

        headings = ("market", "data type", "objects", *outcomes, "size", "first day", "last day")
        return Table(headings, [*self.groups], cells)

    def _result(self) -> tuple[str, ExitCode]:
        """``success`` if everything planned is stored or rightly absent; ``empty`` if the archive has nothing of it.

        What the archive has only as a broken zip is stored, but not a success.

        An archive that has nothing yet, since all of it is still to come, is a success.
        """
        counts, absent = self._stats(), self.outcomes[Outcome.ABSENT]
        if counts["failed_tasks"]:
            return "failed" if counts["failed_tasks"] == counts["total_tasks"] else "partial", ExitCode.PARTIAL
        if self.stored_verdicts[Verdict.BAD_ZIP]:
            return "partial", ExitCode.PARTIAL
        is_to_come = self.absences[Absence.NOT_YET] == absent if absent else self.days.are_to_come
        if counts["total_tasks"] == absent and not is_to_come:
            return "empty", ExitCode.PARTIAL
        return ("partial", ExitCode.PARTIAL) if self.unknown_symbols else ("success", ExitCode.OK)

    def _stats(self) -> dict[str, int]:
        """Return the counts under the seed's names; successful, failed and skipped add up to the total."""
        outcomes = self.outcomes
        return {
            "total_tasks": sum(outcomes.values()),
            "successful_tasks": sum(outcomes[outcome] for outcome in SUCCESSFUL),
            "failed_tasks": sum(outcomes[outcome] for outcome in UNSUCCESSFUL),
            "skipped_tasks": sum(outcomes[outcome] for outcome in SKIPPED),
        }

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/report.schema.json`` describes it."""
        stats = self._stats()
        total, failed = stats["total_tasks"], stats["failed_tasks"]
        access = self.request.access
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            # In percent, rounded down: 100 only if nothing failed.
            "success_rate": (total - failed) * 10_000 // total / 100 if total else 0.0,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "interrupted_by": self.interruption,
            "error": self.error,
            "output_directory": str(self.request.root),
            "total_size_formatted": format_bytes(self.bytes),
            "bytes_fetched": self.bytes_fetched,
            "collection_stats": stats
            | {"total_size_bytes": self.bytes, "processing_time_seconds": round(self.seconds, 3)},
            "outcomes": by_name(self.outcomes, Outcome),
            "absences": {reason: self.absences[reason] for reason in ABSENCE_REASONS},
            "days": self.days.document(),
            "verdicts": by_name(self.verdicts, Verdict),
            "stored_verdicts": by_name(self.stored_verdicts, Verdict),
            "by_market_and_type": [
                {
                    "market": str(market),
                    "data_type": data_type,
                    "objects": group.total,
                    "bytes": group.bytes,
                    "bytes_fetched": group.bytes_fetched,
                    "outcomes": by_name(group.outcomes, Outcome),
                }
                for (market, data_type), group in self.groups.items()
            ],
            "pruned": asdict(self.pruned),
            "failures": [
                {
                    "key": failure.object.key,
                    "market": str(failure.object.series.market),
                    "data_type": failure.object.series.data_type,
                    "outcome": str(failure.outcome),
                    "reason": failure.reason,
                    "attempts": failure.attempts,
                }
                for failure in self.failures
            ],
            "failures_omitted": self.failures_omitted,
            "unknown_symbols": unknown_document(self.unknown_symbols),
            "notices": [notice.text for notice in self.notices],
            "presets": list(self.presets),
            "selection": selection_document(self.request),
            "source": {"endpoint_url": access.endpoint_url, "bucket": access.bucket},
            "versions": {"crypto_archive": self.version, "s5cmd": self.s5cmd_version, "matrix": self.matrix_version},
        }

    def include(self, other: Report) -> None:
        """Add what another run did, such as one shard of several; no object may be in both.

        The sum has the counts and failures of both, as if they had been one run: it starts when the first of them
        started, ends when all have ended, and has the first error. It has no folder and no name.
        """
        for place, theirs in other.groups.items():
            ours = self.groups.setdefault(place, Group())
            ours.planned += theirs.total
            ours.finished += theirs.finished
            ours.bytes += theirs.bytes
            ours.bytes_fetched += theirs.bytes_fetched
            ours.widen(theirs.first, theirs.last)
        self._keep(other.failures)
        self.failures_omitted += other.failures_omitted
        self.notices += [notice for notice in other.notices if notice not in self.notices]
        self.pruned = Pruning(**Counter(asdict(self.pruned)) + Counter(asdict(other.pruned)))
        self.verdicts += other.verdicts
        self.stored_verdicts += other.stored_verdicts
        self.absences += other.absences
        self.days.include(other.days)
        self._root = self._root or other._root
        self._folders += other._folders
        if self.interrupted_by is None:
            self.interrupted_by = other.interrupted_by
        if not self.error:
            self.error, self.error_exit_code = other.error, other.error_exit_code
        self.version = other.version or self.version
        self.s5cmd_version = other.s5cmd_version or self.s5cmd_version
        self.matrix_version = other.matrix_version or self.matrix_version
        spans = [
            (one.started_at, one.started_at + timedelta(seconds=one.seconds), one.ended)
            for one in (self, other)
            if one.started_at is not None
        ]
        if spans:
            starts, ends, ended = zip(*spans, strict=True)
            self.started_at, self.ended = min(starts), all(ended)
            self.seconds = (max(ends) - self.started_at).total_seconds()


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


def combine_reports(config: RunConfig, reports: Iterable[Report]) -> Report:
    """Return what several runs did together, such as those of all shards of a plan.

    Args:
        config: What was asked for, before it was cut into shards.
        reports: The reports of the runs; no object may be in two of them.
    """
    whole = Report(config.request, matrix_version=config.matrix.version, presets=config.presets)
    for report in reports:
        whole.include(report)
    return whole
