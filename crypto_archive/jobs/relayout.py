"""What a relayout came to: a fold of its events into counts, a document and an exit code."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.catalog.layout_kinds import placement_of
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.errors import ExitCode, RootUnusable, UsageError
from crypto_archive.events import Cancellation, LeftAlone, Moved, MovesCounted
from crypto_archive.jobs.report import interruption_code, signal_name
from crypto_archive.jobs.run import Run
from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.root.layout import LayoutNote, own_placement, read_note, require_there, under_way, write_note
from crypto_archive.root.session import Context, lock_root
from crypto_archive.root.store import Root, explain_root_errors, unreadable_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from crypto_archive.catalog.layouts import Placement
    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.events import Noticed


def relayout(
    configured: RunConfig,
    *,
    on_event: Callable[[MovesCounted | Moved | LeftAlone | Noticed], object] | None = None,
    dry_run: bool = False,
    cancellation: Cancellation | None = None,
    wait: bool = False,
) -> RelayoutReport:
    """Move the files of an archive root to the paths of the layout that is asked for, without a download.

    It goes on where one before was stopped, or killed; until it has ended, nothing else works in the root.

    Args:
        configured: Where the archive root is, and which ``layout`` it is to have.
        on_event: Takes what happens, in this thread.
        dry_run: Only say what would be moved.
        cancellation: A token to stop from another thread, or from ``on_event``.
        wait: Wait while another run holds the archive root.

    Raises:
        UsageError: No layout is asked for.
        EnvironmentFailure: There is no such root, it cannot be written to, or is held.

    Example:
        >>> from crypto_archive import collect, load_preset, relayout
        >>> fetched = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> report = relayout(load_preset(layout="hive"))
        >>> report.status, report.goal, report.moved == fetched.outcomes["fetched"]
        ('success', 'hive', True)
    """
    run = Run(relayouting(configured, dry_run=dry_run, cancellation=cancellation, wait=wait))
    return run.finish(on_event)


SCHEMA_VERSION = 1
LEFT_KEPT = 1000


@dataclass(slots=True)
class RelayoutReport:
    """What a relayout amounts to so far.

    Attributes:
        output_directory: The archive root.
        source: The layout that it had.
        target: The layout that it is to have.
        dry_run: Whether nothing was to be moved in truth.
        moved: How many objects were moved, or would be.
        in_place: How many were at their new paths already.
        left: The first files that were not moved, with the reasons.
        left_omitted: How many more there are.
        in_the_way: How many of all of them kept everything from being moved.
        seconds: How long it took, 0 while it goes on.
        interrupted_by: The signal that ended it early.
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
    seconds: float = 0.0
    interrupted_by: int | None = None

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

    @property
    def status(self) -> str:
        """How it ended in a word: ``success``, ``blocked`` or ``interrupted``."""
        if self.interrupted_by is not None:
            return "interrupted"
        return "blocked" if self.in_the_way else "success"

    def exit_code(self) -> ExitCode:
        """Return how the command ends."""
        if self.interrupted_by is not None:
            return interruption_code(self.interrupted_by)
        return ExitCode.PARTIAL if self.in_the_way else ExitCode.OK

    def document(self) -> dict[str, object]:
        """Return the report as one document."""
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
            "interrupted_by": None if self.interrupted_by is None else signal_name(self.interrupted_by),
        }


PURPOSE = "relayout"


def relayouting(
    configured: RunConfig, *, dry_run: bool = False, cancellation: Cancellation | None = None, wait: bool = False
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
    target = _target(configured)
    require_there(root)
    report = RelayoutReport(str(root.path), _note(root, target).layout, target.name, dry_run)
    with ExitStack() as held:
        if not dry_run:
            context = Context.of(configured, root=root, cancellation=cancellation)
            session = held.enter_context(lock_root(context, PURPOSE, wait=wait, tidy=False, check_layout=False))
            if not (yield from session.acquire()):
                report.interrupted_by = cancellation.signal_number
                return report
        note = _note(root, target)
        report.source = note.layout
        moves = _Moves(
            root, configured.matrix, own_placement(root, note.layout, configured.matrix), target, cancellation
        )
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
        target: Where it is to be; empty where it stays.
        key: The key of its object, also of a sidecar; empty for what is no object.
        trouble: Why it is neither; empty for most.
    """

    path: str
    target: str = ""
    key: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Moves:
    """The files of a root that is held, between two layouts."""

    root: Root
    matrix: Matrix
    source: Placement
    target: Placement
    cancellation: Cancellation

    def events(self, report: RelayoutReport, *, dry_run: bool) -> Iterator[MovesCounted | Moved | LeftAlone]:
        """Look at all files, and move them if nothing is in the way of any."""
        to_move = in_the_way = 0
        for file in self._files():
            is_object = bool(file.key) and not file.path.endswith(SIDECAR_SUFFIX)
            if file.trouble or (file.target and self._is_taken(file)):
                in_the_way += 1
                yield LeftAlone(file.path, file.trouble or f"something stands at {file.target}", in_the_way=True)
            elif not file.key:
                yield LeftAlone(file.path, "no object of the archive")
            elif not file.target:
                report.in_place += is_object
            elif is_object:
                to_move += 1
        if in_the_way or self._cancelled:
            return
        yield MovesCounted(to_move)
        if dry_run:
            yield from (moved for file in self._files() if file.target and (moved := _moved(file)))
            return
        if self.source.name != self.target.name:
            write_note(self.root, LayoutNote(self.source.name, self.target.name))
        yield from self._move()
        if not self._cancelled:
            write_note(self.root, LayoutNote(self.target.name))

    def _move(self) -> Iterator[Moved]:
        """Move all files, each sidecar just before its zip, then remove the folders that are empty."""
        for file in self._files():
            if file.target:
                self._rename(file)
                if moved := _moved(file):
                    yield moved
        if not self._cancelled:
            for folder, _, _ in os.walk(self.root.data, topdown=False):
                if Path(folder) != self.root.data:
                    with suppress(OSError):  # it is not empty
                        Path(folder).rmdir()

    def _rename(self, file: _File) -> None:
        target = self.root.path / file.target
        with explain_root_errors(self.root):
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
        there, was = (self._key(layout, path.removesuffix(ending)) for layout in (self.target, self.source))
        if there and was and there != was:
            return _File(path, trouble=f"it may be {was} that is to be moved, or {there} that was; nobody can tell")
        if there or not was:
            return _File(path, key=there)
        try:
            return _File(path, self.target.path(was) + ending, was)
        except ValueError as error:
            return _File(path, key=was, trouble=str(error))

    def _key(self, layout: Placement, path: str) -> str:
        key = layout.key(path)
        return key if key is not None and self.matrix.object_of(key) is not None else ""

    def _is_taken(self, file: _File) -> bool:
        same = file.path.casefold() == file.target.casefold()  # the same file, on a disk that ignores case
        return not same and os.path.lexists(self.root.path / file.target)

    def _denied(self, error: OSError) -> None:
        raise unreadable_folder(error.filename, error) from error

    @property
    def _cancelled(self) -> bool:
        return self.cancellation.requested.is_set()


def _target(configured: RunConfig) -> Placement:
    if configured.request.layout is None:
        raise UsageError(
            "No layout is asked for", hint="Name one, such as hive, mirror or '{market}/{data_type}/{symbol}'."
        )
    return placement_of(configured.request.layout, configured.matrix)


def _note(root: Root, target: Placement) -> LayoutNote:
    """Return from where to where files are to be moved; what is under way may also be turned back.

    Raises:
        RootUnusable: They are on their way to a third layout.
    """
    note = read_note(root) or LayoutNote(MIRROR.name)
    if not note.moving_to or note.moving_to == target.name:
        return replace(note, moving_to=target.name)
    if note.layout == target.name:
        return LayoutNote(note.moving_to, target.name)
    raise under_way(root, note)


def _moved(file: _File) -> Moved | None:
    return None if file.path.endswith(SIDECAR_SUFFIX) else Moved(file.key, file.path, file.target)


def _sidecar_first(name: str) -> tuple[str, bool]:
    return name.removesuffix(SIDECAR_SUFFIX), not name.endswith(SIDECAR_SUFFIX)
