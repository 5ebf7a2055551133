"""A queue of batches that may be as long as the plan while memory stays small: what waits, waits on disk.

So the planner can run ahead of the lanes, and progress knows the totals early, without a list of objects in memory.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from crypto_archive.errors import RootUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.model import Batch


class Spool:
    """First in, first out; one thread puts, several get. The file behind it has no name, so that nothing is left."""

    def __init__(self, folder: Path) -> None:
        """Open an empty spool whose file lies in ``folder``, which is made where it is missing.

        Raises:
            RootUnusable: The file cannot be made.
        """
        self._folder = folder
        with kept_in(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by discard
        self._changed = threading.Condition()
        self._waiting = 0
        self._read_at = 0
        self._closed = False

    def put(self, batch: Batch) -> None:
        """Add a batch at the end.

        Raises:
            RootUnusable: The disk is full.
        """
        frozen = pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)
        with self._changed, kept_in(self._folder):
            self._file.seek(0, os.SEEK_END)
            self._file.write(frozen)
            self._file.flush()
            self._waiting += 1
            self._changed.notify()

    def close(self) -> None:
        """Say that no batch follows."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Batch | None:
        """Take the batch that has waited longest, waiting for one if need be; None when none will follow."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            self._file.seek(self._read_at)
            batch: Batch = pickle.load(self._file)
            self._read_at = self._file.tell()
            self._waiting -= 1
            return batch

    def discard(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # what a full disk did not take is not needed any more
            self._file.close()


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Turn what the operating system says while a plan is kept on disk into words for people.

    Raises:
        RootUnusable: The system has said something.
    """
    try:
        yield
    except OSError as error:
        raise RootUnusable(
            f"The plan cannot be kept in {folder}: {error.strerror or error}",
            hint="Free some space, or choose another folder with --output, and run the same command again.",
        ) from error
