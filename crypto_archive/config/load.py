"""Turns presets, environment and options into one request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crypto_archive.config.assembly import assemble
from crypto_archive.config.preset import SELECTION
from crypto_archive.config.reading import read_all
from crypto_archive.config.settings import misspelt_variables
from crypto_archive.errors import ConfigError, Problem, UsageError, nearest_told
from crypto_archive.model import Notice
from crypto_archive.request import Wish
from crypto_archive.symbols import QUOTE_ASSETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from crypto_archive.config.sources import Found
    from crypto_archive.matrix import Matrix
    from crypto_archive.model import ShardName
    from crypto_archive.request import Request

NOTICES_OF_A_KIND = 20
"""How many words of a long list are told one by one."""
EVERYTHING = Notice(
    "no market, symbol, data type, interval or date is selected: "
    "this means all markets with their default symbols, all data types and all dates"
)


@dataclass(frozen=True, slots=True)
class Configured:
    """A request, and how it came about.

    Attributes:
        request: What is to be done.
        matrix: The matrix that it speaks of.
        presets: The presets, as they were asked for.
        notices: What a person should know of the configuration.
        origins: For each field that was set, where its value came from; fields that are not in it have their default.
    """

    request: Request
    matrix: Matrix
    presets: tuple[str, ...]
    notices: tuple[Notice, ...]
    origins: Mapping[str, str]

    def locked_by(self, path: Path, bucket: str, shard: ShardName | None = None) -> Configured:
        """Return the same, but with a lock file that says what is wanted and from which bucket.

        Args:
            path: The lock file.
            bucket: The bucket that it is of.
            shard: Which shard of a plan it is; None where it is none.

        Raises:
            ConfigError: Another bucket was asked for.
        """
        access = self.request.access
        if access.bucket != bucket and (asked := self.origins.get("bucket")):
            raise ConfigError([Problem(asked, f"{access.bucket!r}, but {path} locks objects of the bucket {bucket!r}")])
        access = replace(access, bucket=bucket)
        request = replace(self.request, wish=Wish(()), access=access, locked=path, shard=shard)
        return replace(self, request=request, notices=tuple(one for one in self.notices if one is not EVERYTHING))

    @property
    def selects(self) -> bool:
        """Whether anything says what is wanted; without it a request means the whole archive."""
        return any(field in self.origins for field in SELECTION)

    def require_selection(self) -> None:
        """Refuse to fetch the whole archive because somebody forgot to say what they want.

        Raises:
            UsageError: Nothing is selected.
        """
        if not self.selects:
            raise UsageError(
                "Nothing is selected, and the whole archive is too much to fetch by accident",
                hint="Name a preset, such as --preset research, or say what you want with --market, --symbol, "
                "--data-type, --interval or dates; `crypto-archive preset list` says what presets there are.",
            )


def load_request(
    presets: Sequence[str],
    options: Mapping[str, object],
    *,
    today: date,
    named: Callable[[str], str] = str,
    standard_input: bool = False,
) -> Configured:
    """Return the request that presets, environment and options make together.

    A value counts from the option if it is given, else from the environment or ``.env``, else from the last preset
    that has it, else from the defaults. Fields are taken whole, except that ``start``, ``end`` and ``last`` of the
    options change a preset's ``date_range``.

    Args:
        presets: Names or paths; a later one covers the earlier ones field by field.
        options: Values of the caller's by the names of preset fields, and ``start``, ``end``, ``last``,
            ``endpoint_url``, ``region``, ``bucket``, ``s5cmd``, ``stall_seconds``. None and empty lists are options
            that were not given.
        today: The current day, UTC.
        named: Says what the caller calls an option, and ``presets``, for the messages.
        standard_input: Whether the symbol ``-`` stands for a list on standard input.

    Raises:
        ConfigError: All that is wrong with the presets, the environment, the options and the matrix file.
    """
    read = read_all(presets, options, today=today, named=named, standard_input=standard_input)
    request = assemble(read.values, read.matrix, read.dates)
    notices = (
        *_shadow_notices(read.found),
        *misspelt_variables(),
        *_selection_notices(read.values),
        *_case_notices(request),
        *_quote_notices(request),
    )
    return Configured(request, read.matrix, tuple(presets), notices, read.origins)


def _shadow_notices(found: Iterable[Found]) -> Iterable[Notice]:
    for preset in found:
        if preset.hides:
            yield Notice(f"preset {preset.path.stem!r} is your own, {preset.path}; it hides the bundled one")


def _selection_notices(values: Mapping[str, object]) -> Iterable[Notice]:
    if not any(field in values for field in SELECTION):
        yield EVERYTHING


def _case_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each symbol in small letters, since keys tell them apart from capital ones."""
    words = dict.fromkeys(word for symbols in request.wish.symbols.values() for word in symbols)
    small = [word for word in words if word != word.upper()]
    for word in small[:NOTICES_OF_A_KIND]:
        yield Notice(f"symbol {word!r} has small letters and the archive's have none; did you mean {word.upper()!r}?")
    if more := small[NOTICES_OF_A_KIND:]:
        yield Notice(f"{len(more)} more symbols have small letters and the archive's have none")


def _quote_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each quote asset that is not known and looks like one that is; it may be a new one."""
    for word in request.wish.filters.quotes:
        if word not in QUOTE_ASSETS and (near := nearest_told(word, sorted(QUOTE_ASSETS))):
            yield Notice(f"quote asset {word!r} is not among those that are known{near}")
