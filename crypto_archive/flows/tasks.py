"""The tasks of the flow: validate, plan, collect a shard, verify, report; and the errors that they end with."""

from __future__ import annotations

import functools
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed

from crypto_archive.config.load import load_preset
from crypto_archive.errors import CryptoArchiveError, EndpointUnreachable, ExitCode, UsageError
from crypto_archive.events import Checked, Noticed
from crypto_archive.files import is_link
from crypto_archive.flows.runners import cancellable
from crypto_archive.jobs.collect import collect
from crypto_archive.jobs.plan import plan, write_shards
from crypto_archive.jobs.verify import verify
from crypto_archive.model import Outcome, UnknownSymbols, Verdict
from crypto_archive.render.markdown import collection_markdown
from crypto_archive.render.plain import PlainProgress
from crypto_archive.render.stats import VERIFY
from crypto_archive.render.summary import check_headline, headline
from crypto_archive.root.store import Root
from crypto_archive.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.report import Report

ARTIFACT_KEY = "archive-collection"
WHOLE = "1-of-1"
"""The name of the only shard of a plan that is not split."""
RUNS_KEPT = 5
"""How many incomplete flow runs keep their shards, so that they can be collected by hand."""
_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ShardIncomplete(CryptoArchiveError):
    """A shard that was not collected completely.

    Attributes:
        report: Its report.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(headline(report))
        self.args = (report,)  # from which it is unpickled when it comes from another process
        self.report = report
        self.exit_code = report.exit_code()


class CollectionFailed(CryptoArchiveError):
    """A flow run that was not successful: partial, failed, empty, interrupted, or with a bad verification.

    Attributes:
        result: The document of the run, as ``archive_collection_flow`` returns it for a successful one.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result["reason"])
        self.args = (result,)
        self.result = result
        self.exit_code = ExitCode(result["exit_code"])


def shard_folder(root: Path, run: str) -> Path:
    """Return the folder for the shards of a flow run; it is not created yet."""
    return Root(root).flow_shards / run


def delete_shards(folder: Path) -> None:
    """Delete the shards of a flow run, as far as possible."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # other flow runs have shards there
        folder.parent.rmdir()


def delete_old_shards(folder: Path) -> None:
    """Delete the shards of all but the latest flow runs, before another one writes its own to ``folder``.

    Folders with other names than those of flow runs are the user's own, as are links.
    """
    if not folder.parent.is_dir() or is_link(folder.parent):
        return
    ours = (path for path in folder.parent.iterdir() if _RUN.fullmatch(path.name) and not is_link(path))
    others = sorted(ours, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[RUNS_KEPT:]:
        delete_shards(path)


def _failing_in_our_words(work: Callable[..., State[Any]]) -> Callable[..., State[Any]]:
    """Let a task end with one of our errors as a failed state that has the error's message instead of a traceback."""

    @functools.wraps(work)
    def wrapper(*args: Any, **parameters: Any) -> State[Any]:
        try:
            return work(*args, **parameters)
        except CryptoArchiveError as error:
            return Failed(message=error.summary, data=error)

    return wrapper


@task(name="validate", task_run_name="validate", cache_policy=NO_CACHE)
@_failing_in_our_words
def validate(presets: list[str], overrides: dict[str, Any], shards: int) -> Any:
    """Return the configuration, with an archive root that means the same to every process."""
    if shards < 1:
        raise UsageError(f"shards: {shards} is less than 1", hint="Use 1 to collect without splitting the plan.")
    config = load_preset(*presets, **overrides)
    config.require_selection()
    config = replace(config, request=replace(config.request, root=config.request.root.absolute()))
    return Completed(message=f"to {config.request.root}", data=config)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
@_failing_in_our_words
def make_plan(config: RunConfig, shards: int, folder: Path) -> Any:
    """Return the lock files of the shards by their names, and what the shards cannot know: the unknown symbols.

    A single shard has no lock file, since it is the whole plan.
    """
    named: dict[str, Path | None] = {}
    with plan(config) as made:
        if shards > 1:
            delete_old_shards(folder)
            named = {f"{one.number}-of-{one.count}": one.path for one in write_shards(made, shards, folder)}
        if not named:
            made.consume()
    made.require_budget()
    for notice in made.notices:
        get_run_logger().info("note: %s", one_line(notice.text))
    totals = made.totals.overall
    message = f"objects: {totals['objects']:,}, to fetch: {totals['to_fetch']:,}"
    unknown = [notice for notice in made.notices if isinstance(notice, UnknownSymbols)]
    return Completed(message=message, data=(named or {WHOLE: None}, unknown))


def helps_to_try_again(report: Report) -> bool:
    """Whether another attempt can complete an incomplete run.

    The lanes have already retried everything worth it, so an object that failed at its first attempt was refused for
    good. Objects that ran out of attempts, or were never tried, may succeed the next time.
    """
    if report.interrupted_by is not None or report.status in {"success", "empty"}:
        return False
    if report.error:
        return report.error_exit_code in {None, ExitCode.ENVIRONMENT}
    return bool(report.outcomes[Outcome.CANCELLED]) or any(
        failure.attempts > 1 and failure.verdict is not Verdict.BAD_ZIP for failure in report.failures
    )


def _is_worth_a_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    if isinstance(error, ShardIncomplete):
        return helps_to_try_again(error.report)
    return isinstance(error, EndpointUnreachable) or not isinstance(error, CryptoArchiveError)


@task(name="collect", task_run_name="collect-{name}", cache_policy=NO_CACHE, retry_condition_fn=_is_worth_a_retry)
@_failing_in_our_words
def collect_shard(config: RunConfig, name: str, locked: Path | None) -> Any:
    """Collect one shard of the plan, or all of it, and return its report."""
    with cancellable() as cancellation, PlainProgress(get_run_logger().info) as logged:
        report = collect(config, on_event=logged.show, locked=locked, cancellation=cancellation, wait=True)
    if report.interrupted_by is not None:
        return Cancelled(message=headline(report), data=ShardIncomplete(report))
    if report.status == "success":
        return Completed(message=headline(report), data=report)
    return Failed(message=headline(report), data=ShardIncomplete(report))


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE)
@_failing_in_our_words
def verify_collected(config: RunConfig) -> Any:
    """Verify the selection on disk, and return the report."""
    with cancellable() as cancellation, PlainProgress(get_run_logger().info, VERIFY) as logged:

        def show(event: Checked | Noticed) -> None:
            if isinstance(event, Checked):  # the plan has logged its notices already
                logged.show(event)

        report = verify(config, on_event=show, cancellation=cancellation)
    return Completed(message=check_headline(report), data=report)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
def publish(result: dict[str, Any]) -> Any:
    """Publish the document of a flow run as an artifact."""
    create_markdown_artifact(collection_markdown(result), key=ARTIFACT_KEY, description=result["reason"])
    return Completed(message=f"artifact {ARTIFACT_KEY}")
