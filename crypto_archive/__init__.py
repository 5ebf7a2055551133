"""Mirror Binance's public data archive: complete, verified, up to date.

``load_preset`` says what is wanted, ``plan`` what would be done, ``collect`` does it, and ``verify`` checks it:

    from crypto_archive import collect, load_preset

    report = collect(load_preset("research", output_directory="/data/binance", last="30d"))
    print(report.status, report["success_rate"])

Nothing here prints, handles signals or ends the process. Names are loaded when they are first used, so importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from crypto_archive.catalog.layouts import Layout as Layout
    from crypto_archive.config.load import load_preset as load_preset
    from crypto_archive.config.run_config import RunConfig as RunConfig
    from crypto_archive.errors import (
        ConfigError as ConfigError,
        CryptoArchiveError as CryptoArchiveError,
        EnvironmentFailure as EnvironmentFailure,
        ExitCode as ExitCode,
        UsageError as UsageError,
    )
    from crypto_archive.events import (
        Cancellation as Cancellation,
        Checked as Checked,
        Event as Event,
        ObjectFinished as ObjectFinished,
    )
    from crypto_archive.jobs.collect import (
        collect as collect,
        collect_async as collect_async,
        collect_events as collect_events,
    )
    from crypto_archive.jobs.coverage import CoverageReport as CoverageReport, coverage as coverage
    from crypto_archive.jobs.doctor import doctor as doctor
    from crypto_archive.jobs.metrics import write_metrics as write_metrics
    from crypto_archive.jobs.plan import Plan as Plan, plan as plan, write_shards as write_shards
    from crypto_archive.jobs.relayout import RelayoutReport as RelayoutReport, relayout as relayout
    from crypto_archive.jobs.report import Report as Report
    from crypto_archive.jobs.run import Run as Run
    from crypto_archive.jobs.symbols import universe as universe
    from crypto_archive.jobs.verify import (
        VerifyReport as VerifyReport,
        verify as verify,
        verify_events as verify_events,
    )
    from crypto_archive.model import (
        Absence as Absence,
        Action as Action,
        ArchiveObject as ArchiveObject,
        Market as Market,
        Outcome as Outcome,
        PlannedObject as PlannedObject,
        Verdict as Verdict,
    )

_HOMES = {
    "catalog.layouts": "Layout",
    "config.load": "load_preset",
    "config.run_config": "RunConfig",
    "errors": "ConfigError CryptoArchiveError EnvironmentFailure ExitCode UsageError",
    "events": "Cancellation Checked Event ObjectFinished",
    "jobs.collect": "collect collect_async collect_events",
    "jobs.coverage": "CoverageReport coverage",
    "jobs.doctor": "doctor",
    "jobs.metrics": "write_metrics",
    "jobs.plan": "Plan plan write_shards",
    "jobs.relayout": "RelayoutReport relayout",
    "jobs.report": "Report",
    "jobs.run": "Run",
    "jobs.symbols": "universe",
    "jobs.verify": "VerifyReport verify verify_events",
    "model": "Absence Action ArchiveObject Market Outcome PlannedObject Verdict",
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
