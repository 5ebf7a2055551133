"""What a Prefect server knows of flow runs, read back with Prefect's own client."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
)
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from tests.archive.running import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from typing import Any
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun, TaskRun
    from prefect.client.schemas.responses import DeploymentResponse


@dataclass(frozen=True, slots=True)
class Prefect:
    """Reads from a server."""

    client: SyncPrefectClient

    @classmethod
    @contextmanager
    def at(cls, address: str) -> Iterator[Self]:
        """Read from the server with this API address."""
        with temporary_settings({PREFECT_API_URL: address}), get_client(sync_client=True) as client:
            yield cls(client)

    def run_named_in(self, log: str) -> FlowRun:
        """Return the flow run that the log of a process is about."""
        name = log.partition("Beginning flow run '")[2].partition("'")[0]
        (found,) = self.client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
        return found

    def begun(self, process: subprocess.Popen[str]) -> FlowRun:
        """Return the flow run that a process has begun; takes the first lines of its standard error."""
        assert process.stderr is not None
        log = ""
        while "Beginning flow run" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
        return self.run_named_in(log)

    def run(self, flow_run_id: UUID) -> FlowRun:
        """Return a flow run as it is now."""
        return self.client.read_flow_run(flow_run_id)

    def until_running(self, flow_run: FlowRun, task: str) -> None:
        """Wait until the server has heard that a task is running."""

        def is_running() -> bool:
            runs = self.client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
            return any(run.name == task and run.state_name == "Running" for run in runs)

        until(is_running)

    def tasks(self, flow_run: FlowRun, *expected: str) -> dict[str, TaskRun]:
        """Return the task runs of a flow run by their names, once the server has taken the last state of each."""
        found: dict[str, TaskRun] = {}

        def all_ended() -> bool:
            runs = self.client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
            found.clear()
            found.update({run.name: run for run in runs})
            return {*expected} <= {*found} and all(run.state and run.state.is_final() for run in runs)

        until(all_ended)
        return found

    def states(self, task_run: TaskRun) -> list[str]:
        """Return the names of all states that a task run went through."""
        states = self.client.read_task_run_states(task_run.id)
        return [state.name for state in sorted(states, key=lambda state: state.timestamp)]

    def artifact(self, flow_run: FlowRun) -> str:
        """Return the Markdown that a flow run has published."""
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
        (found,) = self.client.read_artifacts(artifact_filter=wanted)
        assert (found.key, found.type) == ("archive-collection", "markdown")
        assert isinstance(found.data, str)
        return found.data

    def deployment(self, name: str) -> DeploymentResponse:
        """Return a deployment of the flow, once it is there."""
        found: list[DeploymentResponse] = []

        def is_there() -> bool:
            try:
                found.append(self.client.read_deployment_by_name(f"archive-collection/{name}"))
            except Exception:
                return False
            return True

        until(is_there, 60.0)
        return found[0]

    def create_work_pool(self, name: str) -> None:
        """Create a work pool whose workers start processes."""
        self.client.create_work_pool(WorkPoolCreate(name=name, type="process"))

    def trigger(self, deployment: DeploymentResponse, **parameters: Any) -> UUID:
        """Ask for a flow run of a deployment."""
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def cancel(self, flow_run_id: UUID) -> None:
        """Cancel a flow run, as ``prefect flow-run cancel`` does."""
        self.client.set_flow_run_state(flow_run_id, Cancelling())

    def ended(self, flow_run_id: UUID, seconds: float = 120.0) -> FlowRun:
        """Wait for the end of a flow run."""

        def is_final() -> bool:
            state = self.run(flow_run_id).state
            return state is not None and state.is_final()

        until(is_final, seconds)
        return self.run(flow_run_id)
