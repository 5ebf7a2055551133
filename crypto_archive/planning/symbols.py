"""Names and globs of symbols: ``BTCUSDT``, ``'*USDT'``, ``'!*DOWNUSDT'``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def is_glob(pattern: str) -> bool:
    """Whether a pattern can only be resolved against a list of real symbols."""
    return pattern.startswith("!") or any(sign in pattern for sign in "*?[")


def matching(patterns: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return the symbols that the patterns choose, plain names first, each once.

    A plain name is taken as it is, known or not. A pattern that starts with ``!`` takes symbols away; when there is
    nothing else, it takes them away from all that are known.

    Args:
        patterns: Names and globs.
        known: The symbols that globs are matched against.
    """
    excluded = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    names = [pattern for pattern in wanted if not is_glob(pattern)]
    globs = [pattern for pattern in wanted if is_glob(pattern)]
    found = [symbol for symbol in known if any(fnmatchcase(symbol, glob) for glob in globs)]
    chosen = dict.fromkeys([*names, *found])
    return tuple(symbol for symbol in chosen if not any(fnmatchcase(symbol, glob) for glob in excluded))
