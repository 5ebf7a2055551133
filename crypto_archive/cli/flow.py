"""``crypto-archive flow``: run collect as a Prefect flow."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from crypto_archive.cli.help import Command, Group
from crypto_archive.cli.options import BudgetOptions, Jobs, Json, OutputOptions, SelectionOptions, with_options

FLOW = "Flow"
SCHEDULE = "Schedule"

app = typer.Typer(
    cls=Group,
    help="Run collect as a Prefect flow: once, on a schedule, or as a deployment. Needs the extra prefect.",
    no_args_is_help=True,
)


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """How the flow runs; the names are those of its parameters, except for jobs."""

    shards: Annotated[
        int,
        typer.Option("--shards", metavar="N", min=1, show_default=False, rich_help_panel=FLOW,
                     help="Split the plan into this many shards, each a task. (default: 1)"),
    ] = 1  # fmt: skip
    dask_workers: Annotated[
        int | None,
        typer.Option("--dask-workers", metavar="N", min=1, rich_help_panel=FLOW,
                     help="Collect shards in this many Dask processes on this machine."),
    ] = None  # fmt: skip
    dask_scheduler: Annotated[
        str | None,
        typer.Option("--dask-scheduler", metavar="ADDRESS", rich_help_panel=FLOW,
                     help="Collect shards on the Dask cluster of this scheduler: tcp://10.0.0.5:8786."),
    ] = None  # fmt: skip
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", show_default=False, rich_help_panel=FLOW,
                     help="Verify the selection at the end. (default: verify)"),
    ] = True  # fmt: skip
    retries: Annotated[
        int,
        typer.Option("--retries", metavar="N", min=0, show_default=False, rich_help_panel=FLOW,
                     help="Retries of a shard, where they can help. (default: 2)"),
    ] = 2  # fmt: skip
    retry_delay_seconds: Annotated[
        float,
        typer.Option("--retry-delay", metavar="SECONDS", min=0, show_default=False, rich_help_panel=FLOW,
                     help="Wait before a retry. (default: 60)"),
    ] = 60.0  # fmt: skip
    jobs: Jobs = None


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """When the flow runs, and the name of its deployment."""

    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="EXPRESSION", rich_help_panel=SCHEDULE,
                     help="When to run, UTC: '0 6 * * *' is 06:00 every day. (default: on request)"),
    ] = None  # fmt: skip
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", rich_help_panel=SCHEDULE,
                     help="Name of the deployment. (default: the names of the presets)"),
    ] = None  # fmt: skip


@app.command("run", cls=Command)
@with_options
def run(
    selection: SelectionOptions,
    budget: BudgetOptions,
    flow: FlowOptions,
    output: OutputOptions,
    as_json: Json = False,
) -> None:
    """Run the flow once on this machine and print its report.

    \b
    Examples:
      crypto-archive flow run --preset research
      crypto-archive flow run -p backtest --shards 8 --dask-workers 4 --no-verify
    """
    parameters = _parameters("flow run", selection, budget, flow, output)
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")  # for the temporary server of this run
    if output.quiet:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    from crypto_archive.cli.output import print_json, print_text
    from crypto_archive.flows.flow import run_once
    from crypto_archive.flows.schedule import check_server
    from crypto_archive.render.markdown import collection_markdown

    check_server(own=True)
    result, exit_code = run_once(parameters)
    if as_json:
        print_json(result)
    elif not output.quiet:
        print_text([collection_markdown(result)])
    raise typer.Exit(exit_code)


@app.command("serve", cls=Command)
@with_options
def serve(
    selection: SelectionOptions,
    budget: BudgetOptions,
    flow: FlowOptions,
    schedule: ScheduleOptions,
    output: OutputOptions,
) -> None:
    """Serve the flow: run it on schedule or on request, until ^C or SIGTERM. Needs a running Prefect server.

    \b
    Examples:
      crypto-archive flow serve --preset research --cron '0 6 * * *'
      crypto-archive flow serve -p backtest --cron '0 6 * * *' --shards 4
    """
    parameters = _parameters("flow serve", selection, budget, flow, output)
    from crypto_archive.flows import schedule as scheduling

    if schedule.cron is not None:
        scheduling.check_cron(schedule.cron)
    scheduling.check_server(own=False)
    scheduling.serve(_name(schedule, parameters), schedule.cron, parameters)


@app.command("deployment", cls=Command)
@with_options
def deployment(
    selection: SelectionOptions,
    budget: BudgetOptions,
    flow: FlowOptions,
    schedule: ScheduleOptions,
    output: OutputOptions,
    work_pool: Annotated[
        str,
        typer.Option("--work-pool", metavar="NAME", show_default=False, rich_help_panel=SCHEDULE,
                     help="Work pool that runs it. (default: default)"),
    ] = "default",
) -> None:  # fmt: skip
    """Print a deployment of the flow for prefect deploy.

    \b
    Examples:
      crypto-archive flow deployment -p research --cron '0 6 * * *' > my.yaml
    """
    parameters = _parameters("flow deployment", selection, budget, flow, output)
    from crypto_archive.cli.output import print_text
    from crypto_archive.flows import schedule as scheduling

    if schedule.cron is not None:
        scheduling.check_cron(schedule.cron)
    print_text([scheduling.deployment_file(_name(schedule, parameters), schedule.cron, work_pool, parameters)])


def _parameters(
    command: str, selection: SelectionOptions, budget: BudgetOptions, flow: FlowOptions, output: OutputOptions
) -> dict[str, Any]:
    """Return the parameters of the flow, checked; paths are absolute, since the flow may run in another folder."""
    from crypto_archive.cli.output import configure
    from crypto_archive.errors import require_extra

    if flow.dask_workers is not None and flow.dask_scheduler is not None:
        raise typer.BadParameter("an existing cluster has its own workers", param_hint="--dask-workers")
    require_extra("prefect", f"`crypto-archive {command}`")
    if flow.dask_workers is not None or flow.dask_scheduler is not None:
        require_extra("dask", "Collecting on Dask")
    given = selection.fields() | budget.fields() | {"max_parallel_downloads": flow.jobs}
    config = configure(selection, output, **budget.fields(), max_parallel_downloads=flow.jobs)
    config.require_selection()
    overrides = {name: _anywhere(name, value) for name, value in given.items() if value not in (None, [])}
    overrides["output_directory"] = str(config.request.root.absolute())
    own = {name: value for name, value in dataclasses.asdict(flow).items() if name != "jobs" and value is not None}
    return {"preset": [_preset_anywhere(one) for one in config.presets], "overrides": overrides, **own}


def _anywhere(name: str, value: object) -> object:
    """Return the value of an option as plain data in which relative paths are absolute."""
    from crypto_archive.config.values import split_words

    if isinstance(value, Path):
        return str(value.absolute())
    if name == "symbols" and isinstance(value, list):
        return [_symbols_anywhere(one) for text in value for one in split_words(text)]
    return value


def _symbols_anywhere(word: str) -> str:
    if word == "-":
        raise typer.BadParameter("a flow has no standard input; use @FILE", param_hint="--symbol")
    return f"@{Path(word[1:]).absolute()}" if word.startswith("@") else word


def _preset_anywhere(preset: str) -> str:
    path = Path(preset)
    is_path = path.suffix.lower() in {".yaml", ".yml", ".json"} or "/" in preset
    return str(path.absolute()) if is_path else preset


def _name(schedule: ScheduleOptions, parameters: Mapping[str, Any]) -> str:
    """Return the name of the deployment, by default the names of its presets."""
    return schedule.name or "-".join(Path(preset).stem for preset in parameters["preset"]) or "selection"
