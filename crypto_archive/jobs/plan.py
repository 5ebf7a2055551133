"""Plan: what a collect would do, against what is on disk now; and how it differs from a lock file."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Self

from crypto_archive.config.run_config import Discovery
from crypto_archive.errors import ExitCode, RootUnusable
from crypto_archive.files import LineSorter
from crypto_archive.plan.candidates import selected
from crypto_archive.plan.decide import batches, plan as planned
from crypto_archive.plan.estimate import Needs, estimate, past_runs
from crypto_archive.plan.limits import check_budget, require_sizes, within_budget, without_max_bytes
from crypto_archive.plan.locked import lock_to_compare, locked_request, noting, require_listing, write_plan
from crypto_archive.plan.lockfile import Kind, cut_into_files, differences, parse_line, prepare_lock, prepare_shards
from crypto_archive.plan.totals import PlanTotals
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.presence import StoredFiles
from crypto_archive.root.session import root_of
from crypto_archive.root.store import free_bytes
from crypto_archive.s5cmd.runfile import copy_line, run_files

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from crypto_archive.config.run_config import Request, RunConfig
    from crypto_archive.model import Batch, Notice, Pin, PlannedObject
    from crypto_archive.plan.candidates import Source
    from crypto_archive.plan.lockfile import Difference, Lock, Shard
    from crypto_archive.root.store import Root

SCHEMA_VERSION = 1


class Plan:
    """A plan in the making: go through it or through its ``batches``, once; the totals grow meanwhile.

    To be used in one thread. A plan that is not gone through to its end is to be closed, as a context manager does.

    Attributes:
        request: What the plan is of.
        objects: Every object with what is to be done to it.
        totals: What was gone through so far, per market and data type.
        notices: What there is to say, so far.
        locked: How many objects were written to a lock file; None where none is to be written, or not yet.

    Example:
        >>> from crypto_archive import load_preset, plan
        >>> with plan(load_preset("backtest", start="2025-07-15", end="2025-07-15")) as planned:
        ...     actions = {str(item.action) for item in planned}
        >>> actions, planned.totals.overall["to_fetch"] == planned.totals.overall["objects"]
        ({'fetch'}, True)
    """

    def __init__(self, request: Request, root: Root, source: Source, *, lock: Path | None = None) -> None:
        """Begin a plan; use ``plan`` for it.

        Args:
            request: What is wanted, and how it would be fetched.
            root: The archive root that it is of.
            source: Its objects.
            lock: A lock file to write in the end.
        """
        self.request = request
        self.totals = PlanTotals()
        self.notices: list[Notice] = [*source.notices]
        self.locked: int | None = None
        self._root = root
        self._source = source
        self._lock = lock
        self._planned = self._plan()
        self.objects: Iterator[PlannedObject] = self.totals.counting(self._planned)

    def __iter__(self) -> Iterator[PlannedObject]:
        """Yield every object with what is to be done to it; a lock file is written after the last.

        Raises:
            EndpointUnreachable: The listing failed.
            RootUnusable: What is there cannot be read, or the lock file cannot be written.
        """
        return self.objects if self._lock is None else self._locking(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what the plan is made from."""
        self._planned.close()

    def consume(self) -> Self:
        """Go through all of it for the sake of its totals, and return it."""
        for _ in self.batches():
            pass
        return self

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of what is to be fetched, and count them."""
        to_fetch = (item for item in self if item.action.transfers)
        return self.totals.counting_batches(batches(to_fetch, self.request.fetching.batch_size))

    def commands(self, batch: Batch) -> Iterator[str]:
        """Yield the s5cmd commands that fetch the objects of a batch, as they stand in run-files."""
        bucket, part_size_mb = self.request.access.bucket, self.request.fetching.part_size_mb
        return (copy_line(bucket, key, key, part_size_mb) for item in batch.items for key in item.keys)

    @property
    def requests_listed(self) -> int:
        """How many LIST requests the plan has taken so far."""
        return self._source.listing.requests if self._source.listing is not None else 0

    @property
    def exit_code(self) -> ExitCode:
        """Whether there is anything in it, once it is consumed."""
        return ExitCode.OK if self.totals.overall["objects"] else ExitCode.PARTIAL

    def needs(self) -> Needs:
        """Return what a collect of it would take, once it is consumed."""
        totals = self.totals.overall
        objects, size = totals["to_fetch"], self._bytes_to_fetch(totals)
        expected = estimate(past_runs(self._root.runs), objects, size)
        return Needs(totals, self.requests_listed, free_bytes(self._root), expected, self.request.budget)

    def require_budget(self) -> None:
        """See that it keeps within its budget, once it is consumed.

        Raises:
            OverBudget: It does not.
        """
        totals = self.totals.overall
        check_budget(self.request.budget, totals["to_fetch"], self._bytes_to_fetch(totals))

    def hold_back(self) -> None:
        """Let nothing of it through before all of it is known to keep within its budget.

        Raises:
            OverBudget: While it is consumed: it does not.
        """
        self.objects = within_budget(self.objects, self.request.budget)

    def document(self) -> dict[str, object]:
        """Return its totals, once it is consumed, as ``docs/report.md`` describes them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "totals": self.totals.overall,
            "by_market_and_type": [asdict(group) for group in self.totals.groups],
            "batch_size": self.request.fetching.batch_size,
            "budget": self.needs().document(),
            "notices": [notice.text for notice in self.notices],
        }

    def _plan(self) -> Generator[PlannedObject, None, None]:
        with Manifest(self._root.manifest_path, read_only=True) as manifest:
            stored = StoredFiles(self._root, manifest)
            with closing(self._source.candidates(stored, self.notices.append, threading.Event())) as found:
                yield from planned(found, stored.stat, self.request.fetching)

    def _locking(self, path: Path) -> Iterator[PlannedObject]:
        with LineSorter() as sorter:
            yield from noting(self.objects, sorter)
            self.locked = write_plan(sorter, path, self.request)

    @staticmethod
    def _bytes_to_fetch(totals: Mapping[str, int]) -> int | None:
        return totals["bytes_to_fetch"] if totals["sized_to_fetch"] == totals["to_fetch"] else None


def plan(
    configured: RunConfig,
    *,
    locked: Path | None = None,
    lock: Path | None = None,
    offline: bool = False,
    today: date | None = None,
) -> Plan:
    """Return the plan of a request: what a collect of it would do, against what is on disk now. It fetches nothing.

    Args:
        configured: What is wanted, and where it would be kept.
        locked: Plan exactly what this lock file pins, instead of what is selected.
        lock: Write the exact objects to this lock file, once all of the plan was gone through.
        offline: Ask nobody: plan from the calendar, and take the word of a lock file. A limit of bytes is not looked at
            then, since the calendar knows no sizes.
        today: The current UTC day; read from the clock when not given.

    Raises:
        OverBudget: Bytes are limited, and the plan is to come from the calendar, which knows no sizes.
        UsageError: The lock file cannot be used, or a plan from the calendar is to be locked.
        RootUnusable: The lock file cannot be written.
        S5cmdUnusable: The listing is asked for, and there is no s5cmd that can be used.

    Example:
        >>> from crypto_archive import collect, load_preset, plan
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> before = plan(config).consume().totals.overall["to_fetch"]
        >>> before == collect(config).outcomes["fetched"], plan(config).consume().totals.overall["to_fetch"]
        (True, 0)
    """
    configured = _offline(configured) if offline else configured
    source = None
    if locked is not None:
        configured, source = locked_request(configured, locked)
    request = configured.request
    require_sizes(request)
    root = root_of(configured)
    source = source or selected(configured, root, today or datetime.now(UTC).date())
    if lock is not None:
        require_listing(request)
        prepare_lock(lock)
    return Plan(request, root, source, lock=lock)


def _offline(configured: RunConfig) -> RunConfig:
    configured = without_max_bytes(configured)
    return replace(configured, request=replace(configured.request, discovery=Discovery.CALENDAR))


def object_document(item: PlannedObject) -> dict[str, object]:
    """Return one planned object as a document: a line of ``plan --format jsonl``."""
    series, remote = item.object.series, item.remote
    return {
        "key": item.object.key,
        "market": series.market,
        "data_type": series.data_type,
        "symbol": series.symbol,
        "interval": series.interval,
        "partition": item.object.period.partition,
        "period": str(item.object.period),
        "action": item.action,
        "why": item.why,
        "sidecar": item.with_sidecar,
        "size": remote.size if remote else None,
        "etag": remote.etag if remote else None,
        "last_modified": remote.last_modified.isoformat() if remote else None,
    }


def write_shards(plan: Plan, count: int, folder: Path) -> tuple[Shard, ...]:
    """Cut a plan into shards: lock files that share no object, have much the same bytes, and together are the plan.

    Each is all that another machine needs to collect its share; those that are collected into one root may run at the
    same time.

    Args:
        plan: The plan; it is consumed.
        count: How many shards there are to be; fewer are written where there are fewer objects.
        folder: Where to write them; made when it is not there, and left alone when it holds lock files already.

    Returns:
        The shards; none where the plan has no object that the archive has.

    Raises:
        UsageError: The plan is one from the calendar.
        OverBudget: The plan needs more than it may; no shard is written then.
        RootUnusable: The folder cannot be written to, or holds lock files.
        EndpointUnreachable: The listing failed.

    Example:
        >>> from pathlib import Path
        >>> from crypto_archive import collect, load_preset, plan, write_shards
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> shards = write_shards(plan(config), 2, Path("shards"))
        >>> [collect(config, locked=shard.path).status for shard in shards]
        ['success', 'success']
    """
    require_listing(plan.request)
    prepare_shards(folder)
    with LineSorter() as sorter:
        plan.objects = noting(plan.objects, sorter)
        plan.consume()
        plan.require_budget()
        return cut_into_files(sorter.sorted, plan.request.access.bucket, count, folder)


def write_run_files(plan: Plan, folder: Path) -> None:
    """Write the very run-files that a collect would run; each also runs by hand, in any folder.

    Args:
        plan: The plan; it is consumed.
        folder: Where to write them; made when it is not there, and left alone when it holds run-files already.

    Raises:
        OverBudget: The plan needs more than it may; no run-file is written then.
        RootUnusable: The folder cannot be written to, or holds run-files.
    """
    request = plan.request
    plan.hold_back()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.s5cmd")):
            raise RootUnusable(
                f"The folder {folder} holds run-files already",
                hint="Name another folder with --to, or move them away: two plans do not mix.",
            )
        for batch in plan.batches():
            keys = [key for item in batch.items for key in item.keys]
            for _ in run_files(
                folder, batch.number, keys, bucket=request.access.bucket, batch_size=request.fetching.batch_size,
                part_size_mb=request.fetching.part_size_mb,
            ):  # fmt: skip
                pass  # each is written as it is asked for
    except OSError as error:
        raise RootUnusable(
            f"Run-files cannot be written to {folder}: {error.strerror or error}",
            hint="Name a folder that you may write to with --to.",
        ) from error


def compare(plan: Plan, against: Path, *, lock: Path | None = None) -> Differences:
    """Return what sets a plan apart from a lock file; the plan is gone through when the differences are asked for.

    Args:
        plan: The plan, from the listing.
        against: The lock file.
        lock: Lock the plan to this file in the end; it may be the same.

    Raises:
        UsageError: The plan is one from the calendar, or the lock file cannot be used.
        RootUnusable: The other one cannot be written.
        EndpointUnreachable: While it is consumed: the listing failed.
    """
    require_listing(plan.request)
    locked = lock_to_compare(against, plan.request)
    if lock is not None:
        prepare_lock(lock)
    return Differences(_differences(plan, locked, lock), against)


def _differences(plan: Plan, locked: Lock, lock: Path | None) -> Iterator[Difference]:
    with LineSorter() as sorter:
        for _ in noting(plan.objects, sorter):
            pass
        yield from differences(locked, map(parse_line, sorter.sorted()))
        if lock is not None:
            plan.locked = write_plan(sorter, lock, plan.request)


DIFF_SCHEMA_VERSION = 1


class Differences:
    """What sets a plan apart from a lock file; iterate it, once.

    Attributes:
        counts: How many there were of each kind so far.
        lock: The lock file.
    """

    def __init__(self, found: Iterable[Difference], lock: Path) -> None:
        self.counts: Counter[Kind] = Counter()
        self.lock = lock
        self._found = found

    def __iter__(self) -> Iterator[Difference]:
        for difference in self._found:
            self.counts[difference.kind] += 1
            yield difference

    @property
    def by_name(self) -> dict[str, int]:
        """The counts by the names of the kinds, all of them."""
        return {str(kind): self.counts[kind] for kind in Kind}

    @property
    def summary(self) -> str:
        """The counts in words."""
        if not self.counts:
            return "The plan is as the lock file says."
        return ", ".join(f"{count:,} {name}" for name, count in self.by_name.items())

    def lines(self) -> Iterator[str]:
        """Yield a JSON line a difference."""
        return (json.dumps(_document(difference), ensure_ascii=False) for difference in self)

    def document(self) -> Iterator[str]:
        """Yield one JSON document in pieces, so that it may be of any length; the counts come last."""
        head = json.dumps({"schema_version": DIFF_SCHEMA_VERSION, "lock": str(self.lock)}, ensure_ascii=False)
        yield head[:-1] + ', "differences": ['
        between = "\n"
        for line in self.lines():
            yield between + line
            between = ",\n"
        yield f'\n], "counts": {json.dumps(self.by_name)}}}\n'


def _document(difference: Difference) -> dict[str, object]:
    return {
        "kind": str(difference.kind),
        "key": difference.key,
        "locked": _pin(difference.locked),
        "planned": _pin(difference.planned),
    }


def _pin(pin: Pin | None) -> dict[str, object] | None:
    if pin is None:
        return None
    return {
        "size": pin.size,
        "etag": pin.etag,
        "last_modified": pin.last_modified.isoformat(),
        "sha256": pin.sha256 or None,
    }
