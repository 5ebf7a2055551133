"""Sort any number of lines in little memory: sorted runs in temporary files, merged as they are read."""

from __future__ import annotations

import heapq
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from crypto_archive.errors import RootUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

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
