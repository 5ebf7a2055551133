"""Repair: put what verification found bad aside, and fetch it and what is missing again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.collect import collect
from crypto_archive.trust.lock import hold
from crypto_archive.trust.store import open_root, quarantine

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import date

    from crypto_archive.config import Configured
    from crypto_archive.events import Checked, Event
    from crypto_archive.report.fold import Report
    from crypto_archive.transfer.cancellation import Cancellation


def repair(
    configured: Configured,
    bad: Sequence[Checked],
    *,
    cancellation: Cancellation | None = None,
    today: date | None = None,
) -> Generator[Event, None, Report]:
    """Move bad files into quarantine, then collect exactly the objects that are bad or missing.

    Args:
        configured: Where the archive root is, and how objects are fetched.
        bad: What verification found.
        cancellation: A token to stop the run from outside.
        today: The current UTC day; read from the clock when not given.

    Raises:
        S5cmdUnusable: There is no s5cmd that can be used.
        RootUnusable: The archive root cannot be written to.
        RootLocked: Another run holds the archive root.
    """
    root = open_root(configured.request.root)
    with hold(root, "verify --repair"):
        for finding in bad:
            file = root.file(finding.object_key)
            if file.is_file():
                quarantine(root, file, finding.object_key, finding.reason, "verify")
    found = (configured.matrix.object_of(finding.object_key) for finding in bad)
    objects = [item for item in found if item is not None]
    return (yield from collect(configured, objects=objects, cancellation=cancellation, today=today))
