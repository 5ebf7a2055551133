"""What is planned and waits for a lane: each lane takes a share of it, so that all of them end together."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from crypto_archive.files import DiskQueue
from crypto_archive.plan.batches import alike, batch_of, commands_of, is_huge

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import Batch
    from crypto_archive.plan.batches import Group

GROUPS_IN_MEMORY = 64
HUGE_LANES = 4
"""How many lanes copy huge objects at the same time; they are enough for any line, with eight parts of each object."""
KEY_BYTES = 256 << 10
"""What a request weighs besides its bytes: about what a connection brings in the time of a round trip."""
SMALLEST_SHARE = 16 * KEY_BYTES
"""The weight of a batch that is worth starting a process for."""
SMALLEST_EARLY_SHARE = 128 * KEY_BYTES
"""The same while the plan is being made, since more will come."""
LARGEST_SHARE = 1024 * KEY_BYTES
"""What even a slow line brings to all lanes before their processes run out of time."""
LINGER_SECONDS = 1.0
"""How long a lane waits for as much as is worth a process, and the first lane for the largest share of all of them."""
QUIET_SECONDS = 0.05
"""It waits no longer when the plan has paused for so long."""


class Backlog:
    """Groups of objects, first in, first out, on disk where they are many; lanes take batches of them.

    A batch has a lane's share of what waits. So batches are large while much is to be done, which saves processes and
    connections, and small in the end, when all lanes should be done at the same time. Huge objects come first, each a
    batch of its own and few at a time.
    """

    def __init__(self, folder: Path, lanes: int, batch_size: int) -> None:
        """Open an empty backlog; raises FileUnusable where the folder can keep none."""
        self._queue: DiskQueue[Group] = DiskQueue(folder, in_memory=GROUPS_IN_MEMORY)
        self._huge: DiskQueue[Group] = DiskQueue(folder, in_memory=GROUPS_IN_MEMORY)
        self._lanes = lanes
        self._batch_size = batch_size
        self._taking = threading.Lock()
        # The rest is guarded by this; only the lane that takes, one at a time, waits for a change.
        self._changed = threading.Condition()
        self._last_number = 0  # of a batch
        self._idle = 0  # lanes that wait for a batch
        self._unserved = lanes  # those that have had none
        self._waiting = self._waiting_huge = 0  # groups in the queues
        self._ahead: Group | None = None  # what a batch has left of a group
        self._weight = 0  # of what waits and is not huge
        self._huge_under_way: set[int] = set()  # the numbers of their batches
        self._enough = lanes * LARGEST_SHARE
        self._ended = False

    def put(self, group: Group) -> None:
        """Add a group at the end; raises FileUnusable when the disk is full."""
        with self._changed:
            if is_huge(group):
                self._huge.put(group)
                self._waiting_huge += 1
            else:
                self._queue.put(group)
                self._waiting += 1
                self._weight += weight_of(group)
            self._changed.notify()

    def end(self) -> None:
        """Declare that no group follows."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def reopen(self) -> None:
        """Declare that groups may follow after all."""
        self._ended = False
        self._unserved, self._enough = self._lanes, self._lanes * LARGEST_SHARE

    def share_among(self, lanes: int) -> bool:
        """Declare that only so many lanes are needed, the first ones; return False if batches have been taken."""
        with self._changed:
            if self._last_number:
                return False
            self._lanes = self._unserved = lanes
            return True

    def close(self) -> None:
        """Give the files back."""
        self._queue.close()
        self._huge.close()

    def take(self, lane: int) -> Batch | None:
        """Take the next batch, waiting for it; None when the end was declared, or a lane is not needed.

        From any thread. ``copied`` is due when s5cmd is done with the batch.
        """
        with self._changed:
            self._idle += 1
        try:
            with self._taking, self._changed:
                self._changed.wait_for(lambda: self._has_more() or self._may_take_huge() or self._is_over())
                if lane >= self._lanes:
                    return None
                if self._may_take_huge():
                    return self._take_huge()
                return self._take_share() if self._has_more() else None
        finally:
            with self._changed:
                self._idle -= 1

    def copied(self, batch: Batch) -> None:
        """Declare that the bytes of a batch have arrived, as far as they will; more than once does not matter."""
        with self._changed:
            self._huge_under_way.discard(batch.number)
            self._changed.notify()

    def _has_more(self) -> bool:
        return self._ahead is not None or self._waiting > 0

    def _is_over(self) -> bool:
        return self._ended and not self._waiting_huge

    def _may_take_huge(self) -> bool:
        return self._waiting_huge > 0 and len(self._huge_under_way) < HUGE_LANES

    def _take_huge(self) -> Batch:
        self._last_number += 1
        self._huge_under_way.add(self._last_number)
        self._waiting_huge -= 1
        return batch_of(self._last_number, [next(iter(self._huge))])

    def _take_share(self) -> Batch:
        """Return a batch that has a lane's share of what waits."""
        self._wait_for_more()
        smallest = SMALLEST_SHARE if self._ended else SMALLEST_EARLY_SHARE
        # Later, lanes will come back before all of this is copied.
        takers = self._unserved or max(self._idle, self._lanes // 4)
        self._unserved = max(0, self._unserved - 1)
        share = min(max(smallest, self._weight // takers), LARGEST_SHARE)
        if self._weight < share + SMALLEST_SHARE:
            share = self._weight  # the rest is not worth a process of its own
        first, self._ahead = _cut(self._next(), share)
        parts, weight, commands = [first], weight_of(first), commands_of(first)
        while weight < share and self._has_more():
            group = self._next()
            part, rest = _cut(group, share - weight)
            commands += commands_of(part)
            if commands > self._batch_size or not alike(first, group):
                self._ahead = group
                break
            parts.append(part)
            weight, self._ahead = weight + weight_of(part), rest
        self._weight -= weight
        self._last_number += 1
        return batch_of(self._last_number, parts)

    def _wait_for_more(self) -> None:
        """Wait for enough, as long as the plan goes on without a pause."""
        deadline = time.monotonic() + LINGER_SECONDS
        while not self._ended and self._weight < self._enough:
            if not self._changed.wait(min(QUIET_SECONDS, deadline - time.monotonic())):
                break
        self._enough = SMALLEST_EARLY_SHARE

    def _next(self) -> Group:
        if self._ahead is None:
            self._waiting -= 1
            return next(iter(self._queue))
        group, self._ahead = self._ahead, None
        return group


def weight_of(group: Group) -> int:
    """Return what copying a group costs, in bytes."""
    keys = sum(len(item.keys) for item in group)
    return keys * KEY_BYTES + sum(
        item.remote.size for item in group if item.remote is not None and item.action.downloads
    )


def _cut(group: Group, weight: int) -> tuple[Group, Group | None]:
    """Split a group where it reaches a weight, but not before its first object."""
    for number, item in enumerate(group, 1):
        weight -= weight_of((item,))
        if weight <= 0:
            return group[:number], group[number:] or None
    return group, None
