"""Plan: what a collect would do, against what is on disk now; writes nothing into the archive root."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crypto_archive.errors import ExitCode, RootUnusable
from crypto_archive.jobs.budget import check_budget, require_sizes, within_budget
from crypto_archive.jobs.sources import selected
from crypto_archive.planning.batches import batches
from crypto_archive.planning.plan import plan
from crypto_archive.planning.totals import PlanTotals
from crypto_archive.report.estimate import estimate
from crypto_archive.report.history import past_runs
from crypto_archive.report.needs import Needs
from crypto_archive.request import Budget
from crypto_archive.s5cmd.runfile import run_files
from crypto_archive.trust.manifest import Manifest
from crypto_archive.trust.presence import StoredFiles
from crypto_archive.trust.store import Root, free_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from crypto_archive.config import Configured
    from crypto_archive.jobs.sources import Source
    from crypto_archive.listings.bucket import BucketListing
    from crypto_archive.model import Batch, Notice, PlannedObject
    from crypto_archive.request import Request

SCHEMA_VERSION = 1


@dataclass(slots=True)
class Plan:
    """A plan in the making: consume ``objects`` or ``batches``, one of them and once; the totals grow meanwhile.

    Attributes:
        objects: Every object with what is to be done to it.
        totals: What was consumed so far, per market and data type.
        notices: What there is to say, so far.
        root: The archive root that it is of.
        budget: The most that may be fetched.
        listing: The listing that the plan is made from; None where nobody is asked.
    """

    objects: Iterator[PlannedObject]
    batch_size: int
    root: Root
    budget: Budget = field(default_factory=Budget)
    totals: PlanTotals = field(default_factory=PlanTotals)
    notices: list[Notice] = field(default_factory=list)
    listing: BucketListing | None = None

    @property
    def requests_listed(self) -> int:
        """How many LIST requests the plan has taken so far."""
        return self.listing.requests if self.listing is not None else 0

    @property
    def exit_code(self) -> ExitCode:
        """Whether there is anything in it, once it is consumed."""
        return ExitCode.OK if self.totals.overall["objects"] else ExitCode.PARTIAL

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of what is to be fetched, and count them."""
        to_fetch = (item for item in self.objects if item.action.transfers)
        return self.totals.counting_batches(batches(to_fetch, self.batch_size))

    def needs(self) -> Needs:
        """Return what a collect of it would take, once it is consumed."""
        totals = self.totals.overall
        objects, size = totals["to_fetch"], self._bytes_to_fetch(totals)
        expected = estimate(past_runs(self.root.runs), objects, size)
        return Needs(totals, self.requests_listed, free_bytes(self.root), expected, self.budget)

    def require_budget(self) -> None:
        """See that it keeps within its budget, once it is consumed.

        Raises:
            OverBudget: It does not.
        """
        totals = self.totals.overall
        check_budget(self.budget, totals["to_fetch"], self._bytes_to_fetch(totals))

    def hold_back(self) -> None:
        """Let nothing of it through before all of it is known to keep within its budget.

        Raises:
            OverBudget: While it is consumed: it does not.
        """
        self.objects = within_budget(self.objects, self.budget)

    @staticmethod
    def _bytes_to_fetch(totals: Mapping[str, int]) -> int | None:
        return totals["bytes_to_fetch"] if totals["sized_to_fetch"] == totals["to_fetch"] else None


@contextmanager
def open_plan(configured: Configured, *, source: Source | None = None, today: date | None = None) -> Iterator[Plan]:
    """Open the plan of a request.

    Args:
        configured: What is wanted, and where it would be kept.
        source: Plan the objects of this source instead of what is selected.
        today: The current UTC day; read from the clock when not given.

    Raises:
        OverBudget: Bytes are limited, and the plan is to come from the calendar, which knows no sizes.
        S5cmdUnusable: The listing is asked for, and there is no s5cmd that can be used.
        EndpointUnreachable: While the plan is consumed: the listing failed.
    """
    request = configured.request
    require_sizes(request)
    today = today or datetime.now(UTC).date()
    root = Root(request.root.absolute())
    source = source or selected(configured, root, today)
    with Manifest(root.manifest_path, read_only=True) as manifest:
        stored = StoredFiles(root, manifest)
        notices = [*source.notices]
        result = Plan(
            iter(()), request.fetching.batch_size, root, request.budget, notices=notices, listing=source.listing
        )
        with closing(source.candidates(stored, result.notices.append, threading.Event())) as found:
            result.objects = result.totals.counting(plan(found, stored.stat, request.fetching))
            yield result


def plan_document(plan: Plan) -> dict[str, object]:
    """Return the totals of a consumed plan as one document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "totals": plan.totals.overall,
        "by_market_and_type": [asdict(group) for group in plan.totals.groups],
        "batch_size": plan.batch_size,
        "budget": plan.needs().document(),
        "notices": [notice.text for notice in plan.notices],
    }


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


def write_run_files(plan: Plan, request: Request, folder: Path) -> None:
    """Write the very run-files that a collect would run; each also runs by hand, in any folder.

    Args:
        plan: The plan; it is consumed.
        request: What the plan is of.
        folder: Where to write them; made when it is not there, and left alone when it holds run-files already.

    Raises:
        OverBudget: The plan needs more than it may; no run-file is written then.
        RootUnusable: The folder cannot be written to, or holds run-files.
    """
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
