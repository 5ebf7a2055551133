"""The options that commands share, declared once."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from crypto_archive.cli.completion import completing

SELECTION = "Selection"
SOURCE = "Where from, where to"
LIMITS = "Limits"
OUTPUT = "Output"


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """What to work on. Every option overrides the environment and the presets; the names are those of preset fields."""

    presets: Annotated[
        list[str] | None,
        typer.Option("--preset", "-p", metavar="NAME|FILE", rich_help_panel=SELECTION,
                     autocompletion=completing("presets"),
                     help="A preset by name or path; repeat it to lay one over the other, later fields win."),
    ] = None  # fmt: skip
    markets: Annotated[
        list[str] | None,
        typer.Option("--market", "-m", metavar="MARKET", rich_help_panel=SELECTION,
                     autocompletion=completing("markets"),
                     help="spot, futures_um, futures_cm or options; repeatable."),
    ] = None  # fmt: skip
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", metavar="SYMBOL|GLOB", rich_help_panel=SELECTION,
                     autocompletion=completing("symbols"),
                     help="A symbol or a glob such as '*USDT'; '!*DOWNUSDT' excludes; all; @FILE or - (standard input) "
                          "reads a list; repeatable."),
    ] = None  # fmt: skip
    quote_assets: Annotated[
        list[str] | None,
        typer.Option("--quote", metavar="ASSET", rich_help_panel=SELECTION,
                     autocompletion=completing("quote_assets"),
                     help="Only symbols quoted in this asset, such as USDT; repeatable."),
    ] = None  # fmt: skip
    contract: Annotated[
        str | None,
        typer.Option("--contract", metavar="perpetual|delivery", rich_help_panel=SELECTION,
                     autocompletion=completing("contract"),
                     help="Only futures contracts of this kind; symbols that are no contracts stay."),
    ] = None  # fmt: skip
    settled: Annotated[
        bool | None,
        typer.Option("--settled/--no-settled", rich_help_panel=SELECTION,
                     help="Only symbols that were settled, by their names, or only those that were not."),
    ] = None  # fmt: skip
    data_types: Annotated[
        list[str] | None,
        typer.Option("--data-type", "-t", metavar="TYPE", rich_help_panel=SELECTION,
                     autocompletion=completing("data_types"),
                     help="A data type such as klines, trades or fundingRate; repeatable."),
    ] = None  # fmt: skip
    intervals: Annotated[
        list[str] | None,
        typer.Option("--interval", "-i", metavar="INTERVAL", rich_help_panel=SELECTION,
                     autocompletion=completing("intervals"),
                     help="An interval such as 1m, 1h, 1d or 1mo, for all types that have intervals; repeatable."),
    ] = None  # fmt: skip
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="DAY", rich_help_panel=SELECTION, help="First day, UTC: 2025-07-15."),
    ] = None
    end: Annotated[
        str | None,
        typer.Option("--end", metavar="DAY", rich_help_panel=SELECTION,
                     help="Last day, UTC, included: 2025-07-15 or yesterday."),
    ] = None  # fmt: skip
    last: Annotated[
        str | None,
        typer.Option("--last", metavar="SPAN", rich_help_panel=SELECTION,
                     help="The last days, yesterday included: 30d or 4w."),
    ] = None  # fmt: skip
    partition: Annotated[
        str | None,
        typer.Option("--partition", metavar="daily|monthly|auto", rich_help_panel=SELECTION,
                     autocompletion=completing("partition"),
                     help="Daily or monthly objects; auto takes a month that is over as one object where the listing "
                          "has that, and days elsewhere. (default: auto)"),
    ] = None  # fmt: skip
    discover: Annotated[
        str | None,
        typer.Option("--discover", metavar="listing|calendar", rich_help_panel=SOURCE,
                     autocompletion=completing("discover"),
                     help="Learn what exists from the bucket's listing, or from the calendar without asking."),
    ] = None  # fmt: skip
    refresh: Annotated[
        bool,
        typer.Option("--refresh", rich_help_panel=SOURCE,
                     help="Ask the archive again, even if its listing is remembered from the last hour."),
    ] = False  # fmt: skip
    output_directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", rich_help_panel=SOURCE,
                     help="The archive root, where objects are kept. (default: output)"),
    ] = None  # fmt: skip
    layout: Annotated[
        str | None,
        typer.Option("--layout", metavar="LAYOUT", rich_help_panel=SOURCE,
                     autocompletion=completing("layout"),
                     help="Where objects stand in it: mirror, hive, a template such as "
                          "'{market}/{data_type}/{symbol}', or module:attribute. (default: the root's own, else "
                          "mirror)"),
    ] = None  # fmt: skip
    endpoint_url: Annotated[
        str | None,
        typer.Option("--endpoint-url", metavar="URL", rich_help_panel=SOURCE,
                     help="The S3 endpoint. (default: https://s3.ap-northeast-1.amazonaws.com)"),
    ] = None  # fmt: skip
    matrix_path: Annotated[
        Path | None,
        typer.Option("--matrix", metavar="FILE", rich_help_panel=SOURCE,
                     help="Another matrix file, in our form or in the older workflow's JSON form."),
    ] = None  # fmt: skip

    def fields(self) -> dict[str, object]:
        """Return the options as values of configuration fields, presets left out."""
        names = (field.name for field in dataclasses.fields(self) if field.name not in {"presets", "refresh"})
        return {name: getattr(self, name) for name in names} | {"listing_age_seconds": 0.0 if self.refresh else None}


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """The most that may be fetched; the names are those of preset fields."""

    max_objects: Annotated[
        int | None,
        typer.Option("--max-objects", metavar="N", rich_help_panel=LIMITS,
                     help="Stop before anything is fetched, if it would be more objects than this."),
    ] = None  # fmt: skip
    max_bytes: Annotated[
        str | None,
        typer.Option("--max-bytes", metavar="SIZE", rich_help_panel=LIMITS,
                     help="The same for bytes, such as 50GB or 1.5TiB; needs the listing."),
    ] = None  # fmt: skip

    def fields(self) -> dict[str, object]:
        """Return the options as values of configuration fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How much is said, and how."""

    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="No progress and no summary; errors only.")
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="Say where each setting comes from.")
    ] = False


_ELSEWHERE = {"presets": "--preset", "max_parallel_downloads": "--jobs", "force_redownload": "--force"}
"""The options of fields that are declared at a command, or under another name."""


def flag_of(field: str) -> str:
    """Return the option that stands for a field of presets, or for ``presets``."""
    for options in (SelectionOptions, BudgetOptions):
        if field in options.__dataclass_fields__:
            return declared_flag(options, field)
    return _ELSEWHERE.get(field, f"--{field.replace('_', '-')}")


def declared_flag(options: type[Any], field: str) -> str:
    """Return the long name of an option that a dataclass declares."""
    option = get_type_hints(options, include_extras=True)[field].__metadata__[0]
    # Typer takes the first of an annotation's names for the option's default, until it makes a command of it.
    return next(str(name) for name in (option.default, *option.param_decls) if str(name).startswith("--"))


def takes(parameter: str, options: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all options of a dataclass, which reach it as one value.

    Args:
        parameter: The command's parameter that takes the value.
        options: The dataclass; its fields are annotated as Typer wants it.
    """
    hints = get_type_hints(options, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(options)
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**values: Any) -> None:
            chosen = options(**{one.name: values.pop(one.name) for one in shared})
            command(**{parameter: chosen}, **values)

        own = [one for one in inspect.signature(command).parameters.values() if one.name != parameter]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        signature = inspect.Signature([*shared, *own])
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        wrapper.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
        return wrapper

    return decorate
