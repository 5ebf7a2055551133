"""The flow on a schedule: served by this process, or as a deployment for ``prefect deploy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from prefect import __version__ as prefect_version
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from crypto_archive import __version__
from crypto_archive.errors import EnvironmentFailure, UsageError
from crypto_archive.flows.flow import NAME, archive_collection_flow

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTRYPOINT = f"{archive_collection_flow.fn.__module__}.{archive_collection_flow.fn.__name__}"
"""Where a worker finds the flow: in the installed package, so that it needs no checkout."""
TIMEZONE = "UTC"


def check_cron(cron: str) -> None:
    """Check that Prefect understands a cron expression, or raise ``UsageError``."""
    try:
        CronSchedule(cron=cron, timezone=TIMEZONE)
    except ValidationError:
        raise UsageError(
            f"--cron: {cron!r} is not a valid cron expression",
            hint="It has five fields: minute, hour, day of the month, month, day of the week; '0 6 * * *' is every day "
            "at 06:00 UTC.",
        ) from None


def check_server(*, own: bool) -> None:
    """Check that Prefect's server responds before a flow depends on it, or raise ``EnvironmentFailure``.

    Args:
        own: Whether Prefect may start its own where no address is configured; that one has no scheduler.
    """
    address = PREFECT_API_URL.value()
    if not address and own:
        return
    if not address:
        raise EnvironmentFailure(
            "No Prefect server is configured to keep the schedule",
            hint="Start one with `prefect server start`, and set its address in the environment: "
            "PREFECT_API_URL=http://127.0.0.1:4200/api",
        )
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        raise EnvironmentFailure(
            f"The Prefect server {address} cannot be reached: {problem}",
            hint="Start it with `prefect server start`, or check PREFECT_API_URL.",
        )


def serve(name: str, cron: str | None, parameters: Mapping[str, Any]) -> None:
    """Register a deployment of the flow, and run it on schedule (UTC) or on request, until a signal stops it."""
    archive_collection_flow.serve(
        name=name,
        schedule=None if cron is None else Cron(cron, timezone=TIMEZONE),
        parameters=dict(parameters),
        limit=1,  # a late run does not collide with the next one
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def deployment_file(name: str, cron: str | None, work_pool: str, parameters: Mapping[str, Any]) -> str:
    """Return a file for ``prefect deploy --prefect-file``; the schedule is in UTC."""
    schedules = [] if cron is None else [{"cron": cron, "timezone": TIMEZONE}]
    document = {
        "name": "crypto-archive",
        "prefect-version": prefect_version,
        "pull": [],  # the flow is part of the installed package
        "deployments": [
            {
                "name": name,
                "version": __version__,
                "description": archive_collection_flow.description,
                "entrypoint": ENTRYPOINT,
                "parameters": dict(parameters),
                "schedules": schedules,
                "concurrency_limit": 1,
                "work_pool": {"name": work_pool},
            }
        ],
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return f"# {NAME}/{name}: prefect --no-prompt deploy --all --prefect-file FILE\n{text}"
