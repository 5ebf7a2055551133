"""Tables and lines: plans, the matrix, presets, symbols, checks and lock files."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from crypto_archive.catalog import days as dayset
from crypto_archive.model import Absence, Partition, UnknownSymbols
from crypto_archive.plan.lockfile import Kind
from crypto_archive.render.console import CHECK_STYLES, ROW_STYLES, SteadyConsole
from crypto_archive.render.plain import is_terminal
from crypto_archive.text import format_about, format_bytes, format_count, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import TextType

    from crypto_archive.catalog.matrix import Row
    from crypto_archive.config.load import EffectiveField
    from crypto_archive.config.presets import PresetInfo
    from crypto_archive.jobs.doctor import Check
    from crypto_archive.jobs.report import DaysReport
    from crypto_archive.model import DateRange, Notice, SeriesDays
    from crypto_archive.plan.availability import SymbolHistory
    from crypto_archive.plan.estimate import Estimate, Needs
    from crypto_archive.plan.lockfile import Difference, Shard
    from crypto_archive.plan.totals import GroupTotals

PIPE_WIDTH = 1000
"""Columns for output into a pipe without a set width, so that nothing is wrapped or cut."""


def show(renderable: RenderableType, stream: TextIO) -> None:
    """Print in colour on a terminal, and neither wrapped nor cut in a pipe."""
    wide = not is_terminal(stream) and "COLUMNS" not in os.environ
    # Not cropped: a path is longer than the terminal is wide, and has to stay in one piece to be copied.
    SteadyConsole(stream, width=PIPE_WIDTH if wide else None).print(renderable, crop=False)


def plain_table(
    *columns: str, right: Collection[str] = (), folded: Collection[str] = (), show_footer: bool = False
) -> Table:
    """Return an empty table without edges; columns stay on one line unless they are to be folded."""
    table = Table(
        box=box.SIMPLE_HEAD,
        header_style="bold",
        footer_style="bold",
        show_footer=show_footer,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name not in folded,
            overflow="fold" if name in folded else "ellipsis",
        )
    return table


class Facts:
    """Names and facts, one below the other; a long fact is wrapped, a path never, so that it can be copied."""

    def __init__(self, indent: int = 2) -> None:
        self._indent = " " * indent
        self._rows: list[tuple[Text, Text]] = []

    def add(self, name: TextType, fact: TextType) -> None:
        """Add a fact."""
        name = Text(name, style="dim") if isinstance(name, str) else name
        self._rows.append((name, Text(fact) if isinstance(fact, str) else fact))

    def add_path(self, name: TextType, path: object, style: str = "") -> None:
        """Add a path, a key, or a line that begins with one."""
        self.add(name, whole_line(one_line(str(path)), style))

    def __bool__(self) -> bool:
        """Whether there are facts."""
        return bool(self._rows)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Take as little width as there is: what is longer is wrapped."""
        return Measurement(1, 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Put the facts below one another."""
        width = max((name.cell_len for name, _ in self._rows), default=0)
        room = options.max_width - len(self._indent) - width - 2
        for name, fact in self._rows:
            for line in [fact] if fact.no_wrap else _lines(fact, room):
                yield (
                    whole_line(self._indent)
                    .append_text(name)
                    .append(" " * (width - name.cell_len + 2))
                    .append_text(line)
                )
                name = Text()


def _lines(text: Text, room: int) -> Iterator[Text]:
    """Yield a text line by line; a word with more characters than there is room for, as a path is, stays whole."""
    for paragraph in text.split("\n", allow_blank=True):
        starts, used = [], 0
        for word in re.finditer(" *[^ ]+ *", paragraph.plain):
            if used and used + cell_len(word[0].rstrip()) > room:
                starts.append(word.start())
                used = 0
            used += cell_len(word[0])
        yield from paragraph.divide(starts)


def whole_line(text: str, style: str = "") -> Text:
    """Return a text that is never wrapped or cut, however narrow the terminal."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


class Fitting:
    """The first of several renderables, widest first, that fits the available width; the last one if none does."""

    def __init__(self, *choices: RenderableType) -> None:
        self._choices = choices

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose one."""
        boundless = options.update(max_width=PIPE_WIDTH)
        widths = (Measurement.get(console, boundless, choice).maximum for choice in self._choices)
        fitting = (choice for choice, width in zip(self._choices, widths, strict=True) if width <= options.max_width)
        yield next(fitting, self._choices[-1])


ABSENT_SHOWN, NAMES_SHOWN = 20, 4
"""How many lines of absent days are shown, and how many series are named in one; reports name all."""
_OF_THE_TYPE = {Absence.DISCONTINUED, Absence.NEVER_PUBLISHED}


def absent_lines(days: DaysReport) -> list[str]:
    """Return which series lack which wanted days, in up to a number of lines that people read.

    Series of a market and data type that lack the same days for the same reasons share a line, as do those that lack
    all days because the archive does not publish their type.
    """
    alike: dict[object, list[SeriesDays]] = {}
    unpublished: Counter[tuple[str, Absence]] = Counter()
    for one in days.lacking:
        reasons = {absent.reason for absent in one.absent}
        if not one.available and len(reasons) == 1 and reasons <= _OF_THE_TYPE:
            unpublished[f"{one.series.market} {one.series.data_type}", one.absent[0].reason] += 1
        else:
            alike.setdefault((one.series.market, one.series.data_type, one.wanted, one.absent), []).append(one)
    groups = list(alike.values())
    shown = [_absent_line(series) for series in groups[:ABSENT_SHOWN]]
    if more := sum(map(len, groups[ABSENT_SHOWN:])):
        shown.append(f"and {more:,} more series that lack days; --json lists them")
    shown += [f"{what}: {count:,} series, all days {reason}" for (what, reason), count in unpublished.items()]
    return shown


def _absent_line(alike: Sequence[SeriesDays]) -> str:
    first = alike[0]
    if len(alike) == 1:
        return one_line(first.summary)
    names = (" ".join(filter(None, (one.series.symbol, one.series.interval))) for one in alike[:NAMES_SHOWN])
    more = f" and {len(alike) - NAMES_SHOWN:,} more" if len(alike) > NAMES_SHOWN else ""
    what = f"{first.series.market} {first.series.data_type}, {len(alike):,} series ({', '.join(names)}{more})"
    return one_line(f"{what}: {first.lacking} not available for each: {first.reasons}")


def plan_table(
    groups: Sequence[GroupTotals],
    notices: Iterable[Notice] = (),
    needs: Needs | None = None,
    days: DaysReport | None = None,
    *,
    verbose: bool = False,
) -> RenderableType:
    """Return the days and totals of a plan per market and data type, what a collect of it needs, and its notices.

    Columns without a figure are left out. ``days`` tells which of the wanted days cannot be had; ``verbose`` adds how
    it would be fetched: sidecars, commands, batches and requests.
    """
    absent, notes = Facts(indent=0), notice_lines(notices)
    for line in absent_lines(days) if days else ():
        absent.add(Text("absent", style="yellow"), line)
    if not groups:
        return Group(Text("The plan has no objects.", style="yellow"), absent, notes)
    names = [name for name, count in _PLAN_COLUMNS.items() if name == "objects" or any(map(count, groups))]
    brief = [name for name in names if name not in _HOW]
    columns = names if verbose else brief
    apart = Facts()
    for group in groups:
        apart.add(f"{group.market} {group.data_type}", f"{group.first_day or '–'} to {group.last_day or '–'}")
    # On a narrow terminal the days are below the table.
    narrow = (Group(_plan_table(groups, some, dates=False), Text(), apart) for some in (columns, brief))
    table = Fitting(_plan_table(groups, columns), *narrow)
    facts = () if needs is None else (Text(), needs_table(needs, verbose=verbose))
    return Group(table, *facts, *([Text()] if facts and (absent or notes) else []), absent, notes)


_PLAN_COLUMNS: Mapping[str, Callable[[GroupTotals], int]] = {
    "objects": lambda group: group.objects,
    "present": lambda group: group.present,
    "updates": lambda group: group.updates,
    "waiting": lambda group: group.waiting,
    "refused": lambda group: group.refused,
    "sidecars": lambda group: group.sidecars,
    "commands": lambda group: group.commands,
    "batches": lambda group: group.batches,
}
_HOW = {"sidecars", "commands", "batches"}
"""Columns of interest to those who wonder how it is fetched."""


def _plan_table(groups: Sequence[GroupTotals], columns: Sequence[str], *, dates: bool = True) -> Table:
    counts = [_PLAN_COLUMNS[name] for name in columns]
    table = plain_table(show_footer=len(groups) > 1)
    table.add_column("market", "total", no_wrap=True)
    table.add_column("data type", no_wrap=True)
    if dates:
        for name, choose, ends in (("first day", min, [group.first_day for group in groups]),
                                   ("last day", max, [group.last_day for group in groups])):  # fmt: skip
            table.add_column(name, str(choose(filter(None, ends), default="–")), no_wrap=True)
    for name, count in zip(columns, counts, strict=True):
        table.add_column(name, f"{sum(map(count, groups)):,}", justify="right", no_wrap=True)
    table.add_column("size", _size(groups), justify="right", no_wrap=True)
    for group in groups:
        table.add_row(
            str(group.market), group.data_type,
            *((str(group.first_day or "–"), str(group.last_day or "–")) if dates else ()),
            *(_dim_zero(count(group)) for count in counts), _size([group]),
        )  # fmt: skip
    return table


def matrix_table(rows: Iterable[Row], notes: Iterable[str] = ()) -> RenderableType:
    """Return rows of the matrix, one per line, and what is doubtful of them; shorter on a narrow terminal."""
    rows = tuple(rows)
    doubts = (f"{row.market} {row.data_type}: {row.doubtful}" for row in rows if row.doubtful)
    remarks = Facts(indent=0)
    for text in (*doubts, *notes):
        remarks.add(Text("?", style="yellow"), one_line(text))
    table = Fitting(_matrix_table(rows), _narrow_matrix_table(rows))
    return Group(table, "", remarks) if remarks else table


def _matrix_table(rows: Iterable[Row]) -> Table:
    table = plain_table("market", "data type", "daily", "monthly", "from", "to", "status")
    for row in rows:
        table.add_row(
            str(row.market),
            Text.assemble(row.data_type, *((f" {alias}", "dim") for alias in row.aliases)),
            *(_intervals(row, partition, count=True) for partition in Partition),
            str(row.first_date or ""),
            str(row.last_date or ""),
            Text(f"{row.status}{'?' if row.doubtful else ''}", style=ROW_STYLES.get(row.status, "dim")),
        )
    return table


def _narrow_matrix_table(rows: Iterable[Row]) -> Table:
    table = plain_table("market", "data type", "daily", "monthly", "from", "status")
    for row in rows:
        ended = row.last_date is not None and row.status == "discontinued"
        table.add_row(
            str(row.market),
            row.data_type,
            *(_intervals(row, partition) for partition in Partition),
            str(row.first_date or ""),
            Text(f"until {row.last_date}" if ended else row.status, style=ROW_STYLES.get(row.status, "dim")),
        )
    return table


def folders_table(folders: Iterable[tuple[str, bool, bool]]) -> Table:
    """Return the type folders, each with whether the matrix and the archive have it."""
    table = plain_table("folder", "matrix", "archive")
    for folder, in_matrix, in_archive in folders:
        style = "" if in_matrix == in_archive else "bold red"
        table.add_row(folder, "yes" if in_matrix else "–", "yes" if in_archive else "–", style=style)
    return table


def notice_lines(notices: Iterable[Notice]) -> Facts:
    """Return notices, those that name unknown symbols first."""
    lines = Facts(indent=0)
    for notice in sorted(notices, key=lambda notice: not isinstance(notice, UnknownSymbols)):
        label = ("error", "bold red") if isinstance(notice, UnknownSymbols) else ("note", "cyan")
        lines.add(Text(*label), one_line(notice.text))
    return lines


def _dim_zero(count: int) -> Text:
    return Text(f"{count:,}", style="" if count else "dim")


def _size(groups: Sequence[GroupTotals]) -> Text:
    """Return the known size of groups, marked where some sizes are unknown."""
    objects, sized = sum(group.objects for group in groups), sum(group.sized for group in groups)
    if not sized and objects:
        return Text("unknown", style="dim")
    return Text(("" if sized == objects else "≥ ") + format_bytes(sum(group.bytes for group in groups)))


def _intervals(row: Row, partition: Partition, *, count: bool = False) -> Text:
    """Return the intervals of a partition, abbreviated to the shortest and the longest."""
    if partition not in row.partitions:
        return Text("–", style="dim")
    intervals = row.intervals(partition)
    if len(intervals) > 2:
        return Text(f"{intervals[0]} … {intervals[-1]}" + (f" ({len(intervals)})" if count else ""))
    return Text(" ".join(intervals) or "yes")


def checks_table(checks: Iterable[Check]) -> Table:
    """Return one line per check, followed by advice where something is wrong."""
    table = plain_table("check", "status", "found", folded=["found"])
    for check in checks:
        table.add_row(check.name, Text(check.status, style=CHECK_STYLES[check.status]), Text(check.found))
        if check.advice:
            table.add_row("", "", Text(f"→ {check.advice}", style="cyan"))
    return table


def needs_table(needs: Needs, *, verbose: bool = False) -> Facts:
    """Return what a collect would need: disk space and time, and if verbose the requests."""
    facts = Facts(indent=0)
    facts.add("to fetch", _to_fetch(needs))
    if verbose:
        facts.add("requests", _requests(needs))
    if needs.totals["to_fetch"]:
        facts.add("disk", _disk(needs))
        facts.add("duration", _duration(needs.estimate))
    if needs.totals["consolidated"]:
        facts.add("saved", _saved(needs.totals))
    return facts


def _to_fetch(needs: Needs) -> str:
    objects = needs.totals["to_fetch"]
    size = _known(needs, needs.totals["bytes_to_fetch"])
    return f"{format_count(objects, 'object')}, {size}" if objects else "nothing"


def _known(needs: Needs, size: int) -> str:
    """Return a number of bytes, marked where some sizes are unknown."""
    if not needs.unsized:
        return format_bytes(size)
    if not needs.totals["sized_to_fetch"]:
        return "size unknown"
    return f"at least {format_bytes(size)}, {format_count(needs.unsized, 'size')} unknown"


def _requests(needs: Needs) -> str:
    per_object = needs.requests_per_object
    share = "" if per_object is None else f": {per_object:.2f} per planned object"
    return f"{needs.requests:,} to fetch, {needs.requests_listed:,} to list{share}"


def _disk(needs: Needs) -> Text:
    added = needs.totals["added_bytes"]
    needed = f"{format_bytes(-added)} less needed" if added < 0 else f"{_known(needs, added)} needed"
    free = f"{format_bytes(needs.disk_free)} free"
    if not needs.totals["sized_to_fetch"]:
        return Text(f"need unknown, {free}")
    return Text(f"{needed}, {free}") if needs.fits else Text(f"{needed}, only {free}", style="red")


def _duration(estimate: Estimate | None) -> str:
    if estimate is None:
        return "unknown: nothing has been downloaded into this root yet"
    runs = "the last run" if estimate.runs == 1 else f"the last {estimate.runs} runs"
    alone = "" if estimate.by_bytes else " and the number of objects alone"
    return f"about {format_about(estimate.seconds)}, based on {runs}{alone}"


def _saved(totals: Mapping[str, int]) -> str:
    """Return what monthly objects save; they may be larger than their days together."""
    monthly, objects, size = totals["consolidated"], totals["saved_objects"], totals["saved_bytes"]
    replaced = f"{format_count(monthly, 'monthly object')} {'replaces' if monthly == 1 else 'replace'}"
    bytes_less = f" and {format_bytes(size)} less" if size >= 0 else f" less, {format_bytes(-size)} more"
    return f"{replaced} {monthly + objects:,} daily ones: {format_count(objects, 'object')}{bytes_less}"


_QUOTED = tuple("*!@&#[]{}|>%`'\"")
"""A text that begins with one of these needs quotes in YAML."""


def presets_table(presets: Iterable[PresetInfo]) -> Table:
    """Return one line per preset, the user's own with their files."""
    table = plain_table("preset", "purpose", "from", folded=["purpose", "from"])
    for one in presets:
        origin = "the package" if one.bundled else f"{one.path}{', hides the bundled one' if one.hides else ''}"
        table.add_row(one.name, Text(one.description), Text(origin, style="dim"))
    return table


def fields_table(fields: Iterable[EffectiveField]) -> Table:
    """Return one line per effective field; defaults are dim."""
    table = plain_table("field", "value", "from", folded=["value", "from"])
    for field in fields:
        style = "dim" if field.is_default else ""
        table.add_row(Text(field.name, style=style), Text(_shown(field), style=style), Text(field.origin, style="dim"))
    return table


def _shown(field: EffectiveField) -> str:
    """Return a value as a preset writes it on one line, or what its absence means."""
    if field.meaning:
        return f"({field.meaning})"
    return field.value if isinstance(field.value, str) else _flow(field.value)


def _flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case float() if value.is_integer():
            return str(int(value))
        case str():
            return repr(value) if value[:1] in _QUOTED else value
    return json.dumps(value)


def symbols_table(histories: Sequence[SymbolHistory]) -> RenderableType:
    """Return the symbols with their first and last day; a long gap is flagged, since the name may have been reused."""
    if not histories:
        return Text("No symbol matches.", style="yellow")
    columns = ("market", "symbol", "first day", "last day", "days", "on the day", "without data")
    asked = any(one.answer for one in histories)
    table = plain_table(
        *(name for name in columns if asked or name != "on the day"), right=["days"], folded=["without data"]
    )
    for one in histories:
        table.add_row(
            one.series.market, Text(one_line(one.series.symbol)), str(one.first_day), str(one.last_day),
            f"{dayset.count(one.days):,}", *([one.answer or ""] if asked else []),
            Text("; ".join(map(_gap, one.gaps)), style="yellow"),
        )  # fmt: skip
    reused = sum(1 for one in histories if one.gaps)
    tail = f", {reused:,} with a long gap: their names may have been reused" if reused else ""
    return Group(table, "", Text(f"{format_count(len(histories), 'symbol')}{tail}"))


def _gap(gap: DateRange) -> str:
    return f"reused? {gap.start} to {gap.end}"


_SIGNS = {Kind.NEW: ("+", "green"), Kind.GONE: ("-", "red"), Kind.REPLACED: ("~", "yellow")}


def lock_line(path: Path, count: int | None) -> str:
    """Return how many objects were written to a lock file."""
    return f"{path} locks {format_count(count, 'object')}" if count else f"{path} was not written: nothing to lock"


def shards_line(folder: Path, shards: Sequence[Shard], wanted: int) -> str:
    """Return how many shards were written to a folder, and why they are fewer than requested."""
    if not shards:
        return f"no shard was written to {folder}: nothing to lock"
    objects, sizes = sum(shard.objects for shard in shards), [shard.bytes for shard in shards]
    fewer = f" (not {wanted:,}, for lack of objects)" if len(shards) < wanted else ""
    return (
        f"{folder} has {format_count(len(shards), 'shard')}{fewer} of {format_count(objects, 'object')}, "
        f"{format_bytes(min(sizes))} to {format_bytes(max(sizes))} each"
    )


def show_differences(found: Iterable[Difference], stream: TextIO) -> None:
    """Print one line per difference as it comes: ``+ key size``, ``- key``, ``~ key what``."""
    console = SteadyConsole(stream)
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
