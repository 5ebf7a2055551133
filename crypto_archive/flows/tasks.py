"""The tasks of the flow."""

from __future__ import annotations

import io
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed

from crypto_archive.config.load import load_preset
from crypto_archive.errors import CryptoArchiveError, EndpointUnreachable, ExitCode, UsageError
from crypto_archive.events import Checked, Noticed
from crypto_archive.flows.runners import cancellable
from crypto_archive.jobs.collect import collect
from crypto_archive.jobs.plan import plan, write_shards
from crypto_archive.jobs.verify import VerifyReport, verify
from crypto_archive.model import Outcome
from crypto_archive.render.markdown import collection_markdown
from crypto_archive.render.plain import PlainCheckProgress, PlainProgress
from crypto_archive.render.summary import check_headline, headline

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from pathlib import Path

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.report import Report

RUNS_KEPT = 5
"""How many flow runs that did not end whole keep their shards, to be collected by hand."""


def shard_folder(root: Path, run: str) -> Path:
    """Return the folder for the shards of a flow run; it is not made yet."""
    return root / ".crypto-archive" / "shards" / run


def forget_shards(folder: Path) -> None:
    """Delete the shards of a flow run that needs them no more; what cannot be deleted stays."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # those of other flow runs are there
        folder.parent.rmdir()


def forget_old_shards(folder: Path) -> None:
    """Delete the shards of all but the latest flow runs, before those of another one are written to ``folder``."""
    if not folder.parent.is_dir():
        return
    others = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[RUNS_KEPT:]:
        forget_shards(path)


class _LogLines(io.TextIOBase):
    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._logger = logger

    def write(self, text: str, /) -> int:
        self._logger.info(text.rstrip("\n").partition(" ")[2])
        return len(text)


def log_lines(logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> TextIO:
    """Return a stream whose lines go to a logger, which has time stamps of its own."""
    return cast("TextIO", _LogLines(logger))


T = TypeVar("T")

ARTIFACT_KEY = "archive-collection"
WHOLE = "1-of-1"
"""The name of the only shard of a plan that is not cut."""


def _told(work: Callable[[], State[T]]) -> State[T]:
    """Return the state that the work comes to; one of our errors becomes a failed one with the error's own words."""
    try:
        return work()
    except CryptoArchiveError as error:
        return Failed(message=error.summary, data=error)


@task(name="validate", task_run_name="validate", cache_policy=NO_CACHE)
def validate(presets: list[str], overrides: dict[str, Any], shards: int) -> Any:
    """Return what presets and overrides ask for, with an archive root that means the same to every process."""

    def validated() -> State[RunConfig]:
        if shards < 1:
            raise UsageError(f"shards: {shards} is less than 1", hint="Give 1 to collect without cutting the plan.")
        configured = load_preset(*presets, **overrides)
        configured.require_selection()
        request = configured.request
        configured = replace(configured, request=replace(request, root=request.root.absolute()))
        return Completed(message=f"to {configured.request.root}", data=configured)

    return _told(validated)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def make_plan(configured: RunConfig, shards: int, folder: Path) -> Any:
    """Return the shards by their names, each with its lock file; a single one has none, since it is the whole plan."""

    def planned() -> State[dict[str, Path | None]]:
        with plan(configured) as made:
            if shards > 1:
                forget_old_shards(folder)
                cut = write_shards(made, shards, folder)
            else:
                cut = ()
            if not cut:
                made.consume()
        made.require_budget()
        for notice in made.notices:
            get_run_logger().info("note: %s", notice.text)
        totals = made.totals.overall
        told = f"objects: {totals['objects']:,}, to fetch: {totals['to_fetch']:,}"
        named: dict[str, Path | None] = {f"{one.number}-of-{one.count}": one.path for one in cut}
        return Completed(message=told, data=named or {WHOLE: None})

    return _told(planned)


def _is_worth_another_attempt(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    if isinstance(error, ShardIncomplete):
        return helps_to_try_again(error.report)
    return isinstance(error, EndpointUnreachable) or not isinstance(error, CryptoArchiveError)


@task(
    name="collect", task_run_name="collect-{name}", cache_policy=NO_CACHE, retry_condition_fn=_is_worth_another_attempt
)
def collect_shard(configured: RunConfig, name: str, locked: Path | None) -> Any:
    """Collect one shard of the plan, or all of it, and return its report."""

    def collected() -> State[Report]:
        logged = PlainProgress(log_lines(get_run_logger()))
        with cancellable() as cancellation, logged:
            report = collect(configured, on_event=logged.show, locked=locked, cancellation=cancellation, wait=True)
        if report.interrupted_by is not None:
            return Cancelled(message=headline(report), data=ShardIncomplete(report))
        if report.status == "success":
            return Completed(message=headline(report), data=report)
        return Failed(message=headline(report), data=ShardIncomplete(report))

    return _told(collected)


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE)
def verify_collected(configured: RunConfig) -> Any:
    """Prove what is on disk of the selection, and return the report."""

    def verified() -> State[VerifyReport]:
        logged = PlainCheckProgress(log_lines(get_run_logger()))

        def print_notice(event: Checked | Noticed) -> None:
            if isinstance(event, Checked):  # the notices are those of the plan
                logged.show(event)

        with cancellable() as cancellation, logged:
            report = verify(configured, on_event=print_notice, cancellation=cancellation)
        return Completed(message=check_headline(report), data=report)

    return _told(verified)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
def publish(result: dict[str, Any]) -> Any:
    """Publish the document of a flow run as an artifact."""
    create_markdown_artifact(collection_markdown(result), key=ARTIFACT_KEY, description=result["reason"])
    return Completed(message=f"artifact {ARTIFACT_KEY}")


class ShardIncomplete(CryptoArchiveError):
    """A shard that was not collected whole.

    Attributes:
        report: What came of it.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(headline(report))
        self.args = (report,)  # by which it is made anew when it comes from another process
        self.report = report
        self.exit_code = report.exit_code()


class CollectionFailed(CryptoArchiveError):
    """A flow run that did not end whole: partial, failed, empty, interrupted, or with a bad verification.

    Attributes:
        result: The document of the run, as ``archive_collection_flow`` returns it for one that did.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result["reason"])
        self.args = (result,)
        self.result = result
        self.exit_code = ExitCode(result["exit_code"])


def helps_to_try_again(report: Report) -> bool:
    """Whether another attempt can make a run whole that is not.

    The lanes of a run have tried again whatever was worth it, so that an object that failed at its first attempt is
    refused for good. What ran out of attempts, or was never tried, may come the next time.
    """
    if report.interrupted_by is not None or report.status in {"success", "empty"}:
        return False
    if report.error:
        return report.error_exit_code in {None, ExitCode.ENVIRONMENT}
    return bool(report.outcomes[Outcome.CANCELLED]) or any(failure.attempts > 1 for failure in report.failures)
