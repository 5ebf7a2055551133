"""The tasks of the flow. What a person should know stands in their states; what they return is typed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed

from crypto_archive import (
    Checked,
    Configured,
    CryptoArchiveError,
    EndpointUnreachable,
    Noticed,
    Report,
    UsageError,
    VerifyReport,
    collect,
    load_preset,
    plan,
    verify,
    write_shards,
)
from crypto_archive.flows.cancelling import cancellable
from crypto_archive.flows.log_lines import log_lines
from crypto_archive.flows.outcome import ShardIncomplete, helps_to_try_again
from crypto_archive.flows.shard_files import forget_old_shards
from crypto_archive.render.collection_markdown import collection_markdown
from crypto_archive.render.headline import check_headline, headline
from crypto_archive.render.plain import PlainCheckProgress, PlainProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

T = TypeVar("T")

ARTIFACT_KEY = "archive-collection"
WHOLE = "1-of-1"
"""The name of the only shard of a plan that is not cut."""


def _told(work: Callable[[], State[T]]) -> State[T]:
    """Return the state that the work comes to; one of our errors becomes a failed one with the error's own words."""
    try:
        return work()
    except CryptoArchiveError as error:
        return Failed(message=error.told, data=error)


@task(name="validate", task_run_name="validate", cache_policy=NO_CACHE)
def validate(presets: list[str], overrides: dict[str, Any], shards: int) -> Any:
    """Return what presets and overrides ask for, with an archive root that means the same to every process."""

    def validated() -> State[Configured]:
        if shards < 1:
            raise UsageError(f"shards: {shards} is less than 1", hint="Give 1 to collect without cutting the plan.")
        configured = load_preset(*presets, **overrides)
        configured.require_selection()
        request = configured.request
        configured = replace(configured, request=replace(request, root=request.root.absolute()))
        return Completed(message=f"to {configured.request.root}", data=configured)

    return _told(validated)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def make_plan(configured: Configured, shards: int, folder: Path) -> Any:
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
def collect_shard(configured: Configured, name: str, locked: Path | None) -> Any:
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
def verify_collected(configured: Configured) -> Any:
    """Prove what is on disk of the selection, and return the report."""

    def verified() -> State[VerifyReport]:
        logged = PlainCheckProgress(log_lines(get_run_logger()))

        def tell(event: Checked | Noticed) -> None:
            if isinstance(event, Checked):  # the notices are those of the plan
                logged.show(event)

        with cancellable() as cancellation, logged:
            report = verify(configured, on_event=tell, cancellation=cancellation)
        return Completed(message=check_headline(report), data=report)

    return _told(verified)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
def publish(result: dict[str, Any]) -> Any:
    """Publish the document of a flow run as an artifact."""
    create_markdown_artifact(collection_markdown(result), key=ARTIFACT_KEY, description=result["reason"])
    return Completed(message=f"artifact {ARTIFACT_KEY}")
