"""The library, a page: what ``crypto_archive`` offers to programs, the command line among them.

Nothing here prints, handles signals or ends the process. Errors are ``CryptoArchiveError`` and what is derived from it;
their hints speak of the command's options, which have the names of the fields of ``load_preset`` for the most part.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from crypto_archive.config import Configured, load_request
from crypto_archive.jobs import (
    collect as collecting,
    coverage as looking,
    rebuild as rebuilding,
    relayout as moving,
    repair as repairing,
    verify as verifying,
)
from crypto_archive.jobs.pinning import locked_request
from crypto_archive.running import Run, beside_loop
from crypto_archive.transfer.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from crypto_archive.events import Checked, Event, LeftAlone, Moved, MovesCounted, Noticed
    from crypto_archive.model import Notice
    from crypto_archive.report.checks import VerifyReport
    from crypto_archive.report.coverage_report import CoverageReport
    from crypto_archive.report.fold import Report
    from crypto_archive.report.relayout_report import RelayoutReport
    from crypto_archive.request import Discovery


def load_preset(*presets: str | Path, today: date | None = None, **fields: Any) -> Configured:
    """Return what presets and fields ask for, checked; the environment counts as it does for the command.

    Args:
        presets: Names, such as ``research``, or paths; a later one covers the earlier ones field by field. None at all
            is as good, with fields.
        today: The current UTC day; read from the clock when not given.
        fields: Fields of presets, which count before all else: ``markets``, ``symbols``, ``data_types``, ``intervals``,
            ``date_range``, ``output_directory`` and so on; and ``start``, ``end``, ``last``, ``endpoint_url``. A
            configuration of the older workflow is taken as it is: ``load_preset(**config)``.

    Raises:
        ConfigError: All that is wrong, each problem with its place, the allowed values and the nearest of them.

    Example:
        >>> from crypto_archive import load_preset
        >>> wanted = load_preset("backtest", symbols=["BTCUSDT"], intervals={"klines": ["1h"]})
        >>> [str(market) for market in wanted.request.wish.markets]
        ['spot', 'futures_um']
        >>> load_preset("reserch")
        Traceback (most recent call last):
        ...
        crypto_archive.errors.ConfigError: presets: unknown preset 'reserch'; did you mean 'research'? (allowed: ...)
    """
    return load_request([str(preset) for preset in presets], fields, today=today or datetime.now(UTC).date())


def collect(
    configured: Configured,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Fetch everything that is asked for and not there yet, and return the report.

    What ends a run early once it has begun stands in its report; only what keeps it from beginning is raised.

    Args:
        configured: What to fetch, from where, to where, and how.
        on_event: Takes every event of the run, in this thread; what it raises ends the run, and is raised.
        locked: Fetch exactly what this lock file pins, instead of what is selected.
        cancellation: A token to stop the run from another thread, or from ``on_event``.
        wait: Wait while another run holds the archive root.
        prune_covered: In the end, move daily objects aside that a monthly one of this run is proven to hold.
        today: The current UTC day; read from the clock when not given.

    Raises:
        UsageError: Nothing is selected, or the lock file cannot be used.
        EnvironmentFailure: There is no s5cmd, the root cannot be written to, or another run holds it.

    Example:
        >>> from crypto_archive import collect, load_preset
        >>> report = collect(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        >>> report.status, report["success_rate"], report["collection_stats"]["failed_tasks"]
        ('success', 100.0, 0)
        >>> report.bytes > 0
        True
    """
    run = collect_events(
        configured, locked=locked, cancellation=cancellation, wait=wait, prune_covered=prune_covered, today=today
    )
    return run.finish(on_event)


def collect_events(
    configured: Configured,
    *,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Run[Event, Report]:
    """Fetch everything that is asked for and not there yet; iterate the run for what happens.

    It takes what ``collect`` takes, and raises what it raises, by this call or with the first event.

    Example:
        >>> from crypto_archive import ObjectSettled, collect_events, load_preset
        >>> wanted = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-14", end="2025-07-15")
        >>> with collect_events(wanted) as run:
        ...     settled = [event for event in run if isinstance(event, ObjectSettled)]
        >>> sorted(f"{event.object.period} {event.outcome}" for event in settled)
        ['2025-07-14 fetched', '2025-07-15 fetched']
        >>> run.report.status
        'success'
    """
    if locked is None:
        configured.require_selection()
        source = None
    else:
        configured, source = locked_request(configured, locked)
    return Run(
        collecting.collect(
            configured, source=source, cancellation=cancellation, wait=wait, prune_covered=prune_covered, today=today
        )
    )


async def collect_async(
    configured: Configured,
    *,
    on_event: Callable[[Event], object] | None = None,
    locked: Path | None = None,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    prune_covered: bool = False,
    today: date | None = None,
) -> Report:
    """Do as ``collect`` does, in a thread, while the event loop goes on.

    A task that is cancelled, or times out, stops the run in order, and ends when that is done; cancelled once more, it
    stops the run at once.

    It takes what ``collect`` takes; ``on_event`` is called in the event loop. A run that is stopped by ``cancellation``
    instead returns its report.

    Example:
        >>> import asyncio
        >>> from crypto_archive import collect_async, load_preset
        >>> async def main() -> None:
        ...     result = await collect_async(load_preset("backtest", start="2025-07-15", end="2025-07-15"))
        ...     assert result["success_rate"] > 95.0
        ...     assert result["collection_stats"]["total_size_bytes"] > 0
        >>> asyncio.run(main())
    """

    def work(hand_over: Callable[[Event], object] | None, token: Cancellation) -> Report:
        return collect(
            configured,
            on_event=hand_over,
            locked=locked,
            cancellation=token,
            wait=wait,
            prune_covered=prune_covered,
            today=today,
        )

    return await beside_loop(work, on_event, cancellation or Cancellation())


def verify(
    configured: Configured,
    *,
    on_event: Callable[[Checked | Noticed], object] | None = None,
    whole_root: bool | None = None,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> VerifyReport:
    """Prove what is on disk by presence, size and SHA-256, and return the report. Changes nothing.

    Args:
        configured: What is to be there, and where.
        on_event: Takes every finding, in this thread.
        whole_root: Check all that is on disk or in the manifest; None for doing so where nothing is selected or
            expected.
        expect: Where else to learn what ought to be there; None to go by what was collected, which needs no network.
        cancellation: A token to stop the verification from another thread.
        today: The current UTC day; read from the clock when not given.

    Raises:
        RootUnusable: There is no such root, or it cannot be read.
        EndpointUnreachable: The listing was asked for and failed.

    Example:
        >>> from crypto_archive import Verdict, collect, load_preset, verify
        >>> wanted = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> fetched = collect(wanted)
        >>> proven = verify(wanted)
        >>> proven.status, proven.objects == proven.verdicts[Verdict.OK] + proven.verdicts[Verdict.SIDECAR_MISSING]
        ('success', True)
    """
    run = verify_events(configured, whole_root=whole_root, expect=expect, cancellation=cancellation, today=today)
    return run.finish(on_event)


def verify_events(
    configured: Configured,
    *,
    whole_root: bool | None = None,
    expect: Discovery | None = None,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> Run[Checked | Noticed, VerifyReport]:
    """Prove what is on disk by presence, size and SHA-256; iterate the run for each finding. Changes nothing.

    It takes what ``verify`` takes, and raises what it raises, by this call or with the first event.
    """
    verifying.existing_root(configured)
    if whole_root is None:
        whole_root = not (configured.selects or expect)
    return Run(
        verifying.verify(configured, whole_root=whole_root, expect=expect, cancellation=cancellation, today=today)
    )


def repair_events(
    configured: Configured,
    bad: Iterable[Checked],
    *,
    cancellation: Cancellation | None = None,
    wait: bool = False,
    today: date | None = None,
) -> Run[Event, Report]:
    """Put aside what a verification found bad, and fetch it and what is missing again; iterate the run.

    Args:
        configured: Where the archive root is, and how objects are fetched.
        bad: The findings whose verdict is bad.
        cancellation: A token to stop the run from another thread.
        wait: Wait while another run holds the archive root.
        today: The current UTC day; read from the clock when not given.

    Raises:
        EnvironmentFailure: With the first event: there is no s5cmd, the root cannot be written to, or is held.
    """
    return Run(repairing.repair(configured, [*bad], cancellation=cancellation, wait=wait, today=today))


def rebuild_manifest_events(
    configured: Configured, *, cancellation: Cancellation | None = None, wait: bool = False
) -> Run[Checked | Noticed, VerifyReport]:
    """Check every file on disk, and make the manifest anew from those that are sound; iterate the run.

    Args:
        configured: Where the archive root is.
        cancellation: A token to stop from another thread; nothing is changed then.
        wait: Wait while another run holds the archive root.

    Raises:
        EnvironmentFailure: With the first event: there is no such root, it cannot be written to, or is held.
    """
    verifying.existing_root(configured)
    return Run(rebuilding.rebuild(configured, cancellation=cancellation, wait=wait))


def relayout(
    configured: Configured,
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
    run = Run(moving.relayout(configured, dry_run=dry_run, cancellation=cancellation, wait=wait))
    return run.finish(on_event)


def coverage(
    configured: Configured, *, on_notice: Callable[[Notice], None] = lambda _: None, today: date | None = None
) -> CoverageReport:
    """Return what is on disk of a selection, what the archive has, and why the rest is missing, series by series.

    Args:
        configured: What is asked about, and where the archive root is; it need not exist.
        on_notice: Takes what there is to say, as it comes up; the report has it, too.
        today: The current UTC day; read from the clock when not given.

    Raises:
        EndpointUnreachable: The listing failed.
        RootUnusable: A folder of the archive root cannot be read.

    Example:
        >>> from crypto_archive import coverage, load_preset
        >>> wanted = load_preset(markets=["spot"], data_types=["klines"], intervals={"klines": ["1d"]},
        ...                      symbols=["BTCUSDT"], start="2025-07-15", end="2025-07-16")
        >>> found = coverage(wanted)
        >>> [str(one.series.symbol) for one in found.series]
        ['BTCUSDT']
    """
    return Run(looking.coverage(configured, say=on_notice, today=today)).finish()
