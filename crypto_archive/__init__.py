"""Keep a complete, proven and current copy of Binance's public data archive.

``load_preset`` says what is wanted, ``plan`` what would be done, ``collect`` does it, ``verify`` proves it:

    from crypto_archive import collect, load_preset

    report = collect(load_preset("research", output_directory="/data/binance", last="30d"))
    print(report.status, report["success_rate"])

All names are loaded when they are first asked for, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from crypto_archive.version import __version__ as __version__

if TYPE_CHECKING:
    from crypto_archive.api import (
        collect as collect,
        collect_async as collect_async,
        collect_events as collect_events,
        coverage as coverage,
        load_preset as load_preset,
        rebuild_manifest_events as rebuild_manifest_events,
        relayout as relayout,
        repair_events as repair_events,
        verify as verify,
        verify_events as verify_events,
    )
    from crypto_archive.config import (
        Configured as Configured,
        EffectiveField as EffectiveField,
        PresetInfo as PresetInfo,
        effective_document as effective_document,
        effective_fields as effective_fields,
        list_presets as list_presets,
        load_request as load_request,
        new_preset as new_preset,
        preset_problems as preset_problems,
        preset_schema as preset_schema,
        presets_document as presets_document,
    )
    from crypto_archive.config.amounts import seconds_of as seconds_of
    from crypto_archive.config.dates import day_of as day_of
    from crypto_archive.errors import (
        ConfigError as ConfigError,
        CryptoArchiveError as CryptoArchiveError,
        EndpointUnreachable as EndpointUnreachable,
        EnvironmentFailure as EnvironmentFailure,
        ExitCode as ExitCode,
        Problem as Problem,
        RootLocked as RootLocked,
        RootUnusable as RootUnusable,
        S5cmdUnusable as S5cmdUnusable,
        UsageError as UsageError,
    )
    from crypto_archive.events import (
        BatchFinished as BatchFinished,
        BatchRetried as BatchRetried,
        BatchStarted as BatchStarted,
        BytesArrived as BytesArrived,
        Checked as Checked,
        Comparing as Comparing,
        DaysCovered as DaysCovered,
        DaysKept as DaysKept,
        Event as Event,
        LeftAlone as LeftAlone,
        Moved as Moved,
        MovesCounted as MovesCounted,
        Noticed as Noticed,
        ObjectPlanned as ObjectPlanned,
        ObjectSettled as ObjectSettled,
        PlanFinished as PlanFinished,
        RunFinished as RunFinished,
        RunStarted as RunStarted,
    )
    from crypto_archive.extras import ExtraMissing as ExtraMissing, require_extra as require_extra
    from crypto_archive.health.check import Check as Check, CheckStatus as CheckStatus
    from crypto_archive.health.examination import (
        doctor as doctor,
        doctor_document as doctor_document,
        doctor_exit_code as doctor_exit_code,
        doctor_status as doctor_status,
    )
    from crypto_archive.holdings import SymbolHistory as SymbolHistory
    from crypto_archive.jobs.compare import compare as compare
    from crypto_archive.jobs.matrix_check import TypeFolder as TypeFolder, check_matrix as check_matrix
    from crypto_archive.jobs.plan import (
        Plan as Plan,
        object_document as object_document,
        plan as plan,
        write_run_files as write_run_files,
        write_shards as write_shards,
    )
    from crypto_archive.jobs.rounds import rounds as rounds
    from crypto_archive.jobs.suggestions import suggestions as suggestions
    from crypto_archive.jobs.universe import symbols_document as symbols_document, universe as universe
    from crypto_archive.layouts import Layout as Layout
    from crypto_archive.lockfile.shards import Shard as Shard
    from crypto_archive.matrix import Matrix as Matrix, Row as Row, matrix_document as matrix_document
    from crypto_archive.model import (
        Absence as Absence,
        Action as Action,
        ArchiveObject as ArchiveObject,
        Batch as Batch,
        Market as Market,
        Notice as Notice,
        Outcome as Outcome,
        Partition as Partition,
        Period as Period,
        PlannedObject as PlannedObject,
        Series as Series,
        Verdict as Verdict,
    )
    from crypto_archive.report.checks import VerifyReport as VerifyReport
    from crypto_archive.report.combined import combine_reports as combine_reports
    from crypto_archive.report.coverage_report import CoverageReport as CoverageReport
    from crypto_archive.report.differences import Differences as Differences
    from crypto_archive.report.fold import Report as Report
    from crypto_archive.report.metrics import metrics_text as metrics_text, write_metrics as write_metrics
    from crypto_archive.report.relayout_report import RelayoutReport as RelayoutReport
    from crypto_archive.request import Discovery as Discovery, Partitioning as Partitioning, Request as Request
    from crypto_archive.running import Run as Run
    from crypto_archive.transfer.cancellation import Cancellation as Cancellation

_HOMES = {
    "api": "collect collect_async collect_events coverage load_preset rebuild_manifest_events relayout "
    "repair_events verify verify_events",
    "config.amounts": "seconds_of",
    "config.dates": "day_of",
    "config": "Configured EffectiveField PresetInfo effective_document effective_fields list_presets load_request "
    "new_preset preset_problems preset_schema presets_document",
    "errors": "ConfigError CryptoArchiveError EndpointUnreachable EnvironmentFailure ExitCode Problem RootLocked "
    "RootUnusable S5cmdUnusable UsageError",
    "events": "BatchFinished BatchRetried BatchStarted BytesArrived Checked Comparing DaysCovered DaysKept Event "
    "LeftAlone Moved MovesCounted Noticed ObjectPlanned ObjectSettled PlanFinished RunFinished RunStarted",
    "extras": "ExtraMissing require_extra",
    "health.check": "Check CheckStatus",
    "health.examination": "doctor doctor_document doctor_exit_code doctor_status",
    "holdings": "SymbolHistory",
    "jobs.compare": "compare",
    "jobs.matrix_check": "TypeFolder check_matrix",
    "jobs.plan": "Plan object_document plan write_run_files write_shards",
    "jobs.rounds": "rounds",
    "jobs.suggestions": "suggestions",
    "jobs.universe": "symbols_document universe",
    "layouts": "Layout",
    "lockfile.shards": "Shard",
    "matrix": "Matrix Row matrix_document",
    "model": "Absence Action ArchiveObject Batch Market Notice Outcome Partition Period PlannedObject Series Verdict",
    "report.checks": "VerifyReport",
    "report.combined": "combine_reports",
    "report.coverage_report": "CoverageReport",
    "report.differences": "Differences",
    "report.fold": "Report",
    "report.metrics": "metrics_text write_metrics",
    "report.relayout_report": "RelayoutReport",
    "running": "Run",
    "request": "Discovery Partitioning Request",
    "transfer.cancellation": "Cancellation",
}
_HOME = {name: f"crypto_archive.{module}" for module, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
