"""How options complete in a shell. Nothing is loaded before a shell asks, and every failure is kept from the prompt."""

from collections.abc import Callable

import typer

Completion = Callable[[typer.Context, str], list[tuple[str, str]]]


def completing(field: str) -> Completion:
    """Return what completes the option or argument of a field of presets, or of ``presets`` themselves."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            from crypto_archive.jobs.suggestions import suggestions

            return suggestions(field, incomplete, _given(ctx))
        except Exception:  # a message here would come to stand in the middle of what a person is typing
            return []

    return complete


def _given(ctx: typer.Context) -> dict[str, list[str]]:
    """Return what the line has said by now, under the names of fields."""
    names = {"data_type": "data_types"}
    values = {names.get(name, name): value for name, value in ctx.params.items() if value}
    return {name: [str(one) for one in (value if isinstance(value, list | tuple) else [value])]
            for name, value in values.items()}  # fmt: skip
