"""Taking possession of a root: its layout, its lock, its staging, and how it is left."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.catalog.layout_kinds import LayoutError, placement_of
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.errors import EnvironmentFailure, RootLocked, RootUnusable, UsageError
from crypto_archive.events import Cancellation, Noticed
from crypto_archive.model import Notice, OnNotice
from crypto_archive.root.lock import hold_part, hold_whole, join, part_for, wait_for
from crypto_archive.root.store import Root, explained, open_root, prune_runs, sweep_staging
from crypto_archive.s5cmd.child import end_orphans

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator

    from crypto_archive.catalog.layouts import Placement
    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import Request, RunConfig


@dataclass(frozen=True, slots=True)
class LayoutNote:
    """What a root says of its layout.

    Attributes:
        layout: The name of the layout.
        moving_to: The name of the layout that its files are being moved to; empty while nobody moves them.
    """

    layout: str
    moving_to: str = ""


def read_note(root: Root) -> LayoutNote | None:
    """Return what a root says of its layout, None where it says nothing.

    Raises:
        RootUnusable: The note cannot be read, or nobody of ours has written it.
    """
    try:
        text = root.layout_path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(root, getattr(error, "strerror", None) or str(error)) from error
    try:
        said = json.loads(text)
        note = LayoutNote(said["layout"], said.get("moving_to", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(root, "it is no note of crypto-archive") from error
    if not (isinstance(note.layout, str) and isinstance(note.moving_to, str) and note.layout):
        raise _unreadable(root, "it is no note of crypto-archive")
    return note


def write_note(root: Root, note: LayoutNote) -> None:
    """Replace the note in one step, so that it is never read half; only the holder of the lock may do so.

    Raises:
        RootUnusable: It cannot be written, or the disk is full.
    """
    said = {"layout": note.layout} | ({"moving_to": note.moving_to} if note.moving_to else {})
    draft = root.layout_path.with_suffix(".json.new")
    with explained(root):
        draft.write_text(json.dumps(said, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(root.layout_path)


def holds_objects(root: Root) -> bool:
    """Whether anything stands below ``data/``, so that the layout matters.

    Raises:
        RootUnusable: The folder cannot be read.
    """
    with explained(root):
        try:
            return any(True for _ in root.data.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False


def _unreadable(root: Root, why: str) -> RootUnusable:
    return RootUnusable(
        f"Cannot read what layout the archive root has: {root.layout_path}: {why}",
        hint='Write {"layout": "mirror"} into it if the files stand at their keys, else the name of the layout.',
    )


def root_of(configured: RunConfig) -> Root:
    """Return the archive root of a request with its layout; it need not exist, and nothing is written.

    The layout is the root's own. A root that holds nothing yet gets the one that is asked for, by default that of the
    keys.

    Raises:
        UsageError: The root has another layout than the one that is asked for.
        RootUnusable: Its files are being moved to another layout, or its own cannot be used or read.
    """
    wanted = configured.request.layout
    root = Root(configured.request.root.absolute())
    own = _own_name(root)
    if wanted is None:
        return replace(root, layout=own_placement(root, own, configured.matrix))
    root = replace(root, layout=placement_of(wanted, configured.matrix))
    if holds_objects(root):
        _agree(root, own)
    return root


def require_there(root: Root) -> None:
    """See that there is such a root.

    Raises:
        RootUnusable: There is none.
    """
    if not root.path.is_dir():
        raise RootUnusable(
            f"There is no archive root at {root.path}",
            hint="Name the folder that a collect has filled with --output, or collect first.",
        )


def take_layout(root: Root) -> None:
    """Let a root remember its layout; only who holds the whole root may. One without a note is one of keys.

    Raises:
        UsageError: It has got another one in the meantime.
        RootUnusable: Its files are being moved to another, or it cannot be written to.
    """
    own = _own_name(root)
    if holds_objects(root):
        _agree(root, own)
    if own != root.layout.name:
        write_note(root, LayoutNote(root.layout.name))


def confirm_layout(root: Root) -> None:
    """See that a root still has the layout that is meant, now that it, or a part of it, is held.

    Raises:
        UsageError: It has another one.
        RootUnusable: Its files are being moved to another.
    """
    _agree(root, _own_name(root))


def own_placement(root: Root, name: str, matrix: Matrix) -> Placement:
    """Return the layout that a root remembers by name, made ready for a matrix.

    Raises:
        RootUnusable: There is no such layout any more, or it cannot work with this matrix.
    """
    try:
        return placement_of(name, matrix)
    except LayoutError as error:
        raise RootUnusable(
            f"The archive root {root.path} has the layout {name!r}, which cannot be used: {error}",
            hint="Make the module or package that has it importable again (PYTHONPATH, or install it), and use the "
            "matrix file that the root was collected with.",
        ) from error


def under_way(root: Root, note: LayoutNote) -> RootUnusable:
    """Return the error that says how files that are being moved to another layout get there."""
    return RootUnusable(
        f"The files of {root.path} are on their way from the layout {note.layout!r} to {note.moving_to!r}",
        hint=f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output until it has ended, or "
        f"with --to {note.layout!r} to go back.",
    )


def _own_name(root: Root) -> str:
    """Return the name of the layout that a root has, or will have if nothing else is asked for."""
    note = read_note(root)
    if note is None:
        return MIRROR.name
    if note.moving_to:
        raise under_way(root, note)
    return note.layout


def _agree(root: Root, own: str) -> None:
    if own != root.layout.name:
        raise UsageError(
            f"The archive root {root.path} has the layout {own!r}, and {root.layout.name!r} is asked for",
            hint="Leave the layout out to go on with the root's own; or move its files, without a download, with "
            f"`crypto-archive relayout --to {root.layout.name!r}` and the same --output; or choose another folder.",
        )


PURPOSE = "collect"


def place_for(configured: RunConfig) -> Root:
    """Return the root of a request, or the part of it that its shard has to itself; makes the root's folders.

    Raises:
        UsageError: The root has another layout than the one that is asked for.
        RootUnusable: They cannot be made or written to.
    """
    request, root = configured.request, root_of(configured)
    root = open_root(root.path, root.layout)
    return root if request.shard is None else part_for(root, request.shard)


def refuse_to_prune(request: Request) -> None:
    """Refuse to move daily objects aside in a collect that is one of several.

    Raises:
        UsageError: The request is for a shard.
    """
    if request.shard is not None:
        raise UsageError(
            f"--prune-covered does not go together with a shard: {request.locked}",
            hint="Another shard may have the days of a month. Once all of them are collected, run "
            "`crypto-archive collect --prune-covered` with the selection of the plan.",
        )


@contextmanager
def occupied(root: Root, keep_runs: int) -> Iterator[tuple[Notice, ...]]:
    """Hold a root, or a part of one, as long as the context lasts, with nothing of earlier runs in its staging.

    Args:
        root: The root or the part.
        keep_runs: How many folders of runs are kept, that of the run which begins included.

    Yields:
        What there is to say of what earlier runs have left.

    Raises:
        UsageError: It has got another layout in the meantime.
        RootLocked: Another run holds it.
        RootUnusable: It cannot be written to.
        EnvironmentFailure: The manifest cannot be used, or an s5cmd of an earlier run cannot be ended.
    """
    tidied = partial(_tidied, keep_runs=keep_runs)
    with ExitStack() as held:
        if root.part:
            notices = held.enter_context(hold_part(root, PURPOSE, tidied))
            confirm_layout(root)
            _clear(root)
        else:
            held.enter_context(hold_whole(root, PURPOSE))
            notices = tidied(root)
        yield notices


def leave(part: Root, stop_waiting: threading.Event) -> Generator[Noticed, None, None]:
    """Join what the shards of a root came to, where the one that has ended was the last of them.

    What keeps it from that is told and no failure: the files are in place, and the next run joins the rest.
    """
    attempt = partial(hold_whole, part.whole, "the joining of shards", brief=True)
    try:
        with ExitStack() as held:
            if (yield from wait_for(held, attempt, stop_waiting, wait=False)) is not None:
                for notice in join(part.whole):
                    yield Noticed(notice)
    except RootLocked:
        return  # of those that still run, the last one does it
    except EnvironmentFailure as error:
        yield Noticed(Notice(f"what the shard came to is not in the manifest of the root yet; {error.summary}"))


def _tidied(root: Root, keep_runs: int) -> tuple[Notice, ...]:
    """Clear away what earlier runs have left in a root in which nobody is at work, and join its parts."""
    _clear(root)
    take_layout(root)
    notices = join(root)
    prune_runs(root, keep_runs, "")
    return notices


def _clear(root: Root) -> None:
    """Sweep staging, before anything is written: what a killed run left there may be what fills the disk."""
    end_orphans(root.staging)
    sweep_staging(root)


def _ignore(_: Notice) -> None:
    """Drop a notice."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every step of a job works with, made once at its start.

    Attributes:
        config: What is wanted, from where, to where, and how.
        root: The archive root with its layout; it need not exist.
        today: The current UTC day.
        cancellation: The token that asks the job to stop.
        on_notice: Takes what a person should know, as it comes up.
    """

    config: RunConfig
    root: Root
    today: date
    cancellation: Cancellation = field(default_factory=Cancellation)
    on_notice: OnNotice = _ignore

    @classmethod
    def of(
        cls,
        config: RunConfig,
        *,
        today: date | None = None,
        cancellation: Cancellation | None = None,
        on_notice: OnNotice = _ignore,
    ) -> Context:
        """Return the context of a job that begins now; raises what ``root_of`` raises."""
        return cls(
            config, root_of(config), today or datetime.now(UTC).date(), cancellation or Cancellation(), on_notice
        )

    @property
    def request(self) -> Request:
        """What is to be done."""
        return self.config.request

    @property
    def matrix(self) -> Matrix:
        """What the archive can hold."""
        return self.config.matrix

    @property
    def cancelled(self) -> threading.Event:
        """Set once the job is asked to stop."""
        return self.cancellation.requested
