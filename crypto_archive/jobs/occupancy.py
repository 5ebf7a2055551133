"""How a collect takes possession of an archive root, or of its part of one, and how it leaves."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.errors import EnvironmentFailure, RootLocked, UsageError
from crypto_archive.events import Noticed
from crypto_archive.jobs.placing import confirm_layout, root_of, take_layout
from crypto_archive.model import Notice
from crypto_archive.s5cmd.orphans import end_orphans
from crypto_archive.trust.lock import wait_for
from crypto_archive.trust.parts import hold_part, hold_whole, join, part_for
from crypto_archive.trust.runs import prune_runs
from crypto_archive.trust.store import open_root, sweep_staging

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator

    from crypto_archive.config import Configured
    from crypto_archive.request import Request
    from crypto_archive.trust.store import Root

PURPOSE = "collect"


def place_for(configured: Configured) -> Root:
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
        yield Noticed(Notice(f"what the shard came to is not in the manifest of the root yet; {error.told}"))


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
