"""How an error is told: what, where, and what to do."""

import typer

from crypto_archive import CryptoArchiveError


def tell_error(error: CryptoArchiveError) -> None:
    """Tell an error on standard error."""
    lines = error.message.splitlines() or [""]
    heading = "Error: " if len(lines) == 1 else f"Error: {len(lines)} problems\n  "
    typer.echo(heading + "\n  ".join(lines), err=True)
    if error.hint:
        typer.echo("\n".join(f"Hint: {line}" for line in error.hint.splitlines()), err=True)
