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
        waiting: Objects that the archive has not published yet.
        refused: Objects that the archive has in other bytes than are wanted.
        to_fetch: Objects that would be fetched; with those present, waiting and refused they are all.
        bytes_to_fetch: The bytes of those of them whose size is known, without sidecars.
        sized_to_fetch: How many of them have a known size.
        added_bytes: How many bytes more the disk would hold, sidecars included; less than 0 if it would hold fewer.
        consolidated: Monthly objects that stand for daily ones.
        saved_objects: How many objects fewer there are for that.
        saved_bytes: How many bytes fewer, sidecars not included; less than 0 where the monthly objects are larger.
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
    waiting: int = 0
    refused: int = 0
    to_fetch: int = 0
    bytes_to_fetch: int = 0
    sized_to_fetch: int = 0
    added_bytes: int = 0
    consolidated: int = 0
    saved_objects: int = 0
    saved_bytes: int = 0
