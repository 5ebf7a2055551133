"""``crypto-archive preset``: which presets there are, what they come to, and help with writing one."""

import sys
from typing import Annotated

import typer

from crypto_archive.cli.completion import completing

app = typer.Typer(
    help="Presets: which there are, what they come to, whether they are right; a new one, and a schema for editors.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME|FILE...",
        autocompletion=completing("presets"),
        help="Presets by name or path.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the presets that have a name: those of the package, and your own with their files.

    \b
    Examples:
      crypto-archive preset list
      crypto-archive preset list --json
    """
    from crypto_archive.cli.output import print_json
    from crypto_archive.config.presets import list_presets, presets_document
    from crypto_archive.render.tables import presets_table, show as show_table

    presets = list_presets()
    if as_json:
        print_json(presets_document(presets))
    else:
        show_table(presets_table(presets), sys.stdout)


@app.command()
def show(presets: Names, as_json: JsonOption = False) -> None:
    """Show what presets come to, laid over one another in this order: each value, and where it came from.

    The environment counts as it does in a run, and so do the defaults.

    \b
    Examples:
      crypto-archive preset show research
      crypto-archive preset show research high-throughput --json
    """
    from crypto_archive.cli.output import print_json
    from crypto_archive.config.load import effective_document, effective_fields
    from crypto_archive.render.tables import fields_table, show as show_table

    fields = effective_fields(presets, named=lambda _: "NAME")
    if as_json:
        print_json(effective_document(presets, fields))
    else:
        show_table(fields_table(fields), sys.stdout)


@app.command()
def check(presets: Names) -> None:
    """Say all that is wrong with presets, each problem with its place; exit 2 if there is any.

    Each is looked at by itself, without the environment. Nothing is fetched.

    \b
    Examples:
      crypto-archive preset check research
      crypto-archive preset check research backtest
    """
    from datetime import UTC, datetime

    from crypto_archive.cli.output import print_text
    from crypto_archive.config.load import preset_problems
    from crypto_archive.errors import ExitCode

    today = datetime.now(UTC).date()
    wrong = False
    for preset in presets:
        problems = preset_problems(preset, today=today, place="NAME|FILE")
        wrong = wrong or bool(problems)
        print_text([f"{preset}: " + ("right\n" if not problems else f"{_counted(len(problems))}\n")])
        print_text(f"  {problem}\n" for problem in problems)
    raise typer.Exit(ExitCode.USAGE if wrong else ExitCode.OK)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.", show_default=False)],
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME|FILE",
                     autocompletion=completing("presets"),
                     help="Begin with a copy of this preset. (default: all fields, commented out)"),
    ] = None,
) -> None:  # fmt: skip
    """Write a new preset into your configuration folder, every field in it and explained; overwrites nothing.

    A schema is written beside it, so that editors complete and check it. Prints the path of the file.

    \b
    Examples:
      crypto-archive preset new mine
      crypto-archive preset new mine-too --from research
    """
    from crypto_archive.cli.output import print_text
    from crypto_archive.config.presets import new_preset

    path = new_preset(name, start_from=start_from, place="--from")
    print_text([f"{path}\n"])
    typer.echo(f"Change the file, then: crypto-archive plan --preset {name}", err=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of presets, which editors complete and check them by.

    \b
    Examples:
      crypto-archive preset schema > preset.schema.json
    """
    from crypto_archive.cli.output import print_json
    from crypto_archive.config.schema import preset_schema

    print_json(preset_schema())


def _counted(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"
