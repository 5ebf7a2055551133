"""Every option that more than one command takes, declared once; how options complete; and groups of them."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

SELECTION = "Selection"
SOURCE = "Source and destination"
LIMITS = "Limits"
OUTPUT = "Output"

Completion = Callable[[typer.Context, str], list[tuple[str, str]]]


def completing(field: str) -> Completion:
    """Return the completion of an option or argument that stands for a preset field, or for ``presets`` themselves."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            from crypto_archive.jobs.suggestions import suggestions

            before, comma, begun = incomplete.rpartition(",")  # only the last word of a list is incomplete
            return [(before + comma + word, meaning) for word, meaning in suggestions(field, begun, _given(ctx))]
        except Exception:  # a traceback would land in the middle of the command line being typed
            return []

    return complete


def _given(ctx: typer.Context) -> dict[str, list[str]]:
    """Return the values on the line so far, by the names of preset fields."""
    names = {"data_type": "data_types", "interval": "intervals"}
    values = {names.get(name, name): value for name, value in ctx.params.items() if value}
    return {name: ",".join(map(str, value)).split(",") if isinstance(value, list | tuple) else [str(value)]
            for name, value in values.items()}  # fmt: skip


def _option(panel: str, *names: str, help: str, metavar: str | None = None, completes: str | None = None) -> Any:
    completion = completing(completes) if completes else None
    return typer.Option(*names, metavar=metavar, rich_help_panel=panel, autocompletion=completion, help=help)


def destination(text: str) -> Path:
    """Return the path of a file or folder to write to."""
    from crypto_archive.config.values import destination_fault

    if fault := destination_fault(text):
        raise typer.BadParameter(fault)
    return Path(text)


def form_option(forms: type[StrEnum], help: str) -> Any:
    """Return the option ``--format`` of a command whose result has other forms than text and JSON."""
    names = [str(form) for form in forms]

    def form(word: str) -> StrEnum:
        if word in names:
            return forms(word)
        advice = {"json": "use --json", "table": "the table is printed without --format"}
        raise typer.BadParameter(
            f"{word!r} is not one of {', '.join(map(repr, names))}" + (f"; {advice[word]}" if word in advice else "")
        )

    return typer.Option(
        "--format", "-f", parser=form, metavar="|".join(names), rich_help_panel=OUTPUT, help=help,
        autocompletion=lambda incomplete: [name for name in names if name.startswith(incomplete)],
    )  # fmt: skip


def refuse_two_forms(*, as_json: bool, format: StrEnum | None) -> None:
    """Refuse ``--json`` next to ``--format``, of which only one can go to standard output."""
    if as_json and format is not None:
        raise typer.BadParameter(f"cannot be combined with --format {format}", param_hint="--json")


class Color(StrEnum):
    """Values of ``--color``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


# fmt: off
Presets = Annotated[list[str] | None, _option(
    SELECTION, "--preset", "-p", metavar="NAME|FILE", completes="presets",
    help="Presets by name or path; for each field, the last one wins: backtest,low-memory.")]
Markets = Annotated[list[str] | None, _option(
    SELECTION, "--market", "-m", metavar="MARKET", completes="markets",
    help="spot, futures_um (um), futures_cm (cm), options; several: spot,um.")]
Symbols = Annotated[list[str] | None, _option(
    SELECTION, "--symbol", "-s", metavar="SYMBOL|GLOB", completes="symbols",
    help="BTCUSDT,ETHUSDT, globs '*USDT', exclusions '!*DOWNUSDT', all, @FILE or - (standard input).")]
QuoteAssets = Annotated[list[str] | None, _option(
    SELECTION, "--quote", metavar="ASSET", completes="quote_assets",
    help="Only symbols quoted in these: USDT,USDC.")]
Contract = Annotated[str | None, _option(
    SELECTION, "--contract", metavar="perpetual|delivery", completes="contract",
    help="Only futures contracts of this kind.")]
Settled = Annotated[bool | None, _option(
    SELECTION, "--settled/--no-settled",
    help="Only symbols that were settled, or only others.")]
DataTypes = Annotated[list[str] | None, _option(
    SELECTION, "--data-type", "-t", metavar="TYPE", completes="data_types",
    help="Data types: klines,trades.")]
Intervals = Annotated[list[str] | None, _option(
    SELECTION, "--interval", "-i", metavar="INTERVAL", completes="intervals",
    help="Intervals of all types that have them: 1h,1d.")]
Start = Annotated[str | None, _option(
    SELECTION, "--start", metavar="DAY", help="First day, UTC: 2025-07-15, 2025-07 or 2025.")]
End = Annotated[str | None, _option(
    SELECTION, "--end", metavar="DAY", help="Last day, inclusive; also today or yesterday.")]
Last = Annotated[str | None, _option(
    SELECTION, "--last", metavar="SPAN", help="The days up to yesterday, or up to --end: 30d, 4w, 1mo, 1y.")]
Partition = Annotated[str | None, _option(
    SELECTION, "--partition", metavar="daily|monthly|auto", completes="partition",
    help="Daily or monthly objects; auto: a past month as one object, if listed. (default: auto)")]
Discover = Annotated[str | None, _option(
    SOURCE, "--discover", metavar="listing|calendar", completes="discover",
    help="List the bucket to see what exists, or assume it from the calendar.")]
Refresh = Annotated[bool, _option(
    SOURCE, "--refresh", help="Do not use the cached listing of the last hour.")]
OutputDirectory = Annotated[str | None, _option(
    SOURCE, "--output", "-o", metavar="DIR", help="The archive root. (default: output)")]
Layout = Annotated[str | None, _option(
    SOURCE, "--layout", metavar="LAYOUT", completes="layout",
    help="mirror, hive, a template, or module:attribute. (default: the root's own, else mirror)")]
EndpointUrl = Annotated[str | None, _option(
    SOURCE, "--endpoint-url", metavar="URL",
    help="The S3 endpoint. (default: https://s3.ap-northeast-1.amazonaws.com)")]
Via = Annotated[str | None, _option(
    SOURCE, "--via", metavar="auto|s3|cdn", completes="via",
    help="Get objects from S3, the archive's CDN, or whichever answers first. (default: auto)")]
MatrixPath = Annotated[Path | None, _option(
    SOURCE, "--matrix", metavar="FILE",
    help="Another matrix file.")]
Jobs = Annotated[int | None, _option(
    LIMITS, "--jobs", "-j", metavar="N", help="Parallel s5cmd processes. (default: 8)")]
MaxObjects = Annotated[int | None, _option(
    LIMITS, "--max-objects", metavar="N", help="Download nothing if it would be more objects than this.")]
MaxBytes = Annotated[str | None, _option(
    LIMITS, "--max-bytes", metavar="SIZE", help="The same for bytes: 50GB, 1.5TiB. Needs the listing.")]
Wait = Annotated[bool, _option(
    LIMITS, "--wait", help="Wait for other runs on the same root instead of exiting with code 5.")]
Quiet = Annotated[bool, _option(
    OUTPUT, "--quiet", "-q", help="One line if something is wrong, else nothing.")]
Verbose = Annotated[int, typer.Option(
    "--verbose", "-v", count=True, rich_help_panel=OUTPUT,
    help="Show decisions, retries and objects; with -vv, also what s5cmd does.")]
NoProgress = Annotated[bool, _option(
    OUTPUT, "--no-progress", help="Show what happens, but no progress figures.")]
LogFile = Annotated[Path | None, typer.Option(
    "--log-file", parser=destination, metavar="FILE", rich_help_panel=OUTPUT,
    help="Also append what happens to a file, as JSON lines.")]
Colors = Annotated[Color, typer.Option(
    "--color", metavar="auto|always|never", rich_help_panel=OUTPUT, show_default=False,
    help="When to use colors; auto respects NO_COLOR and FORCE_COLOR. (default: auto)")]
Json = Annotated[bool, _option(OUTPUT, "--json", help="Print one JSON document.")]
# fmt: on


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """What to work on. Every option overrides the environment and the presets; the names are those of preset fields."""

    presets: Presets = None
    markets: Markets = None
    symbols: Symbols = None
    quote_assets: QuoteAssets = None
    contract: Contract = None
    settled: Settled = None
    data_types: DataTypes = None
    intervals: Intervals = None
    start: Start = None
    end: End = None
    last: Last = None
    partition: Partition = None
    discover: Discover = None
    refresh: Refresh = False
    output_directory: OutputDirectory = None
    layout: Layout = None
    endpoint_url: EndpointUrl = None
    matrix_path: MatrixPath = None

    def fields(self) -> dict[str, object]:
        """Return the options as values of configuration fields, without the presets."""
        values = dataclasses.asdict(self)
        del values["presets"]
        values["listing_age_seconds"] = 0.0 if values.pop("refresh") else None
        return values


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """The most that may be downloaded; the names are those of preset fields."""

    max_objects: MaxObjects = None
    max_bytes: MaxBytes = None

    def fields(self) -> dict[str, object]:
        """Return the options as values of configuration fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class ColorOptions:
    """In which colors results are printed."""

    color: Colors = Color.AUTO


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How much is printed, in which colors, and where else it goes."""

    quiet: Quiet = False
    verbose: Verbose = 0
    no_progress: NoProgress = False
    log_file: LogFile = None
    color: Colors = Color.AUTO


_DECLARED_ELSEWHERE = {"presets": "--preset", "max_parallel_downloads": "--jobs", "force_redownload": "--force"}
"""The options of fields that only some commands take, or that have another name."""


def flag_of(field: str) -> str:
    """Return the option that stands for a preset field, or for ``presets``."""
    for options in (SelectionOptions, BudgetOptions):
        if field in options.__dataclass_fields__:
            return declared_flag(options, field)
    return _DECLARED_ELSEWHERE.get(field, f"--{field.replace('_', '-')}")


def declared_flag(options: type[Any], field: str) -> str:
    """Return the long name of an option that a dataclass declares."""
    option = get_type_hints(options, include_extras=True)[field].__metadata__[0]
    # Typer takes the first of an annotation's names for the option's default until it makes a command of it.
    return next(str(name) for name in (option.default, *option.param_decls) if str(name).startswith("--"))


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options: a parameter annotated with a dataclass becomes the options it declares."""
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        declared = [parameter]
        if isinstance(parameter.annotation, type) and dataclasses.is_dataclass(parameter.annotation):
            group = groups[parameter.name] = parameter.annotation
            hints = get_type_hints(group, include_extras=True)
            declared = [parameter.replace(name=field.name, default=field.default, annotation=hints[field.name])
                        for field in dataclasses.fields(group)]  # fmt: skip
        parameters += (one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in declared)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(
                **{field.name: values.pop(field.name, field.default) for field in dataclasses.fields(group)}
            )
        with ExitStack() as in_force:
            for options in values.values():
                if isinstance(options, ColorOptions | OutputOptions) and options != type(options)():
                    from crypto_archive.cli.words import applied

                    in_force.enter_context(applied(options, command.__name__))
            command(**values)

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {one.name: one.annotation for one in parameters}
    return wrapper
