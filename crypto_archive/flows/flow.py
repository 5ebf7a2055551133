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
from crypto_archive.flows.runners import THREADS, cancel, check_runner, is_cancelled, let_go, runner_for
from crypto_archive.flows.tasks import (
    CollectionFailed,
    ShardIncomplete,
    collect_shard,
    forget_shards,
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
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from prefect import Task
    from prefect.futures import PrefectFuture

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.verify import VerifyReport

SCHEMA_VERSION = 1


def result_document(report: Report, checks: VerifyReport | None, shards: Mapping[str, Report]) -> dict[str, Any]:
    """Return the document of a flow run.

    Args:
        report: What all shards came to together.
        checks: What the verification found; None without one.
        shards: What each shard came to, by its name.
    """
    collected = report.status == "success"
    decides = report if collected is False or checks is None else checks
    reason = headline(report)
    if collected and checks is not None:
        reason += f"; {check_headline(checks)}"
    return {
        "schema_version": SCHEMA_VERSION,
        "status": decides.status,
        "exit_code": int(decides.exit_code()),
        "reason": reason,
        "collection": report.document(),
        "verification": None if checks is None else checks.document(),
        "shards": list(_shards(shards)),
    }


def _shards(shards: Mapping[str, Report]) -> Iterator[dict[str, object]]:
    for name, report in shards.items():
        document = report.document()
        stats = report["collection_stats"]
        yield {
            "name": name,
            "run_id": report.run_id,
            "status": report.status,
            "objects": stats["total_tasks"],
            "failed": stats["failed_tasks"],
            "bytes": stats["total_size_bytes"],
            "error": document["error"],
        }


NAME = "archive-collection"
STOPPING_SECONDS = 20.0
"""How long a flow run that is to end waits for its shards to put away their work; Prefect kills it after 30."""
NO_SIGNAL = 0
"""In a report: a program has interrupted the run."""
_THREADS: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=THREADS)
_THERE = (Outcome.FETCHED, Outcome.UPDATED, Outcome.PRESENT)


@flow(
    name=NAME,
    description="Collect from Binance's public archive, prove it, and report.",
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
    """Collect what presets ask for, shard by shard, prove it, and report.

    Every step is a task: ``validate``, ``plan``, ``collect-3-of-8`` for each shard, ``verify``, ``report``. A run that
    is partial, finds nothing, or whose verification is bad, is a failed flow run, with the reason in the message of its
    state; the artifact ``archive-collection`` is written nevertheless. Cancelling the flow run stops all shards.

    Args:
        preset: A preset by name or path, or several; a later one covers the earlier ones field by field.
        overrides: Fields of presets, and ``start``, ``end``, ``last``, ``endpoint_url``, which count before all else.
        shards: Into how many parts of much the same bytes to cut the plan. More than one needs a plan from the listing.
        verify: Whether to hash what is on disk of the selection, in the end.
        retries: How often a shard is tried again, where that can help.
        retry_delay_seconds: How long to wait before that.
        dask_scheduler: Collect on the Dask cluster of this scheduler, such as ``tcp://10.0.0.5:8786``. Its workers need
            crypto-archive with the extra ``dask``, and the archive root at the same path.
        dask_workers: Collect in so many Dask processes on this machine instead.

    Returns:
        The document of the run: ``status``, ``exit_code``, ``reason``, ``collection`` (the report of all shards
        together, as of ``crypto-archive collect --json``), ``verification`` (as of ``verify --json``; None without)
        and ``shards``.

    Raises:
        CollectionFailed: The run did not end whole; its ``result`` is the same document.
        CryptoArchiveError: The run could not begin: a preset is wrong, the archive root cannot be written to.
    """
    attempt = collect_shard.with_options(retries=retries, retry_delay_seconds=retry_delay_seconds)
    try:
        check_runner(dask_scheduler, dask_workers)
        presets = [preset] if isinstance(preset, str) else preset
        configured: RunConfig = validate(presets, overrides or {}, shards, return_state=True).result()
        folder = shard_folder(configured.request.root, str(flow_run.get_id()))
        planned: dict[str, Path | None] = make_plan(configured, shards, folder, return_state=True).result()
        with runner_for(dask_scheduler, dask_workers) as runner:
            ended = _collected(runner, attempt, configured, planned)
        report = combine_reports(configured, ended.values())
        checks: VerifyReport | None = None
        if verify and report.interrupted_by is None and any(report.outcomes[outcome] for outcome in _THERE):
            checks = verify_collected(configured, return_state=True).result()
    except CryptoArchiveError as error:
        return Failed(message=error.summary, data=error)
    result = result_document(report, checks, ended)
    publish(result, return_state=True)
    if result["exit_code"] == ExitCode.OK:
        forget_shards(folder)
        return Completed(message=result["reason"], data=result)
    ending = Cancelled if result["status"] == "interrupted" and is_cancelled() else Failed
    return ending(message=result["reason"], data=CollectionFailed(result))


def _collected(
    runner: TaskRunner[Any], attempt: Task[..., Any], configured: RunConfig, planned: Mapping[str, Path | None]
) -> dict[str, Report]:
    """Collect all shards, as many side by side as the runner takes, and return their reports by name."""
    names, futures = {}, []
    for name, locked in planned.items():
        parameters = {"configured": configured, "name": name, "locked": locked}
        futures.append(runner.submit(attempt, parameters=parameters))
        names[futures[-1].task_run_id] = name
    ended: dict[str, Report] = {}

    def gather(seconds: float | None = None) -> None:
        for future in as_completed([one for one in futures if names[one.task_run_id] not in ended], seconds):
            ended[names[future.task_run_id]] = _report_of(future, configured)
            let_go(future)

    try:
        try:
            gather()
        except KeyboardInterrupt:
            cancel()
            with suppress(TimeoutError):
                gather(STOPPING_SECONDS)  # they say how far they came
    except BaseException:
        cancel()
        _wait_for(futures, STOPPING_SECONDS)
        raise
    return {name: ended.get(name) or _lost(configured) for name in planned}


def _report_of(future: PrefectFuture[Any], configured: RunConfig) -> Report:
    """Return what came of a shard; of one that never began or was lost, a report that says so."""
    try:
        report: Report = future.result()
    except ShardIncomplete as error:
        return error.report
    except CryptoArchiveError as error:
        return _failed(configured, error.summary, error.exit_code)
    except Exception as error:  # whatever a task runner says of a task that it has lost
        return _failed(configured, f"{type(error).__name__}: {error}", ExitCode.ENVIRONMENT)
    return report


def _failed(configured: RunConfig, error: str, exit_code: ExitCode) -> Report:
    report = combine_reports(configured, ())
    report.error, report.error_exit_code = error, exit_code
    return report


def _lost(configured: RunConfig) -> Report:
    """Return the report of a shard that was to stop and has not said anything since."""
    report = combine_reports(configured, ())
    report.interrupted_by = NO_SIGNAL
    return report


def _wait_for(futures: Iterable[PrefectFuture[Any]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for future in futures:
        future.wait(max(deadline - time.monotonic(), 0.0))


def run_once(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ExitCode]:
    """Run the flow, and return its document and how a command ends for it; a run that is not whole has one, too.

    Args:
        parameters: The parameters of the flow.

    Raises:
        CryptoArchiveError: The run could not begin.
    """
    state: Any = archive_collection_flow(**parameters, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, CollectionFailed):
        return result.result, ExitCode.INTERRUPTED if state.is_cancelled() else result.exit_code
    if isinstance(result, BaseException):
        raise result
    return result, ExitCode.OK
