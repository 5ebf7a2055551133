"""Relayout: move the files of an archive root to the paths of another layout, without a download."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.errors import ExitCode, RootUnusable, UsageError
from crypto_archive.events import LeftAlone, Moved, MovesCounted
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport
from crypto_archive.jobs.run import Run
from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.root.layout import LayoutNote, own_placement, read_note, require_there, under_way, write_note
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import Root, explain_root_errors, leads_outside, unreadable_folder
from crypto_archive.shown import Table, joined
from crypto_archive.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from crypto_archive.catalog.layouts import Placement
    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Cancellation, Noticed

PURPOSE = "relayout"
_FOLDERS_KEPT = 16
LEFT_KEPT = 1000
"""How many files that are not moved a report names."""


def relayout(
    config: RunConfig,
    *,
    on_event: Callable[[MovesCounted | Moved | LeftAlone | Noticed], object] | None = None,
    dry_run: bool = False,
    cancellation: Cancellation | None = None,
    wait: bool = False,
) -> RelayoutReport:
    """Move the files of an archive root to the paths of another layout, without a download, and return the report.

    Files are renamed, each sidecar with its zip. Run again after a stop or a crash, it continues where it stopped;
    until it has finished, every other job refuses the archive root. Files that are not objects stay where they are.

    Args:
        config: Where the archive root is, and the ``layout`` that it should have.
        on_event: Called in this thread with a ``MovesCounted``, then a ``Moved`` for each object, and a ``LeftAlone``
            for each file that is not moved.
        dry_run: Only report what would be moved.
        cancellation: A token that stops the job, from another thread or from ``on_event``.
        wait: Wait while another run holds the archive root.

    Raises:
        UsageError: ``config`` names no layout.
        RootLocked: Another run holds the archive root, and ``wait`` is False.
        EnvironmentFailure: The archive root does not exist or cannot be written to, or its files are on their way to a
            third layout.

    Example:
        >>> from crypto_archive import collect, load_preset, relayout
        >>> fetched = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> report = relayout(load_preset(layout="hive"))
        >>> report.status, report.target, report.moved == fetched.outcomes["fetched"]
        ('success', 'hive', True)
    """
    return Run(relayouting(config, dry_run=dry_run, cancellation=cancellation, wait=wait)).finish(on_event)


@dataclass(eq=False, repr=False)
class RelayoutReport(JobReport):
    """What ``relayout`` moved.

    ``status`` is ``success``, ``blocked`` (something is in the way, so nothing was moved) or ``interrupted``.

    Attributes:
        output_directory: The archive root.
        source: The layout that it had.
        target: The layout that it should have.
        dry_run: Whether files were only counted, and not moved.
        moved: How many objects were moved, or would be.
        in_place: How many were at their new paths already.
        left: The first files that were not moved, with the reasons.
        left_omitted: How many more there are.
        in_the_way: How many of all of these kept everything from being moved.
        seconds: How long it took; 0 while it runs.
        interrupted_by: The signal that ended it early, 0 if a program did; None if it ran to its end.
    """

    output_directory: str
    source: str
    target: str
    dry_run: bool = False
    moved: int = 0
    in_place: int = 0
    left: list[LeftAlone] = field(default_factory=list)
    left_omitted: int = 0
    in_the_way: int = 0

    def add(self, event: Moved | LeftAlone | MovesCounted | Noticed) -> None:
        """Take in one event."""
        if isinstance(event, Moved):
            self.moved += 1
        elif isinstance(event, LeftAlone):
            self.in_the_way += event.in_the_way
            if len(self.left) < LEFT_KEPT:
                self.left.append(event)
            else:
                self.left_omitted += 1

    def _summary(self) -> str:
        moved = f"{format_count(self.moved, 'object')} {'would move' if self.dry_run else 'moved'}"
        left = f"{len(self.left) + self.left_omitted:,} left alone" if self.left else ""
        return joined(self.status, f"{self.source} to {self.target}", moved, f"{self.in_place:,} in place", left)

    def _table(self) -> Table | None:
        def cells(one: LeftAlone) -> tuple[str, ...]:
            return one.path, one.reason, "yes" if one.in_the_way else "no"

        return Table(("left alone", "reason", "in the way"), self.left, cells) if self.left else None

    def _result(self) -> tuple[str, ExitCode]:
        return ("blocked", ExitCode.PARTIAL) if self.in_the_way else ("success", ExitCode.OK)

    def document(self) -> dict[str, object]:
        """Return the report as a JSON document."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "output_directory": self.output_directory,
            "from": self.source,
            "to": self.target,
            "dry_run": self.dry_run,
            "moved": self.moved,
            "in_place": self.in_place,
            "left": [{"path": one.path, "reason": one.reason, "in_the_way": one.in_the_way} for one in self.left],
            "left_omitted": self.left_omitted,
            "seconds": round(self.seconds, 3),
            "interrupted_by": self.interruption,
        }


def relayouting(
    config: RunConfig, *, dry_run: bool = False, cancellation: Cancellation | None = None, wait: bool = False
) -> Generator[MovesCounted | Moved | LeftAlone | Noticed, None, RelayoutReport]:
    """Move the files of a root to the paths of the layout that is asked for; yield what happens, return the report."""
    started = time.monotonic()
    if config.request.layout is None:
        raise UsageError(
            "No layout is given", hint="Name one, such as hive, mirror or '{market}/{data_type}/{symbol}'."
        )
    target = placement_of(config.request.layout, config.matrix)
    root = Root(config.request.root.absolute())  # with no layout yet: it may be between two
    context = Context.of(config, root=root, cancellation=cancellation)
    require_there(root)
    if leads_outside(root, root.data):
        raise RootUnusable(
            f"Refused to move the files of {root.data}: it leads to {os.path.realpath(root.data)}",
            hint="Only files inside the archive root are moved. Remove the symbolic link, or use its target as the "
            "root with --output.",
        )
    report = RelayoutReport(str(root.path), _way(root, target).layout, target.name, dry_run)
    with ExitStack() as held:
        if not dry_run:
            session = held.enter_context(lock_root(context, PURPOSE, wait=wait, tidy=False, check_layout=False))
            if not (yield from session.acquire()):
                report.finish(time.monotonic() - started, interrupted_by=context.cancellation.signal_number)
                return report
        way = _way(root, target)  # again, for another relayout may have moved the files while this one waited
        report.source = way.layout
        source = own_placement(root, way.layout, config.matrix)

        # Survey all files first: if anything is in the way of any of them, nothing is moved.
        to_move = 0
        for file in _files(context, source, target):
            is_object = bool(file.key) and not file.path.endswith(SIDECAR_SUFFIX)
            left = None
            if file.trouble or (file.target and _is_taken(root, file.path, file.target)):
                left = LeftAlone(file.path, file.trouble or f"{file.target} already exists", in_the_way=True)
            elif not file.key:
                left = LeftAlone(file.path, "not an object of the archive")
            elif file.target:
                to_move += is_object
            else:
                report.in_place += is_object
            if left is not None:
                report.add(left)
                yield left

        if not report.in_the_way and not context.cancelled.is_set():
            yield MovesCounted(to_move)
            if not dry_run and source.name != target.name:
                write_note(root, LayoutNote(source.name, target.name))  # a killed relayout is continued from this note
            for file in _files(context, source, target):  # each sidecar just before its zip
                if file.target is None or file.key is None:
                    continue
                if not dry_run:
                    _rename(root, file.path, file.target)
                if not file.path.endswith(SIDECAR_SUFFIX):
                    moved = Moved(file.key, file.path, file.target)
                    report.add(moved)
                    yield moved
            if not dry_run and not context.cancelled.is_set():
                for folder, _, _ in os.walk(root.data, topdown=False):
                    if Path(folder) != root.data:
                        with suppress(OSError):  # it is not empty
                            Path(folder).rmdir()
                write_note(root, LayoutNote(target.name))
    report.finish(time.monotonic() - started, interrupted_by=context.cancellation.signal_number)
    return report


def _way(root: Root, target: Placement) -> LayoutNote:
    """Return from which layout to which files are moved; a move that has begun may also be reversed.

    Raises:
        RootUnusable: They are on their way to a third layout.
    """
    note = read_note(root) or LayoutNote(MIRROR.name)
    if not note.moving_to or note.moving_to == target.name:
        return replace(note, moving_to=target.name)
    if note.layout == target.name:
        return LayoutNote(note.moving_to, target.name)
    raise under_way(root, note)


class _File(NamedTuple):
    """A file below ``data/``; paths are relative to the root.

    Attributes:
        path: Where it is.
        target: Where it moves to; None if it stays.
        key: The key of its object, for a sidecar too; None if it is not an object.
        trouble: Why it cannot be moved; None for most.
    """

    path: str
    target: str | None = None
    key: str | None = None
    trouble: str | None = None


def _files(context: Context, source: Placement, target: Placement) -> Iterator[_File]:
    """Yield every file below ``data/`` until the job is cancelled, folder by folder, the innermost first."""

    def denied(error: OSError) -> None:
        raise unreadable_folder(error.filename, error) from error

    def sidecar_first(name: str) -> tuple[str, bool]:
        return name.removesuffix(SIDECAR_SUFFIX), not name.endswith(SIDECAR_SUFFIX)

    root = context.root
    escapes = lru_cache(maxsize=_FOLDERS_KEPT)(partial(leads_outside, root))
    for folder, _, names in os.walk(root.data, topdown=False, onerror=denied):
        inside = Path(folder).relative_to(root.path).as_posix()
        for name in sorted(names, key=sidecar_first):
            if context.cancelled.is_set():
                return
            file = _file(context, f"{inside}/{name}", source, target)
            if file.target and escapes((root.path / file.target).parent):
                file = file._replace(trouble=f"a link leads from {file.target} out of the archive root")
            yield file


def _file(context: Context, path: str, source: Placement, target: Placement) -> _File:
    ending = SIDECAR_SUFFIX if path.endswith(SIDECAR_SUFFIX) else ""
    found = (layout.key(path.removesuffix(ending)) for layout in (target, source))
    there, was = (key if key is not None and context.matrix.object_of(key) is not None else None for key in found)
    if there and was and there != was:
        return _File(path, trouble=f"ambiguous: {was} that has not been moved yet, or {there} that has been moved")
    if there or not was:
        return _File(path, key=there)
    try:
        return _File(path, target.path(was) + ending, was)
    except ValueError as error:
        return _File(path, key=was, trouble=str(error))


def _rename(root: Root, path: str, target: str) -> None:
    with explain_root_errors(root):
        (root.path / target).parent.mkdir(parents=True, exist_ok=True)
        if _is_taken(root, path, target):
            raise RootUnusable(
                f"{root.path / target} already exists", hint="Move it away, then run the same relayout again."
            )
        (root.path / path).rename(root.path / target)


def _is_taken(root: Root, path: str, target: str) -> bool:
    same = path.casefold() == target.casefold()  # the same file, on a disk that ignores case
    return not same and os.path.lexists(root.path / target)
