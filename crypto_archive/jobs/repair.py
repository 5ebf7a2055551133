"""Repair: put what verification found bad aside, and fetch it and what is missing again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from crypto_archive.jobs.collect import collect
from crypto_archive.jobs.placing import confirm_layout, root_of
from crypto_archive.jobs.sources import named
from crypto_archive.layouts import NoPlace
from crypto_archive.request import Budget
from crypto_archive.transfer.cancellation import Cancellation
from crypto_archive.trust.lock import wait_for
from crypto_archive.trust.parts import hold_whole
from crypto_archive.trust.store import open_root, quarantine

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import date
    from pathlib import Path

    from crypto_archive.config import Configured
    from crypto_archive.events import Checked, Event
    from crypto_archive.report.fold import Report
    from crypto_archive.trust.store import Root

PURPOSE = "verify --repair"


def repair(
    configured: Configured,
    bad: Sequence[Checked],
    *,
    cancellation: Cancellation | None = None,
    today: date | None = None,
    wait: bool = False,
) -> Generator[Event, None, Report]:
    """Move bad files into quarantine, then collect exactly the objects that are bad or missing, without a limit.

    Args:
        configured: Where the archive root is, and how objects are fetched.
        bad: What verification found.
        cancellation: A token to stop the run from outside.
        today: The current UTC day; read from the clock when not given.
        wait: Wait while another run holds the archive root.

    Raises:
        S5cmdUnusable: There is no s5cmd that can be used.
        RootUnusable: The archive root cannot be written to.
        RootLocked: Another run holds the archive root, and it is not to be waited for.
        EnvironmentFailure: An s5cmd of an earlier run cannot be ended, or too few files may be open at once.
    """
    root = root_of(configured)
    root = open_root(root.path, root.layout)
    cancellation = cancellation or Cancellation()
    with ExitStack() as held:
        attempt = partial(hold_whole, root, PURPOSE)
        if (yield from wait_for(held, attempt, cancellation.requested, wait=wait)) is None:
            bad = ()
        else:
            confirm_layout(root)
        for finding in bad:
            file = _stored(root, finding.object_key)
            if file is not None:
                quarantine(root, file, finding.object_key, finding.reason, "verify")
    found = (configured.matrix.object_of(finding.object_key) for finding in bad)
    objects = [item for item in found if item is not None]
    configured = replace(configured, request=replace(configured.request, budget=Budget()))
    return (yield from collect(configured, source=named(objects), cancellation=cancellation, today=today, wait=wait))


def _stored(root: Root, key: str) -> Path | None:
    try:
        file = root.file(key)
    except NoPlace:
        return None
    return file if file.is_file() else None
