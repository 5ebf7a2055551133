"""Lock files, as lines for people: what was written to one, and what sets a plan apart from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from crypto_archive.lockfile.difference import Kind
from crypto_archive.render.console import SteadyConsole
from crypto_archive.report.sizes import format_bytes, format_count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import TextIO

    from crypto_archive.lockfile.difference import Difference
    from crypto_archive.lockfile.shards import Shard

_SIGNS = {Kind.NEW: ("+", "green"), Kind.GONE: ("-", "red"), Kind.REPLACED: ("~", "yellow")}


def lock_told(path: Path, count: int | None) -> str:
    """Say how many objects were written to a lock file."""
    said = f"locks {format_count(count, 'object')}" if count else "was not written: there is nothing to lock"
    return f"{path} {said}"


def shards_told(folder: Path, shards: Sequence[Shard], wanted: int) -> str:
    """Say what shards were written to a folder, and why they are fewer than were wanted."""
    if not shards:
        return f"no shard was written to {folder}: there is nothing to lock"
    objects, sizes = sum(shard.objects for shard in shards), [shard.bytes for shard in shards]
    fewer = f" (not {wanted:,}: there are no more objects)" if len(shards) < wanted else ""
    return (
        f"{folder} has {format_count(len(shards), 'shard')}{fewer} of {format_count(objects, 'object')}, "
        f"{format_bytes(min(sizes))} to {format_bytes(max(sizes))} each"
    )


def show_differences(found: Iterable[Difference], stream: TextIO) -> None:
    """Print a line a difference as it comes, in colour on a terminal: ``+ key size``, ``- key``, ``~ key what``."""
    console = SteadyConsole(file=stream)
    for difference in found:
        console.print(_line(difference), soft_wrap=True)


def _line(difference: Difference) -> Text:
    sign, style = _SIGNS[difference.kind]
    what = ""
    if difference.kind is Kind.NEW and difference.planned is not None:
        what = f"{difference.planned.size:,} bytes"
    elif difference.kind is Kind.REPLACED:
        what = ", ".join(f"{name} {before} → {after}" for name, before, after in difference.changes)
    return Text.assemble((f"{sign} {one_line(difference.key)}", style), (f"  {one_line(what)}" if what else "", "dim"))
