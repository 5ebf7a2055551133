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
from typing import TYPE_CHECKING, Literal, Self

from crypto_archive.errors import RootUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from crypto_archive.model import Batch

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
