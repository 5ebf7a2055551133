"""What is planned and waits for a lane: each lane takes a share of it, so that all of them end together."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING

from crypto_archive.files import DiskQueue
from crypto_archive.plan.batches import alike, batch_of, commands_of

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.model import Batch
    from crypto_archive.plan.batches import Group

GROUPS_IN_MEMORY = 64
KEY_BYTES = 256 << 10
"""What a request weighs besides its bytes: about what a connection brings in the time of a round trip."""
SMALLEST_SHARE = 32 * KEY_BYTES
"""The weight of a batch that is worth starting a process for."""
SMALLEST_EARLY_SHARE = 128 * KEY_BYTES
"""The same while the plan is being made, since more will come."""
LARGEST_SHARE = 1024 * KEY_BYTES
"""What even a slow line brings to all lanes before their processes run out of time."""
LINGER_SECONDS = 1.0
"""How long a lane waits for that, and the first lane for so much that all of them have the largest share."""
QUIET_SECONDS = 0.1
"""How long nothing more must have come for it not to wait any longer."""


class Backlog:
    """Groups of objects, first in, first out, on disk where they are many; lanes take batches of them.

    A batch has a lane's share of what waits. So batches are large while much is to be done, which saves processes and
    connections, and small in the end, when all lanes should be done at the same time.
    """

    def __init__(self, folder: Path, lanes: int, batch_size: int) -> None:
        """Open an empty backlog; raises FileUnusable where the folder can keep none."""
        self._queue: DiskQueue[Group] = DiskQueue(folder, in_memory=GROUPS_IN_MEMORY)
        self._lanes = lanes
        self._batch_size = batch_size
        self._numbers = count(1)
        self._taking = threading.Lock()
        self._idle = 0  # lanes that wait for a batch
        self._unserved = lanes  # those that have had none
        self._ahead: Group | None = None  # out of the queue, and of the next batch
        self._changed = threading.Condition()
        self._weight = 0
        self._enough = lanes * LARGEST_SHARE
        self._ended = False

    def put(self, group: Group) -> None:
        """Add a group at the end; raises FileUnusable when the disk is full."""
        self._queue.put(group)
        with self._changed:
            self._weight += weight_of(group)
            self._changed.notify()

    def end(self) -> None:
        """Declare that no group follows."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._queue.end()

    def reopen(self) -> None:
        """Declare that groups may follow after all."""
        self._ended = False
        self._unserved, self._enough = self._lanes, self._lanes * LARGEST_SHARE
        self._queue.reopen()

    def share_among(self, lanes: int) -> None:
        """Declare that no more than the first lanes are needed, of which there are so many."""
        with self._changed:
            self._lanes, self._unserved = lanes, min(self._unserved, lanes)

    def close(self) -> None:
        """Give the file back."""
        self._queue.close()

    def take(self, lane: int) -> Batch | None:
        """Take the next batch, waiting for it; None when the end was declared, or a lane is not needed.

        From any thread.
        """
        with self._changed:
            self._idle += 1
        try:
            with self._taking:
                first = self._next()
                if first is None:
                    return None
                if lane >= self._lanes:
                    self._ahead = first
                    return None
                return self._batch_with(first)
        finally:
            with self._changed:
                self._idle -= 1

    def _batch_with(self, first: Group) -> Batch:
        """Return a batch that begins with a group and has this lane's share of what waits."""
        with self._changed:
            self._wait_for_more()
            waiting, smallest = self._weight, SMALLEST_SHARE if self._ended else SMALLEST_EARLY_SHARE
            # Later, lanes will come back before all of this is copied.
            takers = self._unserved or max(self._idle, self._lanes // 4)
            self._unserved = max(0, self._unserved - 1)
        share = min(max(smallest, waiting // takers), LARGEST_SHARE)
        part, self._ahead = _cut(first, share)
        parts, weight, commands = [part], weight_of(part), commands_of(part)
        while weight < min(share, waiting) and (group := self._next()) is not None:
            part, rest = _cut(group, share - weight)
            commands += commands_of(part)
            if commands > self._batch_size or not alike(first, group):
                self._ahead = group
                break
            parts.append(part)
            weight, self._ahead = weight + weight_of(part), rest
        with self._changed:
            self._weight -= weight
        return batch_of(next(self._numbers), parts)

    def _wait_for_more(self) -> None:
        """Wait for enough, as long as the plan goes on without a pause."""
        deadline = time.monotonic() + LINGER_SECONDS
        while not self._ended and self._weight < self._enough:
            if not self._changed.wait(min(QUIET_SECONDS, deadline - time.monotonic())):
                break
        self._enough = SMALLEST_EARLY_SHARE

    def _next(self) -> Group | None:
        group, self._ahead = self._ahead, None
        return group if group is not None else self._queue.get()


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
