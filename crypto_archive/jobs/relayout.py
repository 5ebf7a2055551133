"""Relayout: move the files of an archive root to the paths of another layout, by renames alone.

All files are looked at first. Where anything stands in the way of one, nothing is moved. Then the root's note says from
where to where its files are on their way, so that nobody else works in it, until all of them are there. Killed at any
moment, it is run again: a file at its new path stays, whatever is at an old one goes on.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.errors import RootUnusable, UsageError
from crypto_archive.events import LeftAlone, Moved, MovesCounted
from crypto_archive.jobs.placing import own_placement, require_there, under_way
from crypto_archive.layouts import MIRROR, placement_of
from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.report.relayout_report import RelayoutReport
from crypto_archive.transfer.cancellation import Cancellation
from crypto_archive.trust.layout_note import LayoutNote, read_note, write_note
from crypto_archive.trust.lock import wait_for
from crypto_archive.trust.parts import hold_whole
from crypto_archive.trust.store import Root, explained, open_root

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from crypto_archive.config import Configured
    from crypto_archive.events import Noticed
    from crypto_archive.layouts import Placement
    from crypto_archive.matrix import Matrix

PURPOSE = "relayout"


def relayout(
    configured: Configured, *, dry_run: bool = False, cancellation: Cancellation | None = None, wait: bool = False
) -> Generator[MovesCounted | Moved | LeftAlone | Noticed, None, RelayoutReport]:
    """Move the files of a root to the paths of the layout that is asked for; yield what happens, return the report.

    Files that are no objects of the matrix stay where they are, and folders that are left empty go.

    Args:
        configured: Where the archive root is, the layout that it is to have, and the matrix that knows its keys.
        dry_run: Only say what would be moved.
        cancellation: A token to stop from outside; the next relayout goes on.
        wait: Wait while another run holds the archive root.

    Raises:
        UsageError: No layout is asked for.
        RootUnusable: There is no such root, it cannot be written to, or its files are on their way to a third layout.
        RootLocked: Another run holds the archive root, and it is not to be waited for.
    """
    root = Root(configured.request.root.absolute())
    cancellation = cancellation or Cancellation()
    started = time.monotonic()
    goal = _goal(configured)
    require_there(root)
    report = RelayoutReport(str(root.path), _note(root, goal).layout, goal.name, dry_run)
    with ExitStack() as held:
        if not dry_run:
            open_root(root.path)
            hold = partial(hold_whole, root, PURPOSE)
            if (yield from wait_for(held, hold, cancellation.requested, wait=wait)) is None:
                report.interrupted_by = cancellation.signal_number
                return report
        note = _note(root, goal)
        report.source = note.layout
        moves = _Moves(root, configured.matrix, own_placement(root, note.layout, configured.matrix), goal, cancellation)
        for event in moves.events(report, dry_run=dry_run):
            report.add(event)
            yield event
    report.seconds = time.monotonic() - started
    if cancellation.requested.is_set():
        report.interrupted_by = cancellation.signal_number
    return report


class _File(NamedTuple):
    """A file below ``data/``; paths are relative to the root.

    Attributes:
        path: Where it is.
        goal: Where it is to be; empty where it stays.
        key: The key of its object, also of a sidecar; empty for what is no object.
        trouble: Why it is neither; empty for most.
    """

    path: str
    goal: str = ""
    key: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Moves:
    """The files of a root that is held, between two layouts."""

    root: Root
    matrix: Matrix
    source: Placement
    goal: Placement
    cancellation: Cancellation

    def events(self, report: RelayoutReport, *, dry_run: bool) -> Iterator[MovesCounted | Moved | LeftAlone]:
        """Look at all files, and move them if nothing is in the way of any."""
        to_move = in_the_way = 0
        for file in self._files():
            is_object = bool(file.key) and not file.path.endswith(SIDECAR_SUFFIX)
            if file.trouble or (file.goal and self._is_taken(file)):
                in_the_way += 1
                yield LeftAlone(file.path, file.trouble or f"something stands at {file.goal}", in_the_way=True)
            elif not file.key:
                yield LeftAlone(file.path, "no object of the archive")
            elif not file.goal:
                report.in_place += is_object
            elif is_object:
                to_move += 1
        if in_the_way or self._cancelled:
            return
        yield MovesCounted(to_move)
        if dry_run:
            yield from (moved for file in self._files() if file.goal and (moved := _moved(file)))
            return
        if self.source.name != self.goal.name:
            write_note(self.root, LayoutNote(self.source.name, self.goal.name))
        yield from self._move()
        if not self._cancelled:
            write_note(self.root, LayoutNote(self.goal.name))

    def _move(self) -> Iterator[Moved]:
        """Move all files, each sidecar just before its zip, then remove the folders that are empty."""
        for file in self._files():
            if file.goal:
                self._rename(file)
                if moved := _moved(file):
                    yield moved
        if not self._cancelled:
            for folder, _, _ in os.walk(self.root.data, topdown=False):
                if Path(folder) != self.root.data:
                    with suppress(OSError):  # it is not empty
                        Path(folder).rmdir()

    def _rename(self, file: _File) -> None:
        target = self.root.path / file.goal
        with explained(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._is_taken(file):
                raise RootUnusable(
                    f"Something has come to stand at {target}", hint="Move it away, then run the same relayout again."
                )
            (self.root.path / file.path).rename(target)

    def _files(self) -> Iterator[_File]:
        """Yield every file below ``data/``, folder by folder, the innermost first."""
        for folder, _, names in os.walk(self.root.data, topdown=False, onerror=self._denied):
            inside = Path(folder).relative_to(self.root.path).as_posix()
            for name in sorted(names, key=_sidecar_first):
                if self._cancelled:
                    return
                yield self._file(f"{inside}/{name}")

    def _file(self, path: str) -> _File:
        ending = SIDECAR_SUFFIX if path.endswith(SIDECAR_SUFFIX) else ""
        there, was = (self._key(layout, path.removesuffix(ending)) for layout in (self.goal, self.source))
        if there and was and there != was:
            return _File(path, trouble=f"it may be {was} that is to be moved, or {there} that was; nobody can tell")
        if there or not was:
            return _File(path, key=there)
        try:
            return _File(path, self.goal.path(was) + ending, was)
        except ValueError as error:
            return _File(path, key=was, trouble=str(error))

    def _key(self, layout: Placement, path: str) -> str:
        key = layout.key(path)
        return key if key is not None and self.matrix.object_of(key) is not None else ""

    def _is_taken(self, file: _File) -> bool:
        same = file.path.casefold() == file.goal.casefold()  # the same file, on a disk that ignores case
        return not same and os.path.lexists(self.root.path / file.goal)

    def _denied(self, error: OSError) -> None:
        raise RootUnusable(
            f"Cannot read the folder {error.filename}: {error.strerror}", hint="See that you may read all of it."
        ) from error

    @property
    def _cancelled(self) -> bool:
        return self.cancellation.requested.is_set()


def _goal(configured: Configured) -> Placement:
    if configured.request.layout is None:
        raise UsageError(
            "No layout is asked for", hint="Name one, such as hive, mirror or '{market}/{data_type}/{symbol}'."
        )
    return placement_of(configured.request.layout, configured.matrix)


def _note(root: Root, goal: Placement) -> LayoutNote:
    """Return from where to where files are to be moved; what is under way may also be turned back.

    Raises:
        RootUnusable: They are on their way to a third layout.
    """
    note = read_note(root) or LayoutNote(MIRROR.name)
    if not note.moving_to or note.moving_to == goal.name:
        return replace(note, moving_to=goal.name)
    if note.layout == goal.name:
        return LayoutNote(note.moving_to, goal.name)
    raise under_way(root, note)


def _moved(file: _File) -> Moved | None:
    return None if file.path.endswith(SIDECAR_SUFFIX) else Moved(file.key, file.path, file.goal)


def _sidecar_first(name: str) -> tuple[str, bool]:
    return name.removesuffix(SIDECAR_SUFFIX), not name.endswith(SIDECAR_SUFFIX)
