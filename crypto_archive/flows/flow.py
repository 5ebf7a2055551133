"""The Prefect flow: plan, collect in shards, verify, report."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.futures import as_completed
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from crypto_archive import __version__
from crypto_archive.errors import CryptoArchiveError, ExitCode
from crypto_archive.events import NO_SIGNAL
from crypto_archive.flows.runners import THREADS, cancel, check_runner, is_cancelled, release, runner_for
from crypto_archive.flows.tasks import (
    CollectionFailed,
    ShardIncomplete,
    collect_shard,
    delete_shards,
    make_plan,
    publish,
    shard_folder,
    validate,
    verify_collected,
)
from crypto_archive.jobs.report import Report, combine_reports
from crypto_archive.model import Outcome
from crypto_archive.render.summary import check_headline, headline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from prefect import Task
    from prefect.futures import PrefectFuture

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.verify import VerifyReport
    from crypto_archive.model import Notice

SCHEMA_VERSION = 1
NAME = "archive-collection"
STOPPING_SECONDS = 20.0
"""How long a cancelled flow run waits for its shards to stop cleanly; Prefect kills it after 30."""
_THREADS: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=THREADS)
_IN_PLACE = (Outcome.FETCHED, Outcome.UPDATED, Outcome.PRESENT)


@flow(
    name=NAME,
    description="Mirror Binance's public data archive: complete, verified, up to date.",
    version=__version__,
    task_runner=_THREADS,
)
def archive_collection_flow(
    preset: str | list[str],
    overrides: dict[str, Any] | None = None,
    shards: int = 1,
    verify: bool = True,
    retries: int = 2,
    retry_delay_seconds: float = 60.0,
    dask_scheduler: str | None = None,
    dask_workers: int | None = None,
) -> Any:
    """Download the missing files of presets, shard by shard, verify them, and report.

    Every step is a task: ``validate``, ``plan``, ``collect-3-of-8`` for each shard, ``verify``, ``report``. A run that
    is partial, finds nothing, or whose verification is bad, is a failed flow run, with the reason as the message of its
    state; the artifact ``archive-collection`` is written nevertheless. Cancelling the flow run stops all shards.

    Args:
        preset: A preset by name or path, or several; later ones override earlier ones field by field.
        overrides: Preset fields, and ``start``, ``end``, ``last``, ``endpoint_url``; they override everything else.
        shards: How many shards of similar size to split the plan into. More than one needs a plan from the listing.
        verify: Whether to verify the selection on disk at the end.
        retries: How often a shard is retried, where that can help.
        retry_delay_seconds: How long to wait before a retry.
        dask_scheduler: Collect on the Dask cluster of this scheduler, such as ``tcp://10.0.0.5:8786``. Its workers need
            crypto-archive with the extra ``dask``, and the archive root at the same path.
        dask_workers: Collect in this many Dask processes on this machine instead.

    Returns:
        The document of the run: ``status``, ``exit_code``, ``reason``, ``collection`` (the report of all shards
        together, as of ``crypto-archive collect --json``), ``verification`` (as of ``verify --json``; None without)
        and ``shards``.

    Raises:
        CollectionFailed: The run was not successful; its ``result`` is the same document.
        CryptoArchiveError: The run could not start: a preset is wrong, or the archive root is not writable.
    """
    attempt = collect_shard.with_options(retries=retries, retry_delay_seconds=retry_delay_seconds)
    try:
        check_runner(dask_scheduler, dask_workers)
        presets = [preset] if isinstance(preset, str) else preset
        config: RunConfig = validate(presets, overrides or {}, shards, return_state=True).result()
        folder = shard_folder(config.request.root, str(flow_run.get_id()))
        planned: dict[str, Path | None]
        unknown: list[Notice]
        planned, unknown = make_plan(config, shards, folder, return_state=True).result()
        with runner_for(dask_scheduler, dask_workers) as runner:
            ended = _collect_shards(runner, attempt, config, planned)
        report = combine_reports(config, ended.values())
        report.notices += [notice for notice in unknown if notice not in report.notices]
        checks: VerifyReport | None = None
        if verify and report.interrupted_by is None and any(report.outcomes[outcome] for outcome in _IN_PLACE):
            checks = verify_collected(config, return_state=True).result()
    except CryptoArchiveError as error:
        return Failed(message=error.summary, data=error)
    result = result_document(report, checks, ended)
    publish(result, return_state=True)
    if result["exit_code"] == ExitCode.OK:
        delete_shards(folder)
        return Completed(message=result["reason"], data=result)
    ending = Cancelled if result["status"] == "interrupted" and is_cancelled() else Failed
    return ending(message=result["reason"], data=CollectionFailed(result))


def result_document(report: Report, checks: VerifyReport | None, shards: Mapping[str, Report]) -> dict[str, Any]:
    """Return the document of a flow run.

    Args:
        report: The report of all shards together.
        checks: The report of the verification; None without one.
        shards: The report of each shard, by its name.
    """
    collected = report.status == "success"
    reason = headline(report)
    if collected and checks is not None:
        reason += f"; {check_headline(checks)}"
    # What was never collected is not in the archive: that is what the collect has just found out.
    decisive = checks if collected and checks is not None and checks.status != "incomplete" else report
    return {
        "schema_version": SCHEMA_VERSION,
        "status": decisive.status,
        "exit_code": int(decisive.exit_code()),
        "reason": reason,
        "collection": report.document(),
        "verification": None if checks is None else checks.document(),
        "shards": [_shard_document(name, shard) for name, shard in shards.items()],
    }


def _shard_document(name: str, report: Report) -> dict[str, object]:
    document, stats = report.document(), report["collection_stats"]
    return {
        "name": name,
        "run_id": report.run_id,
        "status": report.status,
        "objects": stats["total_tasks"],
        "failed": stats["failed_tasks"],
        "bytes": stats["total_size_bytes"],
        "error": document["error"],
    }


def _collect_shards(
    runner: TaskRunner[Any], attempt: Task[..., Any], config: RunConfig, planned: Mapping[str, Path | None]
) -> dict[str, Report]:
    """Collect all shards, as many in parallel as the runner allows, and return their reports by name."""
    names, futures = {}, []
    for name, locked in planned.items():
        parameters = {"config": config, "name": name, "locked": locked}
        futures.append(runner.submit(attempt, parameters=parameters))
        names[futures[-1].task_run_id] = name
    ended: dict[str, Report] = {}

    def gather(seconds: float | None = None) -> None:
        for future in as_completed([one for one in futures if names[one.task_run_id] not in ended], seconds):
            ended[names[future.task_run_id]] = _report_of(future, config)
            release(future)

    try:
        try:
            gather()
        except KeyboardInterrupt:
            cancel()
            with suppress(TimeoutError):
                gather(STOPPING_SECONDS)  # cancelled shards still return their reports
    except BaseException:
        cancel()
        deadline = time.monotonic() + STOPPING_SECONDS
        for future in futures:
            future.wait(max(deadline - time.monotonic(), 0.0))
        raise
    return {name: ended.get(name) or _unfinished(config, interrupted_by=NO_SIGNAL) for name in planned}


def _report_of(future: PrefectFuture[Any], config: RunConfig) -> Report:
    """Return the report of a shard, also of one that never started or was lost."""
    try:
        report: Report = future.result()
    except ShardIncomplete as error:
        return error.report
    except CryptoArchiveError as error:
        return _unfinished(config, error=error.summary, error_exit_code=error.exit_code)
    except Exception as error:  # whatever a task runner raises for a task that it has lost
        return _unfinished(config, error=f"{type(error).__name__}: {error}", error_exit_code=ExitCode.ENVIRONMENT)
    return report


def _unfinished(config: RunConfig, **fields: Any) -> Report:
    """Return an empty report with an error or an interruption."""
    report = combine_reports(config, ())
    for name, value in fields.items():
        setattr(report, name, value)
    return report


def run_once(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ExitCode]:
    """Run the flow, and return its document and the exit code; a failed run has a document, too."""
    state: Any = archive_collection_flow(**parameters, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, CollectionFailed):
        return result.result, ExitCode.INTERRUPTED if state.is_cancelled() else result.exit_code
    if isinstance(result, BaseException):
        raise result
    return result, ExitCode.OK
