"""What a job works with: its context, and the root that it has locked and tidied up."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.errors import EnvironmentFailure, ManifestUnreadable, RootLocked
from crypto_archive.events import Cancellation, PlanningMeter
from crypto_archive.files import free_name
from crypto_archive.model import Notice, OnDays, OnNotice, SeriesDays
from crypto_archive.root.database import SIDE_FILES, explain_sqlite_errors, fold_log
from crypto_archive.root.layout import confirm_layout, root_of, take_layout
from crypto_archive.root.lock import hold_shard, hold_whole, shards_of, start_shard, wait_for
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.store import Root, explain_root_errors, open_root, prune_runs, scan_folder, sweep_staging

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.events import Noticed
    from crypto_archive.root.lock import Holder


def _ignore(_: Notice) -> None:
    """Drop a notice."""


def _ignore_days(_: SeriesDays) -> None:
    """Drop what is known of the days of a series."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every step of a job works with, made once at its start.

    Attributes:
        config: What to do, from where, to where, and how.
        root: The archive root with its layout; it need not exist.
        today: The current UTC day.
        cancellation: The token that asks the job to stop.
        on_notice: Receives what a person should know, as it happens.
        on_days: Receives which of its wanted days can be had, and why not the others, of each series that is planned.
        planning: Reports how far planning is.
    """

    config: RunConfig
    root: Root
    today: date
    cancellation: Cancellation = field(default_factory=Cancellation)
    on_notice: OnNotice = _ignore
    on_days: OnDays = _ignore_days
    planning: PlanningMeter = field(default_factory=PlanningMeter)

    @classmethod
    def of(
        cls,
        config: RunConfig,
        *,
        root: Root | None = None,
        today: date | None = None,
        cancellation: Cancellation | None = None,
        on_notice: OnNotice = _ignore,
    ) -> Context:
        """Return the context of a job that starts now, by default in the root of its configuration."""
        return cls(
            config,
            root or root_of(config),
            today or datetime.now(UTC).date(),
            cancellation or Cancellation(),
            on_notice,
        )

    @property
    def request(self) -> Request:
        """What to do."""
        return self.config.request

    @property
    def matrix(self) -> Matrix:
        """What the archive can hold."""
        return self.config.matrix

    def note(self, notice: Notice) -> None:
        """Report a notice, unless it only comments on what bundled presets say."""
        if self.config.concerns(notice):
            self.on_notice(notice)

    @property
    def cancelled(self) -> threading.Event:
        """Set once the job is asked to stop."""
        return self.cancellation.requested


@dataclass(slots=True)
class Session:
    """A job's hold on its root; see ``lock_root``.

    Attributes:
        root: The root, or the shard's share of it.
        held: Releases the locks.
        acquired: Whether they were acquired.
        notices: What clearing away after earlier runs has to report.
        merge_notices: What merging the shards in the end has to report.
    """

    context: Context
    root: Root
    purpose: str
    wait: bool
    tidy: bool
    check_layout: bool
    held: ExitStack = field(default_factory=ExitStack)
    acquired: bool = False
    notices: tuple[Notice, ...] = ()
    merge_notices: tuple[Notice, ...] = ()

    def acquire(self) -> Generator[Noticed, None, bool]:
        """Take the locks and prepare the root; yield who holds it while waiting; False if cancelled meanwhile."""
        take = self._take_whole if self.root.shard is None else self._take_shard
        self.acquired = yield from wait_for(take, self.context.cancelled, wait=self.wait)
        return self.acquired

    def _take_whole(self) -> None:
        with ExitStack() as held:
            held.enter_context(hold_whole(self.root, self.purpose))
            self._prepare()
            self.held.push(held.pop_all())

    def _take_shard(self) -> None:
        with ExitStack() as held:
            with start_shard(self.root) as alone:
                if alone:
                    self._prepare()
                held.enter_context(hold_shard(self.root, self.purpose))
            # If other shards run, they prepared the root, possibly with another layout than the one read before.
            confirm_layout(self.root)
            _clear_staging(self.root)
            self.held.push(held.pop_all())

    def _prepare(self) -> None:
        """Prepare the whole root, in which no other run is at work."""
        whole = self.root.whole
        if self.tidy:
            # Staging first, before anything is written: what a killed run left there may be what fills the disk.
            _clear_staging(whole)
            take_layout(whole)
            self.notices = merge_shards(whole, self.context.today)
            prune_runs(whole, max(self.context.request.keep_runs - 1, 0))  # this run makes its own folder
        elif self.check_layout:
            confirm_layout(whole)


@contextmanager
def lock_root(
    context: Context, purpose: str, *, wait: bool = False, tidy: bool = True, check_layout: bool = True
) -> Iterator[Session]:
    """Open the root of a job, to be locked by ``session.acquire()`` until the context ends.

    A request for a shard locks the shard's share of the root. If it was the last shard that ran, what the shards
    recorded is merged into the root's manifest in the end; ``session.merge_notices`` has what there is to report.

    Args:
        context: The job's context.
        purpose: What the root is locked for, shown to other runs.
        wait: Wait while another run holds the lock.
        tidy: Clear away and merge what earlier runs left, which needs a sound manifest.
        check_layout: Where nothing is tidied, check that the layout has not changed while the job waited.
    """
    root = replace(open_root(context.root.path, context.root.layout), shard=context.request.shard)
    session = Session(context, root, purpose, wait, tidy, check_layout)
    with session.held:
        yield session
    if session.acquired and root.shard is not None:
        session.merge_notices = _merge_after_last(root.whole, context)


def _clear_staging(root: Root) -> None:
    _end_orphans(root)
    sweep_staging(root)


def _end_orphans(root: Root) -> None:
    if any(scan_folder(root.staging)):  # each works in a folder of its run, in there
        from crypto_archive.s5cmd.orphans import end_orphans  # looks at all processes

        end_orphans(root.staging)


def merge_shards(root: Root, today: date) -> tuple[Notice, ...]:
    """Merge what the shards of a root recorded into its manifest, and remove their folders; requires its lock.

    Killed at any moment, it leaves folders that the next call merges again, with the same result. A shard's manifest
    that cannot be read is kept under another name; the next collect verifies the files that it knew. What has been
    awaited for too long is forgotten.
    """
    notices: list[Notice] = []
    for shard in shards_of(root):
        _end_orphans(shard)
        shutil.rmtree(shard.staging, ignore_errors=True)
        if shard.manifest_path.exists():
            notices += _merge_shard(shard, today)
            with explain_root_errors(shard):
                shard.manifest_path.unlink(missing_ok=True)  # if this failed silently, it would be merged for ever
        # A file that another machine keeps open may stay for now: without the manifest the folder means nothing.
        shutil.rmtree(shard.private, ignore_errors=True)
    with suppress(OSError):
        root.shards.rmdir()
    with explain_sqlite_errors(root.manifest_path):
        fold_log(root.manifest_path)
    return tuple(notices)


def _merge_shard(shard: Root, today: date) -> Iterator[Notice]:
    try:
        with Manifest(shard.whole.manifest_path) as manifest:
            manifest.merge(shard.manifest_path)
            manifest.stop_waiting(today)
    except ManifestUnreadable as error:
        if error.path != shard.manifest_path:
            raise
        kept = _keep_aside(shard)
        yield Notice(
            f"the manifest of shard {shard.shard} cannot be read and is kept as {kept}; "
            f"the next collect verifies its files ({error.message})"
        )


def _keep_aside(shard: Root) -> Path:
    """Move a shard's manifest next to that of the root."""
    file = shard.manifest_path
    kept = free_name(shard.whole.manifest_path.with_name(f"{file.name}.{shard.private.name}"))
    with explain_root_errors(shard):
        for suffix in (*SIDE_FILES, ""):  # the file itself last: without it the others would never be looked for
            source = file.with_name(file.name + suffix)
            if source.exists():
                source.replace(kept.with_name(kept.name + suffix))
    return kept


def _merge_after_last(root: Root, context: Context) -> tuple[Notice, ...]:
    """Merge the shards of a root unless some still run, in which case the last of them will.

    An error is only reported: the files are in place, and the next run merges what is left.
    """
    try:
        with ExitStack() as held:
            take = partial(hold_whole, root, "merge of shards", brief=True)
            taken: list[Holder] = []
            for _ in wait_for(lambda: taken.append(held.enter_context(take())), context.cancelled, wait=False):
                pass  # without ``wait`` it yields nothing
            return merge_shards(root, context.today) if taken else ()
    except RootLocked:
        return ()
    except EnvironmentFailure as error:
        return (Notice(f"the shard's records are not in the manifest of the root yet; {error.summary}"),)
