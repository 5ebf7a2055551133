"""Files on disk: reading and writing them safely, the bundled data, and queues and sorted runs that spare memory."""

from __future__ import annotations

import heapq
import json
import os
import pickle
import stat
import tempfile
import threading
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import is_dataclass
from errno import EFBIG, EINVAL, EISDIR
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import UnionType
from typing import IO, TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from crypto_archive.errors import FileUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

T = TypeVar("T")

MATRIX_FILE = "binance.yaml"
"""The matrix, in its folder."""

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: Literal["configs", "matrix"]) -> Path:
    """Return a folder of bundled data: an installed wheel has it inside the package, a checkout next to it."""
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"crypto-archive is installed without its {name!r} folder; install the package again")


@contextmanager
def explain_os_errors(action: str, path: Path, *, hint: str) -> Iterator[None]:
    """Turn an error of the operating system into ``FileUnusable``: "Cannot <action> <path>: <reason>"."""
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"Cannot {action} {path}: {error.strerror or error}", path, hint=hint) from error


def expanded(path: Path) -> Path:
    """Return the path with ``~`` replaced by the home folder, if there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


# Reading: nothing that waits for ever, never ends, or fills the memory

LARGEST_NOTE = 1 << 16
"""In bytes, of the small JSON files that we write for ourselves."""


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; anything else, such as a FIFO or a device, is an ``OSError``."""
    _refuse_special(path.stat(), path)  # before it is opened: to open a device may have effects
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115
    try:
        _refuse_special(os.fstat(file.fileno()), path)  # it may have been exchanged meanwhile
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file; anything else, or a larger file, is an ``OSError``."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(EFBIG, f"it is larger than {most_bytes:,} bytes", str(path))
    return content


def read_json(path: Path, kind: type[T], most_bytes: int = LARGEST_NOTE) -> T:
    """Return the JSON document in a file of ours as a value of a type, such as a dataclass.

    Raises ``OSError`` if it cannot be read, and ``ValueError`` if we cannot have written it.
    """
    try:
        return cast("T", _as_kind(kind, json.loads(read_regular(path, most_bytes))))
    except (TypeError, OverflowError, RecursionError) as error:  # a field is missing, a number huge, the nesting deep
        raise ValueError(f"{path} does not have the form of {kind.__name__}") from error


def _as_kind(kind: Any, value: Any) -> Any:
    """Return a value of JSON as one of a type: a dataclass, ``dict[str, int]``, ``int | None``, a simple one."""
    if is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        return cast("Any", kind)(**{name: _as_kind(of, value[name]) for name, of in hints.items() if name in value})
    if get_origin(kind) is dict and isinstance(value, dict):
        of_keys, of_values = get_args(kind)
        return {_as_kind(of_keys, key): _as_kind(of_values, one) for key, one in value.items()}
    if get_origin(kind) is UnionType:
        return None if value is None else _as_kind(get_args(kind)[0], value)
    if type(value) is kind or (kind is float and type(value) is int):
        if kind is str:
            value.encode()  # refuses half of a surrogate pair
        return kind(value)
    raise ValueError(f"{value!r} is not of the type {kind}")


def require_own_file(path: Path) -> None:
    """Raise ``OSError`` where a library would follow a link, or wait for a FIFO or a device, to open a file of ours."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if not stat.S_ISDIR(mode := path.lstat().st_mode) and not stat.S_ISREG(mode):
            raise OSError(EINVAL, "it is not a regular file", str(path))


def is_link(path: Path | os.DirEntry[str]) -> bool:
    """Whether a path is a symbolic link or, on Windows, a junction."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)  # on Windows only
    return stat.S_ISLNK(found.st_mode) or (junction is not None and getattr(found, "st_reparse_tag", 0) == junction)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _refuse_special(found: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(EINVAL, "it is not a regular file", str(path))


# Writing

_DRAFT, _DRAFT_END = ".crypto-archive-", ".part"


def create_draft(path: Path) -> IO[str]:
    """Create a UTF-8 text file next to ``path``, to replace it once it is written; its ``name`` is its path.

    It is hidden, so that nothing mistakes it for the file, and always a new file, so that no link leads it elsewhere.
    """
    draft = path.with_name(f"{_DRAFT}{os.urandom(8).hex()}{_DRAFT_END}")
    return draft.open("x", encoding="utf-8", newline="\n")


def is_draft(name: str) -> bool:
    """Whether a file has the name of a draft; without a living writer it is what a killed one has left."""
    return name.startswith(_DRAFT) and name.endswith(_DRAFT_END)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file that replaces ``path`` once the block has ended; after an error nothing has changed."""
    _require_replaceable(path)
    draft = create_draft(path)
    try:
        with draft:
            yield draft
        Path(draft.name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(draft.name).unlink()
        raise


def require_writable(path: Path) -> None:
    """Check that ``atomic_write`` will work, before hours of work end without a file; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_replaceable(path)
    with create_draft(path) as draft:
        pass
    Path(draft.name).unlink()


def _require_replaceable(path: Path) -> None:
    """Raise ``OSError`` where a rename would put a file in the place of a folder, a terminal or ``/dev/null``."""
    with suppress(FileNotFoundError):
        _refuse_special(path.stat(), path)


def free_names(path: Path, *endings: str) -> Iterator[Path]:
    """Yield ``path``, ``path.2``, ``path.3`` and so on: those that do not exist, not even with one of the endings."""
    for number in count(1):
        name = path if number == 1 else path.with_name(f"{path.name}.{number}")
        if not any(os.path.lexists(f"{name}{ending}") for ending in ("", *endings)):
            yield name


def free_name(path: Path, *endings: str) -> Path:
    """Return the first of ``free_names``."""
    return next(free_names(path, *endings))


class DiskQueue(Generic[T]):
    """First in, first out, for any number of threads; what waits is on disk, so that memory stays small.

    The file has no name: nothing is left of it, not even by a process that is killed.

        with DiskQueue[Batch](folder) as queue:
            queue.put(batch)
            queue.end()
            for batch in queue:
                ...
    """

    def __init__(self, folder: Path, *, in_memory: int = 0) -> None:
        """Open an empty queue whose file is in an existing folder; raises FileUnusable where there can be none.

        Up to ``in_memory`` items are not written to disk, which saves time while few of them wait.
        """
        self._folder = folder
        self._in_memory = in_memory
        with self._explained():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, closed by close
        self._changed = threading.Condition()
        self._first: deque[T] = deque()
        self._on_disk = 0
        self._read_at = 0
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, item: T) -> None:
        """Add an item at the end; raises FileUnusable when the disk is full."""
        with self._changed, self._explained():
            if self._on_disk or len(self._first) >= self._in_memory:
                self._file.seek(0, os.SEEK_END)
                pickle.dump(item, self._file, pickle.HIGHEST_PROTOCOL)
                self._file.flush()  # a full disk is the trouble of the thread that puts, not of the one that gets
                self._on_disk += 1
            else:
                self._first.append(item)
            self._changed.notify()

    def end(self) -> None:
        """Declare that no item follows."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def reopen(self) -> None:
        """Declare that items may follow after all."""
        with self._changed:
            self._ended = False

    def get(self) -> T | None:
        """Take the oldest item, waiting for one; None when there is none and the end was declared."""
        with self._changed:
            self._changed.wait_for(lambda: self._first or self._on_disk or self._ended)
            if self._first:
                return self._first.popleft()
            if not self._on_disk:
                return None
            with self._explained():
                self._file.seek(self._read_at)
                item: T = pickle.load(self._file)
            self._read_at = self._file.tell()
            self._on_disk -= 1
            return item

    def __iter__(self) -> Iterator[T]:
        """Take the items, oldest first, waiting for the next one until the end was declared."""
        while (item := self.get()) is not None:
            yield item

    def close(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # what a full disk did not take is not needed any more
            self._file.close()

    def _explained(self) -> AbstractContextManager[None]:
        hint = "Free some space, or choose another folder with --output, and run the same command again."
        return explain_os_errors("keep the plan in", self._folder, hint=hint)


RUN_LINES = 50_000
"""Lines that are sorted in memory: about 15 MB."""
RUNS_AT_ONCE = 64
"""Sorted runs that are merged together, each an open file."""


class LineSorter:
    """Takes lines in any order and returns them sorted by their bytes, without duplicates.

    Its sorted runs are files in the system's temporary folder, removed when the context ends.

    Attributes:
        count: How many lines it has taken.
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
        """Take a line, without its line end."""
        self.count += 1
        self._lines.append(line.encode())
        if len(self._lines) >= self._run_lines:
            self._write_run()

    def sorted(self) -> Iterator[str]:
        """Yield all lines in the order of their bytes, which for UTF-8 is the order of their characters."""
        self._lines.sort()
        last = None
        for line in heapq.merge(self._lines, *map(_lines_of, self._runs)):
            if line != last:
                yield line.decode()
            last = line

    def _write_run(self) -> None:
        self._lines.sort()
        folder = self._folder or Path(tempfile.gettempdir())
        with explain_os_errors(
            "sort the plan in", folder, hint="Free some space there, or set TMPDIR to another folder."
        ):
            if len(self._runs) >= self._runs_at_once:
                merged, self._runs = self._runs, []
                self._runs.append(self._new_file(heapq.merge(*map(_lines_of, merged))))
                for path in merged:
                    path.unlink()
            self._runs.append(self._new_file(self._lines))
        self._lines = []

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
