"""Files on disk: the bundled data, queues and sorted runs that keep a plan out of memory."""

from __future__ import annotations

import heapq
import os
import pickle
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar

from crypto_archive.errors import RootUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

T = TypeVar("T")

MATRIX_FILE = "binance.yaml"
"""The matrix, in its folder."""

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: Literal["configs", "matrix"]) -> Path:
    """Return the folder of bundled data called ``name``.

    An installed wheel has it inside the package, a checkout has it beside the package.

    Raises:
        FileNotFoundError: The installation is broken: neither place has the folder.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"crypto-archive is installed without its {name!r} folder; install the package again")


class DiskQueue(Generic[T]):
    """First in, first out, for any number of threads; what waits is on disk, so that memory stays small.

    The file has no name: nothing is left of it, not even by a process that is killed.

        with DiskQueue[Batch](folder) as queue:
            queue.put(batch)
            queue.end()
            for batch in queue:
                ...
    """

    def __init__(self, folder: Path) -> None:
        """Open an empty queue whose file is in an existing folder; raises RootUnusable where there can be none."""
        self._folder = folder
        with _explained(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by close
        self._changed = threading.Condition()
        self._waiting = 0
        self._read_at = 0
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, item: T) -> None:
        """Add an item at the end; raises RootUnusable when the disk is full."""
        pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        with self._changed, _explained(self._folder):
            self._file.seek(0, os.SEEK_END)
            self._file.write(pickled)
            self._file.flush()  # a full disk is the trouble of the thread that puts, not of the one that gets
            self._waiting += 1
            self._changed.notify()

    def end(self) -> None:
        """Declare that no item follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take the items, oldest first, waiting for the next one until the end was declared."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                with _explained(self._folder):
                    self._file.seek(self._read_at)
                    item: T = pickle.load(self._file)
                self._read_at = self._file.tell()
                self._waiting -= 1
            yield item

    def close(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # what a full disk did not take is not needed any more
            self._file.close()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RootUnusable(
            f"Cannot keep the plan in {folder}: {error.strerror or error}",
            hint="Free some space, or choose another folder with --output, and run the same command again.",
        ) from error


RUN_LINES = 50_000
"""Lines that are sorted at a time: about 15 MB."""
RUNS_AT_ONCE = 64
"""Runs that are merged at a time, each an open file."""


class LineSorter:
    """Takes lines in any order and gives them back sorted by their bytes, each once.

    Its files lie in the system's folder for temporary files, for as long as the context lasts.

    Attributes:
        count: How many lines it has taken.

    Args:
        run_lines: How many lines are held in memory.
        runs_at_once: How many files may be open at once.
    """

    def __init__(self, run_lines: int = RUN_LINES, runs_at_once: int = RUNS_AT_ONCE) -> None:
        self.count = 0
        self._run_lines = run_lines
        self._runs_at_once = runs_at_once
        self._lines: list[bytes] = []
        self._runs: list[Path] = []
        self._written = 0
        self._stack = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, line: str) -> None:
        """Take a line, without its end.

        Raises:
            RootUnusable: The temporary files cannot be written.
        """
        self.count += 1
        self._lines.append(line.encode())
        if len(self._lines) >= self._run_lines:
            self._lines.sort()
            self._write_run(self._lines)
            self._lines = []

    def sorted(self) -> Iterator[str]:
        """Yield all lines in the order of their bytes, which for UTF-8 is that of their characters; equal ones once.

        Raises:
            RootUnusable: As of ``add``.
        """
        self._lines.sort()
        last = None
        for line in heapq.merge(self._lines, *map(_lines_of, self._runs)):
            if line != last:
                yield line.decode()
            last = line

    def _write_run(self, lines: Iterable[bytes]) -> None:
        try:
            if len(self._runs) >= self._runs_at_once:
                merged, self._runs = self._runs, []
                self._runs.append(self._new_file(heapq.merge(*map(_lines_of, merged))))
                for path in merged:
                    path.unlink()
            self._runs.append(self._new_file(lines))
        except OSError as error:
            raise RootUnusable(
                f"The plan cannot be sorted in {self._folder or 'the folder for temporary files'}: "
                f"{error.strerror or error}",
                hint="Free some space there, or name another folder with the environment variable TMPDIR.",
            ) from error

    def _new_file(self, lines: Iterable[bytes]) -> Path:
        if self._folder is None:
            temporary = TemporaryDirectory(prefix="crypto-archive-", ignore_cleanup_errors=True)
            self._folder = Path(self._stack.enter_context(temporary))
        self._written += 1
        path = self._folder / str(self._written)
        with path.open("wb") as file:
            file.writelines(line + b"\n" for line in lines)
        return path


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.removesuffix(b"\n")
