"""``crypto-archive preset``: list, show, check and create presets."""

import sys
from typing import Annotated

import typer

from crypto_archive.cli.help import Command, Group
from crypto_archive.cli.options import ColorOptions, Json, completing, with_options

app = typer.Typer(cls=Group, help="List, show, check and create presets.", no_args_is_help=True)

Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME|FILE...", autocompletion=completing("presets"), help="Presets by name or path.",
                   show_default=False),
]  # fmt: skip


@app.command("list", cls=Command)
@with_options
def list_(as_json: Json = False, *, color: ColorOptions) -> None:
    """List all presets: those of the package, and your own with their files.

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


@app.command(cls=Command)
@with_options
def show(presets: Names, as_json: Json = False, *, color: ColorOptions) -> None:
    """Show the effective values of one or more presets, later ones overriding earlier ones, and where each comes from.

    The environment and the defaults apply as they do in a run.

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


@app.command(cls=Command)
def check(presets: Names, as_json: Json = False) -> None:
    """List every problem in a preset, with line numbers; exit 2 if there are any.

    Each preset is checked on its own, without the environment. Nothing is downloaded.

    \b
    Examples:
      crypto-archive preset check research
      crypto-archive preset check research backtest --json
    """
    from datetime import UTC, datetime

    from crypto_archive.cli.output import print_json, print_text
    from crypto_archive.config.load import checks_document, preset_problems
    from crypto_archive.errors import ExitCode
    from crypto_archive.text import format_count, safe

    today = datetime.now(UTC).date()
    found = [(preset, preset_problems(preset, today=today, place="NAME|FILE")) for preset in presets]
    if as_json:
        print_json(checks_document(found))
    else:
        for preset, problems in found:
            print_text([f"{safe(preset)}: {format_count(len(problems), 'problem') if problems else 'ok'}\n"])
            print_text(f"  {safe(str(problem))}\n" for problem in problems)
    raise typer.Exit(ExitCode.USAGE if any(problems for _, problems in found) else ExitCode.OK)


@app.command(cls=Command)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new preset.", show_default=False)],
    start_from: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME|FILE",
                     autocompletion=completing("presets"),
                     help="Start from a copy of this preset. (default: all fields, commented out)"),
    ] = None,
) -> None:  # fmt: skip
    """Create a preset in your configuration folder, with every field explained; overwrites nothing.

    A schema is written next to it, so that editors complete and check it. Prints the path of the file.

    \b
    Examples:
      crypto-archive preset new mine
      crypto-archive preset new mine-too --from research
    """
    from crypto_archive.cli.output import print_text
    from crypto_archive.cli.process import print_line
    from crypto_archive.config.presets import new_preset

    path = new_preset(name, start_from=start_from, place="--from")
    print_text([f"{path}\n"])
    print_line(f"Edit the file, then run: crypto-archive plan --preset {name}")


@app.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of presets, for completion and checks in editors.

    \b
    Examples:
      crypto-archive preset schema > preset.schema.json
    """
    from crypto_archive.cli.output import print_json
    from crypto_archive.config.schema import preset_schema

    print_json(preset_schema())
