"""Every error that a user can see: the cause, a hint, and the exit code."""

from __future__ import annotations

from enum import IntEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ExitCode(IntEnum):
    """How a command ends; part of the public contract (``docs/exit-codes.md``)."""

    OK = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    VERIFICATION = 4
    ENVIRONMENT = 5
    INTERRUPTED = 130
    TERMINATED = 143


class CryptoArchiveError(Exception):
    """Base of all errors that are shown as a message instead of a traceback.

    Attributes:
        message: What went wrong, and where.
        hint: How to fix it; empty when there is nothing useful to say.
        exit_code: How the command ends for it.

    Example:
        >>> from crypto_archive import CryptoArchiveError, collect, load_preset
        >>> try:
        ...     collect(load_preset())
        ... except CryptoArchiveError as error:
        ...     print(error.message, error.exit_code.name)
        Nothing is selected, and the whole archive is too much to fetch by accident USAGE
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    @property
    def summary(self) -> str:
        """Message and hint on one line, for reports and logs: ``CAUSE. Hint: HINT``."""
        return f"{self.message.rstrip('.')}. Hint: {self.hint}" if self.hint else self.message.rstrip(".")


def cause_and_hint(summary: str) -> tuple[str, str]:
    """Return the two parts of an error's ``summary``; the hint is empty where there is none."""
    cause, _, hint = summary.partition(". Hint: ")
    return cause, hint


class UsageError(CryptoArchiveError):
    """Options, a preset, a matrix file or a lock file cannot be used, or nothing is selected.

    Example:
        >>> from pathlib import Path
        >>> from crypto_archive import UsageError, load_preset, plan
        >>> try:
        ...     plan(load_preset("research"), locked=Path("missing.lock"))
        ... except UsageError as error:
        ...     print(error.exit_code)
        2
    """

    exit_code = ExitCode.USAGE


class Problem(NamedTuple):
    """One mistake in a configuration.

    Attributes:
        place: A file with line and field, an environment variable, or an option.
        message: What is wrong with its value.
        allowed: The valid values, when they can be listed.
        nearest: The valid value that looks most like the given one.
    """

    place: str
    message: str
    allowed: tuple[str, ...] = ()
    nearest: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        if self.nearest is not None:
            text += f"; did you mean {self.nearest!r}?"
        if self.allowed:
            text += f" (allowed: {', '.join(self.allowed)})"
        return text


class ConfigError(UsageError):
    """Every problem of a configuration.

    Attributes:
        problems: Each with its ``place``, ``message``, the ``allowed`` values and the ``nearest`` of them.

    Example:
        >>> from crypto_archive import ConfigError, load_preset
        >>> try:
        ...     load_preset("reserch", batch_size=1000)
        ... except ConfigError as error:
        ...     print([problem.nearest for problem in error.problems])
        ['research', None]
    """

    def __init__(self, problems: Iterable[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems), hint=hint)


class EnvironmentFailure(CryptoArchiveError):
    """The machine, the disk, the network or the archive's server prevents the work.

    Example:
        >>> from crypto_archive import EnvironmentFailure, load_preset, verify
        >>> try:
        ...     verify(load_preset(output_directory="nowhere"))
        ... except EnvironmentFailure as error:
        ...     print(error.exit_code)
        5
    """

    exit_code = ExitCode.ENVIRONMENT


class S5cmdUnusable(EnvironmentFailure):
    """s5cmd is missing, too old, or cannot be run."""


class EndpointUnreachable(EnvironmentFailure):
    """The archive's server cannot be reached, or it denies access."""


class RootUnusable(EnvironmentFailure):
    """The archive root cannot be written to, or its disk is full."""


class FileUnusable(EnvironmentFailure):
    """A file outside the archive root, such as a report or a lock file, cannot be written.

    Attributes:
        path: The file.
    """

    def __init__(self, message: str, path: Path, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class RootLocked(EnvironmentFailure):
    """Another run holds the lock of the archive root or of the shard.

    Attributes:
        brief: Whether it is expected to release the lock in moments.

    Example:
        >>> from crypto_archive import RootLocked, collect, collect_events, load_preset
        >>> config = load_preset("backtest", start="2025-07-15", end="2025-07-15")
        >>> with collect_events(config) as run:
        ...     started = next(run)
        ...     try:
        ...         collect(config)
        ...     except RootLocked as error:
        ...         print(error.message.startswith("Another run holds the lock"))
        True
    """

    def __init__(self, message: str, *, hint: str = "", brief: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.brief = brief


class ManifestUnreadable(EnvironmentFailure):
    """A manifest is damaged, or a newer version wrote it.

    Attributes:
        path: Its file.
    """

    def __init__(self, message: str, path: Path, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that looks most like ``word``, or None when none does."""
    return next(iter(nearest_few(word, allowed, 1)), None)


def nearest_few(word: str, allowed: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Return up to ``most`` allowed words that look like ``word``, the most similar first."""
    import difflib

    by_fold = {choice.casefold(): choice for choice in allowed}
    return tuple(by_fold[fold] for fold in difflib.get_close_matches(word.casefold(), by_fold, n=most, cutoff=0.6))


def nearest_phrase(word: str, allowed: Iterable[str]) -> str:
    """Return the allowed words that look like ``word`` as the end of a sentence; empty when none does."""
    near = nearest_few(word, allowed)
    return f"; nearest {'is' if len(near) == 1 else 'are'} {', '.join(map(repr, near))}" if near else ""


_MODULES = {"prefect": ("prefect",), "dask": ("prefect_dask", "distributed")}
"""The modules that each extra installs."""


class ExtraMissing(UsageError, ImportError):
    """A feature needs an extra that is not installed."""


def require_extra(extra: str, purpose: str) -> None:
    """Raise ``ExtraMissing`` unless an extra is installed; its modules are not imported.

    Args:
        extra: The extra's name.
        purpose: What needs it, as the subject of the message.
    """
    if any(find_spec(module) is None for module in _MODULES[extra]):
        raise ExtraMissing(f"{purpose} needs the extra {extra!r}: pip install 'crypto-archive[{extra}]'")
