"""What a plan adds up to, per market and data type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_archive.model import Market


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """The totals of one market and data type.

    Attributes:
        market: The market.
        data_type: The data type.
        objects: Planned objects, those that are already there included.
        sidecars: Sidecars that would be fetched.
        commands: Copy commands that would be run, sidecars included.
        batches: Batches that the commands are cut into.
        bytes: The bytes of the objects whose size is known, without sidecars.
        sized: How many objects have a known size.
        present: Objects that are already there and are left alone.
        updates: Objects that are there but were replaced by the archive.
    """

    market: Market
    data_type: str
    objects: int = 0
    sidecars: int = 0
    commands: int = 0
    batches: int = 0
    bytes: int = 0
    sized: int = 0
    present: int = 0
    updates: int = 0
