"""Mirror Binance's public data archive: complete, verified, up to date.

``load_preset`` says what you want, ``plan`` shows what there is to do, ``collect`` does it, and ``verify`` checks it:

    from crypto_archive import collect, load_preset

    report = collect(load_preset("research", output_directory="/data/binance", last="30d"))
    print(report.status, *report.files())

Nothing here prints, handles signals or ends the process. Names are loaded on first use, so importing the package costs
nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from crypto_archive.config.load import load_preset as load_preset
    from crypto_archive.config.run_config import RunConfig as RunConfig
    from crypto_archive.errors import (
        ConfigError as ConfigError,
        CryptoArchiveError as CryptoArchiveError,
        EnvironmentFailure as EnvironmentFailure,
        RootLocked as RootLocked,
        UsageError as UsageError,
    )
    from crypto_archive.events import (
        Cancellation as Cancellation,
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
    from crypto_archive.jobs.relayout import relayout as relayout
    from crypto_archive.jobs.repair import repair as repair
    from crypto_archive.jobs.report import Report as Report
    from crypto_archive.jobs.schedule import schedule as schedule
    from crypto_archive.jobs.symbols import symbols as symbols
    from crypto_archive.jobs.verify import VerifyReport as VerifyReport, verify as verify
    from crypto_archive.model import Outcome as Outcome, Verdict as Verdict
    from crypto_archive.render.progress import show_progress as show_progress

_HOMES = {
    "config.load": "load_preset",
    "config.run_config": "RunConfig",
    "errors": "ConfigError CryptoArchiveError EnvironmentFailure RootLocked UsageError",
    "events": "Cancellation Event ObjectFinished",
    "jobs.collect": "collect collect_async collect_events",
    "jobs.coverage": "CoverageReport coverage",
    "jobs.doctor": "doctor",
    "jobs.metrics": "write_metrics",
    "jobs.plan": "Plan plan write_shards",
    "jobs.relayout": "relayout",
    "jobs.repair": "repair",
    "jobs.report": "Report",
    "jobs.schedule": "schedule",
    "jobs.symbols": "symbols",
    "jobs.verify": "VerifyReport verify",
    "model": "Outcome Verdict",
    "render.progress": "show_progress",
}
_HOME = {name: f"crypto_archive.{module}" for module, names in _HOMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


class _Face(ModuleType):
    """Keeps its names: importing the room ``plan`` would put it in the place of the function ``plan``."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
